"""Token files: rows of text and of questions as token ids in one compressed file, written once and read by training.

A file is an ``.npz`` of unsigned integers (16 bits where the vocabulary allows it) with a JSON header. It contains the
fixed parts of the prompt too, so training needs the tokenizer only to compare its digest. Neither torch nor pickle is
used.
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

from sharedllm_docs.checks import json_of
from sharedllm_docs.errors import ConfigError, DataError, ModelUnavailableError
from sharedllm_docs.model.digests import json_digest, tokenizer_digest
from sharedllm_docs.model.prompt import PromptTemplate
from sharedllm_docs.model.zoo import DEFAULT_MODEL, EMBEDDED, ensure
from sharedllm_docs.training.dataset import QuestionRow, TextRow, read_question_rows, read_text_rows
from sharedllm_docs.training.licences import is_commercial

SCHEMA = 1
EVIDENCE = "\n\n"
"""Before evidence that is quoted in the prompt, as ``PromptTemplate.question_ids`` puts it."""
REPEAT = "Repeat the passage of the document that begins with: "
Ids = tuple[int, ...]


@dataclass(frozen=True)
class QuestionTokens:
    """A question as token ids.

    Attributes:
        context: the text that answers it (or does not).
        asked: everything after the rows: the question in the prompt's frame.
        answer: the answer to train on, with the ending token.
        answer_at: token of the context at which the answer stands, -1 where it is not found.
        kind: the row's kind.
        document: number of its document; contexts of one document are not distractors for one another.
    """

    context: Ids
    asked: Ids
    answer: Ids
    answer_at: int
    kind: str
    document: int


@dataclass(frozen=True)
class Frames:
    """Token ids of the prompt's fixed parts.

    Attributes:
        excerpt: tokens before evidence.
        repeat: tokens before the beginning of a passage that is to be continued from its rows.
        repeat_end: tokens after that beginning.
    """

    excerpt: Ids
    repeat: Ids
    repeat_end: Ids


# -- writing ----------------------------------------------------------------------------------------------------------


def load_tokenizer(name: str | None) -> Any:
    """The tokenizer of a base model; None for the embedded default.

    Raises:
        ModelUnavailableError: it can be neither found nor fetched.
    """
    from transformers import AutoTokenizer

    embedded = DEFAULT_MODEL if name is None else EMBEDDED.get(name)
    place = str(ensure(embedded)) if embedded else name
    try:
        return AutoTokenizer.from_pretrained(place)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelUnavailableError(
            f"The tokenizer of {name!r} could not be loaded: {reason}.", remedy="Give a model's folder or hub name."
        ) from error


def rows_of(paths: Iterable[Path], split: str) -> Iterator[TextRow | QuestionRow]:
    """Rows of one split out of files of the data build, one row of each file in turn, so that a limit cuts all alike.

    Raises:
        DataError: a path does not contain rows of the data build.
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
            asks = "question" in json_of(next(lines, "{}"))
        yield from read_question_rows(path) if asks else read_text_rows(path)
    except (OSError, EOFError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path} holds no rows of the data build: {error}", remedy="Build the data again.") from error


