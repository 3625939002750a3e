"""Every error and warning that a user can meet. Leaf module: imports nothing of the project.

A message contains the value, the bound and the remedy. The command line prints it in one line and exits with the
class's ``exit_code``; in Python it is an ordinary exception.
"""

from __future__ import annotations


class SharedLLMError(Exception):
    """Base class of all errors that the project raises on purpose.

    Args:
        message: what happened, with the offending value and the bound it broke.
        remedy: one sentence that says what the user can do.
    """

    exit_code = 1

    def __init__(self, message: str, *, remedy: str = "") -> None:
        self.message = message.strip()
        self.remedy = remedy.strip()
        super().__init__(f"{self.message} {self.remedy}".strip())


# -- settings -----------------------------------------------------------------------------------------------------


class ConfigError(SharedLLMError, ValueError):
    """One or more settings are invalid; the message lists all problems."""

    exit_code = 2


class UnsupportedParameterError(ConfigError):
    """A request has a parameter that the server cannot honour.

    Attributes:
        param: its name.
    """

    def __init__(self, message: str, *, param: str = "", remedy: str = "") -> None:
        self.param = param
        super().__init__(message, remedy=remedy)


# -- documents ----------------------------------------------------------------------------------------------------


class DocumentError(SharedLLMError):
    """A document cannot be read. Base class of the readers' errors."""

    exit_code = 3


class DocumentNotFoundError(DocumentError, FileNotFoundError):
    """The file does not exist, or the index contains no such document."""


class EmptyDocumentError(DocumentError):
    """The file is empty, or the document has no words."""


class UnknownFormatError(DocumentError):
    """No registered reader can read this file, or its content is not what its name says."""


class EncryptedDocumentError(DocumentError):
    """The document needs a password, or the given password is wrong."""


class DamagedDocumentError(DocumentError):
    """The file is truncated or corrupt, and no page can be read from it."""


class ScannedDocumentError(DocumentError):
    """The pages are images without a text layer."""


class DocumentTooLargeError(DocumentError):
    """The document has more pages or bytes than the reader's limit."""


class MissingExtraError(DocumentError):
    """A document cannot be read because an optional package is not installed."""


class PageRangeError(DocumentError, ValueError):
    """The page range is malformed or outside the document."""


class DocumentWarning(UserWarning):
    """Something in a document was lost or guessed; the rest was kept.

    Attributes:
        code: a short, stable name, e.g. ``page-failed``, ``no-text-on-page``, ``encoding-guessed``.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(f"{code}: {message}")


# -- models -------------------------------------------------------------------------------------------------------


class ModelError(SharedLLMError):
    """A model, tokenizer, embedder or adapter cannot be used."""

    exit_code = 4


class ModelUnavailableError(ModelError):
    """The weights can be neither found nor fetched (offline, wrong name, wrong hash)."""


class UnsupportedModelError(ModelError):
    """The model's family, rope type, attention or tokenizer is not supported."""


class AdapterError(ModelError):
    """The adapter is missing, damaged, or does not fit the model or profile."""


# -- the index ----------------------------------------------------------------------------------------------------


class StoreError(SharedLLMError):
    """Base class of errors about the index on disk."""

    exit_code = 5


class IndexNotFoundError(StoreError):
    """The folder contains no index."""


class FingerprintMismatchError(StoreError):
    """The index was made by another model, adapter or setting.

    Attributes:
        differences: for each field that differs, its value in the index and its value now.
    """

    def __init__(self, message: str, *, differences: dict[str, tuple[object, object]], remedy: str = "") -> None:
        self.differences = differences
        super().__init__(message, remedy=remedy)


class DamagedIndexError(StoreError):
    """A checksum does not match, or a file is missing.

    Attributes:
        paths: the files, relative to the index.
    """

    def __init__(self, message: str, *, paths: tuple[str, ...] = (), remedy: str = "") -> None:
        self.paths = paths
        super().__init__(message, remedy=remedy)


class SchemaError(StoreError):
    """The index was written by a newer version, or has no migration to the current schema."""


