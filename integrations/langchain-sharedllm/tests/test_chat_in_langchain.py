"""Choice of documents, shared indexes, caches, callbacks, token counts, fallbacks, batches."""

from __future__ import annotations

from pathlib import Path

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler, UsageMetadataCallbackHandler
from langchain_core.documents import Document
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import (
    AIMessage,
    HumanMessage,
    trim_messages,
)
from langchain_sharedllm import (
    ChatSharedLLM,
    SharedLLMIndex,
    SharedLLMRetriever,
)
from pydantic import ValidationError
from tiny_models import ALWAYS, whole

from sharedllm_docs import SharedLLMError

QUESTION = "Where does the heron stand?"


def test_only_the_chosen_documents_are_searched(chat, index):
    index.add_documents([Document(page_content="Tin is soft. The heron is a bird.", metadata={"source": "tin.txt"})])
    here = {c["document"] for c in chat.invoke(QUESTION, documents=["tin.txt"]).response_metadata["citations"]}
    assert here == {"tin.txt"}
    bound = ChatSharedLLM(index=index, documents=["birds.pdf"], retrieval=ALWAYS, max_tokens=4)
    assert {c["document"] for c in bound.invoke(QUESTION).response_metadata["citations"]} == {"birds.pdf"}
    with pytest.raises(SharedLLMError, match=r"nowhere\.pdf"):
        chat.invoke(QUESTION, documents=["nowhere.pdf"])


def test_models_over_one_folder_share_one_index(index):
    folder = Path(index.core.url)
    one, two = ChatSharedLLM(index=folder), ChatSharedLLM(index=str(folder))
    assert one.core is two.core
    assert one.model_name == index.core.settings["model"]


def test_another_index_put_in_place_of_the_first_is_used(chat, index, tmp_path, llm):
    other = SharedLLMIndex.from_documents(
        [Document(page_content="Tin is soft.", id="tin")], tmp_path / "other", llm=llm
    )
    for moved in (chat.model_copy(update={"index": other}), chat):
        moved.index = other
        cited = moved.invoke(QUESTION).response_metadata["citations"]
        assert {c["document"] for c in cited} == {"tin"}
    retriever = SharedLLMRetriever(index=index, k=1)
    retriever.index = other.core.url
    assert retriever.invoke(QUESTION)[0].metadata["document"] == "tin"


def test_what_is_no_index_is_refused(llm):
    with pytest.raises(ValidationError, match="index=3 is neither an index"):
        ChatSharedLLM(index=3)


def test_a_cached_answer_is_forgotten_when_the_documents_change(index, loaded_pages, monkeypatch):
    chat = ChatSharedLLM(index=index, retrieval=ALWAYS, max_tokens=4, cache=InMemoryCache())
    asked = []
    generate = ChatSharedLLM._generate
    monkeypatch.setattr(ChatSharedLLM, "_generate", lambda *a, **k: asked.append(1) or generate(*a, **k))
    first = chat.invoke(QUESTION)
    again = chat.invoke(QUESTION)
    assert again.content == first.content
    assert again.response_metadata["timings"] == first.response_metadata["timings"]
    assert len(asked) == 1
    index.add_documents(loaded_pages[:1])
    chat.invoke(QUESTION)
    assert len(asked) == 2


def test_a_cached_answer_belongs_to_the_documents_that_fit(index):
    """A filter is known by the documents that it chooses: a new function may have the address of an older one."""
    index.add_documents([Document(page_content="Tin is soft.", id="tin", metadata={"year": 2001})])
    chat = ChatSharedLLM(index=index, retrieval=ALWAYS, max_tokens=4, cache=InMemoryCache())

    def fits(metadata):
        return metadata["year"] == fits.year

    for fits.year, name in ((1999, "birds.pdf"), (2001, "tin"), (1999, "birds.pdf")):
        cited = chat.invoke(QUESTION, where=fits).response_metadata["citations"]
        assert {citation["document"] for citation in cited} == {name}


def test_tokens_are_counted_by_the_model_s_own_tokenizer(plain, llm):
    assert plain.get_num_tokens("Where?") == llm.count_tokens("Where?") > 1
    long = [HumanMessage("a" * 100), HumanMessage("b" * 20)]
    kept = trim_messages(long, max_tokens=60, token_counter=plain, strategy="last")
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
