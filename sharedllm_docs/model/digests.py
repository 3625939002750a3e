"""Digests of weights and tokenizers: an index is bound to them, not to a model's name."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sharedllm_docs.cache import cache_dir


def json_digest(value: Any) -> str:
    """SHA-256 over canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hex."""
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            hasher.update(block)
    return hasher.hexdigest()


def weights_digest(weights: Mapping[str, Any]) -> str:
    """SHA-256 over name, dtype, shape and bytes of every tensor, sorted by name."""
    import torch

    hasher = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        hasher.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        if tensor.numel():
            hasher.update(memoryview(tensor.view(-1).view(torch.uint8).numpy()))
    return hasher.hexdigest()


def tokenizer_digest(tokenizer: Any) -> str:
    """SHA-256 over everything that decides how text becomes ids (vocabulary, merges, normalisation)."""
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    # truncation and padding change with every call, so they do not identify the tokenizer
    backend.pop("truncation", None)
    backend.pop("padding", None)
    return json_digest(backend)


@dataclass(frozen=True)
class Snapshot:
    """The state of some files, taken before anything is loaded from them.

    A file counts as unchanged while its path, size, inode and modification time (in nanoseconds) stay the same.

    Attributes:
        folder: the folder of the files; None for no files.
        patterns: patterns of their names, as in ``pathlib.Path.glob``.
        stats: path, size, modification time and inode of each file; empty if any of them cannot be read.
    """

    folder: Path | None = None
    patterns: tuple[str, ...] = ()
    stats: tuple[tuple[str, int, int, int], ...] = ()

    @classmethod
    def of(cls, folder: Path, *patterns: str) -> Snapshot:
        """The state now of the files that match a pattern; without files if the folder does not exist."""
        folder = folder.absolute()
        try:
            files = sorted({file for pattern in patterns for file in folder.glob(pattern)})
            return cls(folder, patterns, tuple(_stat(file) for file in files))
        except OSError:
            return cls(folder, patterns)

    def unchanged(self) -> bool:
        """Whether the files are still in this state."""
        return self.folder is None or Snapshot.of(self.folder, *self.patterns) == self


NO_FILES = Snapshot()


def remembered(files: Snapshot, extra: str, compute: Callable[[], str]) -> str:
    """The digest that ``compute`` returns, kept in the user's cache for as long as the files do not change.

    If the files changed since the snapshot, the cache is neither read nor written, because what was loaded may come
    from either state. A missing or damaged entry of the cache is computed again.

    Args:
        files: the state of the files before anything was loaded from them.
        extra: whatever else the digest depends on.
        compute: computes the digest of what was loaded.
    """
    if not files.stats or not files.unchanged():
        return compute()
    place = cache_dir() / "digests" / f"{json_digest([files.stats, extra])}.txt"
    try:
        known = place.read_text(encoding="ascii").strip()
        if len(known) == 64:
            return known
    except (OSError, UnicodeDecodeError):
        pass  # not remembered yet
    digest = compute()
    if files.unchanged():
        _keep(place, digest)
    return digest


def _keep(place: Path, digest: str) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        scratch = place.with_suffix(f".{os.getpid()}")
        scratch.write_text(digest + "\n", encoding="ascii")
        scratch.replace(place)
    except OSError:
        pass  # a cache that cannot be written costs time, nothing else


def _stat(file: Path) -> tuple[str, int, int, int]:
    status = file.stat()
    return str(file.resolve()), status.st_size, status.st_mtime_ns, status.st_ino
