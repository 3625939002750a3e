"""Peak memory of a piece of work: of the GPU if the model is on one, otherwise of the process, on Linux."""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType
from typing import Any

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class PeakMemory:
    """Measures what happens inside its ``with`` block.

    Args:
        device: device of the model (a ``torch.device``).

    Attributes:
        bytes: maximum use during the block, weights included; None where the system does not tell.
    """

    def __init__(self, device: Any) -> None:
        self._cuda = device.type == "cuda"
        self._device = device
        self.bytes: int | None = None

    def __enter__(self) -> PeakMemory:
        if self._cuda:
            import torch

            torch.cuda.reset_peak_memory_stats(self._device)
        elif sys.platform == "linux" and _CLEAR.exists():
            _CLEAR.write_text("5")  # the kernel starts the high-water mark again (proc(5))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._cuda:
            import torch

            self.bytes = int(torch.cuda.max_memory_allocated(self._device))
        elif sys.platform == "linux":
            self.bytes = high_water_mark(_STATUS.read_text())


def high_water_mark(status: str) -> int | None:
    """``VmHWM`` of the text of a ``/proc/PID/status``, in bytes; None if it has none."""
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None
