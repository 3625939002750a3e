"""Indexes of very many documents: opening, listing, asking within a folder, by metadata, and all. Behind docs/scale.md.

    python benchmarks/large_index.py make --folder /tmp/large --documents 10000
    python benchmarks/large_index.py measure --folder /tmp/large
    python benchmarks/large_index.py compare --folder /tmp/large --other /tmp/small --rounds 5
    python benchmarks/large_index.py parts --folder /tmp/large
    python benchmarks/large_index.py recall --documents 10000

``make`` writes an index of synthetic documents of 5,000 tokens each: words drawn as rarely as those of a language, with
words of their own for each of 500 topics; vectors near their topic's; rows of one layer, the same random numbers in
every shard. The decoder is a real model, whose answers mean nothing then; its times are those of any other index with
as many rows a question. ``measure`` does each step in a process of its own and prints its CPU seconds (user and system)
and its memory (peak of what is resident, files mapped into memory included). ``compare`` asks two indexes in turn, in
one process, so that both see the same machine. ``parts`` tells what a search among all leaves spends where. ``recall``
compares the exact search of the vectors with an approximate one by FAISS (``pip install faiss-cpu``), which this
project does not use: of made-up vectors, or with ``--texts FILE ...`` of passages of 100 words, asked for by the first
ten words of other passages.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs import Document, Index, Page, Profile, Section, SharedLLM
from sharedllm_docs.documents.chunks import Chunk
from sharedllm_docs.documents.tree import ContextTree, RowLayout
from sharedllm_docs.index.ingest import Ingestion
from sharedllm_docs.retrieval.prepared import EMBEDDINGS, NODE_VECTORS
from sharedllm_docs.store.shard import encode_shard

TOPICS, FOLDERS, YEARS = 500, 100, 20
VOCABULARY, OWN_WORDS = 60_000, 40
CREATED = "2026-01-01T00:00:00+00:00"
PROFILE = {"layers": (1, 1), "grains": (0, 0, 16)}
QUESTION = "Which {} has the {} of {}?"


# -- making it -----------------------------------------------------------------------------------------------------


def word(number: int) -> str:
    """A word that can be spoken, the same for the same number."""
    syllables = [f"{a}{b}" for a in "bdfgklmnprstvz" for b in "aeiou"]
    found = ""
    while number or not found:
        number, rest = divmod(number, len(syllables))
        found += syllables[rest]
    return found


class Maker:
    """Documents, with vectors of their leaves."""

    def __init__(self, size: int, words: int) -> None:
        self.size, self.words = size, words
        shared = np.random.default_rng(0)
        self.topics = shared.standard_normal((TOPICS, size)).astype(np.float32)
        chances = 1.0 / (np.arange(VOCABULARY) + 2.7)
        self.edges = np.cumsum(chances / chances.sum())
        self.vocabulary = [word(number) for number in range(VOCABULARY + TOPICS * OWN_WORDS)]

    def document(self, number: int) -> Document:
        """A document of one topic, in one of the folders."""
        chance = np.random.default_rng(1000 + number)
        drawn = np.searchsorted(self.edges, chance.random(self.words))
        own = chance.random(self.words) < 0.06
        topic = number % TOPICS
        drawn[own] = VOCABULARY + topic * OWN_WORDS + chance.integers(0, OWN_WORDS, int(own.sum()))
        words = [self.vocabulary[one] for one in drawn.tolist()]
        sentences = [" ".join(words[start : start + 14]).capitalize() + "." for start in range(0, len(words), 14)]
        pages = [" ".join(sentences[start : start + 25]) for start in range(0, len(sentences), 25)]
        return Document(
            f"folder-{number % FOLDERS:03}/report-{number:05}.txt",
            f"{number:064x}",
            "text",
            "1",
            tuple(Page(place, text) for place, text in enumerate(pages, start=1)),
            (Section(f"About {self.vocabulary[VOCABULARY + topic * OWN_WORDS]}", 1, 1, 0),),
            metadata={"year": str(2000 + number % YEARS)},
        )

    def vectors(self, number: int, leaves: int) -> NDArray[np.float32]:
        """Unit vectors around the topic's."""
        noise = np.random.default_rng(2000 + number).standard_normal((leaves, self.size)).astype(np.float32)
        found = self.topics[number % TOPICS] + 1.5 * noise
        return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), dtype=np.float32)


