"""Keywords of the public calls become a query: each is typed, checked, and replaces a field of a config object."""

from __future__ import annotations

from dataclasses import fields

import pytest

from sharedllm_docs.config import (
    GenerationConfig,
    GenerationOptions,
    RetrievalConfig,
    RetrievalOptions,
    config_of,
    generation_of,
)
from sharedllm_docs.errors import ConfigError, EmptyQuestionError, QuestionError
from sharedllm_docs.retrieval.query import (
    DOCUMENT_OPTIONS,
    AskOptions,
    Query,
    ScopeOptions,
    SummaryOptions,
    ask_options,
    fits,
    with_defaults,
)


@pytest.mark.parametrize(
    ("config", "options", "whole"),
    [(RetrievalConfig, RetrievalOptions, "retrieval"), (GenerationConfig, GenerationOptions, "generation")],
)
def test_the_typed_keywords_are_the_fields_of_the_config(config, options, whole):
    assert set(options.__annotations__) == {f.name for f in fields(config)} | {whole}


def test_ask_takes_every_keyword_there_is():
    parts = (RetrievalOptions, GenerationOptions, ScopeOptions)
    wording = {"style", "instructions"}
    assert set(AskOptions.__annotations__) == wording | {name for part in parts for name in part.__annotations__}
    amounts = {"budget", "evidence_tokens", "max_citations", "grains"}
    assert set(SummaryOptions.__annotations__) == wording | amounts | set(GenerationOptions.__annotations__)


def test_keywords_replace_fields_of_a_whole_config():
    few = RetrievalConfig(budget=9, max_citations=2)
    query = Query.of(
        "Why?", {"retrieval": few, "budget": 64, "max_new_tokens": 5, "documents": ["a"]}, conversation="x"
    )
    assert query == Query(
        "Why?", RetrievalConfig(budget=64, max_citations=2), GenerationConfig(max_new_tokens=5), "x", ["a"]
    )


def test_nothing_given_is_all_defaults():
    assert Query.of("Why?", {}) == Query("Why?")
    assert Query.of("Why?", {"retrieval": None, "generation": None, "documents": None, "where": None}) == Query("Why?")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"buget": 3}, r"Unknown setting 'buget' \(known: budget, .*where\)"),
        ({"settings": RetrievalConfig()}, "Unknown setting 'settings'"),
        ({"budget": 0}, "budget=0 must be at least 1 row"),
        ({"top_p": 2}, r"top_p=2 must lie in \(0, 1\]"),
        ({"retrieval": GenerationConfig()}, "is not a RetrievalConfig"),
        ({"generation": 3}, "3 is not a GenerationConfig"),
    ],
)
def test_wrong_keywords_are_refused_by_name(options, says):
    with pytest.raises(ConfigError, match=says):
        Query.of("Why?", options)


@pytest.mark.parametrize(("question", "error"), [("", EmptyQuestionError), (" \n", EmptyQuestionError)])
def test_a_question_without_words_is_refused(question, error):
    with pytest.raises(error, match=r"The question '.*' is empty\. Ask something\."):
        Query(question)


def test_a_question_of_broken_characters_is_refused():
    with pytest.raises(QuestionError, match=r"holds '\\ud800' at 4"):
        Query("why \ud800")


def test_stop_strings_may_be_a_list():
    assert generation_of({"stop": ["a", "b"]}).stop == ("a", "b")
    assert hash(GenerationConfig(stop=["a"])) == hash(GenerationConfig(stop=("a",)))


def test_text_without_documents_takes_no_retrieval_keywords():
    with pytest.raises(ConfigError, match="Unknown setting 'budget'"):
        generation_of({"budget": 3})


def test_a_whole_config_is_not_changed():
    given = GenerationConfig(temperature=0.5)
    assert config_of(GenerationConfig, given, {"seed": 7}) == GenerationConfig(temperature=0.5, seed=7)
    assert given == GenerationConfig(temperature=0.5)


METADATA = {"year": "2024", "kind": "report"}


@pytest.mark.parametrize(
    ("where", "fit"),
    [
        ({}, True),
        ({"year": "2024"}, True),
        ({"year": "2023"}, False),
        ({"year": ["2023", "2024"], "kind": "report"}, True),
        ({"year": ()}, False),
        ({"author": "x"}, False),
        (lambda has: has["year"] > "2020", True),
        (lambda has: has.get("author") == "x", False),
    ],
)
def test_metadata_fit_a_filter(where, fit):
    assert fits(METADATA, where) is fit


@pytest.mark.parametrize("value", [2024, [2024], None])
def test_a_filter_of_other_values_is_refused(value):
    with pytest.raises(ConfigError, match=r"where\['year'\]=.* neither a string nor a collection of strings"):
        fits(METADATA, {"year": value})


def test_one_string_is_no_list_of_documents():
    with pytest.raises(ConfigError, match=r"documents='a\.pdf' is one string\. Give \['a\.pdf'\]"):
        Query.of("Why?", {"documents": "a.pdf"})


def test_settings_of_frameworks_become_keywords():
    given = {"max_tokens": 5, "stop": "x", "budget": None, "seed": None, "where": "by year"}
    assert ask_options(given, where=lambda name: {"year": name}) == {
        "max_new_tokens": 5,
        "stop": ["x"],
        "seed": None,
        "where": {"year": "by year"},
    }
    assert ask_options({"where": {"year": "2024"}}) == {"where": {"year": "2024"}}
    with pytest.raises(ConfigError, match="given twice"):
        ask_options({"max_tokens": 5, "max_new_tokens": 5})


def test_keywords_of_a_call_win_over_those_of_the_model():
    own = {"budget": 9, "generation": GenerationConfig(seed=3), "temperature": 0.5, "documents": ["a"]}
    query = Query.of("Why?", with_defaults(own, {"budget": 64, "where": {"year": "2024"}}))
    assert query == Query(
        "Why?",
        RetrievalConfig(budget=64),
        GenerationConfig(seed=3, temperature=0.5),
        documents=["a"],
        where={"year": "2024"},
    )
    whole = RetrievalConfig(max_citations=1)
    assert Query.of("Why?", with_defaults(own, {"retrieval": whole})).retrieval == whole


def test_keywords_that_need_documents_are_the_others_of_ask():
    assert set(AskOptions.__annotations__) == DOCUMENT_OPTIONS | set(GenerationOptions.__annotations__)


@pytest.mark.parametrize("question", [None, 3, b"Why?"])
def test_a_question_that_is_no_text_is_refused(question):
    with pytest.raises(QuestionError, match="is not text"):
        Query(question)


@pytest.mark.parametrize(
    ("documents", "says"), [([], r"documents=\[\] names no document"), ([3], r"documents=\[3\] holds no names")]
)
def test_documents_are_names(documents, says):
    with pytest.raises(ConfigError, match=says):
        Query.of("Why?", {"documents": documents})


def test_the_problems_of_all_settings_are_told_together():
    with pytest.raises(ConfigError) as told:
        Query.of("Why?", {"budget": -1, "temperature": -1, "top_p": 2, "max_new_tokens": 0})
    assert all(name in str(told.value) for name in ("budget=-1", "temperature=-1", "top_p=2", "max_new_tokens=0"))
