"""From a configuration to a running training: loads the base model and the data, then trains."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sharedllm_docs.config import Profile
from sharedllm_docs.errors import ConfigError
from sharedllm_docs.model.shared_llm import SharedLLM
from sharedllm_docs.training.config import TrainingConfig
from sharedllm_docs.training.objectives import PoolSource
from sharedllm_docs.training.token_files import Pool
from sharedllm_docs.training.trainer import Outcome, TrainingBase, train


def start(
    config: TrainingConfig,
    folder: str | Path,
    *,
    device: str = "auto",
    max_minutes: float | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Load the base model and the token files that ``config`` names, and train into ``folder``.

    Raises:
        ConfigError: no token files are named, or a setting does not fit the model.
        DataError: a token file is damaged, or was made with another tokenizer.
        ModelError: the base model cannot be loaded.
        TrainingError, DiskFullError, CheckpointError: as ``train``.
    """
    if not config.token_files:
        raise ConfigError("The configuration names no token files.", remedy="Give [data] token_files = [...].")
    llm = SharedLLM.from_pretrained(
        config.model.name or None, profile=Profile.prefix(), device=device, dtype=config.model.dtype, report=say
    )
    pool = Pool.read(config.token_files, llm.tokenizer)
    # flash attention knows its own causal mask only, not those of ragged batches
    llm.base.model.set_attn_implementation("sdpa")
    source = PoolSource(pool, config.objectives)
    return train(
        config,
        folder,
        base=TrainingBase(llm.base, tuple(llm.start_ids), llm.name),
        source=source,
        max_minutes=max_minutes,
        say=say,
    )
