"""The project's own profiles as systems: documents in an index, answers from the engine.

Every fingerprint has an index in a folder of its own, so that settings never mix.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from sharedllm_docs.config import GenerationConfig, RetrievalConfig
from sharedllm_docs.documents.document import Document
from sharedllm_docs.errors import NotMeasurableError
from sharedllm_docs.evaluation.policies import Policy, PolicySearcher
from sharedllm_docs.evaluation.systems.base import Loss, System, SystemAnswer
from sharedllm_docs.evaluation.systems.evidence import seen
from sharedllm_docs.evaluation.systems.plain import loss_of
from sharedllm_docs.evaluation.systems.recent import KEPT, identity
from sharedllm_docs.index.engine import Engine
from sharedllm_docs.index.index import Index
from sharedllm_docs.index.reading import Encode
from sharedllm_docs.injection.decoder import InjectedDecoder, Injection, positions_of
from sharedllm_docs.model.shared_llm import SharedLLM
from sharedllm_docs.retrieval.query import Query
from sharedllm_docs.retrieval.searcher import Selection


class InjectedSystem(System):
    """Answers from an index.

    Args:
        name: name of the system.
        llm: the model, with the profile to measure.
        folder: folder of the indexes.
        generation: settings of the answers.
        settings: settings of the questions.
        policy: chooses branches instead of the engine; None leaves it to the engine.
        kept: maximum number of documents of this run that stay in the index; the oldest are removed.
        lazy: encode only the chunks that a question needs, when it is asked. The answers are the same; the times are
            given without that encoding, as if the document had been read.
    """

    def __init__(
        self,
        name: str,
        llm: SharedLLM,
        folder: Path,
        generation: GenerationConfig,
        settings: RetrievalConfig,
        policy: Policy | None = None,
        kept: int = KEPT,
        *,
        lazy: bool = False,
    ) -> None:
        self._kept = kept
        self._encode: Encode = "when-asked" if lazy else "all"
        self.name = name
        self.llm = llm
        self.generation = generation
        self.settings = settings
        self.policy = policy
        self._folder = folder / f"{llm.profile.name}-{llm.fingerprint.digest()[:16]}"
        self._index: Index | None = None
        self._keys: dict[tuple[str, str], str] = {}

    @property
    def index(self) -> Index:
        """The index, opened or created at first use."""
        if self._index is None:
            self._index = Index.open_or_create(self._folder, self.llm)
        return self._index

    def _prepare(self, documents: Sequence[Document]) -> None:
        for document in documents:
            self._key(document)
        self._drop_old(len(documents))

    def answer(self, question: str, documents: Sequence[Document]) -> SystemAnswer:
        begun = time.perf_counter()
        query, engine = self._engine(question, documents, self.generation)
        answer = engine.ask_many([query])[0]
        took = time.perf_counter() - begun - answer.timings.encode
        waited = took + answer.timings.encode - answer.timings.total
        injected = Selection(engine.searcher.documents, (), (), 0.0)
        if answer.finish_reason != "not-found":
            injected = engine.select(query)
        context = seen(injected)
        return SystemAnswer(
            text=answer.text,
            pages=answer.pages,
            nearest_pages=tuple(dict.fromkeys(citation.page for citation in answer.nearest)),
            abstained=answer.finish_reason == "not-found",
            first_token_seconds=waited + answer.timings.first_token - answer.timings.encode,
            total_seconds=took,
            bytes_read=answer.counts.bytes_read,
            rows=answer.counts.rows,
            prompt_tokens=answer.counts.question_tokens,
            context=context.text,
            context_pages=context.pages,
        )

    def continuation(self, past: Document, running: str, target: str) -> Loss:
        """Loss of the target; rows are chosen as if the running text were the question."""
        if self.settings.evidence_tokens:
            raise NotMeasurableError(
                f"System {self.name!r} takes evidence, which a continuation has none of.",
                remedy="Measure perplexity without evidence.",
            )
        begun = time.perf_counter()
        llm = self.llm
        before, wanted = (
            llm.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
            for text in (running, target)
        )
        query, engine = self._engine(running, [past], replace(self.generation, max_new_tokens=len(wanted)))
        selection = engine.select(query)
        engine.source.encode(selection)
        injection, read = self._injection(engine, selection)
        fed = [*before, *wanted[:-1]]
        if llm.profile.fusion != "joint":
            fed = [*llm.start_ids, *fed]
        with InjectedDecoder(
            llm.upper,
            llm.profile,
            [injection],
            front=llm.front,
            blocks=llm.blocks,
            capacity=len(fed),
            lock=llm.lock,
        ) as decoder:
            logits = decoder.feed([fed], all_logits=True)[0]
        return Loss(
            nats=loss_of(logits[-len(wanted) :], wanted),
            tokens=len(wanted),
            seconds=time.perf_counter() - begun,
            rows=injection.num_rows,
            prompt_tokens=len(fed) - len(wanted) + 1,
            bytes_read=read,
        )

    # -- inner ------------------------------------------------------------------------------------------------------

    def _engine(
        self, question: str, documents: Sequence[Document], generation: GenerationConfig
    ) -> tuple[Query, Engine]:
        keys = [self._key(document) for document in documents]
        query = Query(question, self.settings, generation, documents=keys)
        engine = self.index.engine(query)
        if self.policy is not None:
            engine.searcher = PolicySearcher(engine.searcher, self.llm.profile, self.policy)
        return query, engine

    def _injection(self, engine: Engine, selection: Selection) -> tuple[Injection, int]:
        keys, values, read = engine.source.rows(selection)
        front = len(self.llm.start_ids) if self.llm.profile.fusion == "joint" else 0
        positions, query_position = positions_of(self.llm.profile, selection.places(), front)
        return Injection(keys, values, torch.tensor(positions, dtype=torch.long), query_position), read

    def _key(self, document: Document) -> str:
        """Key of a document in the index; a new one is added."""
        place = identity(document)
        if place not in self._keys:
            self._keys[place] = self.index.add(document, encode=self._encode).document.key
        return self._keys[place]

    def _drop_old(self, needed: int) -> None:
        """Remove the oldest documents of this run (a long one takes a gigabyte) and what no other document uses."""
        old = list(self._keys)[: max(0, len(self._keys) - max(self._kept, needed))]
        for place in old:
            self.index.remove(self._keys.pop(place))
        if old:
            self.index.prune()
