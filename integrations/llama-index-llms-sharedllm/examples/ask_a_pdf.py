"""Ask a PDF. The first run reads it; every later one finds it read.

python ask_a_pdf.py FILE.pdf "What does it say?" [--index FOLDER] [--stream]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from sharedllm_docs import Index

from llama_index.llms.sharedllm import SharedLLMIndex


def main() -> None:
    """Read the file unless it is read already, ask, print answer and pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("question")
    parser.add_argument("--index", default=str(Path(tempfile.gettempdir()) / "sharedllm-index"), help="index folder")
    parser.add_argument("--stream", action="store_true", help="print the answer as it comes")
    arguments = parser.parse_args()

    begun = time.perf_counter()
    index = SharedLLMIndex(Index.open_or_create(arguments.index, report=print))
    name = index.insert_file(arguments.file)
    print(f"{name} is in the index after {time.perf_counter() - begun:.1f} s.")

    engine = index.as_query_engine(streaming=arguments.stream, similarity_top_k=3, ref_doc_ids=[name])
    response = engine.query(arguments.question)
    if arguments.stream:
        response.print_response_stream()
        print()
    else:
        print(response)
    for source in response.source_nodes:
        print(f"  page {source.metadata['page']} ({source.score:.2f}): {source.metadata['quote']}")


if __name__ == "__main__":
    main()
