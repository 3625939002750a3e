"""A LangChain retriever over an index: the best passages for a question, without generation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict, Field, PrivateAttr, SkipValidation

from langchain_sharedllm.arguments import chosen
from langchain_sharedllm.documents import from_passage
from langchain_sharedllm.opening import IndexLike, open_index
from sharedllm_docs import Index


class SharedLLMRetriever(BaseRetriever):
    """The best passages (leaves of the context trees) for a question, best first.

    Each comes as a ``Document`` whose metadata has ``source``, ``page``, ``page_number``, ``page_label``, ``section``,
    ``span`` (characters of the document's text), ``score`` (0 .. 1) and all that was given when it was added.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    index: SkipValidation[IndexLike]
    """Folder, fsspec URL, ``langchain_sharedllm.SharedLLMIndex`` or open ``Index``."""
    k: int = Field(default=5, ge=1)
    """Passages returned; ``invoke(question, k=...)`` for one call."""
    documents: list[str] | None = None
    """Ids to search; None searches all."""

    _opened: tuple[IndexLike, Index] | None = PrivateAttr(default=None)

    def model_post_init(self, context: Any, /) -> None:
        """Open the index; an index that is not there is told at once."""
        super().model_post_init(context)
        self.core  # noqa: B018 - opens it

    @property
    def core(self) -> Index:
        """The index that ``index`` names, kept open."""
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
    ) -> list[Document]:
        found = self.core.search(query, k=self._most(k), documents=self._chosen(documents))
        return [from_passage(passage) for passage in found]

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        k: int | None = None,
        documents: Sequence[str] | None = None,
    ) -> list[Document]:
        found = await self.core.asearch(query, k=self._most(k), documents=self._chosen(documents))
        return [from_passage(passage) for passage in found]

    def _most(self, k: int | None) -> int:
        return self.k if k is None else k

    def _chosen(self, documents: Sequence[str] | None) -> Sequence[str] | None:
        return chosen(self.documents if documents is None else documents)
