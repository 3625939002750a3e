"""``python -m sharedllm_docs_data build ...`` is the command ``sharedllm-docs data build ...``."""

import runpy
import sys

if __name__ == "__main__":
    sys.argv.insert(1, "data")
    runpy.run_module("sharedllm_docs", run_name="__main__")
