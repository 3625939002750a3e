"""The core's answers as the last chunk of a LangChain stream: usage and response metadata."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessageChunk
from langchain_core.messages.ai import InputTokenDetails, UsageMetadata

if TYPE_CHECKING:
    from langchain_core.outputs import ChatResult

    from sharedllm_docs import Answer, Citation, Completion

NOT_SAID = "The document does not say."


def of_answer(answer: Answer) -> AIMessageChunk:
    """Usage, citations and timings of an answer from documents.

    Injected rows count as input tokens that were read from a cache, which they are.
    """
    rows, fed, said = answer.counts.rows, answer.counts.question_tokens, answer.counts.answer_tokens
    usage = UsageMetadata(
        input_tokens=rows + fed,
        output_tokens=said,
        total_tokens=rows + fed + said,
        input_token_details=InputTokenDetails(cache_read=rows),
    )
    return _last(
        usage,
        finish_reason=answer.finish_reason,
        found=answer.found,
        confidence=answer.confidence,
        draft=answer.draft,
        relevance=answer.relevance,
        citations=[citation_dict(citation) for citation in answer.citations],
        nearest=[citation_dict(citation) for citation in answer.nearest],
        timings=asdict(answer.timings),
    )


def of_completion(completion: Completion) -> AIMessageChunk:
    """Usage and timings of plain generation."""
    fed, said = completion.prompt_tokens, completion.answer_tokens
    return _last(
        UsageMetadata(input_tokens=fed, output_tokens=said, total_tokens=fed + said),
        finish_reason=completion.finish_reason,
        timings={"first_token": completion.first_token_seconds, "total": completion.total_seconds},
    )


def settled(result: ChatResult) -> ChatResult:
    """A whole result put together from pieces, with the answer in place of a draft that was declined afterwards."""
    for generation in result.generations:
        if generation.message.response_metadata.get("draft"):
            generation.message.content = generation.text = NOT_SAID
    return result


def citation_dict(citation: Citation) -> dict[str, Any]:
    """A citation, JSON-ready: document, page, span (characters of the document's text), quote, score, boxes."""
    return {
        "document": citation.document,
        "document_key": citation.document_key,
        "page": citation.page,
        "page_label": citation.page_label,
        "span": [citation.char_start, citation.char_end],
        "section": citation.section,
        "quote": citation.quote,
        "score": citation.score,
        "boxes": [asdict(box) for box in citation.boxes],
    }


def _last(usage: UsageMetadata, **metadata: Any) -> AIMessageChunk:
    return AIMessageChunk(content="", chunk_position="last", usage_metadata=usage, response_metadata=metadata)
