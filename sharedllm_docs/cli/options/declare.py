"""How options are declared for typer, and how a command reads which of them the user set."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_type_hints

import typer

from sharedllm_docs.errors import ConfigError


def option(names: str, metavar: str | None, text: str, default: str | None = None, *, panel: str | None = None) -> Any:
    """A declaration for ``Annotated``.

    Args:
        names: as they are written, separated by blanks.
        metavar: name of the value in the help; None for a switch.
        text: of the help.
        default: what the help says about leaving the option out; None shows the default itself, if there is any.
        panel: heading under which the help lists the option.
    """
    return typer.Option(*names.split(), metavar=metavar, help=text, show_default=default or True, rich_help_panel=panel)


def choices(literal: object) -> str:
    """The values of a ``Literal`` as the name of a value in the help: ``[a|b]``."""
    return f"[{'|'.join(get_args(literal))}]"


def given(group: Any) -> dict[str, Any]:
    """The fields of an options group that the user set, by name."""
    values = {f.name: getattr(group, f.name) for f in fields(group)}
    # typer gives an empty list for a repeatable option that was left out
    return {f.name: values[f.name] for f in fields(group) if values[f.name] not in (f.default, [])}


def flags(group: Any) -> str:
    """The options of a group that the user set, as they are written: ``--max-pages, --pages``."""
    hints = get_type_hints(type(group), include_extras=True)
    declared = (hints[name].__metadata__[0] for name in given(group))
    return ", ".join(sorted(map(long_name, declared)))


def long_name(declared: Any) -> str:
    """The first name of two dashes that ``option`` was given: typer keeps the very first as the default."""
    names: list[str] = [declared.default, *declared.param_decls]
    return next(name for name in names if name.startswith("--"))


def refuse_without(options: Any, missing: str, *, why: str) -> None:
    """Refuse options that would have to be ignored.

    Raises:
        ConfigError: options of the group were set; it names them.
    """
    if given(options):
        raise ConfigError(
            f"{flags(options)} {why}, and there is no {missing}.", remedy=f"Add {missing}, or leave out the rest."
        )


def flattened(function: Callable[..., None]) -> Callable[..., None]:
    """``function`` with each parameter that is an options group replaced by that group's fields, for typer."""
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
    hints, kind = get_type_hints(group, include_extras=True), inspect.Parameter.KEYWORD_ONLY
    return [inspect.Parameter(f.name, kind, default=f.default, annotation=hints[f.name]) for f in fields(group)]
