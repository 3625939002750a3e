"""Reads an opened PDF: takes the text page by page, cleans it and places the sections.

Every loss is an issue; only a document of which nothing can be read is an error.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from sharedllm_docs.documents.boxes import Places
from sharedllm_docs.documents.cleaning import clean_pages, normalise_line_breaks
from sharedllm_docs.documents.document import Document, Issue, Page
from sharedllm_docs.documents.readers import ocr
from sharedllm_docs.documents.readers.base import (
    Progress,
    Reader,
    choose_pages,
    cleaning_issues,
    listed_words,
    make_document,
    recorded_words,
)
from sharedllm_docs.documents.readers.options import ReadOptions
from sharedllm_docs.documents.readers.pdf.engine import EngineError, PageText, engine_step
from sharedllm_docs.documents.readers.pdf.fields import Field
from sharedllm_docs.documents.readers.pdf.layout.continued import OpenTable
from sharedllm_docs.documents.readers.pdf.open import OpenedPdf, open_pdf
from sharedllm_docs.documents.readers.pdf.outline import locate_sections
from sharedllm_docs.documents.readers.pdf.pdfium import PdfiumFile
from sharedllm_docs.documents.readers.pdf.pypdf_file import OutlineEntry, collected_logs
from sharedllm_docs.documents.readers.pdf.recognise import PageRecogniser
from sharedllm_docs.documents.readers.placing import numbered, places_of
from sharedllm_docs.documents.readers.reasons import reason_of
from sharedllm_docs.documents.readers.source import Source
from sharedllm_docs.documents.readers.steps import StepFailed, page_once
from sharedllm_docs.documents.tables import without_marks
from sharedllm_docs.documents.traced import joined
from sharedllm_docs.errors import DamagedDocumentError, EmptyDocumentError, ScannedDocumentError

_Part = TypeVar("_Part")

_END_MARK_WITHIN = 1024  # bytes from the end in which viewers look for %%EOF


@dataclass(frozen=True)
class _Structure:
    labels: Sequence[str] = ()
    outline: Sequence[OutlineEntry] = ()
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _ReadPage:
    """A page as it was read.

    Attributes:
        page: its text.
        issues: what there is to say about it.
        words: that were recognised on it.
        before: the table at the end of the page before, with which it was read.
    """

    page: PageText
    issues: tuple[Issue, ...]
    words: tuple[ocr.Word, ...] = ()
    before: OpenTable | None = None


def read_pdf(reader: Reader, source: Source, options: ReadOptions, progress: Progress | None) -> Document:
    """See ``PdfReader.read``."""
    with collected_logs() as logs:
        opened = open_pdf(source, options)
    with contextlib.closing(opened):
        count = opened.count
        numbers = choose_pages(source.name, count, options)
        with collected_logs():
            structure, issues = _structure(opened)
        read = _read_pages(opened, numbers, options, progress)
        raw = [one.page for one in read]
        issues.extend(issue for one in read for issue in one.issues)
        _add_form(opened, numbers, raw)
        _refuse_textless(source.name, [page.text for page in raw], issues)
        issues = [*opened.issues, *_damage(source, opened, logs), *issues]
    pages, places, cleaning = _pages(raw, numbers, structure, count, options)
    told = {issue.page for issue in issues if issue.code == "no-text-on-page"}
    issues.extend(issue for issue in cleaning if issue.page is None or issue.page not in told)
    return make_document(
        reader,
        source,
        options,
        pages=pages,
        page_count=count,
        sections=locate_sections(structure.outline, pages),
        issues=issues,
        metadata=structure.metadata,
        places=places,
    )


def count_pages(source: Source, options: ReadOptions) -> int:
    """How many pages ``read_pdf`` will read, as PDFium alone counts them; 0 where it cannot."""
    try:
        with engine_step("pdfium"), contextlib.closing(PdfiumFile(source, options.password)) as opened:
            return len(choose_pages(source.name, opened.count, options))
    except EngineError:
        return 0


def read_part(source: Source, options: ReadOptions, part: int, parts: int, progress: Progress | None) -> None:
    """Read the pages of one of several parts of equal length, and keep them (``steps.page_once``).

    Args:
        source: the PDF.
        options: those with which the document is to be read.
        part: number of the part, from 0.
        parts: their number.
        progress: called with (pages of the part done, pages of the part).
    """
    with collected_logs():
        opened = open_pdf(source, options)
    with contextlib.closing(opened), collected_logs():
        numbers = choose_pages(source.name, opened.count, options)
        own = numbers[part * len(numbers) // parts : (part + 1) * len(numbers) // parts]
        _read_pages(opened, own, options, progress)


def _read_pages(
    opened: OpenedPdf, numbers: Sequence[int], options: ReadOptions, progress: Progress | None
) -> list[_ReadPage]:
    """The pages, each with the table that the page before leaves open."""
    read = list[_ReadPage]()
    pdfium = next((engine for engine in opened.engines if isinstance(engine, PdfiumFile)), None)
    recogniser = PageRecogniser(options, pdfium)
    for done, number in enumerate(numbers, start=1):
        follows = bool(read) and numbers[done - 2] == number - 1
        read.append(_read_page(opened, recogniser, number, read[-1].page.open_table if follows else None))
        if progress is not None:
            progress(done, len(numbers))
    return read


def _add_form(opened: OpenedPdf, numbers: Sequence[int], raw: list[PageText]) -> None:
    """The lines of an XFA form follow the text of page 1, which is meant for other viewers."""
    with contextlib.suppress(EngineError), engine_step("form"):
        lines = opened.structure.xfa() if opened.structure is not None and numbers[:1] == (1,) else []
        if lines:
            text = joined("\n\n", filter(None, (raw[0].text.rstrip("\n"), "\n".join(lines))))
            raw[0] = replace(raw[0], text=text, margins=(raw[0].margins[0], 0))


def _structure(opened: OpenedPdf) -> tuple[_Structure, list[Issue]]:
    """Labels, outline and metadata, each on its own: one that is damaged does not take the others along."""
    issues: list[Issue] = []
    pypdf_file = opened.structure
    if pypdf_file is None:
        reason = "; ".join(opened.reasons)
        return _Structure(), [Issue("structure-failed", f"outline, labels and metadata cannot be read: {reason}")]

    def part(name: str, read: Callable[[], _Part], without: _Part) -> _Part:
        try:
            with engine_step(name):
                return read()
        except EngineError as error:
            issues.append(Issue("structure-failed", f"the {name} cannot be read: {reason_of(error)}"))
            return without

    labels = part("page labels", pypdf_file.labels, tuple[str, ...]())
    metadata = part("metadata", pypdf_file.metadata, dict[str, str]())
    issues.extend(part("form", pypdf_file.unread, list[Issue]()))
    no_outline: tuple[list[OutlineEntry], int] = ([], 0)
    entries, lost = part("outline", pypdf_file.outline, no_outline)
    if lost:
        issues.append(Issue("outline-entry-lost", f"{lost} outline entries lead to no page"))
    return _Structure(labels, entries, metadata), issues


def _read_page(
    opened: OpenedPdf, recogniser: PageRecogniser, number: int, before: OpenTable | None = None
) -> _ReadPage:
    """A page; one that made the process fail outside the engines is left empty and reported."""

    def make() -> _ReadPage:
        with recorded_words() as words:
            page, issues = recogniser.page(number, *_page_text(opened, number, before))
        return _ReadPage(page, tuple(issues), tuple(words.get(number, ())), before)

    try:
        # the first page of a part was read without the page before it
        read = page_once(number, _ReadPage, make, fits=lambda known: known.before == before)
    except StepFailed as error:
        message = f"the page cannot be read and is left empty ({reason_of(error)})"
        return _ReadPage(PageText(""), (Issue("page-failed", message, number),))
    if read.words:
        listed_words(number, read.words)
    return read


def _page_text(opened: OpenedPdf, number: int, before: OpenTable | None) -> tuple[PageText, list[Issue]]:
    """Raw text of a page from the first engine that finds any, and what there is to say about it."""
    engines = opened.engines
    failures: list[str] = []
    fields, lost_fields = _fields(opened, number)
    drawn, hidden = False, 0
    for position, engine in enumerate(engines):
        try:
            with engine_step(engine.name, number):
                page = engine.text(number - 1, fields, before)
            hidden = max(hidden, page.hidden)
            if page.text.strip():
                issues = [*lost_fields, *_page_issues(page, number)]
                if position and hidden and not page.hidden:
                    break  # the second engine does not know what viewers show
                if position:
                    issues.append(Issue("page-fallback", _fallback(engines[0].name, engine.name, failures), number))
                return page, issues
            with engine_step(engine.name, number):
                drawn = drawn or engine.has_content(number - 1)
        except EngineError as error:
            failures.append(f"{engine.name}: {reason_of(error)}")
    lost = [*lost_fields, *([_hidden(hidden, number)] if hidden else [])]
    if drawn:
        return PageText(""), [*lost, Issue("no-text-on-page", "the page is a picture without a text layer", number)]
    if opened.salvaged:
        failures = failures or ["its content was in the part of the file that is missing"]
    if failures:
        message = f"the page cannot be read and is left empty ({'; '.join(failures)})"
        return PageText(""), [*lost, Issue("page-failed", message, number)]
    return PageText(""), [*lost, Issue("blank-page", "the page is blank", number)]


def _fields(opened: OpenedPdf, number: int) -> tuple[list[Field], list[Issue]]:
    """Filled form fields and notes of a page; none, and an issue, where reading them failed."""
    if opened.structure is None:
        return [], []
    try:
        with engine_step("fields", number):
            return opened.structure.fields(number - 1), []
    except EngineError as error:
        return [], [
            Issue(
                "structure-failed", f"the form fields and notes of the page cannot be read: {reason_of(error)}", number
            )
        ]


def _page_issues(page: PageText, number: int) -> list[Issue]:
    """What is lost of a page although it has text."""
    issues = [_hidden(page.hidden, number)] if page.hidden else []
    if page.scanned:
        letters = sum(character.isalnum() for character in page.text)
        message = f"the page is a picture with only {letters} letters and digits of text on it"
        issues.append(Issue("no-text-on-page", message, number))
    return issues


def _hidden(words: int, number: int) -> Issue:
    message = f"{words} word(s) that no viewer shows (outside the page, without ink, white on white) are left out"
    return Issue("hidden-text", message, number)


def _fallback(first: str, used: str, failures: Sequence[str]) -> str:
    reason = failures[0] if failures else f"{first} found no text"
    return f"the text was read by {used} ({reason})"


def _refuse_textless(name: str, raw: Sequence[str], issues: Sequence[Issue]) -> None:
    """Raise when no page has text: by what most explains it."""
    if any(text.strip() for text in raw):
        return
    codes = {issue.code for issue in issues if issue.page is not None}
    if codes & {"no-text-on-page", "undecodable-text"}:
        raise ScannedDocumentError(
            f"{name}: none of the {len(raw)} page(s) read has a text layer that can be read, they are pictures.",
            remedy=ocr.REMEDY
            if not ocr.engines.engine_name()
            else "Read it with ocr='auto', or check the picture's quality.",
        )
    if "page-failed" in codes:
        reason = next(issue.message for issue in issues if issue.code == "page-failed")
        raise DamagedDocumentError(
            f"{name}: none of the {len(raw)} page(s) can be read; the first: {reason}.",
            remedy="Fetch or export it again.",
        )
    raise EmptyDocumentError(
        f"{name}: all {len(raw)} page(s) read are blank.", remedy="Check that it is the right file."
    )


def _damage(source: Source, opened: OpenedPdf, logs: Sequence[str]) -> list[Issue]:
    """What is wrong with the file as a whole although it could be read."""
    if opened.salvaged:
        return []
    with source.open() as file:
        file.seek(max(0, source.size - _END_MARK_WITHIN))
        ended = b"%%EOF" in file.read()
    issues = [] if ended else [Issue("truncated", "the end mark is missing, so the end of the file may be lost")]
    if logs and ended:
        issues.append(Issue("repaired", f"the file's structure is damaged and was repaired: {logs[0]}"))
    return issues


def _pages(
    raw: Sequence[PageText], numbers: Sequence[int], structure: _Structure, count: int, options: ReadOptions
) -> tuple[list[Page], Places, list[Issue]]:
    """Pages with their labels, cleaned together, where their text stands, and what cleaning took away."""
    known = structure.labels if len(structure.labels) == count else ()
    labels = [known[number - 1] for number in numbers] if known else []
    titles: dict[int, list[str]] = {}
    for entry in structure.outline:
        titles.setdefault(entry.index + 1, []).append(entry.title)
    spots = [page.spots for page in raw]
    traced = numbered([page.text for page in raw], spots)
    texts, issues = [normalise_line_breaks(text) for text in traced], list[Issue]()
    if options.clean:
        cleaned, removed = clean_pages(
            traced,
            numbers=numbers,
            labels=labels,
            headings=[titles.get(number, []) for number in numbers],
            titles=[entry.title for entry in structure.outline],
            margins=[page.margins for page in raw],
            keep_running_lines=options.keep_running_lines,
        )
        issues = cleaning_issues(texts, cleaned, numbers, removed)
        texts = cleaned
    marked = [without_marks(text) for text in texts]
    pages = [
        Page(number, str(text), label, repeats)
        for number, (text, repeats), label in zip(numbers, marked, labels or [""] * len(numbers), strict=True)
    ]
    return pages, places_of([text for text, _ in marked], spots, numbers), issues
