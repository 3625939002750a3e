"""Questions with earlier turns before them, and documents that replace older ones of their name."""

from __future__ import annotations

import asyncio

import pytest

from sharedllm_docs import Document, GenerationConfig, Index, Message, RetrievalConfig
from sharedllm_docs.errors import ConfigError, QuestionError, QuestionTooLongError, StoreError
from sharedllm_docs.model.prompt import OWN_STYLE, STYLES
from tests.tiny_text import tiny_llm, tiny_sharedllm_profile

SHORT = GenerationConfig(max_new_tokens=6)
ALWAYS = RetrievalConfig(relevance_floor=0, budget=64)
EARLIER = (Message("system", "Be brief."), Message("user", "Who waits?"), Message("assistant", "The heron."))
QUESTION = "Where does it stand?"
TEXT = "The heron stands in the river and waits for fish. Copper melts at a higher temperature than tin does. " * 4


@pytest.fixture
def index(tmp_path, llm):
    made = Index.create(tmp_path / "index", llm)
    made.add(Document.from_text(TEXT, name="birds"))
    return made


def ask(index, question=QUESTION, **options):
    return index.ask(question, **({"retrieval": ALWAYS, "generation": SHORT} | options))


# -- conversation -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["prefix", "sharedllm"])
def test_earlier_turns_stand_before_the_question(tmp_path, kind, monkeypatch):
    own = {"profile": tiny_sharedllm_profile(), "adapter": True} if kind == "sharedllm" else {}
    llm = tiny_llm(**own)
    index = Index.create(tmp_path, llm)
    index.add(Document.from_text(TEXT, name="birds"))
    asked = []
    from sharedllm_docs.index import engine

    real = engine.generate
    monkeypatch.setattr(engine, "generate", lambda decoder, fed, *rest: asked.extend(fed) or real(decoder, fed, *rest))
    alone, within = ask(index), ask(index, conversation=EARLIER)
    plain, told = (llm.tokenizer.decode(ids) for ids in asked)
    turns = "\n\nUser: Who waits?\nAssistant: The heron."
    said = f"{turns}\n\n{OWN_STYLE} Be brief."
    assert told == plain.replace(f"\n\n{STYLES['short']}", said)
    assert within.counts.question_tokens - alone.counts.question_tokens == len(asked[1]) - len(asked[0])
    assert within.counts.rows == alone.counts.rows
    assert ask(index, conversation=()).text == alone.text


def test_passages_are_chosen_by_the_question_alone(index):
    chosen = [
        index.ask(QUESTION, retrieval=ALWAYS, generation=SHORT, conversation=turns).citations[0].char_start
        for turns in ((), EARLIER, [Message("user", "copper tin temperature melts")])
    ]
    assert len(set(chosen)) == 1


def test_streams_and_async_forms_take_a_conversation(index):
    expected = ask(index, conversation=EARLIER)
    assert expected.counts.question_tokens > ask(index).counts.question_tokens
    options = {"retrieval": ALWAYS, "generation": SHORT, "conversation": EARLIER}
    assert index.stream(QUESTION, **options).result.text == expected.text

    async def run():
        stream = index.astream(QUESTION, **options)
        return (await index.aask(QUESTION, **options)).text, "".join([piece async for piece in stream]).strip()

    assert asyncio.run(run()) == (expected.text, expected.text)


def test_a_conversation_takes_room_in_the_window(index):
    long = [Message("user", "why " * 5000)]
    with pytest.raises(QuestionTooLongError, match=r"earlier turns.*window of 4096.*Shorten the question or the conv"):
        ask(index, conversation=long)
    with pytest.raises(QuestionTooLongError):
        index.stream(QUESTION, conversation=long)
    with pytest.raises(QuestionError, match="not a character"):
        ask(index, conversation=[Message("user", "\udce9")])


# -- replacing ----------------------------------------------------------------------------------------------------


def test_replace_takes_the_older_document_out_after_the_new_one_is_there(index, monkeypatch):
    from sharedllm_docs.store.writer import IndexWriter

    old = index.document("birds")
    seen = []
    real = IndexWriter.remove

    def remove(writer, key):
        seen.append({info.key for info in Index.open(index.url, index.llm).documents()})
        real(writer, key)

    monkeypatch.setattr(IndexWriter, "remove", remove)
    added = index.add(Document.from_text(TEXT + "And more.", name="birds"), replace=True)
    assert added.replaced == (old.key,)
    assert seen == [{old.key, added.document.key}]
    assert [info.key for info in index.documents()] == [added.document.key]
    assert added.chunks_reused > 0
    assert ask(index).citations[0].document_key == added.document.key


def test_a_replacement_cut_short_is_finished_by_adding_again(index):
    new = Document.from_text(TEXT + "And more.", name="birds")
    index.add(new)
    assert len(index.documents()) == 2
    again = index.add(new, replace=True)
    assert not again.new
    assert len(again.replaced) == 1
    assert [info.key for info in index.documents()] == [again.document.key]
    assert index.add(new, replace=True).replaced == ()


def test_replace_refuses_content_that_has_another_name(index):
    same = Document.from_text(TEXT, name="birds")
    with pytest.raises(
        StoreError, match=r"content of 'fowl' is in the index already, as 'birds'. Remove 'birds' first"
    ):
        index.add(same, name="fowl", replace=True)
    assert [info.name for info in index.documents()] == ["birds"]


def test_metadata_comes_back_with_the_document(index):
    index.add(Document.from_text("Tin is soft.", name="tin", metadata={"source": "a book"}), metadata={"year": "1900"})
    assert index.document("tin").metadata == {"source": "a book", "year": "1900"}
    with pytest.raises(ConfigError):
        Document.from_text("Tin is soft.", name="tin", metadata={"year": 1900})


@pytest.mark.parametrize("said", ["hi", [{"role": "user", "content": "hi"}], [None], None])
def test_turns_that_are_no_messages_are_refused(index, said):
    with pytest.raises(ConfigError, match="is not a"):
        ask(index, conversation=said)


def test_a_budget_below_the_smallest_leaf_is_refused(index):
    with pytest.raises(
        ConfigError, match=r"smallest leaf of these documents takes (\d+)\. Use a budget of at least \1"
    ):
        index.ask(QUESTION, budget=1, relevance_floor=0)
