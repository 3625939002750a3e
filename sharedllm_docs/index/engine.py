"""Answers questions from stored rows: selects, loads, injects, generates, cites. Knows nothing of the store."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from sharedllm_docs.config import RELEVANCE_FLOOR, GenerationConfig
from sharedllm_docs.errors import ConfigError, QuestionTooLongError
from sharedllm_docs.index.weighing import declining, not_said_ids, watched_layers, without_rows
from sharedllm_docs.injection.decoder import InjectedDecoder, Injection, positions_of
from sharedllm_docs.injection.generate import Generated, Piece, finished, generate, texts
from sharedllm_docs.model.shared_llm import SharedLLM
from sharedllm_docs.retrieval.amounts import Amount, Source
from sharedllm_docs.retrieval.answer import NOT_SAID, Answer, Citation, Counts, Timings, fold, holds_answer
from sharedllm_docs.retrieval.cite import cite
from sharedllm_docs.retrieval.editing import Editor
from sharedllm_docs.retrieval.evidence import Quoted, evidence_text, quoted, quoted_row
from sharedllm_docs.retrieval.marks import Marker
from sharedllm_docs.retrieval.origin import origin
from sharedllm_docs.retrieval.prepared import PreparedDocument
from sharedllm_docs.retrieval.query import FULL_BUDGET, Query
from sharedllm_docs.retrieval.searcher import Searcher, Selection
from sharedllm_docs.retrieval.selection import too_small
from sharedllm_docs.retrieval.signs import (
    GAIN,
    MATCH,
    NOT_SAID_SIGN,
    PROBE,
    Likelihoods,
    best_texts,
    can_come_from,
    injected_texts,
    late_match,
    signs_after,
    signs_before,
)
from sharedllm_docs.retrieval.spending import check_grains
from sharedllm_docs.retrieval.table_units import Row
from sharedllm_docs.streams import Stream

MAX_BATCH = 8
ROW_TOKENS = 96
"""Maximum number of tokens of a table row quoted beside the injected rows; most are shorter
(documents/readers/pdf/layout/written)."""
NEXT_QUESTION = "\nQuestion:"
MATCHED = 4
"""Number of the best leaves whose token vectors are compared with the question's."""


class RowSource(Protocol):
    """Provides stored rows of a selection."""

    def encode(self, selection: Selection) -> int:
        """Encode the chunks of a selection that are not read yet; returns their number."""
        ...

    def add_node_vectors(self, documents: Sequence[PreparedDocument]) -> None:
        """Give documents the vectors that selection by hidden states needs, if they lack them."""
        ...

    def rows(self, selection: Selection) -> tuple[torch.Tensor, torch.Tensor, int]:
        """Unrotated keys and values [Ls, KV, R, D] in the selection's order, and the bytes read for them."""
        ...


@dataclass
class Asked:
    """A question while it is being answered.

    Attributes:
        query: the question as asked, with its settings.
        begun: time of the performance counter at the start.
        selection: the nodes chosen.
        ids: token ids fed after the rows, evidence included.
        select_seconds: time spent on the selection.
        injection: the loaded rows; None below the relevance floor.
        bytes_read: stored bytes of the loaded rows.
        load_seconds: time spent on loading them.
        chunks_encoded: number of chunks that were not read yet and were encoded for it.
        encode_seconds: time spent on encoding and storing these.
        texts: the text of each injected leaf.
        before: signs of whether the documents answer the question (``retrieval/signs``).
        likelihoods: of the answer, once it is written.
        states: [W, E] hidden states at the question's last token, after the layers that the decision uses; or None.
    """

    query: Query
    begun: float
    selection: Selection
    ids: tuple[int, ...]
    select_seconds: float
    injection: Injection | None = None
    bytes_read: int = 0
    load_seconds: float = 0.0
    chunks_encoded: int = 0
    encode_seconds: float = 0.0
    texts: tuple[str, ...] = ()
    before: Mapping[str, float] = field(default_factory=dict)
    likelihoods: Likelihoods = field(default_factory=Likelihoods)
    states: NDArray[np.float32] | None = None

    def timings(self, result: Generated | None) -> Timings:
        """How long each step took, up to now; ``result`` is None if the model was not run."""
        before = self.select_seconds + self.encode_seconds + self.load_seconds
        return Timings(
            self.select_seconds,
            self.load_seconds,
            before + result.first_token_seconds if result else before,
            time.perf_counter() - self.begun,
            self.encode_seconds,
        )

    def counts(self, result: Generated | None) -> Counts:
        """Amounts of work; ``result`` is None if the model was not run."""
        selection = self.selection
        return Counts(
            documents=selection.searched or len(selection.documents),
            chunks=len(selection.candidates),
            nodes=len(selection.nodes) if result else 0,
            rows=self.injection.num_rows if self.injection else 0,
            bytes_read=self.bytes_read,
            question_tokens=len(self.ids) if result else 0,
            answer_tokens=len(result.ids) if result else 0,
            chunks_encoded=self.chunks_encoded,
            grains=selection.rows_by_grain() if self.injection else {},
        )


