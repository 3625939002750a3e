"""A query engine whose answers come from injected keys and values; its source nodes are the injected passages."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Sequence
from dataclasses import asdict
from typing import Any, cast

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, ChatResponseAsyncGen, ChatResponseGen
from llama_index.core.base.response.schema import AsyncStreamingResponse, Response, StreamingResponse
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.callbacks.schema import CBEventType, EventPayload
from llama_index.core.schema import NodeWithScore, QueryBundle
from sharedllm_docs import Answer, ConfigError, Index

from llama_index.llms.sharedllm.base import SharedLLM
from llama_index.llms.sharedllm.nodes import cited_nodes
from llama_index.llms.sharedllm.retriever import plain_query


class SharedLLMQueryEngine(BaseQueryEngine):
    """Answers queries with a model that has an index.

    A response's ``metadata`` has the nodes' metadata by node id. Under ``"sharedllm"`` it says whether the documents
    say it, the relevance, why the answer ended, timings and counts. A streaming response has its source nodes at once
    (the first token has been computed by then), and this part of its metadata at the end.

    Args:
        llm: a model with an index.
        streaming: whether ``query`` and ``aquery`` return streaming responses.
        callback_manager: receives an event for every query; the model's own receives one for every call.

    Raises:
        ConfigError: a model without an index; when asked, a query with its own embedding or picture.
        DocumentNotFoundError: when asked, no document fits the model's choice.
    """

    def __init__(
        self, llm: SharedLLM, *, streaming: bool = False, callback_manager: CallbackManager | None = None
    ) -> None:
        super().__init__(callback_manager or llm.callback_manager)
        if llm.core_index is None:
            raise ConfigError("The model has no index to answer from.", remedy="Give SharedLLM(index_dir=...).")
        self._llm = llm
        self._index: Index = llm.core_index
        self.streaming = streaming

    @property
    def llm(self) -> SharedLLM:
        """The model."""
        return self._llm

    # -- LlamaIndex's interface -------------------------------------------------------------------------------------

    def _query(self, query_bundle: QueryBundle) -> Response | StreamingResponse:
        query = plain_query(query_bundle)
        with self.callback_manager.event(CBEventType.QUERY, payload={EventPayload.QUERY_STR: query}) as event:
            response = self.stream(query) if self.streaming else self.answer(query)
            event.on_end(payload={EventPayload.RESPONSE: response})
        return response

    async def _aquery(self, query_bundle: QueryBundle) -> Response | AsyncStreamingResponse:
        query = plain_query(query_bundle)
        with self.callback_manager.event(CBEventType.QUERY, payload={EventPayload.QUERY_STR: query}) as event:
            response = await (self.astream(query) if self.streaming else self.aanswer(query))
            event.on_end(payload={EventPayload.RESPONSE: response})
        return response

    def _get_prompt_modules(self) -> dict[str, Any]:
        """There are no prompts to change: the prompt's start is part of the index."""
        return {}

    # -- with earlier turns -----------------------------------------------------------------------------------------

    def answer(self, query: str, earlier: Sequence[ChatMessage] = ()) -> Response:
        """A whole response; ``earlier`` turns precede the query."""
        return self._whole(self._llm.chat([*earlier, ChatMessage(content=query)]))

    async def aanswer(self, query: str, earlier: Sequence[ChatMessage] = ()) -> Response:
        """``answer`` in a thread."""
        return self._whole(await self._llm.achat([*earlier, ChatMessage(content=query)]))

    def stream(self, query: str, earlier: Sequence[ChatMessage] = ()) -> StreamingResponse:
        """A response piece by piece."""
        chunks = self._llm.stream_chat([*earlier, ChatMessage(content=query)])
        first = next(chunks)
        nodes = cited_nodes(self._index, _raw(first)["citations"])
        metadata = _metadata(nodes)
        return StreamingResponse(_deltas(first, chunks, metadata), source_nodes=nodes, metadata=metadata)

    async def astream(self, query: str, earlier: Sequence[ChatMessage] = ()) -> AsyncStreamingResponse:
        """``stream`` for an event loop."""
        chunks = await self._llm.astream_chat([*earlier, ChatMessage(content=query)])
        first = await anext(chunks)
        nodes = cited_nodes(self._index, _raw(first)["citations"])
        metadata = _metadata(nodes)
        return AsyncStreamingResponse(_adeltas(first, chunks, metadata), source_nodes=nodes, metadata=metadata)

    def _whole(self, response: ChatResponse) -> Response:
        answer: Answer = _raw(response)["answer"]
        nodes = cited_nodes(self._index, answer.citations)
        return Response(answer.text, source_nodes=nodes, metadata={**_metadata(nodes), **_facts(answer)})


def _raw(response: ChatResponse) -> dict[str, Any]:
    return cast("dict[str, Any]", response.raw)


def _metadata(nodes: Sequence[NodeWithScore]) -> dict[str, Any]:
    return {node.node.node_id: node.node.metadata for node in nodes}


def _facts(answer: Answer) -> dict[str, Any]:
    facts = {
        "found": answer.found,
        "confidence": answer.confidence,
        "draft": answer.draft,
        "relevance": answer.relevance,
        "finish_reason": answer.finish_reason,
        "timings": asdict(answer.timings),
        "counts": asdict(answer.counts),
    }
    return {"sharedllm": facts}


def _deltas(first: ChatResponse, chunks: ChatResponseGen, metadata: dict[str, Any]) -> Generator[str, None, None]:
    yield first.delta or ""
    last = first
    for last in chunks:
        if last.delta:
            yield last.delta
    metadata.update(_facts(_raw(last)["answer"]))


async def _adeltas(
    first: ChatResponse, chunks: ChatResponseAsyncGen, metadata: dict[str, Any]
) -> AsyncGenerator[str, None]:
    yield first.delta or ""
    last = first
    async for last in chunks:
        if last.delta:
            yield last.delta
    metadata.update(_facts(_raw(last)["answer"]))
