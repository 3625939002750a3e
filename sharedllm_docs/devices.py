"""What a device is good at. Leaf module; torch is imported when asked."""

from __future__ import annotations

from typing import Any


def has_bfloat16_units(device: Any) -> bool:
    """Whether bfloat16 is faster than float32 there: on accelerators, and on processors with matrix units for it."""
    import torch

    if torch.device(device).type != "cpu":
        return True
    # a private name of torch; where it is missing float32 is right, only slower on some processors
    return bool(getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)())
