"""docs/cli.md is what the commands say of themselves."""

from __future__ import annotations

import re

import pytest
import typer

from sharedllm_docs.cli import help as cli_help
from sharedllm_docs.cli.app import app
from sharedllm_docs.cli.options import DEFAULT_MODEL
from sharedllm_docs.cli.panels import own_parameters
from tests.cli_run import ROOT

PAGE = ROOT / "docs" / "cli.md"


def test_the_page_in_the_repository_is_up_to_date():
    written = PAGE.read_text(encoding="utf-8")
    assert written == cli_help.page(), "run `python -m sharedllm_docs.cli.help`"


def test_every_command_and_every_option_is_on_the_page():
    page = cli_help.page()

    def options(group, path=""):
        for name, command in group.commands.items():
            yield f"## `{path}{name}`\n", [o for p in command.params for o in p.opts if p.param_type_name == "option"]
            yield from options(command, f"{path}{name} ") if hasattr(command, "commands") else ()

    found = list(options(typer.main.get_command(app)))
    assert len(found) >= 11
    for title, names in found:
        assert title in page
        assert all(name in page for name in names if name not in ("--help", "-h"))


def test_every_section_lists_or_links_exactly_the_options_of_its_command():
    """A heading that two commands share is linked only if the options below it are the same."""
    sections = dict(part.partition("\n")[::2] for part in cli_help.page().split("\n## ")[1:])

    def listed(text):
        return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", " ".join(re.findall(r"^\| `(.*?)` \|", text, re.MULTILINE))))

    def check(group, path=""):
        for name, command in group.commands.items():
            section = sections[f"`{path}{name}`"]
            shown = listed(section).union(
                *(listed(sections[title]) for title in re.findall(r"\[([^]]*)\]\(#", section))
            )
            own = {o for p in own_parameters(command) for o in (*p.opts, *p.secondary_opts)}
            assert shown == {option for option in own if option.startswith("--")}, name
            if hasattr(command, "commands"):
                check(command, f"{path}{name} ")

    check(typer.main.get_command(app))


def test_defaults_told_by_the_help_are_those_of_the_engine():
    from sharedllm_docs.index.contents import LOCK_TIMEOUT
    from sharedllm_docs.model import zoo

    assert zoo.DEFAULT_MODEL.name == DEFAULT_MODEL
    assert (
        f"--wait SECONDS` | Maximum wait for another process that writes. [default: {LOCK_TIMEOUT:g}]"
        in PAGE.read_text()
    )


def test_every_option_has_a_help_text():
    def silent(group):
        for command in group.commands.values():
            yield from (f"{command.name} {p.name}" for p in command.params if not getattr(p, "help", ""))
            yield from silent(command) if hasattr(command, "commands") else ()

    assert list(silent(typer.main.get_command(app))) == []


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 5, 6, 7, 9, 11, 70, 75, 130, 141])
def test_exit_codes_are_on_the_page(code):
    assert f"\n| {code} | " in cli_help.page()


def test_the_page_does_not_depend_on_the_screen(monkeypatch):
    plain = cli_help.page()
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("SHAREDLLM_DOCS_INDEX", "elsewhere")
    assert cli_help.page() == plain
    assert "\x1b" not in plain


def test_check_tells_drift(tmp_path, capsys):
    page = tmp_path / "cli.md"
    assert cli_help.main(["--check", str(page)]) == 1
    assert cli_help.main([str(page)]) == 0
    assert cli_help.main(["--check", str(page)]) == 0
    page.write_text("old", encoding="utf-8")
    assert cli_help.main([str(page), "--check"]) == 1
    assert "is out of date: run `python -m sharedllm_docs.cli.help`." in capsys.readouterr().err
