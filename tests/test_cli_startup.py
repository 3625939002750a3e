"""Help, version and import are quick because they load nothing heavy."""

from __future__ import annotations

import json

import pytest

from tests.cli_run import ROOT, good, process

COMMANDS = (
    *("add", "ask", "chat", "list", "show", "verify", "remove", "prune", "models", "convert", "calibrate"),
    *("train", "train-tiny", "evaluate", "data"),
)
HEAVY = ("torch", "transformers", "numpy", "sentence_transformers", "pypdf", "pypdfium2", "bm25s", "fsspec")
MODEL_LIBRARIES = (
    "torch",
    "transformers",
    "sentence_transformers",
    "tokenizers",
    "bm25s",
    "scipy",
    "safetensors.torch",
)
GOLDEN = ROOT / "tests" / "golden_index" / "int8"


def _after(heavy=HEAVY):
    return f"import sys; loaded = [name for name in {heavy!r} if name in sys.modules]; print('LOADED', loaded)"


def test_importing_the_program_loads_nothing_heavy():
    result = process("-c", f"import sharedllm_docs.cli.app; {_after()}")
    assert result.stdout == "LOADED []\n"


@pytest.mark.parametrize("arguments", [[], ["--help"], ["--version"], ["ask", "--help"], ["add"], ["models"]])
def test_what_needs_no_model_loads_nothing_heavy(arguments):
    # `add` without a file is a usage error, `models` only looks into the cache
    assert loaded_by(*arguments) == "LOADED []"


def test_listing_an_index_loads_neither_a_model_nor_its_libraries(tmp_path):
    """An index of the golden fixture, opened by the real engine."""
    assert loaded_by("list", "--index", str(GOLDEN), heavy=MODEL_LIBRARIES) == "LOADED []"
    assert good("list", "--index", str(GOLDEN)).stdout.splitlines()[0].startswith("Document ")


SLOW = (
    *HEAVY,
    "pydantic",
    "asyncio",
    "ssl",
    "email",
    "importlib.metadata",
    "regex",
    "fsspec",
    "sharedllm_docs.training",
)


def test_a_question_to_a_process_that_stays_loads_next_to_nothing(tmp_path):
    """All but the question itself is what stands between the return key and the first word."""
    script = (
        "import sys\n"
        "from sharedllm_docs.serving.stay import client\n"
        "import io; client.find = lambda settings: io.BytesIO()\n"
        "client.StayedIndex._send = lambda self, name, *others: setattr(self, 'asked', name)\n"
        "client.StayedIndex._received = lambda self, *others: "
        "iter([('result', ANSWER if self.asked == 'ask' else None)])\n"
        "from sharedllm_docs.cli.start import main\n"
        "sys.argv = ['', 'ask', 'Why?', '--floor', '0.5', '--doc', 'a', '--max-tokens', '9', '--stay', '1m']\n"
        f"try: main()\nexcept SystemExit: pass\n{_after(SLOW)}"
    )
    from tests.cli_fakes import answer

    result = process("-c", f"ANSWER = {answer('Why?').to_dict()!r}\n{script}")
    assert "Use rev(x)" in result.stdout, result.stderr
    assert result.stdout.splitlines()[-1] == "LOADED []"


def test_the_quick_commands_are_those_of_the_whole_program():
    """Alone or among all others, a command has the same help and the same errors."""
    for arguments in (["ask", "--help"], ["summarise"], ["chat", "--nothing"], ["ask", "Q", "--budget", "x"]):
        one = process("-c", "from sharedllm_docs.cli.app import main; main()", *arguments)
        other = process("-m", "sharedllm_docs", *arguments)
        assert (one.returncode, one.stdout, one.stderr) == (other.returncode, other.stdout, other.stderr)


