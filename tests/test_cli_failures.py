"""Whatever goes wrong is one line or one JSON object, with an exit code and never a traceback."""

from __future__ import annotations

import inspect
import os
import signal
import subprocess
import sys

import pytest

from sharedllm_docs import errors
from tests.cli_fakes import document, installed
from tests.cli_run import ROOT, json_of, run

INDEX = ".sharedllm-docs"
CLASSES = [
    value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, errors.SharedLLMError)
]


@pytest.fixture
def world(monkeypatch):
    made = installed(monkeypatch)
    made.put(INDEX, document("R-intro.pdf"))
    return made


def _instance(error):
    extra = {"differences": {"dtype": ("a", "b")}} if error is errors.FingerprintMismatchError else {}
    return error("Something has 9,\n  the bound is 8.", remedy="Do less.", **extra)


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_every_error_of_the_project_has_its_line_and_its_code(world, error):
    world.fail("ask", _instance(error))
    result = run("ask", "Why?")
    assert result.exit_code == error.exit_code != 0
    assert result.stderr == "Error: Something has 9, the bound is 8. Do less.\n"
    assert result.stdout == ""


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_every_error_has_its_json(world, error):
    world.fail("ask", _instance(error))
    assert json_of("ask", "Why?", exit_code=error.exit_code) == {
        "error": {
            "type": error.__name__,
            "message": "Something has 9,\n  the bound is 8.",
            "remedy": "Do less.",
            "exit_code": error.exit_code,
        }
    }


def test_an_unexpected_error_says_how_to_get_its_traceback(world):
    world.fail("ask", RuntimeError("mat1 and mat2\ndo not fit"))
    result = run("ask", "Why?")
    assert result.exit_code == 70
    assert result.stderr == (
        "Error: Unexpected RuntimeError: mat1 and mat2 do not fit. Run the same command with --debug to see the "
        "traceback.\n"
    )


def test_debug_shows_the_traceback_and_keeps_line_and_code(world):
    world.fail("ask", RuntimeError("broken"))
    result = run("ask", "Why?", "--debug")
    assert result.exit_code == 70
    assert "Traceback (most recent call last)" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("Error: Unexpected RuntimeError: broken.")


def test_an_unexpected_error_as_json(world):
    world.fail("ask", ZeroDivisionError())
    error = json_of("ask", "Why?", exit_code=70)["error"]
    assert (error["type"], error["message"]) == ("ZeroDivisionError", "Unexpected ZeroDivisionError: no message")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ask",), "Missing argument 'QUESTION'."),
        (("ask", "a", "b"), "Got unexpected extra argument"),
        (("ask", "a", "--bugdet", "3"), "--bugdet"),
        (("answer",), "No such command 'answer'."),
        (("--jsn",), "--jsn"),
        (("models", "fetch", "--what"), "--what"),
    ],
)
def test_wrong_arguments_are_one_line_that_names_the_help(world, arguments, message):
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert message in result.stderr
    assert "--help`." in result.stderr


def test_wrong_arguments_as_json(world):
    error = json_of("ask", exit_code=2)["error"]
    assert (error["type"], error["exit_code"]) == ("UsageError", 2)
    assert error["remedy"] == "Try `sharedllm-docs ask --help`."


def test_what_stands_behind_two_dashes_is_no_option(world):
    result = run("ask", "--", "--json", "--extra")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: Got unexpected extra argument")


# -- interruptions ------------------------------------------------------------------------------------------------


def test_an_interrupted_add_says_how_to_resume(world):
    world.fail("add", KeyboardInterrupt())
    result = run("add", "a.pdf")
    assert result.exit_code == 130
    assert result.stderr == (
        "Error: Interrupted; what was encoded so far is kept in .sharedllm-docs. "
        "Run the same command again to resume.\n"
    )


def test_the_engines_own_interruption_is_told_as_it_is(world):
    world.fail("add", errors.InterruptedIngestion("Stopped at 9 of 71 chunks.", remedy="Add it again."))
    result = run("ask", "Why?", "--file", "a.pdf")
    assert result.exit_code == 130
    assert result.stderr == "Error: Stopped at 9 of 71 chunks. Add it again.\n"


@pytest.mark.parametrize("method", ["ask", "open"])
def test_an_interruption_anywhere_else(world, method):
    world.fail(method, KeyboardInterrupt())
    result = run("ask", "Why?")
    assert (result.exit_code, result.stderr) == (130, "Error: Interrupted.\n")


def test_an_interruption_as_json(world):
    world.fail("add", KeyboardInterrupt())
    assert json_of("add", "a.pdf", exit_code=130)["error"]["type"] == "InterruptedIngestion"


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
@pytest.mark.parametrize(
    ("method", "arguments", "message"),
    [("add", ("add", "a.pdf"), "Run the same command again to resume."), ("ask", ("ask", "Why?"), "Interrupted.")],
)
def test_ctrl_c_in_a_process_of_its_own(method, arguments, message):
    started = subprocess.Popen(
        [sys.executable, "-c", _WITH_SIGINT, *arguments],
        cwd=ROOT,
        env={**os.environ, "FAKE_SLOW": method},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert started.stderr.readline() == "working\n"
    started.send_signal(signal.SIGINT)
    _out, err = started.communicate(timeout=60)
    assert started.returncode == 130
    assert err.count("\n") == 1
    assert err.endswith(f"{message}\n")


# a process started in the background may have been told to ignore Ctrl-C
_WITH_SIGINT = (
    "import signal, runpy; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "runpy.run_module('tests.cli_fakes', run_name='__main__')"
)


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of Unix")
def test_a_reader_that_goes_away_is_no_traceback():
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(
        [sys.executable, "-m", "tests.cli_fakes", "show", "R-intro.pdf", "--all"],
        cwd=ROOT,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        check=False,
    )
    os.close(writer)
    assert (result.returncode, result.stderr) == (141, "")
