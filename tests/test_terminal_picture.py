"""The picture of a terminal holds what is left on the screen, and fetches nothing."""

from __future__ import annotations

import os
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")


def test_what_a_progress_bar_erases_is_not_in_the_picture():
    from tools.terminal_picture import screen

    bars = "\x1b[?25lreading 10 %\r\n\r\x1b[2K\x1b[1A\x1b[2Kreading 90 %\r\x1b[2K"
    assert screen(bars + "\x1b[1mhist\x1b[0m\r\npage 43\r\n\r\n\x1b[?25h") == ["\x1b[1mhist\x1b[0m", "page 43"]
    assert screen("") == []


def test_commands_run_in_a_terminal_and_what_they_print_is_drawn(tmp_path):
    from sharedllm_docs import __version__
    from tools.terminal_picture import picture, run

    sent, seconds = run("sharedllm-docs --version", tmp_path, dict(os.environ))
    assert __version__ in sent
    assert seconds > 0
    drawn = picture([('sharedllm-docs ask "Why?"', "\x1b[1mbecause\x1b[0m\r\n", 0.41), ("next", sent, 1.0)])
    assert drawn.startswith("<svg")
    for shown in ("because", "Why?", "(0.4", __version__):
        assert shown in drawn.replace("&#160;", " ")
    assert "@font-face" not in drawn
    assert "cdnjs" not in drawn
    with pytest.raises(RuntimeError, match="exit code"):
        run("sharedllm-docs nothing-of-the-kind", tmp_path, dict(os.environ))
