"""The command line in a terminal: bars, colours, streaming, the prompt of a chat. A pseudo-terminal stands for one."""

from __future__ import annotations

import pytest

from tests.cli_fakes import ANSWER, World, document
from tests.cli_run import in_terminal, process, without_escapes

pytest.importorskip("termios", reason="needs a Unix terminal")


def test_add_draws_how_much_how_fast_and_how_long():
    text = without_escapes(in_terminal("add", "some papers/R-lang.pdf"))
    assert "Reading R-lang.pdf" in text
    assert "Encoding R-lang.pdf" in text
    assert "72,413/72,413 tokens" in text
    assert "tokens/s" in text
    assert "0:00" in text
    assert "Added R-lang.pdf: 113 pages" in text


@pytest.mark.parametrize("option", ["--quiet", "--json"])
def test_no_bars_when_nobody_wants_them(option):
    text = in_terminal("add", "R-lang.pdf", option)
    assert "Encoding" not in text
    assert "\x1b[" not in text or option == "--quiet"


def test_no_bars_without_a_terminal():
    result = process("-m", "tests.cli_fakes", "add", "R-lang.pdf")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert result.stdout.startswith("Added R-lang.pdf")
    assert "\x1b" not in result.stdout


def test_bars_fit_a_narrow_terminal():
    text = in_terminal("add", "a-name-that-is-longer-than-the-terminal-is-wide.pdf", columns=50)
    drawn = [line for part in text.split("\r") for line in without_escapes(part).split("\n") if "tokens" in line]
    bars = [line for line in drawn if "/72,413" in line and "Added" not in line]
    assert bars
    assert max(map(len, bars)) <= 50


def test_verify_draws_bytes():
    assert "1.0 MB of 2.0 MB" in without_escapes(in_terminal("verify"))


def test_the_answer_is_streamed_and_coloured_on_a_terminal():
    text = in_terminal("ask", "How?")
    assert "\x1b[36m" in text  # the place of a citation
    assert ANSWER in without_escapes(text)
    assert "[1] R-intro.pdf, page 7 (2.1 Vectors and assignment): " in without_escapes(text)


def test_no_color_is_obeyed():
    text = in_terminal("ask", "How?", env={"NO_COLOR": "1"})
    assert "\x1b[36m" not in text
    assert "R-intro.pdf, page 7" in without_escapes(text)


def test_long_answers_wrap_at_words():
    lines = without_escapes(in_terminal("ask", "How?", "--no-stream", columns=40)).splitlines()
    assert "rev(x)," in "\n".join(lines)
    assert max(map(len, lines[-12:])) <= 40


def test_chat_has_a_prompt_and_leaves_at_the_end_of_the_input():
    text = without_escapes(in_terminal("chat", keys=("How?\n", "/sources\n", "\x04")))
    assert text.count("> ") >= 3
    assert "Ask a question, or /help. Ctrl-D leaves." in text
    assert ANSWER in text
    assert "R-intro.pdf, page 7, page 12" in text
    assert '[1] R-intro.pdf, page 7 (2.1 Vectors and assignment): "rev(x)' in text


def test_a_password_is_asked_for_without_echo():
    text = in_terminal("add", "a.pdf", "--password", "-", keys=("geheim\n",), prompt="Password: ")
    assert "Password: " in text
    assert "geheim" not in text.split("Password: ")[1]


def test_output_that_the_terminal_cannot_encode_is_escaped():
    env = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    result = process("-m", "tests.cli_fakes", "show", "R-intro.pdf", env=env)
    assert result.returncode == 0, result.stderr
    result = process("-m", "tests.cli_fakes", "add", "Überblick.pdf", env=env)
    assert result.stdout.startswith(r"Added \xdcberblick.pdf")
    result = process("-m", "tests.cli_fakes", "add", "Überblick.pdf", "--json", env=env)
    assert r'"\u00dcberblick.pdf"' in result.stdout


def test_a_chat_goes_on_after_an_answer_was_stopped(monkeypatch):
    from sharedllm_docs.cli.options import OutputOptions
    from sharedllm_docs.cli.question_commands import Talk
    from sharedllm_docs.cli.screen import Screen

    world = World()
    index = world.put("x", document("R-intro.pdf"))
    talk = Talk(Screen(OutputOptions()), index, {}, stream=False)
    talk.prompted = True
    typed = iter(["First?", "Second?"])

    def read(_prompt):
        try:
            return next(typed)
        except StopIteration:
            raise EOFError from None

    def stop(arguments):
        if arguments["question"] == "First?":
            raise KeyboardInterrupt

    world.on["ask"] = stop
    monkeypatch.setattr("builtins.input", read)
    talk.run()
    assert [arguments["question"] for name, arguments in world.calls if name == "ask"] == ["First?", "Second?"]
