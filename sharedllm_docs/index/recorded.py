"""What an index recorded about the model that made it, validated, because an index folder may come from anyone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sharedllm_docs.config import Profile
from sharedllm_docs.errors import ConfigError, DamagedIndexError
from sharedllm_docs.store import IndexStore
from sharedllm_docs.store.catalog import INDEX_FILE, damaged
from sharedllm_docs.store.records import DocumentRecord

_ARGUMENTS = frozenset({"name_or_path", "adapter", "dtype", "embedder", "step_weights", "prompt_start", "confidence"})
_TREE = ("chunk_tokens", "depth", "grains", "keep")
_REMEDY = "Make the index again, or open a copy that was not changed."


@dataclass(frozen=True)
class Recorded:
    """The settings in ``index.json``.

    Attributes:
        model: name of the model.
        source: arguments of ``SharedLLM.from_pretrained`` that load it again; empty for a model from memory.
        profile: how the rows were made.
    """

    model: str
    source: dict[str, str | None]
    profile: Profile


def recorded(store: IndexStore) -> Recorded:
    """The settings of an index.

    Raises:
        DamagedIndexError: they are not what an index records, or speak of other trees than the fingerprint.
    """
    settings = store.settings
    model, source, values = settings.get("model"), settings.get("source"), settings.get("profile")
    if not isinstance(model, str) or not isinstance(source, dict) or not isinstance(values, dict):
        raise _wrong("model, source or profile is missing")
    odd = {name for name, value in source.items() if name not in _ARGUMENTS or not isinstance(value, (str, type(None)))}
    if odd:
        raise _wrong(f"the source has what no model is loaded by: {', '.join(sorted(odd))}")
    try:
        profile = Profile.from_dict(values)
    except ConfigError as error:
        raise _wrong(error.message) from error
    differing = [name for name in _TREE if getattr(profile, name) != getattr(store.fingerprint, name)]
    if differing:
        raise _wrong(f"profile and fingerprint differ in {', '.join(differing)}")
    return Recorded(model, source, profile)


def _wrong(reason: str) -> DamagedIndexError:
    return damaged(INDEX_FILE, f"its settings are not those of an index ({reason})", remedy=_REMEDY)


def check_leaves(record: DocumentRecord, leaves: int, rows: list[int], vectors: dict[str, Any], name: str) -> None:
    """Check that what is stored of a document belongs together.

    Args:
        record: the document.
        leaves: number of its leaves.
        rows: rows of each chunk, as its tree has them.
        vectors: the arrays beside the manifest.
        name: of the one with a row for each leaf.

    Raises:
        DamagedIndexError: a chunk has other rows, or there are more or fewer vectors than leaves.
    """
    if [chunk.rows for chunk in record.chunks] != rows:
        raise damaged(record.path, "its chunks have other numbers of rows than their tokens make", remedy=_REMEDY)
    if name not in vectors or len(vectors[name]) != leaves:
        found = len(vectors[name]) if name in vectors else 0
        path = record.file_path("vectors")
        raise damaged(path, f"it holds {found} vectors for {leaves} leaves", remedy=_REMEDY)
