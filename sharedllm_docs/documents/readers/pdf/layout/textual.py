"""Tables without drawn cells: lines whose segments stand in columns."""

from __future__ import annotations

import bisect
import itertools
import re
import statistics
from collections import defaultdict
from collections.abc import Sequence

from sharedllm_docs.documents.readers.pdf.layout.boxes import Rule, Word, around
from sharedllm_docs.documents.readers.pdf.layout.grouping import Entry, grouped
from sharedllm_docs.documents.readers.pdf.layout.gutters import gutters
from sharedllm_docs.documents.readers.pdf.layout.lines import Line, Segment, has_digits, is_number, segment
from sharedllm_docs.documents.readers.pdf.layout.table import Cell, Table, cell, compact

_MARKER = re.compile(
    r"(?:[-\u2010-\u2015•▪➢✓*·◦‣▶○●■□\uf0b7\uf0a7]|\(?(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,5})[.)]|\[\d{1,3}\]|\d{1,2}(?:\.\d{1,2})+\.?)\Z"
)
_LEADERS = re.compile(r"[.\u2024·_]{4,}|(?:[.\u2024·] ){3,}")
_PITCH = 2.4  # line heights between two lines of one table
_PASSIVE = 3  # lines in a row that stand in one column: headings, broken labels
_NARROW = 0.5  # of the font size: the narrowest gutter
_PROSE = 9  # words of a segment that is a sentence rather than a cell
_UNIT = re.compile(
    r"[(\[]\s*(?:in|amounts?|rs\.?|us|usd|eur|dollars?|millions?|thousands?|billions?|crores?|per ?cent|%|[`$€£¥])",
    re.IGNORECASE,
)
_HEAD_NUMBER = re.compile(
    r"(?:FY|CY)?(?:19|20)\d\d[a-zA-Z*†]?(?:\s?[-/\u2013]\s?\d{2,4})?|\(\d{1,2}\)"
    r"|\d{1,2}[./-]\d{1,2}[./-](?:(?:19|20)\d\d|\d\d)[a-zA-Z*†]?|(?:19|20)\d\d-\d\d-\d\d"
)
_PERIOD = re.compile(
    r"\b(?:years?|months?|quarters?|weeks?|period|ended|ending|as (?:of|at)|stand|jahr|exercice|at (?=\d)|"
    r"(?:jan|feb|m[aä]r|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz])[a-zäé]*\.?)(?!\w)",
    re.IGNORECASE,
)
_MATHS = re.compile(r"(?:^|\s)[=≤≥≈]|=\s|=$|[∑∏∫√\u2211\u220f]")
_FEW_WORDED = 6  # lines of a table without figures and rules
_FEW = 4  # lines of a table that nothing but its figures shows
_HEAD_SLACK = 0.6  # of the font size: how far a head reaches over the gutter of its column
_FEW_COLUMNS = 3  # of a table, from which heads are counted
_FEW_SPACES = 3  # of a justified line
_WIDEST_SPACE = 2.0  # of the font size: in it
_EVEN = 0.2  # of the font size: how far its spaces differ
_FILLED = 0.45  # share of the cells of a table that hold something
_MOST_HEADS = 9  # lines of a head
_MAX_LINES = 600


def text_tables(lines: Sequence[Line], rules: Sequence[Rule], *, sure: bool = False) -> list[Table]:
    """The tables among the lines of one column of text, top to bottom.

    Args:
        lines: top to bottom.
        rules: level and upright rules of the page; they part headings from rows.
        sure: whether it is known that there is one, so that a few rows are enough.
    """
    found = []
    for run in _runs(lines[:_MAX_LINES], rules):
        table = _table(run, rules, sure=sure)
        if table is not None:
            found.append(table)
    return found


# -- where tables are


def _cells_of(line: Line) -> tuple[Segment, ...]:
    """Segments, the marker of a list item aside; none of a line of code."""
    segments = line.segments
    if len(segments) > 1 and (line.is_code or _is_justified(line)):
        return segments[:1]
    return (
        segments[1:]
        if len(segments) > 1 and _MARKER.match(segments[0].text) and len(segments[0].text) < 5
        else segments
    )


