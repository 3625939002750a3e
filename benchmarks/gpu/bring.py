"""Bundles the results of runs into few small files, for a machine without network: they are copied by hand.

``python benchmarks/gpu/bring.py bundle RUNS --out DIR`` on that machine (``train.py --bring DIR`` does so itself)
writes at most ``--parts`` parts of ``--part-size`` MiB; ``... unbundle PARTS --out runs`` restores them on another.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from carry import MIB, join, positive, split

from sharedllm_docs.errors import DataError, SharedLLMError

PART_MIB, PARTS = 15, 4
"""Defaults of the size and the number of the parts of ``runs.zip`` per call, beside ``logs.zip``."""
_LOGS = ("log.csv", "loss.png")


@dataclass(frozen=True)
class Group:
    """Files of a run that are useful only together.

    Attributes:
        name: ``logs``, ``RUN/adapter`` or ``RUN/state``.
        files: their paths.
        half: write tensors in bfloat16, which is enough for an adapter and takes half the space.
    """

    name: str
    files: tuple[Path, ...]
    half: bool = False

    @property
    def size(self) -> int:
        """Maximum size in bytes."""
        return sum(file.stat().st_size // (2 if self._halved(file) else 1) for file in self.files)

    def write(self, archive: zipfile.ZipFile, runs: Path) -> None:
        """Put the files into an archive."""
        for file in self.files:
            name = str(file.relative_to(runs))
            if self._halved(file):
                archive.writestr(zipfile.ZipInfo(name), _in_half(file), zipfile.ZIP_DEFLATED, compresslevel=1)
            else:
                archive.write(file, name)

    def _halved(self, file: Path) -> bool:
        return self.half and file.suffix == ".safetensors"


def bundle(
    runs: Path,
    folder: Path,
    *,
    only: Sequence[str] = (),
    first: int = 1,
    part_bytes: int = PART_MIB * MIB,
    parts: int = PARTS,
) -> list[str]:
    """Write ``logs.zip`` and at most ``parts`` parts of ``runs.zip``; returns the names of what is left out.

    Adapters go first, then the states of unfinished runs, as far as they fit, the latest run first. With ``only`` these
    groups are taken whatever their size: a further call with a higher ``first`` brings the parts that are left.

    Raises:
        DataError: the folder holds no runs, or lacks a group of ``only``.
    """
    groups = {group.name: group for group in _groups(runs)}
    unknown = [name for name in only if name not in groups]
    if unknown or not groups:
        raise DataError(
            f"{runs} holds no {unknown[0] if unknown else 'runs'} (known: {', '.join(groups) or 'none'}).",
            remedy="Give the folder that train.py wrote into.",
        )
    logs = groups.pop("logs")
    chosen, left_out = _chosen(list(groups.values()), only, (part_bytes - MIB // 8) * parts)
    with tempfile.TemporaryDirectory(dir=runs) as scratch:
        _write(Path(scratch) / "logs.zip", [logs], runs)
        split(Path(scratch) / "logs.zip", folder, part_bytes)
        if chosen:
            _write(Path(scratch) / "runs.zip", chosen, runs)
            made = split(Path(scratch) / "runs.zip", folder, part_bytes)
            later = made[first - 1 + parts :]
            for part in (*made[: first - 1], *later):
                part.unlink()
            left_out += [f"{len(later)} parts of {', '.join(only)}: --first {first + parts}"] if later else []
    return left_out


def _chosen(groups: Sequence[Group], only: Sequence[str], room: int) -> tuple[list[Group], list[str]]:
    if only:
        return [group for group in groups if group.name in only], []
    chosen: list[Group] = []
    left_out: list[str] = []
    for group in groups:
        if group.size <= room:
            chosen.append(group)
            room -= group.size
        else:
            left_out.append(f"{group.name} ({group.size / MIB:.1f} MiB): --only {group.name}")
    return chosen, left_out


def _groups(runs: Path) -> Iterator[Group]:
    """Groups of a folder of runs, the most important first."""
    found = sorted((log.parent for log in runs.glob("*/log.csv")), key=lambda run: -(run / "log.csv").stat().st_mtime)
    logs = (runs / "summary.md", *(run / name for run in found for name in _LOGS))
    if found:
        yield Group("logs", tuple(file for file in logs if file.is_file()))
    for run in found:
        yield from _part_of(run, "adapter", half=True)
    for run in found:
        if not _finished(run / "checkpoint"):
            yield from _part_of(run, "state")


def _part_of(run: Path, part: str, *, half: bool = False) -> Iterator[Group]:
    files = tuple(sorted(file for file in (run / "checkpoint" / part).glob("*") if file.is_file()))
    if files:
        yield Group(f"{run.name}/{part}", files, half)


def _write(archive: Path, groups: Sequence[Group], runs: Path) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as bundled:
        for group in groups:
            group.write(bundled, runs)


def _in_half(file: Path) -> bytes:
    import torch
    from safetensors.torch import load_file, save

    halved = {name: x.bfloat16() if x.dtype == torch.float32 else x for name, x in load_file(file).items()}
    made: bytes = save(halved)
    return made


def _finished(checkpoint: Path) -> bool:
    try:
        notes = json.loads((checkpoint / "adapter" / "adapter_config.json").read_text(encoding="utf-8"))["notes"]
        return bool(notes["step"] >= notes["training"]["run"]["steps"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def unbundle(parts: Sequence[Path], folder: Path) -> list[Path]:
    """Restore logs and runs from their parts; files of the same runs are replaced.

    Raises:
        DataError: as ``join``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        for whole in join(parts, Path(scratch)):
            with zipfile.ZipFile(whole) as archive:
                archive.extractall(folder)
    return sorted(log.parent for log in folder.glob("*/log.csv"))


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    top = argparse.ArgumentParser(description="Bundle the results of runs into few small files, and restore them.")
    commands = top.add_subparsers(dest="command", required=True)
    bundling = commands.add_parser("bundle")
    bundling.add_argument("runs", type=Path, help="folder that train.py wrote into")
    bundling.add_argument("--only", nargs="+", default=[], metavar="RUN/PART", help="RUN/adapter or RUN/state")
    bundling.add_argument("--first", type=int, default=1, help="number of the first part that is written")
    bundling.add_argument(
        "--part-size", type=positive, default=PART_MIB, metavar="MIB", help="size of a part (default: %(default)s)"
    )
    bundling.add_argument(
        "--parts", type=positive, default=PARTS, metavar="N", help="maximum number of parts (default: %(default)s)"
    )
    unbundling = commands.add_parser("unbundle")
    unbundling.add_argument("parts", type=Path, nargs="+", help="files that were brought")
    for command in (bundling, unbundling):
        command.add_argument("--out", type=Path, required=True, help="folder to write into")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Bundle or unbundle; returns the exit status."""
    chosen = parser().parse_args(arguments)
    try:
        if chosen.command == "unbundle":
            print(*unbundle(chosen.parts, chosen.out), sep="\n")
            return 0
        size = chosen.part_size * MIB
        left_out = bundle(
            chosen.runs, chosen.out, only=chosen.only, first=chosen.first, part_bytes=size, parts=chosen.parts
        )
        for name in left_out:
            print(f"left out: {name}")
    except SharedLLMError as failed:
        print(f"error: {failed}", file=sys.stderr)
        return failed.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
