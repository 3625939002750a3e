"""SharedLLM as a LlamaIndex LLM: with and without documents, whole, streaming, async, counted, and what it refuses."""

from __future__ import annotations

import pytest
import sharedllm_docs as core
from conftest import EASY
from llama_index.core import PromptTemplate
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, MessageRole
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.vector_stores import MetadataFilter, MetadataFilters
from pydantic import BaseModel, ValidationError

from llama_index.llms.sharedllm import SharedLLM

QUESTION = "Where does the heron stand?"
TURNS = [
    ChatMessage(role="system", content="Be brief."),
    ChatMessage(role="user", content="Who waits?"),
    ChatMessage(role="assistant", content="The heron."),
    ChatMessage(role="user", content=QUESTION),
]
ALWAYS = core.RetrievalConfig(budget=64, relevance_floor=0, min_confidence=0)
CORE_TURNS = [core.Message(turn.role.value, turn.content) for turn in TURNS]


@pytest.fixture
def plain(tiny):
    return SharedLLM(llm=tiny, max_tokens=8)


@pytest.fixture
def bound(index):
    return index.as_llm(**EASY)


def core_answer(bound, question=QUESTION, **options):
    return bound.core_index.ask(question, budget=64, relevance_floor=0, max_new_tokens=8, **options)


# -- without documents --------------------------------------------------------------------------------------------


def test_plain_answers_are_the_cores(plain, tiny):
    expected = tiny.chat(CORE_TURNS, max_new_tokens=8)
    response = plain.chat(TURNS)
    assert response.message.content == expected.text
    assert response.message.role == MessageRole.ASSISTANT
    assert response.message.additional_kwargs == {}
    assert response.raw["usage"] == {
        "prompt_tokens": expected.prompt_tokens,
        "completion_tokens": expected.answer_tokens,
        "total_tokens": expected.prompt_tokens + expected.answer_tokens,
    }
    assert response.additional_kwargs["finish_reason"] == expected.finish_reason


def test_complete_uses_the_template_unless_the_prompt_is_formatted(plain, tiny):
    asked = tiny.chat([core.Message("user", QUESTION)], max_new_tokens=8)
    assert plain.complete(QUESTION).text == asked.text
    assert plain.complete(QUESTION, formatted=True).text == tiny.complete(QUESTION, max_new_tokens=8).text
    shouting = SharedLLM(llm=tiny, max_tokens=8, completion_to_prompt=str.upper)
    upper = tiny.chat([core.Message("user", QUESTION.upper())], max_new_tokens=8)
    assert shouting.complete(QUESTION).text == upper.text


def test_without_a_template_it_is_no_chat_model():
    from tests.tiny_text import tiny_llm

    base = SharedLLM(llm=tiny_llm(chat_template=None), max_tokens=8)
    assert not base.metadata.is_chat_model
    assert base.complete(QUESTION).text == base.core_llm.complete(QUESTION, max_new_tokens=8).text


# -- with documents -----------------------------------------------------------------------------------------------


def test_bound_answers_are_the_indexs_with_citations(bound):
    expected = core_answer(bound)
    for response in (bound.complete(QUESTION), bound.chat([ChatMessage(content=QUESTION)])):
        assert response.raw["answer"].text == expected.text
        assert response.raw["citations"] == response.raw["answer"].citations == expected.citations
        assert response.additional_kwargs["citations"][0]["quote"] == expected.citations[0].quote
        assert response.raw["usage"]["prompt_tokens"] == expected.counts.question_tokens
    assert bound.complete(QUESTION).text == expected.text


def test_earlier_turns_reach_the_index(bound):
    expected = core_answer(bound, conversation=CORE_TURNS[:-1])
    response = bound.chat(TURNS)
    assert response.message.content == expected.text
    assert response.raw["usage"]["prompt_tokens"] == expected.counts.question_tokens
    assert expected.counts.question_tokens > core_answer(bound).counts.question_tokens


def test_a_choice_of_documents(index):
    one = index.as_llm(ref_doc_ids=["birds-2"], **EASY)
    assert {c["document"] for c in one.complete(QUESTION).additional_kwargs["citations"]} == {"birds-2"}
    other = one.complete(QUESTION, documents=["birds-3"])
    assert {c["document"] for c in other.additional_kwargs["citations"]} == {"birds-3"}


def test_opened_from_its_folder(index, tiny):
    opened = SharedLLM(index.core.url, llm=tiny, documents=["birds-1"], **EASY)
    assert opened.index_dir == str(index.core.url)
    assert opened.complete(QUESTION).raw["citations"][0].document == "birds-1"


# -- pieces -------------------------------------------------------------------------------------------------------


