"""Documents whose passages have no vectors yet: few are made for a question, all by reading on, and none is damage."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from sharedllm_docs import Index
from sharedllm_docs.errors import ConfigError, DamagedIndexError, InterruptedIngestion
from sharedllm_docs.index import ingest
from sharedllm_docs.retrieval import candidates
from sharedllm_docs.retrieval.candidates import LeafIndex
from sharedllm_docs.retrieval.prepared import EMBEDDINGS
from tests.test_reading import LONG, WORDS, ask, unread, without_dates
from tests.tiny_text import HashEmbedder, tiny_document
from tests.waiting import PATIENCE

FIRST = 6
SHORT = tiny_document("One line about a kettle. Another one about a spoon.", name="short.txt")


@pytest.fixture(autouse=True)
def embedded(monkeypatch):
    """A question waits for six vectors; the texts that are embedded, in order."""
    texts: list[str] = []
    encode = HashEmbedder.encode

    def noted(self, given):
        texts.extend(given)
        return encode(self, given)

    monkeypatch.setattr(candidates, "EMBEDDED_FIRST", FIRST)
    monkeypatch.setattr(ingest, "EMBEDDED_FIRST", FIRST)
    monkeypatch.setattr(HashEmbedder, "encode", noted)
    return texts


def later(path, llm, *documents):
    index = Index.create(path, llm)
    for document in documents or (LONG,):
        index.add(document, encode="when-asked", embed="when-asked")
    return index


def stored(index, name="long.txt"):
    """The vectors of the passages as they are stored."""
    return index._store.vectors(index._store.get(name))[EMBEDDINGS]


def test_adding_embeds_nothing_and_a_question_what_it_needs(tmp_path, llm, embedded):
    index = later(tmp_path, llm)
    assert embedded == []
    assert not stored(index).any()
    first = ask(index, "What of the violin?")
    passages = [text for text in embedded if text != "What of the violin?"]
    assert len(passages) == FIRST
    leaves = index._library.prepared(index._store.get("long.txt")).leaf_texts
    holding = sum("violin" in text for text in leaves)  # a leaf may be cut off in the midst of the word
    assert sum("violin" in text for text in passages) == holding > 0
    assert any("violin" in citation.quote for citation in first.citations)
    embedded.clear()
    ask(index, "What of the violin?")
    assert [text for text in embedded if text != "What of the violin?"] == [], "they are kept in memory"


def test_a_document_of_few_passages_is_embedded_at_once(tmp_path, llm):
    index = later(tmp_path, llm, SHORT)
    assert len(stored(index, "short.txt")) <= FIRST
    assert stored(index, "short.txt").any(axis=1).all()


def test_reading_on_makes_the_very_bytes_that_adding_makes(tmp_path, llm):
    whole = Index.create(tmp_path / "whole", llm)
    whole.add(LONG)
    index = later(tmp_path / "later", llm)
    ask(index)
    index.read()
    assert stored(index).any(axis=1).all()
    assert unread(index) == 0
    assert without_dates(whole.url) == without_dates(index.url)
    assert ask(index).text == ask(whole).text


@pytest.mark.parametrize("encode", ["background", "when-asked", "all"])
def test_only_the_background_embeds_later_unless_asked_to(tmp_path, llm, encode, monkeypatch):
    monkeypatch.setattr("sharedllm_docs.index.reading.Reading.start", lambda *_given: None)
    index = Index.create(tmp_path, llm)
    index.add(LONG, encode=encode)
    assert stored(index).any() == (encode != "background")


def test_the_background_embeds_before_it_encodes_and_tells(tmp_path, llm):
    index, steps = Index.create(tmp_path, llm), []
    index.add(LONG, encode="background", progress=lambda step: steps.append((step.stage, step.done, step.total)))
    assert index.wait(60)
    assert stored(index).any(axis=1).all()
    assert unread(index) == 0
    leaves = len(stored(index))
    assert ("embed", leaves, leaves) in steps
    encoding = [number for number, step in enumerate(steps) if step[0] == "encode" and step[1]]
    assert steps.index(("embed", leaves, leaves)) < encoding[0]


def test_another_process_sees_the_vectors_as_soon_as_they_are_stored(tmp_path, llm, embedded):
    index = later(tmp_path, llm)
    other = Index.open(tmp_path, llm)
    ask(other)
    index.read()
    embedded.clear()
    ask(other)
    assert len(embedded) == 1, "the question alone"


@pytest.mark.parametrize("again", [False, True], ids=["read", "added again"])
def test_questions_that_read_all_chunks_leave_the_vectors_to_read(tmp_path, llm, again):
    index = later(tmp_path, llm)
    for word in WORDS:
        ask(index, f"What of the {word}?")
    index._reading.settle(index._store.get("long.txt"), range(index.document("long.txt").chunks))
    assert unread(index) == 0
    assert not stored(index).any()
    assert index.verify().ok
    if again:
        assert not index.add(LONG).new
    else:
        index.read("long.txt")
    assert stored(index).any(axis=1).all()


def test_a_question_whose_words_are_nowhere_has_all_passages_embedded(tmp_path, llm, embedded):
    index = later(tmp_path, llm)
    ask(index, "Xyzzy?")
    assert len(embedded) - 1 == len(stored(index))


def test_summaries_and_search_over_very_many_documents_need_all_vectors(tmp_path, llm, monkeypatch, embedded):
    index = later(tmp_path, llm)
    expected = Index.create(tmp_path / "whole", llm)
    expected.add(LONG)
    summary = index.summarise("long.txt")
    assert summary.text == expected.summarise("long.txt").text
    monkeypatch.setattr("sharedllm_docs.index.library.is_large", lambda records: True)
    again = Index.open(tmp_path, llm)
    assert ask(again, "What of the violin?").text == ask(expected, "What of the violin?").text
    assert not stored(again).any()  # the search index has them, and the document still none
    embedded.clear()
    ask(Index.open(tmp_path, llm), "What of the violin?")
    assert embedded == ["What of the violin?"]


def test_it_is_no_damage_and_the_document_is_there_already(tmp_path, llm, embedded):
    index = later(tmp_path, llm)
    report = index.verify()
    assert (report.ok, report.unread) == (True, unread(index))
    assert not index.add(LONG, encode="when-asked", embed="when-asked").new
    assert embedded == []
    index.add(LONG)  # reads what is left
    assert stored(index).any(axis=1).all()


def test_ctrl_c_while_it_embeds_leaves_the_document_as_it_was(tmp_path, llm, monkeypatch):
    index = later(tmp_path, llm)
    encode = HashEmbedder.encode

    def interrupted(self, texts):
        raise KeyboardInterrupt

    monkeypatch.setattr(HashEmbedder, "encode", interrupted)
    with pytest.raises(InterruptedIngestion, match=r"0 of \d+ chunks of long\.txt are read"):
        index.read()
    monkeypatch.setattr(HashEmbedder, "encode", encode)
    assert not stored(index).any()
    index.read()
    assert stored(index).any(axis=1).all()


def test_an_unknown_way_to_embed_is_refused(tmp_path, llm):
    with pytest.raises(ConfigError, match=r"embed='never' is not one of all, when-asked"):
        Index.create(tmp_path, llm).add(LONG, embed="never")


def test_an_embedder_may_give_zeros_for_some_passages(tmp_path, llm, embedded, monkeypatch):
    encode = HashEmbedder.encode

    def with_zeros(self, texts):
        return encode(self, texts) * np.array([["violin" not in text] for text in texts], np.float32)

    monkeypatch.setattr(HashEmbedder, "encode", with_zeros)
    index = later(tmp_path, llm)
    index.read()
    assert not stored(index).any(axis=1).all()
    embedded.clear()
    index.read("long.txt")
    index.summarise("long.txt")
    assert embedded == [], "they are made"
    ask(index, "What of the copper?")
    assert len(embedded) == 1, "the question alone"


def test_the_background_tells_while_questions_can_be_answered(tmp_path, llm):
    """Whoever is told may wait for a question's answer: the model is not locked meanwhile."""
    index, answers, told = Index.create(tmp_path, llm), [], []

    def tell(step):
        here = threading.current_thread().name
        if step.stage in ("embed", "encode") and step.stage not in told and here == "sharedllm-docs-reading":
            told.append(step.stage)
            asked = threading.Thread(target=lambda: answers.append(ask(index).text), daemon=True)
            asked.start()
            asked.join(PATIENCE)

    index.add(LONG, encode="background", progress=tell)
    assert index.wait(2 * PATIENCE)
    assert (len(answers), told) == (2, ["embed", "encode"])


