"""The base of all peers: prepare documents once, open them in another process, answer. Standard library only.

Also the work that all are given: documents and questions as files, in text and in the model's token ids, so that a
peer in an environment of its own needs no tokenizer.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any


class CannotTakeError(Exception):
    """The peer cannot take a document of this length: that is its result."""


class NotAvailableError(Exception):
    """The peer cannot be run here: something that it needs is missing or could not be built."""


@dataclass(frozen=True)
class PeerSettings:
    """Settings of every peer.

    Attributes:
        model: name or folder; "" for the embedded default.
        folder: of the model's weights, config and tokenizer.
        embedder: name or folder; "" for the embedded default.
        dtype: that the model computes in.
        threads: number of CPU threads.
        new_tokens: generated a question, whatever they are.
        gguf: the model's GGUF file, for peers that want one.
        options: of this peer alone.
    """

    model: str
    folder: str
    embedder: str
    dtype: str
    threads: int
    new_tokens: int
    gguf: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class WorkDocument:
    """A document as text and as token ids; both are read when needed and not kept, so that they take no memory.

    Attributes:
        path: of its JSON file; the ids lie beside it.
        name: in words.
        tokens: how many.
    """

    path: Path
    name: str
    tokens: int

    @classmethod
    def write(cls, path: Path, name: str, pages: Sequence[str], ids: Sequence[int]) -> None:
        """Write both files."""
        path.with_suffix(".ids").write_bytes(array("i", ids).tobytes())
        row = {"name": name, "tokens": len(ids), "pages": list(pages)}
        path.write_text(json.dumps(row), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> WorkDocument:
        """A document that ``write`` wrote."""
        row = json.loads(path.read_text(encoding="utf-8"))
        return cls(path, row["name"], row["tokens"])

    @property
    def pages(self) -> list[str]:
        """Texts of its pages."""
        return list(json.loads(self.path.read_text(encoding="utf-8"))["pages"])

    @property
    def ids(self) -> list[int]:
        """Token ids."""
        ids = array("i")
        ids.frombytes(self.path.with_suffix(".ids").read_bytes())
        return ids.tolist()


@dataclass(frozen=True)
class WorkQuestion:
    """A question as text, and as the ids that follow the document in the prompt."""

    text: str
    ids: tuple[int, ...]


class Work:
    """Documents and questions from a folder that the bench wrote."""

    def __init__(self, folder: Path, documents: int | None = None) -> None:
        self._folder = folder
        self._count = documents

    @cached_property
    def documents(self) -> tuple[WorkDocument, ...]:
        """The documents, in order; read at first use, since a peer that opens a stored index needs none."""
        return tuple(map(WorkDocument.read, sorted(self._folder.glob("documents/*.json"))[: self._count]))

    @cached_property
    def _asked(self) -> dict[str, Any]:
        return dict(json.loads((self._folder / "questions.json").read_text(encoding="utf-8")))

    @cached_property
    def start_ids(self) -> tuple[int, ...]:
        """The prompt before the document."""
        return tuple(self._asked["start_ids"])

    @cached_property
    def questions(self) -> tuple[WorkQuestion, ...]:
        """The questions; the first is asked cold, the others warm."""
        return tuple(WorkQuestion(row["text"], tuple(row["ids"])) for row in self._asked["questions"])

    @property
    def prompt_ids(self) -> list[int]:
        """The prompt's start with all documents."""
        return [*self.start_ids, *(token for document in self.documents for token in document.ids)]

    def check_window(self, window: int, new_tokens: int) -> None:
        """Raise CannotTakeError unless documents, any question and its answer fit ``window`` tokens together."""
        asked = max(len(question.ids) for question in self.questions)
        read = len(self.start_ids) + sum(document.tokens for document in self.documents)
        total = read + asked + new_tokens
        if total > window:
            raise CannotTakeError(f"prompt and answer take {total} tokens, the model's window has {window}")


@dataclass(frozen=True)
class Asked:
    """One answer's cost.

    Attributes:
        first_token_seconds: from the question until its first token was known.
        decode_seconds: from there to the last token.
        decoded: tokens in that time.
        context: rows or tokens that the question could attend to.
    """

    first_token_seconds: float
    decode_seconds: float
    decoded: int
    context: int


class Peer(ABC):
    """One way to ask questions of long documents.

    Args:
        settings: common to all.
        folder: the peer's own, for what it keeps on disk.
    """

    def __init__(self, settings: PeerSettings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder

    @property
    def stored(self) -> Path:
        """Folder of what the peer keeps of documents."""
        return self.folder

    @abstractmethod
    def load(self) -> None:
        """Import libraries and load models; not part of the time of the ingestion."""

    @abstractmethod
    def prepare(self, work: Work) -> int:
        """Prepare the documents; returns how many tokens were new.

        Raises:
            CannotTakeError: they are too long.
        """

    def open(self, work: Work) -> None:
        """Open, in another process, what was prepared; prepare again if nothing can be kept."""
        self.load()
        self.prepare(work)

    @abstractmethod
    def ask(self, question: WorkQuestion) -> Asked:
        """Answer with exactly ``new_tokens`` tokens where the peer allows."""
