"""Commands of other distributions: found by entry points, imported only when run, and harmless when broken."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from sharedllm_docs.cli import help as cli_help
from sharedllm_docs.cli import plugins
from tests.cli_run import ROOT, good, process, run

GREET = """
import typer
def greet(name: str = typer.Option("you", "--name", metavar="NAME", help="Whom to greet.")) -> None:
    \"\"\"Greet.\"\"\"
    print("hello", name)
"""
BROKEN = "raise RuntimeError('two\\nlines')"


def install(folder: Path, name: str, points: dict[str, str], modules: dict[str, str]) -> None:
    """What pip leaves of a distribution: its metadata beside its modules."""
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nSummary: Adds {name}.\n")
    lines = [f"[{plugins.GROUP}]", *(f"{command} = {value}" for command, value in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    for module, source in modules.items():
        (folder / f"{module}.py").write_text(source)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of installed distributions, in this process and in those started from here."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setattr(plugins, "_warned", set())
    return tmp_path


@pytest.fixture
def nothing_installed(monkeypatch):
    monkeypatch.setattr(plugins, "entry_points", lambda group: [])


def test_a_distribution_adds_commands_to_the_program_and_to_its_groups(site):
    install(site, "greeter", {"greet": "greeting:greet", "data greet": "greeting:greet"}, {"greeting": GREET})
    assert "\n  greet " in good("--help").stdout
    assert "Adds greeter." in good("--help").stdout
    assert "\n  greet " in good("data", "--help").stdout
    assert "greet" not in good("models", "--help").stdout
    assert good("greet", "--name", "Ann").stdout == "hello Ann\n"
    assert good("data", "greet").stdout == "hello you\n"
    shown = good("data", "greet", "--help").stdout
    assert shown.startswith("Usage: sharedllm-docs data greet [OPTIONS]\n")
    assert "--name NAME  Whom to greet. [default: you]" in shown
    assert run("greet", "--nome").exit_code == 2


def test_a_plugin_is_imported_when_it_is_run_and_not_before(site):
    install(site, "loud", {"data loud": "loud_module:greet"}, {"loud_module": f"print('IMPORTED')\n{GREET}"})
    for arguments in (["--help"], ["data", "--help"], ["data"], ["models"]):
        assert "IMPORTED" not in process("-m", "sharedllm_docs", *arguments).stdout
    assert process("-m", "sharedllm_docs", "data", "loud").stdout == "IMPORTED\nhello you\n"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("broken_module:greet", "RuntimeError: two lines"),
        ("absent_module:greet", "ModuleNotFoundError: No module named 'absent_module'"),
        ("greeting:absent", "AttributeError: "),
        ("greeting:typer.style.nothing", "AttributeError: "),
        ("broken_value:NUMBER", "The command 'data broken' of worn cannot be loaded: "),
    ],
)
def test_a_plugin_that_cannot_be_loaded_is_one_line_and_only_when_it_is_run(site, value, said):
    modules = {"broken_module": BROKEN, "greeting": GREET, "broken_value": "NUMBER = 3"}
    install(site, "worn", {"data broken": value}, modules)
    for arguments in (["--help"], ["data", "--help"], ["data", "pack", "--help"]):
        assert (good(*arguments).stderr, "worn" in good("data", "--help").stdout) == ("", True)
    result = process("-m", "sharedllm_docs", "data", "broken")
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert said in result.stderr
    assert "Install that distribution again" in result.stderr


def test_malformed_and_doubled_entries_are_warned_of_in_a_line_and_left_out(site):
    install(site, "first", {"data greet": "greeting:greet", "data odd": "no function"}, {"greeting": GREET})
    install(site, "second", {"data greet": "other:greet", "data pack": "other:greet"}, {"other": BROKEN})
    result = process("-m", "sharedllm_docs", "data", "greet")
    assert (result.returncode, result.stdout) == (0, "hello you\n")
    assert sorted(result.stderr.splitlines()) == [
        "Warning: The command 'data greet' of second is left out: first adds it already.",
        "Warning: The command 'data odd' of first is left out: 'no function' names no function.",
    ]
    assert "Tokenize rows" in good("data", "pack", "--help").stdout  # own commands cannot be replaced


def test_without_the_data_distribution_the_command_says_what_to_install(nothing_installed):
    assert "\n  build " not in good("data", "--help").stdout
    result = run("data", "build", "--out", "x")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "Error: The command 'data build' comes with sharedllm-docs-data, which is not installed. "
        "Install it: pip install sharedllm-docs-data.\n"
    )
    assert run("data", "bild").stderr.startswith("Error: No such command 'bild'.")


def test_with_it_the_group_shows_the_command():
    assert "\n  build " in good("data", "--help").stdout
    result = process(
        "-c",
        "import sys; from sharedllm_docs.cli.app import app; app(['data', '--help'], "
        "standalone_mode=False); sys.exit('sharedllm_docs_data' in sys.modules)",
    )
    assert result.returncode == 0


def test_the_page_of_commands_holds_the_projects_own_plugins_only(site):
    before = cli_help.page()
    assert "## `data build`" in before
    assert "This command comes with the distribution `sharedllm-docs-data`." in before
    install(site, "greeter", {"data greet": "greeting:greet"}, {"greeting": GREET})
    assert cli_help.page() == before


def test_every_distribution_of_the_project_registers_the_commands_that_are_promised():
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    found = {}
    for path in ROOT.glob("packages/*/pyproject.toml"):
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        found |= dict.fromkeys(project["entry-points"][plugins.GROUP], project["name"])
    assert found == plugins.DISTRIBUTIONS
