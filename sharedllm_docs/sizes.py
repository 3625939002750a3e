"""Sizes as people read them."""

from __future__ import annotations


def size_text(count: float) -> str:
    """Bytes in the largest decimal unit that keeps them at 1 or more: ``61.2 MB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"
