"""Which engine recognises text here, loaded once a process."""

from __future__ import annotations

import shutil
from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from importlib.util import find_spec
from typing import Any, Protocol

from sharedllm_docs.documents.readers.ocr.recognised import Recognised


class Engine(Protocol):
    """Recognises text in pictures; may be called from several threads."""

    name: str

    def recognise(self, picture: Any) -> Recognised:
        """Text of a picture [height, width, 3] of bytes, whichever way up it is."""
        ...


_only: str | None = None


def only(name: str) -> None:
    """From now on this process uses that engine ("" for none): the process that asks it to read has chosen."""
    global _only
    _only = name


def engine_name() -> str:
    """The engine and its version, such as ``rapidocr-3.10.0``; "" where there is none. Loads nothing."""
    return _found() if _only is None else _only


@cache
def _found() -> str:
    needed = ("rapidocr", "onnxruntime", "cv2")
    if all(find_spec(name) is not None for name in needed):
        try:
            return f"rapidocr-{installed_version('rapidocr')}"
        except PackageNotFoundError:
            return ""
    if shutil.which("tesseract"):
        from sharedllm_docs.documents.readers.ocr.tesseract import program_version

        version = program_version()
        return f"tesseract-{version}" if version else ""
    return ""


def engine() -> Engine | None:
    """The engine, with its models loaded; None where there is none."""
    return _loaded(engine_name())


@cache
def _loaded(name: str) -> Engine | None:
    if name.startswith("rapidocr"):
        from sharedllm_docs.documents.readers.ocr.rapid import RapidEngine

        return RapidEngine(name)
    if name:
        from sharedllm_docs.documents.readers.ocr.tesseract import TesseractEngine

        return TesseractEngine(name)
    return None
