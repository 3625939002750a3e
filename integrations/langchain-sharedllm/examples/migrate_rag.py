"""A plain LangChain RAG script and the same with sharedllm-docs, side by side over the same pages, model and embedder.

    python migrate_rag.py report.pdf "What was decided?" "Who pays?"

`before` splits the pages, puts them in an InMemoryVectorStore and has the model read what was found as text, every
time. `after` reads the pages once and injects their stored keys and values.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from typing import Any

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_sharedllm import ChatSharedLLM, SharedLLMIndex
from langchain_text_splitters import RecursiveCharacterTextSplitter
from pypdf import PdfReader

from sharedllm_docs import SharedLLM

PROMPT = ChatPromptTemplate.from_template(
    "Read the text and answer the question with a short phrase from the text.\n\n"
    "Text: {context}\n\nQuestion: {question}\nAnswer:"
)
Chain = Runnable[str, str]


class SameEmbedder(Embeddings):
    """The embedder of sharedllm-docs as LangChain wants one."""

    def __init__(self, llm: SharedLLM) -> None:
        self._embedder = llm.embedder

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [[float(value) for value in vector] for vector in self._embedder.encode(texts)]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


def before(pages: list[Document], llm: SharedLLM, max_tokens: int) -> Chain:
    """What the script did until now: about as much text a question as the other side injects rows."""
    splitter = RecursiveCharacterTextSplitter(chunk_size=500, chunk_overlap=50)
    store = InMemoryVectorStore(SameEmbedder(llm))
    store.add_documents(splitter.split_documents(pages))
    retriever = store.as_retriever(search_kwargs={"k": 4})
    model = ChatSharedLLM(llm=llm, max_tokens=max_tokens)  # the same base model, reading plain text
    return {"context": retriever | _joined, "question": RunnablePassthrough()} | PROMPT | model | StrOutputParser()


def after(pages: list[Document], llm: SharedLLM, max_tokens: int) -> Chain:
    """The same with sharedllm-docs: no splitter, no vector store, no prompt; citations come with the message."""
    index = SharedLLMIndex.from_documents(pages, tempfile.mkdtemp() + "/index", llm=llm)
    return index.as_chat_model(max_tokens=max_tokens) | StrOutputParser()


def _joined(documents: list[Document]) -> str:
    return "\n\n".join(document.page_content for document in documents)


def load(pdf: str, maximum: int) -> list[Document]:
    """A document a page, as LangChain's PDF loaders give them."""
    pages = PdfReader(pdf).pages[:maximum]
    return [
        Document(page_content=page.extract_text(), metadata={"source": pdf, "page": number})
        for number, page in enumerate(pages)
    ]


def ask(chain: Chain, question: str) -> dict[str, Any]:
    """Seconds to the first piece of text, seconds in all, and the text."""
    begun, first, pieces = time.perf_counter(), 0.0, []
    for piece in chain.stream(question):
        if piece and not pieces:
            first = time.perf_counter() - begun
        pieces += [piece] if piece else []
    return {"first": first, "total": time.perf_counter() - begun, "answer": "".join(pieces)}


def compare(pdf: str, questions: list[str], *, pages: int, max_tokens: int, llm: SharedLLM) -> list[dict[str, Any]]:
    """Ask both sides every question; one row each."""
    loaded, rows = load(pdf, pages), []
    makers: dict[str, Callable[..., Chain]] = {"before": before, "after": after}
    for name, make in makers.items():
        begun = time.perf_counter()
        chain = make(loaded, llm, max_tokens)
        print(f"{name}: {len(loaded)} pages ready after {time.perf_counter() - begun:.1f} s")
        ask(chain, questions[0])  # both sides warm: the first question loads what later ones find
        rows += [{"side": name, "question": question, **ask(chain, question)} for question in questions]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pdf")
    parser.add_argument("questions", nargs="+", metavar="question")
    parser.add_argument("--pages", type=int, default=30, help="read this many (default: 30)")
    parser.add_argument("--max-tokens", type=int, default=32)
    given = parser.parse_args()
    llm = SharedLLM.from_pretrained()
    rows = compare(given.pdf, given.questions, pages=given.pages, max_tokens=given.max_tokens, llm=llm)
    for row in sorted(rows, key=lambda row: given.questions.index(row["question"])):
        print(f"\n{row['question']}\n  {row['side']:6}  first token {row['first']:.3f} s, all {row['total']:.3f} s")
        print(f"          {row['answer']!r}")


if __name__ == "__main__":
    main()
