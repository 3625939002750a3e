"""A tiny base, token files of made-up data, and a small configuration for tests of training."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import torch

from sharedllm_docs.architectures.registry import architecture_for
from sharedllm_docs.training.config import TrainingConfig
from sharedllm_docs.training.dataset import QuestionRow, TextRow
from sharedllm_docs.training.token_files import Pool, write_token_file
from sharedllm_docs.training.trainer import TrainingBase
from tests.tiny_text import tiny_base, tiny_tokenizer

WORDS = re.findall(r"\w+", "stone river garden letter morning window winter captain bridge market silver candle shadow")
JOINT = {"fusion": "joint", "front": "prompt", "positions": "token"}
SHAPE = {"chunk_tokens": 64, "depth": 2, "grains": [2, 1], "layers": [1, 3], "store_dtype": "float32"}


def sentence(rng: random.Random, words: int) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(words)).capitalize() + "."


def text_rows(count: int = 6) -> list[TextRow]:
    made = []
    for number in range(count):
        rng = random.Random(f"text {number}")
        text = "\n\n".join(sentence(rng, 12) for _ in range(8))
        made.append(TextRow(f"made:{number}", "made", "group", f"Text {number}", text, "train"))
    return made


def question_rows(count: int = 250) -> list[QuestionRow]:
    made = []
    for number in range(count):
        rng = random.Random(f"question {number}")
        answer = f"{rng.choice(WORDS)}{number}"
        context = f"{sentence(rng, 5)} The key is {answer}. {sentence(rng, 4)}"
        name = f"q{number}"
        made.append(
            QuestionRow(name, "key", "made", name, context, "What is the key?", answer, (answer,), "key.0", "train")
        )
    return made


def tiny_token_file(path: Path, rows: list[Any] | None = None, **options: Any) -> Path:
    return write_token_file(
        rows if rows is not None else [*text_rows(), *question_rows()], tiny_tokenizer(), path, **options
    )


def tiny_pool(folder: Path) -> Pool:
    tiny_token_file(folder / "tiny.npz")
    return Pool.read([str(folder / "*.npz")], tiny_tokenizer())


def tiny_config(fusion: dict[str, Any] | None = None, **tables: Any) -> TrainingConfig:
    """Six steps of two examples, in two stages."""
    settings: dict[str, Any] = {
        "profile": SHAPE | (JOINT if fusion is None else fusion),
        "run": {"steps": 6, "batch": 2, "log_every": 2, "save_every": 2, "probe_every": 3, "probe_examples": 4},
        "trained": {"upper_rank": 2, "lower_rank": 2, "dropout": 0.1, "gate_init": 0.1},
        "objectives": {"target_tokens": 12},
        "stages": [{"until": 0.5, "layers": [1, 4], "grains": [[0, 1], [2, 1]]}, {}],
    }
    for name, table in tables.items():
        settings[name] = {**settings.get(name, {}), **table} if isinstance(table, dict) else table
    return TrainingConfig.from_dict(settings)


def tiny_training_base(**changes: Any) -> TrainingBase:
    from sharedllm_docs.model.prompt import PromptTemplate

    torch.set_num_threads(1)
    tokenizer = tiny_tokenizer()
    start = PromptTemplate.of(tokenizer).start_ids(tokenizer)
    return TrainingBase(architecture_for(tiny_base(**changes)), start[:6], "tiny")