def test_two_questions_at_once_get_what_they_would_get_one_after_the_other(monkeypatch):
    """The second one comes while vectors are made for the first; none are written while cosines are computed."""
    order = ("heron", "tin")
    texts = [f"the {word} of line {line}" for line in range(8) for word in ("heron", "tin")]
    encode = HashEmbedder().encode
    first_embeds, go_on = threading.Event(), threading.Event()

    def slow(passages):
        if not first_embeds.is_set():
            first_embeds.set()
            assert go_on.wait(PATIENCE)
        return encode(passages)

    def scores(index, word):
        return index.search(f"Where is the {word}?", encode([word])[0]).dense

    nothing = np.zeros((len(texts), HashEmbedder.SIZE), np.float32)
    one_by_one = LeafIndex(texts, [""] * len(texts), nothing.copy(), encode)
    expected = [scores(one_by_one, word) for word in order]
    index = LeafIndex(texts, [""] * len(texts), nothing.copy(), slow)
    found: dict[str, np.ndarray] = {}
    einsum, alone = np.einsum, list[bool]()
    monkeypatch.setattr(np, "einsum", lambda *given: (alone.append(index._filling.locked()), einsum(*given))[1])
    threads = [threading.Thread(target=lambda word=word: found.update({word: scores(index, word)})) for word in order]
    threads[0].start()
    assert first_embeds.wait(PATIENCE)
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join(PATIENCE)
    for word, wanted in zip(order, expected, strict=True):
        np.testing.assert_array_equal(found[word], wanted)
    assert alone == [True, True]


