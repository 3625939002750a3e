"""The main job with the real default model on the real example; models are fetched once into the user's cache."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pypdfium2
import pytest

from sharedllm_docs import GenerationConfig, Index, Profile, ReadOptions, RetrievalConfig, SharedLLM
from sharedllm_docs.model.digests import weights_digest
from sharedllm_docs.retrieval.answer import NOT_SAID, words
from tests.store_helpers import read_rows

pytestmark = pytest.mark.e2e
PDF = Path(__file__).resolve().parent.parent / "examples" / "R-intro.pdf"
PART = ReadOptions(pages="7-26")
SHORT = GenerationConfig(max_new_tokens=8)


@pytest.fixture(scope="module")
def llm():
    return SharedLLM.from_pretrained("smollm2-135m-instruct")  # quick to read with


@pytest.fixture(scope="module")
def index(llm, tmp_path_factory):
    index = Index.create(tmp_path_factory.mktemp("index"), llm)
    index.add(PDF, options=PART)
    return index


PAGES = {
    "How do I quit R?": 9,
    "Which operators are used for assignment?": 14,
    "Which function sorts a vector?": 15,
    "What does the function tapply do?": 24,
    "Which value stands for missing data?": 17,
}


@pytest.mark.parametrize("question", PAGES)
def test_the_right_page_is_among_the_passages(index, question):
    found = index.search(question, k=3)
    assert PAGES[question] in {page for passage in found for page in range(passage.page, passage.last_page + 1)}


def test_answers_cite_the_right_pages_or_decline(index):
    """The small model declines now and then; what it answers stands on the right page."""
    answers = [index.ask(question, generation=SHORT) for question in PAGES]
    given = [answer for answer in answers if answer.found]
    assert len(given) >= 3
    for answer in given:
        page = PAGES[answer.question]
        assert page in answer.pages[:3]
        assert next(citation for citation in answer.citations if citation.page == page).quote
    assert all(answer.text == NOT_SAID for answer in answers if not answer.found)


def test_the_default_embedder_gives_the_vectors_and_digest_of_sentence_transformers(llm, monkeypatch):
    from sentence_transformers import SentenceTransformer

    from sharedllm_docs.model.zoo import DEFAULT_EMBEDDER, ensure

    texts = [
        "How do I quit R?",
        "",
        "naïve Ünïcode — 你好 read.table(x)",
        "word " * 400,
        *("abc " * n for n in range(45)),
    ]
    # in float32, as the other computes; where there are units for bfloat16 the project's own takes them
    monkeypatch.setattr("sharedllm_docs.model.embedder.has_bfloat16_units", lambda device: False)
    other = SentenceTransformer(str(ensure(DEFAULT_EMBEDDER)), device="cpu")
    assert np.array_equal(llm.embedder.encode(texts), other.encode(texts, batch_size=32, normalize_embeddings=True))
    assert weights_digest(llm.embedder._load().state_dict()) == weights_digest(other.state_dict())


def test_an_embedded_model_answers_with_its_own_adapter(llm, index):
    assert llm.adapter is not None
    assert not llm.adapter.changes_rows
    assert index.fingerprint["adapter"] is None
    assert llm.question_default("budget") == index.ask("How do I quit R?", generation=SHORT).counts.rows == 512
    right = {"Which operators are used for assignment?": "<-", "Which value stands for missing data?": "NA"}
    for question, wanted in right.items():
        assert index.ask(question, generation=SHORT).text.strip("`'\". ") == wanted


def test_the_boxes_of_the_first_citation_hold_the_words_of_the_answer(tmp_path):
    """The README's question to the default model: what PDFium finds in the boxes, in the file itself."""
    index = Index.create(tmp_path / "index", SharedLLM.from_pretrained())
    index.add(PDF, encode="when-asked")
    answer = index.ask("Which function draws a histogram?")
    assert answer.text.strip("`'\"(). ") == "hist"
    citation = answer.citations[0]
    assert citation.page == 43
    assert {box.page for box in citation.boxes} == set(range(citation.page, citation.last_page + 1))
    found = " ".join(map(text_in, citation.boxes))
    assert "hist" in words(found)
    assert words(found) == words(citation.quote), "these words, and no others beside them"


def text_in(box):
    """Text whose glyphs stand in a rectangle of the example, as PDFium reads it."""
    with pypdfium2.PdfDocument(PDF) as document:
        page = document[box.page - 1].get_textpage()
        return page.get_text_bounded(box.left, box.bottom, box.right, box.top)


