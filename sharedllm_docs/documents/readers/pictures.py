"""Pictures inside documents that are not scans (Office, EPUB, HTML, e-mail): recognised, or reported by name.

Input: the bytes of a picture with its name. Output: its text, and finally the issues. The text of SVG drawings is read
from the drawing itself. Small pictures are icons and lines and are skipped; the same picture is read only once. A
picture that cannot be read (empty, damaged, of a kind that cannot be drawn, not in the file) is reported with the
reason.
"""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from sharedllm_docs.documents.document import Issue
from sharedllm_docs.documents.readers import ocr
from sharedllm_docs.documents.readers.html_blocks import picture_name, picture_source
from sharedllm_docs.documents.readers.options import ReadOptions
from sharedllm_docs.documents.readers.pixels import opened_picture, upright_picture
from sharedllm_docs.documents.readers.reasons import reason_of
from sharedllm_docs.documents.readers.steps import StepFailed, page_once, step
from sharedllm_docs.documents.readers.svg import drawing_text, opens_drawing
from sharedllm_docs.errors import DocumentError

if TYPE_CHECKING:
    from bs4 import Tag

MAX_PICTURES = 200
"""Of a document, that are recognised."""
_MIN_WIDTH, _MIN_HEIGHT = 60, 14  # pixels; smaller ones are signs and rules
_MAX_BYTES = 64 << 20
_HEAD = 1 << 14  # bytes in which a drawing is recognised
_SMALL_SIDE = 900  # pixels; smaller ones are made larger, as letters on screens are few pixels high
_SURE = 0.7  # confidence of a line, from which it is taken
_DOUBTFUL = 0.8  # mean confidence below which recognised text raises a warning
_FEW_LETTERS = 3  # letters and digits that are too few to be the text of a picture
_NAMED = 10  # pictures that an issue names
_MAX_DEPTH = 3  # of drawings in drawings
_EMPTY = "it is empty"


@dataclass(frozen=True)
class _Seen:
    """What became of one picture, in plain values: kept where reading has to begin again.

    Attributes:
        text: recognised; "" for none.
        confidence: mean of its characters.
        failed: why it could not be looked at; "" if it could.
        small: whether it is too small to contain text.
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
        self._outside_count = 0
        self._depth = 0

    def text(self, data: bytes, name: str) -> str:
        """The text in a picture; "" if there is none, or if it was read before.

        Args:
            data: of the file.
            name: of the picture, for the issues.
        """
        if not data:
            self.lost(name, _EMPTY)
            return ""
        digest = hashlib.sha256(data).hexdigest()
        if digest in self._known:
            return ""
        self._known.add(digest)
        self._count += 1
        if opens_drawing(data[:_HEAD]):
            return self._drawn(data, name)
        if not self._available:
            seen = _glance(data)
            if not seen.failed and not seen.small:
                self._unread.append(name)
                return ""
            return self._noted(seen, name) if seen.failed else ""
        if self._count > MAX_PICTURES:
            if not _glance(data).small:
                self.lost(name, "")
            return ""
        try:
            seen = page_once(self._count, _Seen, lambda: self._recognised(data))
        except StepFailed as error:
            seen = _Seen(failed=str(error))
        return self._noted(seen, name)

    def shown_by(self, tag: Tag) -> str:
        """The text in the picture that an HTML tag shows; a picture outside the page is noted."""
        source = picture_source(tag)
        if source[:5].lower() != "data:":
            self.outside(picture_name(tag, source[:100] or f"<{tag.name}> that names no file"))
            return ""
        name = picture_name(tag, f"data:{source[5:60].partition(',')[0].partition(';')[0]}")
        try:
            data = data_bytes(source)
        except ValueError as error:
            self.lost(name, str(error))
            return ""
        return self.text(data, name)

    def outside(self, name: str) -> None:
        """Note a picture that is not in the file."""
        self._outside_count += 1
        if name not in self._outside:
            self._outside.append(name)

    def lost(self, name: str, why: str) -> None:
        """Note a picture that cannot be read.

        Args:
            name: of the picture.
            why: in words; "" where the number of pictures is the reason.
        """
        self._failed.append(f"{name} ({why})" if why else name)

    def _drawn(self, data: bytes, name: str) -> str:
        """The text of an SVG drawing, and of the pictures in it."""
        if self._depth >= _MAX_DEPTH or len(data) > _MAX_BYTES:
            self.lost(name, "it is too large, or stands too deep in other drawings")
            return ""
        self._depth += 1
        try:
            text = drawing_text(data, self.shown_by)
        except DocumentError as error:
            self.lost(name, reason_of(error))
            return ""
        finally:
            self._depth -= 1
        if not text:
            self._textless.append(name)
        return text

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
            return _Seen(failed=reason_of(error))
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
            message = f"{self._outside_count} picture(s) outside of the file are not read: {_listed(self._outside)}"
            told.append(Issue("pictures", message))
        return told


def data_bytes(uri: str) -> bytes:
    """What a ``data:`` URI contains.

    Raises:
        ValueError: it is malformed or oversized.
    """
    header, comma, payload = uri.partition(",")
    if not comma:
        raise ValueError("its data: URL has no comma, so it holds nothing")
    if len(payload) > 2 * _MAX_BYTES:
        raise ValueError(f"its data: URL has {len(payload):,} characters, the limit is {2 * _MAX_BYTES:,}")
    raw = unquote_to_bytes(payload)
    if not header.lower().rstrip().endswith(";base64"):
        return raw
    try:
        return binascii.a2b_base64(raw + b"=" * (-len(raw) % 4))  # browsers do without the padding
    except binascii.Error as error:
        raise ValueError("its data: URL is not valid base64") from error


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _opened(data: bytes) -> Any:
    if len(data) > _MAX_BYTES:
        raise ValueError(f"it has {len(data):,} bytes, the limit is {_MAX_BYTES:,}")
    return opened_picture(data)


def _glance(data: bytes) -> _Seen:
    """Whether a picture can be opened and is large enough to contain text, as far as that is known."""
    try:
        width, height = _opened(data).size
    except MemoryError:
        raise
    except ImportError:  # what opens pictures comes with what recognises text in them
        return _Seen()
    except Exception as error:
        return _Seen(failed=reason_of(error))
    return _Seen(small=bool(width < _MIN_WIDTH or height < _MIN_HEIGHT))


def _pixels(data: bytes) -> Any:
    """The picture upright on white [height, width, 3]; None for a small one."""
    import numpy as np
    from PIL import Image, ImageOps

    image = _opened(data)
    width, height = image.size
    if width < _MIN_WIDTH or height < _MIN_HEIGHT:
        return None
    frame = upright_picture(image)
    longest = max(frame.size)
    if longest < _SMALL_SIDE:
        scale = min(3.0, _SMALL_SIDE / longest)
        frame = frame.resize((round(frame.width * scale), round(frame.height * scale)), Image.Resampling.BICUBIC)
    # letters that touch the edge are not found
    return np.asarray(ImageOps.expand(frame, border=12, fill=frame.getpixel((0, 0))))
