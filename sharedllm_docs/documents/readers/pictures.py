"""Pictures inside documents that are no scans (Office, EPUB, HTML, e-mail): recognised, or told by name.

In come the bytes of a picture with its name, out comes what stands in it, and at the end the issues. Drawings in SVG
hold their text themselves. Small pictures are signs and rules, and the same picture is read once.
"""

from __future__ import annotations

import binascii
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from sharedllm_docs.documents.document import Issue
from sharedllm_docs.documents.readers import ocr
from sharedllm_docs.documents.readers.options import ReadOptions
from sharedllm_docs.documents.readers.steps import StepFailed, page_once, step

MAX_PICTURES = 200
"""Of a document, that are recognised."""
_MIN_WIDTH, _MIN_HEIGHT = 60, 14  # pixels; smaller ones are signs and rules
_MAX_PIXELS = 100_000_000
_MAX_BYTES = 64 << 20
_LONG_SIDE = 2600  # pixels; larger pictures are made smaller
_SMALL_SIDE = 900  # pixels; smaller ones are made larger, as letters on screens are few pixels high
_SURE = 0.7  # confidence of a line, from which it is taken
_DOUBTFUL = 0.8  # mean confidence below which recognised text is told aloud
_FEW_LETTERS = 3  # letters and digits that are too few to be the text of a picture
_NAMED = 10  # pictures that an issue names


@dataclass(frozen=True)
class _Seen:
    """What became of one picture, in plain values: kept where reading has to begin again.

    Attributes:
        text: recognised; "" for none.
        confidence: mean of its characters.
        failed: why it could not be looked at; "" if it could.
        small: whether it is too small to hold text.
    """

    text: str = ""
    confidence: float = 0.0
    failed: str = ""
    small: bool = False


class Pictures:
    """The pictures of one document.

    Args:
        options: of the reader.
    """

    def __init__(self, options: ReadOptions) -> None:
        self._wanted = options.ocr != "off"
        self._available = self._wanted and bool(ocr.engines.engine_name())
        self._known: set[str] = set()
        self._count = 0
        self._confidences: list[float] = []
        self._textless: list[str] = []
        self._unread: list[str] = []
        self._failed: list[str] = []
        self._outside: list[str] = []

    def text(self, data: bytes, name: str) -> str:
        """What stands in a picture; "" for nothing, or where it was read before.

        Args:
            data: of the file.
            name: of the picture, for the issues.
        """
        digest = hashlib.sha256(data).hexdigest()
        if digest in self._known or not data:
            return ""
        self._known.add(digest)
        self._count += 1
        drawn = _svg_text(data)
        if drawn is not None:
            return drawn
        if not self._available or self._count > MAX_PICTURES:
            if not _is_small(data):
                (self._unread if not self._available else self._failed).append(name)
            return ""
        try:
            seen = page_once(self._count, _Seen, lambda: self._recognised(data))
        except StepFailed as error:
            seen = _Seen(failed=str(error))
        return self._noted(seen, name)

    def outside(self, name: str) -> None:
        """Note a picture that is not in the file."""
        if name and name not in self._outside:
            self._outside.append(name)

    def _noted(self, seen: _Seen, name: str) -> str:
        if seen.failed:
            self._failed.append(f"{name} ({seen.failed})")
        elif seen.text:
            self._confidences.append(seen.confidence)
        elif not seen.small:
            self._textless.append(name)
        return seen.text

    def _recognised(self, data: bytes) -> _Seen:
        try:
            picture = _pixels(data)
            if picture is None:
                return _Seen(small=True)
        except MemoryError:
            raise
        except Exception as error:  # every decoder has errors of its own for what is malformed
            return _Seen(failed=" ".join(str(error).split())[:100] or type(error).__name__)
        with step("ocr", self._count):
            engine = ocr.engines.engine()
            found = engine.recognise(picture) if engine is not None else ocr.Recognised()
        sure = ocr.Recognised.of([line for line in found.lines if line.confidence >= _SURE])
        if sum(map(str.isalnum, sure.text)) < _FEW_LETTERS:
            return _Seen()
        return _Seen(str(sure.text), sure.confidence)

    def issues(self) -> list[Issue]:
        """What was recognised and what was not, with names."""
        told = []
        if self._confidences:
            mean = sum(self._confidences) / len(self._confidences)
            code = "text-recognised" if mean >= _DOUBTFUL else "text-recognised-poorly"
            message = f"the text of {len(self._confidences)} picture(s) was recognised (confidence {mean:.2f})"
            told.append(Issue(code, message))
        if self._unread:
            remedy = "install sharedllm-docs[ocr] to have it recognised" if self._wanted else "ocr='auto' reads it"
            message = f"text in {len(self._unread)} picture(s) is not read: {_listed(self._unread)}; {remedy}"
            told.append(Issue("pictures-unread", message))
        if self._failed:
            limit = f" (at most {MAX_PICTURES} are)" if self._count > MAX_PICTURES else ""
            message = f"{len(self._failed)} picture(s) cannot be recognised{limit}: {_listed(self._failed)}"
            told.append(Issue("recognition-failed", message))
        if self._textless:
            message = f"{len(self._textless)} picture(s) hold no text: {_listed(self._textless)}"
            told.append(Issue("pictures", message))
        if self._outside:
            message = f"{len(self._outside)} picture(s) outside of the file are not read: {_listed(self._outside)}"
            told.append(Issue("pictures", message))
        return told