class Rows:
    """The rows of a chunk: the same numbers for all chunks of a length, hashed anew for each."""

    def __init__(self, llm: SharedLLM) -> None:
        self.llm = llm
        self.made: dict[int, Any] = {}

    def of(self, chunk: Chunk, key: str) -> Any:
        """An encoded shard."""
        if len(chunk) not in self.made:
            layout = RowLayout(ContextTree(self.llm.profile, len(chunk)))
            shape = (layout.num_rows, 1, self.llm.upper.kv_heads, self.llm.upper.head_dim)
            chance = np.random.default_rng(len(chunk))
            rows = [chance.standard_normal(shape).astype(np.float32) for _ in range(2)]
            self.made[len(chunk)] = (*rows, layout.blocks)
        keys, values, blocks = self.made[len(chunk)]
        return encode_shard(key, self.llm.profile.store_dtype, keys, values, blocks, None)


def make(given: argparse.Namespace) -> dict[str, Any]:
    """Write the index. Nothing is synced to the disk on the way: it can be made again."""
    os.fsync = lambda _descriptor: None  # type: ignore[assignment]
    llm = model(given)
    maker, rows = Maker(llm.embedder.size, given.words), Rows(llm)
    index = Index.create(given.folder, llm)
    tokens = 0
    with index._store.writer() as writer:
        for number in range(given.documents):
            document = maker.document(number)
            work = Ingestion(llm, document, lambda _progress: None, fingerprint=index._store.fingerprint)
            records = []
            for chunk, key in zip(work.chunks, work.keys, strict=True):
                record = writer.put_shard(rows.of(chunk, key))
                records.append(replace(record, start=chunk.start, end=chunk.end))
            leaves, nodes = work.prepared.first_leaf[-1], work.prepared._first_node[-1]
            vectors = {
                EMBEDDINGS: maker.vectors(number, leaves),
                NODE_VECTORS: np.zeros((nodes, llm.upper.hidden_size), dtype=np.float32),
            }
            writer.commit(document, records, work.tokens, vectors, created=CREATED)
            tokens += len(work.tokens)
    return {"documents": given.documents, "tokens": tokens}


# -- measuring it ---------------------------------------------------------------------------------------------------


def model(given: argparse.Namespace) -> SharedLLM:
    """The decoder, with rows of one layer."""
    import torch

    from sharedllm_docs.documents import terms

    torch.set_num_threads(1)
    terms.language_of = lambda _words: ""  # the words are of no language, but some look Spanish, and would be stemmed
    if given.model == "tiny":
        from tests.tiny_text import tiny_llm

        return tiny_llm(profile=Profile.prefix(**PROFILE, chunk_tokens=1024))
    return SharedLLM.from_pretrained(given.model, adapter="none", profile=Profile.prefix(**PROFILE), dtype="float32")


def questions(maker: Maker, count: int, seed: int = 0) -> list[tuple[str, NDArray[np.float32]]]:
    """Questions with words of a topic and a vector near the topic's: the embedder would know nothing of such words."""
    chance, found = random.Random(seed), []
    for _ in range(count):
        topic = chance.randrange(TOPICS)
        own = VOCABULARY + topic * OWN_WORDS
        words = [maker.vocabulary[own + chance.randrange(OWN_WORDS)] for _ in range(2)]
        noise = np.random.default_rng(chance.randrange(10**6)).standard_normal(maker.size).astype(np.float32)
        vector = maker.topics[topic] + 1.2 * noise
        question = QUESTION.format(words[0], words[1], maker.vocabulary[chance.randrange(2000)])
        found.append((question, vector / np.linalg.norm(vector)))
    return found


class Asking:
    """An index whose embedder gives each question the vector that was made for it."""

    def __init__(self, llm: SharedLLM, folder: str, asked: list[tuple[str, NDArray[np.float32]]]) -> None:
        self.vectors = dict(asked)
        self.index = Index.open(folder, llm)
        llm.embedder.encode = lambda texts: np.stack([self.vectors[text] for text in texts])  # type: ignore[method-assign]

    def first_token(self, question: str, **options: Any) -> None:
        """Ask until the first piece of the answer is there."""
        for _piece in self.index.stream(question, max_new_tokens=4, min_confidence=0, relevance_floor=0, **options):
            return


