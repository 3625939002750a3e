"""What the two PDF libraries have in common here, and the one error that stands for all of theirs."""

from __future__ import annotations

from typing import Protocol

from sharedllm_docs.errors import EncryptedDocumentError


class EngineError(Exception):
    """A PDF library could not do what it was asked; the message is its reason. Never leaves the PDF reader."""


class Engine(Protocol):
    """One open PDF. Page indices count from 0."""

    name: str
    count: int

    def text(self, index: int) -> str:
        """Raw text of a page. Raises EngineError."""
        ...

    def has_content(self, index: int) -> bool:
        """Whether anything at all is drawn on the page. Raises EngineError."""
        ...

    def close(self) -> None: ...


def encrypted(name: str, password: str | None) -> EncryptedDocumentError:
    """The error for a missing or a wrong password."""
    if password is None:
        return EncryptedDocumentError(f"{name} is encrypted and wants a password.", remedy="Give its password.")
    return EncryptedDocumentError(f"The password given for {name} is wrong.", remedy="Check the password.")
