"""Safetensors files, written byte for byte the same wherever and whenever.

The format is https://github.com/huggingface/safetensors: 8 bytes header length (little-endian), a JSON header, the
tensors' bytes back to back. The header is written here rather than by the library so that its bytes, which
checksums cover, cannot change with the library's version; the files open with it as usual. Needs numpy only.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.store.canonical import canonical_bytes

METADATA_FIELD = "sharedllm-docs"
_LENGTH = struct.Struct("<Q")
_ALIGNMENT = 8

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
    try:
        header = json.loads(bytes(data[_LENGTH.size : size]))
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


def decode_tensors(data: bytes) -> dict[str, NDArray[Any]]:
    """Inverse of ``encode_tensors``; the arrays are read-only views of ``data``.

    Raises:
        ValueError: not a file of that kind.
    """
    header, start = header_json(data), header_size(data)
    header.pop("__metadata__", None)
    arrays = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        body = memoryview(data)[start + begin : start + end]
        arrays[name] = np.frombuffer(body, dtype=STORAGE[entry["dtype"]]).reshape(entry["shape"])
    return arrays
