"""The report of a build: what was fetched, kept and dropped, as JSON and as a table."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sharedllm_docs.training.dataset import SPLITS, QuestionRow, TextRow
from sharedllm_docs_data.fetch import Fetched


@dataclass(frozen=True)
class FileReport:
    """Report of one output file.

    Attributes:
        file: its path under the output folder.
        rows: number of lines.
        splits: lines by split.
        characters: of text, or of contexts, questions and answers.
        bytes: on the disk, compressed.
        sha256: of the file.
        dropped: rows left out, by reason.
    """

    file: str
    rows: int
    splits: dict[str, int]
    characters: int
    bytes: int
    sha256: str
    dropped: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class PackageReport:
    """A package that was used: the version and the hash of the file that was read."""

    name: str
    origin: str
    version: str
    sha256: str
    bytes: int
    pinned: bool


@dataclass
class Report:
    """Everything that a build did; ``seconds`` is the only part that differs between two equal builds."""

    seed: int
    limit: int | None = None
    packages: list[PackageReport] = field(default_factory=list)
    files: list[FileReport] = field(default_factory=list)
    templates: dict[str, dict[str, int]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def add_package(self, fetched: Fetched) -> None:
        """Record a package once."""
        package = fetched.package
        entry = PackageReport(
            package.name, package.origin, fetched.version, fetched.sha256, fetched.size, bool(package.sha256)
        )
        if entry not in self.packages:
            self.packages.append(entry)

    def keep(self, path: Path) -> None:
        """Take over the entries of an earlier build with the same seed and limit that this one did not replace."""
        earlier = read_report(path)
        if earlier is None or (earlier.seed, earlier.limit) != (self.seed, self.limit):
            return
        mine = {entry.file for entry in self.files}
        self.files = [entry for entry in earlier.files if entry.file not in mine] + self.files
        self.packages += [entry for entry in earlier.packages if entry not in self.packages]
        self.templates = {**earlier.templates, **self.templates}
        self.seconds = {**earlier.seconds, **self.seconds}

    def write(self, path: Path) -> None:
        """The report as JSON with sorted keys."""
        path.write_text(json.dumps(asdict(self), indent=1, sort_keys=True) + "\n", encoding="utf-8")

    def table(self) -> str:
        """Rows by file and split, characters, and what was dropped, as fixed-width text."""
        head = ("file", "rows", *SPLITS, "Mchars", "MB", "dropped")
        body = [_cells(entry) for entry in self.files]
        total = [sum(entry.splits.get(split, 0) for entry in self.files) for split in SPLITS]
        body.append(
            (
                "total",
                f"{sum(entry.rows for entry in self.files)}",
                *map(str, total),
                f"{sum(entry.characters for entry in self.files) / 1e6:.1f}",
                f"{sum(entry.bytes for entry in self.files) / 1e6:.1f}",
                str(sum(sum(entry.dropped.values()) for entry in self.files)),
            )
        )
        widths = [max(len(row[i]) for row in [head, *body]) for i in range(len(head))]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if i == 0 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in [head, *body]
        )


def read_report(path: Path) -> Report | None:
    """The report of an earlier build; None if there is none, or it has another form."""
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        return Report(
            fields["seed"],
            fields["limit"],
            [PackageReport(**entry) for entry in fields["packages"]],
            [FileReport(**entry) for entry in fields["files"]],
            fields["templates"],
            fields["seconds"],
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _cells(entry: FileReport) -> tuple[str, ...]:
    return (
        entry.file,
        str(entry.rows),
        *(str(entry.splits.get(split, 0)) for split in SPLITS),
        f"{entry.characters / 1e6:.1f}",
        f"{entry.bytes / 1e6:.1f}",
        str(sum(entry.dropped.values())),
    )


def file_report(
    path: Path, root: Path, rows: Iterable[TextRow | QuestionRow], sha256: str, dropped: Counter[str]
) -> FileReport:
    """Describe a file that was written from ``rows``."""
    splits: Counter[str] = Counter()
    characters = 0
    for row in rows:
        splits[row.split] += 1
        characters += row.characters
    return FileReport(
        path.relative_to(root).as_posix(),
        sum(splits.values()),
        dict(sorted(splits.items())),
        characters,
        path.stat().st_size,
        sha256,
        dict(sorted(dropped.items())),
    )
