"""The text of the leaves nearest to a question, found as the engine finds it, but without encoding any rows.

So systems that inject nothing can be given the same evidence text as those that do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from sharedllm_docs.documents.chunks import split_into_chunks
from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.tokens import tokenize
from sharedllm_docs.evaluation.systems.recent import Recent, identity
from sharedllm_docs.model.shared_llm import SharedLLM
from sharedllm_docs.retrieval.candidates import passage
from sharedllm_docs.retrieval.evidence import evidence_text, quoted
from sharedllm_docs.retrieval.prepared import EMBEDDINGS, PreparedDocument
from sharedllm_docs.retrieval.query import Query
from sharedllm_docs.retrieval.searcher import Searcher, Selection


@dataclass(frozen=True)
class Excerpt:
    """Verbatim text and the pages that its pieces touch."""

    text: str
    pages: tuple[int, ...]


def excerpt(selection: Selection, question: str, tokens: int) -> Excerpt:
    """The text that the engine would quote from the selected nodes, and its pages."""
    quotes = quoted(selection, question, tokens)
    pages: list[int] = []
    for one in quotes:
        document = selection.documents[one.document].document
        touched = [document.page_at(char).number for char in (one.char_start, max(one.char_start, one.char_end - 1))]
        pages.extend(range(touched[0], touched[1] + 1))
    return Excerpt(evidence_text(selection, quotes), tuple(dict.fromkeys(pages)))


def seen(selection: Selection) -> Excerpt:
    """The text of the selected nodes as it is injected: in document order, neighbouring nodes joined."""
    spans: list[tuple[int, int, int]] = []
    for node in selection.nodes:
        start, end = selection.documents[node.document].chars(node.chunk, node.node)
        if spans and spans[-1][0] == node.document and start <= spans[-1][2] + 1:
            spans[-1] = (node.document, spans[-1][1], max(end, spans[-1][2]))
        else:
            spans.append((node.document, start, end))
    pieces: list[str] = []
    pages: list[int] = []
    for number, start, end in spans:
        document = selection.documents[number].document
        pieces.append(document.text[start:end])
        first, last = (document.page_at(char).number for char in (start, max(start, end - 1)))
        pages.extend(range(first, last + 1))
    return Excerpt("\n\n".join(pieces), tuple(dict.fromkeys(pages)))


class EvidenceFinder:
    """Finds evidence in documents; keeps the vectors of the documents used last."""

    def __init__(self, llm: SharedLLM) -> None:
        self._llm = llm
        self._prepared: Recent[tuple[str, str], PreparedDocument] = Recent()

    def prepare(self, documents: Sequence[Document]) -> list[PreparedDocument]:
        """Tokens, trees and leaf vectors of the documents."""
        return [self._prepared.get(identity(document), partial(self._prepare, document)) for document in documents]

    def find(self, question: str, documents: Sequence[Document], tokens: int) -> Excerpt:
        """The ``tokens`` tokens of text nearest to the question."""
        searcher = Searcher(self.prepare(documents), self._llm.profile)
        vector = self._llm.embedder.encode([question])[0]
        leaf = self._llm.profile.chunk_tokens >> self._llm.profile.depth
        # whole leaves are chosen: room for one more than asked, the last is cut
        return excerpt(searcher.select(Query(question), vector, tokens + leaf), question, tokens)

    def _prepare(self, document: Document) -> PreparedDocument:
        profile = self._llm.profile
        tokens = tokenize(document, self._llm.tokenizer)
        chunks = split_into_chunks(len(tokens), profile.chunk_tokens)
        bare = PreparedDocument("", document, tokens, chunks, profile)
        passages = [passage(text, leaf.title) for text, leaf in zip(bare.leaf_texts, bare.leaves, strict=True)]
        vectors = {EMBEDDINGS: self._llm.embedder.encode(passages)}
        return PreparedDocument("", document, tokens, chunks, profile, vectors)
