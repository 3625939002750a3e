"""LlamaIndex's metadata filters as the ``where`` of sharedllm-docs: a function of a document's metadata."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Collection, Mapping
from typing import Any

from llama_index.core.vector_stores.types import FilterCondition, FilterOperator, MetadataFilter, MetadataFilters
from sharedllm_docs import ConfigError, Where

from llama_index.llms.sharedllm.documents import kept_of

Fits = Callable[[Mapping[str, Any]], bool]
"""Whether a document with this metadata is to be searched."""
Filters = MetadataFilters | Mapping[str, Any] | Fits
"""LlamaIndex's filters; or for each key its value or a list of allowed values; or a function of the metadata."""
LISTS = (list, tuple, set, frozenset)


def where_of(filters: Filters | None) -> Where | None:
    """A filter as sharedllm-docs takes it; it sees the metadata as the LlamaIndex documents had it.

    Raises:
        ConfigError: an operator, a condition or a value that cannot be honoured; names it.
    """
    if filters is None:
        return None
    fits = _fits(filters)
    return lambda stored: fits(kept_of(stored).metadata)


def _fits(filters: Any) -> Fits:
    if isinstance(filters, MetadataFilters):
        return _combined(filters)
    if isinstance(filters, MetadataFilter):
        return _single(filters)
    if isinstance(filters, Mapping):
        tests = [_allowed(key, value) for key, value in filters.items()]
        return lambda metadata: all(test(metadata) for test in tests)
    if callable(filters):
        return lambda metadata: bool(filters(metadata))
    raise ConfigError(
        f"The filter {filters!r} is neither MetadataFilters nor a mapping nor a function.",
        remedy="Give MetadataFilters, {'year': '2024'}, or a function of the metadata.",
    )


def _combined(filters: MetadataFilters) -> Fits:
    """Conditions over filters, nested to any depth; without a filter every document fits, as in LlamaIndex."""
    tests = [_fits(each) for each in filters.filters]
    condition = filters.condition or FilterCondition.AND
    if not tests:
        return lambda _metadata: True
    if condition == FilterCondition.AND:
        return lambda metadata: all(test(metadata) for test in tests)
    if condition == FilterCondition.OR:
        return lambda metadata: any(test(metadata) for test in tests)
    if condition == FilterCondition.NOT:
        return lambda metadata: not any(test(metadata) for test in tests)
    raise ConfigError(f"The filter condition {condition!r} is not supported.", remedy="Use and, or, not.")


def _single(given: MetadataFilter) -> Fits:
    """A single filter. A missing value fits only ``!=``, ``nin`` and ``is_empty``, as in LlamaIndex."""
    key, value, kind = given.key, given.value, given.operator
    if kind == FilterOperator.IS_EMPTY:
        return lambda metadata: metadata.get(key) in (None, "", [])
    if kind not in OPERATORS:
        known = ", ".join(each.value for each in (*OPERATORS, FilterOperator.IS_EMPTY))
        raise ConfigError(
            f"The filter operator {getattr(kind, 'value', kind)!r} is not supported (supported: {known}).",
            remedy="Use one of these, or a function of the metadata.",
        )
    _check_value(given)
    test, missing = OPERATORS[kind], kind in (FilterOperator.NE, FilterOperator.NIN)

    def fits(metadata: Mapping[str, Any]) -> bool:
        stored = metadata.get(key)
        return missing if stored is None else test(stored, value)

    return fits


def _allowed(key: str, value: Any) -> Fits:
    values = value if isinstance(value, LISTS) else [value]
    if not all(isinstance(each, (str, int, float)) for each in values):
        raise ConfigError(
            f"The filter {key!r}: {value!r} is neither a string or number nor a list of them.",
            remedy="Give MetadataFilters, or a function, for other comparisons.",
        )
    return lambda metadata: key in metadata and _in(metadata[key], values)


def _check_value(given: MetadataFilter) -> None:
    needs, wanted = _NEEDS.get(given.operator, ((str, int, float), "a string or a number"))
    if not isinstance(given.value, needs):
        raise ConfigError(
            f"The filter on {given.key!r} compares by {given.operator.value!r} with {given.value!r}; "
            f"it takes {wanted}.",
            remedy="Correct the value, or use is_empty for documents without one.",
        )


def _number(value: Any) -> float | None:
    """A number, or a string that spells one, as a number; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _equal(stored: Any, value: Any) -> bool:
    """Equal values; a number also equals the string that spells it, since files keep their metadata as strings."""
    if isinstance(stored, str) != isinstance(value, str):
        number = _number(stored)
        return number is not None and number == _number(value)
    return bool(stored == value)


def _in(stored: Any, values: Collection[Any]) -> bool:
    return any(_equal(stored, value) for value in values)


def _contains(stored: Any, value: Any) -> bool:
    """Whether a list has the value, or a string has it as a part."""
    if isinstance(stored, list):
        return _in(value, stored)
    return isinstance(stored, str) and isinstance(value, str) and value in stored


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """A comparison of two numbers as numbers and of other strings as strings (dates as 2024-05-01); else False."""

    def test(stored: Any, value: Any) -> bool:
        left, right = _number(stored), _number(value)
        if left is not None and right is not None:
            return compare(left, right)
        return isinstance(stored, str) and isinstance(value, str) and compare(stored, value)

    return test


def _matches(stored: Any, value: str) -> bool:
    return isinstance(stored, str) and value in stored


OPERATORS: dict[FilterOperator, Callable[[Any, Any], bool]] = {
    FilterOperator.EQ: _equal,
    FilterOperator.NE: lambda stored, value: not _equal(stored, value),
    FilterOperator.GT: _ordered(operator.gt),
    FilterOperator.GTE: _ordered(operator.ge),
    FilterOperator.LT: _ordered(operator.lt),
    FilterOperator.LTE: _ordered(operator.le),
    FilterOperator.IN: _in,
    FilterOperator.NIN: lambda stored, values: not _in(stored, values),
    FilterOperator.ANY: lambda stored, values: any(_contains(stored, value) for value in values),
    FilterOperator.ALL: lambda stored, values: all(_contains(stored, value) for value in values),
    FilterOperator.CONTAINS: _contains,
    FilterOperator.TEXT_MATCH: _matches,
    FilterOperator.TEXT_MATCH_INSENSITIVE: lambda stored, value: (
        isinstance(stored, str) and value.casefold() in stored.casefold()
    ),
}
"""What compares a stored value with the filter's."""
_OF_LISTS = (FilterOperator.IN, FilterOperator.NIN, FilterOperator.ANY, FilterOperator.ALL)
_OF_TEXTS = (FilterOperator.TEXT_MATCH, FilterOperator.TEXT_MATCH_INSENSITIVE)
_NEEDS: dict[FilterOperator, tuple[tuple[type, ...], str]] = {
    **dict.fromkeys(_OF_LISTS, ((list,), "a list")),
    **dict.fromkeys(_OF_TEXTS, ((str,), "a string")),
}
"""Types of the filter's value, and what to call them; a string or a number for the other operators."""
