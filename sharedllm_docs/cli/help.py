"""Writes docs/cli.md from the commands themselves: ``python -m sharedllm_docs.cli.help [--check] [FILE]``."""

from __future__ import annotations

import inspect
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

from sharedllm_docs import errors
from sharedllm_docs.cli.app import app
from sharedllm_docs.cli.failures import EXIT_BROKEN_PIPE, EXIT_INTERRUPTED, EXIT_UNEXPECTED, EXIT_UNFINISHED, EXIT_USAGE
from sharedllm_docs.cli.options import DEFAULT_INDEX, INDEX_VARIABLE, NAME
from sharedllm_docs.cli.panels import OWN_HEADINGS, argument_name, headed, own_parameters
from sharedllm_docs.cli.plugins import DISTRIBUTIONS, PluginCommand

PAGE = Path("docs/cli.md")
Records = list[tuple[str, str]]
_COMMAND = "python -m sharedllm_docs.cli.help"

_INTRODUCTION = f"""# Command line

Written by `{_COMMAND}` from the commands themselves: change the help texts, not this page.

```
{NAME} add manual.pdf
{NAME} ask "How is a factor made?"
{NAME} ask "Who signs the contract?" --file contract.pdf     # both in one
{NAME} add report.pdf --metadata year=2024                   # for questions to some documents only
{NAME} ask "What did it cost?" --where year=2023 --where year=2024
```

The index is the folder `{DEFAULT_INDEX}` in the working directory; `--index`, or the environment variable
`{INDEX_VARIABLE}`, names another folder or an fsspec URL.

Results go to stdout; progress, notes, warnings and errors go to stderr. Progress bars are drawn on a terminal only.
`NO_COLOR` switches colours off. Output that does not go to a terminal is not wrapped: one citation per line.

With `--json` stdout gets one JSON object. `chat` prints one per line, and so does `ask --stream`: `{{"piece": "..."}}`
for each piece, then the whole answer. An error is an object too:
`{{"error": {{"type": "...", "message": "...", "remedy": "...", "exit_code": 3}}}}`.

Ctrl-C during `add` (or `ask --file`) keeps what was encoded; the same command resumes there.
`{NAME} --install-completion` adds completion to the shell.
"""

_OTHER_CODES = {
    0: "Success. That the document does not say it is an answer too.",
    EXIT_UNEXPECTED: "An unexpected error; `--debug` shows its traceback.",
    EXIT_UNFINISHED: "`evaluate --max-minutes` stopped before the end; the same command continues there.",
    EXIT_INTERRUPTED: "Interrupted by Ctrl-C.",
    EXIT_BROKEN_PIPE: "The program that was reading the output has ended.",
}


def page() -> str:
    """The whole page."""
    root: Any = typer.main.get_command(app)
    commands = list(_walk(root, NAME))
    shared = _shared_groups(commands)
    lines = [_INTRODUCTION, *_exit_codes(), ""]
    for path, command in commands:
        lines += _section(command, path, shared)
    for heading, records in shared.items():
        lines += [f"## {heading}", "", *_table("Option", records)]
    return "\n".join(lines).rstrip() + "\n"


def _exit_codes() -> Iterator[str]:
    meanings = {code: [text] for code, text in _OTHER_CODES.items()}
    for error in _errors_with_own_code():
        meaning = (inspect.getdoc(error) or "").split("\n\n")[0].replace("\n", " ")
        meanings.setdefault(error.exit_code, []).insert(0, f"`{error.__name__}`: {meaning}")
    meanings[EXIT_USAGE].append("Also: wrong arguments.")
    yield from ("## Exit codes", "", "| code | meaning |", "| --- | --- |")
    for code, texts in sorted(meanings.items()):
        yield f"| {code} | {' '.join(texts)} |"


def _errors_with_own_code() -> list[type[errors.SharedLLMError]]:
    classes = [value for value in vars(errors).values() if isinstance(value, type) and "exit_code" in vars(value)]
    return sorted(classes, key=lambda error: error.__name__)


def _walk(group: Any, path: str, parent: Any = None) -> Iterator[tuple[str, Any]]:
    """Every command with its path, a group before its commands; of the plugins only the project's own."""
    context = group.context_class(group, info_name=path.split()[-1], parent=parent)
    for name in group.list_commands(context):
        command, full = group.get_command(context, name), f"{path} {name}"
        if isinstance(command, PluginCommand):
            if full.removeprefix(f"{NAME} ") not in DISTRIBUTIONS:
                continue
            command = command.loaded()
        yield full, command
        yield from _walk(command, full, context) if hasattr(command, "commands") else ()


def _shared_groups(commands: list[tuple[str, Any]]) -> dict[str, Records]:
    """The groups of options that several commands have in common, by heading."""
    seen: dict[str, Counter[tuple[tuple[str, str], ...]]] = {}
    for _path, command in commands:
        for heading, records in headed(own_parameters(command)).items():
            seen.setdefault(heading, Counter())[tuple(records)] += 1
    most = {heading: found.most_common(1)[0] for heading, found in seen.items() if heading not in OWN_HEADINGS}
    return {heading: list(records) for heading, (records, count) in most.items() if count > 1}


def _section(command: Any, path: str, shared: Mapping[str, Records]) -> Iterator[str]:
    parameters = own_parameters(command)
    arguments = [argument_name(parameter) for parameter in parameters if parameter.param_type_name == "argument"]
    yield from (f"## `{path.removeprefix(NAME).strip()}`", "", "```")
    yield from (" ".join((path, *arguments, "[OPTIONS]")), "```", "", inspect.cleandoc(command.help or ""), "")
    distribution = DISTRIBUTIONS.get(path.removeprefix(NAME).strip())
    yield from (f"This command comes with the distribution `{distribution}`.", "") if distribution else ()
    groups = headed(parameters)
    linked = [heading for heading, records in groups.items() if shared.get(heading) == records]
    for heading, records in groups.items():
        yield from _table(heading, records) if heading not in linked else ()
    links = ", ".join(f"[{heading}](#{_anchor(heading)})" for heading in linked)
    yield from (f"Also the options of: {links}.", "") if linked else ()


def _table(heading: str, records: Records) -> Iterator[str]:
    yield from (f"| {heading} | |", "| --- | --- |")
    yield from (f"| `{_cell(name)}` | {_cell(text)} |" for name, text in records)
    yield ""


def _anchor(heading: str) -> str:
    """The anchor that Markdown renderers give a title."""
    return "".join(c for c in heading.lower().replace(" ", "-") if c.isalnum() or c == "-")


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def main(arguments: list[str]) -> int:
    """Write the page, or with ``--check`` return whether it is up to date (0) or not (1)."""
    check = "--check" in arguments
    target = next((Path(word) for word in arguments if not word.startswith("-")), PAGE)
    if not check:
        target.write_text(page(), encoding="utf-8")
        return 0
    same = target.is_file() and target.read_text(encoding="utf-8") == page()
    if not same:
        sys.stderr.write(f"{target} is out of date: run `{_COMMAND}`.\n")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
