"""The kinds of generated questions: how many of each, and from what. Runs the generators."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import chain

from sharedllm_docs.training.dataset import QuestionRow, TextRow
from sharedllm_docs_data.archives import members
from sharedllm_docs_data.cleaning.books import wordnet_senses
from sharedllm_docs_data.generate import (
    absent,
    carried,
    definitions,
    facts,
    from_text,
    keyvalue,
    needles,
    passkeys,
    twostep,
    yesno,
)
from sharedllm_docs_data.generate.english import reader_of
from sharedllm_docs_data.generate.from_text import Asked
from sharedllm_docs_data.sources import TEXT_SOURCES
from sharedllm_docs_data.sources.source import FOLDOC, GCIDE, WORDNET
from sharedllm_docs_data.sources.tables import Find, Record, load_tables

# How many rows are tried for; a little more than are kept, since the checks drop some.
WANTED = {
    "wh": 80_000,
    "cloze": 52_000,
    "quote": 12_000,
    "yes-no": 14_000,
    "definitions": 27_000,
    "carried": 20_000,
    "facts": 27_000,
    "key-value": 12_000,
    "passkey": 9_000,
    "needles": 10_000,
    "absent": 22_000,
    "two-step": 15_000,
}
KINDS = tuple(WANTED)
_CAPS = {
    "wh.subject": 22_000,
    "wh.identity": 12_000,
    "wh.condition": 12_000,
    "wh.object": 9_000,
    "wh.examples": 4_000,
    "cloze.any": 20_000,
    "cloze.phrase": 13_000,
    "cloze.name": 10_000,
}
_DICTIONARIES = {"wordnet": 0.4, "gcide": 0.36, "foldoc": 0.24}
_WORDNET_FILES = r"usr/share/wordnet/data\.(noun|verb|adj|adv)"


class Generator:
    """Makes the rows of each kind, from long text, dictionaries and tables.

    Args:
        find: gives the path of a package's file.
        documents: by source, a function that reads its long text.
        weights: by source, the share of its text to ask about.
        seed: seed of every random draw.
        limit: maximum rows per kind, about.
    """

    def __init__(
        self,
        find: Find,
        documents: Mapping[str, Callable[[], Iterable[TextRow]]],
        weights: Mapping[str, float],
        seed: int,
        limit: int | None = None,
    ) -> None:
        self._find, self._documents, self._weights = find, documents, weights
        self._seed, self._limit = seed, limit

    def rows(self, kind: str) -> Iterator[QuestionRow]:
        """The rows of one kind, unchecked."""
        count = WANTED[kind] if self._limit is None else min(WANTED[kind], 2 * self._limit + 20)
        makers: dict[str, Callable[[int], Iterable[QuestionRow]]] = {
            "wh": lambda count: self._from_text("wh."),
            "cloze": lambda count: self._from_text("cloze."),
            "quote": lambda count: self._from_text("quote."),
            "yes-no": lambda count: chain(
                self._from_text("yes-no"), yesno.rows_of_facts(self._tables, count * 3 // 10, self._seed)
            ),
            "definitions": self._definitions,
            "carried": lambda count: self._carried(),
            "facts": lambda count: facts.rows(self._tables, count, self._seed),
            "key-value": lambda count: keyvalue.rows(count, self._seed),
            "passkey": lambda count: passkeys.rows(self._asked.fillers, count, self._seed),
            "needles": lambda count: needles.rows(self._asked.fillers, count, self._seed),
            "absent": lambda count: chain(
                absent.rows_of_passages(self._asked.drafts, count * 4 // 5, self._seed),
                absent.rows_of_lists(count // 5, self._seed),
            ),
            "two-step": lambda count: twostep.rows(self._tables, self._asked.fillers, count, self._seed),
        }
        return iter(makers[kind](count))

    @cached_property
    def _asked(self) -> Asked:
        senses = wordnet_senses(members(self._find(WORDNET), _WORDNET_FILES))
        reader = reader_of((lemma, part) for lemma, part, _ in senses)
        scale = 1.0 if self._limit is None else min(1.0, self._limit / 2000)
        found = from_text.draw(self._documents, self._weights, self._seed, scale)
        return from_text.ask(found, reader, self._seed)

    @cached_property
    def _tables(self) -> dict[str, list[Record]]:
        return load_tables(self._find)

    def _from_text(self, prefix: str) -> Iterator[QuestionRow]:
        families = {name: rows for name, rows in sorted(self._asked.rows.items()) if name.startswith(prefix)}
        # Fewer statements can be falsified than affirmed; as many of each are kept.
        even = min(len(families.get(name, ())) for name in ("yes-no.yes", "yes-no.no"))
        return from_text.capped(families, {**_CAPS, "yes-no.yes": even, "yes-no.no": even}, self._seed)

    def _definitions(self, count: int) -> Iterator[QuestionRow]:
        entries = {
            "wordnet": definitions.wordnet_entries(members(self._find(WORDNET), _WORDNET_FILES)),
            "gcide": definitions.gcide_entries(members(self._find(GCIDE), r".*/gcide\.(dict|index)")),
            "foldoc": definitions.foldoc_entries(members(self._find(FOLDOC), r".*/foldoc\.(dict|index)")),
        }
        allowed = {source.name: source.commercial for source in TEXT_SOURCES}
        for source, share in _DICTIONARIES.items():
            yield from definitions.rows(
                source, entries[source], round(count * share), self._seed, commercial=allowed[source]
            )

    def _carried(self) -> Iterator[QuestionRow]:
        for read in self._documents.values():
            yield from carried.rows(read(), self._seed)