def test_streams_add_up_to_the_whole_and_end_with_counts(plain, bound):
    for llm in (plain, bound):
        for chunks, whole in (
            (list(llm.stream_complete(QUESTION)), llm.complete(QUESTION).text),
            (list(llm.stream_chat(TURNS)), llm.chat(TURNS).message.content),
        ):
            assert len(chunks) > 2
            joined = "".join(chunk.delta for chunk in chunks)
            assert joined.strip() == whole.strip()
            assert chunks[-1].raw["usage"]["total_tokens"] > 0
    early = next(iter(bound.stream_complete(QUESTION)))
    assert [c.document for c in early.raw["citations"]] == [c.document for c in core_answer(bound).citations]


# -- async --------------------------------------------------------------------------------------------------------


def test_async_forms_do_not_block_the_event_loop(plain, bound, going_on):
    async def everything():
        made = []
        for llm in (plain, bound):
            made.append((await llm.acomplete(QUESTION)).text)
            made.append((await llm.achat(TURNS)).message.content)
            made.append("".join([chunk.delta async for chunk in await llm.astream_complete(QUESTION)]))
            made.append("".join([chunk.delta async for chunk in await llm.astream_chat(TURNS)]))
        return made

    made, rounds = going_on(everything())
    for index in (0, 4):
        assert made[index].strip() == made[index + 2].strip()
        assert made[index + 1].strip() == made[index + 3].strip()
    assert rounds >= 8 * 8  # eight answers of eight steps


# -- metadata, callbacks, structured output -----------------------------------------------------------------------


def test_metadata_is_true(plain, bound):
    for llm in (plain, bound):
        metadata = llm.metadata
        assert (metadata.context_window, metadata.num_output) == (4096, 8)
        assert (metadata.model_name, metadata.is_chat_model) == ("tiny-llama", True)
        assert not metadata.is_function_calling_model
    assert SharedLLM.class_name() == "SharedLLM"


def test_token_counting_sees_true_counts(index, tiny):
    counter = TokenCountingHandler(tokenizer=lambda text: pytest.fail("it guessed"))
    manager = CallbackManager([counter])
    plain = SharedLLM(llm=tiny, max_tokens=8, callback_manager=manager)
    bound = index.as_llm(callback_manager=manager, **EASY)
    used = [plain.chat(TURNS), plain.complete(QUESTION), bound.chat(TURNS), bound.complete(QUESTION)]
    used += [list(plain.stream_chat(TURNS))[-1], list(bound.stream_complete(QUESTION))[-1]]
    counted = [(event.prompt_token_count, event.completion_token_count) for event in counter.llm_token_counts]
    assert counted == [(one.raw["usage"]["prompt_tokens"], one.raw["usage"]["completion_tokens"]) for one in used]


class Animal(BaseModel):
    """An animal."""

    name: str
    legs: int


def test_structured_output_goes_through_the_text_completion_program(plain, monkeypatch):
    asked = []

    def scripted(self, turns, options):
        asked.append(turns[-1].content)
        text = 'Here it is: {"name": "heron", "legs": 2}'
        return core.Completion(text, "stop", 5, 9, 0.1, 0.2)

    monkeypatch.setattr(SharedLLM, "_answer", scripted)
    made = plain.as_structured_llm(Animal).complete("Describe a heron.")
    assert made.raw == Animal(name="heron", legs=2)
    predicted = plain.structured_predict(Animal, PromptTemplate("Describe a {animal}."), animal="heron")
    assert predicted == Animal(name="heron", legs=2)
    assert all('"legs"' in prompt for prompt in asked)  # the schema is in the prompt


def test_structured_output_that_the_model_does_not_make_raises(plain):
    with pytest.raises(ValueError, match="Could not extract json string"):
        plain.structured_predict(Animal, PromptTemplate("Describe a heron."))


# -- arguments ----------------------------------------------------------------------------------------------------


def test_generation_arguments_are_honoured(bound, plain):
    for llm in (plain, bound):
        whole = llm.complete(QUESTION).text
        stop = whole[2:4]
        for given in (stop, [stop]):
            assert llm.complete(QUESTION, stop=given).text.strip() == whole[: whole.index(stop)].strip()
        assert llm.complete(QUESTION, max_tokens=2).raw["usage"]["completion_tokens"] == 2
        assert llm.complete(QUESTION, max_new_tokens=3).raw["usage"]["completion_tokens"] == 3
        warm = [llm.complete(QUESTION, temperature=5.0, seed=seed).text for seed in (1, 1, 2)]
        assert warm[0] == warm[1] != warm[2]
        assert llm.complete(QUESTION, stop=None, temperature=None).text == whole


