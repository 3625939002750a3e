"""Reads documents with several processes: each encodes a range of chunks, then one commits the document.

With a pool of processes on one machine:

    python examples/distributed/workers.py all INDEX FILE... --workers 4

By a shell loop; any queue that runs commands on any number of machines will do as well:

    n=$(python examples/distributed/workers.py count INDEX FILE)
    for first in $(seq 0 8 $((n - 1))); do
      python examples/distributed/workers.py encode INDEX FILE $first $((first + 8 < n ? first + 8 : n)) &
    done
    wait
    python examples/distributed/workers.py commit INDEX FILE

A command that failed, or is not known to have ended, is simply run again. The index must be there already: make it with
``Index.open_or_create(INDEX)``.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Sequence

from sharedllm_docs import Index
from sharedllm_docs.distributed import EncodedChunks, commit_document, count_chunks, encode_chunks

index: Index  # of this process: the model is loaded once in each


def start(url: str) -> None:
    """Open the index in a new process."""
    global index
    index = Index.open(url)


def encode(work: tuple[str, tuple[int, int]]) -> EncodedChunks:
    """Encode a range of chunks of a file."""
    return encode_chunks(work[0], index, work[1])


def ranges(count: int, size: int) -> list[tuple[int, int]]:
    """The ranges that ``count`` chunks are divided into."""
    return [(first, min(first + size, count)) for first in range(0, count, size)]


def all_files(url: str, files: Sequence[str], workers: int, size: int) -> None:
    """Encode each file with a pool of processes, then commit it."""
    start(url)
    with multiprocessing.get_context("spawn").Pool(workers, start, (url,)) as pool:
        for file in files:
            works = [(file, part) for part in ranges(count_chunks(file, index), size)]
            added = commit_document(file, index, pool.map(encode, works, chunksize=1))
            print(f"{added.document.name}: {added.document.chunks} chunks, {added.document.tokens} tokens")


def main() -> None:
    """Run one of the commands above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("count", "encode", "commit", "all"):
        command = commands.add_parser(name)
        command.add_argument("index")
        command.add_argument("files", nargs="+" if name == "all" else 1, metavar="FILE")
        if name == "encode":
            command.add_argument("first", type=int)
            command.add_argument("end", type=int)
        if name == "all":
            command.add_argument("--workers", type=int, default=2)
            command.add_argument("--size", type=int, default=8, help="chunks of one piece of work")
    given = parser.parse_args()
    if given.command == "all":
        all_files(given.index, given.files, given.workers, given.size)
        return
    start(given.index)
    if given.command == "count":
        print(count_chunks(given.files[0], index))
    elif given.command == "encode":
        encode((given.files[0], (given.first, given.end)))
    else:
        print(commit_document(given.files[0], index).document.name)


if __name__ == "__main__":
    main()
