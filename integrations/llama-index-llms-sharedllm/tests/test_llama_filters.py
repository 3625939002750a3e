"""Metadata filters: every operator over documents of different metadata, in every class that answers."""

from __future__ import annotations

import asyncio

import pytest
import sharedllm_docs as core
from conftest import EASY, PAGES
from llama_index.core import Document
from llama_index.core.vector_stores import FilterOperator, MetadataFilter, MetadataFilters

from llama_index.llms.sharedllm import SharedLLM, SharedLLMIndex, SharedLLMRetriever
from llama_index.llms.sharedllm.filters import OPERATORS, where_of

QUESTION = "Where does the heron stand?"
METADATA = {
    "heron": {"kind": "bird", "year": 1999, "tags": ["river", "fish"], "seen": "2024-05-01", "note": ""},
    "copper": {"kind": "metal", "year": 9, "tags": ["red"], "seen": "2023-12-31", "note": "On Metals"},
    "sonnet": {"kind": "poem", "year": "2010", "tags": [], "author": "Ada"},
}


@pytest.fixture(scope="module")
def index(tmp_path_factory, tiny):
    """Three documents from LlamaIndex, and a file, whose metadata are strings."""
    documents = [
        Document(id_=name, text=text, metadata=METADATA[name]) for name, text in zip(METADATA, PAGES, strict=True)
    ]
    folder = tmp_path_factory.mktemp("filters")
    made = SharedLLMIndex.from_documents(documents, persist_dir=folder / "index", llm=tiny)
    path = folder / "tin.txt"
    path.write_text("Tin comes from the mines of Cornwall.")
    made.core.add(path, metadata={"kind": "metal", "year": "1850"})
    return made


def one(key, operator, value):
    return MetadataFilter(key=key, operator=operator, value=value)


def together(*filters, condition="and"):
    return MetadataFilters(filters=list(filters), condition=condition)


def fitting(index, filters):
    """Names of the documents that a retriever searches under these filters."""
    nodes = index.as_retriever(similarity_top_k=100, filters=filters).retrieve(QUESTION)
    return {node.node.ref_doc_id.removesuffix(".txt") for node in nodes}


@pytest.mark.parametrize(
    ("key", "operator", "value", "names"),
    [
        ("kind", "==", "metal", {"copper", "tin"}),
        ("year", "==", 1850, {"tin"}),  # a string that spells the number
        ("year", "==", "2010", {"sonnet"}),
        ("kind", "!=", "metal", {"heron", "sonnet"}),
        ("author", "!=", "Ada", {"heron", "copper", "tin"}),  # a document without the key differs
        ("kind", "in", ["bird", "poem"], {"heron", "sonnet"}),
        ("year", "in", [9, 1850], {"copper", "tin"}),
        ("kind", "nin", ["bird", "poem"], {"copper", "tin"}),
        ("author", "nin", ["Ada"], {"heron", "copper", "tin"}),
        ("year", ">", 1850, {"heron", "sonnet"}),
        ("year", ">=", 1850, {"heron", "sonnet", "tin"}),
        ("year", "<", "1999", {"copper", "tin"}),  # as numbers: 9 comes first
        ("year", "<=", 1999, {"heron", "copper", "tin"}),
        ("seen", ">", "2024-01-01", {"heron"}),  # as strings
        ("kind", "<", "c", {"heron"}),
        ("tags", "contains", "fish", {"heron"}),
        ("kind", "contains", "et", {"copper", "tin"}),
        ("kind", "text_match", "et", {"copper", "tin"}),
        ("note", "text_match", "Metal", {"copper"}),
        ("note", "text_match_insensitive", "METAL", {"copper"}),
        ("tags", "any", ["red", "river"], {"heron", "copper"}),
        ("tags", "all", ["fish", "river"], {"heron"}),
        ("kind", "any", ["ir", "oe"], {"heron", "sonnet"}),
        ("kind", "all", ["m", "al"], {"copper", "tin"}),
        ("note", "is_empty", None, {"heron", "sonnet", "tin"}),
        ("tags", "is_empty", None, {"sonnet", "tin"}),
    ],
)
def test_every_operator(index, key, operator, value, names):
    assert fitting(index, together(one(key, operator, value))) == names


def test_the_operators_above_are_all_there_are():
    assert {*OPERATORS, FilterOperator.IS_EMPTY} == set(FilterOperator)


BIRD, METAL, OLD = one("kind", "==", "bird"), one("kind", "==", "metal"), one("year", "<", 100)


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        (together(METAL, OLD), {"copper"}),
        (together(BIRD, OLD, condition="or"), {"heron", "copper"}),
        (together(BIRD, OLD, condition="not"), {"sonnet", "tin"}),
        (together(together(BIRD, METAL, condition="or"), together(OLD, condition="not")), {"heron", "tin"}),
        (together(METAL, OLD, condition=None), {"copper"}),
        (together(condition="or"), {"heron", "copper", "sonnet", "tin"}),
        ({"kind": "metal", "year": [9, 10]}, {"copper"}),
        ({"kind": ["metal", "bird"]}, {"heron", "copper", "tin"}),
        (lambda metadata: metadata.get("tags") == ["red"], {"copper"}),
    ],
)
def test_conditions_mappings_and_functions(index, filters, names):
    assert fitting(index, filters) == names