def step(given: argparse.Namespace) -> dict[str, Any]:
    """One step in this process, with what it took."""
    llm = model(given)
    asked = questions(Maker(llm.embedder.size, given.words), 8)
    warmed = Asking(llm, given.folder, asked) if given.step != "open" else None
    options: dict[str, Any] = {}
    if given.step == "folder":
        options["documents"] = [f"folder-007/report-{n:05}.txt" for n in range(7, given.documents, FOLDERS)]
    elif given.step == "metadata":
        options["where"] = {"year": "2007"}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    works: list[Callable[[], Any]]
    if warmed is None:
        works = [lambda: Index.open(given.folder, llm)]
    elif given.step == "list":
        works = [warmed.index.documents] * 2
    else:
        ask = warmed.first_token
        works = [lambda one=one: ask(one, **options) for one, _vector in asked]  # type: ignore[misc]
    spent = [cpu_seconds(work) for work in works]
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    later = statistics.median(spent[1:]) if spent[1:] else None
    return {
        "first, CPU s": round(spent[0], 3),
        "next, CPU s": None if later is None else round(later, 3),
        "memory before, MB": before // 1024,
        "memory, MB": after // 1024,
    }


def cpu_seconds(work: Callable[[], Any]) -> float:
    """User and system seconds of this process."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Each step in a process of its own."""
    found = {}
    for name in given.steps.split(","):
        command = [sys.executable, "-m", "benchmarks.large_index", "step", "--step", name, "--folder", given.folder]
        command += ["--model", given.model, "--documents", str(given.documents), "--words", str(given.words)]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found[name] = json.loads(told)
        print(name, json.dumps(found[name]), file=sys.stderr, flush=True)
    return found


