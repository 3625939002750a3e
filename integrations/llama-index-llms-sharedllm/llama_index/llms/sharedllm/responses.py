"""Answers and completions of sharedllm-docs as LlamaIndex responses, whole or piece by piece."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    MessageRole,
)
from sharedllm_docs import Answer, AsyncStream, Citation, Completion, Stream

Streamed = Stream[Answer] | Stream[Completion]


@dataclass(frozen=True)
class Said:
    """What the model has said so far; all kinds of responses are made from it.

    Attributes:
        text: so far.
        raw: for the response's ``raw``.
        extra: for its ``additional_kwargs``.
        delta: the last piece; None for a whole response.
    """

    text: str
    raw: dict[str, Any]
    extra: dict[str, Any]
    delta: str | None = None

    def chat(self) -> ChatResponse:
        """As a chat response; its message has text only, so that it can go into a history."""
        message = ChatMessage(role=MessageRole.ASSISTANT, content=self.text)
        return ChatResponse(message=message, raw=self.raw, additional_kwargs=self.extra, delta=self.delta)

    def completion(self) -> CompletionResponse:
        """As a completion response."""
        return CompletionResponse(text=self.text, raw=self.raw, additional_kwargs=self.extra, delta=self.delta)


def said(result: Answer | Completion, delta: str | None = None) -> Said:
    """A whole answer or completion, with the counts of tokens that were fed and generated."""
    if isinstance(result, Answer):
        used = {"prompt_tokens": result.counts.question_tokens, "completion_tokens": result.counts.answer_tokens}
        raw: dict[str, Any] = {"answer": result, "citations": result.citations}
        extra = {
            "citations": _dicts(result.citations),
            "nearest": _dicts(result.nearest),
            "found": result.found,
            "confidence": result.confidence,
            "draft": result.draft,
            "relevance": result.relevance,
            "injected_rows": result.counts.rows,
            "first_token_seconds": result.timings.first_token,
            "total_seconds": result.timings.total,
        }
    else:
        used = {"prompt_tokens": result.prompt_tokens, "completion_tokens": result.answer_tokens}
        raw = {"completion": result}
        extra = {"first_token_seconds": result.first_token_seconds, "total_seconds": result.total_seconds}
    used["total_tokens"] = used["prompt_tokens"] + used["completion_tokens"]
    extra |= {"finish_reason": result.finish_reason, **used}
    return Said(result.text, {**raw, "usage": used}, extra, delta)


def pieces_of(stream: Streamed) -> Iterator[Said]:
    """Every piece as it comes; then the whole result, with its counts and citations and an empty piece."""
    sources = stream.sources
    so_far = _SoFar()
    for piece in stream:
        yield from so_far.add(piece, sources)
    yield said(stream.result, "")


async def apieces_of(stream: Streamed) -> AsyncIterator[Said]:
    """``pieces_of``, computed in a thread."""
    sources = stream.sources
    so_far = _SoFar()
    waited: AsyncStream[Any] = AsyncStream(lambda: stream)
    async for piece in waited:
        for made in so_far.add(piece, sources):
            yield made
    yield said(waited.result, "")


def chat_pieces(stream: Streamed) -> ChatResponseGen:
    """Chat responses of a stream."""
    for made in pieces_of(stream):
        yield made.chat()


def completion_pieces(stream: Streamed) -> CompletionResponseGen:
    """Completion responses of a stream."""
    for made in pieces_of(stream):
        yield made.completion()


async def achat_pieces(stream: Streamed) -> ChatResponseAsyncGen:
    """``chat_pieces`` for an event loop."""
    async for made in apieces_of(stream):
        yield made.chat()


async def acompletion_pieces(stream: Streamed) -> CompletionResponseAsyncGen:
    """``completion_pieces`` for an event loop."""
    async for made in apieces_of(stream):
        yield made.completion()


class _SoFar:
    """The text so far. White space before the first word is left out of an answer from documents."""

    def __init__(self) -> None:
        self.text = ""

    def add(self, piece: str, sources: tuple[Citation, ...] | None) -> Iterator[Said]:
        delta = piece if self.text or sources is None else piece.lstrip()
        if not delta:
            return
        self.text += delta
        known = {} if sources is None else {"citations": sources}
        extra = {} if sources is None else {"citations": _dicts(sources)}
        yield Said(self.text, known, extra, delta)


def _dicts(citations: tuple[Citation, ...]) -> list[dict[str, Any]]:
    return [asdict(citation) for citation in citations]
