"""Frozen records to plain JSON values and back, checked field by field: what comes back is not trusted."""

from __future__ import annotations

import base64
import types
import typing
from array import array
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeVar

import numpy as np

from sharedllm_docs.documents.boxes import Places
from sharedllm_docs.documents.readers.placing import Spots
from sharedllm_docs.documents.traced import Traced

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """Dataclasses become objects, tuples and lists lists."""
    if isinstance(value, Traced):
        return {"text": str(value), "marks": _packed(value.marks.tobytes())}
    if isinstance(value, Spots):
        return [_packed(column) for column in value.to_bytes()]
    if isinstance(value, Places):
        return {name: _packed(column.astype(np.int64).tobytes()) for name, column in value.to_arrays().items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, (tuple, list)):
        return [to_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    return value


def from_plain(kind: Any, value: Any) -> Any:
    """Inverse of ``to_plain`` for a type made of dataclasses, tuples, lists, mappings of strings and plain values.

    Raises:
        ValueError: the value is not of that type.
    """
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return _one_of(typing.get_args(kind), value)
    if origin in (tuple, list):
        return _items(kind, origin, value)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise ValueError(f"{type(value).__name__} is no mapping")
        inner = typing.get_args(kind)[1]
        return {_exactly(str, key): from_plain(inner, item) for key, item in value.items()}
    if kind is str and isinstance(value, dict):
        marks: array[int] = array("i")
        marks.frombytes(_unpacked(value.get("marks")))
        return Traced(_exactly(str, value.get("text")), marks)
    if kind is Spots:
        sides, directions = from_plain(tuple[str, str], value)
        return Spots.of_bytes(_unpacked(sides), _unpacked(directions))
    if kind is Places:
        columns = from_plain(dict[str, str], value)
        return Places({name: np.frombuffer(_unpacked(column), dtype=np.int64) for name, column in columns.items()})
    if isinstance(kind, type) and is_dataclass(kind):
        names = _types(kind)
        if not isinstance(value, dict) or set(value) - set(names):
            raise ValueError(f"these are not the fields of {kind.__name__}")
        return kind(**{name: from_plain(names[name], item) for name, item in value.items()})
    return _exactly(kind, value)


def _packed(numbers: bytes) -> str:
    """Many numbers as one text: a list of them takes a fifth of the time that reading the page takes."""
    return base64.b64encode(numbers).decode("ascii")


def _unpacked(text: object) -> bytes:
    return base64.b64decode(_exactly(str, text), validate=True)


@cache
def _types(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind, localns={"Places": Places})  # which its module imports for type checkers alone


def _one_of(kinds: tuple[Any, ...], value: Any) -> Any:
    for kind in kinds:
        try:
            return from_plain(kind, value)
        except (ValueError, TypeError):
            continue
    raise ValueError(f"{type(value).__name__} is none of {kinds}")


def _items(kind: Any, origin: Any, value: Any) -> Any:
    if not isinstance(value, list):
        raise ValueError(f"{type(value).__name__} is no list")
    inner = typing.get_args(kind)
    if origin is tuple and inner[-1] is not Ellipsis:
        if len(inner) != len(value):
            raise ValueError(f"{len(value)} values where {len(inner)} belong")
        return tuple(from_plain(one, item) for one, item in zip(inner, value, strict=True))
    found = [from_plain(inner[0], item) for item in value]
    return tuple(found) if origin is tuple else found


def _exactly(kind: Any, value: Any) -> Any:
    if kind is type(None):
        kind = types.NoneType
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise ValueError(f"{type(value).__name__} where {kind} belongs")
    return value
