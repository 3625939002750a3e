"""Help of a command with its options under headings, as plain text of any width.

The records made here are what both ``--help`` and docs/cli.md show, whatever the version of typer.
"""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

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
    """The parameters that the project declares, without those that typer adds."""
    return [parameter for parameter in command.params if not set(parameter.opts) & set(_FROM_TYPER)]


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


class PanelCommand(TyperCommand):
    """A command whose plain help keeps the headings that rich's panels would show."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the parameters, heading by heading."""
        for heading, records in headed(self.get_params(ctx)).items():
            with formatter.section(heading):
                formatter.write_dl(records)