def _is_justified(line: Line) -> bool:
    """Whether a line is running text with wide spaces, all the same, as they fill narrow columns."""
    segments = line.segments
    gaps = [b.left - a.right for a, b in itertools.pairwise(segments)]
    if len(gaps) < _FEW_SPACES or max(gaps) > _WIDEST_SPACE * line.size or line.numbers:
        return False
    if max(gaps) - min(gaps) > _EVEN * line.size:
        return False
    return sum(one.text[:1].islower() for one in segments) >= 0.5 * len(segments)


def _gaps(line: Line) -> list[tuple[float, float]]:
    segments = _cells_of(line)
    return [(a.right, b.left) for a, b in itertools.pairwise(segments)]


def _runs(lines: Sequence[Line], rules: Sequence[Rule]) -> list[list[Line]]:
    """Runs of lines that share a gutter."""
    runs: list[list[Line]] = []
    index = 0
    while index < len(lines):
        if len(_cells_of(lines[index])) < 2:
            index += 1
            continue
        run, index = _run_from(lines, index, rules)
        if len(run) > 1:
            runs.append(run)
    return runs


def _run_from(lines: Sequence[Line], first: int, rules: Sequence[Rule]) -> tuple[list[Line], int]:
    """The run that begins at a line, and where to go on looking."""
    run = [lines[first]]
    shared = _gaps(lines[first])
    waiting: list[Line] = []
    index = first + 1
    last = first
    while index < len(lines):
        line = lines[index]
        before = lines[index - 1]
        step = line.base - before.base
        limit = _PITCH * max(line.size, before.size) * (1.6 if _ruled_between(before, line, rules) else 1.0)
        if not any(map(_is_data, run)) and len(_cells_of(line)) > 2:
            limit *= 1.6  # heads stand off
        if step > limit:
            break
        if len(_cells_of(line)) > 1:
            kept = _intersection(shared, line)
            if not kept:
                break
            if _is_data(line) and not any(map(_is_data, run)):
                shared = _gaps(line)  # heads above, which may span columns, say less of them
            elif _is_data(line) or not any(map(_is_data, run)):
                shared = kept if _is_data(line) or not _heads_follow(lines, index) else shared
            run += [*waiting, line]
            waiting = []
            last = index
        else:
            if len(waiting) >= _PASSIVE or _is_prose(line, shared):
                break
            waiting.append(line)
        index += 1
    return run, max(last + 1, first + 1)


def _heads_follow(lines: Sequence[Line], index: int) -> bool:
    return any(_is_data(line) for line in lines[index + 1 : index + 6])


def _is_data(line: Line) -> bool:
    return line.numbers > 0


def _ruled_between(above: Line, below: Line, rules: Sequence[Rule]) -> bool:
    return any(
        rule.level and above.base <= rule.place <= below.base and rule.end > below.left and rule.start < below.right
        for rule in rules
    )


def _intersection(shared: Sequence[tuple[float, float]], line: Line) -> list[tuple[float, float]]:
    """What of the shared gaps a line leaves free, where it has something on both sides or nothing at all."""
    segments = line.segments
    kept = []
    for left, right in shared:
        parts = [(left, right)]
        for one in segments:
            parts = [piece for a, b in parts for piece in _minus(a, b, one.left, one.right)]
        kept += [(a, b) for a, b in parts if b - a >= _NARROW * line.size]
    hull_left, hull_right = segments[0].right, segments[-1].left
    if not any(a >= hull_left - 1 and b <= hull_right + 1 for a, b in kept):
        return []
    return kept


def _minus(a: float, b: float, left: float, right: float) -> list[tuple[float, float]]:
    if right <= a or left >= b:
        return [(a, b)]
    return [piece for piece in ((a, left), (right, b)) if piece[1] > piece[0]]


def _is_prose(line: Line, shared: Sequence[tuple[float, float]]) -> bool:
    """Whether a line of one segment is running text rather than a label or a heading inside a table."""
    crossed = sum(line.left < a and line.right > b for a, b in shared)
    words = len(line.words)
    return crossed > 0 and crossed >= 0.5 * len(shared) and words >= _PROSE


