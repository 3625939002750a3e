"""An index without a model, in place of the engine: its own dataclasses, made-up answers, calls written down."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from sharedllm_docs.documents.document import Issue
from sharedllm_docs.errors import DocumentNotFoundError, EmptyQuestionError, IndexNotFoundError
from sharedllm_docs.index.views import AddedDocument, ChunkView, DocumentInfo, NodeView, TreeView
from sharedllm_docs.retrieval.answer import NOT_SAID, Answer, Citation, Counts, Timings
from sharedllm_docs.store.catalog import Damage
from sharedllm_docs.store.estimate import SizeEstimate
from sharedllm_docs.store.verify import VerifyReport

ANSWER = "Use rev(x), which returns the elements in reverse order."
QUOTE = "rev(x) reverses the\nelements of x."
CHUNKS = 80


class Progress(NamedTuple):
    """In place of ``sharedllm_docs.Progress``, whose module loads torch; ``test_conftest`` compares the fields."""

    stage: str
    done: int
    total: int
    unit: str


def document(name: str, key: str = "", **changes: Any) -> DocumentInfo:
    """A document of an index; its key is made of its name."""
    values: dict[str, Any] = {
        "key": key or name.encode().hex().ljust(64, "0")[:64],
        "name": name,
        "pages": 113,
        "tokens": 72_413,
        "chunks": 71,
        "bytes": 1_234_567_890,
        "created": "2025-03-01T12:00:00Z",
        "reader": "pdf",
        "title": "An Introduction to R",
    }
    return DocumentInfo(**values | changes)


def citation(page: int = 7, **changes: Any) -> Citation:
    """A passage of R-intro.pdf."""
    values: dict[str, Any] = {
        "document": "R-intro.pdf",
        "document_key": "ab" * 32,
        "page": page,
        "last_page": changes.get("page", page),
        "page_label": "",
        "char_start": 100,
        "char_end": 140,
        "quote": QUOTE,
        "section": "2.1 Vectors and assignment",
        "score": 0.8,
        "chunk": 3,
        "level": 3,
        "node": 5,
    }
    return Citation(**values | changes)


def answer(question: str, **changes: Any) -> Answer:
    """What the fake answers."""
    values: dict[str, Any] = {
        "question": question,
        "text": ANSWER,
        "citations": (citation(7), citation(12, section="", page_label="6")),
        "relevance": 0.71,
        "confidence": 0.93,
        "timings": Timings(0.1, 0.05, 0.42, 1.9),
        "counts": Counts(1, 71, 24, 3072, 61_200_000, 31, 34),
    }
    return Answer(**values | changes)


class FakeStream:
    """Like the engine's ``Stream``."""

    def __init__(self, whole: Answer) -> None:
        self._whole = whole
        self._taken = False

    def __iter__(self) -> Iterator[str]:
        first, *others = (self._whole.draft or self._whole.text).split(" ")
        yield first
        yield from (f" {word}" for word in others)
        self._taken = True

    @property
    def result(self) -> Answer:
        assert self._taken, "the answer was asked for before the stream was read"
        return self._whole


def nodes(start: int, question: str | None) -> tuple[NodeView, ...]:
    """Two halves; of the right one the left quarter is taken."""
    states = {(1, 0): "left", (1, 1): "left", (2, 0): "left", (2, 1): "left", (2, 2): "taken", (2, 3): "coarse"}
    return tuple(
        NodeView(
            level=level,
            index=index,
            start_token=start + index * (1024 >> level),
            end_token=start + (index + 1) * (1024 >> level),
            start_page=7,
            end_page=8,
            grain=1,
            rows=1024 >> level,
            score=0.5 if question else None,
            state=state if question else "",
            text=f"words of node {level}.{index}",
        )
        for (level, index), state in states.items()
    )


class World:
    """All indexes there are, what was called, and what is to go wrong.

    Attributes:
        indexes: url -> index.
        calls: (method, arguments) in order.
        on: method -> called first, to raise or to wait.
        answered: makes the answer of a question.
        damage: what ``verify`` finds; ``repair`` mends shards only.
    """

    def __init__(self) -> None:
        self.indexes: dict[str, FakeIndex] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.on: dict[str, Callable[[dict[str, Any]], None]] = {}
        self.answered: Callable[[str], Answer] = answer
        self.damage: list[Damage] = []

    def put(self, url: str, *infos: DocumentInfo) -> FakeIndex:
        """An index that exists already."""
        index = self.indexes[url] = FakeIndex(self, url)
        index.infos = {info.key: info for info in infos}
        return index

    def fail(self, method: str, error: BaseException) -> None:
        """Let a method raise."""

        def raising(_arguments: dict[str, Any]) -> None:
            raise error

        self.on[method] = raising

    def called(self, method: str, **arguments: Any) -> None:
        """Write a call down; raise what was ordered."""
        self.calls.append((method, arguments))
        if method in self.on:
            self.on[method](arguments)

    def arguments(self, method: str) -> dict[str, Any]:
        """Of the last call of a method."""
        return next(arguments for name, arguments in reversed(self.calls) if name == method)

    # what stands for the class Index

    def open(self, url: str, **options: Any) -> FakeIndex:
        self.called("open", url=url, **options)
        if url not in self.indexes:
            raise IndexNotFoundError(f"There is no index at {url}.", remedy="Add a document first.")
        return self.indexes[url]

    def open_or_create(self, url: str, **options: Any) -> FakeIndex:
        self.called("open_or_create", url=url, **options)
        return self.indexes.get(url) or self.put(url)


