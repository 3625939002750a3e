"""Files to and from a machine that takes and gives only so much at a time.

``split FILE --out .carry`` and, over there, ``join PARTS --out DIR``: large files in parts. ``pack RUNS --out DIR``
and, back here, ``unpack PARTS --out runs``: what runs left behind, as one archive in at most a few parts. The parts'
names hold the beginning of the whole file's SHA-256, which joining checks.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from sharedllm_docs.errors import DataError, SharedLLMError

MIB = 2**20
PART_MIB = 48
BACK_PART_MIB, BACK_PARTS = 15, 4
_PART = re.compile(r"(?P<name>.+)\.(?P<digest>[0-9a-f]{16})\.part-(?P<number>\d+)-of-(?P<count>\d+)")
_LOGS = ("log.csv", "loss.png")


# -- splitting and joining ----------------------------------------------------------------------------------------


def split(file: Path, folder: Path, part_bytes: int) -> list[Path]:
    """Write a file as parts of at most ``part_bytes``; older parts of it are removed.

    Raises:
        DataError: there is no such file.
    """
    if not file.is_file():
        raise DataError(f"There is no file {file}.", remedy="Give a file.")
    digest = _sha256(file)[:16]
    count = max(1, -(-file.stat().st_size // part_bytes))
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if (match := _PART.fullmatch(old.name)) and match["name"] == file.name:
            old.unlink()
    made = []
    with file.open("rb") as source:
        for number in range(1, count + 1):
            made.append(folder / f"{file.name}.{digest}.part-{number}-of-{count}")
            made[-1].write_bytes(source.read(part_bytes))
    return made


def join(parts: Sequence[Path], folder: Path) -> list[Path]:
    """The whole files of these parts.

    Raises:
        DataError: a name is no part's, a part is missing, or a whole file is not what was split.
    """
    files: dict[tuple[str, str, int], dict[int, Path]] = {}
    for part in parts:
        match = _PART.fullmatch(part.name)
        if match is None or not part.is_file():
            raise DataError(f"{part} is no part of a file.", remedy="Give what `split` or `pack` wrote.")
        files.setdefault((match["name"], match["digest"], int(match["count"])), {})[int(match["number"])] = part
    folder.mkdir(parents=True, exist_ok=True)
    return [_joined(name, digest, count, found, folder) for (name, digest, count), found in files.items()]


def _joined(name: str, digest: str, count: int, parts: dict[int, Path], folder: Path) -> Path:
    missing = [number for number in range(1, count + 1) if number not in parts]
    if missing:
        raise DataError(f"Part {missing[0]} of {count} of {name} is missing.", remedy="Bring all parts together.")
    partial = folder / f"{name}.partial"
    with partial.open("wb") as whole:
        for number in range(1, count + 1):
            whole.write(parts[number].read_bytes())
    found = _sha256(partial)
    if not found.startswith(digest):
        partial.unlink()
        raise DataError(f"{name} has the SHA-256 {found}, not {digest}...", remedy="Carry its parts again.")
    return partial.replace(folder / name)


def _sha256(file: Path) -> str:
    sums = hashlib.sha256()
    with file.open("rb") as source:
        while block := source.read(MIB):
            sums.update(block)
    return sums.hexdigest()


# -- runs ---------------------------------------------------------------------------------------------------------


def pack(runs: Path, folder: Path, *, part_bytes: int = BACK_PART_MIB * MIB, parts: int = BACK_PARTS) -> list[str]:
    """Write ``runs.zip`` in at most so many parts; what does not fit is left out and named.

    First the summary and all logs, then of each run, the last touched first, what it needs: a run that is not finished
    its whole checkpoint, a finished one its adapter.

    Raises:
        DataError: the folder holds no runs.
    """
    groups = list(_groups(runs))
    if not groups:
        raise DataError(f"{runs} holds no runs.", remedy="Give the folder that train.py wrote into.")
    left = part_bytes * parts - MIB  # the archive's own directory
    left_out: list[str] = []
    with tempfile.TemporaryDirectory(dir=runs) as scratch:
        archive = Path(scratch) / "runs.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
            for name, files in groups:
                size = sum(file.stat().st_size for file in files)
                if size > left:
                    left_out.append(f"{name} ({size / MIB:.1f} MiB)")
                    continue
                left -= size
                for file in files:
                    packed.write(file, file.relative_to(runs))
        split(archive, folder, part_bytes)
    return left_out


def _groups(runs: Path) -> Iterator[tuple[str, list[Path]]]:
    """(name, files) that belong together, the most wanted first."""
    found = sorted((log.parent for log in runs.glob("*/log.csv")), key=lambda run: -(run / "log.csv").stat().st_mtime)
    logs = [run / name for run in found for name in _LOGS]
    if found:
        yield "logs", [file for file in (runs / "summary.md", *logs) if file.is_file()]
    for run in found:
        kept = run / "checkpoint"
        wanted = kept / "adapter" if _finished(kept) else kept
        files = sorted(file for file in wanted.rglob("*") if file.is_file())
        if files:
            yield f"{run.name}/{wanted.relative_to(run)}", files


def _finished(checkpoint: Path) -> bool:
    try:
        notes = json.loads((checkpoint / "adapter" / "adapter_config.json").read_text(encoding="utf-8"))["notes"]
        return bool(notes["step"] >= notes["training"]["run"]["steps"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def unpack(parts: Sequence[Path], folder: Path) -> list[Path]:
    """Take runs out of their parts; files of the same runs are replaced.

    Raises:
        DataError: as :func:`join`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        for whole in join(parts, Path(scratch)):
            with zipfile.ZipFile(whole) as archive:
                archive.extractall(folder)
    return sorted(log.parent for log in folder.glob("*/log.csv"))


# -- the command line ---------------------------------------------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    top = argparse.ArgumentParser(description="Files in parts.")
    commands = top.add_subparsers(dest="command", required=True)
    for name, what in (("split", "files"), ("join", "parts"), ("pack", "folder of runs"), ("unpack", "parts")):
        command = commands.add_parser(name, help=what)
        command.add_argument("files", type=Path, nargs=1 if name == "pack" else "+", help=what)
        command.add_argument("--out", type=Path, required=True, help="folder to write into")
        if name == "split":
            command.add_argument("--mib", type=int, default=PART_MIB, help="of a part (default: %(default)s)")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Do it; returns the exit status."""
    chosen = parser().parse_args(arguments)
    try:
        if chosen.command == "split":
            for file in chosen.files:
                print(*split(file, chosen.out, chosen.mib * MIB), sep="\n")
        elif chosen.command == "join":
            print(*join(chosen.files, chosen.out), sep="\n")
        elif chosen.command == "unpack":
            print(*unpack(chosen.files, chosen.out), sep="\n")
        else:
            print(*(f"left out: {name}" for name in pack(chosen.files[0], chosen.out)), sep="\n")
    except SharedLLMError as failed:
        print(f"error: {failed}", file=sys.stderr)
        return failed.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
