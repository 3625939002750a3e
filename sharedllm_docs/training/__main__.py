"""``python -m sharedllm_docs.training {run,pack,tiny}``: training from the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from sharedllm_docs.errors import ConfigError, SharedLLMError


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    top = argparse.ArgumentParser(prog="python -m sharedllm_docs.training", description="Train adapters.")
    commands = top.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="train, or go on with a run that was stopped")
    run.add_argument("config", type=Path, help="TOML file")
    run.add_argument("--out", type=Path, required=True, help="folder for checkpoints and logs")
    run.add_argument("--max-minutes", type=float, default=None, help="stop with a checkpoint after so many minutes")
    run.add_argument("--steps", type=int, default=None, help="optimiser steps, instead of the configuration's")
    pack = commands.add_parser("pack", help="tokenize rows of the data build into one compressed file")
    pack.add_argument("rows", type=Path, nargs="+", help="files of the data build (*.jsonl.gz)")
    pack.add_argument("--out", type=Path, required=True, help="file to write (.npz)")
    pack.add_argument("--model", default=None, help="base model: folder or hub name (default: the embedded one)")
    pack.add_argument("--split", default="train", help="rows of this split (default: %(default)s)")
    pack.add_argument("--max-tokens", type=int, default=None, help="about so many tokens at most, shared by the files")
    pack.add_argument("--max-context", type=int, default=1024, help="leave out questions over longer contexts")
    tiny = commands.add_parser("tiny", help="a tiny random model learns passkey retrieval")
    tiny.add_argument("--out", type=Path, default=None, help="folder of the run (default: a temporary one)")
    tiny.add_argument(
        "--max-minutes", type=float, default=4.5, help="stop after so many minutes (default: %(default)s)"
    )
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    chosen = parser().parse_args(arguments)
    try:
        {"run": _run, "pack": _pack, "tiny": _tiny}[chosen.command](chosen)
    except SharedLLMError as failed:
        print(f"error: {failed}", file=sys.stderr)
        return failed.exit_code
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _run(chosen: argparse.Namespace) -> None:
    from sharedllm_docs.training.config import TrainingConfig
    from sharedllm_docs.training.start import start

    config = TrainingConfig.read(chosen.config)
    if chosen.steps is not None:
        config = replace(config, run=replace(config.run, steps=chosen.steps))
    outcome = start(config, chosen.out, max_minutes=chosen.max_minutes, say=_say)
    state = "finished" if outcome.finished else "stopped"
    print(f"{state} after step {outcome.step}; adapter: {outcome.adapter}")


def _pack(chosen: argparse.Namespace) -> None:
    from sharedllm_docs.training.packs import pack, rows_of
    from sharedllm_docs.training.start import load_tokenizer

    missing = [str(path) for path in chosen.rows if not path.is_file()]
    if missing:
        raise ConfigError(f"There is no file {missing[0]}.", remedy="Give files that the data build wrote.")
    tokenizer = load_tokenizer(chosen.model)
    pack(
        rows_of(chosen.rows, chosen.split),
        tokenizer,
        chosen.out,
        max_tokens=chosen.max_tokens,
        max_context=chosen.max_context,
        say=print,
    )


def _tiny(chosen: argparse.Namespace) -> None:
    import tempfile

    from sharedllm_docs.training.passkey import train_tiny

    def folders() -> Iterator[Path]:
        if chosen.out is not None:
            yield chosen.out
            return
        with tempfile.TemporaryDirectory() as made:
            yield Path(made)

    for folder in folders():
        result = train_tiny(folder, max_minutes=chosen.max_minutes, say=_say)
        print(f"without injected rows: {result.closed_book:.3f}")
        print(f"passkey accuracy: {result.accuracy:.3f}")


if __name__ == "__main__":
    sys.exit(main())