# -- what a table is


def _is_unit(line: Line) -> bool:
    """Whether a line says in which unit the figures are."""
    return len(line.segments) <= 2 and any(_UNIT.match(one.text) for one in line.segments)


def _table(run: list[Line], rules: Sequence[Rule], *, sure: bool = False) -> Table | None:
    """The table that a run of lines is, or None where it is a list or running text."""
    while len(run) > 2 and _is_unit(run[0]) and not _is_data(run[0]) and len(run[0].segments) < len(run[1].segments):
        run = run[1:]  # it names the table, not its columns
    if not (sure and any(map(_is_data, run))) and not _looks_like_table(run, rules):
        return None
    borders = gutters(_below_heads(run))
    if not borders:
        return None
    built = _Built(run, borders, rules)
    cells = compact(built.cells())
    rows, columns = {one.row for one in cells}, {one.column for one in cells}
    if len(columns) < 2 or len(rows) < 2:
        return None
    full = [row for row in rows if sum(one.row == row for one in cells) > 1]
    if sum(one.row in full for one in cells) < _FILLED * len(full) * len(columns):
        return None  # words strewn over a drawing
    return Table(around([word for one in cells for word in one.words]), tuple(cells), heads=built.heads)


def _below_heads(run: list[Line]) -> list[Line]:
    """The lines behind those at the top that hold years or days, which are centred over cells of their own."""
    names = [
        line.numbers > 0 and all(_HEAD_NUMBER.fullmatch(s.text) for s in line.segments if s.is_number) for line in run
    ]
    first = next((number for number, line in enumerate(run) if _is_data(line) and not names[number]), 0)
    below = run[first:]
    return below if sum(map(_is_data, below)) > 1 and any(names[:first]) else run


def table_of(lines: Sequence[Line], rules: Sequence[Rule]) -> Table | None:
    """The table that all of ``lines`` make up, or None where they do not."""
    run = [line for line in lines if line.segments]
    return _table(run, rules) if len(run) > 1 else None


def _looks_like_table(run: Sequence[Line], rules: Sequence[Rule]) -> bool:
    several = [line for line in run if len(_cells_of(line)) > 1]
    data = [line for line in several if _is_data(line)]
    if len(several) < 2:
        return False
    columns = statistics.median(len(_cells_of(line)) for line in several)
    leaders = sum(bool(_LEADERS.search(line.text)) for line in several)
    if leaders > 0.5 * len(several) and _lists_pages(several):
        return False  # a table of contents, an index: its lines read well as they are
    cells = [one for line in several for one in _cells_of(line)]
    prose = sum(len(one.words) >= _PROSE for one in cells)
    if prose > 0.34 * len(cells):
        return False
    if sum(one.is_number or sum(map(str.isalnum, one.text)) > 2 for one in cells) < 0.5 * len(cells):
        return False  # a formula
    share = len(data) / len(several)
    if _is_chart(several) or _is_formula(several):
        return False
    figures = sum(one.is_number and has_digits(one.text) for one in cells) / len(cells)
    if sum(one.text.endswith(",") for one in cells) > 0.4 * len(cells):
        return False  # a list of numbers
    if not figures and any("@" in one.text for one in cells):
        return False  # authors side by side
    if not figures and len(several) < _FEW_WORDED and not _has_rules(run, rules):
        return False
    if len(several) < _FEW and not _has_rules(run, rules):
        return columns >= 3 and figures >= 0.4 and len(several) >= 2
    if columns >= 3:
        return len(several) >= 3 or share >= 0.5
    return len(several) >= 3 and share >= 0.6


def _has_rules(run: Sequence[Line], rules: Sequence[Rule]) -> bool:
    """Whether level lines are drawn in a run, or close above and below it."""
    top, bottom = run[0].top - run[0].size, run[-1].bottom + run[-1].size
    left, right = min(line.left for line in run), max(line.right for line in run)
    return any(
        rule.level
        and top <= rule.place <= bottom
        and rule.start < right
        and rule.end > left
        and rule.end - rule.start > 0.3 * (right - left)
        for rule in rules
    )


