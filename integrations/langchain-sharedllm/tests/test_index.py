"""Loaders' documents and files go in: ids, pages, metadata as it was, replacing, deleting."""

from __future__ import annotations

import asyncio
import datetime
from pathlib import Path

import pytest
from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document
from langchain_sharedllm import (
    ChatSharedLLM,
    SharedLLMIndex,
    SharedLLMRetriever,
    UnsupportedArgumentError,
    UnsupportedMetadataError,
)
from tiny_models import model_folder

from sharedllm_docs import Index, SharedLLMError
from tests.tiny_text import save_model


def passages(index, question="heron", **options):
    return SharedLLMRetriever(index=index, k=1, **options).invoke(question)


def test_pages_of_one_source_become_one_document(index):
    assert index.ids == ["birds.pdf"]
    assert index.core.document("birds.pdf").pages == 4
    found = SharedLLMRetriever(index=index, k=100).invoke("copper melts")
    assert {d.metadata["page"] for d in found} == {0, 1, 2, 3}
    assert all(d.metadata["page"] == d.metadata["page_number"] - 1 for d in found)


@pytest.mark.parametrize("encode", ["background", "when-asked"])
def test_documents_can_be_asked_before_they_are_read(tmp_path, llm, encode):
    documents = [Document(page_content="The heron stands in the river and waits for fish. " * 9, id="heron")]
    whole = SharedLLMIndex.from_documents(documents, tmp_path / "whole", llm=llm)
    made = SharedLLMIndex.from_documents(documents, tmp_path / "made", llm=llm, encode=encode)
    answers = [
        index.as_chat_model(relevance_floor=0, budget=32, max_tokens=4).invoke("Where does the heron stand?").content
        for index in (whole, made)
    ]
    assert answers[0] == answers[1]
    (tmp_path / "file.txt").write_text("Tin is old.")
    made.add_file(tmp_path / "file.txt", encode=encode)
    asyncio.run(made.aadd_documents([Document(page_content="Tin is soft.", id="tin")], encode=encode))
    (tmp_path / "other.txt").write_text("Tin is grey.")
    asyncio.run(made.aadd_file(tmp_path / "other.txt", id="again", metadata={"a": "b"}, encode=encode))
    assert made.wait()
    left = made.unread_chunks
    assert set(left) == set(made.ids) >= {"heron", "tin", "file.txt"}
    assert (left["tin"] > 0) == (encode == "when-asked")
    assert made.read() == sum(left.values())
    assert set(made.unread_chunks.values()) == {0}


def test_ids_are_those_given_else_the_document_s_else_the_source_else_of_the_text(tmp_path, llm):
    index = SharedLLMIndex(tmp_path / "index", llm=llm)
    documents = [
        Document(page_content="The heron.", id="one", metadata={"source": "s"}),
        Document(page_content="The river.", metadata={"source": "s"}),
        Document(page_content="The fish."),
    ]
    first, second, third = index.add_documents(documents)
    assert (first, second, third[:5]) == ("one", "s", "text-")
    assert index.add_documents(documents[2:]) == [third]
    assert index.add_documents(documents, ids=["a", "b", "a"]) == ["a", "b", "a"]
    assert set(index.ids) == {"one", "s", third, "a", "b"}
    assert index.core.document("a").pages == 2


def test_the_same_id_replaces_and_unchanged_content_costs_nothing(index, loaded_pages):
    key = index.core.document("birds.pdf").key
    index.add_documents(loaded_pages)
    assert index.core.document("birds.pdf").key == key
    index.add_documents([Document(page_content="The heron left.", metadata={"source": "birds.pdf"})])
    assert index.ids == ["birds.pdf"]
    assert index.core.document("birds.pdf").key != key
    left = SharedLLMRetriever(index=index, k=100).invoke("heron")
    assert left
    assert all(d.page_content in "The heron left." for d in left)


def test_a_change_of_metadata_alone_is_kept(index, loaded_pages):
    changed = [page.model_copy(update={"metadata": page.metadata | {"year": 2001}}) for page in loaded_pages]
    index.add_documents(changed)
    assert index.ids == ["birds.pdf"]
    assert passages(index)[0].metadata["year"] == 2001


