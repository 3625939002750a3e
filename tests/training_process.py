"""One step of a tiny model on four given examples, by one process or shared by several: ``OUT BATCH``."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

from sharedllm_docs.training.objectives import PoolSource
from sharedllm_docs.training.trainer import train
from tests.training_helpers import tiny_config, tiny_pool, tiny_training_base


class Numbered:
    """Gives the examples of this process in turn: process 1 of two goes on where process 0 ends."""

    def __init__(self, source: PoolSource, batch: int) -> None:
        self.source, self.digest = source, source.digest
        self.next = batch * int(os.environ.get("RANK", "0"))

    def draw(self, _rng: random.Random, profile):
        self.next += 1
        return self.source.draw(random.Random(self.next), profile)

    def probe(self, rng: random.Random, profile):
        return self.source.probe(rng, profile)


if __name__ == "__main__":
    out, batch = Path(sys.argv[1]), int(sys.argv[2])
    run = {"steps": 1, "batch": batch, "probe_every": 0, "log_every": 1}
    config = tiny_config(stages=[{}], run=run, trained={"dropout": 0.0})
    pool = tiny_pool(out / f"packs-{os.environ.get('RANK', '0')}")
    source = Numbered(PoolSource(pool, config.objectives), batch)
    train(config, out, base=tiny_training_base(), source=source, tensorboard=False)
