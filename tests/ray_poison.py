"""Set up in the workers of a test's Ray cluster: a file named for it kills the process that reads it."""

from __future__ import annotations

import os
import signal
from typing import Any

POISON = "POISON"


def setup() -> None:
    """Let reading a file with the name die as a fault in a library would let it."""
    from sharedllm_docs.index import ingest, units

    read = ingest.read_source

    def deadly(source: Any, **options: Any) -> Any:
        if POISON in str(source):
            os.kill(os.getpid(), signal.SIGKILL)
        return read(source, **options)

    vars(units)["read_source"] = deadly
