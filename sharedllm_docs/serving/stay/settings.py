"""The settings for which a process was started. A client uses a process only if all of them are the same. Imports
nothing heavy."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import sharedllm_docs
from sharedllm_docs.version import __version__

PATH_OPTIONS = ("name_or_path", "adapter", "embedder", "confidence")
"""Options of the model that may be paths."""
RELEVANT = (
    *(
        "SHAREDLLM_DOCS_",
        "OMP_",
        "MKL_",
        "KMP_",
        "GOMP_",
        "OPENBLAS_",
        "TORCH",
        "PYTORCH_",
        "CUDA_",
        "CUBLAS_",
        "ATEN_",
    ),
    *("DNNL_", "ONEDNN_", "TOKENIZERS_", "HF_", "HUGGING", "TRANSFORMERS_", "SAFETENSORS_", "XDG_CACHE_HOME", "HOME"),
    *("PYTHON", "LD_PRELOAD", "LD_LIBRARY_PATH", "TESSDATA", "LANG", "LC_", "TZ", "MALLOC_"),
    *("AWS_", "AZURE_", "GOOGLE_", "GCS", "GCLOUD", "FSSPEC_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "PIP_"),
)
"""Beginnings of the names of environment variables that answers, their place or their speed may depend on."""
_NOT_RELEVANT = ("SHAREDLLM_DOCS_INDEX", "SHAREDLLM_DOCS_STAY", "SHAREDLLM_DOCS_STAY_MEMORY")
_SITES = ("site-packages", "dist-packages")


@dataclass(frozen=True)
class Settings:
    """An index and everything else that its answers depend on.

    Attributes:
        url: of the index, absolute.
        options: keywords of ``Index.open``, as JSON has them; a ``profile`` that is no name is a dictionary.
        folder: the working directory where a relative name in the options counts from it; else "".
        surroundings: user, program, libraries and environment; see ``surroundings``.
    """

    url: str
    options: Mapping[str, Any]
    folder: str
    surroundings: Mapping[str, Any]

    @classmethod
    def of(cls, url: str, options: Mapping[str, Any]) -> Settings:
        """The settings of a command.

        Args:
            url: of the index, as the user wrote it.
            options: keywords of ``Index.open``.
        """
        told = {name: value if isinstance(value, str) else value.to_dict() for name, value in options.items()}
        relative = any(_is_relative(told.get(name)) for name in PATH_OPTIONS)
        return cls(absolute_url(url), told, os.getcwd() if relative else "", surroundings())

    @property
    def key(self) -> str:
        """Name of the process of these settings."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:32]


def _is_relative(name: object) -> bool:
    return isinstance(name, str) and not os.path.isabs(name) and os.path.exists(name)


def is_local(url: str) -> bool:
    """Whether an index lies in a folder of this machine."""
    protocol, separator, _rest = url.partition("://")
    return not separator or protocol in ("file", "local")


def absolute_url(url: str) -> str:
    """The url from any working directory; links in it count as what they lead to."""
    if not is_local(url):
        return url
    path = url.partition("://")[2] if "://" in url else url
    return os.path.realpath(os.path.expanduser(path))


def surroundings() -> dict[str, Any]:
    """What answers depend on beside the index and the options."""
    return {
        "user": os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", ""),
        "version": __version__,
        "program": [sys.executable, sys.prefix, *_stamp(Path(sharedllm_docs.__file__).parent)],
        "libraries": [(entry, os.stat(entry).st_mtime_ns) for entry in sys.path if _is_site(entry)],
        "environment": {name: value for name, value in sorted(os.environ.items()) if _is_relevant(name)},
        "processors": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [],
        "umask": _umask(),
    }


def _is_site(entry: str) -> bool:
    return os.path.basename(entry) in _SITES and os.path.isdir(entry)


def _is_relevant(name: str) -> bool:
    return name.upper().startswith(RELEVANT) and name not in _NOT_RELEVANT


def _stamp(folder: Path) -> tuple[str, int, int]:
    """The package's place, the number of its files, and a number that changes with any of them."""
    hasher, count = hashlib.sha256(), 0
    for path, size, changed in sorted(_files(str(folder))):
        hasher.update(f"{path} {size} {changed}\n".encode("utf-8", "surrogateescape"))
        count += 1
    return str(folder), count, int.from_bytes(hasher.digest()[:6], "big")


def _files(folder: str) -> Iterator[tuple[str, int, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name != "__pycache__":
                    yield from _files(entry.path)
            else:
                found = entry.stat()
                yield entry.path, found.st_size, found.st_mtime_ns


def _umask() -> int:
    """Files that a process makes have the rights of its umask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
