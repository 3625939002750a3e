"""From names to a running evaluation: model, adapter, task, systems, run."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sharedllm_docs.evaluation.ablations import ablation
from sharedllm_docs.evaluation.run import Outcome, Settings, evaluate
from sharedllm_docs.evaluation.systems.spec import parse_systems
from sharedllm_docs.evaluation.tasks.options import TaskOptions, parse_lengths
from sharedllm_docs.evaluation.tasks.registry import make_task
from sharedllm_docs.model.loading import load_adapter
from sharedllm_docs.model.shared_llm import SharedLLM
from sharedllm_docs.model.zoo import DEFAULT_MODEL, EMBEDDED

PDF_DIR_VARIABLE = "SHAREDLLM_DOCS_PDF_DIR"
DEFAULT_SYSTEMS = "closed_book,first_8k,full_prefill,rag,rag-tuned,prefix,prefix+evidence"
WITH_ADAPTER = ",sharedllm,sharedllm+evidence"
_EXAMPLES = Path("examples")


@dataclass(frozen=True)
class Request:
    """What is to be measured.

    Attributes:
        task: its name.
        systems: specifications, separated by commas; None for the usual ones, with an adapter ``sharedllm`` among them.
        ablation: name of an ablation of ``of`` in place of ``systems``.
        of: ``prefix`` or ``sharedllm``.
        lengths: of the documents, as ``1K,8K``; "" for the task's own.
        texts: files that fill synthetic documents.
        pdf_dirs: folders searched for a task's PDFs, before the one that ``SHAREDLLM_DOCS_PDF_DIR`` names and
            ``examples``.
    """

    task: str
    systems: str | None = None
    ablation: str | None = None
    of: str = "prefix"
    lengths: str = ""
    texts: tuple[Path, ...] = ()
    pdf_dirs: tuple[Path, ...] = ()


@dataclass(frozen=True)
class ModelRequest:
    """What answers.

    Attributes:
        name: name or folder of the base model; None for the embedded default.
        adapter: folder of an adapter, or the name of one that comes with the package, for ``sharedllm``; ``auto`` for
            the embedded model's own, ``none`` for none.
        device, dtype: as of ``SharedLLM.from_pretrained``.
    """

    name: str | None = None
    adapter: str = "auto"
    device: str = "auto"
    dtype: str = "auto"


def start(
    request: Request, model: ModelRequest, settings: Settings, *, report: Callable[[str], None] = lambda _text: None
) -> Outcome:
    """Load what is asked for and measure it.

    Raises:
        EvaluationError: an unknown task, system, ablation or length, or rows of other settings in the folder.
        AdapterError: ``sharedllm`` without an adapter, or one that does not fit.
        ModelError: the base model cannot be loaded.
    """
    embedded = DEFAULT_MODEL if model.name is None else EMBEDDED.get(model.name)
    adapter = load_adapter(model.adapter, embedded.name if embedded else "", None)
    usual = DEFAULT_SYSTEMS + (WITH_ADAPTER if adapter else "")
    specs, lengths = parse_systems(request.systems or usual), parse_lengths(request.lengths)
    llm = SharedLLM.from_pretrained(model.name, profile="prefix", device=model.device, dtype=model.dtype, report=report)
    if request.ablation:
        specs = ablation(request.ablation, request.of, llm.upper.num_layers)
    folders = (*request.pdf_dirs, *_usual_folders())
    options = TaskOptions(llm.tokenizer, llm.profile.chunk_tokens, lengths, folders, request.texts, report)
    return evaluate(make_task(request.task, options), specs, llm, settings, adapter=adapter, report=report)


def _usual_folders() -> tuple[Path, ...]:
    named = os.environ.get(PDF_DIR_VARIABLE)
    return (*((Path(named),) if named else ()), _EXAMPLES)
