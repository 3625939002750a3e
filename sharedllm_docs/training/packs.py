"""Packed data, read: texts and questions as token ids, several files as one ``Pool`` to draw from.

``packer`` writes the files. No torch, no pickle, no tokenizer but to compare its digest.
"""

from __future__ import annotations

import glob
import hashlib
import itertools
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.errors import ConfigError, DataError
from sharedllm_docs.model.digests import json_digest, tokenizer_digest
from sharedllm_docs.training.packed import SCHEMA, Frames, Ids, PackedQuestion
from sharedllm_docs.training.packer import pack, rows_of

__all__ = ["SCHEMA", "Frames", "Ids", "Pack", "PackedQuestion", "Pool", "pack", "rows_of"]


@dataclass(frozen=True)
class Pack:
    """One file, read.

    Attributes:
        path: of the file.
        header: its settings.
        tokens: all ids.
        text_spans: [texts, 2] where each begins and ends.
        question_rows: [questions, 7]: begin, ends of context, question and answer, place, kind, document.
    """

    path: Path
    header: dict[str, Any]
    tokens: NDArray[np.unsignedinteger[Any]]
    text_spans: NDArray[np.int64]
    question_rows: NDArray[np.int64]

    @classmethod
    def read(cls, path: str | Path) -> Pack:
        """Read a pack.

        Raises:
            DataError: the file is missing, damaged or of another schema.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                header = json.loads(arrays["header"].tobytes())
                tokens, texts, questions = arrays["tokens"], arrays["texts"], arrays["questions"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"The pack {path} cannot be read: {error}", remedy="Pack the data again.") from error
        if header.get("schema") != SCHEMA:
            raise DataError(
                f"The pack {path} has schema {header.get('schema')}, this version reads {SCHEMA}.",
                remedy="Pack the data again.",
            )
        begins = np.concatenate(([0], np.sort(np.concatenate((texts, questions[:, 2])))))
        before = {int(end): int(begin) for begin, end in itertools.pairwise(begins)}
        spans = np.array([(before[int(end)], end) for end in texts], dtype=np.int64).reshape(-1, 2)
        starts = np.array([before[int(end)] for end in questions[:, 2]], dtype=np.int64).reshape(-1, 1)
        return cls(Path(path), header, tokens, spans, np.concatenate((starts, questions), axis=1))

    def text(self, index: int) -> NDArray[np.unsignedinteger[Any]]:
        """Token ids of a text."""
        begin, end = self.text_spans[index]
        return self.tokens[begin:end]

    def question(self, index: int) -> PackedQuestion:
        """A question."""
        begin, context, asked, answer, place, kind, document = map(int, self.question_rows[index])
        return PackedQuestion(
            self._ids(begin, context),
            self._ids(context, asked),
            self._ids(asked, answer),
            place,
            self.header["kinds"][kind],
            document,
        )

    def _ids(self, begin: int, end: int) -> Ids:
        return tuple(self.tokens[begin:end].tolist())


@dataclass(frozen=True)
class Pool:
    """Several packs as one: numbered texts and questions.

    Attributes:
        packs: made by one and the same tokenizer.
    """

    packs: tuple[Pack, ...]

    @classmethod
    def read(cls, patterns: Sequence[str], tokenizer: Any = None) -> Pool:
        """Read the packs that match.

        Raises:
            ConfigError: a pattern matches nothing.
            DataError: a pack is damaged, or of another tokenizer.
        """
        paths = []
        for pattern in patterns:
            found = sorted(glob.glob(pattern))
            if not found:
                raise ConfigError(f"No pack matches {pattern!r}.", remedy="Correct packs, or pack the data first.")
            paths += found
        packs = tuple(Pack.read(path) for path in dict.fromkeys(paths))
        wanted = tokenizer_digest(tokenizer) if tokenizer is not None else packs[0].header["tokenizer"]
        for one in packs:
            if one.header["tokenizer"] != wanted:
                raise DataError(
                    f"The pack {one.path} was made with another tokenizer.", remedy="Pack the data for this base model."
                )
        return cls(packs)

    @property
    def frames(self) -> Frames:
        return Frames(**{name: tuple(ids) for name, ids in self.packs[0].header["frames"].items()})

    @cached_property
    def digest(self) -> str:
        """Of the headers and sizes: what a resumed run is compared by."""
        return json_digest([[p.header, len(p.tokens), int(p.tokens.sum(dtype=np.int64))] for p in self.packs])

    @cached_property
    def text_tokens(self) -> NDArray[np.int64]:
        """Length of every text."""
        sizes = [one.text_spans[:, 1] - one.text_spans[:, 0] for one in self.packs]
        return np.concatenate(sizes) if sizes else np.zeros(0, dtype=np.int64)

    @property
    def num_questions(self) -> int:
        return sum(len(one.question_rows) for one in self.packs)

    @cached_property
    def question_kinds(self) -> list[str]:
        """Kind of every question."""
        return [one.header["kinds"][kind] for one in self.packs for kind in one.question_rows[:, 5].tolist()]

    @cached_property
    def question_tokens(self) -> list[int]:
        """Tokens of every question and its answer."""
        return [n for one in self.packs for n in (one.question_rows[:, 3] - one.question_rows[:, 1]).tolist()]

    def context_key(self, index: int) -> bytes:
        """Equal for questions over equal contexts."""
        for one in self.packs:
            if index < len(one.question_rows):
                begin, end = one.question_rows[index, :2].tolist()
                return hashlib.blake2b(one.tokens[begin:end].tobytes(), digest_size=16).digest()
            index -= len(one.question_rows)
        raise IndexError(index)

    def text(self, index: int) -> NDArray[np.unsignedinteger[Any]]:
        for one in self.packs:
            if index < len(one.text_spans):
                return one.text(index)
            index -= len(one.text_spans)
        raise IndexError(index)

    def question(self, index: int) -> PackedQuestion:
        for one in self.packs:
            if index < len(one.question_rows):
                return one.question(index)
            index -= len(one.question_rows)
        raise IndexError(index)
