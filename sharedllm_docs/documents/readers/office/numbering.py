"""The numbers and bullets that Word sets before the paragraphs of lists and numbered headings."""

from __future__ import annotations

import re
from typing import Any

from sharedllm_docs.documents.cleaning import roman
from sharedllm_docs.documents.readers.office.xml import W, value_of

_PLACE = re.compile(r"%([1-9])")


class Numbering:
    """Counts the lists of a document.

    Args:
        package: of python-docx.
    """

    def __init__(self, package: Any) -> None:
        self._levels: dict[tuple[str, int], tuple[str, str, int]] = {}  # (list, level) -> format, text, start
        self._abstract: dict[str, str] = {}
        self._counts: dict[tuple[str, int], int] = {}
        try:
            root = package.part.numbering_part.element
        except (KeyError, NotImplementedError, AttributeError, ValueError):
            return
        for abstract in root.iterchildren(f"{W}abstractNum"):
            for level in abstract.iterchildren(f"{W}lvl"):
                self._define(f"abstract {abstract.get(f'{W}abstractNumId')}", level)
        for number in root.iterchildren(f"{W}num"):
            name = number.get(f"{W}numId", "")
            self._abstract[name] = f"abstract {value_of(number, 'abstractNumId')}"
            for override in number.iterchildren(f"{W}lvlOverride"):
                start, depth = value_of(override, "startOverride"), override.get(f"{W}ilvl", "0")
                if start is not None and depth.isdecimal():
                    known = self._levels.get((self._abstract[name], int(depth)), ("decimal", f"%{int(depth) + 1}.", 1))
                    self._levels[name, int(depth)] = (*known[:2], _integer(start, 1))

    def _define(self, name: str, level: Any) -> None:
        depth = _integer(level.get(f"{W}ilvl"), 0)
        kind, text = value_of(level, "numFmt") or "decimal", value_of(level, "lvlText") or ""
        self._levels[name, depth] = kind, text, _integer(value_of(level, "start"), 1)

    def mark(self, properties: Any, style: Any) -> str:
        """``3. ``, ``b) ``, ``- `` or ``2.1 `` for the next paragraph with these properties; "" outside lists."""
        place = _place(properties)
        visited = 0
        while place is None and style is not None and visited < 20:
            own = style.element.find(f"{W}pPr")
            place = _place(own) if own is not None else None
            style, visited = style.base_style, visited + 1
        if place is None or place[0] in (None, "0"):
            return ""
        return self._next(place[0] or "", place[1])

    def _level(self, name: str, depth: int) -> tuple[str, str, int]:
        return self._levels.get((name, depth)) or self._levels.get(
            (self._abstract.get(name, ""), depth), ("bullet", "", 1)
        )

    def _next(self, name: str, depth: int) -> str:
        kind, text, start = self._level(name, depth)
        if kind == "none":
            return ""
        if kind == "bullet":
            return "- "
        key = (
            name if (name, depth) in self._levels else self._abstract.get(name, name)
        )  # lists that go on share a count
        self._counts[key, depth] = self._counts.get((key, depth), start - 1) + 1
        for deeper in range(depth + 1, 9):
            self._counts.pop((key, deeper), None)

        def shown(match: re.Match[str]) -> str:
            at = int(match[1]) - 1
            own_kind, _, own_start = self._level(name, at)
            return _numeral(self._counts.get((key, at), own_start), own_kind)

        mark = _PLACE.sub(shown, text)
        return f"{mark} " if mark else ""


def _place(properties: Any) -> tuple[str | None, int] | None:
    """(list, level) of paragraph properties; None where they name no list."""
    number = properties.find(f"{W}numPr") if properties is not None else None
    if number is None:
        return None
    return value_of(number, "numId"), _integer(value_of(number, "ilvl"), 0)


def _numeral(number: int, kind: str) -> str:
    if kind in ("lowerRoman", "upperRoman") and 0 < number < 4000:
        text = roman(number)
        return text.upper() if kind == "upperRoman" else text
    if kind in ("lowerLetter", "upperLetter") and 0 < number < 700:
        letter = chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1)  # aa, bb after z, as Word counts
        return letter.upper() if kind == "upperLetter" else letter
    return f"{number:02d}" if kind == "decimalZero" else str(number)


def _integer(value: str | None, default: int) -> int:
    return int(value) if value is not None and value.isdecimal() and len(value) < 7 else default
