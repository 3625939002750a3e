"""Row formats: how keys and values of a chunk become stored tensors, and back.

Shapes: ``keys`` and ``values`` are [G, Ls, KV, D], row-major, so that a run of rows is one range of bytes. Packing is
numpy (listing, verifying and writing need no torch); unpacking is torch, straight into the tensors of the question.

``int8`` (asymmetric for keys, symmetric for values):

* keys, one scale per channel (layer, head, dimension) over the rows of the chunk: ``key = q * scale + offset`` with
  ``scale = (max - min) / 255`` and ``offset = min + 128 * scale``. Unrotated keys have channels of very different
  range, which one scale per row would spoil.
* values, one scale per token (row, layer, head): ``value = q * scale`` with ``scale = max|value| / 127`` rounded up to
  float16, so that the error is at most half a step of the scale actually stored.

``int4`` (half the bytes of int8: one scale per row, layer and head for keys and values, two codes per byte):

* keys, once each channel has been brought to mean 0 and deviation 1 over the rows of the chunk, which four bits need
  more than eight do: ``key = (q * scale) * spread + offset``.
* values as with int8: ``value = q * scale``, with ``scale = max|value| / 7``.
* a byte contains the code of dimension d in its low half and that of d + D/2 in its high half, each in two's
complement.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.errors import ConfigError, StoreError
from sharedllm_docs.store.quantise import (
    check_finite,
    from_bfloat16,
    level_channels,
    quantise_channels,
    quantise_tokens,
    to_bfloat16,
    two_a_byte,
)
from sharedllm_docs.store.tensorfile import STORAGE, TensorSpec, sort_specs

if TYPE_CHECKING:
    import torch

Shape = tuple[int, int, int, int]
Array = NDArray[Any]


class RowFormat(ABC):
    """One way to store rows.

    Attributes:
        name: the ``store_dtype`` of the profile.
        fixed: names of the tensors that belong to the chunk as a whole; the first axis of all others is its rows.
    """

    name: str
    fixed: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def specs(self, shape: Shape) -> tuple[TensorSpec, ...]:
        """The stored tensors of a chunk of ``shape`` [G, Ls, KV, D], in file order."""

    @abstractmethod
    def pack(self, keys: Array, values: Array) -> dict[str, Array]:
        """Stored tensors by name. The error of a value that does not fit names the bound."""

    @abstractmethod
    def unpack_into(self, stored: Mapping[str, torch.Tensor], keys: torch.Tensor, values: torch.Tensor) -> None:
        """Write R stored rows (and the fixed tensors) into ``keys`` and ``values``.

        Args:
            stored: by name; all but the fixed ones contain the R chosen rows. On the device of ``keys``.
            keys: view of shape [R, Ls, KV, D], any floating dtype, any strides.
            values: the same.
        """


def _finite(array: Array, what: str) -> Array:
    """In float32, as quantising computes; infinite or undefined numbers are refused."""
    check_finite(array, what)
    return array.astype(np.float32, copy=False)


@dataclass(frozen=True)
class PlainFormat(RowFormat):
    """Rows as floating-point numbers of one dtype."""

    name: str
    dtype: str

    def specs(self, shape: Shape) -> tuple[TensorSpec, ...]:
        return (TensorSpec("keys", self.dtype, shape), TensorSpec("values", self.dtype, shape))

    def pack(self, keys: Array, values: Array) -> dict[str, Array]:
        return {"keys": self._cast(keys, "keys"), "values": self._cast(values, "values")}

    def _cast(self, array: Array, what: str) -> Array:
        check_finite(array, what)
        with np.errstate(over="ignore"):  # what overflows is named just below
            cast = to_bfloat16(array) if self.dtype == "BF16" else array.astype(STORAGE[self.dtype])
        finite = np.isfinite(from_bfloat16(cast) if self.dtype == "BF16" else cast)
        if not finite.all():
            raise StoreError(
                f"{what} reach {np.abs(array).max():.6g}, more than {self.name} can hold.",
                remedy="Use store_dtype='bfloat16' or 'float32'.",
            )
        return np.ascontiguousarray(cast)

    def unpack_into(self, stored: Mapping[str, torch.Tensor], keys: torch.Tensor, values: torch.Tensor) -> None:
        keys.copy_(stored["keys"])
        values.copy_(stored["values"])


@dataclass(frozen=True)
class Int8Format(RowFormat):
    """Eight bits per number: one scale per channel for keys, one per token for values (see the module's docstring)."""

    name: str = "int8"
    fixed: ClassVar[frozenset[str]] = frozenset({"key_scale", "key_offset"})

    def specs(self, shape: Shape) -> tuple[TensorSpec, ...]:
        rows, layers, heads, dims = shape
        return sort_specs(
            (
                TensorSpec("keys", "I8", shape),
                TensorSpec("values", "I8", shape),
                TensorSpec("value_scale", "F16", (rows, layers, heads)),
                TensorSpec("key_scale", "F32", (layers, heads, dims)),
                TensorSpec("key_offset", "F32", (layers, heads, dims)),
            )
        )

    def pack(self, keys: Array, values: Array) -> dict[str, Array]:
        keys, values = _finite(keys, "keys"), _finite(values, "values")
        key_codes, key_scale, key_offset = quantise_channels(keys)
        value_codes, value_scale = quantise_tokens(values)
        return {
            "keys": key_codes,
            "values": value_codes,
            "value_scale": value_scale,
            "key_scale": key_scale,
            "key_offset": key_offset,
        }

    def unpack_into(self, stored: Mapping[str, torch.Tensor], keys: torch.Tensor, values: torch.Tensor) -> None:
        self._unpack(stored["keys"], stored["key_scale"], stored["key_offset"], keys)
        self._unpack(stored["values"], stored["value_scale"][..., None], None, values)

    @staticmethod
    def _unpack(codes: torch.Tensor, scale: torch.Tensor, offset: torch.Tensor | None, out: torch.Tensor) -> None:
        """Multiply, then add, each rounded by itself: a row's numbers do not depend on its neighbours in the call."""
        import torch

        wide = out.dtype in (torch.float32, torch.float64)
        target = out if wide else torch.empty_like(out, dtype=torch.float32)
        target.copy_(codes)
        target.mul_(scale.to(target.dtype))
        if offset is not None:
            target.add_(offset.to(target.dtype))
        if not wide:
            out.copy_(target)


@dataclass(frozen=True)
class Int4Format(RowFormat):
    """Four bits per number, one scale per token; channels of keys are levelled first (see the module's docstring)."""

    name: str = "int4"
    fixed: ClassVar[frozenset[str]] = frozenset({"key_spread", "key_offset"})

    def specs(self, shape: Shape) -> tuple[TensorSpec, ...]:
        rows, layers, heads, dims = shape
        if dims % 2:
            raise ConfigError(
                f"store_dtype='int4' stores two numbers per byte, but the model's heads have {dims} dimensions.",
                remedy="Use store_dtype='int8'.",
            )
        nibbles = (rows, layers, heads, dims // 2)  # two codes per byte
        return sort_specs(
            (
                TensorSpec("keys", "I8", nibbles),
                TensorSpec("values", "I8", nibbles),
                TensorSpec("key_scale", "F16", (rows, layers, heads)),
                TensorSpec("value_scale", "F16", (rows, layers, heads)),
                TensorSpec("key_spread", "F32", (layers, heads, dims)),
                TensorSpec("key_offset", "F32", (layers, heads, dims)),
            )
        )

    def pack(self, keys: Array, values: Array) -> dict[str, Array]:
        keys, values = _finite(keys, "keys"), _finite(values, "values")
        level, spread, offset = level_channels(keys)
        key_codes, key_scale = quantise_tokens(level, 7)
        value_codes, value_scale = quantise_tokens(values, 7)
        return {
            "keys": two_a_byte(key_codes),
            "values": two_a_byte(value_codes),
            "key_scale": key_scale,
            "value_scale": value_scale,
            "key_spread": spread,
            "key_offset": offset,
        }

    def unpack_into(self, stored: Mapping[str, torch.Tensor], keys: torch.Tensor, values: torch.Tensor) -> None:
        level = (stored["key_spread"], stored["key_offset"])
        self._unpack(stored["keys"], stored["key_scale"][..., None], level, keys)
        self._unpack(stored["values"], stored["value_scale"][..., None], None, values)

    @staticmethod
    def _unpack(
        codes: torch.Tensor, scale: torch.Tensor, level: tuple[torch.Tensor, torch.Tensor] | None, out: torch.Tensor
    ) -> None:
        """Each operation rounded by itself, as with int8."""
        import torch

        half = codes.shape[-1]
        wide = out.dtype in (torch.float32, torch.float64)
        target = out if wide else torch.empty_like(out, dtype=torch.float32)
        # shifts of int8 keep the sign, so that the low half becomes a number of its own
        target[..., :half] = (codes << 4) >> 4
        target[..., half:] = codes >> 4
        target.mul_(scale.to(target.dtype))
        if level is not None:
            target.mul_(level[0].to(target.dtype)).add_(level[1].to(target.dtype))
        if not wide:
            out.copy_(target)


FORMATS: Mapping[str, RowFormat] = {
    "float64": PlainFormat("float64", "F64"),
    "float32": PlainFormat("float32", "F32"),
    "float16": PlainFormat("float16", "F16"),
    "bfloat16": PlainFormat("bfloat16", "BF16"),
    "int8": Int8Format(),
    "int4": Int4Format(),
}


def row_format(name: str) -> RowFormat:
    """The format of a ``store_dtype``.

    Raises:
        ConfigError: there is no such format.
    """
    if name not in FORMATS:
        raise ConfigError(f"store_dtype={name!r} is not one of {', '.join(FORMATS)}.", remedy="Use one of these.")
    return FORMATS[name]
