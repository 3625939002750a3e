"""Examples made up from a seed: ``python -m sharedllm_docs.evaluation.tasks.passkey.data --lengths 8K --limit 2``."""

from __future__ import annotations

import sys

from sharedllm_docs.evaluation.tasks.passkey.task import Passkey
from sharedllm_docs.evaluation.tasks.written import write_examples

if __name__ == "__main__":
    sys.exit(write_examples(Passkey))
