"""The whole path on a tiny random model: add, ask, reopen, edit, resume, several documents, streaming, async."""

from __future__ import annotations

import asyncio

import pytest
import torch

from sharedllm_docs import GenerationConfig, Index, RetrievalConfig
from sharedllm_docs.errors import (
    ConfigError,
    DiskBudgetError,
    DocumentNotFoundError,
    EmptyDocumentError,
    EmptyQuestionError,
    FingerprintMismatchError,
    IndexNotFoundError,
    InterruptedIngestion,
    QuestionError,
    QuestionTooLongError,
    StoreError,
)
from sharedllm_docs.index.engine import Engine
from sharedllm_docs.index.library import Library
from sharedllm_docs.injection.decoder import InjectedDecoder
from sharedllm_docs.retrieval.answer import NOT_SAID
from sharedllm_docs.retrieval.evidence import evidence_text, quoted
from sharedllm_docs.retrieval.query import Query
from sharedllm_docs.store import IndexStore
from tests.tiny_text import HashEmbedder, tiny_document, tiny_llm, tiny_profile, tiny_sharedllm_profile
from tests.waiting import loop_watch

SHORT = GenerationConfig(max_new_tokens=6)
ALWAYS = RetrievalConfig(relevance_floor=0, budget=64, min_confidence=0)
PAGES = (
    "The heron stands in the river and waits for fish.",
    "Copper melts at a higher temperature than tin does.",
    "A sonnet has fourteen lines, most often in iambic pentameter.",
    "The lighthouse keeper writes the weather into a blue book every evening at nine.",
)


@pytest.fixture
def index(tmp_path, llm):
    made = Index.create(tmp_path / "index", llm)
    made.add(tiny_document(*PAGES, name="birds.txt"))
    return made


def ask(index, question="Where does the heron stand?", **options):
    return index.ask(question, **({"retrieval": ALWAYS, "generation": SHORT} | options))


# -- answers ------------------------------------------------------------------------------------------------------


def test_answer_cites_the_page_out_of_injected_nodes(index):
    answer = ask(index)
    best = answer.citations[0]
    assert (best.document, best.page) == ("birds.txt", 1)
    store = IndexStore.open(index.url)
    document = Library(store).prepared(store.documents()[0])
    assert document.document.text[best.char_start : best.char_end].split() == best.quote.split()
    selection = index.select("Where does the heron stand?", retrieval=ALWAYS)
    injected = [document.chars(node.chunk, node.node) for node in selection.nodes]
    assert all(
        any(a < c.char_end and c.char_start < b for a, b in injected) for c in answer.citations
    )  # whole sentences
    assert answer.counts.rows == selection.num_rows <= 64
    assert answer.counts.bytes_read > 0
    assert answer.timings.total >= answer.timings.first_token > 0


@pytest.mark.parametrize("store_dtype", ["float32", "bfloat16", "float16", "int8", "int4"])
@pytest.mark.parametrize("kind", ["prefix", "sharedllm"])
def test_reopened_index_answers_as_the_fresh_one_token_for_token(tmp_path, kind, store_dtype):
    if kind == "prefix":
        first = tiny_llm(profile=tiny_profile(store_dtype=store_dtype))
        second = tiny_llm(profile=tiny_profile(store_dtype=store_dtype))
    else:
        profile = tiny_sharedllm_profile(store_dtype=store_dtype)
        first, second = (tiny_llm(profile=profile, adapter=True) for _ in range(2))
    fresh = Index.create(tmp_path, first)
    fresh.add(tiny_document(*PAGES))
    again = Index.open(tmp_path, second)
    questions = ["Where does the heron stand?", "What melts?", "How many lines?"]
    for question in questions:
        one, two = (ask(i, question) for i in (fresh, again))
        assert (one.text, one.citations, one.counts.answer_tokens) == (
            two.text,
            two.citations,
            two.counts.answer_tokens,
        )
        assert torch.equal(logits(fresh, question), logits(again, question))


def logits(index, question):
    """Of the question's last token over its stored rows."""
    query = Query(question, ALWAYS, SHORT)
    one = index.engine(query).prepare(query)
    llm = index.llm
    ids = one.ids if llm.profile.fusion == "joint" else (*llm.start_ids, *one.ids)
    with InjectedDecoder(
        llm.upper, llm.profile, [one.injection], front=llm.front, blocks=llm.blocks, capacity=len(ids)
    ) as decoder:
        return decoder.feed([ids])


