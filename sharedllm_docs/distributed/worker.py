"""What one Ray worker does: a pool of them, each with the model in memory, takes files and ranges of chunks.

Knows nothing of Ray: it is a class that is called with work and returns rows.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sharedllm_docs.documents.readers.options import ReadOptions
from sharedllm_docs.errors import SharedLLMError
from sharedllm_docs.index.index import Index
from sharedllm_docs.index.ingest import Source
from sharedllm_docs.index.units import EncodedChunks, Work, encode_chunks, known_or_work
from sharedllm_docs.store.records import DocumentRecord


@dataclass(frozen=True)
class Task:
    """A file, or some chunks of a large one, or a large one whose chunks are encoded.

    Attributes:
        number: of the file, in the order given.
        source: path, URL or ``Document``.
        name: display name; None for the file's.
        chunks: first and one past the last; None for the whole file.
        encoded: what other workers have done: then it is only committed.
    """

    number: int
    source: Source
    name: str | None = None
    chunks: tuple[int, int] | None = None
    encoded: tuple[EncodedChunks, ...] = ()


@dataclass(frozen=True)
class Batch:
    """Tasks that one worker does one after the other; one value of a row of Ray Data, which would take a list apart."""

    tasks: tuple[Task, ...]


@dataclass(frozen=True)
class Settings:
    """What every worker is given.

    Attributes:
        url: of the index.
        storage_options: of its file system.
        model_options: arguments of ``SharedLLM.from_pretrained`` in place of the recorded ones.
        options: how files are read.
        metadata: kept with every document.
        keep_source: whether files are kept in the index.
        split_chunks: a document of more chunks is divided among workers; 0 for never.
        timeout: seconds to wait for others that commit.
        threads: of torch, in a worker; 0 leaves them.
        salt: of the tenant that the index belongs to; None without one.
    """

    url: str
    storage_options: Mapping[str, Any] = field(default_factory=dict)
    model_options: Mapping[str, Any] = field(default_factory=dict)
    options: ReadOptions = field(default_factory=ReadOptions)
    metadata: Mapping[str, str] = field(default_factory=dict)
    keep_source: bool | None = None
    split_chunks: int = 64
    timeout: float = 600.0
    threads: int = 1
    salt: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Outcome:
    """What became of a task.

    Attributes:
        number: of the file.
        status: ``done``, ``known``, ``failed``; ``split`` for a document to be divided, ``part`` for a range of it.
        name: the document's name in the index.
        key: its content address.
        chunks: number of its chunks.
        tokens: number of tokens that were encoded.
        seconds: time that it took in this worker.
        reason: why it failed.
        encoded: of a ``part``.
        part: the first chunk of the task, if it was a range; else -1.
    """

    number: int
    status: str
    name: str = ""
    key: str = ""
    chunks: int = 0
    tokens: int = 0
    seconds: float = 0.0
    reason: str = ""
    encoded: EncodedChunks | None = None
    part: int = -1


class Worker:
    """Holds an open index with its model; called with rows of tasks, as Ray Data does.

    Args:
        settings: of the ingestion.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        if self.settings.threads:
            import torch

            torch.set_num_threads(self.settings.threads)
        given = self.settings
        self.index = Index.open(
            given.url, storage_options=given.storage_options or None, salt=given.salt, **given.model_options
        )

    def __call__(self, rows: Mapping[str, Any]) -> dict[str, list[Outcome]]:
        return {"outcomes": [self.outcome(task) for batch in rows["batch"] for task in batch.tasks]}

    def outcome(self, task: Task) -> Outcome:
        """Do a task; an error of the file is an outcome, so that it stops no other file."""
        begun, part = time.perf_counter(), -1 if task.chunks is None else task.chunks[0]
        try:
            return replace(self._do(task, begun), part=part)
        except SharedLLMError as error:
            reason = str(error)
        except Exception as error:  # a fault of a library on one file is no reason to give up ten thousand others
            reason = f"{type(error).__name__}: {error}"
        return Outcome(task.number, "failed", task.name or "", seconds=_since(begun), reason=reason, part=part)

    def _do(self, task: Task, begun: float) -> Outcome:
        given = self.settings
        if task.chunks is not None:
            part = encode_chunks(task.source, self.index, task.chunks, name=task.name, options=given.options)
            return Outcome(task.number, "part", tokens=part.tokens, seconds=_since(begun), encoded=part)
        with known_or_work(
            task.source,
            self.index,
            name=task.name,
            metadata=given.metadata,
            keep_source=given.keep_source,
            options=given.options,
        ) as found:
            if isinstance(found, DocumentRecord):
                return Outcome(task.number, "known", found.name, found.key, len(found.chunks), seconds=_since(begun))
            if 0 < given.split_chunks < found.chunks and not task.encoded:
                return Outcome(task.number, "split", found.document.name, chunks=found.chunks, seconds=_since(begun))
            return self._whole(task, found, begun)

    def _whole(self, task: Task, work: Work, begun: float) -> Outcome:
        encoded = task.encoded or (work.encode(),)
        tokens = 0 if task.encoded else encoded[0].tokens
        known = work.known()
        if known is not None:  # a copy of it came first, and gave it its name
            return Outcome(task.number, "known", known.name, known.key, len(known.chunks), tokens, _since(begun))
        added = work.commit(encoded, metadata=self.settings.metadata, timeout=self.settings.timeout)
        info = added.document
        status = "done" if added.new else "known"
        return Outcome(task.number, status, info.name, info.key, info.chunks, tokens, _since(begun))


def _since(begun: float) -> float:
    return time.perf_counter() - begun