@pytest.mark.parametrize("value", [True, [1], {"a": 1}, None, "nan", "inf", "many"])
def test_what_is_no_number_is_not_compared_as_one(value):
    assert not where_of(together(one("n", ">", 0)))({"n": value})
    assert not where_of(together(one("n", "==", 5)))({"n": value})


def test_two_strings_that_spell_one_number_differ():
    assert not where_of(together(one("version", "==", "1.1")))({"version": "1.10"})


def test_a_choice_of_documents_and_a_filter_must_both_hold(index):
    retriever = index.as_retriever(ref_doc_ids=["heron", "copper"], filters={"kind": "metal"})
    assert {node.node.ref_doc_id for node in retriever.retrieve(QUESTION)} == {"copper"}


# -- every class --------------------------------------------------------------------------------------------------


def sources(response):
    return {node.node.ref_doc_id for node in response.source_nodes}


@pytest.mark.parametrize("streaming", [False, True])
def test_a_query_engine_answers_from_what_fits(index, streaming):
    engine = index.as_query_engine(streaming=streaming, filters=together(METAL, OLD), **EASY)
    response = engine.query(QUESTION)
    assert sources(response) == {"copper"}
    assert response.source_nodes[0].node.metadata["year"] == 9

    async def run():
        answered = await engine.aquery(QUESTION)
        return str(answered) if not streaming else "".join([piece async for piece in answered.async_response_gen()])

    assert asyncio.run(run()).strip() == str(response).strip()


def test_a_chat_engine_answers_from_what_fits(index):
    chat = index.as_chat_engine(filters={"kind": "poem"}, **EASY)
    assert sources(chat.chat(QUESTION)) == {"sonnet"}
    streamed = chat.stream_chat(QUESTION)
    assert list(streamed.response_gen)
    assert sources(streamed) == {"sonnet"}

    async def run():
        whole = await chat.achat(QUESTION)
        streamed = await chat.astream_chat(QUESTION)
        assert [piece async for piece in streamed.async_response_gen()]
        return sources(whole) | sources(streamed)

    assert asyncio.run(run()) == {"sonnet"}


def test_a_model_answers_from_what_fits_and_a_call_may_say_otherwise(index):
    bound = index.as_llm(filters=together(BIRD), **EASY)

    def cited(response):
        return {citation.document for citation in response.raw["citations"]}

    assert cited(bound.complete(QUESTION)) == {"heron"}
    assert cited(bound.complete(QUESTION, where=together(OLD))) == {"copper"}
    assert cited(list(bound.stream_complete(QUESTION, where={"kind": "poem"}))[-1]) == {"sonnet"}
    opened = SharedLLM(index.core.url, llm=index.core.llm, where={"kind": "poem"}, **EASY)
    assert cited(asyncio.run(opened.acomplete(QUESTION))) == {"sonnet"}


def test_an_async_retriever_searches_what_fits(index):
    retriever = SharedLLMRetriever(index.core, filters=together(METAL))
    found = asyncio.run(retriever.aretrieve(QUESTION))
    assert [node.node_id for node in found] == [node.node_id for node in retriever.retrieve(QUESTION)]
    assert {node.node.ref_doc_id for node in found} == {"copper", "tin.txt"}


def test_a_filter_that_nothing_fits_is_an_error_everywhere(index):
    nothing = together(one("kind", "==", "stone"))
    engine = index.as_query_engine(filters=nothing, **EASY)
    message = "None of the 4 documents fits .*kind"
    for ask in (
        lambda: index.as_retriever(filters=nothing).retrieve(QUESTION),
        lambda: asyncio.run(index.as_retriever(filters=nothing).aretrieve(QUESTION)),
        lambda: engine.query(QUESTION),
        lambda: asyncio.run(engine.aquery(QUESTION)),
        lambda: index.as_query_engine(streaming=True, filters=nothing).query(QUESTION),
        lambda: index.as_chat_engine(filters=nothing, **EASY).chat(QUESTION),
        lambda: index.as_llm(**EASY).complete(QUESTION, where=nothing),
    ):
        with pytest.raises(core.DocumentNotFoundError, match=message):
            ask()


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        (together(one("year", "in", 3)), "'year' compares by 'in' with 3; it takes a list"),
        (together(one("year", "any", "a")), "'any' with 'a'; it takes a list"),
        (together(one("year", ">", [3])), r"'>' with \[3\]; it takes a string or a number"),
        (together(one("year", "==", None)), "'==' with None; .*is_empty"),
        (together(one("kind", "text_match", 3)), "'text_match' with 3; it takes a string"),
        (together(MetadataFilter.model_construct(key="a", value=1, operator="near")), "operator 'near' is not"),
        (MetadataFilters.model_construct(filters=[BIRD], condition="xor"), "condition 'xor' is not supported"),
        ({"year": {"$gt": 3}}, "is neither a string or number"),
        ({"year": None}, "is neither a string or number"),
        (3, "neither MetadataFilters nor a mapping nor a function"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(index, filters, message):
    with pytest.raises(core.ConfigError, match=message):
        index.as_retriever(filters=filters)
    if filters != 3:  # the model's own field checks its type
        with pytest.raises(core.ConfigError, match=message):
            index.as_query_engine(filters=filters)