@pytest.mark.parametrize("kind", ["prefix", "sharedllm"])
def test_many_questions_together_equal_one_by_one(tmp_path, kind):
    llm = tiny_llm(dtype=torch.float64, profile=tiny_profile(store_dtype="float64")) if kind == "prefix" else None
    if llm is None:
        profile = tiny_sharedllm_profile(store_dtype="float64")
        llm = tiny_llm(dtype=torch.float64, profile=profile, adapter=True)
    index = Index.create(tmp_path, llm)
    index.add(tiny_document(*PAGES))
    questions = [
        f"What about {word}?" for word in ("heron", "tin", "a sonnet of lines", "book", "nine", "x", "y", "z", "w")
    ]
    together = index.ask_many(questions, retrieval=ALWAYS, generation=SHORT)
    assert [a.text for a in together] == [ask(index, q).text for q in questions]
    assert [a.question for a in together] == questions


def test_stream_gives_the_same_answer_in_pieces(index):
    stream = index.stream("Where does the heron stand?", retrieval=ALWAYS, generation=SHORT)
    text = "".join(stream)
    assert stream.result.text == text.strip() == ask(index).text
    assert stream.result.citations == ask(index).citations


def test_async_forms_do_not_block_the_loop(index):
    async def run():
        rounds = []
        with loop_watch(index.llm) as watch, watch.watching():
            answer, many = await asyncio.gather(
                index.aask("Where does the heron stand?", retrieval=ALWAYS, generation=SHORT),
                index.aask_many(["What melts?", "How many lines?"], retrieval=ALWAYS, generation=SHORT),
            )
            rounds.append(watch.rounds)
            stream = index.astream("Where does the heron stand?", retrieval=ALWAYS, generation=SHORT)
            pieces = [piece async for piece in stream]
            rounds.append(watch.rounds - rounds[0])
        return answer, many, "".join(pieces), stream.result, rounds

    answer, many, text, streamed, rounds = asyncio.run(run())
    assert answer.text == streamed.text == text.strip()
    assert len(many) == 2
    assert rounds[0] >= 2 * rounds[1] >= 2 * SHORT.max_new_tokens  # a round at every step


def test_async_stream_hands_errors_over_and_can_be_left_early(index):
    async def run():
        with pytest.raises(EmptyQuestionError):
            async for _piece in index.astream("  "):
                pass
        stream = index.astream("Where?", retrieval=ALWAYS, generation=GenerationConfig(max_new_tokens=50))
        async for _piece in stream:
            break
        with pytest.raises(RuntimeError, match="not complete"):
            _ = stream.result

    asyncio.run(run())


def test_floor_answers_without_asking_the_model(index):
    answer = ask(index, "zebra quagga", retrieval=RetrievalConfig(relevance_floor=0.9))
    assert (answer.text, answer.found, answer.finish_reason) == (NOT_SAID, False, "not-found")
    assert answer.citations == ()
    assert answer.nearest, "where to look all the same"
    assert answer.counts.rows == answer.counts.bytes_read == 0
    assert "".join(index.stream("zebra quagga", retrieval=RetrievalConfig(relevance_floor=0.9))) == NOT_SAID


def test_model_answering_that_it_is_not_said_counts_as_not_found(index, monkeypatch):
    def says_so(self, batch):
        from sharedllm_docs.injection.generate import Generated

        yield from ()
        return [Generated(text="The document does not say", ids=[1], finish_reason="stop")]

    monkeypatch.setattr(Engine, "_generate", says_so)
    answer = ask(index)
    assert not answer.found
    assert answer.citations == ()
    assert answer.nearest
    assert answer.nearest[0].score == max(citation.score for citation in answer.nearest)


def test_evidence_text_stands_in_the_prompt(index):
    plain, longer = ask(index), ask(index, retrieval=RetrievalConfig(relevance_floor=0, budget=64, evidence_tokens=20))
    assert longer.counts.question_tokens > plain.counts.question_tokens
    selection = index.select("heron", retrieval=ALWAYS, generation=SHORT)
    text = evidence_text(selection, quoted(selection, "heron", 20))
    assert text
    assert all(piece in selection.documents[0].document.text for piece in text.split("\n\n"))


