"""Examples made up from a seed: ``python -m sharedllm_docs.evaluation.tasks.needles.data --lengths 8K --limit 2``."""

from __future__ import annotations

import sys

from sharedllm_docs.evaluation.tasks.needles.task import Needles
from sharedllm_docs.evaluation.tasks.written import write_examples

if __name__ == "__main__":
    sys.exit(write_examples(Needles))
