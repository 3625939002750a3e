"""The common interface of the two PDF libraries, and one error in place of all of theirs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sharedllm_docs.documents.cleaning import MARGIN_LINES
from sharedllm_docs.documents.readers.pdf.fields import Field
from sharedllm_docs.documents.readers.pdf.layout.continued import OpenTable
from sharedllm_docs.documents.readers.placing import Spots
from sharedllm_docs.documents.readers.reasons import reason_of
from sharedllm_docs.documents.readers.steps import StepFailed, step
from sharedllm_docs.documents.traced import Traced, joined, marked
from sharedllm_docs.errors import EncryptedDocumentError


class EngineError(Exception):
    """A PDF library could not do what it was asked; the message is its reason. Never leaves the PDF reader."""


@contextlib.contextmanager
def engine_step(name: str, page: int | None = None) -> Iterator[None]:
    """A ``step`` of an engine; one that failed before is an EngineError like any other."""
    try:
        with step(name, page):
            yield
    except StepFailed as error:
        raise EngineError(reason_of(error)) from error


@dataclass(frozen=True)
class PageText:
    """Raw text of a page, and what the engine knows of its layout.

    Attributes:
        text: lines as the engine gives them out.
        margins: number of lines at the start and at the end of ``text`` that are in a margin of the page, at most
            ``MARGIN_LINES`` each; that many where the layout is not known.
        scanned: whether a picture covers the page and there is hardly any text on it.
        hidden: number of words left out because no viewer shows them.
        undecoded: share of the letters whose font does not say which letters they are, 0 to 1.
        spots: what the marks of ``text`` (if it is ``Traced``) stand for: the box of each character, or of the form
            field or the recognised word that it belongs to. What has no mark was added (indentation, the repeated
            heads of a table).
        open_table: the table that reaches the end of the page, as the next one may go on with it.
    """

    text: str
    margins: tuple[int, int] = (MARGIN_LINES, MARGIN_LINES)
    scanned: bool = False
    hidden: int = 0
    undecoded: float = 0.0
    spots: Spots = field(default_factory=Spots, compare=False, repr=False)
    open_table: OpenTable | None = None


def listed(fields: Sequence[Field]) -> str:
    """Fields as lines of their own, for the end of a page: ``Name: value``."""
    return joined("", (_line(field) for field in fields))


def _line(field: Field) -> str:
    """A field's line; all of it has the mark of a value that has one."""
    line = f"{field.name}: {field.value}"
    return "\n" + (marked(line, field.value.marks[0]) if isinstance(field.value, Traced) and field.value else line)


class Engine(Protocol):
    """One open PDF. Page indices count from 0."""

    name: str
    count: int

    def text(self, index: int, fields: Sequence[Field] = (), before: OpenTable | None = None) -> PageText:
        """Raw text of a page, the values of its form fields and notes among it. Raises EngineError.

        ``before`` is the table at the end of the page before.
        """
        ...

    def has_content(self, index: int) -> bool:
        """Whether anything at all is drawn on the page. Raises EngineError."""
        ...

    def close(self) -> None: ...


def encrypted(name: str, password: str | None) -> EncryptedDocumentError:
    """The error for a missing or a wrong password."""
    if password is None:
        return EncryptedDocumentError(f"{name} is encrypted and needs a password.", remedy="Give its password.")
    return EncryptedDocumentError(f"The password given for {name} is wrong.", remedy="Check the password.")
