"""The door to training and evaluation, as ``backend`` is to the engine: heavy imports stand inside the functions."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sharedllm_docs.cli.failures import InterruptedCommandError
from sharedllm_docs.errors import ConfigError, TrainingError

if TYPE_CHECKING:
    from sharedllm_docs_data.report import Report

    from sharedllm_docs.evaluation.run import Outcome as Measured
    from sharedllm_docs.training.tiny_run import TinyResult
    from sharedllm_docs.training.trainer import Outcome as Trained

Say = Callable[[str], None]
_OF_THE_EXTRA = ("peft", "accelerate", "tomli")


@contextmanager
def _training_extra() -> Iterator[None]:
    """Within the block a missing package of the ``train`` extra is an error that names it.

    Raises:
        TrainingError: with what to install.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _OF_THE_EXTRA:
            raise
        raise TrainingError(
            f"Training needs {package}, which is not installed.",
            remedy="Install it: pip install 'sharedllm-docs[train]'.",
        ) from error


@contextmanager
def going_on(kept: str) -> Iterator[None]:
    """Within the block Ctrl-C is an error that says what is kept.

    Raises:
        InterruptedCommandError: at Ctrl-C.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        raise InterruptedCommandError(
            f"Interrupted; {kept}.", remedy="Run the same command again to go on from there."
        ) from error


def is_main_process() -> bool:
    """False in all processes but one of those that ``accelerate launch`` started together."""
    return os.environ.get("RANK", "0") == "0"


def train(
    config: Path,
    folder: Path,
    *,
    changes: Sequence[str],
    steps: int | None,
    device: str,
    max_minutes: float | None,
    say: Say,
) -> Trained:
    """Train into ``folder``, or go on there.

    Raises:
        ConfigError: an invalid configuration.
        TrainingError: a package is missing, or as ``start``.
    """
    with _training_extra():
        from sharedllm_docs.training.config import TrainingConfig
        from sharedllm_docs.training.start import start

        settings = TrainingConfig.read(config, changes, steps=steps)
        return start(settings, folder, device=device, max_minutes=max_minutes, say=say)


def train_tiny(folder: Path | None, *, max_minutes: float, say: Say) -> TinyResult:
    """The passkey run in ``folder``, or in one that is gone afterwards.

    Raises:
        TrainingError: a package is missing.
    """
    with _training_extra():
        from sharedllm_docs.training.tiny_run import train_tiny as run

        if folder is not None:
            return run(folder, max_minutes=max_minutes, say=say)
        with tempfile.TemporaryDirectory(prefix="sharedllm-docs-") as made:
            return run(Path(made), max_minutes=max_minutes, say=say)


def build_data(
    out: Path,
    *,
    cache: Path,
    only: Sequence[str] | None,
    limit: int | None,
    seed: int,
    include_non_commercial: bool,
    say: Say,
) -> Report:
    """The data build's report.

    Raises:
        ConfigError, DataError, DiskFullError: as ``build``.
    """
    from sharedllm_docs_data.build import PARTS, build

    return build(
        out,
        cache=cache,
        only=PARTS if only is None else only,
        limit=limit,
        seed=seed,
        include_non_commercial=include_non_commercial,
        say=say,
    )


def pack(
    rows: Sequence[Path],
    out: Path,
    *,
    model: str | None,
    split: str,
    max_tokens: int | None,
    max_context: int,
    include_non_commercial: bool,
    say: Say,
) -> Path:
    """Tokenize rows of the data build into one file.

    Raises:
        ConfigError: a file is not there.
        DataError: a file is damaged.
        ModelUnavailableError: the tokenizer can be neither found nor fetched.
    """
    missing = [str(path) for path in rows if not path.is_file()]
    if missing:
        raise ConfigError(f"There is no file {missing[0]}.", remedy="Give files that the data build wrote.")
    with _training_extra():
        from sharedllm_docs.training.token_files import load_tokenizer, rows_of, write_token_file

        return write_token_file(
            rows_of(rows, split),
            load_tokenizer(model),
            out,
            max_tokens=max_tokens,
            max_context=max_context,
            include_non_commercial=include_non_commercial,
            say=say,
        )


def evaluate(request: dict[str, Any], model: dict[str, Any], settings: dict[str, Any], say: Say) -> Measured:
    """Measure; fields of ``Request``, ``ModelRequest`` and ``Settings`` of the evaluation.

    Raises:
        EvaluationError, AdapterError, ModelError: as ``start``.
    """
    from sharedllm_docs.evaluation.run import Settings
    from sharedllm_docs.evaluation.start import ModelRequest, Request, start

    return start(Request(**request), ModelRequest(**model), Settings(**settings), report=say)
