"""``fit-confidence``: fits the decision between an answer and "The document does not say." for a model."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from sharedllm_docs.cli.evaluate_command import AnsweringModelOptions
from sharedllm_docs.cli.failures import resumable
from sharedllm_docs.cli.options import NAME, ComputeOptions, OutputOptions, flattened, option
from sharedllm_docs.cli.screen import Screen, opened
from sharedllm_docs.errors import ConfigError

if TYPE_CHECKING:
    from sharedllm_docs.evaluation.declining.fit import Fit


@dataclass(frozen=True)
class FittingOptions:
    """What the decision is fitted on; the fields are those of the evaluation's ``Fitting``."""

    questions: Annotated[
        Path | None,
        option("--questions", "FILE", "Your own questions (as for evaluate), some of them without an answer.", "pdfqa"),
    ] = None
    files: Annotated[list[Path] | None, option("--files", "FILE", "Documents of these questions; may be repeated.")] = (
        None
    )
    squad: Annotated[int, option("--squad", "N", "Number of SQuAD questions, asked with and without their text.")] = 100
    pdf_dirs: Annotated[
        list[Path] | None, option("--pdf-dir", "DIR", "Folder with the manuals of pdfqa; may be repeated.")
    ] = None
    out: Annotated[Path, option("--out", "DIR", "Folder for the answers and the result, confidence.json.")] = Path(
        "confidence"
    )
    indexes: Annotated[
        Path | None, option("--indexes", "DIR", "Where encoded documents are kept for the next time.", "DIR/indexes")
    ] = None

    def keywords(self) -> dict[str, Any]:
        """Fields of ``Fitting``.

        Raises:
            ConfigError: ``--files`` without ``--questions``, or a negative ``--squad``.
        """
        if self.files and self.questions is None:
            raise ConfigError("--files are documents of --questions.", remedy="Add --questions, or leave out --files.")
        if self.squad < 0:
            raise ConfigError(f"--squad is {self.squad}, below 0.", remedy="Give 0 for none.")
        return {**vars(self), "files": tuple(self.files or ()), "pdf_dirs": tuple(self.pdf_dirs or ())}


@flattened
def fit_confidence(
    fitting: FittingOptions,
    model: AnsweringModelOptions,
    compute: ComputeOptions,
    output: OutputOptions,
) -> None:
    """Fit the decision between a model's answer and "The document does not say.".

    The model answers questions with and without an answer, and answerable ones again with their pages hidden. Then a
    small logistic regression is fitted on signs of each answer, with one threshold. The result is DIR/confidence.json,
    for --confidence of ask and chat, and confidence= in Python. With matplotlib, a risk-coverage curve is drawn too.

    Every answer is kept in DIR, so the same command continues where it was stopped. With the default questions it takes
    half an hour or more on a CPU.
    """
    with opened(output) as screen, resumable(f"the answers so far are kept in {fitting.out}"):
        from sharedllm_docs.evaluation.declining.plot import draw
        from sharedllm_docs.evaluation.declining.run import Fitting, fit_model
        from sharedllm_docs.evaluation.plots import can_plot
        from sharedllm_docs.model.shared_llm import SharedLLM

        settings = Fitting(**fitting.keywords())
        llm = SharedLLM.from_pretrained(
            model.name, adapter=model.adapter, device=compute.device, dtype=compute.dtype, report=screen.note
        )
        found = fit_model(llm, settings, screen.note)
        path = settings.out / "confidence.json"
        found.confidence.save(path)
        if can_plot():
            draw(found, f"{llm.name}: declining on held-out questions", settings.out / "risk-coverage.png")
        _tell(screen, path, found)


def _tell(screen: Screen, path: Path, found: Fit) -> None:
    held = {"declining": asdict(found.declining), "own words": asdict(found.own)}
    if screen.json:
        screen.emit({"file": str(path), **held, "curve": [asdict(one) for one in found.curve]})
        return
    screen.print("On questions as they were written, each judged by a fit on other texts, as if 4 in 5 had an answer:")
    for name, one in (("the model's own words", found.own), ("fitted", found.declining)):
        screen.print(
            f"  {name}: declining precision {one.precision:.2f}, recall {one.recall:.2f}; "
            f"answers {one.answered:.0%}, of which wrong {one.risk:.0%}"
        )
    screen.print(f"Threshold {found.confidence.threshold:.2f}. To use it:")
    screen.print(f"  {NAME} ask QUESTION --confidence {shlex.quote(str(path))}")
