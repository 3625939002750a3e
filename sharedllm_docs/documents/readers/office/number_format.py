"""Values of a spreadsheet's cells as Excel shows them: number formats, dates, shares, amounts.

Covers the codes that Excel's own dialogue offers and their combinations; an unknown one shows the number plainly, never
nothing.
"""

from __future__ import annotations

import datetime as dt
import operator
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|_(?P<gap>.)|\*(?P<fill>.)|\[(?P<bracket>[^\]]*)\]'
    r"|(?P<ampm>AM/PM|A/P|am/pm)|(?P<date>y+|m+|d+|h+|s+(?:\.0+)?)|(?P<exponent>[Ee][+-]0+)"
    r"|(?P<digits>[#0?][#0?,.]*|\.[#0?]+)|(?P<percent>%)|(?P<general>General)|(?P<text>@)|(?P<other>.)",
    re.IGNORECASE,
)
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_CONDITION = re.compile(r"(<=|>=|<>|<|>|=)\s*(-?\d+(?:\.\d+)?)")
_EPOCH = dt.datetime(1899, 12, 30)


def shown(value: Any, code: str = "General") -> str:
    """The text that a cell shows.

    Args:
        value: None, text, a truth value, a number, a date, a time or a duration.
        code: number format of the cell, such as ``#,##0.00`` or ``dd.mm.yyyy``.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        return _text(value, code)
    try:
        if isinstance(value, (dt.datetime, dt.date, dt.time, dt.timedelta)):
            return _moment(value, code)
        return _number(value, code or "General")
    except (ValueError, OverflowError, IndexError):
        return str(value)


@lru_cache(maxsize=4096)
def _sections(code: str) -> tuple[tuple[tuple[str, str], ...], ...]:
    """The parts of a format between semicolons, each as (kind, text) tokens."""
    parts: list[list[tuple[str, str]]] = [[]]
    for match in _TOKEN.finditer(code):
        kind = match.lastgroup or "other"
        text = match[kind]
        if kind == "other" and text == ";":
            parts.append([])
        else:
            parts[-1].append((kind, text))
    return tuple(tuple(part) for part in parts)


def _text(value: str, code: str) -> str:
    sections = _sections(code or "General")
    if len(sections) < 4 and not any(kind == "text" for kind, _ in sections[-1]):
        return value
    return "".join(value if kind == "text" else _literal(kind, text) for kind, text in sections[-1]) or value


def _literal(kind: str, text: str) -> str:
    if kind in ("quoted", "escaped"):
        return text
    if kind == "gap":
        return " "
    if kind == "other":
        return text
    if kind == "bracket" and text.startswith("$"):
        return text[1:].partition("-")[0]
    return ""


def _number(value: float, code: str) -> str:
    sections = _sections(code)
    section, magnitude = _choose(sections, value)
    kinds = {kind for kind, _ in section}
    if "date" in kinds and not kinds & {"digits", "exponent"}:
        return _moment(_EPOCH + dt.timedelta(days=float(value)), code)
    if "general" in kinds or not kinds & {"digits", "exponent", "text"}:
        sign = "-" if magnitude < 0 else ""
        plain = _general(abs(magnitude))
        if not kinds & {"general"} and section:  # nothing but signs: the number is not shown
            return "".join(_literal(*token) for token in section).strip()
        return (sign + "".join(plain if kind == "general" else _literal(kind, text) for kind, text in section)).strip()
    return _digits(section, magnitude).strip()


def _choose(
    sections: tuple[tuple[tuple[str, str], ...], ...], value: float
) -> tuple[tuple[tuple[str, str], ...], float]:
    """The section that holds for a value, and the value that it shows: negatives have a section of their own."""
    conditions = [_condition(section) for section in sections]
    if any(conditions):
        for section, condition in zip(sections, conditions, strict=True):
            if condition is None or condition(value):
                return section, value
        return sections[-1], value
    if value < 0 and len(sections) > 1:
        return sections[1], -value
    if value == 0 and len(sections) > 2:
        return sections[2], value
    return sections[0], value


_TESTS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
    "<=": operator.le,
    ">=": operator.ge,
    "<>": operator.ne,
}


def _condition(section: tuple[tuple[str, str], ...]) -> Callable[[float], bool] | None:
    """The test that a section sets for values, such as ``[>5]``."""
    for kind, text in section:
        match = _CONDITION.fullmatch(text) if kind == "bracket" else None
        if match:
            test, bound = _TESTS[match[1]], float(match[2])
            return lambda value: test(value, bound)
    return None


def _general(value: float) -> str:
    """As the format General shows it: up to eleven digits."""
    if value == int(value) and value < 1e11:
        return str(int(value))
    if value >= 1e11 or (value and value < 1e-9):
        mantissa, _, exponent = f"{value:.5E}".partition("E")
        return f"{mantissa.rstrip('0').rstrip('.')}E{int(exponent):+03d}"
    whole = len(str(int(value)))
    return f"{value:.{max(0, 10 - whole)}f}".rstrip("0").rstrip(".")


def _digits(section: tuple[tuple[str, str], ...], value: float) -> str:
    """A number by its digit places."""
    pattern = "".join(text for kind, text in section if kind == "digits")
    exponent = next((text for kind, text in section if kind == "exponent"), "")
    if _is_fraction(section):
        return _general(value)
    magnitude = abs(value) * 100 ** sum(kind == "percent" for kind, _ in section)
    whole, _, decimals = pattern.partition(".")
    scaled = whole.rstrip(",") if not decimals else whole
    magnitude /= 1000 ** ((len(whole) - len(scaled)) + (len(decimals) - len(decimals.rstrip(","))))
    places = sum(character in "0#?" for character in decimals)
    needed = sum(character in "0?" for character in decimals)
    if exponent:
        mantissa, _, power = f"{magnitude:.{places}E}".partition("E")
        text = f"{mantissa}E{int(power):+0{len(exponent) - 1}d}"
    else:
        text = f"{magnitude:,.{places}f}" if "," in scaled.strip(",") else f"{magnitude:.{places}f}"
        text = _trimmed(text, places, needed)
        text = _padded(text, scaled.count("0"))
    sign = "-" if value < 0 and any(character in "123456789" for character in text) else ""
    parts, written = [], False
    for kind, token in section:
        if kind in ("digits", "exponent"):
            parts += [] if written else [text]
            written = True
        elif kind == "percent":
            parts.append("%")
        else:
            parts.append(_literal(kind, token))
    return sign + "".join(parts)


def _is_fraction(section: tuple[tuple[str, str], ...]) -> bool:
    digits = [at for at, (kind, _) in enumerate(section) if kind == "digits"]
    return len(digits) > 1 and any(kind == "other" and text == "/" for kind, text in section[digits[0] : digits[-1]])


def _trimmed(text: str, places: int, needed: int) -> str:
    """Without the zeros of places that a ``#`` leaves open."""
    while places > needed and text.endswith("0"):
        text, places = text[:-1], places - 1
    return text.rstrip(".")


