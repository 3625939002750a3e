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


@cache
def engine_name() -> str:
    """The engine and its version, such as ``rapidocr-3.10.0``; "" where there is none. Loads nothing."""
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


@cache
def engine() -> Engine | None:
    """The engine, with its models loaded; None where there is none."""
    name = engine_name()
    if name.startswith("rapidocr"):
        from sharedllm_docs.documents.readers.ocr.rapid import RapidEngine

        return RapidEngine(name)
    if name:
        from sharedllm_docs.documents.readers.ocr.tesseract import TesseractEngine

        return TesseractEngine(name)
    return None
