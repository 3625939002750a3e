"""Runs in processes of its own: ingests into, or asks, an index with the tiny model. Used by test_index_faults."""

from __future__ import annotations

import torch

from sharedllm_docs import GenerationConfig, Index, RetrievalConfig
from tests.tiny_text import tiny_document, tiny_llm
from tests.waiting import counting_calls

SHORT = GenerationConfig(max_new_tokens=4)
ALWAYS = RetrievalConfig(relevance_floor=0, budget=32)
QUESTION = "Where does the heron stand?"


def document(number):
    """A document of some chunks; all share their first pages, so that chunks are shared too."""
    shared = "The heron stands in the river and waits for fish. " * 6
    own = f"Number {number} is written here. " * 8
    return tiny_document(shared, own, f"The end of number {number}.", name=f"{number}.txt")


def add(url, numbers, dies_at=None, counted=None):
    """Add documents one after another; dies at that function call, or puts how many there were into ``counted``."""
    torch.set_num_threads(1)
    llm = tiny_llm()
    index = Index.open_or_create(url, llm)
    if dies_at is None and counted is None:
        for number in numbers:
            index.add(document(number))
        return
    with counting_calls(dies_at) as calls:
        for number in numbers:
            index.add(document(number))
    counted.put(calls())


def ask_often(url, times, results):
    """Ask again and again while others write; puts the number of answers, or the error, into ``results``."""
    torch.set_num_threads(1)
    try:
        llm = tiny_llm()
        for _turn in range(times):
            index = Index.open(url, llm)
            answer = index.ask(QUESTION, documents=["0.txt"], retrieval=ALWAYS, generation=SHORT)
            index.documents()
        results.put(answer.text)
    except BaseException as error:
        results.put(error)
        raise


def read_lazily(url, question, *, background, dies_at=None, counted=None, results=None):
    """Ask a document that is not wholly read, while the rest is read in the background or left.

    Dies at that function call, or puts how many there were into ``counted``; puts the answer into ``results``.
    """
    torch.set_num_threads(1)
    llm = tiny_llm()
    with counting_calls(dies_at) as calls:
        index = Index.open(url, llm)
        if background:
            index.read_in_background()
        text = index.ask(question, retrieval=ALWAYS, generation=SHORT).text
        assert index.wait()
    if counted is not None:
        counted.put(calls())
    if results is not None:
        results.put(text)