def test_a_question_about_something_else_is_not_answered(index):
    answer = index.ask("Who won the football world cup in Brazil?", generation=SHORT)
    assert answer.text == "The document does not say."
    assert answer.citations == ()


def test_another_process_answers_from_the_store_the_same(index):
    question = "How do I quit R?"
    here = index.ask(question, generation=SHORT)
    command = [
        sys.executable,
        "-m",
        "sharedllm_docs",
        "ask",
        question,
        "--index",
        index.url,
        "--max-tokens",
        "8",
        "--json",
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    there = json.loads(result.stdout)
    assert there["text"] == here.text
    assert [c["page"] for c in there["citations"]] == [c.page for c in here.citations]


def test_the_first_answer_token_equals_an_ordinary_pass_over_one_chunk(llm, tmp_path):
    """A document that fits one chunk, stored unquantised: the model's own choice over the same tokens."""
    import torch

    whole = Profile.prefix(store_dtype="float32", layers=(1, 30))
    exact = SharedLLM.from_pretrained("smollm2-135m-instruct", dtype="float32", profile=whole)
    index = Index.create(tmp_path, exact)
    index.add(PDF, options=ReadOptions(pages="9"))
    settings = RetrievalConfig(budget=1024, relevance_floor=0, min_confidence=0)
    question = "How do I quit R?"
    answer = index.ask(question, retrieval=settings, generation=SHORT)
    document = index.select(question, retrieval=settings, generation=SHORT).documents[0]
    assert len(document.tokens) == answer.counts.rows <= 1024
    ids = [*exact.start_ids, *document.tokens.ids.tolist(), *exact.template.question_ids(exact.tokenizer, question)]
    with torch.inference_mode():
        plain = exact.upper.model.generate(torch.tensor([ids]), max_new_tokens=8, do_sample=False)[0, len(ids) :]
    assert exact.tokenizer.decode(plain, skip_special_tokens=True).strip() == answer.text


def test_rows_in_few_bits_are_near_what_was_encoded(llm, index):
    """Of the real model's rows: mean relative error of keys and values as stored against as encoded."""
    import torch

    from sharedllm_docs.store import IndexStore
    from sharedllm_docs.store.formats import FORMATS
    from sharedllm_docs.store.quantise import as_array

    store = IndexStore.open(index.url)
    record = store.documents()[0]
    stored = read_rows(store, record, 0, list(range(256)), torch.float32)
    ids = store.tokens(record).ids[:1024].tolist()
    encoded = llm.encoder.encode([ids])[0]
    exact = [rows.float() for rows in (encoded.keys, encoded.values)]
    errors = {"index": [_relative(made, whole[:256]) for made, whole in zip(stored, exact, strict=True)]}
    for name in ("int8", "int4"):
        packed = FORMATS[name].pack(*map(as_array, exact))
        made = [torch.empty_like(rows) for rows in exact]
        FORMATS[name].unpack_into({n: torch.from_numpy(a) for n, a in packed.items()}, *made)
        errors[name] = [_relative(ours, whole) for ours, whole in zip(made, exact, strict=True)]
    assert llm.profile.store_dtype == "int4"
    assert max(errors["int8"]) < 0.02
    assert 0.02 < max(errors["int4"]) < 0.14
    assert max(errors["index"]) < 0.14


def _relative(made, exact):
    return float((made - exact).pow(2).mean().sqrt() / exact.pow(2).mean().sqrt())


def test_questions_asked_together_are_answered_as_alone(index):
    """Over the desk of the server, joining one batch; in bfloat16 a batch may tip a word."""
    import asyncio

    from sharedllm_docs.serving.desk import Desk

    async def ask_all():
        desk = Desk({"docs": index})
        answers = await asyncio.gather(*(desk.ask("docs", question, {"max_new_tokens": 8}) for question in PAGES))
        await desk.close()
        return answers

    together = asyncio.run(ask_all())
    alone = [index.ask(question, max_new_tokens=8) for question in PAGES]
    assert sum(a.draft + a.text == b.draft + b.text for a, b in zip(together, alone, strict=True)) >= len(PAGES) - 1
    for ours, theirs in zip(together, alone, strict=True):
        assert (ours.citations or ours.nearest)[0].page == (theirs.citations or theirs.nearest)[0].page
        assert ours.confidence == pytest.approx(theirs.confidence, abs=0.1)
