"""Ask with a model of your own: python own_model.py Qwen/Qwen3-0.6B FILE "question". A folder will do for the name."""

import argparse
import sys
from pathlib import Path

from sharedllm_docs import Index, SharedLLM, SharedLLMError

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("model", help="folder or hub name of a Llama, Mistral, Qwen2 or Qwen3 model")
parser.add_argument("file", nargs="?", default=Path(__file__).with_name("R-intro.pdf"))
parser.add_argument("question", nargs="?", default="Which function draws a histogram?")
parser.add_argument("--index", help="folder of the index (default: one for each model, below .index)")
arguments = parser.parse_args()

try:
    llm = SharedLLM.from_pretrained(arguments.model, report=print)
    print(f"{llm.name}: {llm.dtype} on {llm.device}, a window of {llm.window} tokens")
    index = Index.open_or_create(arguments.index or f".index/{Path(arguments.model).name}", llm)
    index.add(arguments.file)
    answer = index.ask(arguments.question)
    print(answer, *answer.citations, sep="\n")
except SharedLLMError as error:
    sys.exit(str(error))