def compare(given: argparse.Namespace) -> dict[str, Any]:
    """First token of both indexes in turn, each asked before: the ratio of their medians."""
    llm = model(given)
    asked = questions(Maker(llm.embedder.size, given.words), given.rounds + 1, seed=1)
    both = [Asking(llm, folder, asked) for folder in (given.folder, given.other)]
    times: list[list[float]] = [[], []]
    for number, (question, _vector) in enumerate(asked):
        for place, one in enumerate(both):
            spent = cpu_seconds(lambda one=one, question=question: one.first_token(question))  # type: ignore[misc]
            if number:
                times[place].append(spent)
    medians = [statistics.median(one) for one in times]
    return {
        "first token, CPU s": [round(one, 4) for one in medians],
        "ratio": round(medians[0] / medians[1], 3),
        "memory, MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


CELLS = (4, 16, 64, 256)
BEST = 24


def recall(given: argparse.Namespace) -> dict[str, Any]:
    """CPU time of an exact search and of one that looks into few of many cells, and what the latter finds."""
    try:
        import faiss
    except ImportError as error:
        raise SystemExit(f"FAISS is not installed ({error}). pip install faiss-cpu") from error
    faiss.omp_set_num_threads(1)
    vectors, asked, more = of_texts(given) if given.texts else made_up(given)
    count, size = vectors.shape
    cells = max(int(4 * count**0.5) // 256 * 256, 256)
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(size), size, cells, faiss.METRIC_INNER_PRODUCT)
    chosen = np.random.default_rng(0).permutation(count)[: 40 * cells]
    made = cpu_seconds(lambda: (index.train(vectors[chosen]), index.add(vectors)))
    kept_up = cpu_seconds(lambda: index.add(more))
    exact = each(lambda one: np.einsum("ij,j->i", vectors, one), asked)
    wanted = [set(np.argsort(-(vectors @ one))[:BEST].tolist()) for one in asked]
    found: dict[str, Any] = {
        "leaves": count,
        "cells": cells,
        "made, CPU s": round(made, 1),
        "a document added, CPU ms": round(1000 * kept_up, 2),
        "exact, CPU ms": exact,
    }
    for looked in CELLS:
        index.nprobe = looked
        hits = [
            len(set(index.search(one[None], BEST)[1][0].tolist()) & want)
            for one, want in zip(asked, wanted, strict=True)
        ]
        found[f"{looked} cells looked into"] = {
            "CPU ms": each(lambda one: index.search(one[None], BEST), asked),
            f"recall at {BEST}": round(float(np.mean(hits)) / BEST, 3),
        }
    return found


Searched = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
"""Vectors of leaves, of questions, and of the leaves of one more document."""


def made_up(given: argparse.Namespace) -> Searched:
    """Vectors around those of topics, which are far apart: cells part them better than they part texts."""
    maker, leaves, size = Maker(384, given.words), 40, 384
    vectors = np.empty((given.documents * leaves, size), dtype=np.float32)
    for number in range(given.documents):
        vectors[number * leaves : (number + 1) * leaves] = maker.vectors(number, leaves)
    asked = np.stack([vector for _question, vector in questions(maker, 32)])
    return vectors, asked, maker.vectors(given.documents, leaves)


def of_texts(given: argparse.Namespace) -> Searched:
    """Vectors of passages of files, by the embedder; every fiftieth passage is asked for, and not searched."""
    passages, asked = list[str](), list[str]()
    for name in given.texts:
        words = Path(name).read_text(encoding="utf-8", errors="replace").split()
        cut = [words[start : start + 100] for start in range(0, len(words), 100)]
        asked += [" ".join(one[:10]) for one in cut[::50]]
        passages += [" ".join(one) for place, one in enumerate(cut) if place % 50]
    embedder = model(given).embedder
    vectors = np.concatenate([embedder.encode(passages[start : start + 64]) for start in range(0, len(passages), 64)])
    return vectors[:-40], embedder.encode(asked[:64]), vectors[-40:]


def each(work: Callable[[NDArray[np.float32]], Any], asked: NDArray[np.float32]) -> float:
    """CPU milliseconds of a question, at the median."""
    return round(1000 * statistics.median(cpu_seconds(lambda one=one: work(one)) for one in asked), 2)  # type: ignore[misc]


def parts(given: argparse.Namespace) -> dict[str, Any]:
    """CPU milliseconds of the parts of a search among all leaves, at the median; the documents are not made ready."""
    from sharedllm_docs.documents.terms import terms
    from sharedllm_docs.retrieval import segments

    llm = model(given)
    asked = questions(Maker(llm.embedder.size, given.words), given.rounds + 1)
    one = Asking(llm, given.folder, asked)
    for question, _vector in asked[:2]:
        one.index.search(question)
    index = one.index
    kept: list[Any] = []
    scores = segments.SegmentedIndex.scores

    def noted(self: Any, *arguments: Any) -> Any:
        kept[:] = [self]
        return scores(self, *arguments)

    segments.SegmentedIndex.scores = noted  # type: ignore[method-assign]
    whole, spent = [], {"vectors": list[float](), "words": list[float](), "manifests": list[float]()}
    for question, vector in asked[1:]:
        whole.append(cpu_seconds(lambda question=question: index.search(question)))  # type: ignore[misc]
        found = kept[0]
        spent["vectors"].append(cpu_seconds(lambda found=found, vector=vector: found._dense(vector)))  # type: ignore[misc]
        words = list(dict.fromkeys(terms(question)))
        spent["words"].append(cpu_seconds(lambda found=found, words=words: found._lexical(words)))  # type: ignore[misc]
        spent["manifests"].append(cpu_seconds(index._store.documents))
    medians = {name: round(1000 * statistics.median(values), 1) for name, values in spent.items()}
    return {"search, CPU ms": round(1000 * statistics.median(whole), 1), **medians}


COMMANDS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "make": make,
    "step": step,
    "measure": measure,
    "compare": compare,
    "recall": recall,
    "parts": parts,
}


def main() -> None:
    """Do one of the commands and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--folder", default="")
    parser.add_argument("--other")
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--words", type=int, default=2_460, help="of a document; a word is about two tokens")
    parser.add_argument("--texts", nargs="*", help="of recall")
    parser.add_argument("--step", default="open")
    parser.add_argument("--steps", default="open,list,folder,metadata,all")
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    os.environ["SHAREDLLM_DOCS_PROCESS"] = "own"
    print(json.dumps(COMMANDS[given.command](given), indent=None if given.command == "step" else 2))


if __name__ == "__main__":
    main()
