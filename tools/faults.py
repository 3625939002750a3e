"""Kills ingestion and flips bytes: nothing that was stored may be lost, and nothing may be answered wrongly.

``kills``: a process adds documents to an index and is killed with signal 9 at a random function call, again and again.
After each death the index opens, everything committed before is there, ``verify`` finds nothing, and the answers are
those of before. ``flips``: every byte of a small index is changed, one at a time; ``verify`` must name the file, and a
question must have the answer of the whole index or the error that names the file.

    python tools/faults.py kills --count 1000
    python tools/faults.py flips --values 3

Both use the tiny random model of the tests, print a line of progress to standard error, and one JSON line at the end.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from sharedllm_docs import Index
from sharedllm_docs.errors import DamagedIndexError
from tests.fault_worker import ALWAYS, QUESTION, SHORT, add, document
from tests.tiny_text import tiny_document, tiny_llm
from tests.waiting import PATIENCE

_FRESH_AFTER = 50  # documents in an index, after which the next kills go to a new one
_EVERY = 200  # flips between two lines of progress

Tell = Callable[[str], None]


class Wrong(Exception):  # noqa: N818 - what this program looks for
    """Something was lost or answered wrongly."""


def answer(index: Index, **options: Any) -> str:
    """The answer to the one question, whatever its relevance."""
    return index.ask(QUESTION, retrieval=ALWAYS, generation=SHORT, **options).text


# -- kills


def processes() -> ForkServerContext:
    """Processes that start at once: the server they are forked from has imported what they run."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.fault_worker"])
    return context


def run_kills(folder: Path, count: int, seed: int, tell: Tell) -> dict[str, Any]:
    """Kill ``count`` ingestions. Raises Wrong."""
    context, chance, llm = processes(), random.Random(seed), tiny_llm()
    calls = _calls(context, folder / "measure")
    done = {"kills": 0, "committed_all_the_same": 0, "survived": 0, "documents_checked": 0, "answers_checked": 0}
    expected: dict[str, str] = {}
    url = folder / "index-0"
    run = 0
    while done["kills"] < count:
        if run % _FRESH_AFTER == 0:
            url, expected = folder / f"index-{run}", {}
            Index.create(url, llm).add(document(0))
            expected["0.txt"] = answer(Index.open(url, llm), documents=["0.txt"])
        run += 1
        number = run % _FRESH_AFTER or _FRESH_AFTER
        process = context.Process(target=add, args=(str(url), [number], chance.randint(1, calls)))
        process.start()
        process.join(PATIENCE)
        if process.exitcode not in (0, -signal.SIGKILL):
            raise Wrong(f"run {run} ended with {process.exitcode}")
        killed = process.exitcode == -signal.SIGKILL
        done["kills" if killed else "survived"] += 1
        names = _whole(Index.open(url, llm), expected, run)
        done["committed_all_the_same"] += killed and f"{number}.txt" in names
        for name in {"0.txt", f"{number}.txt", chance.choice(sorted(names))} & names:
            text = answer(Index.open(url, llm), documents=[name])
            if expected.setdefault(name, text) != text:
                raise Wrong(f"run {run}: {name} is answered {text!r} instead of {expected[name]!r}")
            done["answers_checked"] += 1
        done["documents_checked"] += len(names)
        if run % 20 == 0:
            tell(f"{done['kills']} of {count} killed")
        if run % _FRESH_AFTER == 0:
            _resumed(url, llm, run)
    return done


def _calls(context: ForkServerContext, folder: Path) -> int:
    """How many function calls and returns it takes to add one more document."""
    Index.create(folder, tiny_llm()).add(document(0))
    counted: Any = context.Queue()
    process = context.Process(target=add, args=(str(folder), [1], None, counted))
    process.start()
    calls = int(counted.get(timeout=PATIENCE))
    process.join(PATIENCE)
    return calls


def _whole(index: Index, expected: dict[str, str], run: int) -> set[str]:
    """The names of the documents, none of which may be missing or damaged."""
    names = {info.name for info in index.documents()}
    if lost := set(expected) - names:
        raise Wrong(f"run {run}: {sorted(lost)} are lost")
    report = index.verify()
    if not report.ok:
        raise Wrong(f"run {run}: damaged: {report.damaged}")
    return names


