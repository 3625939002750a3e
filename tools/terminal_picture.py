"""A picture of a terminal for the documentation: ``python -m tools.terminal_picture [docs/figures/terminal.svg]``.

Runs the commands below for real, in a pseudo terminal and a temporary folder with the example, and draws what stands on
the screen at their end, with the seconds that each took: so on a quiet machine. Needs Unix and the default model; the
process that stays is ended afterwards.
"""

from __future__ import annotations

import io
import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "R-intro.pdf"
WIDTH, HEIGHT = 100, 40
COMMANDS = (
    'sharedllm-docs ask "Which function draws a histogram?" --file R-intro.pdf --no-read-on --stay 5m --citations 2',
    'sharedllm-docs ask "Which function computes the outer product of two arrays?" --citations 2',
)
LAST = "sharedllm-docs stop"
_PART = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\r?\n|\r|[^\x1b\r\n]+|\x1b")
"""What a terminal is sent: a control sequence, the end of a line, a return, or text."""


def run(command: str, folder: Path, environment: dict[str, str]) -> tuple[str, float]:
    """All that a command sends to its terminal, and the seconds that it took.

    Raises:
        RuntimeError: the command failed; the message has its output.
    """
    outer, inner = pty.openpty()
    arguments = [sys.executable, "-m", "sharedllm_docs", *shlex.split(command)[1:]]
    begun = time.perf_counter()
    process = subprocess.Popen(
        arguments, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=inner, stderr=inner
    )
    os.close(inner)
    sent = b""
    while True:
        try:
            part = os.read(outer, 65536)
        except OSError:  # Linux tells the end so
            break
        if not part:
            break
        sent += part
    os.close(outer)
    if process.wait():
        raise RuntimeError(f"{command} ended with exit code {process.returncode}:\n{sent.decode(errors='replace')}")
    return sent.decode("utf-8", errors="replace"), time.perf_counter() - begun


def screen(sent: str) -> list[str]:
    """The lines that are left, colours as they were sent: progress bars erase themselves line by line."""
    lines, row = [""], 0
    for part in _PART.finditer(sent):
        number, kind = part.group(1), part.group(2)
        if kind == "A":
            row = max(0, row - int(number or 1))
        elif kind == "K":
            lines[row] = ""
        elif kind == "m":
            lines[row] += part.group()
        elif kind is None and part.group().endswith("\n"):
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif kind is None and part.group() != "\r":
            lines[row] += part.group()
    while lines and not Text.from_ansi(lines[-1]).plain.strip():
        lines.pop()
    return lines


def picture(shown: list[tuple[str, str, float]]) -> str:
    """An SVG of commands, what they printed, and the seconds that they took."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for command, sent, seconds in shown:
        console.print(Text.assemble(("$ ", "bold green"), (command, "bold")), soft_wrap=False)
        for line in screen(sent):
            console.print(Text.from_ansi(line))
        console.print(Text(f"({seconds:.1f} s)", style="dim"))
    drawn = console.export_svg(title="sharedllm-docs", unique_id="terminal")
    # the fonts would be fetched from elsewhere; any monospaced one does
    return re.sub(r"\s*@font-face \{.*?\}", "", drawn, flags=re.DOTALL)


def main(place: Path) -> None:
    """Run the commands and write the picture."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shutil.copy(EXAMPLE, folder)
        size = {"COLUMNS": str(WIDTH), "LINES": str(HEIGHT), "TERM": "xterm-256color"}
        own = {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))}
        unset = ("SHAREDLLM_DOCS_STAY", "SHAREDLLM_DOCS_INDEX", "NO_COLOR")
        environment = {name: value for name, value in os.environ.items() if name not in unset} | size | own
        try:
            shown = [(command, *run(command, folder, environment)) for command in COMMANDS]
        finally:
            run(LAST, folder, environment)
    place.write_text(picture(shown), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "figures" / "terminal.svg")
