"""Fetches packages: from PyPI by pip, from Debian by ``apt-get download``. Nothing is installed.

Knows neither what is inside a package nor what it is for.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sharedllm_docs.errors import FetchError
from sharedllm_docs_data.reserved import refuse_package

PYPI, DEBIAN, APT_INDEX = "pypi", "debian", "apt-index"
_TIMEOUT_S = 900
_SUFFIXES = frozenset((".deb", ".whl", ".gz", ".zip", ".txt"))


@dataclass(frozen=True)
class Package:
    """A package that data is made from.

    Attributes:
        name: as the registry spells it.
        origin: ``pypi``, ``debian``, or ``apt-index`` for what apt knows about all packages.
        version: the pinned version on PyPI; empty for Debian, where the version found is recorded.
        sha256: the pinned hash of the file; empty for Debian.
        sdist: take the source archive and not the wheel.
    """

    name: str
    origin: str = DEBIAN
    version: str = ""
    sha256: str = ""
    sdist: bool = False


@dataclass(frozen=True)
class Fetched:
    """A package file on the disk, with what was found out about it."""

    package: Package
    path: Path
    version: str
    sha256: str
    size: int


def sha256_of(path: Path) -> str:
    """The hexadecimal SHA-256 of a file."""
    sums = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            sums.update(block)
    return sums.hexdigest()


def fetch(package: Package, cache: Path) -> Fetched:
    """The package's file, from ``cache`` or from its registry.

    Raises:
        ReservedDataError: the package holds what is kept for judging.
        FetchError: the tool is missing or fails, or the file's hash is not the pinned one.
    """
    refuse_package(package.name)
    folder = cache / package.origin / package.name
    path = _cached(package, folder) or _download(package, folder)
    found = sha256_of(path)
    if package.sha256 and found != package.sha256:
        raise FetchError(
            f"{path.name} has the SHA-256 {found}, but {package.sha256} is pinned.",
            remedy=f"Remove {path} and fetch again; if it differs once more, do not use the file.",
        )
    return Fetched(package, path, package.version or _debian_version(path), found, path.stat().st_size)


def _cached(package: Package, folder: Path) -> Path | None:
    files = sorted(path for path in folder.glob("*") if path.is_file())
    if package.version:
        files = [path for path in files if f"-{package.version}" in path.name]
    return files[-1] if files else None


def _download(package: Package, folder: Path) -> Path:
    command = {PYPI: _pip_command, DEBIAN: _apt_command, APT_INDEX: _index_command}[package.origin](package)
    folder.mkdir(parents=True, exist_ok=True)
    # Downloaded elsewhere first, so that a broken download is never mistaken for a cached file.
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        printed = _run(package, command, scratch)
        if package.origin == APT_INDEX:
            Path(scratch, f"{package.name}.txt").write_bytes(printed)
        files = sorted(path for path in Path(scratch).iterdir() if path.suffix in _SUFFIXES)
        if not files:
            raise FetchError(
                f"{command[0]} ended well but left no file of {package.name}.",
                remedy="Run the command by hand: " + " ".join(command),
            )
        return Path(shutil.move(str(files[0]), str(folder / files[0].name)))


def _pip_command(package: Package) -> list[str]:
    form = ["--no-binary", ":all:"] if package.sdist else ["--only-binary", ":all:"]
    pinned = f"{package.name}=={package.version}"
    return [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--disable-pip-version-check",
        *form,
        pinned,
    ]


def _apt_command(package: Package) -> list[str]:
    _want_apt(package, "apt-get", "or put the .deb into <cache>/debian/<package>/ yourself")
    return ["apt-get", "download", "--quiet", package.name]


def _index_command(package: Package) -> list[str]:
    _want_apt(package, "apt-cache", "or put its output into <cache>/apt-index/<name>/ yourself")
    return ["apt-cache", "dumpavail"]


def _want_apt(package: Package, tool: str, otherwise: str) -> None:
    if shutil.which(tool) is None:
        raise FetchError(
            f"{package.name} comes from Debian, and there is no {tool} on this machine.",
            remedy=f"Run the build on Debian, {otherwise}.",
        )


def _run(package: Package, command: list[str], folder: str) -> bytes:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as stopped:
        raise FetchError(
            f"Fetching {package.name} took more than {_TIMEOUT_S} seconds.",
            remedy="Check the network and run the build again.",
        ) from stopped
    if done.returncode:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
        raise FetchError(
            f"Fetching {package.name} failed with exit status {done.returncode}: {(said or ['no output'])[-1]}",
            remedy="Check the network (and, for Debian, run apt-get update), then run the build again.",
        )
    return done.stdout


def _debian_version(path: Path) -> str:
    match = re.match(r"[^_]+_([^_]+)_", path.name)
    return match.group(1).replace("%3a", ":") if match else ""
