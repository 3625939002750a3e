"""Stock RAG: LlamaIndex's VectorStoreIndex with its defaults over the same model and embedder, persisted on disk.

Prompt, passages and the model's place in LlamaIndex are those of the evaluation's system ``rag``.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from peers.base import Asked, Peer, Work, WorkQuestion
from sharedllm_docs import Document, GenerationConfig, SharedLLM
from sharedllm_docs.evaluation.systems import llama_index
from sharedllm_docs.evaluation.systems.rag import Rag, RagSettings


class PersistedRag(Rag):
    """The evaluation's stock RAG, with its index on disk."""

    def build(self, documents: Sequence[Document], folder: Path) -> None:
        """Cut the documents, embed the passages and write the index."""
        index = self._core.VectorStoreIndex.from_documents(
            [self._core.Document(**fields) for document in documents for fields in self._page_fields(document)],
            embed_model=llama_index.embedding(self.llm),
            transformations=self._transformations(),
        )
        index.storage_context.persist(str(folder))

    def engine(self, folder: Path) -> Any:
        """A query engine over what ``build`` wrote."""
        context = self._core.StorageContext.from_defaults(persist_dir=str(folder))
        index = self._core.load_index_from_storage(context, embed_model=llama_index.embedding(self.llm))
        return index.as_query_engine(llm=llama_index.language_model(self._completer), text_qa_template=self._prompt())

    def timed(self, engine: Any, question: str) -> Asked:
        """Answer a question; the log of the model's calls tells the time of the first token."""
        log = self._completer.log
        log.clear()
        begun = time.perf_counter()
        engine.query(question)
        ended = time.perf_counter()
        decoded = self._completer.generation.max_new_tokens - 1
        return Asked(log.first_token_at - begun, ended - log.first_token_at, decoded, log.prompt_tokens)


class StockRag(Peer):
    """See the module."""

    _rag: Any = None
    _engine: Any = None

    def load(self) -> None:
        self._load()
        self._rag.llm.embedder.encode(["loaded"])

    def _load(self) -> None:
        settings = self.settings
        llm = SharedLLM.from_pretrained(
            settings.model or None,
            adapter=None,
            profile="prefix",
            embedder=settings.embedder or None,
            dtype=settings.dtype,
            device="cpu",
        )
        llm.end_ids = frozenset()  # so that all peers decode equally much
        self._rag = PersistedRag("rag", llm, GenerationConfig(max_new_tokens=settings.new_tokens), RagSettings())

    def prepare(self, work: Work) -> int:
        documents = [Document.from_text(pages=one.pages, name=one.name) for one in work.documents]
        self._rag.build(documents, self.folder / "index")
        return sum(document.tokens for document in work.documents)

    def open(self, work: Work) -> None:
        self._load()
        self._engine = self._rag.engine(self.folder / "index")

    def ask(self, question: WorkQuestion) -> Asked:
        return self._rag.timed(self._engine, question.text)  # type: ignore[no-any-return]
