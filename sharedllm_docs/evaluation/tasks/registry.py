"""Tasks by name."""

from __future__ import annotations

from collections.abc import Callable

from sharedllm_docs.errors import EvaluationError
from sharedllm_docs.evaluation.tasks.base import Task
from sharedllm_docs.evaluation.tasks.needles.task import Needles
from sharedllm_docs.evaluation.tasks.options import TaskOptions
from sharedllm_docs.evaluation.tasks.own.rows import SUFFIXES
from sharedllm_docs.evaluation.tasks.passkey.task import Passkey
from sharedllm_docs.evaluation.tasks.pdfqa.task import PdfQa
from sharedllm_docs.evaluation.tasks.perplexity.task import Perplexity
from sharedllm_docs.evaluation.tasks.squad_haystack.task import SquadHaystack

TASKS: dict[str, Callable[[TaskOptions], Task]] = {
    "pdfqa": PdfQa,
    "squad-haystack": SquadHaystack,
    "passkey": Passkey,
    "needles": Needles,
    "perplexity": Perplexity,
}
QUESTION_TASKS = tuple(name for name in TASKS if name != "perplexity")
"""Tasks whose examples are questions with answers."""


def check_task(name: str) -> None:
    """Raise EvaluationError if no task has this name."""
    if name not in TASKS:
        raise EvaluationError(
            f"Task {name!r} is unknown (known: {', '.join(TASKS)}), and no questions file ({', '.join(SUFFIXES)}).",
            remedy="Name a task, or first of all a file of your own questions: questions.jsonl --files manual.pdf.",
        )


def make_task(name: str, options: TaskOptions) -> Task:
    """The task of a name.

    Raises:
        EvaluationError: there is none, or its options make no sense.
    """
    check_task(name)
    return TASKS[name](options)
