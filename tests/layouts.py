"""Pages with tables and columns, drawn word by word at known places."""

from __future__ import annotations

from collections.abc import Sequence

from .documents import put

_NARROW = {",": 0.278, ".": 0.278, " ": 0.278, "(": 0.333, ")": 0.333, "-": 0.333, "%": 0.889}
_NARROW |= dict.fromkeys("ijl", 0.222) | dict.fromkeys("ftI", 0.278) | {"r": 0.333, "m": 0.833, "w": 0.722}
_NARROW |= dict.fromkeys("ckJsvxyz", 0.5) | dict.fromkeys("FTZ", 0.611) | dict.fromkeys("ABEKPSVXY", 0.667)
_NARROW |= dict.fromkeys("CDHNRU", 0.722) | dict.fromkeys("GOQ", 0.778) | {"M": 0.833, "W": 0.944}


def width(text: str, size: float = 9) -> float:
    """Of letters, digits and signs in Helvetica, in points."""
    return sum(_NARROW.get(character, 0.556) for character in text) * size


def escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


def left(text: str, x: float, y: float, size: float = 9) -> str:
    return put(escaped(text), x, y, size)


def right(text: str, x: float, y: float, size: float = 9) -> str:
    """Text that ends at ``x``."""
    return put(escaped(text), x - width(text, size), y, size)


def centred(text: str, x: float, y: float, size: float = 9) -> str:
    """Text around ``x``; letters are taken to be half as wide as high."""
    return put(escaped(text), x - 0.25 * size * len(text), y, size)


def rule(x0: float, y0: float, x1: float, y1: float) -> str:
    """A thin drawn line."""
    return f"q 0.5 w {x0} {y0} m {x1} {y1} l S Q\n"


def grid(rows: Sequence[float], columns: Sequence[float]) -> str:
    """All the rules of a table, given the heights of the level and the places of the upright ones."""
    return "".join(rule(columns[0], y, columns[-1], y) for y in rows) + "".join(
        rule(x, rows[0], x, rows[-1]) for x in columns
    )


def income_statement(top: float = 700) -> str:
    """A table as quarterly reports print it: no rules, a spanning head, dollar signs in columns of their own."""
    content = centred("CONDENSED STATEMENTS OF OPERATIONS", 300, top)
    content += centred("(In millions, except per share data)", 300, top - 12)
    content += centred("Three Months Ended", 355, top - 36) + centred("Six Months Ended", 495, top - 36)
    for x, date in zip((320, 390, 460, 530), ("2025", "2024", "2025", "2024"), strict=True):
        content += right(date, x, top - 48)
    rows = [
        (60, "Net sales:", ()),
        (70, "Products", ("$ 61,564", "$ 58,313", "$ 128,582", "$ 124,300")),
        (70, "Services (1)", ("23,867", "20,766", "46,984", "43,117")),
        (80, "Total net sales", ("85,431", "79,079", "175,566", "167,417")),
        (60, "Loss on investments, net of hedging and of", ()),
        (70, "foreign exchange", ("(1,204)", "310", "(2,417)", "(15)")),
        (60, "Earnings per share", ("$ 1.40", "$ 1.26", "$ 3.58", "$ 3.14")),
    ]
    for number, (x, label, values) in enumerate(rows):
        y = top - 64 - 12 * number
        content += left(label, x, y)
        for end, value in zip((320, 390, 460, 530), values, strict=False):
            sign, _, figure = value.rpartition(" ")
            content += (left(sign, end - 48, y) if sign else "") + right(figure, end + (3 if ")" in figure else 0), y)
    return content + left("(1) Includes licences.", 60, top - 64 - 12 * len(rows) - 12, 7)


WORDS = (
    *[
        "the",
        "harbour",
        "keeps",
        "a",
        "tide",
        "gauge",
        "at",
        "the",
        "northern",
        "pier",
        "and",
        "reads",
        "it",
        "twice",
        "a",
        "day",
        "before",
        "the",
        "boats",
        "go",
        "out",
    ],
    *[
        "people",
        "who",
        "mend",
        "nets",
        "know",
        "the",
        "weather",
        "from",
        "the",
        "colour",
        "of",
        "the",
        "water",
        "and",
        "from",
        "the",
        "birds",
        "that",
        "rest",
        "on",
        "it",
    ],
)


def sentences(name: str, lines: int, letters: int = 40) -> list[str]:
    """Lines of running text, all different, that fill about ``letters`` letters and open with a key of their own."""
    found, place = [], sum(map(ord, name))
    for number in range(lines):
        line = f"{name}{number}"
        while len(line) < letters - 6:
            line += f" {WORDS[place % len(WORDS)]}"
            place += 1
        found.append(line)
    return found


def column(lines: Sequence[str], x: float, top: float, size: float = 9, pitch: float = 12) -> list[str]:
    """The content of each line."""
    return [left(line, x, top - pitch * number, size) for number, line in enumerate(lines)]


def woven(*columns: Sequence[str]) -> str:
    """Columns drawn row by row, as some programs do."""
    height = max(map(len, columns))
    return "".join(one[row] for row in range(height) for one in columns if row < len(one))


def in_turn(*columns: Sequence[str]) -> str:
    """Columns drawn one after the other."""
    return "".join(line for one in columns for line in one)