def test_settings_of_the_model_and_of_the_call(index):
    """The core's keywords in both places; a call's config replaces the model's, its keywords change it."""
    own = index.as_llm(generation=core.GenerationConfig(max_new_tokens=6), retrieval=ALWAYS, max_citations=1)
    assert own.metadata.num_output == 6
    assert SharedLLM(llm=own.core_llm, max_new_tokens=5).metadata.num_output == 5

    def same(given, **core_options):
        """Whether the answer under a call's options is the core's under these."""
        answer, expected = own.complete(QUESTION, **given).raw["answer"], index.core.ask(QUESTION, **core_options)
        pairs = [
            (each.text, each.citations, each.counts.rows, each.counts.answer_tokens) for each in (answer, expected)
        ]
        return pairs[0] == pairs[1]

    defaults = {"retrieval": ALWAYS, "max_citations": 1, "max_new_tokens": 6}
    few = {"budget": 16, "max_citations": 2, "selector": "right-half"}
    whole = core.RetrievalConfig(budget=32, relevance_floor=0, evidence_tokens=0)
    assert same({}, **defaults)
    assert same({"max_tokens": 2, **few}, **defaults | few | {"max_new_tokens": 2})
    assert same({"generation": core.GenerationConfig(max_new_tokens=3)}, **defaults | {"max_new_tokens": 3})
    assert same({"retrieval": whole}, retrieval=whole, max_new_tokens=6)
    assert same({"temperature": None, "budget": None}, **defaults)
    assert not same({}, **defaults | few)
    assert not same({}, **defaults | {"max_new_tokens": 1})
    own.budget = 24  # settings may be changed later
    assert same({}, **defaults | {"budget": 24})


def test_settings_survive_serialisation(index, tiny):
    filters = MetadataFilters(filters=[MetadataFilter(key="page_label", value="2")])
    own = SharedLLM(
        index.core.url, llm=tiny, where=filters, budget=32, relevance_floor=0, min_confidence=0, max_tokens=4
    )
    again = SharedLLM.from_dict(own.to_dict(), llm=tiny)
    assert again.where == filters
    assert again.complete(QUESTION).raw["citations"] == own.complete(QUESTION).raw["citations"]
    assert {c.document for c in again.complete(QUESTION).raw["citations"]} == {"birds-2"}
    assert SharedLLM.from_dict(SharedLLM(llm=tiny).to_dict(), llm=tiny).complete("Hello").text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tools": []}, r"Unknown setting 'tools' \(known: .*max_new_tokens"),
        ({"n": 2}, "Unknown setting 'n'"),
        ({"temperature": -1}, "temperature=-1 must not be negative"),
        ({"max_tokens": 1, "max_new_tokens": 2}, "given twice"),
        ({"documents": ["birds-1"]}, "documents is given to a model without an index"),
        ({"where": {"a": "b"}}, "where is given to a model without an index"),
        ({"budget": 16}, "budget is given to a model without an index"),
        ({"generation": {"temperature": 1}}, "is not a GenerationConfig"),
    ],
)
def test_what_cannot_be_honoured_is_refused(plain, options, message):
    with pytest.raises(core.ConfigError, match=message):
        plain.complete(QUESTION, **options)
    with pytest.raises(core.ConfigError, match=message):
        plain.stream_chat(TURNS, **options)


def test_wrong_constructions_are_refused(tiny, index, tmp_path):
    with pytest.raises(ValidationError, match="max_tokenz"):
        SharedLLM(llm=tiny, max_tokenz=3)
    with pytest.raises(core.ConfigError, match="temperature=-1"):
        SharedLLM(llm=tiny, temperature=-1)
    with pytest.raises(core.ConfigError, match="relevance_floor=2"):
        index.as_llm(relevance_floor=2.0)
    with pytest.raises(core.ConfigError, match="relevance_floor is given to a model without an index"):
        SharedLLM(llm=tiny, relevance_floor=0.5)
    with pytest.raises(core.ConfigError, match=r"Give \['birds-1'\]"):
        index.as_llm().complete(QUESTION, documents="birds-1")
    with pytest.raises(core.ConfigError, match="given twice"):
        SharedLLM(llm=tiny, max_tokens=3, max_new_tokens=4)
    for given in ({"ref_doc_ids": ["a"], "documents": ["a"]}, {"filters": {"a": "b"}, "where": {"a": "b"}}):
        with pytest.raises(core.ConfigError, match="one setting, given twice"):
            index.as_llm(**given)
    with pytest.raises(core.ConfigError, match="without an index"):
        SharedLLM(llm=tiny, documents=["a"])
    with pytest.raises(core.ConfigError, match="both given"):
        SharedLLM(tmp_path, index=index.core)
    with pytest.raises(core.SharedLLMError, match="no index at"):
        SharedLLM(tmp_path / "nowhere", llm=tiny)


def test_messages_that_cannot_be_taken_are_refused(plain, bound):
    with pytest.raises(core.ConfigError, match="role 'tool' cannot be read"):
        plain.chat([ChatMessage(role="tool", content="42")])
    picture = ChatMessage(role="user", blocks=[ImageBlock(url="https://example.org/heron.png")])
    with pytest.raises(core.ConfigError, match="ImageBlock cannot be read"):
        bound.chat([picture])
    with pytest.raises(core.ConfigError, match="last message is from 'assistant'"):
        bound.chat(TURNS[:-1])
    with pytest.raises(core.ConfigError, match="there is no message"):
        bound.chat([])
    with pytest.raises(core.SharedLLMError, match="window of 4096"):
        bound.chat([ChatMessage(content="why " * 5000), *TURNS])
