"""Ask a PDF: python ask_a_pdf.py FILE.pdf "What does it say?". Asked again, nothing is read: the index has the file."""

import argparse
import sys
from pathlib import Path

from sharedllm_docs import Index, SharedLLMError

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument(
    "file", nargs="?", default=Path(__file__).with_name("R-intro.pdf"), help="PDF, text, Markdown or HTML"
)
parser.add_argument("question", nargs="?", default="Which function draws a histogram?")
parser.add_argument("--index", default=".index/ask_a_pdf", help="folder of the index (default: %(default)s)")
arguments = parser.parse_args()

try:
    index = Index.open_or_create(arguments.index, report=print)
    name = index.add(arguments.file).document.name
    stream = index.stream(arguments.question, documents=[name])
    for piece in stream:
        print(piece, end="", flush=True)
    print("", *stream.result.citations, sep="\n")
except SharedLLMError as error:
    sys.exit(str(error))
