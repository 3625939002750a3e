"""Measures whether an adapter reads: loss of held-out questions over the right chunks, another's, and none."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import torch

from sharedllm_docs.training.config import TrainingConfig
from sharedllm_docs.training.examples import Example
from sharedllm_docs.training.objectives import Source
from sharedllm_docs.training.trainee import Losses, Trainee


class Probe:
    """Measures a trainee.

    Args:
        config: the run's configuration.
        source: gives the held-out questions, always the same ones.
        trainee: the model to measure, without its dropout.
        model: the trainee as it is called on this device.
    """

    def __init__(
        self,
        config: TrainingConfig,
        source: Source,
        trainee: Trainee,
        model: Callable[[Sequence[Example]], Losses],
    ) -> None:
        self.config, self.source, self.trainee, self.model = config, source, trainee, model

    @torch.no_grad()
    def measure(self, step: int) -> dict[str, float]:
        """Losses with ``right``, ``wrong`` and no (``none``) chunks, in the layers and first grains of ``step``."""
        variants = self.config.variants(self.config.stage_at(step))
        profile = variants[0].resolve(self.trainee.num_layers)
        count = self.config.run.probe_examples
        right = [self.source.probe(random.Random(f"probe/{i}"), profile) for i in range(count)]
        wrong = [one.with_rows_of(right[index - 1]) for index, one in enumerate(right)]
        self.trainee.eval()
        groups = {"right": right, "wrong": wrong, "none": [one.without_rows() for one in right]}
        return {name: self._mean_loss(examples) for name, examples in groups.items()}

    def _mean_loss(self, examples: Sequence[Example]) -> float:
        size = self.config.run.batch
        parts = [self.model(examples[i : i + size]).by_example for i in range(0, len(examples), size)]
        return float(torch.cat(parts).mean())
