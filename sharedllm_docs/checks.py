"""Checks of settings and texts. Checks of settings return a sentence for each problem, so that all are reported
together."""

from __future__ import annotations

import json
import math
import reprlib
import sys
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_args

from sharedllm_docs.errors import ConfigError, QuestionError

_DIGITS = 300
_TOO_LARGE = 10**_DIGITS  # beyond it a whole number is no floating-point number, and may not even be printed


def choice_problems(settings: object, choices: Mapping[str, Any]) -> list[str]:
    """A sentence for each field whose value is not among its choices."""
    problems = []
    for name, literal in choices.items():
        value = getattr(settings, name)
        if value not in get_args(literal):
            problems.append(f"{name}={value!r} is not one of {', '.join(map(repr, get_args(literal)))}.")
    return problems


def is_int(value: object) -> bool:
    """Whether the value is a whole number; True and False are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def number_problems(settings: object, *, whole: tuple[str, ...] = (), finite: tuple[str, ...] = ()) -> list[str]:
    """A sentence for each field that is not a whole (``whole``) or finite (``finite``) number."""
    problems = []
    for name in (*whole, *finite):
        value = getattr(settings, name)
        fraction = name in finite and isinstance(value, float) and math.isfinite(value)
        if is_int(value) and abs(value) >= _TOO_LARGE:
            problems.append(f"{name} has more than {_DIGITS} digits.")
        elif not is_int(value) and not fraction:
            problems.append(f"{name}={value!r} must be a {'whole' if name in whole else 'finite'} number.")
    return problems


def least_problems(settings: object, least: float, *names: str) -> list[str]:
    """One sentence for every field that is not a finite number, or below ``least``."""
    problems = []
    for name in names:
        wrong = number_problems(settings, finite=(name,))
        if not wrong and getattr(settings, name) < least:
            wrong = [f"{name}={getattr(settings, name)!r} must be at least {least:g}."]
        problems += wrong
    return problems


def share_problems(settings: object, *names: str) -> list[str]:
    """One sentence for every field that is not a number in 0..1."""
    problems = []
    for name in names:
        wrong = number_problems(settings, finite=(name,))
        if not wrong and not 0 <= getattr(settings, name) <= 1:
            wrong = [f"{name}={getattr(settings, name)!r} must lie in 0..1."]
        problems += wrong
    return problems


def raise_if(problems: list[str], what: str) -> None:
    """Raise one ConfigError that lists all problems, if there are any."""
    if problems:
        raise ConfigError(f"Invalid {what}: " + " ".join(problems), remedy="Correct these settings.")


def checked_keys(cls: type, values: Mapping[str, Any], what: str) -> dict[str, Any]:
    """The values; raises ConfigError unless ``cls`` has a field for each."""
    known = {f.name for f in fields(cls)}
    unknown = sorted(set(values) - known)
    raise_if([f"unknown setting {name!r} (known: {', '.join(sorted(known))})." for name in unknown], what)
    return dict(values)


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxlong = 40
_SHORT.maxlist = _SHORT.maxdict = 8


def shown(value: object) -> str:
    """A value that somebody gave, as a message shows it: shortened, however long or deeply nested it is."""
    return _SHORT.repr(value)


def json_of(text: str | bytes) -> Any:
    """The value of JSON that somebody wrote.

    Raises:
        ValueError: a ``JSONDecodeError`` if it is not JSON; another if it is nested too deeply or contains a number
            that is too long. Its text says so, without a full stop.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise
    except ValueError as error:
        most = sys.get_int_max_str_digits()
        raise ValueError(f"it holds a whole number of more than {most:,} digits") from error


def check_text(text: str, what: str) -> None:
    """Raise QuestionError if a text is not valid Unicode (contains half of a surrogate pair)."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise QuestionError(
            f"The {what} {text!r} holds {text[error.start]!r} at {error.start}, which is not a character.",
            remedy="Give it as valid UTF-8.",
        ) from error
