"""One measurement in a process of its own: ``python bench_child.py SPEC.json``. The last line printed is the result.

Standard library alone until the peer is imported, so that its process holds what the peer needs and nothing else.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

from peers.base import CannotTakeError, NotAvailableError, Peer, PeerSettings, Work

INGEST, ASK = "ingest", "ask"
CANNOT, UNAVAILABLE, FAILED = "cannot", "unavailable", "failed"
_STATUS = Path("/proc/self/status")


def measure(spec: dict[str, Any]) -> dict[str, Any]:
    """Do what the specification says and return what it took, or why the peer cannot do it.

    Args:
        spec: ``module``, ``cls``, ``phase``, ``persists``, ``settings``, ``folder``, ``work``, ``documents``, and
            ``spawned``, the monotonic clock's time when the process was started.
    """
    try:
        peer: Peer = getattr(importlib.import_module(f"peers.{spec['module']}"), spec["cls"])(
            PeerSettings(**spec["settings"]), Path(spec["folder"])
        )
        work = Work(Path(spec["work"]), spec["documents"])
        if spec["phase"] == INGEST:
            return ingest(peer, work)
        return ask(peer, work, float(spec["spawned"]), persists=bool(spec["persists"]))
    except CannotTakeError as error:
        return {CANNOT: str(error)}
    except (NotAvailableError, ImportError) as error:
        return {UNAVAILABLE: str(error)}
    except MemoryError:
        return {FAILED: "out of memory"}
    except Exception as error:
        if not hasattr(error, "remedy"):  # the project's own errors say enough without a traceback
            raise
        return {FAILED: str(error)}


def ingest(peer: Peer, work: Work) -> dict[str, Any]:
    """Load, then prepare the documents."""
    peer.load()
    return prepare(peer, work) | {"disk_bytes": disk_bytes(peer.stored)}


def prepare(peer: Peer, work: Work) -> dict[str, Any]:
    """Prepare the documents with a loaded peer; returns memory before and at its peak too."""
    documents = work.documents
    loaded = memory("VmRSS")
    begun = time.perf_counter()
    tokens = peer.prepare(work)
    seconds = time.perf_counter() - begun
    return {
        "documents": len(documents),
        "tokens": tokens,
        "total_tokens": sum(document.tokens for document in documents),
        "seconds": seconds,
        "tokens_per_second": tokens / seconds,
        "loaded_bytes": loaded,
        "peak_bytes": memory("VmHWM"),
    }


def ask(peer: Peer, work: Work, spawned: float, *, persists: bool) -> dict[str, Any]:
    """Ask one question cold, the others warm; if a peer keeps nothing on disk, ``cold`` includes its preparation."""
    prepared: dict[str, Any] = {}
    if persists:
        peer.open(work)
    else:
        peer.load()
        prepared = prepare(peer, work) | {"disk_bytes": 0}
    questions = work.questions
    first = peer.ask(questions[0])
    # by the clock and not by the peer's own account: what is loaded only when it is first wanted counts, too
    cold = time.monotonic() - spawned - first.decode_seconds
    warm = [peer.ask(question) for question in questions[1:]]
    decoded = [one for one in (warm or [first]) if one.decoded > 0 and one.decode_seconds > 0]
    return {
        **{f"ingest_{name}": value for name, value in prepared.items()},
        "cold_seconds": cold,
        "warm_seconds": [one.first_token_seconds for one in warm],
        "decode_tokens_per_second": [one.decoded / one.decode_seconds for one in decoded],
        "context": first.context,
        "peak_bytes": memory("VmHWM"),
        "rss_bytes": memory("VmRSS"),
    }


def memory(line: str) -> int:
    """``VmRSS`` or ``VmHWM`` of this process in bytes; its peak if the system tells only that."""
    if _STATUS.exists():
        for text in _STATUS.read_text().splitlines():
            if text.startswith(f"{line}:"):
                return int(text.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def disk_bytes(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> None:
    spec = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    result = measure(spec)
    print(json.dumps(result), flush=True)
    os._exit(0)  # the interpreter's own end is not part of what is measured


if __name__ == "__main__":
    main()
