"""How often the cited pages contain the evidence: `python benchmarks/page_hits.py --pdf-dir DIR`.

Selection and citation only, no answers are generated. DIR holds R-lang.pdf and R-data.pdf (Debian package r-doc-pdf);
R-intro.pdf is taken from examples/. Without them only the questions about R-intro are asked.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from sharedllm_docs import Index, RetrievalConfig
from sharedllm_docs.evaluation.metrics import page_hit
from sharedllm_docs.evaluation.tasks.pdfqa import load_questions
from sharedllm_docs.retrieval.cite import cite

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pdf-dir", type=Path, default=EXAMPLES)
    parser.add_argument("--budget", type=int, nargs="+", default=[512, 1024])
    parser.add_argument("--selector", default="embedding")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        index = Index.open_or_create(folder)
        names = set()
        for pdf in (EXAMPLES / "R-intro.pdf", arguments.pdf_dir / "R-lang.pdf", arguments.pdf_dir / "R-data.pdf"):
            if pdf.is_file():
                names.add(index.add(pdf).document.name)
        questions = [q for q in load_questions() if q.page_groups and q.document in names]
        for budget in arguments.budget:
            settings = RetrievalConfig(budget=budget, selector=arguments.selector)
            hits: dict[int, list[float]] = {1: [], 5: []}
            for question in questions:
                selection = index.select(question.question, documents=[question.document], retrieval=settings)
                pages = list(dict.fromkeys(c.page for c in cite(selection, question.question, "", 50)))
                for k, values in hits.items():
                    values.append(page_hit(pages, question.page_groups, k))
            shares = ", ".join(f"at {k}: {sum(values) / len(values):.3f}" for k, values in hits.items())
            print(f"{len(questions)} questions, budget {budget}, {arguments.selector}: page hit {shares}")


if __name__ == "__main__":
    main()
