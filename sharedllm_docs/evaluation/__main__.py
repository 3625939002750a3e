"""``python -m sharedllm_docs.evaluation TASK ...`` is the command ``sharedllm-docs evaluate TASK ...``."""

import runpy
import sys

if __name__ == "__main__":
    sys.argv.insert(1, "evaluate")
    runpy.run_module("sharedllm_docs", run_name="__main__")
