"""The folder of the user's sockets, which nobody else can enter. Imports nothing heavy."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from sharedllm_docs.cache import cache_dir
from sharedllm_docs.errors import SharedLLMError

FOLDER = "sharedllm-docs"
SOCKET, TOKEN, ABOUT, LOCK, LOG = ".sock", ".door", ".json", ".lock", ".log"
"""Endings of a process's files: its socket (or port and token), what it is about, its lock, what it complained of."""
LONGEST_SOCKET = 100
"""Bytes of a Unix socket's path; systems take 104 or 108."""


class NoPlaceError(SharedLLMError):
    """There is no folder that only this user can enter."""


def runtime_folder() -> Path:
    """The folder of this user's processes, made if it is missing.

    It lies in ``XDG_RUNTIME_DIR``, which ends with the login, or in the user's cache.

    Raises:
        NoPlaceError: somebody else owns it or may enter it, or it cannot be made.
    """
    folder = next(candidates())
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_private(folder)
    except OSError as error:
        raise NoPlaceError(f"{folder} cannot be used: {error.strerror or error}.") from error
    return folder


def candidates() -> Iterator[Path]:
    """Folders in which this user's processes may lie, the one of new processes first."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime) and _is_own_folder(runtime) and _fits(Path(runtime) / FOLDER):
        yield Path(runtime) / FOLDER
    cached = (cache_dir() / "run").absolute()
    if os.name == "nt" or _fits(cached):
        yield cached
    if os.name != "nt":
        import tempfile

        yield Path(tempfile.gettempdir()) / f"{FOLDER}-{os.getuid()}"


def _is_own_folder(path: str) -> bool:
    """Whether it is a folder of this user's: with sudo the variable may name that of another."""
    try:
        found = os.stat(path)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and (os.name == "nt" or found.st_uid == os.getuid())


def _fits(folder: Path) -> bool:
    """Whether the path of a socket in this folder is not too long for the system."""
    return len(os.fsencode(folder)) + 1 + 32 + len(SOCKET) <= LONGEST_SOCKET


def check_private(folder: Path) -> None:
    """Raise NoPlaceError for a folder that is not this user's alone.

    On Windows the rights of the user's own folders say who may enter.
    """
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise NoPlaceError(f"{folder} is not a folder.", remedy="Remove it.")
    if os.name == "nt":
        return
    if found.st_uid != os.getuid():
        raise NoPlaceError(f"{folder} belongs to user {found.st_uid}.", remedy="Remove it.")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise NoPlaceError(
            f"{folder} has the mode {stat.S_IMODE(found.st_mode):o}: others may enter it.",
            remedy=f"chmod 700 {folder}",
        )


def private(folder: Path) -> bool:
    """Whether there is such a folder, and it is this user's alone."""
    try:
        check_private(folder)
    except (OSError, NoPlaceError):
        return False
    return True


def keys() -> list[tuple[Path, str]]:
    """(folder, key) of every process that left a note of itself, running or not."""
    found = []
    for folder in candidates():
        if private(folder):
            found += [(folder, file.name[: -len(ABOUT)]) for file in sorted(folder.glob(f"*{ABOUT}"))]
    return found
