"""Packed data, written: rows of text and of questions as token ids in one compressed file.

Comes in: rows of the data build and a tokenizer. Goes out: ``.npz`` files of unsigned integers (16 bits where the
vocabulary allows it), which ``packs`` reads. No torch, no pickle.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.errors import DataError
from sharedllm_docs.model.digests import tokenizer_digest
from sharedllm_docs.model.prompt import PromptTemplate
from sharedllm_docs.training.dataset import QuestionRow, TextRow, read_question_rows, read_text_rows
from sharedllm_docs.training.licences import is_commercial
from sharedllm_docs.training.packed import SCHEMA, Frames

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
    include_non_commercial: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Path:
    """Tokenize rows and write them as one pack.

    Args:
        rows: of the data build, in any mixture; the caller chooses the split.
        tokenizer: of the base model.
        path: of the file, ``.npz``.
        max_tokens: stop after so many tokens.
        max_context: questions over longer contexts are left out (and counted).
        include_non_commercial: take rows whose licence allows no commercial use, too.
        say: told the result in a line.

    Raises:
        DataError: there was no row, or none that may be taken.
        OSError: the file cannot be written.
    """
    packer = _Packer(tokenizer, max_context)
    refused = 0
    for row in rows:
        if not (include_non_commercial or is_commercial(row)):
            refused += 1
        elif isinstance(row, TextRow):
            packer.add_text(row)
        else:
            packer.add_question(row)
        if max_tokens is not None and packer.size >= max_tokens:
            break
    if not packer.size and refused:
        raise DataError(
            f"None of the {refused} rows for {path} allows commercial use.",
            remedy="Give other files too, or --include-non-commercial.",
        )
    if not packer.size:
        raise DataError(f"There is nothing to pack into {path}.", remedy="Give files of the data build that hold rows.")
    written = _write(packer, Path(path))
    say(
        f"{written.name}: {len(packer.texts)} texts, {len(packer.questions)} questions, {packer.size} tokens, "
        f"{written.stat().st_size / 1e6:.1f} MB; {packer.dropped} questions over longer contexts left out"
        + (f"; {refused} rows left out that allow no commercial use" if refused else "")
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
