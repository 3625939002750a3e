"""The manuals whose pages are predicted. Nothing is installed.

Run as ``python -m sharedllm_docs.evaluation.tasks.perplexity.data`` to fetch them before going offline.
"""

from __future__ import annotations

import sys

from sharedllm_docs.evaluation.tasks.pdfqa.data import main

MANUALS = ("R-intro.pdf", "R-lang.pdf", "R-data.pdf")
"""One after another about 110K tokens of the default model: a past of 64K, and pages to predict behind it."""

if __name__ == "__main__":
    sys.exit(main())
