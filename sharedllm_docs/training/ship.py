"""``python -m sharedllm_docs.training.ship ADAPTER... OUT``: an adapter made small, for a package or a colleague.

The copy of a checkpoint's adapter has a narrower dtype, and the question settings that measured best with it. Of
several checkpoints of one training the copy contains the mean: it often answers better than any of them (Wortsman et
al. 2022, arXiv 2203.05482; docs/log.md, mean of checkpoints).
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
from sharedllm_docs.errors import AdapterError, SharedLLMError, TrainingError
from sharedllm_docs.model.adapter import Adapter

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def ship(
    source: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    dtype: str = "float16",
    question: Mapping[str, int] | None = None,
    store_dtype: str | None = None,
) -> Adapter:
    """Write an adapter in another dtype, or the mean of several.

    Args:
        source: folder of the adapter; or several, of adapters with the same profile and prompt's start, and weights of
            the same names and shapes. What is noted of the training comes from the last one.
        out: folder to write, another one.
        dtype: dtype of the weights.
        question: question settings that replace the adapter's own.
        store_dtype: dtype of rows in indexes made with it, in place of the profile's; training does not depend on it.

    Raises:
        AdapterError: there is no adapter, an unknown question setting, or adapters that do not belong together.
        ConfigError: an unknown ``store_dtype``.
        TrainingError: a weight is too large for the dtype, or ``out`` is a ``source``.
    """
    folders = [Path(one) for one in ([source] if isinstance(source, (str, Path)) else source)]
    if Path(out).resolve() in [folder.resolve() for folder in folders]:
        raise TrainingError(f"{out} is an adapter that is read.", remedy="Give another folder.")
    adapter = mean([Adapter.load(folder) for folder in folders])
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


def mean(adapters: Sequence[Adapter]) -> Adapter:
    """The mean of adapters' weights, computed in float32, with everything else of the last one.

    Of low-rank changes B A the factors are averaged, not their products: that keeps the rank, and is near the mean of
    the products where the adapters descend from one another.

    Raises:
        AdapterError: none are given, or two differ in profile, prompt's start, or names and shapes of weights.
    """
    if not adapters:
        raise AdapterError("No adapter is given.", remedy="Name one or several.")
    last = adapters[-1]
    for number, one in enumerate(adapters, start=1):
        differing = [name for name, a, b in _sides(one, last) if a != b]
        if differing:
            raise AdapterError(
                f"Adapter {number} of {len(adapters)} has another {differing[0]} than the last one.",
                remedy="Take the mean of checkpoints of one training only.",
            )
    if len(adapters) == 1:
        return last
    totals = {
        name: torch.stack([one.weights[name].float() for one in adapters]).mean(dim=0).to(tensor.dtype)
        for name, tensor in last.weights.items()
    }
    return replace(last, weights=totals, notes={**last.notes, "mean_of": len(adapters)})


def _sides(one: Adapter, other: Adapter) -> list[tuple[str, object, object]]:
    """What two adapters must have in common: its name, and how either has it."""

    def shapes(adapter: Adapter) -> dict[str, tuple[int, ...]]:
        return {name: tuple(tensor.shape) for name, tensor in adapter.weights.items()}

    return [
        ("profile", one.profile, other.profile),
        ("prompt's start", one.prompt_start, other.prompt_start),
        ("set of weights", shapes(one), shapes(other)),
    ]


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
    parser.add_argument("adapter", type=Path, nargs="+", help="folder of the adapter; of several, their mean is taken")
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
