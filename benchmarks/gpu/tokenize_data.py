"""Token files for the training runs: ``text.npz`` and ``questions.npz`` from a data build, small enough to carry.

``python benchmarks/gpu/tokenize_data.py DATA --out tokens``; DATA is the folder that the data build wrote.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from sharedllm_docs.errors import ConfigError, SharedLLMError
from sharedllm_docs.training.token_files import load_tokenizer, rows_of, write_token_file

PARTS = {"text": ("long",), "questions": ("questions", "generated")}


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    top = argparse.ArgumentParser(description="Tokenize the training data into two compressed files.")
    top.add_argument("data", type=Path, help="folder of the data build")
    top.add_argument(
        "--out", type=Path, default=Path("tokens"), help="folder of the token files (default: %(default)s)"
    )
    top.add_argument("--model", default=None, help="base model: folder or hub name (default: the embedded one)")
    top.add_argument(
        "--text-tokens", type=int, default=12_000_000, help="tokens of long text, about (default: %(default)s)"
    )
    top.add_argument(
        "--question-tokens", type=int, default=24_000_000, help="tokens of questions, about (default: %(default)s)"
    )
    top.add_argument(
        "--max-context", type=int, default=512, help="leave out questions over longer contexts (default: %(default)s)"
    )
    top.add_argument("--include-non-commercial", action="store_true", help="also take what allows no commercial use")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Tokenize; returns the exit status."""
    chosen = parser().parse_args(arguments)
    limits = {"text": chosen.text_tokens, "questions": chosen.question_tokens}
    try:
        tokenizer = load_tokenizer(chosen.model)
        for name, folders in PARTS.items():
            files = sorted(path for folder in folders for path in (chosen.data / folder).glob("*.jsonl.gz"))
            if not files:
                raise ConfigError(f"{chosen.data} holds no files of {name}.", remedy="Build the data first.")
            out = chosen.out / f"{name}.npz"
            write_token_file(
                rows_of(files, "train"),
                tokenizer,
                out,
                max_tokens=limits[name],
                max_context=chosen.max_context,
                include_non_commercial=chosen.include_non_commercial,
                say=print,
            )
    except SharedLLMError as failed:
        print(f"error: {failed}", file=sys.stderr)
        return failed.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
