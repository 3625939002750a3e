"""From a model to its fitted decision: collects answers on development questions and fits on them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sharedllm_docs.errors import SharedLLMError
from sharedllm_docs.evaluation.declining.collect import Case, cases_of, collect
from sharedllm_docs.evaluation.declining.fit import Fit, fit
from sharedllm_docs.evaluation.declining.volumes import Volumes
from sharedllm_docs.evaluation.run_file import RunFile, read_lines
from sharedllm_docs.evaluation.tasks.options import TaskOptions
from sharedllm_docs.evaluation.tasks.own.task import OwnQuestions
from sharedllm_docs.evaluation.tasks.pdfqa.task import PdfQa
from sharedllm_docs.index.weighing import watched_layers
from sharedllm_docs.model.shared_llm import SharedLLM
from sharedllm_docs.retrieval.signs import BEFORE

OF_ANY_MODEL = (*BEFORE, "declined", "in_text", "verbatim", "beside")
MOST_LOST = 0.02
"""Share of answerable questions that the generic decision may decline."""
MADE = Path(__file__).with_name("made") / "questions.jsonl"
"""Questions about made-up reports and manuals, nearly half of them without an answer."""


@dataclass(frozen=True)
class Fitting:
    """What a decision is fitted on, and where the work is kept.

    Attributes:
        out: folder of the collected answers.
        indexes: folder of the indexes; ``out/indexes`` by default.
        squad: number of SQuAD questions (even ids), each asked with and without its paragraph; 0 for none.
        questions: a questions file, in place of ``pdfqa``, SQuAD and the made-up documents.
        files: the documents that it asks about.
        pdf_dirs: folders searched for the manuals of ``pdfqa``.
    """

    out: Path
    indexes: Path | None = None
    squad: int = 100
    questions: Path | None = None
    files: tuple[Path, ...] = ()
    pdf_dirs: tuple[Path, ...] = ()


def fit_model(llm: SharedLLM, fitting: Fitting, report: Callable[[str], None] = lambda _text: None) -> Fit:
    """Collect what is missing, and fit.

    Args:
        llm: the model with the adapter that it will answer with.
        fitting: the data.
        report: called with a sentence for each answer.

    Raises:
        EvaluationError: bad rows, too few of a kind, or answers of another model in the folder.
    """
    cases = _cases(llm, fitting, report)
    header = provenance(llm)
    file = RunFile(fitting.out / "confidence.jsonl", header)
    folder = (fitting.indexes or fitting.out / "indexes") / f"rows-{llm.fingerprint.digest()[:16]}"
    rows = collect(llm, cases, folder, file, report)
    questions = sorted({case.source for case in cases})
    return fit(rows, {**header, "questions": questions}, layers=header["layers"])


def fit_pooled(files: Sequence[Path]) -> Fit:
    """Fit on the collected answers of one or several models for models that have no fit of their own.

    Only words and vectors count, since likelihoods differ from model to model; the threshold is low, and no question is
    declined without asking the model.
    """
    parts = [read_lines(file) for file in files]
    models = sorted({str(part[0].get("model")) for part in parts})
    rows = [row for part in parts for row in part[1:]]
    found = fit(rows, {"models": models}, cheap=OF_ANY_MODEL, costly=(), most_lost=MOST_LOST)
    return replace(found, confidence=replace(found.confidence, early=0.0))


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m sharedllm_docs.evaluation.declining.run FILE.jsonl ... --out FILE.json``; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m sharedllm_docs.evaluation.declining.run", description=main.__doc__)
    parser.add_argument("answers", type=Path, nargs="+", help="confidence.jsonl of fit-confidence, one for each model")
    parser.add_argument("--out", type=Path, required=True, help="the generic decision")
    chosen = parser.parse_args(arguments)
    try:
        fit_pooled(chosen.answers).confidence.save(chosen.out)
    except SharedLLMError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def provenance(llm: SharedLLM) -> dict[str, Any]:
    """What a fit holds for: model, adapter and prompt."""
    return {
        "model": llm.name,
        "adapter": llm.adapter.digest if llm.adapter else None,
        "prompt": llm.template.wording,
        "profile": llm.profile.name,
        "layers": list(watched_layers(llm.upper.num_layers)),
    }


def _cases(llm: SharedLLM, fitting: Fitting, report: Callable[[str], None]) -> list[Case]:
    if fitting.questions is not None:
        return cases_of(OwnQuestions(fitting.questions, fitting.files, report), None)
    folders = (*fitting.pdf_dirs, Path("examples"))
    options = TaskOptions(llm.tokenizer, llm.profile.chunk_tokens, (), folders, report=report)
    made = OwnQuestions(MADE, (), report)
    made.name = "made"  # type: ignore[misc]  # as the constructor does
    cases = [*cases_of(made, None), *cases_of(PdfQa(options), None)]
    if fitting.squad:
        cases += cases_of(Volumes(report=report), fitting.squad, group=Volumes.pair)
    return cases


if __name__ == "__main__":
    sys.exit(main())
