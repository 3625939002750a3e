"""Checks of settings: a sentence for each problem, all of a table in one error. Pure."""

from __future__ import annotations

import math

from sharedllm_docs.errors import ConfigError


def raise_if(problems: list[str], table: str) -> None:
    if problems:
        raise ConfigError(f"Invalid [{table}]: " + " ".join(problems), remedy="Correct the configuration.")


def below(settings: object, least: float, *names: str) -> list[str]:
    """A sentence for each setting that is no number, or below ``least``."""
    problems = []
    for name in names:
        value = getattr(settings, name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            problems.append(f"{name}={value!r} must be a number.")
        elif value < least:
            problems.append(f"{name}={value!r} must be at least {least:g}.")
    return problems


def not_whole(settings: object, *names: str) -> list[str]:
    return [
        f"{name}={getattr(settings, name)!r} must be a whole number."
        for name in names
        if not isinstance(getattr(settings, name), int) or isinstance(getattr(settings, name), bool)
    ]


def not_shares(settings: object, *names: str) -> list[str]:
    """A sentence for each setting outside 0..1."""
    wrong = below(settings, 0, *names)
    return wrong or [f"{n}={getattr(settings, n)!r} must lie in 0..1." for n in names if getattr(settings, n) > 1]
