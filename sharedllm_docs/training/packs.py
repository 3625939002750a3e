"""Packed data: rows of text and of questions as token ids in one compressed file.

Comes in: rows of the data build and a tokenizer. Goes out: ``.npz`` files of unsigned integers (16 bits where the
vocabulary allows it) and, read again, a :class:`Pool` to draw from. No torch, no pickle.
"""

from __future__ import annotations

import glob
import gzip
import hashlib
import itertools
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.digests import json_digest, tokenizer_digest
from sharedllm_docs.errors import ConfigError, DataError
from sharedllm_docs.prompt import PromptTemplate
from sharedllm_docs.training.data.rows import QuestionRow, TextRow, read_question_rows, read_text_rows

SCHEMA = 1
Ids = tuple[int, ...]


@dataclass(frozen=True)
class PackedQuestion:
    """A question as token ids.

    Attributes:
        context: what answers it (or does not).
        asked: everything behind the rows: the question in the prompt's frame.
        answer: to train on, the ending token included.
        answer_at: token of the context at which the answer stands, -1 where it is not found.
        kind: of the row.
        document: number of its document; contexts of one document are no distractors for one another.
    """

    context: Ids
    asked: Ids
    answer: Ids
    answer_at: int
    kind: str
    document: int


@dataclass(frozen=True)
class Frames:
    """Token ids of the prompt's fixed parts, kept in the pack so that training needs no tokenizer.

    Attributes:
        excerpt: before evidence.
        repeat: before the beginning of a passage that is to be continued from its rows; ``repeat_end`` behind it.
    """

    excerpt: Ids
    repeat: Ids
    repeat_end: Ids


EVIDENCE = "\n\n"
"""Before evidence that is quoted in the prompt, as ``PromptTemplate.question_ids`` puts it."""
REPEAT = "Repeat the passage of the document that begins with: "


class _Packer:
    """Collects rows, tokenizing them."""

    def __init__(self, tokenizer: Any, max_context: int) -> None:
        self.tokenizer = tokenizer
        self.template = PromptTemplate.of(tokenizer)
        self.max_context = max_context
        self.tokens: list[NDArray[np.uint32]] = []
        self.size = 0
        self.texts: list[int] = []
        self.questions: list[tuple[int, ...]] = []
        self.kinds: dict[str, int] = {}
        self.documents: dict[str, int] = {}
        self.dropped = 0

    def _put(self, ids: Sequence[int]) -> int:
        """Append tokens; returns where they end."""
        self.tokens.append(np.asarray(ids, dtype=np.uint32))
        self.size += len(ids)
        return self.size

    def ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])

    def add_text(self, row: TextRow) -> None:
        self.texts.append(self._put(self.ids(row.text)))

    def add_question(self, row: QuestionRow) -> None:
        made = self.tokenizer(
            row.context, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True
        )
        if not made["input_ids"] or len(made["input_ids"]) > self.max_context:
            self.dropped += 1
            return
        at = row.context.find(row.answer)
        place = next((i for i, (_, end) in enumerate(made["offset_mapping"]) if end > at), -1) if at >= 0 else -1
        gap = "" if self.template.after_question[-1:].isspace() else " "
        answer = [*self.ids(gap + row.answer.strip()), self.tokenizer.eos_token_id]
        ends = (
            self._put(made["input_ids"]),
            self._put(self.template.question_ids(self.tokenizer, row.question)),
            self._put(answer),
        )
        kind = self.kinds.setdefault(row.kind, len(self.kinds))
        document = self.documents.setdefault(row.doc or row.id, len(self.documents))
        self.questions.append((*ends, place, kind, document))

    def frames(self) -> Frames:
        before, after = self.template.before_question, self.template.after_question
        after_ids = tuple(self.tokenizer(after, add_special_tokens=False)["input_ids"])
        return Frames(tuple(self.ids(EVIDENCE)), tuple(self.ids(before + REPEAT.rstrip())), after_ids)


