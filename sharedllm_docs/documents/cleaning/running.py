"""Running headers, running footers and page numbers: found over all pages of a document, removed from each.

Position *and* repetition decide. The line must be one of the outermost lines of its page (inside the page's margin, if
the reader knows the layout), and

1. exactly the same line stands there on at least half of the pages, or
2. exactly the same line stands there on three or more pages in a row, or on every other page, or
3. it is the page's own number, alone or apart from a title, and such numbers continue from page to page.

Lines that differ in anything but the page's own number are content: amounts, dates, "Day 3", "5. Which one ...". Rules
1 and 2 keep the first occurrence, so that no title and no header row is lost completely. If pages are the same more
than four lines deep, they are copies of one form, and nothing is removed from them. A heading that the caller knows is
never removed, and nothing is removed from a document of a single page.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sharedllm_docs.documents.cleaning.marks import level, roman
from sharedllm_docs.documents.traced import joined

MIN_PAGES = 4  # fewer pages prove neither repetition nor a sequence of numbers
HALF = 0.5  # share of the pages for rule 1
MIN_RUN = 3  # pages in a row for rule 2
MIN_SHARE = 0.1  # of the pages, for single numbers on pages far apart: in long books four may agree by chance
MAX_GAP = 3  # pages from one number of a sequence to the next: left and right pages, chapters that open without one
MARGIN_LINES = 4  # lines that may be removed from an edge
LONGEST = 200  # characters; what is longer is not a header
NUMBERING = 12  # letters and digits that may stand before a heading's title: "Appendix B"

_NUMBER = r"(?:\d{1,5}|[ivxlc]{1,8})"
_PAGE_WORD = (
    r"(?:page|pg\.?|p\.|seite|s\.|página|pagina|pág\.|pag\.|sida|side|sivu|strana|strona|str\.|страница|стр\.|第)"
)
_APART = r"(?:[ \t]{2,}|\t|[ \t]*[|•·][ \t]*)"  # what sets a number apart from the title beside it
_LONE = re.compile(
    rf"^\W*(?P<word>{_PAGE_WORD}\s*)?(?P<number>{_NUMBER})(?:\s*(?:of|von|de|/)\s*\d+)?\s*[页頁]?\W*$", re.IGNORECASE
)
_AT_START = re.compile(rf"^\W*(?P<number>{_NUMBER})(?P<gap>{_APART}|[ \t]+)(?P<title>\S.*)$")
_AT_END = re.compile(rf"^(?P<title>.*[^\s|•·,])(?P<gap>{_APART}|,?[ \t]+)(?P<number>{_NUMBER})\W*$", re.IGNORECASE)
_WORDED = re.compile(rf"^.*\S\W*[\s\[(]{_PAGE_WORD}\s*(?P<number>{_NUMBER})\W*$", re.IGNORECASE)  # "Miller [Page 3]"
_ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}


def is_page_number(line: str) -> bool:
    """Whether a line consists of the page's number only: ``3``, ``Page 3``, ``Seite 3 von 9``."""
    return _LONE.match(line) is not None


@dataclass(frozen=True)
class RunningLine:
    """A line that cleaning removed.

    Attributes:
        page: number of its page in the source, from 1.
        text: the line as it stood there, stripped.
    """

    page: int
    text: str


@dataclass(frozen=True)
class Edge:
    """The outermost line of one page, stripped.

    Attributes:
        index: of the page among those read, from 0.
        number: the page's number in the source, from 1.
        label: the number printed on the page, "" where unknown.
        line: the line's text.
    """

    index: int
    number: int
    label: str
    line: str


_NO_LETTERS = re.compile(r"[\W_]+")


def number_value(token: str) -> int | None:
    """Value of an Arabic or a well-formed small Roman number, else None."""
    if token.isdecimal():
        return int(token)
    values = [_ROMAN[letter] for letter in token.casefold()]
    total = sum(-v if any(w > v for w in values[i + 1 : i + 2]) else v for i, v in enumerate(values))
    return total if roman(total) == token.casefold() else None


def fold(text: str) -> str:
    """Letters and digits of ``text``, case folded, digits on the line: the form in which headings are compared."""
    return "".join(c for c in level(text).casefold() if c.isalnum())


def _ends_with_title(text: str, titles: Collection[str]) -> bool:
    """Whether ``text`` is one of the folded ``titles``, possibly after its numbering."""
    folded = fold(text)
    return any(title and folded.endswith(title) and len(folded) - len(title) <= NUMBERING for title in titles)


