"""Help, version and import are quick because they load nothing heavy."""

from __future__ import annotations

import sys

import pytest

from tests.cli_run import good, process

COMMANDS = (
    *("add", "ask", "chat", "list", "show", "verify", "remove", "prune", "models", "convert"),
    *("train", "train-tiny", "evaluate", "data"),
)
HEAVY = ("torch", "transformers", "numpy", "sentence_transformers", "pypdf", "pypdfium2", "bm25s", "fsspec")
_AFTER = f"import sys; loaded = [name for name in {HEAVY!r} if name in sys.modules]; print('LOADED', loaded)"


def test_importing_the_program_loads_nothing_heavy():
    result = process("-c", f"import sharedllm_docs.cli.app; {_AFTER}")
    assert result.stdout == "LOADED []\n"


@pytest.mark.parametrize("arguments", [[], ["--help"], ["--version"], ["ask", "--help"], ["add"], ["models"]])
def test_what_needs_no_model_loads_nothing_heavy(arguments):
    # `add` without a file is a usage error, `models` only looks into the cache
    script = (
        "from sharedllm_docs.cli.app import main; import atexit, sys; "
        f"sys.argv = ['sharedllm-docs', *{arguments!r}]\ntry: main()\nexcept SystemExit: pass\n{_AFTER}"
    )
    assert process("-c", script).stdout.splitlines()[-1] == "LOADED []"


@pytest.mark.skipif(sys.platform == "win32", reason="counts processor time as Unix does")
@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_is_there_in_half_a_second(command):
    times = []
    for _ in range(3):
        before = _child_seconds()
        result = process("-m", "sharedllm_docs", *([command] if command else []), "--help")
        times.append(_child_seconds() - before)
        assert result.returncode == 0
        assert result.stdout.startswith(f"Usage: sharedllm-docs {command or '[OPTIONS]'}")
    assert 0 < min(times) < 0.5


def _child_seconds():
    """Processor time of child processes: what they take on a machine with nothing else to do."""
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


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
