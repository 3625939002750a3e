"""Environments of peers that are compiled or whose versions clash with the project: made once, in the user cache."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from peers import PeerSpec
from peers.base import NotAvailableError
from sharedllm_docs.cache import cache_dir

BUILD_SECONDS = 3600
_DONE = "complete.txt"


def python_of(peer: PeerSpec, report: Callable[[str], None], *, build: bool) -> str:
    """The interpreter that a peer runs in.

    Args:
        peer: whose.
        report: told before the slow step.
        build: make a missing environment; else it is an error.

    Raises:
        NotAvailableError: it is missing and not to be made, or could not be made.
    """
    if not peer.environment:
        return sys.executable
    folder = cache_dir() / "benchmarks" / "environments" / peer.name
    if is_ready(folder, peer):
        return str(_python(folder))
    if not build:
        raise NotAvailableError(f"its environment ({_wanted(peer)}) is not there yet; a run that is not quick makes it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not is_ready(folder, peer):
            report(f"Making an environment for {peer.name}, which may compile for half an hour (once)")
            _make(folder, peer)
    return str(_python(folder))


def is_ready(folder: Path, peer: PeerSpec) -> bool:
    """Whether the environment is complete and has exactly these requirements."""
    done = folder / _DONE
    return done.is_file() and done.read_text(encoding="utf-8") == _wanted(peer)


def _wanted(peer: PeerSpec) -> str:
    return ", ".join(peer.environment)


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def _make(folder: Path, peer: PeerSpec) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    polite = ["nice", "-n", "19"] if shutil.which("nice") else []
    install = [*polite, str(_python(folder)), "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    for command in ([sys.executable, "-m", "venv", str(folder)], [*install, *peer.environment]):
        try:
            done = subprocess.run(command, capture_output=True, timeout=BUILD_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NotAvailableError(f"{_wanted(peer)} could not be built: {error}") from error
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["nothing was printed"]
            why = next((line for line in reversed(said) if "error" in line.lower()), said[-1])
            raise NotAvailableError(f"{_wanted(peer)} could not be built: {why.strip()}")
    (folder / _DONE).write_text(_wanted(peer), encoding="utf-8")
