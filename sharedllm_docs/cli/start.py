"""The console script. The commands of every day are there without importing the others."""

from __future__ import annotations

import sys

QUICK = ("ask", "chat", "summarise")
"""Commands that are imported alone: with a process that stays, little else stands before the first word."""


def main() -> None:
    """Run the command that the arguments name."""
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
