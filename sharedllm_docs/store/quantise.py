"""Numbers to codes and back: eight and four bits, bfloat16. ``formats`` says what they are used for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.errors import StoreError

if TYPE_CHECKING:
    import torch

Array = NDArray[Any]


def quantise_channels(x: Array) -> tuple[Array, Array, Array]:
    """Codes int8 [G, ...], scale and offset float32 [...]: ``x ≈ codes * scale + offset``, one scale per channel.

    A channel that is constant over the chunk has scale 0 and is kept exactly.
    """
    import torch

    rows = _tensor(x)  # several threads: a third of numpy's time, the same numbers
    low, high = rows.amin(dim=0), rows.amax(dim=0)
    # halves first: the difference of the two largest floats would overflow
    scale = (high / 2 - low / 2) / 127.5
    # beyond the largest float lies code 127, as it should
    steps = (rows - low).div_(torch.where(scale > 0, scale, 1.0))
    codes = steps.round_().sub_(128).clamp_(-128, 127).to(torch.int8)
    # a constant channel has code -128 everywhere, and scale 0 leaves the offset alone
    offset = low + 128 * scale
    return codes.numpy(), scale.numpy(), offset.numpy()


def level_channels(x: Array) -> tuple[Array, Array, Array]:
    """Channels of mean 0 and deviation 1 [G, ...], spread and offset float32 [...]: ``x = level * spread + offset``.

    A channel that is constant over the chunk has spread 0 and is kept exactly.
    """
    rows = _tensor(x).double()
    if not len(rows):
        nothing = np.zeros(x.shape[1:], dtype=np.float32)
        return x, nothing, nothing
    constant = rows.amin(dim=0) == rows.amax(dim=0)
    offset = rows.mean(dim=0).where(~constant, rows[0]).float()
    spread = rows.std(dim=0, correction=0).masked_fill(constant, 0.0).float()
    level = (rows - offset).div_(spread.masked_fill(spread == 0, 1.0))
    return level.masked_fill_(spread == 0, 0.0).float().numpy(), spread.numpy(), offset.numpy()


def quantise_tokens(x: Array, top: int = 127) -> tuple[Array, Array]:
    """Codes int8 [..., D] up to ``top``, and scale float16 [...]: ``x ≈ codes * scale``, one scale for each last axis.

    Raises:
        StoreError: a value so large (above 8.3e6 with eight bits) that float16 cannot hold its scale.
    """
    import torch

    rows = _tensor(x)
    exact = (rows.abs().amax(dim=-1) / top).numpy() if x.size else np.abs(x).sum(-1)
    largest = float(np.finfo(np.float16).max)
    if exact.size and exact.max() > largest:
        raise StoreError(
            f"values reach {float(np.abs(x).max()):.6g}, more than int{top.bit_length() + 1} with float16 scales can "
            f"hold ({top * largest:.2g}).",
            remedy="Use store_dtype='bfloat16'.",
        )
    scale = exact.astype(np.float16)
    below = scale.astype(np.float32) < exact
    # rounded up, no value lies beyond code 127
    scale = np.where(below, np.nextafter(scale, np.float16(np.inf)), scale)
    wide = scale.astype(np.float32)[..., None]
    steps = rows / torch.from_numpy(np.where(wide > 0, wide, np.float32(1)))
    return steps.round_().clamp_(-top, top).to(torch.int8).numpy(), scale


def two_a_byte(codes: Array) -> Array:
    """Codes -8 .. 7 of the first half of the last axis in the low four bits, of the second half in the high ones."""
    half = codes.shape[-1] // 2
    return (codes[..., :half] & 0x0F) | (codes[..., half:] << 4)


def _tensor(x: Array) -> torch.Tensor:
    """The array as a tensor over the same memory; copied if torch cannot view its strides."""
    import torch

    return torch.from_numpy(x if all(stride >= 0 for stride in x.strides) else x.copy())


def to_bfloat16(x: Array) -> Array:
    """Bits (uint16) of the nearest bfloat16, ties to even, as torch rounds."""
    bits = np.ascontiguousarray(x, dtype=np.float32).view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)).astype(np.uint16)


def from_bfloat16(bits: Array) -> Array:
    """Inverse of ``to_bfloat16``: float32 of the same value."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def as_array(rows: Any) -> Array:
    """Rows (torch tensor on any device, or array) as a contiguous floating-point numpy array."""
    if hasattr(rows, "detach"):
        rows = rows.detach().cpu()
        rows = rows.float().numpy() if rows.element_size() == 2 else rows.numpy()
    return np.ascontiguousarray(rows)


def check_finite(array: Array, what: str) -> None:
    """Raise StoreError for infinite or undefined numbers."""
    if not np.isfinite(array).all():
        raise StoreError(
            f"The {what} of a chunk hold infinite or undefined numbers.",
            remedy="Encode with a wider dtype, such as dtype='float32'.",
        )
