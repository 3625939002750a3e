"""Where the text of synthetic documents and continuations comes from. In: options. Out: text, and what it is called."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Sequence
from pathlib import Path

from sharedllm_docs.errors import EvaluationError
from sharedllm_docs.evaluation.tasks.options import TaskOptions
from sharedllm_docs.evaluation.tasks.pdfqa.data import find_pdf
from sharedllm_docs.model.digests import file_sha256

ROWS = ".jsonl.gz"
HELD_OUT = "test"
"""The split of the training data that is never trained on."""


def real_text(options: TaskOptions, manuals: Sequence[str] = ("R-intro.pdf",)) -> str:
    """Text of the files given, or of these manuals, one after another.

    Files of the training data (``*.jsonl.gz``) give the texts of their test split.

    Raises:
        DocumentError: a file cannot be read.
        EvaluationError: a manual is wanted and cannot be had, or a file of training data holds no test split.
    """
    from sharedllm_docs.documents.readers import read_document

    files = options.texts or tuple(find_pdf(name, options.pdf_dirs, options.report) for name in manuals)
    return "\n".join(held_out(file) if file.name.endswith(ROWS) else read_document(file).text for file in files)


def names_of(options: TaskOptions, manuals: Sequence[str] = ()) -> list[str]:
    """What the texts are, for the header of a run: another text is another measurement."""
    return [f"{file.name} {file_sha256(file)[:16]}" for file in options.texts if file.is_file()] or list(manuals)


def held_out(path: Path) -> str:
    """The texts of a file of training data that are kept from training.

    Raises:
        EvaluationError: it is no such file, or holds none.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        texts = [str(row["text"]) for row in rows if row["split"] == HELD_OUT]
    except (OSError, EOFError, ValueError, KeyError, TypeError, zlib.error) as error:
        raise EvaluationError(
            f"{path} holds no rows of long text: {error}.",
            remedy="Give long/*.jsonl.gz of a data build, or a document.",
        ) from error
    if not texts:
        raise EvaluationError(f"{path} holds no text of the split {HELD_OUT!r}.", remedy="Give another file.")
    return "\n\n".join(texts)
