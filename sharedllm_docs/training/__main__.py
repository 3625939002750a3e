"""``python -m sharedllm_docs.training {run,pack,tiny}``: the commands ``train``, ``data pack`` and ``train-tiny``."""

import runpy
import sys

_COMMANDS = {"run": ["train"], "pack": ["data", "pack"], "tiny": ["train-tiny"]}

if __name__ == "__main__":
    sys.argv[1:2] = [word for given in sys.argv[1:2] for word in _COMMANDS.get(given, [given])]
    runpy.run_module("sharedllm_docs", run_name="__main__")
