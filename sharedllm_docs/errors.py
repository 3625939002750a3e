"""Every error and warning a user can meet. Leaf module: imports nothing of the project.

An error's message carries the value, the bound and the remedy. The command line prints it in one line and exits
with the class's ``exit_code``; from Python it is an ordinary exception.
"""

from __future__ import annotations


class SharedLLMError(Exception):
    """Base of all errors raised on purpose.

    Args:
        message: what happened, with the offending value and the bound it broke.
        remedy: what the user can do about it (one sentence).
    """

    exit_code = 1

    def __init__(self, message: str, *, remedy: str = "") -> None:
        self.message = message.strip()
        self.remedy = remedy.strip()
        super().__init__(f"{self.message} {self.remedy}".strip())


# -- settings -----------------------------------------------------------------------------------------------------


class ConfigError(SharedLLMError, ValueError):
    """One or more settings are invalid; all problems are reported together."""

    exit_code = 2


# -- documents ----------------------------------------------------------------------------------------------------


class DocumentError(SharedLLMError):
    """A document cannot be read. Base of the reader errors."""

    exit_code = 3


class DocumentNotFoundError(DocumentError, FileNotFoundError):
    """No such file, or the index holds no such document."""


class EmptyDocumentError(DocumentError):
    """A 0-byte file, or a document without a single word."""


class UnknownFormatError(DocumentError):
    """No registered reader takes this file (or the bytes are not what the file's name says)."""


class EncryptedDocumentError(DocumentError):
    """The document wants a password, or the password given is wrong."""


class DamagedDocumentError(DocumentError):
    """Truncated or corrupt bytes from which no page can be read."""


class ScannedDocumentError(DocumentError):
    """The pages are pictures: there is no text layer."""


class DocumentTooLargeError(DocumentError):
    """More pages or bytes than the reader's limit."""


class PageRangeError(DocumentError, ValueError):
    """A page range that is malformed or outside the document."""


class DocumentWarning(UserWarning):
    """Something in a document was lost or guessed, the rest is kept.

    Attributes:
        code: stable short name, e.g. ``page-failed``, ``no-text-on-page``, ``encoding-guessed``.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(f"{code}: {message}")


# -- models -------------------------------------------------------------------------------------------------------


class ModelError(SharedLLMError):
    """A model, tokenizer, embedder or adapter cannot be used."""

    exit_code = 4


class ModelUnavailableError(ModelError):
    """The weights can be neither found nor fetched (offline, wrong name, failed hash check)."""


class UnsupportedModelError(ModelError):
    """A family, rope type or attention shape that the project does not handle."""


class AdapterError(ModelError):
    """An adapter is missing where the profile needs one, or does not fit the model."""


# -- the index ----------------------------------------------------------------------------------------------------


class StoreError(SharedLLMError):
    """Base of everything that concerns the index on disk."""

    exit_code = 5


class IndexNotFoundError(StoreError):
    """The folder holds no index."""


class FingerprintMismatchError(StoreError):
    """The index was made by another model, adapter or setting.

    Attributes:
        differences: field name -> (value in the index, value wanted now).
    """

    def __init__(self, message: str, *, differences: dict[str, tuple[object, object]], remedy: str = "") -> None:
        self.differences = differences
        super().__init__(message, remedy=remedy)


class DamagedIndexError(StoreError):
    """A checksum does not match or a file is missing. ``paths`` names the files, relative to the index."""

    def __init__(self, message: str, *, paths: tuple[str, ...] = (), remedy: str = "") -> None:
        self.paths = paths
        super().__init__(message, remedy=remedy)


class SchemaError(StoreError):
    """The index was written by a newer version, or no migration leads to the current schema."""


class IndexLockedError(StoreError):
    """Another process is writing and did not finish within the timeout."""


class DiskFullError(StoreError):
    """No space left on the device."""


class DiskBudgetError(StoreError):
    """Encoding would exceed the disk budget."""


# -- questions ----------------------------------------------------------------------------------------------------


class QuestionError(SharedLLMError, ValueError):
    """Base of what is wrong with a question."""

    exit_code = 6


class EmptyQuestionError(QuestionError):
    """A question without a word."""


class QuestionTooLongError(QuestionError):
    """The question, with prompt, injected rows and answer, exceeds the model's window."""


# -- evaluation ---------------------------------------------------------------------------------------------------


class EvaluationError(SharedLLMError, ValueError):
    """A task's data, a prediction or an argument of a metric is malformed."""

    exit_code = 7


class NotMeasurableError(EvaluationError):
    """A system cannot take an example: its text exceeds the window, or the system has no such ability."""


class InterruptedIngestion(SharedLLMError):  # noqa: N818 - an interruption, not an error
    """Ctrl-C during ingestion. What was encoded is kept; adding the same document again resumes."""

    exit_code = 130


# -- training data ------------------------------------------------------------------------------------------------


class DataError(SharedLLMError):
    """Training data cannot be built. Base of the errors of the data build."""

    exit_code = 9


class FetchError(DataError):
    """A package that data is made from cannot be fetched, or is not the one that is pinned."""


class ReservedDataError(DataError):
    """A row or a package that is kept for judging was about to be used."""


# -- training -----------------------------------------------------------------------------------------------------


class TrainingError(SharedLLMError):
    """Training cannot go on: out of memory, a loss that is no number. The last good checkpoint is kept."""

    exit_code = 11


class CheckpointError(TrainingError):
    """A checkpoint is damaged, or belongs to another configuration."""
