"""A LangChain retriever over an index: the best passages for a question, without generation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict, Field, PrivateAttr, SkipValidation

from langchain_sharedllm.documents import from_passage
from langchain_sharedllm.filters import Filter, where_of
from langchain_sharedllm.opening import IndexLike, open_index
from sharedllm_docs import Index, Where


class _Search(TypedDict):
    k: int
    documents: Sequence[str] | None
    where: Where | None


class SharedLLMRetriever(BaseRetriever):
    """The best passages (leaves of the context trees) for a question, best first.

    Each is a ``Document`` whose metadata has ``source``, ``page``, ``page_number``, ``page_label``, ``section``,
    ``span`` (characters of the document's text), ``score`` (0 .. 1), ``boxes`` (rectangles on its pages, a line each)
    and everything that was given when it was added.

    Raises:
        UnsupportedArgumentError: one string in place of a list of documents, or a filter that cannot be honoured.
        DocumentNotFoundError: when asked, a document is not in the index, or none fits the filter.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    index: SkipValidation[IndexLike]
    """Folder, fsspec URL, ``langchain_sharedllm.SharedLLMIndex`` or open ``Index``."""
    k: int = Field(default=5, ge=1)
    """Number of passages; this and the following settings may also be given to ``invoke``."""
    documents: list[str] | None = None
    """Ids of the documents to search; None: all."""
    filter: SkipValidation[Filter | None] = None
    """Metadata of the documents to search: ``{"year": 2024}``, ``{"year": [2023, 2024]}``, or a function of it."""

    _opened: tuple[IndexLike, Index] | None = PrivateAttr(default=None)

    def model_post_init(self, context: Any, /) -> None:
        """Open the index and check the filter."""
        super().model_post_init(context)
        where_of(self.filter)
        self.core  # noqa: B018 - opens it

    @property
    def core(self) -> Index:
        """The open index."""
        if self._opened is None or self._opened[0] != self.index:
            self._opened = (self.index, open_index(self.index))
        return self._opened[1]

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        k: int | None = None,
        documents: Sequence[str] | None = None,
        filter: Filter | None = None,
    ) -> list[Document]:
        found = self.core.search(query, **self._search(k, documents, filter))
        return [from_passage(passage) for passage in found]

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        k: int | None = None,
        documents: Sequence[str] | None = None,
        filter: Filter | None = None,
    ) -> list[Document]:
        found = await self.core.asearch(query, **self._search(k, documents, filter))
        return [from_passage(passage) for passage in found]

    def _search(self, k: int | None, documents: Sequence[str] | None, filter: Filter | None) -> _Search:
        return {
            "k": self.k if k is None else k,
            "documents": self.documents if documents is None else documents,
            "where": where_of(self.filter if filter is None else filter),
        }