class Engine:
    """Answers questions over a choice of documents of one index.

    Args:
        llm: the model that the index was made with.
        source: gives stored rows.
        searcher: searches the documents.

    Attributes:
        all_signs: compute every sign, whether or not the decision uses it.
    """

    def __init__(self, llm: SharedLLM, source: RowSource, searcher: Searcher) -> None:
        self.llm = llm
        self.source = source
        self.searcher = searcher
        self.all_signs = False

    def examine(self, query: Query) -> tuple[Answer, dict[str, float], NDArray[np.float32] | None]:
        """An answer with all signs of whether the documents answer the question, for ``fit-confidence``.

        Returns:
            the answer, its signs without that of the probe, and the hidden states [W, E] of ``watched_layers``, None if
            the model was not run.
        """
        self.all_signs = True
        one = self.prepare(query)
        result = finished(self._generate([one]))[0] if one.injection is not None else None
        return self._edited_answer(one, result), self._signs(one, result), one.states

    def ask_many(self, queries: Sequence[Query]) -> list[Answer]:
        """Answer questions, decoded together in batches of equal generation settings."""
        asked = [self.prepare(query) for query in queries]
        done: dict[int, Generated] = {}
        for batch in self._batches([one for one in asked if one.injection is not None]):
            done |= dict(zip(map(id, batch), finished(self._generate(batch)), strict=True))
        return [self._edited_answer(one, done.get(id(one))) for one in asked]

    def stream(self, query: Query) -> Stream[Answer]:
        """Answer one question piece by piece."""
        one = self.prepare(query)

        def pieces() -> Generator[str, None, Answer]:
            if one.injection is None:
                yield NOT_SAID
                return self.answer(one, None)
            written = texts(self._generate([one]))
            editor = self.editor(one)
            return self.answer(one, (yield from editor.through(written))[0], editor)

        # finding quotes takes as long as loading rows; the first piece does not wait for what few callers use
        return Stream(pieces(), lambda: self.sources(one))

    def sources(self, one: Asked) -> tuple[Citation, ...]:
        """Citations of the nodes that are injected for a question, before there is an answer."""
        if one.injection is None:
            return ()
        return cite(one.selection, one.query.question, "", one.query.retrieval.max_citations)

    def select(self, query: Query) -> Selection:
        """The nodes that would be injected for a question; earlier turns only take up space in the window."""
        return self._select(query, len(self._question_ids(query)))

    def prepare(self, query: Query) -> Asked:
        """Select nodes for a question and load their rows, unless nothing is relevant enough."""
        begun = time.perf_counter()
        self.llm.lock.announce()
        ids = self._question_ids(query)
        selection = self._select(query, len(ids))
        evidence = evidence_text(selection, self._quotes(query, selection))
        if evidence:
            ids = self._question_ids(query, evidence)
        one = Asked(query, begun, selection, ids, time.perf_counter() - begun)
        one.texts = tuple(injected_texts(selection))
        one.before = signs_before(query.question, selection, one.texts)
        if selection.relevance >= self._floor(query) and not self._cannot_be_answered(one):
            one.chunks_encoded = self.source.encode(selection)
            one.encode_seconds = time.perf_counter() - begun - one.select_seconds
            one.injection, one.bytes_read = self._load(selection)
            one.load_seconds = time.perf_counter() - begun - one.select_seconds - one.encode_seconds
        return one

    # -- the decision whether the documents say it (docs/architecture.md, Question) ---------------------------------

    def _decides(self, query: Query) -> bool:
        """Whether answers to this query are declined by confidence; summaries and ``min_confidence=0`` are not."""
        return not query.spread and query.retrieval.min_confidence != 0

    def _floor(self, query: Query) -> float:
        """The relevance that the best leaf must have: as given, or 0 if the model's decision makes it unnecessary."""
        asked = query.retrieval.relevance_floor
        if asked is not None:
            return asked
        return 0.0 if self._decides(query) and self.reader(query).confidence.fitted else RELEVANCE_FLOOR

    def _cannot_be_answered(self, one: Asked) -> bool:
        """Whether question and selection alone show that the documents do not answer, so that the model need not be
        run."""
        judge = self.reader(one.query).confidence
        return self._decides(one.query) and judge.before(one.before) < judge.early

    def _signs(self, one: Asked, result: Generated | None) -> dict[str, float]:
        """All signs of whether the documents answer a question."""
        if result is None:
            return dict(one.before)
        text, scores = result.text.strip(), one.selection.scores
        weights = scores.weights if scores else {}
        return {
            **one.before,
            **signs_after(one.query.question, text, not _is_an_answer(text), weights, one.texts, one.likelihoods),
            **self._matched(one),
            **self._probed(one),
        }

    def _matched(self, one: Asked) -> dict[str, float]:
        """Late interaction of the question with the best of the injected leaves, if the decision wants it."""
        if not self._wants(one.query, MATCH) or not one.texts:
            return {}
        found = self.llm.embedder.token_vectors([one.query.question, *best_texts(one.selection, MATCHED)])
        return {} if found is None else {MATCH: late_match(found[0], found[1:])}

    def _probed(self, one: Asked) -> dict[str, float]:
        """The output of the probe on the model's hidden states, if the decision has one."""
        probe = self.reader(one.query).confidence.probe
        return {} if probe is None or one.states is None or self.all_signs else {PROBE: probe(one.states)}

    def _watched(self, query: Query) -> tuple[int, ...]:
        """Layers whose hidden states are recorded."""
        llm = self.reader(query)
        if self.all_signs:
            return watched_layers(llm.upper.num_layers)
        probe = llm.confidence.probe
        return probe.layers if probe is not None and not query.spread else ()

    def _wants(self, query: Query, sign: str) -> bool:
        every = self.all_signs and sign != GAIN  # expensive, and it added nothing to the others (docs/log.md)
        return every or (self._decides(query) and self.reader(query).confidence.uses(sign))

    def _confidence(self, one: Asked, result: Generated | None) -> float | None:
        if one.query.spread:  # there is no question that the passages of a summary answer
            return None
        judge, signs = self.reader(one.query).confidence, self._signs(one, result)
        if result is None:
            return round(judge.before(signs), 4)
        found = judge.after(signs)
        return round(found if self._comes_from_the_text(one, result.text) else min(found, judge.threshold / 2), 4)

    def _comes_from_the_text(self, one: Asked, text: str) -> bool:
        """Whether an answer can come from what was injected.

        Long answers, other styles, and models without a fitted decision are not checked: the result is True.
        """
        if not self.reader(one.query).confidence.fitted:
            return True
        if self.all_signs or one.query.style == "full" or one.query.instructions or not one.selection.nodes:
            return True
        said = " ".join((one.query.question, one.query.conversation))
        return can_come_from(said, text.strip(), one.selection)

    def _declines(self, one: Asked, confidence: float | None) -> bool:
        wanted = one.query.retrieval.min_confidence
        least = self.reader(one.query).confidence.threshold if wanted is None else wanted
        return self._decides(one.query) and confidence is not None and confidence < least

    # -- steps ------------------------------------------------------------------------------------------------------

    def _question_ids(self, query: Query, evidence: str = "") -> tuple[int, ...]:
        return self.llm.template.question_ids(
            self.llm.tokenizer,
            query.question,
            evidence,
            query.conversation,
            style=query.style,
            instructions=query.instructions,
        )

    def reader(self, query: Query) -> SharedLLM:
        """The model as it answers this query: adapters are trained on short answers, and know no other style."""
        short = query.style in (None, "short") and not query.instructions
        return self.llm if short else self.llm.untrained

    def editor(self, one: Asked) -> Editor:
        """Marks the sentences of a full answer, and makes an amount whole that a short one is."""
        limit = one.query.retrieval.max_citations
        if one.query.style == "full":
            return Marker(one.selection, limit)
        if one.query.instructions:  # they may ask for the number alone
            return Editor()
        return Amount(one.query.question, lambda answer: self._source_of(one, answer))

    def _source_of(self, one: Asked, answer: str) -> Source:
        """The sentence, or row of a table, that an answer is taken from."""
        found = cite(one.selection, one.query.question, answer, 1)
        if not found:
            return Source()
        start, end, key = found[0].char_start, found[0].char_end, found[0].document_key
        document = next(made.document for made in one.selection.documents if made.key == key)
        sentence = fold(document.printed(start, end))
        if not holds_answer(sentence, answer):
            return Source()
        cells = document.row_at(start, end)
        return Source(sentence, Row(cells, document.table_title(start)) if cells else None)

    def _select(self, query: Query, question_tokens: int) -> Selection:
        settings = query.retrieval
        if settings.grains is not None:
            check_grains(self.llm.profile, settings.grains)
        fed = question_tokens + self._evidence_tokens(query) + self._row_tokens(query)
        budget = self._budget(query, fed)
        if query.spread:
            return self.searcher.spread(query, budget)
        vector = self.llm.embedder.encode([query.question])[0]
        hidden, searcher = None, self.searcher.near(query.question, vector, self.searcher.reach(query))
        if settings.selector == "hidden-state":
            self.source.add_node_vectors(searcher.documents)
            with self.llm.lock:
                words = self.llm.tokenizer(query.question, add_special_tokens=False)["input_ids"]
                hidden = self.llm.encoder.question_vector(words).float().cpu().numpy().astype(np.float32)
        return searcher.select(query, vector, budget, hidden)

    def _evidence_tokens(self, query: Query) -> int:
        own = query.retrieval.evidence_tokens
        return self.reader(query).question_default("evidence_tokens") if own is None else own

    def _row_tokens(self, query: Query) -> int:
        """Tokens of a table's row that may be quoted where no evidence is, unless none was asked for."""
        asked = query.retrieval.evidence_tokens is not None or query.spread or self._evidence_tokens(query)
        return 0 if asked else ROW_TOKENS

    def _quotes(self, query: Query, selection: Selection) -> list[Quoted]:
        room = self._row_tokens(query)
        if room:
            return quoted_row(selection, query.question, room)
        return quoted(selection, query.question, self._evidence_tokens(query))

    def _budget(self, query: Query, question_tokens: int) -> int:
        """Rows that may be injected: as asked, within the window where rows take consecutive positions."""
        profile, settings = self.llm.profile, query.retrieval
        answer_tokens = query.generation.max_new_tokens
        usual = self.reader(query).question_default("budget") * (FULL_BUDGET if query.style == "full" else 1)
        wanted = settings.budget or usual
        left = self.llm.window_left(question_tokens, answer_tokens)
        if left < 1:
            raise QuestionTooLongError(
                f"The question, with earlier turns and evidence, takes {question_tokens} tokens and the answer up to "
                f"{answer_tokens}; with the prompt's {len(self.llm.start_ids)} that exceeds the model's window of "
                f"{self.llm.upper.window}.",
                remedy="Shorten the question or the conversation, or lower max_new_tokens or evidence_tokens.",
            )
        if profile.positions != "token":
            return wanted
        if settings.budget is not None and settings.budget > left:
            raise ConfigError(
                f"budget={settings.budget} rows exceed the {left} that the model's window of {self.llm.upper.window} "
                "leaves beside prompt, question and answer.",
                remedy=f"Use a budget of at most {left}.",
            )
        return min(wanted, left)

    def _load(self, selection: Selection) -> tuple[Injection, int]:
        if not selection.nodes:
            leaves = ((one.tree, leaf) for one in selection.candidates for leaf in one.tree.leaves)
            raise too_small(leaves, max(selection.grains) if selection.grains else None)
        keys, values, read = self.source.rows(selection)
        front_tokens = len(self.llm.start_ids) if self.llm.profile.fusion == "joint" else 0
        positions, query_position = positions_of(self.llm.profile, selection.places(), front_tokens)
        return Injection(keys, values, torch.tensor(positions, dtype=torch.long), query_position), read

    def _batches(self, asked: Sequence[Asked]) -> Iterator[list[Asked]]:
        size = 1 if self.llm.upper.config._attn_implementation.startswith("flash") else MAX_BATCH
        for _settings, group in groupby(asked, key=self._alike):
            alike = list(group)
            yield from (alike[start : start + size] for start in range(0, len(alike), size))

    def _alike(self, one: Asked) -> tuple[object, ...]:
        """What questions of one batch have in common."""
        return one.query.generation, self.reader(one.query), self._decides(one.query)

    def _generate(self, batch: Sequence[Asked]) -> Generator[Piece, None, list[Generated]]:
        llm, fed = self.reader(batch[0].query), [self.fed(one) for one in batch]
        with self.decoder(batch) as decoder:
            results = yield from generate(decoder, fed, llm.tokenizer, self.generation(batch[0]), llm.end_ids)
            self.weigh(batch, results, decoder)
        return results

    def fed(self, one: Asked) -> tuple[int, ...]:
        """Token ids fed for a question: without a prompt prefix in the cache, the start of the prompt goes with it."""
        llm = self.reader(one.query)
        return one.ids if llm.profile.fusion == "joint" else (*llm.start_ids, *one.ids)

    def generation(self, one: Asked) -> GenerationConfig:
        """How a question's answer is drawn."""
        generation = one.query.generation
        # a small model may go on with a question of its own, as the prompt has it
        return replace(generation, stop=(*generation.stop, NEXT_QUESTION))

    def decoder(self, batch: Sequence[Asked], *, writes: bool = True) -> InjectedDecoder:
        """The decoder with the rows of questions of equal generation settings.

        Args:
            batch: the questions, with their rows.
            writes: make room for the answers; False where their tokens are fed elsewhere.
        """
        llm = self.reader(batch[0].query)
        answer = max(batch[0].query.generation.max_new_tokens if writes else 0, len(not_said_ids(llm)))
        return InjectedDecoder(
            llm.questions,
            llm.profile,
            [one.injection for one in batch if one.injection is not None],
            front=llm.front,
            blocks=llm.blocks,
            capacity=max(len(self.fed(one)) for one in batch) + answer,
            lock=llm.lock,
            steps=lambda: llm.steps,
            watch=self._watched(batch[0].query),
        )

    def weigh(self, batch: Sequence[Asked], results: Sequence[Generated], decoder: InjectedDecoder) -> None:
        """Note the likelihoods and hidden states that the decision wants; the decoder forgets the answers."""
        llm = self.reader(batch[0].query)
        if decoder.states is not None:
            for one, states in zip(batch, decoder.states.numpy(), strict=True):
                one.states = states
        not_said: Sequence[float | None] = [None] * len(batch)
        without: Sequence[float | None] = [None] * len(batch)
        if self._wants(batch[0].query, NOT_SAID_SIGN):
            not_said = declining(llm, decoder, [self.fed(one) for one in batch])
        if self._wants(batch[0].query, GAIN):
            start = () if llm.profile.fusion == "joint" else llm.start_ids
            asked = [(*start, *self._question_ids(one.query)) for one in batch]
            without = without_rows(llm, [one.injection for one in batch if one.injection is not None], asked, results)
        for one, result, declined, alone in zip(batch, results, not_said, without, strict=True):
            one.likelihoods = Likelihoods(tuple(result.logprobs), declined, alone)

    def _edited_answer(self, one: Asked, result: Generated | None) -> Answer:
        if result is None:
            return self.answer(one, None)
        editor = self.editor(one)
        editor.add(result.text)
        editor.finish()
        return self.answer(one, result, editor)

    def answer(self, one: Asked, result: Generated | None, editor: Editor | None = None) -> Answer:
        """The answer made of what was written (None below the floor), as it was edited."""
        selection, question = one.selection, one.query.question
        text = (editor.text if editor else result.text).strip() if result else NOT_SAID
        confidence = self._confidence(one, result)
        says = result is not None and _is_an_answer(text)
        said = says and not self._declines(one, confidence)
        marked = tuple(editor.citations) if editor and said else ()
        passages = marked or cite(selection, question, text if said else "", one.query.retrieval.max_citations)
        documents, alike = origin(selection, passages, text, every=bool(marked)) if said else ((), ())
        return Answer(
            question=question,
            text=text if said or not says else NOT_SAID,
            draft=result.text.strip() if result and says and not said else "",
            citations=passages if said else (),
            marks=_marks(editor) if marked and editor else (),
            documents=documents,
            alike=alike,
            nearest=() if said else passages,
            found=said,
            confidence=confidence,
            relevance=selection.relevance,
            finish_reason=result.finish_reason if result else "not-found",
            timings=one.timings(result),
            counts=one.counts(result),
        )


def _marks(editor: Editor) -> tuple[tuple[int, int, int], ...]:
    """Marks as they stand in the answer, whose white space at the ends is left out."""
    before = len(editor.text) - len(editor.text.lstrip())
    return tuple((start - before, end - before, number) for start, end, number in editor.marks)


def _is_an_answer(text: str) -> bool:
    """Whether the model's words are an answer, and not that the document does not say."""
    return not text.strip().lower().startswith(NOT_SAID.lower().rstrip("."))