def test_ctrl_c_at_the_end_of_the_rest_names_the_document(tmp_path, llm, monkeypatch):
    """All chunks are read, and the vectors are not stored: what is stopped has a name all the same."""
    from types import SimpleNamespace

    from sharedllm_docs.cli.question_commands import _read_rest

    def stopped(_screen, index, key):
        index._reading.settle(index._store.get(key), range(index.document(key).chunks))
        raise KeyboardInterrupt

    monkeypatch.setattr("sharedllm_docs.cli.index_commands.read_on", stopped)
    index, notes = later(tmp_path, llm), []
    screen = SimpleNamespace(note=notes.append, report=lambda _sentence: None)
    _read_rest(screen, index, [index.document("long.txt").key], "ix")
    assert unread(index) == 0
    assert len(notes) == 1
    assert notes[0].startswith("Stopped reading long.txt; ")


def test_leaves_without_vectors_rank_by_their_words_alone():
    texts = ["the heron stands", "a heron flies", "copper is red", "tin is soft", "zinc is blue"]
    embed = HashEmbedder().encode
    vectors = np.zeros((5, HashEmbedder.SIZE), np.float32)
    vectors[2:] = embed(texts[2:])
    made = []

    def noted(passages):
        made.extend(passages)
        return embed(passages)

    index = LeafIndex(texts, [""] * 5, vectors.copy(), noted)
    scores = index.search("Where is the heron?", embed(["heron"])[0])
    assert set(made) == {"the heron stands", "a heron flies"}
    full = LeafIndex(texts, [""] * 5, embed(texts)).search("Where is the heron?", embed(["heron"])[0])
    np.testing.assert_array_equal(scores.fused, full.fused)
    untouched = LeafIndex(texts, [""] * 5, vectors.copy()).search("Where is the heron?", embed(["heron"])[0])
    assert (untouched.dense[:2] == 0).all()


def test_a_damaged_vectors_file_does_not_stop_the_reading_of_other_documents(tmp_path, llm):
    index = later(tmp_path, llm, LONG, tiny_document(*(f"Of the {word} again. " * 6 for word in WORDS), name="two.txt"))
    record = index._store.get("long.txt")
    (tmp_path / record.file_path("vectors")).write_bytes(b"nonsense")
    again = Index.open(tmp_path, llm)
    again.read_in_background()
    with pytest.raises(DamagedIndexError, match="vectors"):
        again.wait(60)
    assert unread(again, "two.txt") == 0
    assert unread(again) > 0
