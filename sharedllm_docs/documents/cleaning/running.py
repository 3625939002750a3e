"""Running headers, footers and page numbers: found over all pages of a document, removed from each.

Lines at the top and bottom edge of pages come in, pages without their running lines go out. A line is running when

1. its words (digits aside) stand at that edge of most pages, or
2. the very same line stands there on three or more pages in a row, or on every other page, or
3. it is, begins with or ends with the page's own number, where that numbering is borne out by enough pages.

By rules 1 and 2 the first occurrence stays, so that no title and no table head is lost altogether. A heading that the
caller knows is never removed, and nothing is removed from a document of a single page.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

MIN_PAGES = 4  # fewer pages prove nothing about repetition
MOST = 0.5  # share of the pages for rule 1
MIN_RUN = 3  # pages in a row for rule 2
MIN_SHARE = 0.05  # of the pages, for numbers within a line in rule 3: in long books four may agree by chance
DEPTH = 3  # lines that may be removed from an edge
LONGEST = 200  # characters; what is longer is no header
NUMBERING = 12  # letters and digits that may stand before a heading's title: "Appendix B"

_NUMBER = r"(?:\d{1,5}|[ivxlc]{1,8})"
_LONE = re.compile(rf"^\W*(?:(?:page|seite|p\.)\s*)?(?P<number>{_NUMBER})(?:\s*(?:of|von|/)\s*\d+)?\W*$", re.IGNORECASE)
_AT_START = re.compile(rf"^\W*(?P<number>{_NUMBER})\b[\s|.:\u2013\u2014-]+\S")
_AT_END = re.compile(rf"\S[\s|\u2013\u2014-]+(?:(?:page|p\.)\s*)?(?P<number>{_NUMBER})\W*$", re.IGNORECASE)
_FORMS = {"lone": _LONE, "start": _AT_START, "end": _AT_END}
_ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}


@dataclass(frozen=True)
class Edge:
    """The outermost line of one page, stripped.

    Attributes:
        index: of the page among those read, from 0.
        number: the page's number in the source, from 1.
        label: what is printed on the page as its number, "" where unknown.
    """

    index: int
    number: int
    label: str
    line: str


def number_value(token: str) -> int | None:
    """Value of an Arabic or a well-formed small Roman number, else None."""
    if token.isdecimal():
        return int(token)
    values = [_ROMAN[letter] for letter in token.casefold()]
    total = sum(-v if any(w > v for w in values[i + 1 : i + 2]) else v for i, v in enumerate(values))
    return total if _to_roman(total) == token.casefold() else None


def _to_roman(value: int) -> str:
    digits = ""
    for letters, worth in (("c", 100), ("xc", 90), ("l", 50), ("xl", 40), ("x", 10), ("ix", 9), ("v", 5), ("iv", 4)):
        digits, value = digits + letters * (value // worth), value % worth
    return digits + "i" * value


def _numbers(edge: Edge) -> dict[str, str]:
    """Form (``lone``, ``start``, ``end``) -> the number's token in that place."""
    lone = _LONE.match(edge.line)
    if lone:
        return {"lone": lone["number"]}
    found = {form: _FORMS[form].search(edge.line) for form in ("start", "end")}
    return {form: match["number"] for form, match in found.items() if match}


def _page_numbered(edges: Sequence[Edge]) -> set[int]:
    """Rule 3: pages whose edge line carries the page's own number."""
    offsets: Counter[tuple[str, int]] = Counter()  # what the numbers in each place differ from the page count by
    labelled: Counter[str] = Counter()
    seen: list[tuple[Edge, str, int, bool]] = []
    for edge in edges:
        for form, token in _numbers(edge).items():
            value = number_value(token)
            if value is not None:
                is_label = token.casefold() == edge.label.casefold()
                seen.append((edge, form, value - edge.number, is_label))
                offsets[form, value - edge.number] += 1
                labelled[form] += is_label
    enough = {"lone": MIN_PAGES, **dict.fromkeys(("start", "end"), max(MIN_PAGES, MIN_SHARE * len(edges)))}
    return {
        edge.index
        for edge, form, offset, is_label in seen
        if offsets[form, offset] >= enough[form]
        or (is_label and labelled[form] >= enough[form])
        or (form == "lone" and (is_label or (not edge.label and offset == 0)))
    }


def _on_most_pages(edges: Sequence[Edge]) -> set[int]:
    """Rule 1: pages whose edge line, digits aside, stands on most pages, but for the first of them."""
    pages = defaultdict(list)
    for edge in edges:
        key = re.sub(r"\d+", "#", " ".join(edge.line.casefold().split()))
        if any(c.isalpha() for c in key):
            pages[key].append(edge.index)
    enough = max(MIN_PAGES, MOST * len(edges))
    return {index for found in pages.values() if len(found) >= enough for index in found[1:]}


def _in_a_row(edges: Sequence[Edge]) -> set[int]:
    """Rule 2: pages of a run with the same edge line, on each page or on every other, but for the first of them."""
    pages = defaultdict(list)
    for edge in edges:
        if sum(c.isalpha() for c in edge.line) >= 4:
            pages[" ".join(edge.line.split())].append(edge)
    running: set[int] = set()
    for found in pages.values():
        gaps = [i for i in range(1, len(found)) if found[i].number - found[i - 1].number > 2]
        for start, stop in pairwise([0, *gaps, len(found)]):
            if stop - start >= MIN_RUN:
                running.update(edge.index for edge in found[start + 1 : stop])
    return running


def _position(lines: Sequence[str], last: bool) -> int | None:
    """Position of the first (or last) line that is not blank."""
    order = range(len(lines) - 1, -1, -1) if last else range(len(lines))
    return next((i for i in order if lines[i].strip()), None)


def fold(text: str) -> str:
    """Letters and digits of ``text``, case folded: what headings are compared by."""
    return "".join(c for c in text.casefold() if c.isalnum())


def _is_heading(edge: Edge, headings: Sequence[Collection[str]]) -> bool:
    if not headings or _LONE.match(edge.line):
        return False
    folded = fold(edge.line)
    titles = [fold(heading) for heading in headings[edge.index]]
    return any(title and folded.endswith(title) and len(folded) - len(title) <= NUMBERING for title in titles)


def strip_running_lines(
    pages: Sequence[str],
    *,
    numbers: Sequence[int] = (),
    labels: Sequence[str] = (),
    headings: Sequence[Collection[str]] = (),
) -> list[str]:
    """Pages without running headers, footers and page numbers. Every line that stays, stays as it was.

    Args:
        pages: page texts in order.
        numbers: their page numbers in the source, where they are not 1, 2, 3 and so on.
        labels: printed page labels, one a page ("" where unknown), or nothing.
        headings: titles known to start on each page, one collection a page, or nothing; they are kept.
    """
    split = [page.split("\n") for page in pages]
    if len(pages) < 2:
        return list(pages)
    for last in (False, True):
        for _ in range(DEPTH):
            positions = [_position(lines, last) for lines in split]
            edges = [
                Edge(i, numbers[i] if numbers else i + 1, labels[i] if labels else "", split[i][position].strip())
                for i, position in enumerate(positions)
                if position is not None and len(split[i][position]) <= LONGEST
            ]
            running = _page_numbered(edges) | _on_most_pages(edges) | _in_a_row(edges)
            running -= {edge.index for edge in edges if _is_heading(edge, headings)}
            if not running:
                break
            for index in running:
                del split[index][positions[index] or 0]
    return ["\n".join(lines) for lines in split]
