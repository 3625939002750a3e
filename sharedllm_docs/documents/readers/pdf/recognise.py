"""Pages and pictures of a PDF that need text recognition (OCR): finds them and reads them.

Input: what the engines found on a page. Output: the page with recognised text, or the issue that says why its text is
missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from sharedllm_docs.documents.boxes import LEVEL, UPRIGHT
from sharedllm_docs.documents.cleaning import MARGIN_LINES
from sharedllm_docs.documents.document import Issue
from sharedllm_docs.documents.readers import ocr
from sharedllm_docs.documents.readers.base import listed_words
from sharedllm_docs.documents.readers.legible import illegible
from sharedllm_docs.documents.readers.options import ReadOptions
from sharedllm_docs.documents.readers.pdf.engine import EngineError, PageText, engine_step
from sharedllm_docs.documents.readers.pdf.pdfium import Corner, PdfiumFile
from sharedllm_docs.documents.readers.placing import Spots, moved
from sharedllm_docs.documents.readers.reasons import reason_of
from sharedllm_docs.documents.traced import joined
from sharedllm_docs.errors import ConfigError

_UNDECODED = 0.3  # share of a page's letters without a Unicode map from which its characters are doubted
_DOUBTFUL = 0.8  # mean confidence below which recognised text raises a warning
_SURE = 0.8  # confidence of a line in a picture beside text, from which it is taken
_MARGIN = 0.12  # of the page's height, in which running lines stand
_FEW_LETTERS = 3  # letters and digits that are too few to be the text of a picture


class PageRecogniser:
    """Recognises what cannot be read, as ``options.ocr`` says.

    Args:
        options: of the reader.
        pdfium: draws the pages; None where PDFium cannot open the file.

    Raises:
        ConfigError: ``ocr="force"``, and nothing is there that recognises text.
    """

    def __init__(self, options: ReadOptions, pdfium: PdfiumFile | None) -> None:
        self._mode, self._pdfium = options.ocr, pdfium
        self._available = options.ocr != "off" and bool(ocr.engines.engine_name())
        if options.ocr == "force" and not self._available:
            raise ConfigError("ocr='force' needs an engine for text recognition.", remedy=ocr.REMEDY)

    def page(self, number: int, page: PageText, issues: Sequence[Issue]) -> tuple[PageText, list[Issue]]:
        """The page as it can be read, and what there is to say about it.

        Args:
            number: of the page, from 1.
            page: what the engines found.
            issues: of this page so far.
        """
        failed: list[Issue] = []
        scanned = any(issue.code == "no-text-on-page" for issue in issues)
        reason = "" if scanned or not page.text.strip() else _doubt(page)
        kept = [issue for issue in issues if issue.code != "undecodable-text"]
        if self._mode == "force" or ((scanned or reason) and self._available):
            done = self._whole(number, failed)
            kept += failed
            if done is not None:
                told = {"no-text-on-page", "blank-page", "page-failed", "hidden-text", "page-fallback"}
                seen, margins, spots = done
                read = PageText(text=seen.text, margins=margins, hidden=page.hidden, spots=spots)
                return read, [*(i for i in kept if i.code not in told), _confidence(seen, number)]
        if scanned and self._available:
            return page, [_unrecognised(issue) if issue.code == "no-text-on-page" else issue for issue in kept]
        if scanned:
            return page, [self._with_remedy(issue) if issue.code == "no-text-on-page" else issue for issue in kept]
        if reason:
            issue = self._with_remedy(Issue("undecodable-text", f"the page's text cannot be decoded: {reason}", number))
            return replace(page, text=""), [*kept, issue]
        page, found = self._pictures(number, page, failed)
        return page, [*kept, *failed, *found, *_undecoded(page, number)]

    def _whole(self, number: int, failed: list[Issue]) -> tuple[ocr.Recognised, tuple[int, int], Spots] | None:
        """The text of the whole page as it is drawn, its margins and its words; None if nothing is recognised.

        ``failed`` gets the issue of a page that could not be processed.
        """
        drawn = self._drawn(number, lambda pdfium: pdfium.render(number - 1), failed)
        found = None if drawn is None else self._recognise(drawn.pixels, number, failed)
        if drawn is None or found is None:
            return None
        picture = drawn.pixels
        if sum(map(str.isalnum, found.text)) < _FEW_LETTERS:
            return None
        spots = Spots()
        _add_words(spots, found, drawn.corner)
        lead, trail = found.margins(picture.shape[1] if found.turned % 180 else picture.shape[0], _MARGIN)
        return found, (min(lead, MARGIN_LINES), min(trail, MARGIN_LINES)), spots

    def _pictures(self, number: int, page: PageText, failed: list[Issue]) -> tuple[PageText, list[Issue]]:
        """Text in large pictures, which follows the page's own text."""
        if not page.text.strip():
            return page, []
        if not self._available:
            return page, self._unread(number)
        texts: list[str] = []
        regions = []
        spots = Spots()
        spots.extend(page.spots)
        for drawn in self._drawn(number, lambda pdfium: pdfium.pictures(number - 1), failed) or ():
            found = self._recognise(drawn.pixels, number, failed)
            if found is None:
                break
            sure = ocr.Recognised.of([line for line in found.lines if line.confidence >= _SURE])
            if sum(map(str.isalnum, sure.text)) >= _FEW_LETTERS:
                texts.append(moved(sure.text, _add_words(spots, sure, drawn.corner)))
                regions.append(sure)
        if not texts:
            return page, []
        confidence = sum(one.confidence for one in regions) / len(regions)
        message = f"the text of {len(texts)} picture(s) on the page was recognised (confidence {confidence:.2f})"
        text = joined("\n\n", [page.text.rstrip("\n"), *texts])
        read = replace(page, text=text, margins=(page.margins[0], 0), spots=spots)
        return read, [Issue("text-recognised", message, number)]

    def _unread(self, number: int) -> list[Issue]:
        """The issue about large pictures if no engine is installed."""
        if self._pdfium is None:
            return []
        try:
            with engine_step("drawing", number):
                count = self._pdfium.picture_count(number - 1)
        except EngineError:  # a page that cannot be drawn is reported where pages are drawn
            return []
        message = f"text in {count} picture(s) on the page is not read"
        return [self._with_remedy(Issue("pictures-unread", message, number))] if count else []

    def _drawn(self, number: int, draw: Callable[[PdfiumFile], Any], failed: list[Issue]) -> Any:
        if self._pdfium is None:
            return None
        try:
            with engine_step("drawing", number):
                return draw(self._pdfium)
        except EngineError as error:
            failed.append(_failed(f"it cannot be drawn: {reason_of(error)}", number))
            return None

    @staticmethod
    def _recognise(picture: Any, number: int, failed: list[Issue]) -> ocr.Recognised | None:
        try:
            with engine_step("ocr", number):
                engine = ocr.engines.engine()
                found = engine.recognise(picture) if engine is not None else ocr.Recognised()
        except EngineError as error:
            failed.append(_failed(reason_of(error), number))
            return None
        listed_words(number, found.words)
        return found

    def _with_remedy(self, issue: Issue) -> Issue:
        remedy = "ocr='auto' recognises it" if self._mode == "off" and ocr.engines.engine_name() else _install()
        return replace(issue, message=f"{issue.message}; {remedy}")


