"""Sentences of a text, the parts that can be quoted, and sentences that the grid of leaves cuts. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from dataclasses import dataclass

import regex

from sharedllm_docs.documents.terms import terms

_SENTENCE_END = regex.compile(
    r"(?<=[.!?\u2026\u061f\u06d4\u0964\u0965\u0589\u1362]"
    r"|[.!?\u2026\u061f][ \u00a0\u202f]?[\u00bb\u201d\u2019\u201c])\s+(?=\P{Ll})(?![\u00bb\u201d])"
    r"|(?<=:)[ \t]*\n\s*(?=\P{Ll})"
    r"|(?<=[\u3002\uff01\uff1f\uff61][\u300d\u300f\u201d\u2019\uff09]?)"
    r"(?![\u3002\uff01\uff1f\u300d\u300f\u201d\u2019\uff09])"
    r"|\n\s*\n"
)
"""Full stops, question marks and the like of every script; in scripts with small letters none before one of them.
Chinese and Japanese ones need no space after them."""
_ABBREVIATED = regex.compile(
    r"(?:^|[\s(\[\"'\u00ab\u201e])(?:\p{Lu}|\p{L}(?:\.[ \u00a0]?\p{L})+"
    r"|Dr|Mr|Mrs|Ms|Prof|St|Figs?|Eqs?|Nos?|Secs?|Ch|Vol|pp?|cf|vs|ca"
    r"|[Nn]r|Abs|Art|Abb|Bd|bzw|evtl|ggf|inkl|vgl|zzgl|Str|Tel|Hr|Fr|Jh|usw(?=\.,)"
    r"|Mme|Mlle|MM|art|chap|fig|r\u00e9f|env|Sr|Sra|Srta|p\u00e1g|n\u00fam|ej|Uds?"
    r"|\u0433|\u0433\u0433|\u0443\u043b|\u0438\u043c|\u0441\u0442\u0440|\u0440\u0438\u0441"
    r"|\u0440\u0443\u0431|\u0442\u044b\u0441|\u0441\u043c|\u0434|\u0441\u0442|\u0442)\.$"
)
"""The end of a text whose last full stop belongs to an initial or an abbreviation, which more words follow."""
_BLANK_LINE = re.compile(r"\n\s*\n")
_REACH = 600
"""Characters on either side in which the sentence around a place is looked for: longer ones count as cut there."""


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Spans (start, end) of the sentences of ``text``, outer white space left out; a row of a table is one."""
    spans, start = [], 0
    rows = list(_rows(text))
    cuts = [cut for cut in _cuts(text) if not any(a < cut[1] and cut[0] < b for a, b in rows)]
    for cut in sorted([*cuts, *((place, place) for row in rows for place in row), (len(text), len(text))]):
        piece = text[start : cut[0]]
        if piece.strip():
            left = len(piece) - len(piece.lstrip())
            spans.append((start + left, start + len(piece.rstrip())))
        start = cut[1]
    return spans


_BAR = " | "
_LONGEST_ROW = 400
"""Characters of a line of cells that is quoted whole; longer ones contain sentences."""


def _rows(text: str) -> Iterator[tuple[int, int]]:
    """Spans of the lines that are rows of a table: cells with bars between them."""
    if _BAR not in text:
        return
    position = 0
    for line in text.split("\n"):
        if _BAR in line and len(line) <= _LONGEST_ROW:
            yield position, position + len(line)
        position += len(line) + 1


def _cuts(text: str) -> Iterator[tuple[int, int]]:
    """Spans between two sentences."""
    for match in _SENTENCE_END.finditer(text):
        start, end = match.span()
        if _BLANK_LINE.search(text, start, end) or not _is_abbreviated(text, start, end):
            yield start, end


def _is_abbreviated(text: str, start: int, end: int) -> bool:
    """Whether the stop before ``start`` ends an abbreviation, or a German ordinal before a noun that goes with it."""
    before = text[max(0, start - 12) : start]
    if _ABBREVIATED.search(before) or (_LETTER.search(before) and _LETTER_STOP.match(text, end)):
        return True
    return _ORDINAL.search(before) is not None and _AFTER_ORDINAL.match(text, end) is not None


_LETTER = regex.compile(r"(?<!\w)\p{L}\.$")
_LETTER_STOP = regex.compile(r"\p{L}\.")
"""Abbreviations that are written apart (``z. B.``)."""
_ORDINAL = re.compile(r"(?<![\d.,])\d{1,2}\.$")
_AFTER_ORDINAL = re.compile(
    r"(?:Jan|Feb|M\u00e4r|Apr|Mai|Jun|Jul|Aug|Sep|Okt|Nov|Dez|Jahrhundert|Jahrestag|Kapitel|Klasse|Auflage|Stock)"
)


_ITEM = re.compile(r"[ \t]*(?:[-\u2010-\u2015•▪➢✓*·◦‣▶○●■□]|\(?\w{1,3}[.)])[ \t]+\S")
_NUMBER_LINE = re.compile(r"(?:^|(?<=\n))[ \t]*(\(?\w{1,3}[.)])\Z")
_OPENS = regex.compile(r"[ \t]*[^\w\s]*(?!\p{Ll})[^\W_]")
_NARROW = 45  # characters: where no line is longer, the text is a slide, a form or a list
_FULL = 0.65  # of the longest line, from which a line of running text may go on in the next


