"""Tensors computed from the files of a model, kept in the user's cache and mapped into memory from there.

Merged adapters, weights in another dtype and the 8-bit codes of decoding steps take seconds to compute, and memory in
every process that computes them. Mapped from a file, they are available at once, and all processes share them. The
cache may be
emptied at any time: what is missing is computed again.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from sharedllm_docs.cache import cache_dir
from sharedllm_docs.model.digests import file_sha256, json_digest

FOLDER = "derived"
UNUSED_DAYS = 30
"""Days without use after which a file is taken out of the cache, when the next one is written."""
_ALIGNED = 64
"""Bytes at whose multiples the tensors begin, as kernels like it."""
_CODES = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16", torch.int8: "I8"}
_VERSION = 1

Tensors = dict[str, torch.Tensor]


def derived(what: str, sources: Mapping[str, Any], compute: Callable[[], Mapping[str, torch.Tensor]]) -> Tensors:
    """The tensors that ``compute`` returns, on the CPU; from the cache if it has them.

    A file of the cache counts as sound while its size, inode and time of change are those noted when it was written;
    otherwise its SHA-256 decides.

    Args:
        what: names the computation, e.g. ``merged``.
        sources: everything that the tensors depend on, beside the versions of torch and the processor's abilities.
        compute: computes them.
    """
    key = json_digest([_VERSION, what, dict(sources), torch.__version__, torch.backends.cpu.get_cpu_capability()])
    place = cache_dir() / FOLDER / f"{what}-{key[:32]}.safetensors"
    found = _mapped(place)
    if found is not None:
        return found
    made = {name: tensor.detach().contiguous() for name, tensor in compute().items()}
    if not all(tensor.device.type == "cpu" and tensor.dtype in _CODES for tensor in made.values()):
        return made
    try:
        if not _has_room(place, made):
            return made
        _write(place, made)
    except OSError:  # a full disk or a cache that cannot be written costs time and memory, nothing else
        return made
    return _mapped(place) or made


def _mapped(place: Path) -> Tensors | None:
    """The tensors of a file, mapped into memory; None if it is missing or not what was written."""
    try:
        if not _is_sound(place):
            return None
        with suppress(OSError):
            os.utime(_note(place))  # used today
        with safe_open(place, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dictionary)
    except (OSError, ValueError, KeyError, SafetensorError):
        return None


def _note(place: Path) -> Path:
    return place.with_suffix(".json")


def _is_sound(place: Path) -> bool:
    noted = json.loads(_note(place).read_text(encoding="ascii"))
    if noted["state"] == _state(place):
        return True
    if noted["sha256"] != file_sha256(place):
        return False
    _put_note(place, noted["sha256"])  # copied or restored, with the same bytes
    return True


def _state(place: Path) -> list[int]:
    found = place.stat()
    return [found.st_size, found.st_ino, found.st_mtime_ns]


def _put_note(place: Path, sha256: str) -> None:
    scratch = _note(place).with_suffix(f".{os.getpid()}")
    scratch.write_text(json.dumps({"sha256": sha256, "state": _state(place)}), encoding="ascii")
    scratch.replace(_note(place))


def _write(place: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write a safetensors file whose tensors are aligned, and then its note; a crash leaves no note."""
    place.parent.mkdir(parents=True, exist_ok=True)
    _remove_unused(place.parent)
    # those of odd sizes last, so that all others begin at a multiple of the alignment
    names = sorted(tensors, key=lambda name: (tensors[name].nbytes % _ALIGNED != 0, name))
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name in names:
        begin, end = end, end + tensors[name].nbytes
        shape = list(tensors[name].shape)
        header[name] = {"dtype": _CODES[tensors[name].dtype], "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 8) % _ALIGNED)
    scratch = place.with_suffix(f".{os.getpid()}")
    try:
        with scratch.open("wb") as sink:
            sink.write(len(text).to_bytes(8, "little") + text)
            for name in names:
                sink.write(tensors[name].view(-1).view(torch.uint8).numpy().data)
        digest = file_sha256(scratch)
        scratch.replace(place)
    finally:
        scratch.unlink(missing_ok=True)
    _put_note(place, digest)


def _has_room(place: Path, tensors: Mapping[str, torch.Tensor]) -> bool:
    """Whether at least as much is left on the disk afterwards as is written."""
    there = next(folder for folder in place.parents if folder.exists())
    return shutil.disk_usage(there).free >= 2 * sum(tensor.nbytes for tensor in tensors.values())


def _remove_unused(folder: Path) -> None:
    oldest = time.time() - UNUSED_DAYS * 86_400
    for file in folder.glob("*.safetensors"):
        with suppress(OSError):
            used = max((one.stat().st_mtime for one in (file, _note(file)) if one.exists()), default=0.0)
            if used < oldest:
                _note(file).unlink(missing_ok=True)
                file.unlink()
