"""Devices and dtypes by name. Torch is imported by the functions, not with the module."""

from __future__ import annotations

from typing import Any

from sharedllm_docs.errors import ConfigError

DTYPES = ("auto", "float32", "bfloat16", "float16", "float64")


def device_of(name: str) -> Any:
    """The torch device of this name; ``auto`` is CUDA where there is one, else the CPU.

    Raises:
        ConfigError: the device cannot be used here.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"Device {name!r} cannot be used: {reason}", remedy="Use 'auto' or 'cpu'.") from error
    return device


def dtype_of(name: str, device: Any) -> Any:
    """The torch dtype of this name; ``auto`` is bfloat16 where the device computes it faster, else float32.

    Raises:
        ConfigError: an unknown name.
    """
    import torch

    if name not in DTYPES:
        raise ConfigError(f"dtype {name!r} is unknown (known: {', '.join(DTYPES)}).", remedy="Use one of these.")
    if name != "auto":
        return getattr(torch, name)
    return torch.bfloat16 if has_bfloat16_units(device) else torch.float32


def has_bfloat16_units(device: Any) -> bool:
    """Whether bfloat16 is faster than float32: on accelerators, and on CPUs with instructions for it."""
    import torch

    if torch.device(device).type != "cpu":
        return True
    # private names of torch; where they are missing float32 is right, only slower on some CPUs
    units = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in units)