def quotable_spans(text: str) -> list[tuple[int, int]]:
    """Spans (start, end) of what can be quoted of ``text``: sentences, and lines that do not run on.

    A line ends for good where the next one is an item of a list, or opens like a sentence (no lower-case letter)
    after a line that is too short to have been broken by a typesetter.
    """
    spans: list[tuple[int, int]] = []
    longest = max(map(len, text.split("\n")))
    for start, end in _with_numbers(text, sentence_spans(text)):
        position = start
        for line in text[start:end].splitlines(keepends=True):
            following = position + len(line)
            if following < end and _ends_line(line.rstrip(), text[following:end], longest):
                spans.append((start, position + len(line.rstrip())))
                start = following + len(text[following:end]) - len(text[following:end].lstrip())
            position = following
        spans.append((start, end))
    return [(a, b) for a, b in spans if text[a:b].strip()]


def _with_numbers(text: str, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The spans, where the number of a list item (``2.``) belongs to its item, not to what stands before it."""
    moved: list[tuple[int, int]] = []
    carried: int | None = None
    for index, (start, end) in enumerate(spans):
        start, carried = (start if carried is None else carried), None
        number = _NUMBER_LINE.search(text, start, end)
        if number and index + 1 < len(spans) and "\n" not in text[end : spans[index + 1][0]]:
            carried, end = number.start(1), start + len(text[start : number.start()].rstrip())
        if end > start:
            moved.append((start, end))
    return moved


def _ends_line(line: str, rest: str, longest: int) -> bool:
    """Whether ``line`` is complete, ``rest`` being what follows in the same sentence."""
    if _ITEM.match(rest):
        return True
    short = longest <= _NARROW or len(line) < _FULL * longest
    return short and _OPENS.match(rest) is not None and not line.endswith((",", "-"))


_LABEL = re.compile(
    r"[ \t]*(?=\S)(?:(?:[-\u2010-\u2015•▪➢✓*·◦‣▶○●■□>+]|#{1,6})(?:[ \t]+|(?=\n)|\Z))*"
    r"(?:[*_]{0,2}\(?(?:\d{1,3}(?:\.\d{1,3})*|[ivxlc]{1,6}|[^\W\d_])[.)][*_]{0,2}(?:\s+|\Z))?"
)
"""The bullet and number before an item of a list or a heading: ``1.``, ``- ``, ``(a)``, ``## 2.1.``."""


def without_label(text: str) -> str:
    """A sentence, item or heading without the bullet or number that stands before it; "" of a label alone."""
    found = _LABEL.match(text)
    return text[found.end() :] if found else text


def item_spans(text: str) -> list[tuple[int, int]]:
    """``sentence_spans`` of a written text: list items, full stop or not, are sentences, and their numbers none."""
    spans: list[tuple[int, int]] = []
    carried: int | None = None
    found = [one for span in sentence_spans(text) for one in _items(text, *span)]
    for (start, end), following in zip(found, [*found[1:], None][: len(found)], strict=True):
        start, carried = (start if carried is None else carried), None
        if following and "\n" not in text[end : following[0]] and not without_label(text[start:end]):
            carried = start  # the number was taken for a sentence, and stands on the line of its item
        else:
            spans.append((start, end))
    return spans


def _items(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The span of a sentence, cut before each line that begins with a bullet or number and white space."""
    for place in [start + line.end() for line in re.finditer(r"\n", text[start:end])]:
        label = _LABEL.match(text, place)
        after = label.end() if label else place
        if after > place and text[after - 1 : after + 1].strip() != text[after - 1 : after + 1]:
            before = text[start : place - 1].rstrip()
            if before:
                yield start, start + len(before)
            start = place + len(text[place:]) - len(text[place:].lstrip())
    yield start, end


def goes_on(before: str, after: str) -> bool:
    """Whether a sentence runs over the page break between two texts.

    It does when the first ends with no sentence, and the second opens in lower case or finishes a number or a word.
    """
    before, after = before.rstrip(), after.lstrip()
    if not before or not after or before[-1] in ".!?:;\u2026\u3002\uff01\uff1f\uff1a\uff1b\u061f\u06d4\u0964":
        return False
    return after[0].islower() or before[-1] in "-\u2010" or (before[-1] in ",/(" and after[0].isalnum())


@dataclass(frozen=True)
class Cut:
    """What a span of text cuts in two, as far as a question is concerned.

    Attributes:
        start: where the sentence begins that the span's start cuts, when that one matters more; else None.
        end: where the sentence ends that the span's end cuts, when that one matters more; else None.
    """

    start: int | None = None
    end: int | None = None


def cut_by(text: str, start: int, end: int, wanted: Set[str]) -> Cut:
    """Which of the two sentences that ``text[start:end]`` cuts at its ends contains more of a question's words.

    Args:
        text: around the span.
        start: of the span.
        end: one past it.
        wanted: terms of the question (``terms``).

    Returns:
        at most one of the two; none where neither cut sentence contains a wanted word, or both as many.
    """
    first, last = _around(text, start), _around(text, end)
    before = _shared(text, first, wanted)
    after = _shared(text, last, wanted)
    if first is not None and before > after:
        return Cut(start=first[0])
    if last is not None and after > before:
        return Cut(end=last[1])
    return Cut()


def _around(text: str, place: int) -> tuple[int, int] | None:
    """The sentence that ``place`` stands inside of, neither at its start nor at its end."""
    low = max(0, place - _REACH)
    for start, end in sentence_spans(text[low : place + _REACH]):
        if low + start < place < low + end:
            return low + start, low + end
    return None


def _shared(text: str, span: tuple[int, int] | None, wanted: Set[str]) -> int:
    return len(wanted & set(terms(text[slice(*span)]))) if span else 0
