"""Stock RAG: LlamaIndex's VectorStoreIndex and query engine over the same model, embedder and question prompt.

``rag`` leaves every default of LlamaIndex (passages of 1,024 of its tokens with overlap 200, the best two, its
metadata in the text). ``rag-tuned`` reads as many tokens as the ``prefix`` profile injects rows, in small passages.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sharedllm_docs.config import GenerationConfig
from sharedllm_docs.documents.document import Document
from sharedllm_docs.evaluation.systems import llama_index
from sharedllm_docs.evaluation.systems.base import System, SystemAnswer
from sharedllm_docs.evaluation.systems.evidence import EvidenceFinder, Excerpt
from sharedllm_docs.evaluation.systems.recent import Recent, identity
from sharedllm_docs.model.shared_llm import SharedLLM


@dataclass(frozen=True)
class RagSettings:
    """Settings that differ from LlamaIndex's defaults; None keeps the default.

    Attributes:
        chunk_tokens: tokens per passage, counted by the model's tokenizer.
        overlap: number of tokens that neighbouring passages share.
        top_k: number of passages retrieved.
        metadata_in_text: whether page number and file name stand in the passages that the model reads.
    """

    chunk_tokens: int | None = None
    overlap: int | None = None
    top_k: int | None = None
    metadata_in_text: bool = True


TUNED = RagSettings(chunk_tokens=256, overlap=32, top_k=4, metadata_in_text=False)


class Rag(System):
    """LlamaIndex's query engine as a system.

    Args:
        name: name of the system.
        llm: the model.
        generation: settings of the answers.
        settings: settings of the passages.
        evidence_tokens: tokens of text of the nearest leaves put after the passages, as the engine does; 0 = none.
    """

    def __init__(
        self,
        name: str,
        llm: SharedLLM,
        generation: GenerationConfig,
        settings: RagSettings,
        evidence_tokens: int = 0,
    ) -> None:
        self._core = llama_index.core()
        self.name = name
        self.llm = llm
        self.settings = settings
        self.evidence_tokens = evidence_tokens
        self._finder = EvidenceFinder(llm)
        self._found = Excerpt("", ())
        self._completer = llama_index.Completer(llm, generation)
        self._engines: Recent[tuple[tuple[str, str], ...], Any] = Recent()

    def _prepare(self, documents: Sequence[Document]) -> None:
        self._engine(documents)
        if self.evidence_tokens:
            self._finder.prepare(documents)

    def answer(self, question: str, documents: Sequence[Document]) -> SystemAnswer:
        engine = self._engine(documents)
        self._completer.log.clear()
        begun = time.perf_counter()
        if self.evidence_tokens:
            self._found = self._finder.find(question, documents, self.evidence_tokens)
        response = engine.query(question)
        total = time.perf_counter() - begun
        nodes = response.source_nodes
        retrieved = (int(node.metadata["page_label"]) for node in nodes)
        pages = tuple(dict.fromkeys((*retrieved, *self._found.pages)))
        return SystemAnswer(
            text=str(response).strip(),
            pages=pages,
            first_token_seconds=self._completer.log.first_token_at - begun,
            total_seconds=total,
            prompt_tokens=self._completer.log.prompt_tokens,
            context=self._context("\n\n".join(node.get_content() for node in nodes)),
            context_pages=pages,
        )

    def _engine(self, documents: Sequence[Document]) -> Any:
        return self._engines.get(tuple(map(identity, documents)), lambda: self._query_engine(documents))

    def _query_engine(self, documents: Sequence[Document]) -> Any:
        index = self._core.VectorStoreIndex.from_documents(
            [self._core.Document(**fields) for document in documents for fields in self._page_fields(document)],
            embed_model=llama_index.embedding(self.llm),
            transformations=self._transformations(),
        )
        top_k = {} if self.settings.top_k is None else {"similarity_top_k": self.settings.top_k}
        return index.as_query_engine(
            llm=llama_index.language_model(self._completer), text_qa_template=self._prompt(), **top_k
        )

    def _page_fields(self, document: Document) -> list[dict[str, Any]]:
        """Fields of one LlamaIndex document per page, with the metadata that its PDF reader gives."""
        hidden = [] if self.settings.metadata_in_text else ["page_label", "file_name"]
        return [
            {
                "text": page.text,
                "metadata": {"page_label": str(page.number), "file_name": document.name},
                "excluded_llm_metadata_keys": hidden,
                "excluded_embed_metadata_keys": hidden,
            }
            for page in document.pages
            if page.text.strip()
        ]

    def _transformations(self) -> list[Any]:
        from llama_index.core.node_parser import SentenceSplitter

        if self.settings.chunk_tokens is None:
            return [SentenceSplitter()]
        # verbose: a page longer than the window is not a mistake, it is about to be split
        return [
            SentenceSplitter(
                chunk_size=self.settings.chunk_tokens,
                chunk_overlap=self.settings.overlap or 0,
                tokenizer=lambda text: self.llm.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"],
            )
        ]

    def _prompt(self) -> Any:
        """The question prompt of every system, with the passages where the engine has its rows."""
        template = self.llm.template
        start, before, after = (
            part.replace("{", "{{").replace("}", "}}")
            for part in (template.start, template.before_question, template.after_question)
        )
        # a function and no bound method: LlamaIndex copies its templates deeply
        context = {"context_str": lambda **fields: self._context(str(fields["context_str"]))}
        return self._core.PromptTemplate(
            f"{start}{{context_str}}{before}{{query_str}}{after}", function_mappings=context
        )

    def _context(self, passages: str) -> str:
        return "\n\n".join(part for part in (passages, self._found.text) if part)
