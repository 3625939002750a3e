"""docs/cli.md is what the commands say of themselves."""

from __future__ import annotations

import pytest
import typer

from sharedllm_docs.cli import help as cli_help
from sharedllm_docs.cli.app import app
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
