"""From a configuration to a running training: base model, data, loop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sharedllm_docs.config import Profile
from sharedllm_docs.errors import ConfigError
from sharedllm_docs.model.shared_llm import SharedLLM
from sharedllm_docs.model.zoo import DEFAULT_MODEL, EMBEDDED, ensure
from sharedllm_docs.training.config import TrainingConfig
from sharedllm_docs.training.loop import Outcome, TrainingBase, train
from sharedllm_docs.training.objectives import PackSource
from sharedllm_docs.training.packs import Pool


def start(
    config: TrainingConfig,
    folder: str | Path,
    *,
    device: str = "auto",
    max_minutes: float | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Load the base model and the packs that ``config`` names, and train into ``folder``.

    Raises:
        ConfigError: no packs are named, or a setting does not fit the model.
        DataError: a pack is damaged or of another tokenizer.
        ModelError: the base model cannot be loaded.
        TrainingError, DiskFullError, CheckpointError: as ``train``.
    """
    if not config.packs:
        raise ConfigError("The configuration names no packs.", remedy="Give [data] packs = [...].")
    llm = SharedLLM.from_pretrained(
        config.model.name or None, profile=Profile.prefix(), device=device, dtype=config.model.dtype, report=say
    )
    pool = Pool.read(config.packs, llm.tokenizer)
    # masks of ragged batches are more than flash attention's own causal one
    llm.base.model.set_attn_implementation("sdpa")
    source = PackSource(pool, config.objectives)
    return train(
        config,
        folder,
        base=TrainingBase(llm.base, tuple(llm.start_ids), llm.name),
        source=source,
        max_minutes=max_minutes,
        say=say,
    )


def load_tokenizer(name: str | None) -> Any:
    """The tokenizer of a base model; None for the embedded default.

    Raises:
        ModelUnavailableError: it can be neither found nor fetched.
    """
    from transformers import AutoTokenizer

    from sharedllm_docs.errors import ModelUnavailableError

    embedded = DEFAULT_MODEL if name is None else EMBEDDED.get(name)
    place = str(ensure(embedded)) if embedded else name
    try:
        return AutoTokenizer.from_pretrained(place)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelUnavailableError(
            f"The tokenizer of {name!r} could not be loaded: {reason}.", remedy="Give a model's folder or hub name."
        ) from error