@pytest.mark.parametrize(
    ("given", "spins"),
    [
        ({}, "3000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "active"}, None),
        ({"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "7"}, "7"),
    ],
)
def test_threads_do_not_spin_long_unless_the_user_says_so(monkeypatch, given, spins):
    """Set before the command is looked for, so before anything imports torch; in commands alone, not by the library."""
    import os

    from sharedllm_docs.cli import start

    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, given.get(name, ""))  # so that it is put back as it was
        if name not in given:
            monkeypatch.delenv(name)
    monkeypatch.setattr("sys.argv", ["sharedllm-docs", "--version"])
    with pytest.raises(SystemExit):
        start.main()
    assert os.environ.get("GOMP_SPINCOUNT") == spins


@pytest.mark.parametrize("value", ["7", "-7", "007", "7.5", "x", "", " 7", "1_000", "1e3", "٣", "9" * 30, "inf"])
@pytest.mark.parametrize("option", ["--budget", "--temperature"])
def test_numbers_are_taken_as_typer_takes_them(monkeypatch, option, value):
    from sharedllm_docs.cli import panels
    from sharedllm_docs.cli.question_commands import ask

    def parsed():
        import typer

        program = typer.Typer(add_completion=False, rich_markup_mode=None)
        program.command("ask", cls=panels.PanelCommand)(ask)
        try:
            return typer.main.get_command(program).make_context("ask", ["Q", option, value]).params
        except Exception as error:
            return type(error).__name__, error.format_message()

    quick = parsed()
    monkeypatch.setattr(panels, "spare_text", lambda parameter: None)
    assert quick == parsed()


def loaded_by(*arguments, heavy=HEAVY):
    script = (
        "from sharedllm_docs.cli.start import main; import atexit, sys; "
        f"sys.argv = ['sharedllm-docs', *{list(arguments)!r}]\ntry: main()\nexcept SystemExit: pass\n{_after(heavy)}"
    )
    return process("-c", script).stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def helps():
    """Command -> exit code, help, and the heavy modules that are loaded; all commands in one process."""
    script = (
        "from sharedllm_docs.cli.app import main; import contextlib, io, json, sys\n"
        f"shown = {{}}\nfor command in {['', *COMMANDS]!r}:\n"
        "    sys.argv, out = ['sharedllm-docs', *command.split(), '--help'], io.StringIO()\n"
        "    with contextlib.redirect_stdout(out):\n"
        "        try: code = main()\n"
        "        except SystemExit as stopped: code = stopped.code\n"
        f"    shown[command] = code, out.getvalue(), [name for name in {HEAVY!r} if name in sys.modules]\n"
        "print(json.dumps(shown))"
    )
    return json.loads(process("-c", script).stdout)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_there_and_loads_nothing_heavy(helps, command):
    """What it takes to show it is the time to load modules: ``python -X importtime`` tells it on any machine."""
    code, shown, loaded = helps[command]
    assert code in (None, 0)
    assert shown.startswith(f"Usage: sharedllm-docs {command or '[OPTIONS]'}")
    assert loaded == []


def test_the_package_runs_as_a_program():
    result = process("-m", "sharedllm_docs", "ask", "--help")
    assert result.returncode == 0
    assert result.stdout.startswith("Usage: sharedllm-docs ask")


def test_without_a_command_the_help_is_shown():
    assert good().stdout == good("--help").stdout == good("-h").stdout
    assert all(f"\n  {command} " in good().stdout for command in COMMANDS)


def test_version():
    from sharedllm_docs import __version__

    assert good("--version").stdout == f"sharedllm-docs {__version__}\n"


@pytest.mark.parametrize("width", ["52", "72", "200"])
def test_help_fits_the_screen(width):
    lines = process("-m", "sharedllm_docs", "ask", "--help", env={"COLUMNS": width}).stdout.splitlines()
    # an option's own name is never cut
    assert max(len(line) for line in lines if "--" not in line) <= min(int(width), 100)
    assert all(heading in "\n".join(lines) for heading in ("Question:", "Answer:", "Model:", "Output:"))


def test_the_shell_completes_commands_and_options():
    def complete(words: str) -> str:
        env = {"_SHAREDLLM_DOCS_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "1"}
        return process("-c", "from sharedllm_docs.cli.app import main; main()", env=env).stdout

    assert complete("sharedllm-docs pru").split() == ["prune"]
