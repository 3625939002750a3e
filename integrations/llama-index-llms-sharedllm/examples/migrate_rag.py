"""A plain LlamaIndex RAG script and the same with sharedllm-docs, side by side: same pages, model and embedder.

    python migrate_rag.py FILE.pdf "First question?" "Second question?" [--pages 20]

Both sides answer from an index that is made already, in one process, after one question that is not counted. The
plain side is VectorStoreIndex with SharedLLM, without documents, as its model: the very weights of the other side.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from llama_index.core import Document, VectorStoreIndex
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.embeddings import BaseEmbedding
from pypdf import PdfReader

from llama_index.llms.sharedllm import SharedLLM, SharedLLMIndex, join_pages

TOP_K = 4


@dataclass(frozen=True)
class Timed:
    """An answer and its seconds, counted from the question."""

    text: str
    first_token: float
    total: float


class SameEmbedder(BaseEmbedding):
    """The embedder of the loaded model, as LlamaIndex wants it."""

    encoder: Any

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return self.encoder.encode(texts).tolist()

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)


def load(path: Path, maximum: int | None) -> list[Document]:
    """A document for every page, as LlamaIndex's readers of PDFs give them."""
    pages = [page.extract_text() for page in PdfReader(path).pages[:maximum]]
    return [
        Document(text=text, metadata={"file_path": str(path), "page_label": str(number)})
        for number, text in enumerate(pages, start=1)
        if text.strip()
    ]


def before(documents: list[Document], llm: SharedLLM) -> BaseQueryEngine:
    """The script as it was: the retrieved text is read again for every question."""
    index = VectorStoreIndex.from_documents(documents, embed_model=SameEmbedder(encoder=llm.core_llm.embedder))
    return index.as_query_engine(llm=llm, similarity_top_k=TOP_K, streaming=True)


def after(documents: list[Document], llm: SharedLLM, folder: str) -> BaseQueryEngine:
    """The script as it becomes: read once into keys and values, which every question is answered from."""
    index = SharedLLMIndex.from_documents(join_pages(documents), persist_dir=folder, llm=llm)
    return index.as_query_engine(similarity_top_k=TOP_K, streaming=True, max_tokens=llm.max_tokens)


def timed(ask: Callable[[str], Any], question: str) -> Timed:
    """Ask, and look at the clock at the first piece and at the end."""
    begun = time.perf_counter()
    pieces, first = [], 0.0
    for piece in ask(question).response_gen:
        first = first or time.perf_counter() - begun
        pieces.append(piece)
    return Timed("".join(pieces).strip(), first, time.perf_counter() - begun)


def main() -> None:
    """Make both, ask both, print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("questions", nargs="+")
    parser.add_argument("--pages", type=int, help="only the first so many pages")
    parser.add_argument("--model", help="folder or hub name; the embedded default by default")
    arguments = parser.parse_args()

    llm = SharedLLM(model_name=arguments.model, max_tokens=48)
    documents = load(arguments.file, arguments.pages)
    with tempfile.TemporaryDirectory() as folder:
        makers = {"plain RAG": partial(before, documents, llm), "sharedllm": partial(after, documents, llm, folder)}
        engines = {}
        for name, make in makers.items():
            begun = time.perf_counter()
            engines[name] = make()
            print(f"{name}: index made in {time.perf_counter() - begun:.1f} s")
        for engine in engines.values():
            timed(engine.query, "What is this about?")  # both warm
        for question in arguments.questions:
            print(f"\n{question}")
            for name, engine in engines.items():
                made = timed(engine.query, question)
                print(f"  {name:10} first token {made.first_token:6.3f} s, total {made.total:6.3f} s: {made.text!r}")


if __name__ == "__main__":
    main()