def test_metadata_comes_out_as_it_went_in(tmp_path, llm):
    index = SharedLLMIndex(tmp_path / "index", llm=llm)
    first = {"title": "On herons", "n": 1, "f": 0.5, "yes": True, "none": None, "tags": ["a", {"b": 2}]}
    first["langchain"] = "a key that this package uses itself"
    second = first | {"n": True, "own": "second page"}
    texts = ("The heron stands.", "The copper melts.")
    index.add_documents(
        [Document(page_content=t, metadata=m) for t, m in zip(texts, (first, second), strict=True)], ids=["d", "d"]
    )
    again = SharedLLMIndex(Index.open(tmp_path / "index", llm))
    found = {d.metadata["page_number"]: d.metadata for d in again.as_retriever(k=100).invoke("heron copper")}
    for page, given in ((1, first), (2, second)):
        assert {key: found[page][key] for key in given} == given
        assert type(found[page]["n"]) is type(given["n"])
    assert "own" not in found[1]
    assert index.core.document("d").title == "On herons"


def test_delete_takes_exact_ids_only(index):
    key = index.core.document("birds.pdf").key
    assert index.delete([key[:8], key, "nowhere"]) is False
    assert index.ids == ["birds.pdf"]
    assert index.delete(["birds.pdf", "birds.pdf"]) is True
    assert index.ids == []
    assert index.delete([]) is True


@pytest.mark.parametrize("value", [datetime.date(2020, 1, 1), float("nan"), {1, 2}])
def test_metadata_that_cannot_be_kept_is_refused_and_nothing_added(index, value):
    documents = [
        Document(page_content="Fine.", id="fine"),
        Document(page_content="Not fine.", id="bad", metadata={"value": value}),
    ]
    with pytest.raises(UnsupportedMetadataError, match="'bad'"):
        index.add_documents(documents)
    assert index.ids == ["birds.pdf"]


def test_wrong_ids_are_refused(index, loaded_pages):
    with pytest.raises(UnsupportedArgumentError, match="1 ids were given for 4"):
        index.add_documents(loaded_pages, ids=["a"])
    with pytest.raises(UnsupportedArgumentError, match="at 0 is empty"):
        index.add_documents(loaded_pages[:1], ids=[" "])


def test_documents_without_a_word_are_refused_by_the_core(index):
    with pytest.raises(SharedLLMError, match="blank"):
        index.add_documents([Document(page_content=" ", id="blank")])


def test_nothing_to_add(index):
    assert index.add_documents([]) == []


def test_from_documents_takes_what_a_loader_gives(tmp_path, llm, loaded_pages):
    class Loader(BaseLoader):
        def lazy_load(self):
            yield from loaded_pages

    index = SharedLLMIndex.from_documents(Loader().load(), tmp_path / "index", llm=llm)
    assert index.ids == ["birds.pdf"]
    assert index.as_retriever(k=2).invoke("heron")[0].metadata["author"] == "Ada"
    assert index.as_chat_model(max_tokens=2).has_index


def test_the_index_knows_its_model(index):
    place = Path(index.core.url)
    chat = ChatSharedLLM(index=place, max_tokens=3)
    assert chat.loaded is not index.core.llm  # loaded again, from the folder that the index names
    assert chat.invoke("heron").content == ChatSharedLLM(index=index, max_tokens=3).invoke("heron").content


def test_another_model_than_the_index_s_is_refused(index, tmp_path):
    other = save_model(tmp_path / "other", seed=1)
    chat = ChatSharedLLM(index=Path(index.core.url), model=str(other))
    with pytest.raises(SharedLLMError, match="weights"):
        chat.invoke("heron")


def test_a_model_by_its_folder_without_an_index():
    folder = str(model_folder() / "model")
    one, two = ChatSharedLLM(model=folder, max_tokens=3), ChatSharedLLM(model=folder, max_tokens=3)
    assert one.model_name == folder
    assert one.invoke("Hello").content
    assert one.loaded is two.loaded
