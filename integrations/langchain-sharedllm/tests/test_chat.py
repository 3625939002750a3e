"""Answers from documents and without: text, streams, usage, citations, stop strings, arguments, history."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import ALWAYS
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler, UsageMetadataCallbackHandler
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    trim_messages,
)
from langchain_sharedllm import ChatSharedLLM, UnsupportedArgumentError, UnsupportedMessageError
from pydantic import ValidationError

from sharedllm_docs import ConfigError, GenerationSettings, Message, QuestionSettings, SharedLLMError

QUESTION = "Where does the heron stand?"


def whole(stream) -> AIMessageChunk:
    pieces = list(stream)
    full = pieces[0]
    for piece in pieces[1:]:
        full = full + piece
    return full


# -- the same as the core -----------------------------------------------------------------------------------------


def test_answer_is_the_index_s_own_with_usage_and_citations(chat, index):
    said = chat.invoke(QUESTION)
    answer = index.core.ask(QUESTION, settings=ALWAYS, generation=GenerationSettings(max_new_tokens=12))
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
    own = llm.chat(
        [Message("system", "Be brief."), Message("user", "Hello")], generation=GenerationSettings(max_new_tokens=12)
    )
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


def test_nothing_relevant_is_said_and_not_found(index):
    chat = ChatSharedLLM(index=index, settings=QuestionSettings(relevance_floor=1.0))
    said = chat.invoke("Do fish melt tin?")
    assert said.content == "The document does not say."
    assert said.response_metadata["finish_reason"] == "not-found"
    assert said.response_metadata["citations"] == []
    assert said.usage_metadata["output_tokens"] == 0


# -- arguments ----------------------------------------------------------------------------------------------------


def test_max_tokens_and_finish_reason(plain):
    said = plain.invoke("Hello", max_tokens=3)
    assert said.usage_metadata["output_tokens"] == 3
    assert said.response_metadata["finish_reason"] == "length"


@pytest.mark.parametrize("kind", ["chat", "plain"])
def test_stop_of_the_call_takes_the_place_of_the_model_s(kind, request, index, llm):
    model = request.getfixturevalue(kind)
    text = model.invoke(QUESTION).content
    first, second = text[2:4], text[5:7]
    stopping = model.model_copy(update={"stop": [first]})
    assert stopping.invoke(QUESTION).content == text[: text.index(first)].rstrip()
    said = stopping.invoke(QUESTION, stop=[second])
    assert said.content == text[: text.index(second)].rstrip()
    assert said.response_metadata["finish_reason"] == "stop"
    assert second not in "".join(piece.content for piece in model.stream(QUESTION, stop=[second]))


def test_sampling_follows_temperature_and_seed(plain):
    greedy = plain.invoke("Hello").content
    one = plain.invoke("Hello", temperature=2.0, seed=1).content
    assert one == plain.invoke("Hello", temperature=2.0, seed=1).content != greedy
    assert one != plain.invoke("Hello", temperature=2.0, seed=2).content
    fresh = {plain.invoke("Hello", temperature=2.0, seed=None).content for _ in range(3)}
    assert len(fresh) > 1
    assert plain.invoke("Hello", temperature=2.0, seed=1, top_k=1).content == greedy
    assert plain.invoke("Hello", temperature=2.0, seed=1, top_p=1e-6).content == greedy
    assert plain.invoke("Hello", repetition_penalty=5.0).content != greedy
    assert plain.bind(max_tokens=2).invoke("Hello").usage_metadata["output_tokens"] == 2


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"tools": []}, "tools"),
        ({"logit_bias": {}}, "logit_bias"),
        ({"max_new_tokens": 3}, "Use max_tokens"),
        ({"model": "gpt-4"}, "gpt-4"),
        ({"n": 2}, "n=2"),
        ({"documents": ["a"]}, "without documents"),
        ({"settings": ALWAYS}, "without documents"),
        ({"timeout": -1}, "timeout=-1"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(plain, given, named):
    with pytest.raises(UnsupportedArgumentError, match=named):
        plain.invoke("Hello", **given)


def test_arguments_about_documents_are_checked(chat):
    with pytest.raises(UnsupportedArgumentError, match=r"Give \['birds\.pdf'\]"):
        chat.invoke(QUESTION, documents="birds.pdf")
    with pytest.raises(UnsupportedArgumentError, match="no QuestionSettings"):
        chat.invoke(QUESTION, settings={"budget": 3})
    few = QuestionSettings(relevance_floor=0, max_citations=1, budget=16)
    assert len(chat.invoke(QUESTION, settings=few).response_metadata["citations"]) == 1


def test_values_out_of_bounds_are_the_core_s_errors(plain):
    with pytest.raises(ConfigError, match="temperature=-1"):
        plain.invoke("Hello", temperature=-1)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"temperature": -1}, "temperature=-1"),
        ({"max_tokens": 0}, "max_new_tokens=0"),
        ({"timeout": 0}, "timeout"),
        ({"max_retries": -1}, "max_retries"),
        ({"frequency_penalty": 1}, "frequency_penalty"),
        ({"documents": ["a"]}, "index"),
        ({"settings": ALWAYS}, "index"),
    ],
)
def test_a_wrong_constructor_argument_is_told_at_once(llm, given, named):
    with pytest.raises(ValidationError, match=named):
        ChatSharedLLM(llm=llm, **given)


def test_an_index_that_is_not_there_is_told_at_once(tmp_path):
    with pytest.raises(SharedLLMError, match="nothing-here"):
        ChatSharedLLM(index=tmp_path / "nothing-here")


def test_api_key_is_dropped_with_a_warning(llm):
    with pytest.warns(UserWarning, match="api_key has no effect"):
        model = ChatSharedLLM(llm=llm, api_key="secret")
    assert "secret" not in repr(model)
    assert model.api_key is None


def test_tools_and_structured_output_are_not_claimed(plain):
    with pytest.raises(NotImplementedError):
        plain.bind_tools([])
    with pytest.raises(NotImplementedError):
        plain.with_structured_output({"title": "T", "type": "object", "properties": {}})
    assert plain.profile["tool_calling"] is False


# -- history ------------------------------------------------------------------------------------------------------


def test_system_and_earlier_turns_reach_the_core_as_conversation(chat, index):
    history = [SystemMessage("Speak of birds."), HumanMessage("Hello"), AIMessage("Hello yourself")]
    said = chat.invoke([*history, HumanMessage(QUESTION)])
    answer = index.core.ask(
        QUESTION,
        settings=ALWAYS,
        generation=GenerationSettings(max_new_tokens=12),
        conversation=[
            Message("system", "Speak of birds."),
            Message("user", "Hello"),
            Message("assistant", "Hello yourself"),
        ],
    )
    assert said.content == answer.text
    assert said.usage_metadata["input_tokens"] > chat.invoke(QUESTION).usage_metadata["input_tokens"]


def test_a_history_beyond_the_window_is_refused_by_the_core(chat):
    with pytest.raises(SharedLLMError, match="window"):
        chat.invoke([HumanMessage("word " * 3000), AIMessage("yes"), HumanMessage(QUESTION)])


def test_text_blocks_and_roles_are_read(plain):
    blocks = HumanMessage([{"type": "text", "text": "Hel"}, "lo"])
    assert plain.invoke([blocks]).content == plain.invoke("Hello").content
    assert plain.invoke([ChatMessage(role="user", content="Hello")]).content == plain.invoke("Hello").content


@pytest.mark.parametrize(
    ("message", "named"),
    [
        (HumanMessage([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]), "image"),
        (ToolMessage("3", tool_call_id="1"), "tool"),
        (ChatMessage(role="critic", content="Hm"), "critic"),
        (AIMessage("", tool_calls=[{"name": "add", "args": {}, "id": "1"}]), "add"),
    ],
)
def test_what_the_model_cannot_read_is_refused_by_name(plain, message, named):
    with pytest.raises(UnsupportedMessageError, match=named):
        plain.invoke([message, HumanMessage("Hello")])


def test_a_conversation_without_a_question_at_its_end_is_refused(chat):
    with pytest.raises(UnsupportedMessageError, match="assistant"):
        chat.invoke([HumanMessage(QUESTION), AIMessage("In the river.")])
    with pytest.raises(UnsupportedMessageError, match="nothing"):
        chat.invoke([])


# -- choice of documents, sharing, LangChain's own machinery ------------------------------------------------------


def test_only_the_chosen_documents_are_searched(chat, index):
    from langchain_core.documents import Document

    index.add_documents([Document(page_content="Tin is soft. The heron is a bird.", metadata={"source": "tin.txt"})])
    here = {c["document"] for c in chat.invoke(QUESTION, documents=["tin.txt"]).response_metadata["citations"]}
    assert here == {"tin.txt"}
    bound = ChatSharedLLM(index=index, documents=["birds.pdf"], settings=ALWAYS, max_tokens=4)
    assert {c["document"] for c in bound.invoke(QUESTION).response_metadata["citations"]} == {"birds.pdf"}
    with pytest.raises(SharedLLMError, match=r"nowhere\.pdf"):
        chat.invoke(QUESTION, documents=["nowhere.pdf"])


def test_models_over_one_folder_share_one_index(index):
    folder = Path(index.core.url)
    one, two = ChatSharedLLM(index=folder), ChatSharedLLM(index=str(folder))
    assert one._core is two._core
    assert one.model_name == index.core.settings["model"]


def test_a_cached_answer_is_forgotten_when_the_documents_change(index, loaded_pages):
    chat = ChatSharedLLM(index=index, settings=ALWAYS, max_tokens=4, cache=InMemoryCache())
    first = chat.invoke(QUESTION)
    again = chat.invoke(QUESTION)
    assert again.content == first.content
    assert again.response_metadata["timings"] == first.response_metadata["timings"]
    index.add_documents(loaded_pages[:1])
    assert chat.invoke(QUESTION).response_metadata["timings"] != first.response_metadata["timings"]


def test_tokens_are_counted_by_the_model_s_own_tokenizer(plain, llm):
    assert plain.get_num_tokens("Where?") == llm.count_tokens("Where?") == 6
    long = [HumanMessage("a" * 100), HumanMessage("b" * 20)]
    kept = trim_messages(long, max_tokens=40, token_counter=plain, strategy="last")
    assert kept == long[1:]


def test_callbacks_hear_tokens_and_usage(chat):
    heard = []

    class Handler(BaseCallbackHandler):
        def on_llm_new_token(self, token, **_kwargs):
            heard.append(token)

    usage = UsageMetadataCallbackHandler()
    said = whole(chat.stream(QUESTION, config={"callbacks": [Handler(), usage]}))
    assert "".join(heard) == said.content
    assert usage.usage_metadata[chat.model_name]["output_tokens"] == said.usage_metadata["output_tokens"]


def test_fallbacks_take_over_when_an_answer_is_impossible(chat):
    other = GenericFakeChatModel(messages=iter([AIMessage("somebody else")]))
    assert chat.with_fallbacks([other]).invoke([]).content == "somebody else"


def test_batch_answers_each(chat):
    questions = [QUESTION, "What melts?"]
    assert [m.content for m in chat.batch(questions)] == [chat.invoke(q).content for q in questions]
