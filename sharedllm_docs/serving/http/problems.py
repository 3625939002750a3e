"""Validation errors of pydantic as sentences: the value, the limit that it violates, and the remedy.

Input: the errors of a pydantic validation. Output: one ``Problem`` for each field. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_LABEL = re.compile(r"str|int|float|bool|dict|list|[A-Z]\w*|.*\[.*")
"""What pydantic puts into a place for a member of a union; no field is named so."""
_SECRET = re.compile(r"password|api_keys?|key")
_LONGEST = 60
_EXPECTED = {
    "string": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "tuple": "a list",
    "dict": "an object",
    "model": "an object",
    "model_attributes": "an object",
    "dataclass": "an object",
    "path": "a path",
    "finite_number": "a finite number",
}
_KIND = re.compile(r"(finite_number)|(\w+?)(?:_exact)?_(?:type|parsing|from_float|parsing_size)")
_BOUNDS = {
    "greater_than_equal": ("ge", "is below the least, {}", "Give at least {}."),
    "greater_than": ("gt", "is not above {}", "Give more than {}."),
    "less_than_equal": ("le", "is above the most, {}", "Give at most {}."),
    "less_than": ("lt", "is not below {}", "Give less than {}."),
    "string_too_short": ("min_length", "has fewer than {} characters", "Give {} or more."),
    "string_too_long": ("max_length", "has more than {} characters", "Give {} or fewer."),
    "too_short": ("min_length", "has fewer than {} entries", "Give {} or more."),
    "too_long": ("max_length", "has more than {} entries", "Give {} or fewer."),
}


@dataclass(frozen=True)
class Problem:
    """Something wrong with a request or a setting.

    Attributes:
        where: the field, as ``messages.0.role``; "" for the whole.
        message: what is wrong, in a sentence.
        remedy: what to do about it.
    """

    where: str
    message: str
    remedy: str


def problems_of(
    errors: Sequence[Mapping[str, Any]], *, whole: str, outer: int = 0, shown: bool = True
) -> list[Problem]:
    """One problem for each field that something is wrong with.

    Args:
        errors: as pydantic lists them.
        whole: what they are about, as in "the body".
        outer: number of parts of each place that name no field, at its beginning.
        shown: whether values are shown; those of passwords and keys never are.
    """
    fields: dict[str, list[Mapping[str, Any]]] = {}
    for error in errors:
        own = error["loc"][outer:]
        fields.setdefault(str(own[0]) if own else "", []).append(error)
    return [_problem(found, whole, outer, shown) for found in fields.values()]


def _problem(errors: list[Mapping[str, Any]], whole: str, outer: int, shown: bool) -> Problem:
    """If a field of a union type has several errors, one per member, the one that got furthest is the most
    informative."""
    places = [[str(part) for part in one["loc"][outer:] if not _LABEL.fullmatch(str(part))] for one in errors]
    depth = max(map(len, places))
    errors = [one for one, place in zip(errors, places, strict=True) if len(place) == depth]
    where = ".".join(next(place for place in places if len(place) == depth))
    message, remedy = _sentence(errors, where or whole, shown and not _SECRET.search(where))
    return Problem(where, message[:1].upper() + message[1:] if not where else message, remedy)


def _sentence(errors: list[Mapping[str, Any]], where: str, shown: bool) -> tuple[str, str]:
    """Message and remedy."""
    first = errors[0]
    kind, context = str(first["type"]), first.get("ctx", {})
    value = f"{where}={_short(first.get('input'))}" if shown else where
    expected = [
        _EXPECTED[found[found.lastindex or 0]]
        for one in errors
        if (found := _KIND.fullmatch(one["type"])) and found[found.lastindex or 0] in _EXPECTED
    ]
    if expected:
        names = " or ".join(dict.fromkeys(expected))
        return f"{value} is not {names}.", f"Give {names}."
    if kind in _BOUNDS:
        name, broken, remedy = _BOUNDS[kind]
        return f"{value} {broken.format(context[name])}.", remedy.format(context[name])
    if kind == "missing":
        return f"{where} is missing.", "Add it."
    if kind == "extra_forbidden":
        return f"There is no parameter or setting {where!r}.", "Leave it out, or correct its name."
    if kind in ("literal_error", "enum"):
        return f"{value} is not one of {context['expected']}.", "Give one of these."
    if kind == "json_invalid":
        return f"{where} is not JSON: {context.get('error', 'it cannot be read')}.", "Send a JSON object."
    said = str(first["msg"]).removeprefix("Value error, ").rstrip(".")
    return f"{where}: {said}.", "Correct it."


def _short(value: Any) -> str:
    said = repr(value)
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…"
