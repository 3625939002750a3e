"""Response objects of the OpenAI-style API; sources are given beside the text, never inside it."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from sharedllm_docs.model.completion import Completion
from sharedllm_docs.retrieval.answer import Answer, Citation
from sharedllm_docs.serving.http.links import citation_record, citation_url

Kind = Literal["chat", "text"]


@dataclass(frozen=True)
class Reply:
    """What is the same in all objects of one response.

    Attributes:
        kind: of a chat, or a plain text.
        model: as the request names it.
        index: name of the index; "" for the model without documents.
        base: address of the server, for links to documents.
        fingerprint: changes when what answers changes.
    """

    kind: Kind
    model: str
    index: str
    base: str
    fingerprint: str
    id: str = field(default_factory=lambda: secrets.token_hex(12))
    created: int = field(default_factory=lambda: int(time.time()))

    # -- whole answers ------------------------------------------------------------------------------------------------

    def whole(self, results: Sequence[Answer | Completion]) -> dict[str, Any]:
        """The response with a choice for each result."""
        made = self._object("chat.completion" if self.kind == "chat" else "text_completion")
        made["choices"] = [self._choice(position, result) for position, result in enumerate(results)]
        made["usage"] = total_usage(results)
        return made | self.sources(results)

    def _choice(self, position: int, result: Answer | Completion) -> dict[str, Any]:
        ended = {"index": position, "finish_reason": finish_reason(result), "logprobs": None}
        if self.kind == "text":
            return {**ended, "text": result.text}
        message = {"role": "assistant", "content": result.text, "refusal": None}
        return {**ended, "message": {**message, "annotations": self.annotations(result)}}

    # -- streams ------------------------------------------------------------------------------------------------------

    def piece(self, text: str, *, first: bool = False) -> dict[str, Any]:
        """A chunk with a piece of the text; the first of a chat names the role."""
        if self.kind == "text":
            return self._chunk({"text": text}, None)
        return self._chunk({"delta": {**({"role": "assistant"} if first else {}), "content": text}}, None)

    def end(self, result: Answer | Completion) -> dict[str, Any]:
        """The chunk that ends the choice, with the sources."""
        annotations = self.annotations(result)
        ended = {"text": ""} if self.kind == "text" else {"delta": {"annotations": annotations} if annotations else {}}
        return self._chunk(ended, finish_reason(result)) | self.sources([result])

    def usage(self, result: Answer | Completion) -> dict[str, Any]:
        """The last chunk, where usage was asked for."""
        made = self._object("chat.completion.chunk" if self.kind == "chat" else "text_completion")
        return {**made, "choices": [], "usage": total_usage([result])} | self.sources([result])

    def _chunk(self, said: dict[str, Any], finish: str | None) -> dict[str, Any]:
        made = self._object("chat.completion.chunk" if self.kind == "chat" else "text_completion")
        return {**made, "choices": [{"index": 0, **said, "finish_reason": finish, "logprobs": None}]}

    # -- parts --------------------------------------------------------------------------------------------------------

    def _object(self, name: str) -> dict[str, Any]:
        prefix = "chatcmpl" if self.kind == "chat" else "cmpl"
        return {
            "id": f"{prefix}-{self.id}",
            "object": name,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
        }

    def sources(self, results: Sequence[Answer | Completion]) -> dict[str, Any]:
        """``citations`` of the first result, and ``sharedllm`` with the rest of what is known of each."""
        answers = [result for result in results if isinstance(result, Answer)]
        if not answers:
            return {}
        details = [self._details(answer) for answer in answers]
        made = {"citations": self._records(answers[0], answers[0].citations), "sharedllm": details[0]}
        if len(answers) > 1:
            for answer, one in zip(answers, details, strict=True):
                one["citations"] = self._records(answer, answer.citations)
            made["sharedllm"] = {"choices": details}
        return made

    def _details(self, answer: Answer) -> dict[str, Any]:
        return {
            "text": answer.text,
            "found": answer.found,
            "confidence": answer.confidence,
            "relevance": answer.relevance,
            "nearest": self._records(answer, answer.nearest),
            "draft": answer.draft,
            "documents": answer.documents,
            "alike": answer.alike,
            "timings": asdict(answer.timings),
            "counts": asdict(answer.counts),
        }

    def _records(self, answer: Answer, citations: Sequence[Citation]) -> list[dict[str, Any]]:
        return [citation_record(one, self._url(answer, one)) for one in citations]

    def _url(self, answer: Answer, citation: Citation) -> str:
        return citation_url(self.base, self.index, answer.question, answer.text, citation)

    def annotations(self, result: Answer | Completion) -> list[dict[str, Any]]:
        """The sources as url citations: at the mark that names each, or else of the whole text."""
        if not isinstance(result, Answer):
            return []
        marks: dict[int, list[tuple[int, int]]] = {}
        for start, end, number in result.marks:
            marks.setdefault(number, []).append((start, end))
        made = []
        for number, citation in enumerate(result.citations, start=1):
            url, title = self._url(result, citation), f"{citation.document}, {citation.place}"
            for start, end in marks.get(number, [(0, len(result.text))] if not marks else []):
                place = {"start_index": start, "end_index": end, "title": title, "url": url}
                made.append({"type": "url_citation", "url_citation": place})
        return made


def finish_reason(result: Answer | Completion) -> str:
    """``stop`` or ``length``; that the documents do not say is an end like any other."""
    return "length" if result.finish_reason == "length" else "stop"


def total_usage(results: Sequence[Answer | Completion]) -> dict[str, Any]:
    """Tokens of all results: injected rows count as prompt tokens that were cached."""
    rows = sum(result.counts.rows for result in results if isinstance(result, Answer))
    prompt = rows + sum(_prompt_tokens(result) for result in results)
    written = sum(_answer_tokens(result) for result in results)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "total_tokens": prompt + written,
        "prompt_tokens_details": {"cached_tokens": rows},
    }


def _prompt_tokens(result: Answer | Completion) -> int:
    return result.counts.question_tokens if isinstance(result, Answer) else result.prompt_tokens


def _answer_tokens(result: Answer | Completion) -> int:
    return result.counts.answer_tokens if isinstance(result, Answer) else result.answer_tokens


def afterword(result: Answer | Completion) -> str:
    """The text that is added to a stream if the answer is declined after words were sent."""
    if not isinstance(result, Answer) or not result.draft:
        return ""
    return f"\n\n{result.text} (The words above are not borne out by the text: confidence {result.confidence:.2f}.)"


def event(value: dict[str, Any]) -> dict[str, str]:
    """An event of a stream."""
    return {"data": json.dumps(value, ensure_ascii=False)}
