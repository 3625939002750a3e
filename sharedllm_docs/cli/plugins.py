"""Commands of other distributions, found by their entry points and imported only when they are run.

A distribution adds a command to the program by an entry point in the group ``sharedllm_docs.commands``. Its name is the
command's path (``data build``, or one word for a command of its own), its value the function, declared as the commands
here are. Until the command is run, its help is the summary of its distribution.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from sharedllm_docs.cli.failures import PluginError
from sharedllm_docs.cli.panels import PanelCommand, spare_text

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "sharedllm_docs.commands"
DISTRIBUTIONS = {"data build": "sharedllm-docs-data"}
"""Commands that the project's own distributions add -> what to install for them."""


def entry_points(group: str) -> Iterable[EntryPoint]:
    """The entry points of a group; they are looked for only where a command is none of the project's own."""
    from importlib import metadata

    return metadata.entry_points(group=group)


class PluginCommand(PanelCommand):
    """A command whose code has not been imported yet."""

    def __init__(self, name: str, plugin: EntryPoint) -> None:
        super().__init__(name, help=_summary(plugin))
        self.plugin = plugin

    def loaded(self) -> Any:
        """The command itself.

        Raises:
            PluginError: importing it fails, or it is not a function.
        """
        try:
            function = self.plugin.load()
            program = typer.Typer(rich_markup_mode=None, add_completion=False)
            program.command(self.name, cls=PanelCommand)(function)
            return typer.main.get_command(program)
        except Exception as error:
            raise PluginError(
                f"The command {self.plugin.name!r} of {_origin(self.plugin)} cannot be loaded: "
                f"{type(error).__name__}: {error}.",
                remedy="Install that distribution again, in a version that fits, or remove it.",
            ) from error


class PluginGroup(TyperGroup):
    """A group of commands to which other distributions can add theirs."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters; texts among them need nothing that takes long to import."""
        parameters = list(super().get_params(ctx))
        for parameter in parameters:
            spare_text(parameter)
        return parameters

    def list_commands(self, ctx: Any) -> list[str]:
        """Own commands, then those of plugins."""
        own = super().list_commands(ctx)
        return [*own, *sorted(name for name in plugins_of(_path(ctx)) if name not in own)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of this name; an own one comes first."""
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        plugin = plugins_of(_path(ctx)).get(cmd_name)
        return None if plugin is None else PluginCommand(cmd_name, plugin)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command to run, importing it if a plugin holds it.

        Raises:
            PluginError: it cannot be imported, or the distribution that would add it is not installed.
        """
        wanted = " ".join((*_path(ctx), *args[:1]))
        if wanted in DISTRIBUTIONS and self.get_command(ctx, args[0]) is None:
            distribution = DISTRIBUTIONS[wanted]
            raise PluginError(
                f"The command {wanted!r} comes with {distribution}, which is not installed.",
                remedy=f"Install it: pip install {distribution}.",
            )
        name, command, rest = super().resolve_command(ctx, args)
        return name, command.loaded() if isinstance(command, PluginCommand) else command, rest


def plugins_of(path: Sequence[str]) -> dict[str, EntryPoint]:
    """Plugins that add a command to the group at ``path``, by the command's name.

    A plugin whose name or value is malformed, or that adds a command twice, is left out with a warning on stderr.
    """
    found: dict[str, EntryPoint] = {}
    for plugin in sorted(entry_points(group=GROUP), key=lambda one: (one.name, _origin(one), one.value)):
        *group, name = plugin.name.split() or [""]
        if group != list(path):
            continue
        fault = _fault(plugin)
        if not fault and name in found and found[name].value != plugin.value:
            fault = f"{_origin(found[name])} adds it already"
        if fault:
            _warn(f"The command {plugin.name!r} of {_origin(plugin)} is left out: {fault}.")
        else:
            found.setdefault(name, plugin)
    return found


def _fault(plugin: EntryPoint) -> str:
    from importlib.metadata import EntryPoint

    if EntryPoint.pattern.match(plugin.value) is None:
        return f"{plugin.value!r} names no function"
    return ""


def _warn(sentence: str) -> None:
    """Once per process: several look-ups of one call find the same fault."""
    if sentence not in _warned:
        _warned.add(sentence)
        sys.stderr.write(f"Warning: {' '.join(sentence.split())}\n")


_warned: set[str] = set()


def _path(ctx: Any) -> list[str]:
    """Names of the groups above a command, without the program's."""
    names: list[str] = []
    while ctx.parent is not None:
        names.insert(0, ctx.info_name)
        ctx = ctx.parent
    return names


def _origin(plugin: EntryPoint) -> str:
    return plugin.dist.name if plugin.dist is not None else "an unknown distribution"


def _summary(plugin: EntryPoint) -> str:
    if plugin.dist is None or "Summary" not in plugin.dist.metadata:
        return f"From {_origin(plugin)}."
    return plugin.dist.metadata["Summary"]