class IndexLockedError(StoreError):
    """Another process is writing to the index and did not finish within the timeout."""


class ChunksMissingError(StoreError):
    """A document was to be committed, but not all of its chunks are encoded.

    Attributes:
        chunks: numbers of the missing ones, from 0.
    """

    def __init__(self, message: str, *, chunks: tuple[int, ...] = (), remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.chunks = chunks


class DiskFullError(StoreError):
    """The disk is full."""


class DiskBudgetError(StoreError):
    """The document would exceed the index's disk budget."""


class QuotaError(StoreError):
    """A tenant or index would contain more documents than it may.

    Attributes:
        value: number of documents that it would contain.
        bound: number that it may contain.
    """

    def __init__(self, message: str, *, value: int = 0, bound: int = 0, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.value = value
        self.bound = bound


class TenantError(StoreError):
    """The index belongs to a tenant, and the salt that was given is not the tenant's."""


class BoxesMissingError(StoreError):
    """It is not known where the document's text stands on its pages."""


class SourceMissingError(StoreError):
    """The file that a document was read from is neither kept in the index nor found where it was."""


class UnstoredRowsWarning(UserWarning):
    """What was read for a question could not be stored in the index; the answer is the same."""


# -- questions ----------------------------------------------------------------------------------------------------


class QuestionError(SharedLLMError, ValueError):
    """A question cannot be answered as it was asked. Base class of errors about questions."""

    exit_code = 6


class EmptyQuestionError(QuestionError):
    """The question or prompt has no words."""


class QuestionTooLongError(QuestionError):
    """The question, with prompt, injected rows and answer, exceeds the model's window."""


# -- the server ---------------------------------------------------------------------------------------------------


class ServingError(SharedLLMError):
    """The server cannot handle a request, or cannot be started. Base class of its errors."""

    exit_code = 8


class BusyError(ServingError):
    """The maximum number of questions is waiting already.

    Attributes:
        retry_after: seconds after which there is likely to be room.
    """

    def __init__(self, message: str, *, retry_after: int = 1, remedy: str = "") -> None:
        self.retry_after = retry_after
        super().__init__(message, remedy=remedy)


class UnknownIndexError(ServingError):
    """The server serves no index of this name."""


class AccessError(ServingError):
    """The request has no API key, or a wrong one."""


class ForbiddenError(ServingError):
    """The request comes from another site, or asks for what this server does not do."""


class RequestTooLargeError(ServingError):
    """The request has more bytes, messages or texts than the server accepts."""


class RequestTooSlowError(ServingError):
    """The request did not arrive in the time that the server allows for it."""


class QuestionCancelledError(ServingError):
    """Whoever asked has disconnected; the answer is not finished."""


class TookTooLongError(ServingError):
    """The answer was not complete in the time that the server allows for it."""


# -- evaluation ---------------------------------------------------------------------------------------------------


class EvaluationError(SharedLLMError, ValueError):
    """The data of a task, a prediction or an argument of a metric is malformed."""

    exit_code = 7


class NotMeasurableError(EvaluationError):
    """A system cannot run an example: the text exceeds its window, or it lacks the ability."""


class InterruptedIngestion(SharedLLMError):  # noqa: N818 - an interruption, not an error
    """Ingestion was interrupted. Encoded chunks are kept; adding the same document again resumes."""

    exit_code = 130


# -- training data ------------------------------------------------------------------------------------------------


class DataError(SharedLLMError):
    """Training data cannot be built. Base class of the errors of the data build."""

    exit_code = 9


class FetchError(DataError):
    """A source package of training data cannot be fetched, or differs from the pinned one."""


class ReservedDataError(DataError):
    """A row or package that is reserved for evaluation was about to be used for training."""


# -- training -----------------------------------------------------------------------------------------------------


class TrainingError(SharedLLMError):
    """Training cannot go on (out of memory, or the loss is not a number). The last good checkpoint is kept."""

    exit_code = 11


class CheckpointError(TrainingError):
    """The checkpoint is damaged, or belongs to another configuration."""
