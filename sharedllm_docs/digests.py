"""Digests of models: what an index is bound to is the weights, not a name."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from sharedllm_docs.cache import cache_dir


def json_digest(value: Any) -> str:
    """SHA-256 over canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def weights_digest(weights: Mapping[str, Any]) -> str:
    """SHA-256 over name, dtype, shape and bytes of every tensor, in order of name."""
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
    # truncation and padding are switched by whoever called the tokenizer last; they are not part of it
    backend.pop("truncation", None)
    backend.pop("padding", None)
    return json_digest(backend)


def remembered(files: Iterable[Path], extra: str, compute: Callable[[], str]) -> str:
    """``compute()``, kept in the user's cache as long as none of ``files`` changes.

    A file counts as unchanged while its path, size, inode and nanosecond modification time are. The memory can be
    lost: anything wrong with it leads to computing again.
    """
    stats = [(str(f.resolve()), *_stat(f)) for f in sorted(files)]
    if not stats:
        return compute()
    place = cache_dir() / "digests" / f"{json_digest([stats, extra])}.txt"
    try:
        known = place.read_text(encoding="ascii").strip()
        if len(known) == 64:
            return known
    except (OSError, UnicodeDecodeError):
        pass  # not remembered yet
    digest = compute()
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        scratch = place.with_suffix(f".{os.getpid()}")
        scratch.write_text(digest + "\n", encoding="ascii")
        scratch.replace(place)
    except OSError:
        pass  # a cache that cannot be written costs time, nothing else
    return digest


def _stat(file: Path) -> tuple[int, int, int]:
    status = file.stat()
    return status.st_size, status.st_mtime_ns, status.st_ino
