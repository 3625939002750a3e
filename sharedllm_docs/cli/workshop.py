"""The only module that reaches training; heavy imports are inside its functions, as in ``backend``."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sharedllm_docs.errors import ConfigError, TrainingError

if TYPE_CHECKING:
    from sharedllm_docs.training.tiny_run import TinyResult
    from sharedllm_docs.training.trainer import Outcome as Trained

Say = Callable[[str], None]
_OF_THE_EXTRA = ("peft", "accelerate", "tomli")


@contextmanager
def _training_extra() -> Iterator[None]:
    """Context in which a missing package of the ``train`` extra is an error that names it.

    Raises:
        TrainingError: a package is missing; says what to install.
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


def is_main_process() -> bool:
    """Whether this is the first of the processes that ``accelerate launch`` started together."""
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
    """Train into ``folder``, or continue there.

    Raises:
        ConfigError: an invalid configuration.
        TrainingError: a package is missing, or as in ``start``.
    """
    with _training_extra():
        from sharedllm_docs.training.config import TrainingConfig
        from sharedllm_docs.training.start import start

        settings = TrainingConfig.read(config, changes, steps=steps)
        return start(settings, folder, device=device, max_minutes=max_minutes, say=say)


def train_tiny(folder: Path | None, *, max_minutes: float, say: Say) -> TinyResult:
    """The tiny run in ``folder``, or in a temporary one.

    Raises:
        TrainingError: a package is missing.
    """
    with _training_extra():
        from sharedllm_docs.training.tiny_run import train_tiny as run

        if folder is not None:
            return run(folder, max_minutes=max_minutes, say=say)
        with tempfile.TemporaryDirectory(prefix="sharedllm-docs-") as made:
            return run(Path(made), max_minutes=max_minutes, say=say)


def write_token_file(
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
    """Tokenize rows of the data build into one token file.

    Raises:
        ConfigError: a file is not there.
        DataError: a file is damaged.
        ModelUnavailableError: the tokenizer can be neither found nor fetched.
    """
    missing = [str(path) for path in rows if not path.is_file()]
    if missing:
        raise ConfigError(f"There is no file {missing[0]}.", remedy="Give files that the data build wrote.")
    from sharedllm_docs.training import token_files

    return token_files.write_token_file(
        token_files.rows_of(rows, split),
        token_files.load_tokenizer(model),
        out,
        max_tokens=max_tokens,
        max_context=max_context,
        include_non_commercial=include_non_commercial,
        say=say,
    )