def _is_formula(lines: Sequence[Line]) -> bool:
    """Whether a few lines are a displayed formula."""
    signs = sum(bool(_MATHS.search(line.text)) for line in lines)
    return (len(lines) < 6 and signs > 0) or signs > 0.5 * len(lines)


def _lists_pages(lines: Sequence[Line]) -> bool:
    """Whether the lines end in one whole number each, as in a table of contents."""
    with_leader = [line for line in lines if _LEADERS.search(line.text)]
    if sum(len(_LEADERS.findall(line.text)) > 1 for line in with_leader) > 0.5 * len(with_leader):
        return True  # an index in columns
    pages = sum(
        bool(re.fullmatch(r"(?:\d{1,4}|[ivxlc]{1,7}|[A-Z]+-\d+)", line.words[-1].text, re.IGNORECASE))
        and line.numbers <= 1
        for line in with_leader
    )
    return pages > 0.5 * len(with_leader)


def _is_chart(lines: Sequence[Line]) -> bool:
    """Whether the numbers are the ticks of axes: each column an even progression, and nothing beside them."""
    if sum(not line.segments[0].is_number for line in lines) > 0.5 * len(lines):
        return False  # rows with labels
    columns: defaultdict[int, list[float]] = defaultdict(list)
    for line in lines:
        for one in line.segments:
            number = one.text.replace(",", "").replace("\u2212", "-").rstrip("%")
            if re.fullmatch(r"-?\d+(?:\.\d+)?", number):
                columns[round(one.right / 4)].append(float(number))
    ticks = 0
    for values in columns.values():
        steps = [round(b - a, 6) for a, b in itertools.pairwise(values)]
        if len(steps) < 3:
            continue
        common = statistics.mode(steps)
        even = common and abs(common) != 1 and sum(step == common for step in steps) >= 0.8 * len(steps)
        if not even:
            return False
        ticks += 1
    return ticks > 0


