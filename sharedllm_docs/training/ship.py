"""``python -m sharedllm_docs.training.ship ADAPTER OUT``: an adapter made small, for a package or a colleague.

The copy of a checkpoint's adapter has a narrower dtype, and the question settings that measured best with it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from sharedllm_docs.config import Profile
from sharedllm_docs.errors import SharedLLMError, TrainingError
from sharedllm_docs.model.adapter import Adapter

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def ship(
    source: str | Path,
    out: str | Path,
    *,
    dtype: str = "float16",
    question: Mapping[str, int] | None = None,
    store_dtype: str | None = None,
) -> Adapter:
    """Write an adapter in another dtype.

    Args:
        source: folder of the adapter.
        out: folder to write, another one.
        dtype: dtype of the weights.
        question: question settings that replace the adapter's own.
        store_dtype: dtype of rows in indexes made with it, in place of the profile's; training does not depend on it.

    Raises:
        AdapterError: there is no adapter, or an unknown question setting.
        ConfigError: an unknown ``store_dtype``.
        TrainingError: a weight is too large for the dtype, or ``out`` is ``source``.
    """
    if Path(source).resolve() == Path(out).resolve():
        raise TrainingError(f"{out} is the adapter that is read.", remedy="Give another folder.")
    adapter = Adapter.load(source)
    weights = {name: tensor.to(DTYPES[dtype]) for name, tensor in adapter.weights.items()}
    wide = sorted(name for name, tensor in weights.items() if not torch.isfinite(tensor).all())
    if wide:
        raise TrainingError(f"{wide[0]} exceeds what {dtype} holds.", remedy="Use bfloat16 or float32.")
    stored = {"store_dtype": store_dtype} if store_dtype else {}
    made = replace(
        adapter,
        profile=Profile.from_dict({**adapter.profile.to_dict(), **stored}),
        weights=weights,
        notes=_without_folders(adapter.notes),
        question={**adapter.question, **(question or {})},
    )
    made.save(out)
    return made


def _without_folders(notes: Mapping[str, Any]) -> dict[str, Any]:
    """Notes that say which token files were used, but not where somebody keeps them."""
    training = notes.get("training")
    if not isinstance(training, Mapping):
        return dict(notes)
    # packs: their name in adapters of earlier versions
    named = {key: [Path(file).name for file in training[key]] for key in ("token_files", "packs") if key in training}
    return {**notes, "training": {**training, **named}}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; errors become one line."""
    parser = argparse.ArgumentParser(
        prog="python -m sharedllm_docs.training.ship", description="Make an adapter small."
    )
    parser.add_argument("adapter", type=Path, help="folder of the adapter")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--dtype", choices=sorted(DTYPES), default="float16", help="dtype of the weights (%(default)s)")
    parser.add_argument("--budget", type=int, help="rows injected for a question that sets no budget")
    parser.add_argument("--evidence", type=int, help="tokens of evidence text for a question that sets none")
    parser.add_argument("--store-dtype", help="dtype of rows in indexes (default: the adapter's)")
    chosen = parser.parse_args(arguments)
    wanted = {"budget": chosen.budget, "evidence_tokens": chosen.evidence}
    try:
        made = ship(
            chosen.adapter,
            chosen.out,
            dtype=chosen.dtype,
            question={name: value for name, value in wanted.items() if value is not None},
            store_dtype=chosen.store_dtype,
        )
    except SharedLLMError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    size = sum(file.stat().st_size for file in chosen.out.glob("*.safetensors"))
    print(f"{chosen.out}: {len(made.weights)} weights, {size / 1e6:.1f} MB, digest {made.digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
