"""The console script. The most frequent commands start without importing the others."""

from __future__ import annotations

import os
import sys

QUICK = ("ask", "chat", "summarise")
"""Commands that are imported alone: with a process that stays, imports are most of the time to the first word."""
SPINS = "3000"
"""Turns that a thread of libgomp, torch's on Linux, spins for at the end of a piece of work before it sleeps."""


def spin_little() -> None:
    """Let torch's threads sleep early while they wait, unless the user has set this; must run before torch is imported.

    By default they spin for a hundred times as long. Where other programs use the processors, they spin while the one
    that is waited for does not run: a question took 29 s in place of 2. On a quiet machine the waits are shorter than
    this, and nothing is lost (docs/log.md, threads that spin while they wait for one another).
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)


def main() -> None:
    """Run the command that the arguments name."""
    spin_little()
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in QUICK:
        from sharedllm_docs.cli.app import main as whole

        whole()
        return
    from sharedllm_docs.cli import question_commands
    from sharedllm_docs.cli.options import NAME
    from sharedllm_docs.cli.panels import PanelCommand
    from sharedllm_docs.cli.program import new_program

    program = new_program()
    program.command(name, cls=PanelCommand)(getattr(question_commands, name))
    program(prog_name=NAME)
