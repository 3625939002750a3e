"""What the public classes take and return can be named by whoever imports the package, without its submodules."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import sys
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Any, get_args, get_type_hints, is_typeddict

import sharedllm_docs

PACKAGE = "sharedllm_docs"
ROOTS = ("Index", "SharedLLM", "Stream", "AsyncStream")


@cache
def names_in(module: ModuleType) -> dict[str, Any]:
    """What a module's annotations may mean, with what it imports for type checkers only."""
    found = dict(vars(module))
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for entry in (one for one in node.body if isinstance(one, ast.ImportFrom)):
                source = importlib.import_module(str(entry.module))
                found |= {alias.asname or alias.name: getattr(source, alias.name) for alias in entry.names}
    return found


def hints(thing: Any) -> dict[str, Any]:
    names = names_in(sys.modules[thing.__module__])
    return get_type_hints(thing, globalns=names, localns=names)


def classes_in(hint: Any) -> Iterator[type]:
    """The package's own classes in a type: ``Sequence[Citation] | None`` gives ``Citation``."""
    if isinstance(hint, type) and hint.__module__.split(".")[0] == PACKAGE:
        yield hint
    for part in [*hint] if isinstance(hint, list) else get_args(hint):
        yield from classes_in(part)


def public_callables(cls: type) -> Iterator[tuple[str, Any]]:
    own = [base for base in cls.__mro__ if base.__module__.split(".")[0] == PACKAGE]  # a class may have parts
    for name, member in (pair for base in own for pair in vars(base).items()):
        if name.startswith("_") and name not in ("__iter__", "__next__", "__aiter__", "__anext__"):
            continue  # not ``__init__``: users make these by ``open``, ``from_pretrained`` and the like
        if isinstance(member, property):
            yield name, member.fget
        elif isinstance(member, (staticmethod, classmethod)):
            yield name, member.__func__
        elif inspect.isfunction(member):
            yield name, member


def reached() -> dict[type, str]:
    """Class of the package -> where it is taken or returned, from the roots on and through fields."""
    found: dict[type, str] = {}
    waiting = [(getattr(sharedllm_docs, name), name) for name in ROOTS]
    while waiting:
        cls, place = waiting.pop()
        if cls in found:
            continue
        found[cls] = place
        told: list[tuple[str, Any]] = []
        if place in ROOTS:
            told = [(name, one) for name, call in public_callables(cls) for one in hints(call).values()]
        elif dataclasses.is_dataclass(cls) or is_typeddict(cls):
            told = [(name, one) for name, one in hints(cls).items() if not name.startswith("_")]
        waiting += [(one, f"{cls.__name__}.{name}") for name, hint in told for one in classes_in(hint)]
    return found


def test_everything_the_public_classes_take_and_return_is_exported() -> None:
    found = reached()
    names = {cls.__name__ for cls in found}
    assert {"AddedDocument", "Citation", "Issue", "Passage", "RetrievalConfig", "AskOptions"} <= names, (
        "the walk stopped"
    )
    missing = {cls.__name__: place for cls, place in found.items() if cls.__name__ not in sharedllm_docs.__all__}
    assert missing == {}
    for cls in found:
        assert getattr(sharedllm_docs, cls.__name__) is cls
