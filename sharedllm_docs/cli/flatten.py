"""Options in groups: a command takes a few frozen dataclasses, typer sees every field as an option of its own."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints


def flattened(function: Callable[..., None]) -> Callable[..., None]:
    """``function`` with each parameter that is an options dataclass replaced by that dataclass's fields.

    The fields are annotated as typer wants its parameters (``Annotated[type, typer.Option(...)]``), so that several
    commands share a group of options and its help without repeating either.
    """
    # not get_type_hints: Python 3.10 hides Annotated in an Optional where the default is None
    declared = inspect.signature(function, eval_str=True).parameters.values()
    groups = {p.name: p.annotation for p in declared if isinstance(p.annotation, type) and is_dataclass(p.annotation)}
    parameters: list[inspect.Parameter] = []
    for parameter in declared:
        if parameter.name in groups:
            parameters += _parameters_of(groups[parameter.name])
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))

    @functools.wraps(function)
    def command(**values: Any) -> None:
        built = {
            name: group(**{field.name: values.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        function(**values, **built)

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _parameters_of(group: type) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in fields(group)
    ]
