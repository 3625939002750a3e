"""Cloze questions over real text: a sentence with a number, year, name, code term or noun phrase left out."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from sharedllm_docs_data.cleaning.prose import STOPWORDS, is_prose, sentences
from sharedllm_docs_data.generate.base import Passage, Templates
from sharedllm_docs_data.generate.drafts import Draft
from sharedllm_docs_data.generate.english import Reader
from sharedllm_docs_data.templates import cloze
from sharedllm_docs_data.wordlists import listed

_BLANK = "____"
_YEAR = re.compile(
    r"\b(?:in|by|of|to|since|until|from|after|before|around|during|between) (1[0-9]{3}|20[0-4][0-9])(?![\d,/-]|\.\d)"
)
_NUMBER = re.compile(r"(?<![\w.,/$#-])(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.\d+|\d+)(?: ?%| percent)?(?![\w,/.-]*\d|\w)")
_NAME = re.compile(r"(?<=[a-z,;] )([A-Z][a-z\u00c0-\u024f]+(?:[ -][A-Z][a-z\u00c0-\u024f]+){0,3})(?![\w-])")
_CODE = re.compile(
    r"(?<![\w/.-])(--?[a-z][\w-]+|[a-z]+_[a-z_0-9]+(?:\(\))?|/(?:[\w.+-]+/)+[\w.+-]*|[a-z]+\.[a-z_]+\(\)|[A-Z]+_[A-Z_0-9]+"
    r"|[a-z]+[A-Z]\w+)(?![\w/-])"
)
_PHRASE = re.compile(
    r"\b(?:the|a|an|its|their|his|her|every|each) ((?:[a-z]+ ){0,2}[a-z]{3,})"
    r"(?=[.,;]| (?:of|in|for|to|and|that|which|is|was|are|from|on|by|with)\b)"
)
_KINDS: tuple[tuple[str, re.Pattern[str], Templates], ...] = (
    ("code", _CODE, cloze.CODE),
    ("year", _YEAR, cloze.YEAR),
    ("number", _NUMBER, cloze.NUMBER),
    ("name", _NAME, cloze.NAME),
    ("phrase", _PHRASE, cloze.PHRASE),
)
_SHARE_ANY = 0.35
_VAGUE = frozenset(("same", "following", "above", "slightest", "former", "latter"))
_NOT_NAMES = frozenset(
    listed(
        "I The A An It He She They We You This That These Those In On At If When While As For But And Or So "
        "Then Note See Monday Chapter Section Table Figure Part Appendix Yes No Here There Thus However Also "
        "God Lord LORD"
    )
)


def drafts(passage: Passage, reader: Reader, rng: random.Random, most: int = 3) -> Iterator[Draft]:
    """Up to ``most`` cloze questions about different sentences of the passage."""
    pool = [sentence for block in passage.paragraphs if is_prose(block) for sentence in sentences(block)]
    rng.shuffle(pool)
    made = 0
    for sentence in pool:
        draft = _of_sentence(sentence, passage.text, reader, rng) if made < most else None
        if draft is not None:
            made += 1
            yield draft


def _of_sentence(sentence: str, text: str, reader: Reader, rng: random.Random) -> Draft | None:
    if (
        not 8 <= len(sentence.split()) <= 48
        or re.search(r"\b[Pp]\. ?\d|\bpp\.|Op\.|\]|, in \"", sentence)
        or not re.match(r"[\"\u201c]?[A-Z]", sentence)
        or text.count(sentence) > 1
    ):
        return None
    found = [
        (kind, match, templates)
        for kind, pattern, templates in _KINDS
        for match in pattern.finditer(sentence)
        if _is_good(kind, match, sentence, reader)
    ]
    if not found:
        return None
    kinds = sorted({kind for kind, _, _ in found})
    chosen = rng.choice(kinds)
    _, match, templates = rng.choice([entry for entry in found if entry[0] == chosen])
    blanked = sentence[: match.start(1)] + _BLANK + sentence[match.end(1) :]
    wording = (cloze.ANY if rng.random() < _SHARE_ANY else templates).draw(rng)
    return Draft(wording, wording.fill(b=blanked), (match[1],))


def _is_good(kind: str, match: re.Match[str], sentence: str, reader: Reader) -> bool:
    """Whether the answer occurs once in its sentence, means something, and is not part of a reference."""
    answer = match[1]
    if len(re.findall(rf"(?<!\w){re.escape(answer)}(?!\w)", sentence)) != 1:
        return False
    before = sentence[: match.start(1)].rstrip().rpartition(" ")[2].lower().strip("(")
    if before in (
        "section",
        "chapter",
        "figure",
        "table",
        "version",
        "verse",
        "verses",
        "page",
        "appendix",
        "rfc",
        "pep",
        "psalm",
        "no.",
    ):
        return False
    if kind == "name":
        return answer.split()[0] not in _NOT_NAMES and len(answer) > 3
    if kind == "phrase":
        words = answer.split()
        telling = not set(words) & STOPWORDS and not set(words) & _VAGUE and (len(words) > 1 or len(answer) > 5)
        return telling and reader.is_thing(answer)
    return True
