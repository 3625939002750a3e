"""Pictures of text (PNG, JPEG, TIFF, …): recognised page by page; a TIFF may contain several."""

from __future__ import annotations

from typing import Any

from sharedllm_docs.documents.document import Document, Issue, Page
from sharedllm_docs.documents.readers import ocr
from sharedllm_docs.documents.readers.base import Progress, choose_pages, listed_words, make_document
from sharedllm_docs.documents.readers.options import ReadOptions
from sharedllm_docs.documents.readers.pixels import MAX_PIXELS, PictureTooLargeError, opened_picture, upright_picture
from sharedllm_docs.documents.readers.reasons import reason_of
from sharedllm_docs.documents.readers.source import Source
from sharedllm_docs.documents.readers.steps import StepFailed, step
from sharedllm_docs.errors import DamagedDocumentError, DocumentTooLargeError, ScannedDocumentError

_HEADS = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"GIF8", b"BM", b"RIFF")
_DOUBTFUL = 0.8


class PictureReader:
    """Photographs and scans."""

    name = "picture"
    version = "1"
    suffixes = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif")
    takes = frozenset({"ocr"})

    def sniff(self, head: bytes, name: str) -> bool:
        """The marks with which pictures open, under a picture's name."""
        return head.startswith(_HEADS) and name.lower().endswith(self.suffixes)

    def read(self, source: Source, options: ReadOptions, progress: Progress | None) -> Document:
        """Recognise each picture of the file.

        Raises:
            ScannedDocumentError: nothing is installed that recognises text, or none is recognised.
            DamagedDocumentError: not a picture.
            DocumentTooLargeError: too many pixels.
        """
        if options.ocr == "off" or not ocr.engines.engine_name():
            raise ScannedDocumentError(f"{source.name} is a picture, its text is not recognised.", remedy=ocr.REMEDY)
        image, count = _opened(source)
        numbers = choose_pages(source.name, count, options)
        pages, issues = [], []
        for done, number in enumerate(numbers, start=1):
            try:
                with step("ocr", number):
                    engine = ocr.engines.engine()
                    picture = _frame(source.name, image, number - 1)
                    found = engine.recognise(picture) if engine is not None else ocr.Recognised()
            except (StepFailed, DamagedDocumentError) as error:
                if isinstance(error, DamagedDocumentError) and count == 1:
                    raise
                pages.append(Page(number, ""))
                issues.append(Issue("page-failed", f"the picture cannot be read ({reason_of(error)})", number))
                continue
            listed_words(number, found.words)
            pages.append(Page(number, str(found.text)))  # marks of words that no reader places
            issues.append(_told(found, number))
            if progress is not None:
                progress(done, len(numbers))
        if not any(page.text.strip() for page in pages):
            raise ScannedDocumentError(f"{source.name}: no text is recognised in it.", remedy="Give a sharper picture.")
        return make_document(self, source, options, pages=pages, page_count=count, issues=issues)


def _told(found: ocr.Recognised, number: int) -> Issue:
    if not found.text.strip():
        return Issue("no-text-on-page", "no text is recognised in the picture", number)
    code = "text-recognised" if found.confidence >= _DOUBTFUL else "text-recognised-poorly"
    return Issue(code, f"the page's text was recognised from its picture (confidence {found.confidence:.2f})", number)


def _opened(source: Source) -> tuple[Any, int]:
    try:
        image = opened_picture(source.read())
        count = int(getattr(image, "n_frames", 1)) if image.format != "GIF" else 1
    except PictureTooLargeError as error:
        raise _too_large(source.name, error) from error
    except MemoryError:
        raise
    except Exception as error:  # every decoder has errors of its own for what is malformed
        raise DamagedDocumentError(
            f"{source.name} is not a picture, or damaged: {reason_of(error)}.", remedy="Save it again."
        ) from error
    return image, count


def _too_large(name: str, error: PictureTooLargeError) -> DocumentTooLargeError:
    return DocumentTooLargeError(f"{name}: {reason_of(error)}.", remedy=f"Make it {MAX_PIXELS:,} pixels at most.")


def _frame(name: str, image: Any, index: int) -> Any:
    """A picture upright and in colours [height, width, 3], as its camera meant it."""
    import numpy as np

    try:
        image.seek(index)
        frame = upright_picture(image)
    except PictureTooLargeError as error:
        raise _too_large(name, error) from error
    except MemoryError:
        raise
    except Exception as error:
        raise DamagedDocumentError(
            f"{name}: picture {index + 1} is damaged: {reason_of(error)}.", remedy="Save it again."
        ) from error
    return np.asarray(frame)
