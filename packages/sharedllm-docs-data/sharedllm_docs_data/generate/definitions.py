"""Definitions: a few entries of a dictionary as the document, and a question about one of them."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sharedllm_docs.training.dataset import QuestionRow, split_of
from sharedllm_docs_data.cleaning.books import dictionary_entries, plain_entry, wordnet_senses
from sharedllm_docs_data.cleaning.pages import Members
from sharedllm_docs_data.cleaning.prose import sentences
from sharedllm_docs_data.generate.base import Passage, Wording, question_row, seeded
from sharedllm_docs_data.templates import definitions

_ENTRIES = (4, 14)
_QUESTIONS = 3
_PARTS = {
    "n.": "noun",
    "v. t.": "verb",
    "v. i.": "verb",
    "a.": "adjective",
    "adv.": "adverb",
    "prep.": "preposition",
    "interj.": "interjection",
    "conj.": "conjunction",
    "pron.": "pronoun",
    "v.": "verb",
    "prop. n.": "proper noun",
}


@dataclass(frozen=True)
class Entry:
    """One dictionary entry: the word, how it is printed, what it means, and what else can be asked."""

    word: str
    printed: str
    meaning: str
    part: str = ""
    example: str = ""
    field: str = ""


def wordnet_entries(members: Members) -> list[Entry]:
    """Entries for words with one sense, in alphabetical order."""
    senses: dict[str, list[tuple[str, str]]] = {}
    for lemma, part, gloss in wordnet_senses(members):
        senses.setdefault(lemma, []).append((part, gloss))
    entries = []
    for lemma in sorted(senses, key=str.lower):
        if len(senses[lemma]) == 1 and re.fullmatch(r"[A-Za-z][A-Za-z' -]{2,30}", lemma):
            ((part, gloss),) = senses[lemma]
            meaning, _, example = gloss.partition('; "')
            if 8 <= len(meaning) <= 220 and '"' not in meaning:
                quoted = example.partition('"')[0]
                printed = f"{lemma} ({part}): {meaning}." + (f' Example: "{quoted}"' if quoted else "")
                entries.append(Entry(lemma, printed, meaning, part, quoted))
    return entries


def gcide_entries(members: Members) -> list[Entry]:
    """Short entries of the dictionary of English: one sense, or the first of several."""
    entries = []
    for _, body in dictionary_entries(members):
        text = re.sub(r"\s+", " ", plain_entry(body))
        found = re.match(
            r"^([A-Z][A-Za-z' -]+?),? \(?(prop\. n\.|n\.|v\. t\.|v\. i\.|a\.|adv\.|v\.)[^\[\]]*?"
            r"(?:\[[^\]]*\]\.?)? (?:1\. )?(?:\([^)]*\) )?([A-Z].*)",
            text,
        )
        if found is None or len(text) > 900:
            continue
        meaning = sentences(found[3])[0].strip()
        meaning = re.split(r"; as,|; -- |: as,|, as, ", meaning)[0]
        meaning = re.sub(r"\s*\[[^\]]*\]|\s+\u2014 ?[A-Z][\w. ]+$", "", meaning).strip()
        if (
            12 <= len(meaning) <= 240
            and " " in meaning
            and "[" not in meaning
            and not re.match(r"(See|Same as|Of|Obs|E\.|L\.|pl\.|The same)\b", meaning)
        ):
            entries.append(
                Entry(
                    found[1].strip().lower() if found[2] != "prop. n." else found[1].strip(),
                    text,
                    meaning.rstrip("."),
                    _PARTS[found[2]],
                )
            )
    return entries


def foldoc_entries(members: Members) -> list[Entry]:
    """Entries of the dictionary of computing, with their subject labels."""
    entries = []
    for _, body in dictionary_entries(members):
        text = plain_entry(body)
        found = re.match(r"\S[^\n]*\n\s+<([a-z, -]+)>\s+(.*)", text, re.DOTALL)
        if found is None or len(text) > 1500:
            continue
        paragraph = re.sub(r"\s+", " ", found[2].split("\n\n")[0])
        paragraph = re.sub(r"^(?:/[^/]+/|\([^)]*\)|\"[^\"]*\",?)\s*", "", paragraph)
        meaning = sentences(paragraph)[0].strip() if paragraph else ""
        if 25 <= len(meaning) <= 300 and meaning.endswith(".") and not meaning.startswith(("See", "1.", "(")):
            body_text = "\n\n".join(re.sub(r"\s+", " ", block).strip() for block in text.split("\n\n"))
            entries.append(
                Entry(
                    text.partition("\n")[0].strip(),
                    body_text,
                    meaning.rstrip("."),
                    field=found[1].split(",")[0].strip(),
                )
            )
    return entries


def rows(
    source: str, entries: Sequence[Entry], count: int, seed: int, *, commercial: bool = True
) -> Iterator[QuestionRow]:
    """``count`` questions over pages of neighbouring entries (or, now and then, of any entries).

    ``commercial``: whether the dictionary's licence allows commercial use.
    """
    for number in range(-(-count // _QUESTIONS)):
        rng = seeded(seed, "definitions", source, str(number))
        size = min(len(entries), rng.randint(*_ENTRIES))
        if rng.random() < 0.7:
            start = rng.randrange(len(entries) - size + 1)
            page = list(entries[start : start + size])
        else:
            page = rng.sample(list(entries), size)
        # By the word's beginning, as the documents of long text are, so that an entry stays in its split.
        split = split_of(f"{source}/{page[0].word.lower()[:2]}")
        passage = Passage(source, "", split, "", tuple(entry.printed for entry in page), commercial)
        for entry in rng.sample(page, min(_QUESTIONS, len(page))):
            wording, question, answers = _ask(source, entry, page, rng)
            yield question_row("definitions", passage, question, answers, [wording])


def _ask(source: str, entry: Entry, page: Sequence[Entry], rng: random.Random) -> tuple[Wording, str, tuple[str, ...]]:
    shown = f"\u201c{entry.word}\u201d"
    draw = rng.random()
    if source == "foldoc" and entry.field and draw < 0.2:
        wording = definitions.FIELD.draw(rng)
        return wording, wording.fill(w=shown), (entry.field,)
    if entry.example and draw < 0.2 and entry.word.lower() in entry.example.lower():
        wording = definitions.EXAMPLE.draw(rng)
        return wording, wording.fill(w=shown), (entry.example,)
    if entry.part and draw < 0.26 and source == "wordnet":
        wording = definitions.PART.draw(rng)
        return wording, wording.fill(w=shown), (entry.part,)
    stem = re.escape(entry.word.lower()[:5])
    if (
        draw > 0.62
        and not re.search(rf"\b{stem}", entry.meaning.lower())
        and sum(entry.meaning in other.printed for other in page) == 1
    ):
        wording = definitions.WORD.draw(rng)
        return wording, wording.fill(d=entry.meaning), (entry.word,)
    wording = (definitions.TERM if source == "foldoc" else definitions.MEANS).draw(rng)
    return wording, wording.fill(w=shown), (entry.meaning,)
