"""Ask all files of a folder at once: python ask_a_folder.py FOLDER "question" "another question"."""

import argparse
import sys
from pathlib import Path

from sharedllm_docs import Index, SharedLLMError

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parents[1] / "docs")
parser.add_argument("questions", nargs="*", default=["What happens when a byte of the index is flipped?"])
parser.add_argument("--index", default=".index/ask_a_folder", help="folder of the index (default: %(default)s)")
arguments = parser.parse_args()

try:
    index = Index.open_or_create(arguments.index, report=print)
    for file in sorted(arguments.folder.glob("*.*")):
        try:
            added = index.add(file, replace=True)  # an edited file takes its older state's place
            print(f"{file.name}: {'read' if added.new else 'there already'}, {added.document.pages} pages")
        except SharedLLMError as error:
            print(f"{file.name} is left out: {error}")
    for answer in index.ask_many(arguments.questions):
        print("", answer.question, answer, *answer.citations, sep="\n")
except SharedLLMError as error:
    sys.exit(str(error))
