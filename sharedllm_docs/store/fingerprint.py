"""What the stored rows depend on. Two settings that differ in any field never share a row.

What each question may choose is left out: fusion and rotary positions do not change unrotated keys and values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import Any

from sharedllm_docs.config import RANKED, Profile
from sharedllm_docs.errors import ConfigError, FingerprintMismatchError, SchemaError
from sharedllm_docs.store.canonical import canonical_bytes, normalised, sha256_hex
from sharedllm_docs.store.keys import TokenIds, front_digest

ROWS_SCHEMA = 1
"""Version of the meaning of the numbers in a shard. Raised only if every chunk must be encoded again."""

_ABSENT = "(absent)"
_SHOWN_CHARS = 24


@dataclass(frozen=True)
class Fingerprint:
    """Everything that changes what is stored; all values are JSON.

    Attributes:
        weights: digest of the base model's weights (not a name).
        adapter: digest of the adapter, None without one.
        tokenizer: digest of the tokenizer.
        rope: rotary parameters.
        dtype: in which the model computes while encoding.
        quantisation: how the model's weights are quantised, None if they are not.
        layers: (first, last) layer whose rows are stored, counted from 1.
        chunk_tokens: tokens per chunk.
        depth: levels of the tree.
        grains: one entry per level.
        keep: which token of a group is kept.
        encoding: ``one_pass`` or ``per_node``.
        profile: its name.
        front: digest of the tokens before every chunk (``front_digest``).
        store_dtype: how rows are stored.
        embedder: digest of the embedder that made the leaf vectors, None without one.
        schema: ``ROWS_SCHEMA``.
        salt: digest of the tenant's salt; None without a tenant, and then it is not part of ``to_dict``.
    """

    weights: str
    adapter: str | None
    tokenizer: str
    rope: Mapping[str, Any]
    dtype: str
    quantisation: str | None
    layers: tuple[int, int]
    chunk_tokens: int
    depth: int
    grains: tuple[int, ...]
    keep: str
    encoding: str
    profile: str
    front: str
    store_dtype: str
    embedder: str | None
    schema: int = ROWS_SCHEMA
    salt: str | None = None

    def salted(self, salt: str | None) -> Fingerprint:
        """The same for a tenant with this digest of a salt; None for no tenant, as models have it."""
        return replace(self, salt=salt)

    def ranks_of(self, tokens: int) -> int:
        """Number of ranks that the shard of a chunk with so many tokens contains: all of them, or 0 for none."""
        return tokens if self.keep in RANKED else 0

    @classmethod
    def for_profile(
        cls,
        profile: Profile,
        *,
        weights: str,
        tokenizer: str,
        rope: Mapping[str, Any],
        dtype: str,
        front_ids: TokenIds = (),
        adapter: str | None = None,
        quantisation: str | None = None,
        embedder: str | None = None,
    ) -> Fingerprint:
        """The fingerprint of a resolved profile with a model.

        Raises:
            ConfigError: the profile's layers are not resolved.
        """
        if profile.layers is None:
            raise ConfigError(
                "The profile's layers are not resolved.", remedy="Call Profile.resolve(num_layers) first."
            )
        return cls(
            weights=weights,
            adapter=adapter,
            tokenizer=tokenizer,
            rope=rope,
            dtype=dtype,
            quantisation=quantisation,
            layers=profile.layers,
            chunk_tokens=profile.chunk_tokens,
            depth=profile.depth,
            grains=profile.grains,
            keep=profile.keep,
            encoding=profile.encoding,
            profile=profile.name,
            front=front_digest(front_ids),
            store_dtype=profile.store_dtype,
            embedder=embedder,
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Fingerprint:
        """Inverse of ``to_dict``.

        Raises:
            SchemaError: fields that this version does not know, or lacks.
        """
        names = {field.name for field in fields(cls)}
        if set(values) | {"salt"} != names:
            odd = ", ".join(sorted(names ^ (set(values) | {"salt"})))
            raise SchemaError(
                f"The index's fingerprint has other fields than this version's: {odd}.",
                remedy="Open it with the version that wrote it, or add the documents again into a new folder.",
            )
        return cls(**{**values, "layers": tuple(values["layers"]), "grains": tuple(values["grains"])})

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""
        result: dict[str, Any] = normalised({**asdict(self), "rope": dict(self.rope)})
        # as before there were tenants, so the digest and all names that depend on it stay the same
        if self.salt is None:
            del result["salt"]
        return result

    @cached_property
    def _digest(self) -> str:
        return sha256_hex(canonical_bytes(self.to_dict()))

    def digest(self) -> str:
        """SHA-256 of the canonical JSON of all fields."""
        return self._digest

    def check(self, wanted: Fingerprint) -> None:
        """Raise FingerprintMismatchError, naming every field that differs, unless ``wanted`` equals this one."""
        check(self.to_dict(), wanted.to_dict())


def check(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Compare two fingerprints field by field.

    Raises:
        FingerprintMismatchError: names each field that differs with the value in the index and the one wanted.
    """
    differences = {
        name: (stored.get(name, _ABSENT), wanted.get(name, _ABSENT))
        for name in sorted(set(stored) | set(wanted))
        if stored.get(name, _ABSENT) != wanted.get(name, _ABSENT)
    }
    if differences:
        listed = "; ".join(
            f"{name} is {_shown(a)} in the index, {_shown(b)} now" for name, (a, b) in differences.items()
        )
        raise FingerprintMismatchError(
            f"The index was made with other settings: {listed}.",
            differences=differences,
            remedy="Open it with the model and settings it was made with, or add the documents into a new folder.",
        )


def _shown(value: object) -> str:
    """Digests are shortened, everything else is shown in full."""
    if isinstance(value, str) and len(value) > _SHOWN_CHARS:
        return f"{value[:_SHOWN_CHARS]!r}…"
    return repr(value)
