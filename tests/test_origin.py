"""Which of several documents an answer stands on, and which others the question may have meant."""

from __future__ import annotations

import pytest

from sharedllm_docs import Document, GenerationConfig, Index, RetrievalConfig
from sharedllm_docs.documents.chunks import split_into_chunks
from sharedllm_docs.documents.tokens import tokenize
from sharedllm_docs.retrieval.cite import cite
from sharedllm_docs.retrieval.origin import origin
from sharedllm_docs.retrieval.prepared import EMBEDDINGS, PreparedDocument
from sharedllm_docs.retrieval.query import Query
from sharedllm_docs.retrieval.searcher import Searcher
from tests.tiny_text import HashEmbedder, tiny_document, tiny_profile, tiny_tokenizer

LEASE = "The contract of lease. Notice is five weeks. Signed by {}. "
FOLDER = {
    "amber.txt": LEASE.format("Ada Moss"),
    "basalt.txt": LEASE.format("Ben Reed"),
    "cobalt.txt": LEASE.format("Cy Vale"),
    "soup.txt": "Peel the potatoes. Boil them in stock. Salt the soup. ",
}
PROFILE = tiny_profile(chunk_tokens=1024).resolve(4)


def selected(question, folder):
    documents = []
    for name, text in folder.items():
        document = tiny_document(text, name=name)
        tokens = tokenize(document, tiny_tokenizer())
        made = PreparedDocument(name, document, tokens, split_into_chunks(len(tokens), PROFILE.chunk_tokens), PROFILE)
        made.vectors = {EMBEDDINGS: HashEmbedder().encode(made.leaf_texts)}
        documents.append(made)
    query = Query(question, RetrievalConfig(candidates=8))
    return Searcher(documents, PROFILE).select(query, HashEmbedder().encode([question])[0], 10_000)


def origin_of(question, answer, folder=FOLDER, **options):
    selection = selected(question, folder)
    return origin(selection, cite(selection, question, answer, 8), answer, **options)


@pytest.mark.parametrize("answer", ["Ada Moss", "Ben Reed", "Cy Vale"])
def test_a_document_named_loosely_is_one_of_several(answer):
    stands, alike = origin_of("Who signed the contract?", answer)
    (own,) = stands
    assert answer in FOLDER[own]
    assert {own, *alike} == {"amber.txt", "basalt.txt", "cobalt.txt"}


@pytest.mark.parametrize("name", ["amber.txt", "basalt.txt", "cobalt.txt"])
def test_a_question_that_names_its_document_fits_no_other(name):
    own = {**FOLDER, name: FOLDER[name].replace("lease", "lease of the quarry quarry")}
    assert origin_of("Who signed the lease of the quarry?", "nobody", own) == ((name,), ())


def test_what_several_documents_say_stands_on_all_of_them():
    stands, alike = origin_of("How many weeks is the notice of the contract?", "five weeks")
    assert (set(stands), alike) == ({"amber.txt", "basalt.txt", "cobalt.txt"}, ())


def test_a_subject_that_one_document_treats_is_of_no_other():
    assert origin_of("Who peels the potatoes?", "potatoes") == (("soup.txt",), ())


def test_one_document_has_no_others():
    assert origin_of("Who signed the contract?", "Ada Moss", {"amber.txt": FOLDER["amber.txt"]}) == (("amber.txt",), ())


def test_marks_name_all_that_an_answer_stands_on():
    stands, _alike = origin_of("Who signed the contract?", "Ada Moss and Ben Reed and Cy Vale.", every=True)
    assert {"amber.txt", "basalt.txt", "cobalt.txt"} <= set(stands)


def test_two_versions_under_one_name_are_named_once():
    selection = selected("Who signed the contract?", FOLDER)
    assert origin(selection, (), "Ada Moss") == ((), ())


def test_answers_of_an_index_carry_it(tmp_path, llm):
    index = Index.create(tmp_path / "index", llm)
    for name, text in FOLDER.items():
        index.add(Document.from_text(text, name=name))
    always = {"retrieval": RetrievalConfig(relevance_floor=0), "generation": GenerationConfig(max_new_tokens=4)}
    for options in ({}, {"style": "full"}, {"instructions": "Be brief."}):
        answer = index.ask("Who signed the contract?", **always, **options)
        assert answer.found
        assert set(answer.documents) <= {one.document for one in answer.citations}
        assert len(answer.documents) >= 1
        assert not {*answer.documents} & {*answer.alike}
        assert {*answer.documents, *answer.alike} >= {"amber.txt", "basalt.txt", "cobalt.txt"}
    declined = index.ask("Who signed the contract?", relevance_floor=1)
    assert (declined.documents, declined.alike) == ((), ())
    summary = index.summarise("soup.txt", max_new_tokens=4)
    assert (summary.documents, summary.alike) == (("soup.txt",), ())