@pytest.mark.parametrize("selector", ["embedding", "hidden-state", "right-half"])
def test_selectors(index, selector):
    settings = RetrievalConfig(relevance_floor=0, budget=32, selector=selector, candidates=2)
    assert ask(index, retrieval=settings).counts.rows == 32


def test_whole_document_takes_part_when_it_fits(index):
    tokens = index.documents()[0].tokens
    everything = ask(index, retrieval=RetrievalConfig(relevance_floor=0, budget=tokens))
    assert everything.counts.rows == tokens
    # of a chunk's last, short leaf a node may not fit any more, but never more than the budget is used
    less = ask(index, retrieval=RetrievalConfig(relevance_floor=0, budget=tokens - 1))
    assert less.counts.rows < tokens


def test_several_documents(index):
    index.add(tiny_document("Tin is a soft metal from the mines of Cornwall.", name="metals.txt"))
    both = ask(index, "Where are the mines of Cornwall?")
    assert both.citations[0].document == "metals.txt"
    assert both.counts.documents == 2
    only = ask(index, "Where are the mines of Cornwall?", documents=["birds.txt"])
    assert {citation.document for citation in only.citations} == {"birds.txt"}


# -- documents ----------------------------------------------------------------------------------------------------


def test_nothing_is_read_twice(index, monkeypatch):
    monkeypatch.setattr(index.llm.encoder, "encode", lambda chunks: pytest.fail("encoded again"))
    again = index.add(tiny_document(*PAGES, name="birds.txt"))
    assert not again.new
    assert len(index.documents()) == 1


def test_an_edit_encodes_only_changed_chunks(index):
    before = index.documents()[0]
    edited = (*PAGES[:3], PAGES[3].replace("nine", "five"))
    added = index.add(tiny_document(*edited, name="birds-2.txt"))
    assert added.new
    assert added.chunks_encoded == 1
    assert added.chunks_reused == before.chunks - 1
    assert added.chunks_reused > 0


def test_answers_over_reused_chunks_equal_those_of_a_fresh_index(index, tmp_path, llm):
    edited = tiny_document(*PAGES[:3], PAGES[3].replace("nine", "five"), name="edited.txt")
    index.add(edited)
    fresh = Index.create(tmp_path / "fresh", llm)
    fresh.add(edited)
    for selector in ("embedding", "hidden-state"):
        settings = RetrievalConfig(relevance_floor=0, budget=64, selector=selector)
        one, two = (
            ask(i, "When does the keeper write?", documents=["edited.txt"], retrieval=settings) for i in (index, fresh)
        )
        assert (one.text, one.citations) == (two.text, two.citations)


def test_interruption_keeps_what_was_encoded(tmp_path, llm, monkeypatch):
    index = Index.create(tmp_path, llm)
    real, calls = llm.encoder.encode, []

    def interrupted(chunks):
        calls.append(len(chunks))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(chunks)

    monkeypatch.setattr(llm.encoder, "encode", interrupted)
    with pytest.raises(
        InterruptedIngestion, match=r"2 of \d+ chunks of birds.txt are stored; .* Add the same file again"
    ):
        index.add(tiny_document(*PAGES, name="birds.txt"))
    assert index.documents() == []
    monkeypatch.setattr(llm.encoder, "encode", real)
    assert index.add(tiny_document(*PAGES, name="birds.txt")).chunks_reused == 2


