"""Execute the notebooks from top to bottom, each in a kernel of its own and in this folder.

python notebooks/run.py                        all of them, outputs written in place
python notebooks/run.py 01_ask_a_pdf.ipynb     those named
python notebooks/run.py --out FOLDER           written there instead
python notebooks/run.py --check                written nowhere
python notebooks/run.py --at-once 2            two at a time, one thread of torch each
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

HERE = Path(__file__).resolve().parent
CELL_SECONDS = 900
QUIET = "ignore:IProgress not found"  # a hint of tqdm's, with a path of this machine in it, that would stay as output


class NotebookError(Exception):
    """A notebook cannot be read or one of its cells failed; says which."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line names; 0 if every notebook went through, else 1."""
    options = _parser().parse_args(arguments)
    paths = options.notebooks or sorted(HERE.glob("*.ipynb"))
    if options.at_once > 1:  # kernels inherit it; several with all threads each slow one another
        os.environ["OMP_NUM_THREADS"] = "1"

    def went_through(path: Path) -> bool:
        return _run(path, None if options.check else (options.out or path.parent) / path.name)

    with ThreadPoolExecutor(options.at_once) as pool:
        return 0 if all(list(pool.map(went_through, paths))) else 1


def _run(path: Path, target: Path | None) -> bool:
    """Execute one, write it unless there is no target, and tell how it went; True if all of its cells did."""
    begun = time.perf_counter()
    try:
        notebook = execute(path)
    except NotebookError as error:
        print(error, file=sys.stderr, flush=True)
        return False
    if target is not None:
        write(notebook, target)
    print(f"{path.name}: {time.perf_counter() - begun:.0f} s", flush=True)
    return True


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=_existing, help="files, or names in this folder; default: all")
    parser.add_argument("--at-once", type=int, choices=range(1, 9), default=1, metavar="N", help="at a time; 1")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--out", type=Path, help="folder for the executed notebooks; default: in place")
    where.add_argument("--check", action="store_true", help="execute and write nothing")
    return parser


def _existing(name: str) -> Path:
    """A notebook by its path, or by its name in this folder."""
    for path in (Path(name), HERE / name):
        if path.is_file():
            return path
    known = ", ".join(sorted(path.name for path in HERE.glob("*.ipynb")))
    raise argparse.ArgumentTypeError(f"there is no notebook {name!r} (in {HERE.name}: {known})")


def execute(path: Path) -> nbformat.NotebookNode:
    """The notebook with fresh outputs.

    Raises:
        NotebookError: it is not a notebook, or a cell failed, took too long or took its kernel down.
    """
    try:
        notebook = nbformat.read(path, as_version=4)
    except (ValueError, OSError) as error:
        raise NotebookError(f"{path.name} cannot be read as a notebook: {error}") from error
    kept = dict(notebook.metadata)
    current: dict[str, Any] = {}
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(HERE)}},
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        on_cell_execute=lambda cell, cell_index: current.update(cell=cell, number=cell_index + 1),
    )
    try:
        client.execute(env={**os.environ, "PYTHONWARNINGS": QUIET})
    except (CellExecutionError, CellTimeoutError, RuntimeError) as error:
        raise NotebookError(_failure(path, current, error)) from error
    notebook.metadata.clear()
    notebook.metadata.update(kept)  # without the exact version of Python
    return notebook


def _failure(path: Path, current: dict[str, Any], error: Exception) -> str:
    """One line with notebook, cell and reason, then the cell."""
    if isinstance(error, CellExecutionError):
        reason = f"{error.ename}: {error.evalue}"
    elif isinstance(error, CellTimeoutError):
        reason = f"it took more than {CELL_SECONDS} s"
    else:
        reason = "its kernel died" if isinstance(error, DeadKernelError) else str(error)
    if not current:
        return f"{path.name} failed before its first cell: {reason}"
    source = "\n".join(f"    {line}" for line in current["cell"].source.splitlines())
    return f"{path.name}, cell {current['number']} failed: {reason}\n{source}"


def write(notebook: nbformat.NotebookNode, target: Path) -> None:
    """Put it at ``target`` in one go."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    nbformat.write(notebook, partial)
    partial.replace(target)


if __name__ == "__main__":
    sys.exit(main())