def _page_number_of(line: str, titles: Collection[str]) -> tuple[str, str] | None:
    """(form, number) of a line that looks like a page number, alone or apart from a title; else None.

    Forms: ``page`` ("Page 3"), ``lone``, ``worded`` ("Miller [Page 3]"), ``start`` and ``end`` ("My Book   3"). A
    number with one space before it is part of its line ("Day 3"), unless a page word or a title of the outline shows
    what it is.
    """
    lone = _LONE.match(line)
    if lone:
        return ("page" if lone["word"] else "lone"), lone["number"]
    worded = _WORDED.match(line)
    if worded:
        return "worded", worded["number"]
    for form, pattern in (("start", _AT_START), ("end", _AT_END)):
        match = pattern.match(line)
        if match is None:
            continue
        if re.fullmatch(_APART, match["gap"]) or _ends_with_title(match["title"], titles):
            return form, match["number"]
    return None


def _title_of(line: str) -> str:
    """The text beside the page number of a line; "" if there is none."""
    if _LONE.match(line):
        return ""
    matches = (pattern.match(line) for pattern in (_AT_START, _AT_END))
    return next((match["title"] for match in matches if match is not None), "")


def _bare(text: str) -> str:
    return _NO_LETTERS.sub("", text).casefold()


def _page_numbered(edges: Sequence[Edge], pages: int, titles: Collection[str]) -> set[int]:
    """Rule 3: pages whose edge line has the page's own number, as the surrounding pages confirm."""
    sequences: defaultdict[tuple[str, int | str], list[int]] = defaultdict(list)
    for edge in edges:
        found = _page_number_of(edge.line, titles)
        value = number_value(found[1]) if found else None
        if found is None or value is None:
            continue
        sequences[found[0], value - edge.number].append(edge.index)
        if edge.label and found[1].casefold() == edge.label.casefold():
            sequences[found[0], "label"].append(edge.index)
    running: set[int] = set()
    for (form, offset), indices in sequences.items():
        spread = form == "lone" and len(indices) >= max(MIN_PAGES, MIN_SHARE * pages)
        if spread or (offset == "label" and len(indices) >= MIN_PAGES):
            running.update(indices)  # the numbers of pages that open a chapter stand far apart
            continue
        enough = 2 if form == "page" else MIN_RUN if len(indices) == pages else MIN_PAGES
        gaps = [i for i in range(1, len(indices)) if indices[i] - indices[i - 1] > MAX_GAP]
        for start, stop in pairwise([0, *gaps, len(indices)]):
            if stop - start >= enough:
                running.update(indices[start:stop])
    return running


def _repeated(edges: Sequence[Edge]) -> tuple[set[int], set[int]]:
    """Rules 1 and 2: pages whose edge line (words, or a line of dashes) is on many pages, and the first ones of
    these."""
    pages: defaultdict[str, list[int]] = defaultdict(list)
    numbers = {edge.index: edge.number for edge in edges}
    for edge in edges:
        if any(c.isalpha() for c in edge.line) or not any(c.isalnum() for c in edge.line):
            pages[" ".join(edge.line.casefold().split())].append(edge.index)
    same: set[int] = set()
    first: set[int] = set()
    for line, found in pages.items():
        if len(found) >= max(MIN_PAGES, HALF * len(edges)):
            same.update(found)
            first.add(found[0])
            continue
        if sum(not c.isdigit() and not c.isspace() for c in line) < 4:
            continue
        gaps = [i for i in range(1, len(found)) if numbers[found[i]] - numbers[found[i - 1]] > 2]
        for start, stop in pairwise([0, *gaps, len(found)]):
            if stop - start >= MIN_RUN:
                same.update(found[start:stop])
                first.add(found[start])
    return same, first


