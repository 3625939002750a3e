"""Runs the program with the command that this distribution adds to it."""

from __future__ import annotations

import json
from typing import Any

from typer.testing import CliRunner

from sharedllm_docs.cli.app import NAME, app


def run(*arguments: str) -> Any:
    """Run a command in this process; the result has ``stdout``, ``stderr`` and ``exit_code``."""
    return CliRunner(env={"COLUMNS": None, "FORCE_COLOR": None}).invoke(app, list(arguments), prog_name=NAME)


def good(*arguments: str) -> Any:
    """Run a command that must succeed."""
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    return result


def json_of(*arguments: str) -> Any:
    """The one JSON object that a command prints with ``--json``."""
    return json.loads(good(*arguments, "--json").stdout)
