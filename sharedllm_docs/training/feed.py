"""The examples of each pass, drawn ahead in a thread while the model computes.

An example depends only on the seed and the numbers of its step, pass, process and place, not on who draws it or when.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from sharedllm_docs.training.config import TrainingConfig
from sharedllm_docs.training.examples import Example
from sharedllm_docs.training.objectives import Source

Place = tuple[int, int]
"""Number of a step, and of a pass in it."""


class Feed:
    """Gives the examples of one process, pass by pass; within its context, passes are drawn ahead.

    Args:
        config: the run's configuration; ``run.prefetch`` passes are drawn ahead.
        source: where examples are drawn from.
        num_layers: number of layers of the base model.
        process: number of this process.
    """

    def __init__(self, config: TrainingConfig, source: Source, *, num_layers: int, process: int = 0) -> None:
        self.config, self.source = config, source
        self.num_layers, self.process = num_layers, process
        self._waiting: dict[Place, Future[list[Example]]] = {}
        self._thread: ThreadPoolExecutor | None = None

    def __enter__(self) -> Feed:
        if self.config.run.prefetch:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="examples")
        return self

    def __exit__(self, *_error: object) -> None:
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)
        self._thread = None
        self._waiting.clear()

    def take(self, step: int, micro: int) -> list[Example]:
        """Examples of a pass, drawn ahead or now; drawing of the next passes begins. Raises what drawing raised."""
        if self._thread is None:
            return self.draw(step, micro)
        for place in islice(self._from(step, micro), 1 + self.config.run.prefetch):
            if place not in self._waiting:
                self._waiting[place] = self._thread.submit(self.draw, *place)
        return self._waiting.pop((step, micro)).result()

    def draw(self, step: int, micro: int) -> list[Example]:
        """Draw the examples of a pass, by their numbers alone."""
        run = self.config.run
        variants = self.config.variants(self.config.stage_at(step))
        group = self.config.objectives.group
        drawn: list[Example] = []
        for index in range(run.batch // group):
            rng = random.Random(f"{run.seed}/{step}/{micro}/{self.process}/{index}")
            profile = rng.choice(variants).resolve(self.num_layers)
            drawn += self.source.draw_group(rng, profile) if group > 1 else [self.source.draw(rng, profile)]
        return drawn

    def _from(self, step: int, micro: int) -> Iterator[Place]:
        """This place and all later ones of the run."""
        run = self.config.run
        for number in range(step * run.accumulation + micro, run.steps * run.accumulation):
            yield divmod(number, run.accumulation)