class _Pages:
    """The pages of one document while their edges are taken off."""

    def __init__(
        self,
        pages: Sequence[str],
        numbers: Sequence[int],
        labels: Sequence[str],
        headings: Sequence[Collection[str]],
        titles: Collection[str],
        margins: Sequence[tuple[int, int]],
    ) -> None:
        self.lines = [page.split("\n") for page in pages]
        self.numbers = numbers or range(1, len(pages) + 1)
        self.labels = labels or [""] * len(pages)
        self.headings = [{fold(title) for title in known} for known in headings] or [set[str]()] * len(pages)
        self.titles = {fold(title) for title in titles}.union(*self.headings)
        self.margins = margins or [(MARGIN_LINES, MARGIN_LINES)] * len(pages)
        self.gone: list[set[int]] = [set() for _ in pages]

    def take_off(self, last: bool) -> None:
        """Mark the running lines at the bottom (``last``) or at the top of every page, from the edge inwards."""
        self._mark_numbers(last)
        outer = [self._outer_lines(index, last) for index in range(len(self.lines))]
        passed: list[list[tuple[int, str]]] = [[] for _ in self.lines]  # (position, why) of each page's running lines
        for _ in range(MARGIN_LINES + 1):
            edges = [
                self._edge(index, outer[index][len(done)])
                for index, done in enumerate(passed)
                if len(done) < len(outer[index])
            ]
            numbered = _page_numbered(edges, len(self.lines), self.titles)
            same, first = _repeated(edges)
            for edge in edges:
                why = "number" if edge.index in numbered else "first" if edge.index in first else "same"
                if edge.index in numbered | same and not self._is_heading(edge):
                    done = passed[edge.index]
                    done.append((outer[edge.index][len(done)], why))
        for index, done in enumerate(passed):
            copies = len(done) > MARGIN_LINES and done[-1][1] != "number"
            wanted = {"number"} if copies else {"number", "same"}
            self.gone[index].update(position for position, why in done[:MARGIN_LINES] if why in wanted)

    def _mark_numbers(self, last: bool) -> None:
        """Mark page numbers that are the same number of lines from the edge, whatever is outside of them."""
        outer = [self._outer_lines(index, last) for index in range(len(self.lines))]
        for depth in range(1, MARGIN_LINES):
            edges = [
                self._edge(index, lines[depth])
                for index, lines in enumerate(outer)
                if depth < len(lines) and _LONE.match(self.lines[index][lines[depth]].strip())
            ]
            for index in _page_numbered(edges, len(self.lines), ()):
                self.gone[index].add(outer[index][depth])

    def _edge(self, index: int, position: int) -> Edge:
        return Edge(index, self.numbers[index], self.labels[index], self.lines[index][position].strip())

    def _outer_lines(self, index: int, last: bool) -> list[int]:
        """Positions of the lines that may be running, from the edge inwards.

        If all of ``MARGIN_LINES`` may be, one more is compared: pages that are the same there too are copies of one
        form.
        """
        lines, allowed = self.lines[index], self.margins[index][last]
        order = range(len(lines) - 1, -1, -1) if last else range(len(lines))
        found = [position for position in order if lines[position].strip() and position not in self.gone[index]]
        found = found[: allowed + (allowed == MARGIN_LINES)]
        return found[: next((i for i, position in enumerate(found) if len(lines[position]) > LONGEST), len(found))]

    def keep_first_titles(self) -> None:
        """Unmark the first line with each title that stands beside a page number and nowhere else."""
        found: dict[str, tuple[int, int]] = {}
        for index, gone in enumerate(self.gone):
            for position in sorted(gone):
                title = _title_of(self.lines[index][position].strip())
                if title and not _ends_with_title(title, self.titles):
                    found.setdefault(_bare(title), (index, position))
        if not found:
            return
        kept = _bare("\n".join(self.kept()))
        for title, (index, position) in found.items():
            if title not in kept:
                self.gone[index].discard(position)

    def removed(self) -> list[RunningLine]:
        """The marked lines, in order."""
        return [
            RunningLine(self.numbers[index], self.lines[index][position].strip())
            for index, gone in enumerate(self.gone)
            for position in sorted(gone)
        ]

    def kept(self) -> list[str]:
        """The pages without them."""
        return [
            joined("\n", (line for position, line in enumerate(lines) if position not in gone))
            for lines, gone in zip(self.lines, self.gone, strict=True)
        ]

    def _is_heading(self, edge: Edge) -> bool:
        return not _LONE.match(edge.line) and _ends_with_title(edge.line, self.headings[edge.index])


def strip_running_lines(
    pages: Sequence[str],
    *,
    numbers: Sequence[int] = (),
    labels: Sequence[str] = (),
    headings: Sequence[Collection[str]] = (),
    titles: Collection[str] = (),
    margins: Sequence[tuple[int, int]] = (),
) -> tuple[list[str], list[RunningLine]]:
    """Pages without running headers, footers and page numbers, and the lines removed, in the order of the pages.

    Lines that stay are not changed.

    Args:
        pages: page texts in order.
        numbers: their page numbers in the source, where they are not 1, 2, 3 and so on.
        labels: printed page labels, one a page ("" where unknown), or nothing.
        headings: titles known to start on each page, one collection a page, or nothing; they are kept.
        titles: titles of the whole document: a number after one of them in an edge line may be the page's.
        margins: for each page, the number of lines at its top and at its bottom that stand in the margin, at most
            ``MARGIN_LINES``; nothing where the layout is not known.
    """
    if len(pages) < 2:
        return list(pages), []
    work = _Pages(pages, numbers, labels, headings, titles, margins)
    for last in (False, True):
        work.take_off(last)
    work.keep_first_titles()
    return work.kept(), work.removed()