def pack(
    rows: Iterable[TextRow | QuestionRow],
    tokenizer: Any,
    path: str | Path,
    *,
    max_tokens: int | None = None,
    max_context: int = 1024,
    say: Callable[[str], None] = lambda line: None,
) -> Path:
    """Tokenize rows and write them as one pack.

    Args:
        rows: of the data build, in any mixture; the caller chooses the split.
        tokenizer: of the base model.
        path: of the file, ``.npz``.
        max_tokens: stop after so many tokens.
        max_context: questions over longer contexts are left out (and counted).
        say: told the result in a line.

    Raises:
        DataError: there was no row.
        OSError: the file cannot be written.
    """
    packer = _Packer(tokenizer, max_context)
    for row in rows:
        if isinstance(row, TextRow):
            packer.add_text(row)
        else:
            packer.add_question(row)
        if max_tokens is not None and packer.size >= max_tokens:
            break
    if not packer.size:
        raise DataError(f"There is nothing to pack into {path}.", remedy="Give files of the data build that hold rows.")
    written = _write(packer, Path(path))
    say(
        f"{written.name}: {len(packer.texts)} texts, {len(packer.questions)} questions, {packer.size} tokens, "
        f"{written.stat().st_size / 1e6:.1f} MB; {packer.dropped} questions over longer contexts left out"
    )
    return written


def _write(packer: _Packer, path: Path) -> Path:
    width = np.uint16 if len(packer.tokenizer) <= 2**16 else np.uint32
    frames = packer.frames()
    header = {
        "schema": SCHEMA,
        "tokenizer": tokenizer_digest(packer.tokenizer),
        "kinds": list(packer.kinds),
        "frames": {name: list(ids) for name, ids in vars(frames).items()},
        "start_ids": list(packer.template.start_ids(packer.tokenizer)),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as out:
        np.savez_compressed(
            out,
            header=np.frombuffer(json.dumps(header, sort_keys=True).encode(), dtype=np.uint8),
            tokens=np.concatenate(packer.tokens).astype(width),
            texts=np.asarray(packer.texts, dtype=np.int64),
            questions=np.asarray(packer.questions, dtype=np.int64).reshape(-1, 6),
        )
    partial.replace(path)
    return path


def rows_of(paths: Iterable[Path], split: str) -> Iterator[TextRow | QuestionRow]:
    """Rows of one split from files of the data build, a row of each file in turn, so that a cut hits all alike.

    Raises:
        DataError: a file is no such file.
    """
    waiting = [_rows_of(path) for path in paths]
    while waiting:
        for rows in list(waiting):
            row = next((row for row in rows if row.split == split), None)
            if row is None:
                waiting.remove(rows)
            else:
                yield row


def _rows_of(path: Path) -> Iterator[TextRow | QuestionRow]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            asks = "question" in json.loads(next(lines, "{}"))
        yield from read_question_rows(path) if asks else read_text_rows(path)
    except (OSError, EOFError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path} holds no rows of the data build: {error}", remedy="Build the data again.") from error


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
        sizes = [pack.text_spans[:, 1] - pack.text_spans[:, 0] for pack in self.packs]
        return np.concatenate(sizes) if sizes else np.zeros(0, dtype=np.int64)

    @property
    def num_questions(self) -> int:
        return sum(len(pack.question_rows) for pack in self.packs)

    @cached_property
    def question_kinds(self) -> list[str]:
        """Kind of every question."""
        return [pack.header["kinds"][kind] for pack in self.packs for kind in pack.question_rows[:, 5].tolist()]

    @cached_property
    def question_tokens(self) -> list[int]:
        """Tokens of every question and its answer."""
        return [n for pack in self.packs for n in (pack.question_rows[:, 3] - pack.question_rows[:, 1]).tolist()]

    def context_key(self, index: int) -> bytes:
        """Equal for questions over equal contexts."""
        for pack in self.packs:
            if index < len(pack.question_rows):
                begin, end = pack.question_rows[index, :2].tolist()
                return hashlib.blake2b(pack.tokens[begin:end].tobytes(), digest_size=16).digest()
            index -= len(pack.question_rows)
        raise IndexError(index)

    def text(self, index: int) -> NDArray[np.unsignedinteger[Any]]:
        for pack in self.packs:
            if index < len(pack.text_spans):
                return pack.text(index)
            index -= len(pack.text_spans)
        raise IndexError(index)

    def question(self, index: int) -> PackedQuestion:
        for pack in self.packs:
            if index < len(pack.question_rows):
                return pack.question(index)
            index -= len(pack.question_rows)
        raise IndexError(index)
