"""How much memory belongs to this process alone. Imports nothing of the project."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def own_memory() -> int:
    """Bytes of memory of this process alone, without files mapped into it; 0 if that cannot be known.

    Weights that are mapped from a file belong to all processes that map it, so they are not counted.
    """
    try:
        _size, resident, shared, *_others = Path("/proc/self/statm").read_text(encoding="ascii").split()
        return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return _peak_memory()


def _peak_memory() -> int:
    """Peak memory of this process, for systems without /proc."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def machine_memory() -> int:
    """Bytes of memory of the machine; 0 if that cannot be known."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError, AttributeError):
        return 0