def write_token_file(
    rows: Iterable[TextRow | QuestionRow],
    tokenizer: Any,
    path: str | Path,
    *,
    max_tokens: int | None = None,
    max_context: int = 1024,
    include_non_commercial: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Path:
    """Tokenize rows and write them as one token file.

    Args:
        rows: rows of the data build, in any mixture; the caller chooses the split.
        tokenizer: the base model's tokenizer.
        path: where to write, ``.npz``.
        max_tokens: stop after about this many tokens.
        max_context: leave out (and count) questions whose contexts have more tokens than this.
        include_non_commercial: also take rows whose licence allows no commercial use.
        say: called with one line that states the result.

    Raises:
        DataError: there was no row, or none that may be taken.
        OSError: the file cannot be written.
    """
    collected = _Collected(tokenizer, max_context)
    refused = 0
    for row in rows:
        if not (include_non_commercial or is_commercial(row)):
            refused += 1
        elif isinstance(row, TextRow):
            collected.add_text(row)
        else:
            collected.add_question(row)
        if max_tokens is not None and collected.size >= max_tokens:
            break
    if not collected.size and refused:
        raise DataError(
            f"None of the {refused} rows for {path} allows commercial use.",
            remedy="Give other files too, or --include-non-commercial.",
        )
    if not collected.size:
        raise DataError(
            f"There is nothing to write into {path}.", remedy="Give files of the data build that hold rows."
        )
    written = collected.write(Path(path))
    say(
        f"{written.name}: {len(collected.texts)} texts, {len(collected.questions)} questions, {collected.size} tokens, "
        f"{written.stat().st_size / 1e6:.1f} MB; {collected.dropped} questions over longer contexts left out"
        + (f"; {refused} rows left out that allow no commercial use" if refused else "")
    )
    return written


class _Collected:
    """Rows as token ids, on their way into a file."""

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

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])

    def add_text(self, row: TextRow) -> None:
        self.texts.append(self._put(self._ids(row.text)))

    def add_question(self, row: QuestionRow) -> None:
        context = self.tokenizer(
            row.context, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True
        )
        if not context["input_ids"] or len(context["input_ids"]) > self.max_context:
            self.dropped += 1
            return
        at = row.context.find(row.answer)
        answer_at = next((i for i, (_, end) in enumerate(context["offset_mapping"]) if end > at), -1) if at >= 0 else -1
        gap = "" if self.template.after_question[-1:].isspace() else " "
        answer = [*self._ids(gap + row.answer.strip()), self.tokenizer.eos_token_id]
        ends = (
            self._put(context["input_ids"]),
            self._put(self.template.question_ids(self.tokenizer, row.question)),
            self._put(answer),
        )
        kind = self.kinds.setdefault(row.kind, len(self.kinds))
        document = self.documents.setdefault(row.doc or row.id, len(self.documents))
        self.questions.append((*ends, answer_at, kind, document))

    def _frames(self) -> Frames:
        before, after = self.template.before_question, self.template.after_question
        after_ids = tuple(self.tokenizer(after, add_special_tokens=False)["input_ids"])
        return Frames(tuple(self._ids(EVIDENCE)), tuple(self._ids(before + REPEAT.rstrip())), after_ids)

    def write(self, path: Path) -> Path:
        """The file appears under its name only when it is complete."""
        width = np.uint16 if len(self.tokenizer) <= 2**16 else np.uint32
        header = {
            "schema": SCHEMA,
            "tokenizer": tokenizer_digest(self.tokenizer),
            "kinds": list(self.kinds),
            "frames": {name: list(ids) for name, ids in vars(self._frames()).items()},
            "start_ids": list(self.template.start_ids(self.tokenizer)),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        with partial.open("wb") as out:
            np.savez_compressed(
                out,
                header=np.frombuffer(json.dumps(header, sort_keys=True).encode(), dtype=np.uint8),
                tokens=np.concatenate(self.tokens).astype(width),
                texts=np.asarray(self.texts, dtype=np.int64),
                questions=np.asarray(self.questions, dtype=np.int64).reshape(-1, 6),
            )
        partial.replace(path)
        return path


# -- reading ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TokenFile:
    """One file, read.

    Attributes:
        path: where it was read.
        header: schema, tokenizer's digest, kinds, frames and start of the prompt.
        tokens: all ids.
        text_spans: [texts, 2] begin and end of each text.
        question_rows: [questions, 7] begin of each question, ends of its context, question and answer, then answer_at,
            kind and document.
    """

    path: Path
    header: dict[str, Any]
    tokens: NDArray[np.unsignedinteger[Any]]
    text_spans: NDArray[np.int64]
    question_rows: NDArray[np.int64]

    @classmethod
    def read(cls, path: str | Path) -> TokenFile:
        """Read a token file.

        Raises:
            DataError: the file is missing, damaged or of another schema.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                header = json.loads(arrays["header"].tobytes())
                tokens, texts, questions = arrays["tokens"], arrays["texts"], arrays["questions"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(
                f"The token file {path} cannot be read: {error}", remedy="Make it again with `data pack`."
            ) from error
        if header.get("schema") != SCHEMA:
            raise DataError(
                f"The token file {path} has schema {header.get('schema')}, this version reads {SCHEMA}.",
                remedy="Make it again with `data pack`.",
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

    def question(self, index: int) -> QuestionTokens:
        """A question."""
        begin, context, asked, answer, answer_at, kind, document = map(int, self.question_rows[index])
        return QuestionTokens(
            self._ids(begin, context),
            self._ids(context, asked),
            self._ids(asked, answer),
            answer_at,
            self.header["kinds"][kind],
            document,
        )

    def _ids(self, begin: int, end: int) -> Ids:
        return tuple(self.tokens[begin:end].tolist())


@dataclass(frozen=True)
class Pool:
    """Several token files as one: numbered texts and questions.

    Attributes:
        files: files made by the same tokenizer.
    """

    files: tuple[TokenFile, ...]

    @classmethod
    def read(cls, patterns: Sequence[str], tokenizer: Any = None) -> Pool:
        """Read the token files that match.

        Raises:
            ConfigError: a pattern matches nothing.
            DataError: a file is damaged, or was made with another tokenizer.
        """
        paths = []
        for pattern in patterns:
            found = sorted(glob.glob(pattern))
            if not found:
                raise ConfigError(
                    f"No token file matches {pattern!r}.",
                    remedy="Correct token_files, or make the file with `data pack`.",
                )
            paths += found
        files = tuple(TokenFile.read(path) for path in dict.fromkeys(paths))
        wanted = tokenizer_digest(tokenizer) if tokenizer is not None else files[0].header["tokenizer"]
        for one in files:
            if one.header["tokenizer"] != wanted:
                raise DataError(
                    f"The token file {one.path} was made with another tokenizer.",
                    remedy="Make it for this base model: `data pack --model NAME`.",
                )
        return cls(files)

    @property
    def frames(self) -> Frames:
        """The prompt's fixed parts, the same in all files."""
        return Frames(**{name: tuple(ids) for name, ids in self.files[0].header["frames"].items()})

    @cached_property
    def digest(self) -> str:
        """Digest of headers and tokens: what a resumed run is compared by."""
        return json_digest([[one.header, len(one.tokens), int(one.tokens.sum(dtype=np.int64))] for one in self.files])

    @cached_property
    def text_tokens(self) -> NDArray[np.int64]:
        """Number of tokens of every text."""
        sizes = [one.text_spans[:, 1] - one.text_spans[:, 0] for one in self.files]
        return np.concatenate(sizes) if sizes else np.zeros(0, dtype=np.int64)

    @property
    def num_questions(self) -> int:
        """Number of questions in all files."""
        return sum(len(one.question_rows) for one in self.files)

    @cached_property
    def question_kinds(self) -> list[str]:
        """Kind of every question."""
        return [one.header["kinds"][kind] for one in self.files for kind in one.question_rows[:, 5].tolist()]

    @cached_property
    def question_tokens(self) -> list[int]:
        """Number of tokens of every question with its answer."""
        return [n for one in self.files for n in (one.question_rows[:, 3] - one.question_rows[:, 1]).tolist()]

    def context_key(self, index: int) -> bytes:
        """A key that is equal for questions over equal contexts."""
        one, number = self._place(index, [len(file.question_rows) for file in self.files])
        begin, end = one.question_rows[number, :2].tolist()
        return hashlib.blake2b(one.tokens[begin:end].tobytes(), digest_size=16).digest()

    def text(self, index: int) -> NDArray[np.unsignedinteger[Any]]:
        """Token ids of a text."""
        one, number = self._place(index, [len(file.text_spans) for file in self.files])
        return one.text(number)

    def question(self, index: int) -> QuestionTokens:
        """A question."""
        one, number = self._place(index, [len(file.question_rows) for file in self.files])
        return one.question(number)

    def _place(self, index: int, counts: Sequence[int]) -> tuple[TokenFile, int]:
        """The file that contains number ``index``, and its number there."""
        left = index
        for one, count in zip(self.files, counts, strict=True):
            if left < count:
                return one, left
            left -= count
        raise IndexError(index)