def test_estimate_and_disk_budget(tmp_path, llm):
    index = Index.create(tmp_path / "a", llm)
    document = tiny_document(*[" ".join(PAGES)] * 12)
    estimate = index.estimate(document).total
    real = index.add(document).document.bytes
    assert abs(estimate - real) / real < 0.02
    small = Index.create(tmp_path / "b", llm, max_bytes=real // 2)
    with pytest.raises(DiskBudgetError):
        small.add(document)
    assert small.documents() == []


def test_metadata_pages_and_issues_survive(tmp_path, llm):
    index = Index.create(tmp_path, llm)
    index.add(tiny_document(*PAGES), metadata={"title": "Four things"})
    info = Index.open(tmp_path, llm).documents()[0]
    assert (info.title, info.pages, info.name) == ("Four things", 4, "tiny.txt")


def test_remove_prune_verify_repair(index):
    assert index.verify().ok
    shard = next(p for p in sorted((index_path(index) / "shards").rglob("*.safetensors")))
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    report = index.verify()
    assert [damage.path for damage in report.damaged] == [shard.relative_to(index_path(index)).as_posix()]
    assert index.repair() == 1
    assert index.verify().ok
    assert ask(index).text
    index.remove("birds.txt")
    assert index.documents() == []
    assert index.prune() > 0


def index_path(index):
    from pathlib import Path

    return Path(index.url)


def test_tree_view_shows_which_branches_were_taken(index):
    plain = index.tree("birds.txt")
    assert {node.state for chunk in plain.chunks for node in chunk.nodes} == {""}
    asked = index.tree("birds.txt", "Where does the heron stand?", retrieval=RetrievalConfig(budget=16))
    taken = [node for chunk in asked.chunks for node in chunk.nodes if node.state == "taken"]
    assert sum(node.rows for node in taken) == 16
    assert all(node.level == 3 for node in taken)
    assert asked.chunks[0].selected
    assert {node.state for node in asked.chunks[0].nodes} == {"taken", "left"}


def test_memory_filesystem(llm):
    url = "memory://index-test"
    index = Index.create(url, llm)
    index.add(tiny_document(*PAGES))
    assert ask(Index.open(url, llm)).text == ask(index).text


# -- errors -------------------------------------------------------------------------------------------------------


def test_errors_of_questions(index, tmp_path, llm):
    with pytest.raises(EmptyQuestionError, match="is empty"):
        ask(index, " \n")
    with pytest.raises(QuestionError, match="which is not a character"):
        ask(index, "what \udce9?")
    with pytest.raises(QuestionTooLongError, match=r"window of 4096.*Shorten the question"):
        ask(index, "why " * 5000)
    with pytest.raises(ConfigError, match=r"budget=4090 rows exceed the \d+"):
        ask(index, retrieval=RetrievalConfig(budget=4090))
    with pytest.raises(DocumentNotFoundError, match=r"no document 'nothing.pdf'"):
        ask(index, documents=["nothing.pdf"])
    with pytest.raises(DocumentNotFoundError, match="contains no document"):
        ask(Index.create(tmp_path / "empty", llm))


def test_errors_of_documents(index):
    with pytest.raises(EmptyDocumentError, match="contains no text"):
        index.add(tiny_document("", ""))
    assert len(index.documents()) == 1


def test_errors_of_indexes(index, tmp_path, llm):
    with pytest.raises(IndexNotFoundError, match="no index at"):
        Index.open(tmp_path / "nowhere")
    with pytest.raises(StoreError, match="already"):
        Index.create(index.url, llm)
    with pytest.raises(IndexNotFoundError, match="model in memory"):
        ask(Index.open(index.url))


OTHERS = {
    "weights": lambda: tiny_llm(seed=1),
    "adapter": None,
    "tokenizer": None,
    "dtype": lambda: tiny_llm(dtype=torch.float64),
    "rope": lambda: tiny_llm(rope_parameters={"rope_type": "default", "rope_theta": 5000.0}),
    "layers": lambda: tiny_llm(profile=tiny_profile(layers=(2, 3))),
    "chunk_tokens": lambda: tiny_llm(profile=tiny_profile(chunk_tokens=128)),
    "depth": lambda: tiny_llm(profile=tiny_profile(depth=2, grains=(0, 1))),
    "grains": lambda: tiny_llm(profile=tiny_profile(grains=(4, 2, 1))),
    "keep": lambda: tiny_llm(profile=tiny_profile(keep="first")),
    "front": lambda: tiny_llm(profile=tiny_profile(front="none")),
    "store_dtype": lambda: tiny_llm(profile=tiny_profile(store_dtype="int8")),
    "embedder": lambda: tiny_llm(embedder=HashEmbedder("other")),
}


@pytest.mark.parametrize("field", [name for name, make in OTHERS.items() if make])
def test_an_index_of_another_model_or_setting_is_refused_by_name(index, field):
    with pytest.raises(FingerprintMismatchError) as caught:
        Index.open(index.url, OTHERS[field]())
    assert field in caught.value.differences
    assert f"{field} is" in str(caught.value)


def test_questions_in_several_threads_agree(index):
    from concurrent.futures import ThreadPoolExecutor

    questions = ["Where does the heron stand?", "What melts?", "How many lines?", "Who writes?"] * 2
    alone = [ask(index, question).text for question in questions]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda q: ask(index, q).text, questions)) == alone
