"""Splits large files into parts and joins them again, for a machine without network that limits the size of a file.

``python benchmarks/gpu/carry.py split FILE --out DIR`` writes parts of at most ``--part-size`` MiB; ``... join PARTS
--out DIR`` restores the file on the other machine. The parts' names hold the beginning of the whole file's SHA-256,
which joining checks.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from sharedllm_docs.errors import DataError, SharedLLMError

MIB = 2**20
PART_MIB = 24
_PART = re.compile(r"(?P<name>.+)\.(?P<digest>[0-9a-f]{16})\.part-(?P<number>\d+)-of-(?P<count>\d+)")


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
    """Join parts into whole files; returns their paths.

    Raises:
        DataError: a name is not that of a part, a part is missing, or a whole file is not what was split.
    """
    files: dict[tuple[str, str, int], dict[int, Path]] = {}
    for part in parts:
        match = _PART.fullmatch(part.name)
        if match is None or not part.is_file():
            raise DataError(f"{part} is not a part of a file.", remedy="Give files that `split` or `bundle` wrote.")
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


def positive(text: str) -> int:
    """A whole number of at least 1, as an option's type."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is below 1")
    return number


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    top = argparse.ArgumentParser(description="Split large files into parts, and join them.")
    commands = top.add_subparsers(dest="command", required=True)
    for name in ("split", "join"):
        command = commands.add_parser(name)
        command.add_argument("files", type=Path, nargs="+", help="files" if name == "split" else "parts of files")
        command.add_argument("--out", type=Path, required=True, help="folder to write into")
        if name == "split":
            command.add_argument(
                "--part-size",
                type=positive,
                default=PART_MIB,
                metavar="MIB",
                help="size of a part (default: %(default)s)",
            )
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Split or join; returns the exit status."""
    chosen = parser().parse_args(arguments)
    try:
        if chosen.command == "join":
            print(*join(chosen.files, chosen.out), sep="\n")
            return 0
        for file in chosen.files:
            print(*split(file, chosen.out, chosen.part_size * MIB), sep="\n")
    except SharedLLMError as failed:
        print(f"error: {failed}", file=sys.stderr)
        return failed.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