class _Built:
    """A run of lines cut at its gutters."""

    def __init__(self, run: Sequence[Line], borders: Sequence[float], rules: Sequence[Rule]) -> None:
        self.run, self.borders = run, list(borders)
        self.heads = 0  # rows of the head, known with the cells
        self.rules = [rule for rule in rules if rule.level]
        self.count = len(borders) + 1
        self.hulls = self._hulls()
        heads = self._heads()
        self.entries: list[list[tuple[int, int, Segment]]] = []
        for number in range(len(run) - 1, -1, -1):  # upwards: what a head spans shows in the line below
            below = self.entries[0] if number < heads - 1 else []
            self.entries.insert(0, self._spans(run[number], number < heads, below))

    def _hulls(self) -> list[tuple[float, float]]:
        """Left and right of what each column holds in lines with data."""
        data = [line for line in self.run if _is_data(line)] or list(self.run)
        found: list[list[float]] = [[] for _ in range(self.count)]
        for line in data:
            for one in line.segments:
                first, last = self._column(one.left + 0.5), self._column(one.right - 0.5)
                if first == last:
                    found[first] += [one.left, one.right]
        edges = [min(line.left for line in self.run), *self.borders, max(line.right for line in self.run)]
        return [
            (min(places), max(places)) if places else (edges[number] + 1, edges[number + 1] - 1)
            for number, places in enumerate(found)
        ]

    def _column(self, x: float) -> int:
        return bisect.bisect_right(self.borders, x)

    def _spans(
        self, line: Line, head: bool, below: Sequence[tuple[int, int, Segment]]
    ) -> list[tuple[int, int, Segment]]:
        """(first column, last column, segment) of what a line holds; ``below``: of the next line of the head."""
        in_turn = self._one_each(line) if head else None
        if in_turn is not None:
            return in_turn
        found: list[tuple[int, int, Segment]] = []
        for one in line.segments:
            parts = self._cut(one, head)
            if head and len(parts) > 1:
                first, last = self._column(parts[0].centre), self._column(parts[-1].centre)
                under = sum(first <= a and b <= last for a, b, _ in below)
                parts = parts if under < len(parts) else [one]  # it stands over several cells: it spans them
            for part in parts:
                first, last = self._covered(part)
                if found and found[-1][1] >= first:
                    before = found.pop()
                    part = segment([*before[2].words, *part.words])
                    first, last = before[0], max(before[1], last)
                found.append((first, last, part))
        return found

    def _one_each(self, line: Line) -> list[tuple[int, int, Segment]] | None:
        """The heads of a line with one for each column, as they stand over their cells: centred over figures that end
        at the right, they may lie nearer to the figures before."""
        first = self.count - len(line.segments)
        if self.count < _FEW_COLUMNS or first not in (0, 1):
            return None
        for column, one in enumerate(line.segments, start=first):
            begin = self.hulls[column - 1][1] if column else min(line.left, self.hulls[0][0])
            if not begin <= one.centre <= max(self.hulls[column][1], one.left + 1):
                return None
        return [(column, column, one) for column, one in enumerate(line.segments, start=first)]

    def _cut(self, one: Segment, head: bool) -> list[Segment]:
        """A segment cut where a gap between its words lies in a gutter: beside a number, or in a head."""
        if len(one.words) < 2:
            return [one]
        parts: list[list[Word]] = [[one.words[0]]]
        for before, word in zip(one.words, one.words[1:], strict=False):
            crossed = self._column(before.centre) != self._column(word.centre)
            slack = _HEAD_SLACK * word.size if head else 1.0
            near = any(before.right - slack <= border <= word.left + slack for border in self.borders)
            if crossed and near and (head or is_number(word.text) or is_number(before.text)):
                parts.append([])
            parts[-1].append(word)
        return [segment(part) for part in parts]

    def _covered(self, one: Segment) -> tuple[int, int]:
        """The columns that a segment stands over."""
        over = [
            number
            for number, (left, right) in enumerate(self.hulls)
            if min(right, one.right) - max(left, one.left) > 0.3 * min(right - left, one.width)
        ]
        if len(over) > 1:
            return over[0], over[-1]
        centre = self._column(one.centre)
        if over:
            return over[0], over[0]
        return centre, centre

    # -- rows

    def _heads(self) -> int:
        """Number of lines above the first one with data."""
        data = [number for number, line in enumerate(self.run) if _is_data(line) and not self._is_head(number)]
        first = data[0] if data else len(self.run)
        if len(data) < 0.4 * (len(self.run) - first):
            first = len(self.run)
        first = first if first < min(len(self.run), _MOST_HEADS) else 1
        # headings of the first rows are no heads
        while first > 1 and len(self.run[first - 1].segments) == 1 and self._column(self.run[first - 1].centre) == 0:
            first -= 1
        return first

    def _is_head(self, number: int) -> bool:
        """Whether a line of numbers is a head: years, or numbers of columns."""
        segments = self.run[number].segments
        numbers = [one.text for one in segments if one.is_number]
        if not numbers or number >= _MOST_HEADS or not all(_HEAD_NUMBER.fullmatch(text) for text in numbers):
            return False
        labelled = self._column(segments[0].centre) == 0
        label = segments[0].text
        named = not labelled or not has_digits(label) or _PERIOD.search(label) is not None
        # years beside words such as Change: where no label stands, or where they are most of it
        words = len(segments) - len(numbers)
        return named and (words <= 1 or (len(numbers) > 1 and (not labelled or words <= len(numbers))))

    def cells(self) -> list[Cell]:
        heads = self._heads()
        found, row = self._head_cells(heads)
        self.heads = row
        entries = [self._entry(number) for number in range(heads, len(self.run))]
        room = (self.hulls[1][0] if self.count > 1 else self.run[0].right) - min(line.left for line in self.run)
        for group in grouped(entries, room):
            lanes: defaultdict[tuple[int, int], list[Word]] = defaultdict(list)
            for member in group:
                for first, last, one in self.entries[heads + member]:
                    lanes[first, last].extend(one.words)
            found += [cell(row, row, first, last, words) for (first, last), words in _merged(lanes)]
            row += 1
        return found

    def _entry(self, number: int) -> Entry:
        line = self.run[number]
        by_column: dict[int, list[Word]] = {}
        for first, _, one in self.entries[number]:
            by_column.setdefault(first, []).extend(one.words)
        return Entry(line.base, line.size, by_column)

    def _head_cells(self, heads: int) -> tuple[list[Cell], int]:
        """Cells of the head: lines put together where columns go on, spanning heads above what they span."""
        rows: list[list[int]] = []
        for number in range(heads):
            if rows and self._head_goes_on(rows[-1][-1], number):
                rows[-1].append(number)
            else:
                rows.append([number])
        found: list[Cell] = []
        for row, members in enumerate(rows):
            lanes: defaultdict[tuple[int, int], list[Word]] = defaultdict(list)
            for member in members:
                below = row + 1 < len(rows)
                for first, last, one in self.entries[member]:
                    lanes[self._widened(first, last, one, member) if below else (first, last)].extend(one.words)
            found += [cell(row, row, first, last, words) for (first, last), words in _merged(lanes)]
        return found, len(rows)

    def _head_goes_on(self, above: int, number: int) -> bool:
        """Whether a line of the head goes on the one above: no spanning cell above, lines close together."""
        upper, lower = self.run[above], self.run[number]
        if lower.base - upper.base > 1.6 * max(upper.size, lower.size):
            return False
        if self._rule_below(upper, lower):
            return False
        return not any(self._is_spanner(first, last, one, above) for first, last, one in self.entries[above])

    def _rule_below(self, upper: Line, lower: Line) -> bool:
        return any(
            upper.base < rule.place < lower.base
            and rule.end - rule.start > 8
            and rule.start < lower.right
            and rule.end > lower.left
            for rule in self.rules
        )

    def _is_spanner(self, first: int, last: int, one: Segment, number: int) -> bool:
        """Whether a cell of the head stands over several cells of the line below."""
        if number + 1 >= len(self.run):
            return False
        a, b = self._widened(first, last, one, number)
        under = {c for low, high, _ in self.entries[number + 1] if a <= low and high <= b for c in range(low, high + 1)}
        return b > a and len(under) > 1

    def _widened(self, first: int, last: int, one: Segment, number: int) -> tuple[int, int]:
        """The columns of a spanning head: as its rule shows, else as many as its middle is the middle of."""
        line = self.run[number]
        for rule in self.rules:
            over = [s for s in line.segments if s.right > rule.start + 1 and s.left < rule.end - 1]
            near = line.base - 1 < rule.place < line.base + 1.2 * line.size
            if near and len(over) == 1 and rule.start - 2 <= one.left and rule.end + 2 >= one.right:
                middles = [(left + right) / 2 for left, right in self.hulls]
                under = [n for n, middle in enumerate(middles) if rule.start - 3 <= middle <= rule.end + 3]
                if under and len(under) < self.count:
                    return min(first, under[0]), max(last, under[-1])
        shared = self._even_share(first, one, number) or self._share_of_periods(first, one, number)
        if shared is not None:
            return shared
        if first == 0 or not self._may_span(first, last, one, number):
            return first, last
        others = [s for s in line.segments if s is not one]
        low = max((self._column(s.right) for s in others if s.right < one.left), default=0) + 1
        high = min((self._column(s.left) for s in others if s.left > one.right), default=self.count) - 1
        # no further than half-way to the heads beside it
        middles = [(left + right) / 2 for left, right in self.hulls]
        nearest = [min(abs(middle - s.centre) for s in others) if others else 1e9 for middle in middles]
        low = max(
            low,
            next(
                n
                for n in range(first + 1)
                if all(abs(middles[m] - one.centre) < nearest[m] for m in range(n, first)) or n == first
            ),
        )
        while high > last and abs(middles[high] - one.centre) > nearest[high]:
            high -= 1
        best = (first, last)
        for a in range(max(low, 1), first + 1):
            for b in range(last, high + 1):
                middle = (self.hulls[a][0] + self.hulls[b][1]) / 2
                wide = self.hulls[b][1] - self.hulls[a][0]
                if abs(middle - one.centre) <= 0.12 * wide + 2 and b - a > best[1] - best[0]:
                    best = (a, b)
        return best

    def _even_share(self, first: int, one: Segment, number: int) -> tuple[int, int] | None:
        """The columns of a head where the line below has twice or three times as many cells, and so on."""
        own = [entry for entry in self.entries[number] if entry[0] > 0]
        below = [entry for entry in self.entries[number + 1] if entry[0] > 0] if number + 1 < len(self.run) else []
        if first == 0 or len(own) < 2 or len(below) < 2 * len(own) or len(below) % len(own):
            return None
        share = len(below) // len(own)
        place = next((n for n, entry in enumerate(own) if entry[2] is one), None)
        if place is None:
            return None
        a, b = below[place * share][0], below[(place + 1) * share - 1][1]
        return (a, b) if self.hulls[a][0] - 2 <= one.centre <= self.hulls[b][1] + 2 else None

    def _share_of_periods(self, first: int, one: Segment, number: int) -> tuple[int, int] | None:
        """The columns of a head where the line below names periods, and all heads of its line share them out.

        Each stands in the middle, at the left or at the right of its own; None where they do not.
        """
        own = [entry[2] for entry in self.entries[number] if entry[0] > 0]
        below = [entry for entry in self.entries[number + 1] if entry[0] > 0] if number + 1 < len(self.run) else []
        if (
            first == 0
            or len(own) < 2
            or len(below) <= len(own)
            or not all(has_digits(entry[2].text) for entry in below)
        ):
            return None
        slack = 0.5 * one.size
        shares: list[tuple[int, int]] = []
        begin = 0
        for place, head in enumerate(own):
            most = len(below) - (len(own) - place - 1)
            ends = range(begin, most) if place < len(own) - 1 else range(most - 1, most)
            fits = [end for end in ends if self._stands_over(head, below[begin][0], below[end][1], slack)]
            if not fits:
                return None
            shares.append((below[begin][0], below[fits[-1]][1]))
            begin = fits[-1] + 1
        return shares[next(place for place, head in enumerate(own) if head is one)]

    def _stands_over(self, head: Segment, first: int, last: int, slack: float) -> bool:
        """Whether a head is centred over columns, by their figures or by their cells, or ends or begins with them."""
        left, right = self.hulls[first][0], self.hulls[last][1]
        after = self.hulls[first + 1][1] if first + 1 < self.count else right
        before = self.hulls[first - 1][1] if first > 1 else 2 * self.hulls[first][1] - after
        middles = ((left + right) / 2, (before + right) / 2)
        near = min(abs(head.centre - middle) for middle in middles) <= 2 * slack
        return near or abs(head.right - right) <= slack or abs(head.left - left) <= slack

    def _may_span(self, first: int, last: int, one: Segment, number: int) -> bool:
        """Whether a head may reach beyond the columns that it stands over: it hangs between two, or is one of several
        over a line with more cells."""
        if last > first or not self.hulls[first][0] - 1 <= one.centre <= self.hulls[first][1] + 1:
            return True
        cells = [entry for entry in self.entries[number] if entry[0] > 0]
        below = self.entries[number + 1] if number + 1 < len(self.entries) else []
        return len(cells) >= 2 and len([entry for entry in below if entry[0] > 0]) >= 1.5 * len(cells)


def _merged(lanes: dict[tuple[int, int], list[Word]]) -> list[tuple[tuple[int, int], list[Word]]]:
    """Cells of one row, those that overlap put together."""
    found: list[tuple[tuple[int, int], list[Word]]] = []
    for (first, last), words in sorted(lanes.items()):
        if found and found[-1][0][1] >= first:
            (a, b), held = found.pop()
            found.append(((a, max(b, last)), [*held, *words]))
        else:
            found.append(((first, last), list(words)))
    return found