class FakeIndex:
    """Like the engine's ``Index``."""

    def __init__(self, world: World, url: str) -> None:
        self.world, self.url = world, url
        self.infos: dict[str, DocumentInfo] = {}

    def add(self, source: Any, *, progress: Callable[[Progress], None] | None = None, **options: Any) -> AddedDocument:
        for done in (0, 113) if progress else ():
            progress(Progress("read", done, 113, "pages"))  # type: ignore[misc]
        for done in (10_000, 40_000, 72_413) if progress else ():
            progress(Progress("encode", done, 72_413, "tokens"))  # type: ignore[misc]
        self.world.called("add", source=source, progress=progress, **options)
        info = document(options.get("name") or source.rpartition("/")[2])
        new = info.key not in self.infos
        if options.get("encode") == "when-asked":
            info = self.infos.get(info.key) or replace(info, unread_chunks=info.chunks)
        self.infos[info.key] = info
        counts = (70, 1, 95.13, 761.2) if new else (0, 71, 0.4, 0.0)
        return AddedDocument(info, new, *counts, {"read": 0.5, "encode": 90.0})

    def read(self, reference: str, *, progress: Callable[[Progress], None] | None = None) -> int:
        self.world.called("read", reference=reference)
        info = self.document(reference)
        self.infos[info.key] = replace(info, unread_chunks=0)
        return info.unread_chunks

    def estimate(self, source: str, **options: Any) -> SizeEstimate:
        self.world.called("estimate", source=source, **options)
        return SizeEstimate(1_000_000, 2_000, 3_000, 4_000, 5_000, 6_000, 72_413, (14_000,) * 71)

    def documents(self) -> list[DocumentInfo]:
        self.world.called("documents")
        return list(self.infos.values())

    def document(self, reference: str) -> DocumentInfo:
        for info in self.infos.values():
            if reference == info.name or info.key.startswith(reference):
                return info
        raise DocumentNotFoundError(f"The index has no document {reference!r}.", remedy="`list` shows what it has.")

    def find_key(self, reference: str) -> str:
        return self.document(reference).key

    def size(self) -> int:
        return sum(info.bytes for info in self.infos.values())

    def remove(self, reference: str) -> DocumentInfo:
        self.world.called("remove", reference=reference)
        return self.infos.pop(self.document(reference).key)

    def prune(self, grace: float | None = None) -> int:
        self.world.called("prune")
        return 12_345_678

    def verify(self, reference: str | None = None, *, progress: Any = None) -> VerifyReport:
        self.world.called("verify", reference=reference)
        if progress:
            progress(Progress("verify", 1_000_000, 2_000_000, "bytes"))
        return VerifyReport(42, 2_000_000, tuple(self.world.damage), 0)

    def repair(self, reference: str | None = None, *, progress: Any = None) -> int:
        self.world.called("repair", reference=reference)
        shards = [damage for damage in self.world.damage if damage.path.startswith("shards/")]
        self.world.damage = [damage for damage in self.world.damage if damage not in shards]
        return len(shards)

    def ask(self, question: str, **options: Any) -> Answer:
        self.world.called("ask", question=question, **options)
        if not question.strip():
            raise EmptyQuestionError(f"The question {question!r} is empty.", remedy="Ask something.")
        for reference in options.get("documents") or ():
            self.document(reference)
        return self.world.answered(question)

    def stream(self, question: str, **options: Any) -> FakeStream:
        self.world.called("stream", question=question, **options)
        return FakeStream(self.world.answered(question))

    def tree(self, reference: str, question: str | None = None, **options: Any) -> TreeView:
        self.world.called("tree", reference=reference, question=question, **options)
        chunks = tuple(
            ChunkView(
                index=index,
                start_page=index + 1,
                end_page=index + 2,
                tokens=1024,
                section=f"{index} Section",
                score=0.25 if question else None,
                selected=bool(question) and index in (3, 40),
                nodes=nodes(index * 1024, question),
            )
            for index in range(CHUNKS)
        )
        info = document(self.document(reference).name, issues=(Issue("page-failed", "No text.", 9),))
        return TreeView(info, question, chunks)


def not_found(question: str, **changes: Any) -> Answer:
    """The answer below the relevance floor."""
    return answer(
        question,
        text=NOT_SAID,
        citations=(),
        nearest=(citation(),),
        found=False,
        relevance=0.12,
        finish_reason="not-found",
        **changes,
    )


def installed(monkeypatch: Any) -> World:
    """A world in place of the engine until the test ends."""
    from sharedllm_docs.cli import backend

    world = World()
    monkeypatch.setattr(backend, "index_class", lambda: world)
    return world


def _slow(_arguments: dict[str, Any]) -> None:
    sys.stderr.write("working\n")
    sys.stderr.flush()
    time.sleep(600)  # ended by a signal


def _program() -> None:
    """The command line over a fake index with one document; ``FAKE_SLOW`` names a method that takes a minute."""
    from sharedllm_docs.cli import backend
    from sharedllm_docs.cli.app import main

    world = World()
    backend.index_class = lambda: world  # type: ignore[assignment,return-value]
    world.put(".sharedllm-docs", document("R-intro.pdf"))
    if method := os.environ.get("FAKE_SLOW"):
        world.on[method] = _slow
    main()


if __name__ == "__main__":
    _program()
