"""Metadata filters: values, lists and functions, in every class that answers."""

from __future__ import annotations

import pytest
from langchain_core.documents import Document
from langchain_sharedllm import ChatSharedLLM, SharedLLMIndex, SharedLLMRetriever, UnsupportedArgumentError
from tiny_models import ALWAYS, PAGES, pages, tiny_llm, whole

from sharedllm_docs import DocumentNotFoundError

QUESTION = "Where does the heron stand?"
METADATA = {
    "heron": {"kind": "bird", "year": 1999, "tags": ["river", "fish"]},
    "copper": {"kind": "metal", "year": 9},
    "sonnet": {"kind": "poem", "year": "2010"},
}
ALL = {*METADATA, "tin", "birds.pdf"}


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """Three documents, four pages of another, and a file, whose metadata are strings."""
    folder = tmp_path_factory.mktemp("filters")
    made = SharedLLMIndex(folder / "index", llm=tiny_llm())
    documents = [Document(text, metadata=METADATA[name]) for name, text in zip(METADATA, PAGES, strict=False)]
    made.add_documents(documents, ids=list(METADATA))
    made.add_documents(pages("birds.pdf"))
    path = folder / "tin.txt"
    path.write_text("Tin comes from the mines of Cornwall.")
    made.add_file(path, id="tin", metadata={"kind": "metal", "year": "1850"})
    return made


def names(documents):
    return {document.metadata["document"] for document in documents}


@pytest.mark.parametrize(
    ("given", "fitting"),
    [
        ({"kind": "metal"}, {"copper", "tin"}),
        ({"kind": "metal", "year": 9}, {"copper"}),
        ({"kind": ["metal", "poem"], "year": ("1850", "2010")}, {"sonnet", "tin"}),
        ({"year": {9, 1999}}, {"heron", "copper", "birds.pdf"}),
        ({"year": 1999, "author": "Ada"}, {"birds.pdf"}),
        ({"source": "birds.pdf", "page": [0, 1, 2, 3]}, {"birds.pdf"}),
        ({}, ALL),
        (lambda metadata: "fish" in metadata.get("tags", ()), {"heron"}),
        (lambda metadata: int(metadata["year"]) < 1900, {"copper", "tin"}),
    ],
)
async def test_values_lists_and_functions(index, given, fitting):
    retriever = SharedLLMRetriever(index=index, k=100, filter=given)
    assert names(retriever.invoke(QUESTION)) == fitting
    assert await retriever.ainvoke(QUESTION) == retriever.invoke(QUESTION)
    unbound = index.as_retriever(k=100)
    assert names(unbound.invoke(QUESTION, filter=given)) == fitting
    assert names(index.similarity_search(QUESTION, 100, filter=given)) == fitting
    assert await index.asimilarity_search(QUESTION, 100, filter=given) == unbound.invoke(QUESTION, filter=given)


def test_passages_carry_the_metadata(index):
    best = index.similarity_search(QUESTION, 1, filter={"kind": "bird"})[0]
    assert {key: best.metadata[key] for key in METADATA["heron"]} == METADATA["heron"]


def test_a_choice_of_documents_and_a_filter_must_both_hold(index):
    found = index.similarity_search(QUESTION, 100, filter={"kind": "metal"}, documents=["heron", "copper"])
    assert names(found) == {"copper"}


def cited(message):
    return {citation["document"] for citation in message.response_metadata["citations"]}


async def test_a_chat_model_answers_from_what_fits(index):
    chat = index.as_chat_model(where={"kind": "metal"}, retrieval=ALWAYS, max_tokens=3)
    found = cited(chat.invoke(QUESTION))
    assert found
    assert found <= {"copper", "tin"}  # both fit; only what bears the answer is cited
    assert cited(await chat.ainvoke(QUESTION)) == cited(whole(chat.stream(QUESTION))) == found
    streamed = [piece async for piece in chat.astream(QUESTION, where={"kind": "poem"})]
    assert cited(whole(streamed)) == {"sonnet"}
    assert cited(chat.invoke(QUESTION, where=lambda metadata: metadata["year"] == 9)) == {"copper"}
    assert cited(chat.bind(where={"kind": "bird"}).invoke(QUESTION)) == {"heron"}


async def test_a_filter_that_nothing_fits_is_an_error_everywhere(index):
    nothing = {"kind": "stone"}
    retriever, chat = index.as_retriever(filter=nothing), ChatSharedLLM(index=index, where=nothing)
    for ask in (retriever.invoke, chat.invoke, lambda question: list(chat.stream(question))):
        with pytest.raises(DocumentNotFoundError, match=r"None of the 5 documents fits .*kind"):
            ask(QUESTION)
    for ask in (retriever.ainvoke, chat.ainvoke):
        with pytest.raises(DocumentNotFoundError, match="None of the 5 documents fits"):
            await ask(QUESTION)


def test_a_filter_that_fits_some_pages_of_a_document_is_refused(index):
    with pytest.raises(UnsupportedArgumentError, match=r"fits page 2, 4 of 4 .*birds\.pdf.*searched whole"):
        index.similarity_search(QUESTION, filter={"page": [1, 3]})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"year": {"$gt": 3}}, "'year': .* uses an operator"),
        ({"$and": [{"a": 1}]}, "operator"),
        ("metal", "neither a mapping nor a function"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(index, given, message):
    with pytest.raises(UnsupportedArgumentError, match=message):
        index.similarity_search(QUESTION, filter=given)
    with pytest.raises(ValueError, match=message):  # pydantic's, with ours in it
        index.as_retriever(filter=given)
    with pytest.raises(ValueError, match=message):
        index.as_chat_model(where=given)
