"""Safetensors files, written byte for byte the same wherever and whenever.

The format is https://github.com/huggingface/safetensors: 8 bytes header length (little-endian), a JSON header, the
tensors' bytes back to back. The header is written here rather than by the library so that its bytes, which
checksums cover, cannot change with the library's version; the files open with it as usual. Needs numpy only.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.store.canonical import canonical_bytes, strict_json

METADATA_FIELD = "sharedllm-docs"
MAX_HEADER = 64 << 20
"""Bytes of the JSON that describes a file: far more than any shard of the largest models needs."""
_LENGTH = struct.Struct("<Q")
_ALIGNMENT = 8
MAX_COUNT = 1 << 53
"""Of bytes, rows or entries: what every program can hold exactly."""
MAX_AXES = 8

STORAGE: Mapping[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "I32": np.dtype("<i4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),  # numpy has no bfloat16: its bits are carried as they are
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
}


@dataclass(frozen=True)
class TensorSpec:
    """One tensor of a file.

    Attributes:
        name: in the header.
        dtype: safetensors name, a key of ``STORAGE``.
        shape: row-major.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        return STORAGE[self.dtype]

    @property
    def num_bytes(self) -> int:
        return self.numpy_dtype.itemsize * math.prod(self.shape)

    @property
    def row_bytes(self) -> int:
        """Bytes of one entry of the first axis."""
        return self.numpy_dtype.itemsize * math.prod(self.shape[1:])


def offsets_of(specs: Sequence[TensorSpec]) -> tuple[int, ...]:
    """Where each tensor begins, counted from the end of the header; one more entry for the end of the last."""
    positions = [0]
    for spec in specs:
        positions.append(positions[-1] + spec.num_bytes)
    return tuple(positions)


def encode_header(specs: Sequence[TensorSpec], metadata: str) -> bytes:
    """Length and JSON header for tensors that follow in the order of ``specs``, with one metadata string."""
    starts = offsets_of(specs)
    entries: dict[str, Any] = {"__metadata__": {METADATA_FIELD: metadata}}
    for spec, start, end in zip(specs, starts, starts[1:], strict=False):
        entries[spec.name] = {"dtype": spec.dtype, "shape": list(spec.shape), "data_offsets": [start, end]}
    text = canonical_bytes(entries)
    text += b" " * (-len(text) % _ALIGNMENT)
    return _LENGTH.pack(len(text)) + text


def header_size(data: bytes | memoryview) -> int:
    """Bytes of length and header together, from the first 8 bytes of a file.

    Raises:
        ValueError: fewer than 8 bytes.
    """
    if len(data) < _LENGTH.size:
        raise ValueError("it is shorter than a header")
    return _LENGTH.size + int(_LENGTH.unpack(data[: _LENGTH.size])[0])


def header_json(data: bytes | memoryview) -> dict[str, Any]:
    """The JSON of a header (``data`` may go on behind it).

    Raises:
        ValueError: truncated or not JSON.
    """
    size = header_size(data)
    if size > len(data):
        raise ValueError("its header is cut off")
    if size > MAX_HEADER:
        raise ValueError(f"its header has {size:,} bytes, the limit is {MAX_HEADER:,}")
    try:
        header = strict_json(bytes(data[_LENGTH.size : size]))
    except ValueError as error:
        raise ValueError("its header is not valid JSON") from error
    if not isinstance(header, dict):
        raise ValueError("its header is not a JSON object")
    return header


def sort_specs(specs: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
    """File order: widest dtype first (so that every tensor is aligned), then by name."""
    return tuple(sorted(specs, key=lambda spec: (-spec.numpy_dtype.itemsize, spec.name)))


def encode_tensors(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """A whole small file. Dtypes: float64, float32, float16, int32, int8.

    Raises:
        ValueError: another dtype.
    """
    names = {dtype.newbyteorder("="): name for name, dtype in STORAGE.items() if name != "BF16"}
    specs = []
    for name, array in arrays.items():
        if array.dtype.newbyteorder("=") not in names:
            raise ValueError(f"The array {name!r} is {array.dtype}; stored are {', '.join(map(str, names))}.")
        specs.append(TensorSpec(name, names[array.dtype.newbyteorder("=")], array.shape))
    ordered = sort_specs(specs)
    bodies = [arrays[spec.name].astype(spec.numpy_dtype, copy=False).tobytes() for spec in ordered]
    return b"".join([encode_header(ordered, ""), *bodies])


def decode_tensors(data: bytes | memoryview) -> dict[str, NDArray[Any]]:
    """Inverse of ``encode_tensors``; the arrays are read-only views of ``data``.

    Raises:
        ValueError: not a file of that kind.
    """
    header, start = header_json(data), header_size(data)
    header.pop("__metadata__", None)
    arrays = {}
    for name, entry in header.items():
        spec, begin = _described(name, entry)
        if start + begin + spec.num_bytes > len(data):
            raise ValueError(f"the array {name!r} goes beyond its end")
        body = memoryview(data)[start + begin : start + begin + spec.num_bytes]
        arrays[name] = np.frombuffer(body, dtype=spec.numpy_dtype).reshape(spec.shape)
    return arrays


def _described(name: str, entry: Any) -> tuple[TensorSpec, int]:
    """An array as a header describes it, and where it begins. Raises ValueError."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"the array {name!r} is not described by dtype, shape and place")
    dtype, shape, place = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in STORAGE:
        raise ValueError(f"the array {name!r} has the dtype {dtype!r}, which is not stored")
    if not are_counts(shape) or not are_counts(place) or len(place) != 2 or len(shape) > MAX_AXES:
        raise ValueError(f"the array {name!r} has no possible shape or place")
    spec = TensorSpec(name, dtype, tuple(shape))
    if place[1] - place[0] != spec.num_bytes:
        raise ValueError(f"the array {name!r} of shape {shape} does not take {place[1] - place[0]} bytes")
    return spec, place[0]


def are_counts(values: Any) -> bool:
    """Whether this is a list of whole numbers from 0 that a file can have."""
    return isinstance(values, list) and all(type(one) is int and 0 <= one <= MAX_COUNT for one in values)
