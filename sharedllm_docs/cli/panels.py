"""Help of a command with its options under headings, as plain text of any width.

The records made here are what both ``--help`` and docs/cli.md show, whatever the version of typer.
"""

from __future__ import annotations

import re
from typing import Any

from typer.core import TyperCommand

_NUMBERS = {int: re.compile(r"-?[0-9]{1,15}"), float: re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")}
"""Numbers as people write them; what else is one typer knows."""
OWN_HEADINGS = _ARGUMENTS, _OPTIONS = "Arguments", "Options"
_FROM_TYPER = ("--install-completion", "--show-completion", "--help")


def headed(parameters: list[Any]) -> dict[str, list[tuple[str, str]]]:
    """(name, help) of the parameters by heading; arguments first, then in the order in which headings appear."""
    groups: dict[str, list[tuple[str, str]]] = {_ARGUMENTS: [], _OPTIONS: []}
    for parameter in parameters:
        if not getattr(parameter, "hidden", False):
            groups.setdefault(_heading(parameter), []).append((_name(parameter), _text(parameter)))
    return {heading: records for heading, records in groups.items() if records}


def own_parameters(command: Any) -> list[Any]:
    """The parameters that the project declares and shows, without those that typer adds."""
    shown = (parameter for parameter in command.params if not getattr(parameter, "hidden", False))
    return [parameter for parameter in shown if not set(parameter.opts) & set(_FROM_TYPER)]


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _heading(parameter: Any) -> str:
    default = _ARGUMENTS if _is_argument(parameter) else _OPTIONS
    return getattr(parameter, "rich_help_panel", None) or default


def _name(parameter: Any) -> str:
    if _is_argument(parameter):
        return argument_name(parameter)
    written = ", ".join(sorted(parameter.opts, key=lambda option: option.startswith("--")))
    both = " / ".join((written, *parameter.secondary_opts))
    return both if parameter.is_flag else f"{both} {parameter.metavar or parameter.name.upper()}"


def argument_name(parameter: Any) -> str:
    """``DOC``, ``FILE...`` where several may be given, in brackets where none has to be."""
    name = parameter.metavar + ("..." if parameter.nargs == -1 else "")
    return name if parameter.required else f"[{name}]"


def _text(parameter: Any) -> str:
    notes = [f"env var: {parameter.envvar}"] if parameter.envvar else []
    if parameter.required and not _is_argument(parameter):
        notes.append("required")
    if isinstance(parameter.show_default, str):
        notes.append(f"default: {parameter.show_default}")
    elif parameter.default not in (None, False, []) and not parameter.required:
        notes.append(f"default: {parameter.default}")
    return " ".join(filter(None, (parameter.help, f"[{'; '.join(notes)}]" if notes else "")))


def spare_text(parameter: Any) -> None:
    """Let a parameter take texts, plain numbers, and nothing, without asking pydantic.

    typer has every value checked by pydantic, whose import takes longer than all else between the return key and the
    first word. Other values are checked as ever, those that are wrong among them. Versions of typer without the private
    names that are used here do as they do.
    """
    usual = getattr(parameter, "get_runtime_param", None)
    annotation = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    if usual is not None and getattr(parameter, "_runtime_param", usual) is None:
        parameter.get_runtime_param = lambda: _AsItIs(annotation, usual)


class _AsItIs:
    """In place of typer's ``RuntimeParam``."""

    def __init__(self, annotation: Any, usual: Any) -> None:
        self._annotation, self._usual = annotation, usual

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value for the command's function."""
        several = param.multiple or param.nargs == -1
        if value is None:
            return () if several else None
        if self._annotation is str and isinstance(value, str) and not several:
            return value
        if self._annotation in (int, float) and isinstance(value, str) and _NUMBERS[self._annotation].fullmatch(value):
            return self._annotation(value)
        if self._annotation == list[str] and several and isinstance(value, (tuple, list)):
            return list(value)
        return self._usual().coerce(value, param=param, ctx=ctx)


class PanelCommand(TyperCommand):
    """A command whose plain help keeps the headings that rich's panels would show."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters; texts among them need nothing that takes long to import."""
        parameters = list(super().get_params(ctx))
        for parameter in parameters:
            spare_text(parameter)
        return parameters

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the parameters, heading by heading."""
        for heading, records in headed(self.get_params(ctx)).items():
            with formatter.section(heading):
                formatter.write_dl(records)
