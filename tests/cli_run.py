"""Ways to run the command line: inside the test, in a process of its own, and in a terminal."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sharedllm_docs.cli.app import NAME, app

ROOT = Path(__file__).parents[1]
_PATIENCE = 60.0  # seconds, before a test gives up on a process
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# what would change the output from one machine to the next
_PLAIN = {"COLUMNS": None, "NO_COLOR": None, "FORCE_COLOR": None, "SHAREDLLM_DOCS_INDEX": None}


def run(*arguments: str, **options: Any) -> Any:
    """Run a command here; the result has ``stdout``, ``stderr`` and ``exit_code``."""
    environment = {**_PLAIN, **options.pop("env", {})}
    return CliRunner(env=environment).invoke(app, list(arguments), prog_name=NAME, **options)


def good(*arguments: str, **options: Any) -> Any:
    """Run a command that must succeed."""
    result = run(*arguments, **options)
    assert result.exit_code == 0, result.stderr
    return result


def json_of(*arguments: str, exit_code: int = 0, **options: Any) -> Any:
    """The one JSON object that a command prints with ``--json``."""
    result = run(*arguments, "--json", **options)
    assert result.exit_code == exit_code, result.stderr
    assert result.stdout.count("\n") == 1
    return json.loads(result.stdout)


def process(
    *command: str, env: dict[str, str] | None = None, timeout: float = 120, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments in a process of its own."""
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        **options,
    )


def in_terminal(
    *arguments: str,
    columns: int = 100,
    keys: Sequence[str] = (),
    prompt: str = "> ",
    env: dict[str, str] | None = None,
) -> str:
    """Everything that the program over the fake index writes to a terminal, escape sequences included.

    Args:
        arguments: of the command.
        columns: width of the terminal.
        keys: typed one after the other, each when ``prompt`` has appeared once more.
        prompt: that the program waits behind.
        env: added to the environment.
    """
    pty = pytest.importorskip("pty", reason="needs a Unix terminal")
    master, slave = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k not in _PLAIN} | {"TERM": "xterm-256color"}
    started = subprocess.Popen(
        [sys.executable, "-m", "tests.cli_fakes", *arguments],
        cwd=ROOT,
        env={**environment, "COLUMNS": str(columns), **(env or {})},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    try:
        output = _converse(master, list(keys), prompt)
        assert started.wait(timeout=_PATIENCE) == 0, output
    finally:
        started.kill()
        os.close(master)
    return output


def _converse(master: int, keys: list[str], prompt: str) -> str:
    """Read until the other end is closed, typing at each prompt."""
    output, prompts = b"", 0
    while select.select([master], [], [], _PATIENCE)[0]:
        try:
            block = os.read(master, 65536)
        except OSError:  # Linux reports the closed other end so
            block = b""
        if not block:
            break
        output += block
        shown = without_escapes(output.decode("utf-8", "replace")).count(prompt)
        if keys and shown > prompts:
            prompts = shown
            os.write(master, keys.pop(0).encode())
    return output.decode("utf-8").replace("\r\n", "\n")


def without_escapes(text: str) -> str:
    """What a person sees, more or less."""
    return _ESCAPES.sub("", text)