def _padded(text: str, least: int) -> str:
    """With the zeros that the format asks for before the point; a format without any shows ``.5``."""
    whole, point, decimals = text.partition(".")
    missing = least - sum(character.isdigit() for character in whole)
    if least == 0 and whole == "0" and point:
        whole = ""
    return f"{'0' * max(0, missing)}{whole}{point}{decimals}"


def _moment(value: Any, code: str) -> str:
    """A date, a time or a duration."""
    tokens = _sections(code)[0]
    if not any(
        kind == "date" or (kind == "bracket" and text.lower() in ("h", "hh", "m", "mm", "s", "ss"))
        for kind, text in tokens
    ):
        return _plain_moment(value)
    elapsed = value if isinstance(value, dt.timedelta) else None
    if isinstance(value, dt.timedelta):
        value = _EPOCH + value
    elif isinstance(value, dt.time):
        value = dt.datetime.combine(_EPOCH.date(), value)
    elif not isinstance(value, dt.datetime):
        value = dt.datetime.combine(value, dt.time())
    half = any(kind == "ampm" for kind, _ in tokens)
    shown_seconds = any(kind == "date" and text[0] in "sS" for kind, text in tokens)
    if not any("." in text for kind, text in tokens if kind == "date"):
        value += dt.timedelta(microseconds=500_000) if shown_seconds and value.microsecond else dt.timedelta()
    parts = []
    for at, (kind, text) in enumerate(tokens):
        if kind == "date":
            minutes = text[0] in "mM" and _are_minutes(tokens, at)
            parts.append(_part(value, text.lower(), minutes, half))
        elif kind == "ampm":
            parts.append(("AM" if value.hour < 12 else "PM") if len(text) > 3 else ("A" if value.hour < 12 else "P"))
        elif kind == "bracket" and text.lower().strip("hms") == "" and text:
            since = elapsed if elapsed is not None else value - _EPOCH
            unit = {"h": 3600, "m": 60, "s": 1}[text[0].lower()]
            parts.append(f"{int(since.total_seconds() // unit):0{len(text)}d}")
        else:
            parts.append(_literal(kind, text))
    return "".join(parts).strip()


def _plain_moment(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat(" ", "seconds")
    return str(value)


def _are_minutes(tokens: tuple[tuple[str, str], ...], at: int) -> bool:
    """Whether an ``m`` counts minutes: it follows hours, or seconds follow it."""
    dates = [
        (place, text.lower()[0])
        for place, (kind, text) in enumerate(tokens)
        if kind == "date" or (kind == "bracket" and text and text.lower().strip("hms") == "")
    ]
    index = next(i for i, (place, _) in enumerate(dates) if place == at)
    before = dates[index - 1][1] if index else ""
    after = dates[index + 1][1] if index + 1 < len(dates) else ""
    return before == "h" or after == "s"


def _part(value: dt.datetime, text: str, minutes: bool, half: bool) -> str:
    kind, width = text[0], len(text)
    if kind == "y":
        return f"{value.year:04d}" if width > 2 else f"{value.year % 100:02d}"
    if kind == "d":
        if width > 2:
            name = _DAYS[value.weekday()]
            return name if width > 3 else name[:3]
        return f"{value.day:0{width}d}"
    if kind == "m" and not minutes:
        if width > 2:
            name = _MONTHS[value.month - 1]
            return {3: name[:3], 5: name[0]}.get(width, name)
        return f"{value.month:0{width}d}"
    if kind == "m":
        return f"{value.minute:0{min(width, 2)}d}"
    if kind == "h":
        hour = (value.hour % 12 or 12) if half else value.hour
        return f"{hour:0{min(width, 2)}d}"
    whole, _, fraction = text.partition(".")
    seconds = f"{value.second:0{min(len(whole), 2)}d}"
    return f"{seconds}.{value.microsecond:06d}"[: len(seconds) + 1 + len(fraction)] if fraction else seconds
