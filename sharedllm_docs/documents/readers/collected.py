"""Results of a search for files: files to read, and what was skipped and why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Found:
    """A file to read.

    Attributes:
        name: name of the document: for a file in a folder its path below that folder's parent.
        source: path or URL, or the bytes of a member of an archive.
        named: whether the user named this very file; others may turn out to be no documents.
    """

    name: str
    source: str | Path | bytes
    named: bool = False


@dataclass(frozen=True)
class Skipped:
    """What is not read.

    Attributes:
        name: path, or name in its archive.
        reason: why, as the end of a sentence.
    """

    name: str
    reason: str
