"""This project as a peer: documents in an index, questions through the public API. Subclasses choose the profile."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from peers.base import Asked, Peer, Work, WorkQuestion


class InjectedPeer(Peer):
    """See the module."""

    _index: Any = None
    budget: int | None = None
    """Maximum number of rows injected; None: the default of the profile or adapter."""

    @property
    def stored(self) -> Path:
        return self.folder / "index"

    def model_options(self) -> dict[str, Any]:
        """Arguments of ``SharedLLM.from_pretrained`` besides the model."""
        raise NotImplementedError

    def load(self) -> None:
        from sharedllm_docs import Index, SharedLLM

        llm = SharedLLM.from_pretrained(
            self.settings.model or None,
            embedder=self.settings.embedder or None,
            dtype=self.settings.dtype,
            device="cpu",
            **self.model_options(),
        )
        llm.embedder.encode(["loaded"])
        self._index = Index.open_or_create(self.stored, llm)

    def prepare(self, work: Work) -> int:
        from sharedllm_docs import Document

        new = 0
        for document in work.documents:
            added = self._index.add(Document.from_text(pages=document.pages, name=document.name))
            new += added.document.tokens if added.new else 0
        return new

    def open(self, work: Work) -> None:
        from sharedllm_docs import Index

        self._index = Index.open(self.stored, device="cpu")

    def ask(self, question: WorkQuestion) -> Asked:
        from sharedllm_docs import GenerationConfig, RetrievalConfig

        self._index.llm.end_ids = frozenset()  # so that all peers decode equally much
        settings = RetrievalConfig(budget=self.budget, relevance_floor=0.0)
        begun = time.perf_counter()
        answer = self._index.ask(
            question.text,
            retrieval=settings,
            generation=GenerationConfig(max_new_tokens=self.settings.new_tokens),
        )
        waited = time.perf_counter() - begun - answer.timings.total  # opening the index's vectors, the first time
        decode = answer.timings.total - answer.timings.first_token
        return Asked(waited + answer.timings.first_token, decode, answer.counts.answer_tokens - 1, answer.counts.rows)
