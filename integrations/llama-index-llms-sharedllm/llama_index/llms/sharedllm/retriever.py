"""A retriever over the leaves of an index; it generates nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.schema import NodeWithScore, QueryBundle
from sharedllm_docs import ConfigError, Index, Where

from llama_index.llms.sharedllm.filters import Filters, where_of
from llama_index.llms.sharedllm.nodes import to_node
from llama_index.llms.sharedllm.options import several


class _Scope(TypedDict):
    documents: Sequence[str] | None
    where: Where | None


class SharedLLMRetriever(BaseRetriever):
    """The passages nearest to a query, by dense similarity and BM25.

    Args:
        index: of sharedllm-docs.
        similarity_top_k: maximum number of passages.
        ref_doc_ids: documents to search; None searches all.
        filters: metadata that they must have: ``MetadataFilters``, a mapping of values, or a function.
        callback_manager: receives an event for every retrieval.

    Raises:
        ConfigError: a filter that cannot be honoured; when asked, ``similarity_top_k`` below 1, or a query with its
            own embedding or picture.
        DocumentNotFoundError: when asked, no document fits the filters.
    """

    def __init__(
        self,
        index: Index,
        *,
        similarity_top_k: int = 5,
        ref_doc_ids: Sequence[str] | None = None,
        filters: Filters | None = None,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        super().__init__(callback_manager=callback_manager)
        self._index = index
        self._scope: _Scope = {"documents": several(ref_doc_ids), "where": where_of(filters)}
        self.similarity_top_k = similarity_top_k

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        query = plain_query(query_bundle)
        found = self._index.search(query, k=self.similarity_top_k, **self._scope)
        return [to_node(passage) for passage in found]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        query = plain_query(query_bundle)
        found = await self._index.asearch(query, k=self.similarity_top_k, **self._scope)
        return [to_node(passage) for passage in found]


def plain_query(query: QueryBundle) -> str:
    """The words of a query.

    Raises:
        ConfigError: it has texts, a vector or a picture in place of its words.
    """
    asked = {
        "custom_embedding_strs": query.custom_embedding_strs is not None,
        "embedding": query.embedding is not None,
        "image_path": query.image_path is not None,
    }
    for name, given in asked.items():
        if given:
            raise ConfigError(
                f"The query has {name}, which cannot be honoured: passages are chosen by its words.",
                remedy="Give query_str alone.",
            )
    return query.query_str