def _failed(reason: str, number: int) -> Issue:
    return Issue("recognition-failed", f"text in pictures of the page is not recognised ({reason})", number)


def _add_words(spots: Spots, found: ocr.Recognised, corner: Corner) -> int:
    """Put the places of recognised words on the page among the spots; returns the number of the first."""
    direction = LEVEL if corner.is_upright == (found.turned % 180 == 0) else UPRIGHT
    first = len(spots)
    for word in found.words:
        spots.add(*corner.box(word.box), direction)
    return first


def _install() -> str:
    return "install sharedllm-docs[ocr] to have it recognised"


def _doubt(page: PageText) -> str:
    """Why the page's characters are not its text; "" if they may be."""
    reason = illegible(page.text)
    if reason and page.undecoded >= _UNDECODED:
        return f"its fonts do not say which letters they show, and {reason}"
    return reason


def _undecoded(page: PageText, number: int) -> list[Issue]:
    """Whether fonts do not say which letters they show, although the letters look like text."""
    if page.undecoded < _UNDECODED:
        return []
    message = f"fonts do not say which letters they show: {page.undecoded:.0%} of the text may be wrong"
    return [Issue("undecodable-text", message, number)]


def _confidence(found: ocr.Recognised, number: int) -> Issue:
    code = "text-recognised" if found.confidence >= _DOUBTFUL else "text-recognised-poorly"
    return Issue(code, f"the page's text was recognised from its picture (confidence {found.confidence:.2f})", number)


def _unrecognised(issue: Issue) -> Issue:
    return replace(issue, message=f"{issue.message}, and no text is recognised in it")
