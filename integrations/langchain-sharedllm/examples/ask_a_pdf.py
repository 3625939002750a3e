"""Ask a PDF: it is read once into an index folder, the answer streams in, and its pages stand below it.

    python ask_a_pdf.py report.pdf "What was decided?"

Run it again: the file is found in the index by its content and nothing is read.
"""

from __future__ import annotations

import argparse
import sys
import time

from langchain_core.messages import AIMessageChunk
from langchain_sharedllm import SharedLLMIndex

from sharedllm_docs import SharedLLMError


def main() -> None:
    arguments = _arguments()
    begun = time.perf_counter()
    index = SharedLLMIndex(arguments.index)
    name = index.add_file(arguments.pdf)
    print(f"{name} is in {arguments.index} after {time.perf_counter() - begun:.1f} s\n")
    chat = index.as_chat_model(documents=[name], max_tokens=arguments.max_tokens)
    whole = AIMessageChunk(content="")
    for piece in chat.stream(arguments.question):
        print(piece.content, end="", flush=True)
        whole += piece
    print()
    for citation in whole.response_metadata["citations"]:
        print(f'  page {citation["page"]} ({citation["score"]:.2f}): "{citation["quote"]}"')
    print(f"\nfirst token after {whole.response_metadata['timings']['first_token']:.2f} s, {whole.usage_metadata}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pdf", help="any PDF, text, Markdown or HTML file")
    parser.add_argument("question")
    parser.add_argument("--index", default="my-index", help="folder of the index (default: my-index)")
    parser.add_argument("--max-tokens", type=int, default=64)
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except SharedLLMError as error:
        sys.exit(str(error))
