"""Arguments of constructor and call: honoured, or refused by name."""

from __future__ import annotations

import pytest
from langchain_sharedllm import (
    ChatSharedLLM,
    UnsupportedArgumentError,
)
from pydantic import ValidationError
from tiny_models import ALWAYS

from sharedllm_docs import ConfigError, GenerationConfig, RetrievalConfig, SharedLLMError

QUESTION = "Where does the heron stand?"


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
    assert model.invoke(QUESTION, stop=second).content == said.content
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
        ({"max_new_tokens": 3, "max_tokens": 3}, "given twice"),
        ({"model": "gpt-4"}, "gpt-4"),
        ({"documents": ["a"]}, "documents is given to a model without documents"),
        ({"retrieval": ALWAYS}, "retrieval is given to a model without documents"),
        ({"where": {"a": "b"}}, "where is given to a model without documents"),
        ({"budget": 3}, "budget is given to a model without documents"),
        ({"timeout": -1}, "timeout=-1"),
        ({"timeout": True}, "timeout=True"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(plain, given, named):
    with pytest.raises((UnsupportedArgumentError, ConfigError), match=named):
        plain.invoke("Hello", **given)


@pytest.mark.parametrize("name", ["tools", "logit_bias", "n", "max_completion_tokens", "settings"])
@pytest.mark.parametrize("kind", ["chat", "plain"])
def test_an_unknown_keyword_is_the_core_s_error_with_all_known_ones(kind, name, request):
    with pytest.raises(ConfigError, match=f"Unknown setting '{name}' .known: .*max_new_tokens"):
        request.getfixturevalue(kind).invoke(QUESTION, **{name: 2})


def test_settings_of_the_model_and_of_the_call(index):
    """The core's keywords in both places; a call's config replaces the model's, its keywords change it."""
    six = GenerationConfig(max_new_tokens=6)
    own = ChatSharedLLM(index=index, generation=six, retrieval=ALWAYS, budget=64)

    def same(given, **core):
        """Whether the answer under a call's options is the core's under these."""
        said, answer = own.invoke(QUESTION, **given), index.core.ask(QUESTION, **core)
        facts = said.usage_metadata, said.response_metadata
        return said.content == answer.text and (
            facts[0]["input_token_details"]["cache_read"],
            facts[0]["output_tokens"],
            len(facts[1]["citations"]),
        ) == (answer.counts.rows, answer.counts.answer_tokens, len(answer.citations))

    defaults = {"retrieval": ALWAYS, "budget": 64, "max_new_tokens": 6}
    few = {"budget": 16, "max_citations": 1}
    whole = RetrievalConfig(relevance_floor=0, budget=32, evidence_tokens=0)
    assert same({}, **defaults)
    assert same({"max_tokens": 2, **few}, **defaults | few | {"max_new_tokens": 2})
    assert same({"max_new_tokens": 1}, **defaults | {"max_new_tokens": 1})
    assert same({"generation": GenerationConfig(max_new_tokens=2)}, **defaults | {"max_new_tokens": 2})
    assert same({"retrieval": whole}, retrieval=whole, max_new_tokens=6)
    assert same({"temperature": None, "budget": None}, **defaults)
    assert not same({}, **defaults | few)
    assert not same({}, **defaults | {"max_new_tokens": 1})


def test_arguments_about_documents_are_checked(chat):
    with pytest.raises(ConfigError, match=r"Give \['birds\.pdf'\]"):
        chat.invoke(QUESTION, documents="birds.pdf")
    with pytest.raises(ConfigError, match="not a RetrievalConfig"):
        chat.invoke(QUESTION, retrieval={"budget": 3})


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
        ({"budget": 3}, "index"),
        ({"where": {"a": {"$gt": 3}}}, "operator"),
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