def _resumed(url: Path, llm: Any, run: int) -> None:
    """What was interrupted is added again, and is then what it is in an index that nobody interrupted."""
    index = Index.open(url, llm)
    fresh = Index.create(url.with_name("fresh"), llm)
    for number in (3, _FRESH_AFTER - 1):
        index.add(document(number))
        fresh.add(document(number))
        name = f"{number}.txt"
        if answer(index, documents=[name]) != answer(fresh, documents=[name]):
            raise Wrong(f"run {run}: {name} resumed is answered otherwise than fresh")
    for path in sorted(fresh_files(url.with_name("fresh"))):
        path.unlink()
    Index.open(url, llm).prune()
    if not Index.open(url, llm).verify().ok:
        raise Wrong(f"run {run}: prune damaged the index")


def fresh_files(folder: Path) -> Iterator[Path]:
    """All files below a folder."""
    return (path for path in folder.rglob("*") if path.is_file())


# -- flips


def run_flips(folder: Path, values: int, seed: int, tell: Tell, *, every: int = 1) -> dict[str, Any]:
    """Flip each ``every``-th byte of a small index, in ``values`` ways each. Raises Wrong."""
    llm, chance = tiny_llm(), random.Random(seed)
    index = Index.create(folder / "index", llm)
    index.add(tiny_document("The heron stands in the river.", "It waits for fish.", name="0.txt"))
    url = folder / "index"
    good = answer(Index.open(url, llm))
    files = sorted(path for path in fresh_files(url) if path.stat().st_size)
    total = sum(path.stat().st_size for path in files)
    done = {"files": len(files), "bytes": total, "flips": 0, "named": 0, "answered_as_before": 0, "refused": 0}
    for path in files:
        original = path.read_bytes()
        name = path.relative_to(url).as_posix()
        for place in range(0, len(original), every):
            for mask in _masks(values, chance):
                data = bytearray(original)
                data[place] ^= mask
                path.write_bytes(data)
                try:
                    _check_flip(url, llm, good, name, f"byte {place} of {name}, ^ {mask}", done)
                finally:
                    path.write_bytes(original)
                if done["flips"] % _EVERY == 0:
                    tell(f"{done['flips']} flips, {name} at {place} of {len(original)}")
    if answer(Index.open(url, llm)) != good:
        raise Wrong("the whole index is answered otherwise at the end")
    return done


def _masks(values: int, chance: random.Random) -> list[int]:
    """One bit, all bits, then others at random."""
    chosen = [1 << chance.randrange(8), 0xFF]
    while len(chosen) < values:
        mask = chance.randrange(1, 256)
        chosen += [] if mask in chosen else [mask]
    return chosen[:values]


def _check_flip(url: Path, llm: Any, good: str, name: str, what: str, done: dict[str, Any]) -> None:
    done["flips"] += 1
    if name not in _named(url, llm):
        raise Wrong(f"{what}: verify does not name the file")
    done["named"] += 1
    try:
        text = answer(Index.open(url, llm))
    except DamagedIndexError as error:
        if name not in str(error):
            raise Wrong(f"{what}: another file is blamed: {error}") from error
        done["refused"] += 1
        return
    if text != good:
        raise Wrong(f"{what}: answered {text!r} instead of {good!r}")
    done["answered_as_before"] += 1


def _named(url: Path, llm: Any) -> set[str]:
    try:
        return {damage.path for damage in Index.open(url, llm).verify().damaged}
    except DamagedIndexError as error:  # index.json itself
        return set(error.paths)


def main() -> None:
    """Run one of the two and print what was done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("kills", "flips"))
    parser.add_argument("--count", type=int, default=1000, help="kills")
    parser.add_argument("--values", type=int, default=1, help="flips of each byte")
    parser.add_argument("--every", type=int, default=1, help="flip each n-th byte only")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    began = time.monotonic()

    def tell(line: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s: {line}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        try:
            if given.what == "kills":
                done = run_kills(Path(folder), given.count, given.seed, tell)
            else:
                done = run_flips(Path(folder), given.values, given.seed, tell, every=given.every)
        except Wrong as wrong:
            print(json.dumps({"what": given.what, "wrong": str(wrong)}))
            sys.exit(1)
    print(json.dumps({"what": given.what, "seed": given.seed, **done, "seconds": round(time.monotonic() - began)}))


if __name__ == "__main__":
    if os.name == "nt":
        sys.exit("kills and flips need fork servers and SIGKILL")
    main()
