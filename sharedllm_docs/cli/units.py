"""Values as people write and read them: sizes, layer ranges, metadata, page ranges, seconds."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sharedllm_docs.errors import ConfigError

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(I?)B?\s*", re.IGNORECASE)
_LAYERS = re.compile(r"\s*(\d{1,4})\s*(?:-\s*(\d{1,4})\s*)?")
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*", re.IGNORECASE)
_LONGEST = 999_999
"""Of any unit."""
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_POWER = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def parse_size(text: str, option: str) -> int:
    """Bytes of a size such as ``500MB``, ``1.5 GiB`` or ``1000000`` (KB = 1,000 bytes, KiB = 1,024).

    Raises:
        ConfigError: when it is malformed or below one byte.
    """
    match = _SIZE.fullmatch(text)
    size = int(float(match[1]) * (1024 if match[3] else 1000) ** _POWER[match[2].upper()]) if match else 0
    if size < 1:
        raise ConfigError(f"{option}={text!r} is not a size.", remedy="Write it as 500MB, 2GB or 1.5GiB.")
    return size


def parse_duration(text: str, option: str) -> float:
    """Seconds of a time such as ``10m``, ``90s``, ``2h``, ``7d`` or ``90``; 0 is one too.

    Raises:
        ConfigError: when it is malformed or too long.
    """
    match = _DURATION.fullmatch(text)
    if not match:
        raise ConfigError(f"{option}={text!r} is not a length of time.", remedy="Write it as 90s, 10m, 2h or 7d.")
    if float(match[1]) > _LONGEST:
        shown = text if len(text) <= 40 else f"{text[:40]}..."
        raise ConfigError(
            f"{option}={shown!r} is too long: the number before s, m, h or d may be {_LONGEST} at most.",
            remedy=f"Use at most {_LONGEST}d.",
        )
    return float(match[1]) * _SECONDS[match[2].lower()]


def parse_grains(text: str) -> tuple[int, ...]:
    """Read grains: ``1/4/16`` is (1, 4, 16).

    Raises:
        ConfigError: anything else.
    """
    try:
        return tuple(int(grain) for grain in text.split("/"))
    except ValueError as error:
        raise ConfigError(f"--grains {text!r} is not G/G/G.", remedy="Write whole numbers, e.g. 1/4/16.") from error


def parse_layers(text: str) -> tuple[int, int]:
    """First and last layer of ``6-25`` (or of ``6`` alone), counted from 1; bounds are the profile's to check.

    Raises:
        ConfigError: when it is malformed.
    """
    match = _LAYERS.fullmatch(text)
    if not match:
        raise ConfigError(
            f"--layers={text!r} is not a range of layers.", remedy="Write it as 6-25; the first layer is 1."
        )
    return int(match[1]), int(match[2] or match[1])


def parse_metadata(pairs: Sequence[str], option: str) -> dict[str, str]:
    """Metadata of ``KEY=VALUE`` texts.

    Raises:
        ConfigError: a text is not such a pair, or a key has two values.
    """
    found = parse_where(pairs, option)
    for key, values in found.items():
        if len(values) > 1:
            raise ConfigError(
                f"{option} gives {key!r} the values {' and '.join(map(repr, values))}.",
                remedy="Give each key one value.",
            )
    return {key: values[0] for key, values in found.items()}


def parse_where(pairs: Sequence[str], option: str) -> dict[str, list[str]]:
    """A filter by metadata of ``KEY=VALUE`` texts: each key with its allowed values, each once.

    Raises:
        ConfigError: a text is not such a pair.
    """
    found: dict[str, list[str]] = {}
    for pair in pairs:
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not (key and equals and value):
            raise ConfigError(f"{option}={pair!r} is not KEY=VALUE.", remedy=f"Write it as {option} year=2024.")
        values = found.setdefault(key, [])
        if value not in values:
            values.append(value)
    return found


def seconds_text(seconds: float) -> str:
    """``0.42 s``, ``12.3 s``, ``4 min 10 s``, ``1 h 05 min``."""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def count_text(count: int, noun: str, plural: str = "") -> str:
    """``1 page``, ``1,024 tokens``."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def pages_text(first: int, last: int) -> str:
    """``page 7`` or ``pages 7-9``."""
    return f"page {first}" if first == last else f"pages {first}-{last}"