def marked_text(text: str) -> str:
    """Text of a picture as it stands in a document."""
    return f"Picture: {text}" if text else ""


def data_bytes(uri: str) -> bytes:
    """What a ``data:`` URI holds; nothing for a malformed or oversized one."""
    header, comma, payload = uri.partition(",")
    if not comma or len(payload) > 2 * _MAX_BYTES:
        return b""
    raw = unquote_to_bytes(payload)
    if not header.lower().rstrip().endswith(";base64"):
        return raw
    try:
        return binascii.a2b_base64(raw)
    except binascii.Error:
        return b""


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _opened(data: bytes) -> Any:
    from PIL import Image

    if len(data) > _MAX_BYTES:
        raise ValueError(f"{len(data):,} bytes, the limit is {_MAX_BYTES:,}")
    return Image.open(io.BytesIO(data))


def _is_small(data: bytes) -> bool:
    """Whether a picture is too small to hold text, as far as that can be told."""
    try:
        width, height = _opened(data).size
    except MemoryError:
        raise
    except Exception:
        return False
    return bool(width < _MIN_WIDTH or height < _MIN_HEIGHT)


def _pixels(data: bytes) -> Any:
    """The picture upright on white [height, width, 3]; None for a small one."""
    import numpy as np
    from PIL import Image, ImageOps

    image = _opened(data)
    width, height = image.size
    if width < _MIN_WIDTH or height < _MIN_HEIGHT:
        return None
    if width * height > _MAX_PIXELS:
        raise ValueError(f"{width * height:,} pixels, the limit is {_MAX_PIXELS:,}")
    frame = ImageOps.exif_transpose(image)
    if frame.mode in ("RGBA", "LA", "P"):
        frame = frame.convert("RGBA")
        frame = Image.alpha_composite(Image.new("RGBA", frame.size, "white"), frame)
    frame = frame.convert("RGB")
    frame.thumbnail((_LONG_SIDE, _LONG_SIDE))
    longest = max(frame.size)
    if longest < _SMALL_SIDE:
        scale = min(3.0, _SMALL_SIDE / longest)
        frame = frame.resize((round(frame.width * scale), round(frame.height * scale)), Image.Resampling.BICUBIC)
    # letters that touch the edge are not found
    return np.asarray(ImageOps.expand(frame, border=12, fill=frame.getpixel((0, 0))))


def _svg_text(data: bytes) -> str | None:
    """The lines of text of an SVG drawing; None for other pictures."""
    head = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not head.startswith(b"<") or b"<svg" not in data[:4096]:
        return None
    from sharedllm_docs.documents.readers.nesting import parse_html

    soup, _ = parse_html(data[:_MAX_BYTES].decode("utf-8", "replace"))
    return "\n".join(filter(None, (" ".join(one.get_text(" ").split()) for one in soup.find_all("text"))))
