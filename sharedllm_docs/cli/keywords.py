"""Messages of the library as the command line shows them: settings are named by their options, as they are typed.

The library names keywords of Python (``max_citations=0``); people who typed ``--citations 0`` know none of them. What
has no option keeps its name, and so does everything inside quotes, which may be the user's own words.
"""

from __future__ import annotations

import ast
import functools
import re
import shlex
from typing import Any, get_args, get_type_hints

from sharedllm_docs.cli.options import (
    AddingOptions,
    AnswerOptions,
    FolderOptions,
    KeepOption,
    LoadingOptions,
    ProfileOptions,
    QuestionOptions,
    ReadingOptions,
    ScopeOption,
    long_name,
)
from sharedllm_docs.cli.tenancy import Place

GROUPS = (
    AddingOptions,
    FolderOptions,
    LoadingOptions,
    ProfileOptions,
    ScopeOption,
    QuestionOptions,
    AnswerOptions,
    ReadingOptions,
    Place,
)
OTHER_NAMES = {
    "clean": "--raw",
    "encode": "--lazy",
    "ignored": "--no-gitignore",
    "max_tokens": "--max-tokens",
    "replace": "--keep-both",
    "salt": "--salt-file",
}
"""Keywords whose option has another name in its group."""
SWITCHED = {"clean": False, "encode": "when-asked", "replace": False}
"""The value of a keyword that its option, a switch, stands for."""


@functools.cache
def options_by_keyword() -> dict[str, tuple[str, str]]:
    """The option and the name of its value (``--where``, ``KEY=VALUE``) of every keyword that has one."""
    table = {name: (option, "") for name, option in OTHER_NAMES.items()}
    for group in GROUPS:
        for name, hint in get_type_hints(group, include_extras=True).items():
            declared = hint.__metadata__[0]
            table[name] = (long_name(declared), declared.metavar or "")
    table["keep_source"] = (long_name(get_args(KeepOption)[1]).partition("/")[0], "")
    return table


_VALUE = r"""\.\.\.|'[^']*'|"[^"]*"|\{[^{}]*\}|\[[^\[\]]*\]|\([^()]*\)|[^\s,;:()'"]*[^\s.,;:()'"]"""


@functools.cache
def _pattern() -> re.Pattern[str]:
    names = sorted(options_by_keyword(), key=len, reverse=True)
    every, long = "|".join(names), "|".join(name for name in names if "_" in name)
    before = r"(?<![\w/.'\"`=-])"
    return re.compile(
        rf"{before}(?P<set>{every})=(?P<value>{_VALUE})?"
        rf"|(?P<quoted>(?<!\w)'[^']*'(?!\w)|\"[^\"]*\")"
        rf"|(?P<leave>[Ll]eave )(?P<left>{every})(?= out\b)"
        rf"|{before}(?P<bare>{long})(?![\w=/(]|\.\w)"
    )


def as_typed(text: str, *, store: bool = False) -> str:
    """A message with the options of the command line in place of Python's keywords.

    Args:
        text: the message.
        store: whether the index on disk is what it is about: its maximum size has another option than a file's.
    """

    def typed(match: re.Match[str]) -> str:
        if match["quoted"]:
            return match[0]
        name = match["set"] or match["left"] or match["bare"]
        option, metavar = ("--max-disk", "SIZE") if store and name == "max_bytes" else options_by_keyword()[name]
        if match["set"]:
            return _with_value(name, option, metavar, match["value"])
        return f"{match['leave'] or ''}{option}"

    return _pattern().sub(typed, text)


def _with_value(name: str, option: str, metavar: str, written: str | None) -> str:
    """An option with its value as it is typed; ``written`` is Python's."""
    if written is None:
        return option
    try:
        value: Any = ast.literal_eval(written)
    except (ValueError, SyntaxError):
        return f"{option} {written}"
    if value is ... or (isinstance(value, (set, list)) and list(value) == [...]):
        return f"{option} {metavar}".rstrip()
    if (name in SWITCHED and value == SWITCHED[name]) or value is True:
        return option
    if value is False:
        return f"--no-{option[2:]}"
    return " ".join(f"{option} {one}" for one in _typed_values(name, value)) or f"{option} {written}"


def _typed_values(name: str, value: Any) -> list[str]:
    if isinstance(value, dict):
        several = {key: ones if isinstance(ones, (list, tuple)) else [ones] for key, ones in value.items()}
        return [shlex.quote(f"{key}={one}") for key, ones in several.items() for one in ones]
    if isinstance(value, tuple):
        return [("-" if name == "layers" else "/").join(map(str, value))]
    if isinstance(value, list):
        return [shlex.quote(str(one)) for one in value]
    return [shlex.quote(value) if isinstance(value, str) else str(value)]
