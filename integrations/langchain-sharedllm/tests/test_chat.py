"""Answers from documents and without are the core's own: text, pieces, usage, citations."""

from __future__ import annotations

import json

import pytest
from langchain_core.messages import (
    HumanMessage,
    SystemMessage,
)
from langchain_sharedllm import (
    ChatSharedLLM,
)
from tiny_models import ALWAYS, whole

from sharedllm_docs import Message

QUESTION = "Where does the heron stand?"


def test_answer_is_the_index_s_own_with_usage_and_citations(chat, index):
    said = chat.invoke(QUESTION)
    answer = index.core.ask(QUESTION, retrieval=ALWAYS, max_new_tokens=12)
    assert said.content == answer.text != ""
    assert said.usage_metadata == {
        "input_tokens": answer.counts.rows + answer.counts.question_tokens,
        "output_tokens": answer.counts.answer_tokens,
        "total_tokens": answer.counts.rows + answer.counts.question_tokens + answer.counts.answer_tokens,
        "input_token_details": {"cache_read": answer.counts.rows},
    }
    best, cited = said.response_metadata["citations"][0], answer.citations[0]
    assert (best["document"], best["page"]) == ("birds.pdf", 1) == (cited.document, cited.page)
    assert best["span"] == [cited.char_start, cited.char_end]
    assert (best["quote"], best["score"]) == (cited.quote, cited.score)
    assert said.response_metadata["finish_reason"] == answer.finish_reason
    assert said.response_metadata["model_name"] == index.core.llm.name
    assert said.response_metadata["found"] is True
    json.dumps(said.response_metadata)


def test_plain_answer_is_the_model_s_own(plain, llm):
    said = plain.invoke([SystemMessage("Be brief."), HumanMessage("Hello")])
    own = llm.chat([Message("system", "Be brief."), Message("user", "Hello")], max_new_tokens=12)
    assert said.content == own.text.strip() != ""
    assert said.usage_metadata["input_tokens"] == own.prompt_tokens
    assert said.usage_metadata["output_tokens"] == own.answer_tokens
    assert "citations" not in said.response_metadata


@pytest.mark.parametrize("kind", ["chat", "plain"])
def test_stream_gives_the_same_in_pieces(kind, request):
    model = request.getfixturevalue(kind)
    said, streamed = model.invoke(QUESTION), list(model.stream(QUESTION))
    full = whole(streamed)
    assert len([piece for piece in streamed if piece.content]) > 1
    assert full.content == said.content
    assert full.usage_metadata == said.usage_metadata
    timeless = [{k: v for k, v in m.response_metadata.items() if k != "timings"} for m in (full, said)]
    assert timeless[0] == timeless[1]


def test_an_answer_of_too_little_confidence_is_declined_and_its_draft_kept(index):
    free = ChatSharedLLM(index=index, retrieval=ALWAYS, min_confidence=0.0, max_tokens=6).invoke("Do fish melt tin?")
    sure = ChatSharedLLM(index=index, retrieval=ALWAYS, min_confidence=1.0, max_tokens=6)
    said = sure.invoke("Do fish melt tin?")
    assert said.content == "The document does not say."
    assert said.response_metadata["found"] is False
    assert said.response_metadata["draft"] == free.content != ""
    assert said.response_metadata["confidence"] == free.response_metadata["confidence"] < 1
    assert said.response_metadata["citations"] == []
    *pieces, last = sure.stream("Do fish melt tin?")
    assert "".join(piece.content for piece in pieces).strip() == free.content  # shown before it could be weighed
    assert last.response_metadata["found"] is False


def test_nothing_relevant_is_said_and_not_found(index):
    chat = ChatSharedLLM(index=index, relevance_floor=1.0)
    said = chat.invoke("Do fish melt tin?")
    assert said.content == "The document does not say."
    assert said.response_metadata["finish_reason"] == "not-found"
    assert said.response_metadata["citations"] == []
    assert said.usage_metadata["output_tokens"] == 0
