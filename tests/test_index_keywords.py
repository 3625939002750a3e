"""Keywords of opening and adding: names are checked at once, reading options may be given one by one."""

from __future__ import annotations

import inspect
from dataclasses import fields

import pytest

from sharedllm_docs import Index, ReadOptions, SharedLLM
from sharedllm_docs.config import ModelOptions
from sharedllm_docs.documents.readers.options import ReadKeywords
from sharedllm_docs.errors import ConfigError
from tests.tiny_text import tiny_llm

TEXT = "One page.\fTwo pages.\fThree pages."


@pytest.fixture
def index(tmp_path):
    return Index.create(tmp_path / "index", tiny_llm())


@pytest.mark.parametrize("opening", [Index.open, Index.create, Index.open_or_create])
def test_a_name_is_no_loaded_model(index, tmp_path, opening):
    for url in (index.url, tmp_path / "new"):
        with pytest.raises(ConfigError, match=r"llm='some-model' is a name, not a SharedLLM\. Give name_or_path="):
            opening(url, "some-model")


@pytest.mark.parametrize("opening", [Index.open, Index.open_or_create])
def test_unknown_options_of_the_model_are_told_before_it_is_needed(index, tmp_path, opening):
    for url in (index.url, tmp_path / "new"):
        with pytest.raises(ConfigError, match=r"Unknown setting 'budget' \(known: adapter, .*step_weights\)"):
            opening(url, budget=3)


def test_the_typed_options_are_those_of_the_model():
    assert set(ModelOptions.__annotations__) == set(inspect.signature(SharedLLM.from_pretrained).parameters) - {
        "report"
    }


def test_reading_options_may_be_single_keywords(index, tmp_path):
    file = tmp_path / "three.txt"
    file.write_text(TEXT)
    added = index.add(file, pages="2-3")
    assert index.add(file, options=ReadOptions(pages="2-3")).document == added.document
    assert index.add(file, options=ReadOptions(pages="1"), pages="2-3").document == added.document
    assert index.estimate(file, pages="2-3").total < index.estimate(file).total


def test_every_reading_option_is_a_keyword_but_the_limit_of_bytes():
    assert set(ReadKeywords.__annotations__) == {f.name for f in fields(ReadOptions)} - {"max_bytes"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"page": "3"}, r"Unknown setting 'page' \(known: password, pages, "),
        ({"options": {"pages": "3"}}, "is not a ReadOptions"),
        ({"pages": 3}, "pages is 3, not text"),
        ({"max_pages": "3"}, "max_pages is '3', not a whole number"),
        ({"max_pages": 0, "engine": "x"}, "engine is 'x'.*max_pages is 0, below 1"),
    ],
)
def test_wrong_reading_options_are_refused(index, options, says):
    with pytest.raises(ConfigError, match=says):
        index.add(b"text", name="a.txt", **options)
