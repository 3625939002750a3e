"""PPTX: a slide is a page, its title a section, through python-pptx. Speaker notes are read, marked as such."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sharedllm_docs.documents.document import Document, Issue
from sharedllm_docs.documents.readers.base import Progress, choose_pages, make_document
from sharedllm_docs.documents.readers.flow import Flow
from sharedllm_docs.documents.readers.html_blocks import marked_text
from sharedllm_docs.documents.readers.office.docx import _properties as properties_of
from sharedllm_docs.documents.readers.office.drawings import SHOWS, comments_of, diagrams_in, picture_text
from sharedllm_docs.documents.readers.office.xml import local
from sharedllm_docs.documents.readers.options import ReadOptions
from sharedllm_docs.documents.readers.packed import missing_extra, opened_archive, sniff_packed
from sharedllm_docs.documents.readers.pictures import Pictures
from sharedllm_docs.documents.readers.reasons import reason_of
from sharedllm_docs.documents.readers.source import Source
from sharedllm_docs.documents.tables import outer_labels, split_header, table_rows
from sharedllm_docs.errors import DamagedDocumentError

_MAX_DEPTH = 30
_UNREAD_PLACES = ("SLIDE_NUMBER", "DATE")


class PptxReader:
    """PowerPoint files since 2007."""

    name = "pptx"
    version = "4"
    suffixes = (".pptx", ".pptm", ".ppsx", ".potx")
    takes = frozenset({"password", "ocr"})

    def sniff(self, head: bytes, name: str) -> bool:
        """A zip archive, or an encrypted container, of a PowerPoint name."""
        return sniff_packed(head, name, self.suffixes)

    def read(self, source: Source, options: ReadOptions, progress: Progress | None) -> Document:
        """Read the slides that a show would show.

        Raises:
            MissingExtraError: python-pptx is not installed.
            EncryptedDocumentError: without the right password.
            DamagedDocumentError, DocumentTooLargeError: not a whole presentation, or a hostile one.
        """
        package = _opened(source, options)
        slides = list(package.slides)
        numbers = choose_pages(source.name, len(slides), options)
        flow, issues, pictures = Flow(options.clean), list[Issue](), Pictures(options)
        said: set[str] = set()  # by layouts and masters of the slides before
        for number, slide in enumerate(slides, start=1):
            if number > 1:
                flow.new_page()
            if number in set(numbers):
                issues += _Slide(package, slide, number, flow, pictures, said).read()
                if progress is not None:
                    progress(numbers.index(number) + 1, len(numbers))
        issues += pictures.issues()
        pages, sections = flow.pages(numbers)
        return make_document(
            self,
            source,
            options,
            pages=pages,
            page_count=len(slides),
            sections=sections,
            issues=issues,
            metadata=properties_of(package),
        )


def _opened(source: Source, options: ReadOptions) -> Any:
    try:
        import pptx
    except ImportError as error:
        raise missing_extra(source.name, "python-pptx", "office") from error
    with opened_archive(source, options.password) as archive:
        try:
            return pptx.Presentation(archive.fp)  # type: ignore[arg-type]
        except (KeyError, ValueError, AttributeError, SyntaxError, IndexError) as error:
            reason = reason_of(error)
            raise DamagedDocumentError(
                f"{source.name} is not a presentation, or a damaged one: {reason}.",
                remedy="Open it in PowerPoint and save it.",
            ) from error


class _Slide:
    def __init__(self, package: Any, slide: Any, number: int, flow: Flow, pictures: Pictures, said: set[str]) -> None:
        self.package, self.slide, self.number, self.flow, self.pictures = package, slide, number, flow, pictures
        self.said = said
        self.left_out = self.charts = self.damaged = 0

    def read(self) -> list[Issue]:
        if self.slide.element.get("show") == "0":
            return [Issue("hidden-slide", "the slide is hidden and left out", self.number)]
        _settle_choices(self.slide.element)
        for picture in self._background():
            self._picture(picture, "background")
        title = self.slide.shapes.title
        if title is not None and title.has_text_frame:
            self.flow.add(_text(title.text_frame), level=1)
        for shape in self._ordered(self.slide.shapes, 0):
            if title is None or shape.shape_id != title.shape_id:
                self._shape(shape)
        self._behind()
        self._notes()
        comments, damaged = comments_of(self.slide.part.rels)
        for text in comments:
            self.flow.add(f"Comment: {text}")
        self.damaged += damaged
        issues = []
        if self.damaged:
            message = f"{self.damaged} diagram(s) or part(s) with comments are missing or damaged"
            issues.append(Issue("structure-failed", message, self.number))
        if self.left_out:
            issues.append(
                Issue("hidden-text", f"{self.left_out} shape(s) that no show shows are left out", self.number)
            )
        if self.charts:
            issues.append(Issue("pictures", f"{self.charts} chart(s) whose values are not in the file", self.number))
        return issues

    def _ordered(self, shapes: Any, depth: int) -> Iterator[Any]:
        """Shapes from top to bottom and left to right, groups taken apart, without hidden ones and those off the slide.

        Positions are compared in steps of a twentieth of the slide, so that boxes side by side stay side by side.
        """
        step = max(1, (self.package.slide_height or 6858000) // 20)
        placed = [(_place(one), one) for one in shapes]
        for _, shape in sorted(placed, key=lambda one: ((one[0][1] or 0) // step, one[0][0] or 0)):
            if self._is_hidden(shape, depth):
                self.left_out += 1
            elif shape.shape_type is not None and "GROUP" in str(shape.shape_type) and depth < _MAX_DEPTH:
                yield from self._ordered(shape.shapes, depth + 1)
            else:
                yield shape

    def _is_hidden(self, shape: Any, depth: int) -> bool:
        properties = next((one for one in shape.element.iter() if local(one) == "cNvPr"), None)
        if properties is not None and properties.get("hidden") in ("1", "true"):
            return True
        left, top, across, down = _place(shape)
        if depth or left is None or top is None or across is None or down is None:
            return False  # places inside a group are its own
        width, height = self.package.slide_width or 0, self.package.slide_height or 0
        return left >= width or left + across <= 0 or top >= height or top + down <= 0

    def _shape(self, shape: Any) -> None:
        if shape.is_placeholder and any(one in str(shape.placeholder_format.type) for one in _UNREAD_PLACES):
            return
        if shape.has_text_frame:
            self.flow.add(_text(shape.text_frame))
        elif getattr(shape, "has_table", False) and shape.has_table:
            self._table(shape.table)
        elif getattr(shape, "has_chart", False) and shape.has_chart:
            self._chart(shape.chart)
        elif local(shape.element) == "graphicFrame":
            lines, damaged = diagrams_in(shape.element, self.slide.part.rels)
            self.flow.add("\n".join(lines))
            self.damaged += damaged
        for picture in shape.element.iter(*SHOWS):  # also those that fill a shape or a cell, or stand for an object
            self._picture(picture, " ".join(str(shape.name).split())[:60])

    def _behind(self) -> None:
        """Text that a layout or master puts on its slides, on the first of them: not what it keeps places for."""
        try:
            layout = self.slide.slide_layout
            behind = [(self.slide, layout), (layout, layout.slide_master)]
        except (KeyError, AttributeError, ValueError):  # a layout that is missing or damaged costs its own text
            return
        for above, below in behind:
            if above.element.get("showMasterSp") in ("0", "false"):
                return
            for shape in self._ordered(below.shapes, 0):
                text = _text(shape.text_frame) if shape.has_text_frame and not shape.is_placeholder else ""
                if text.strip() and text not in self.said:
                    self.said.add(text)
                    self.flow.add(text)

    def _background(self) -> Iterator[Any]:
        """Pictures in the slide's background, as programs make slides of scanned pages."""
        for background in self.slide.element.iter("{*}bg"):
            yield from background.iter(*SHOWS)

    def _picture(self, shown: Any, name: str) -> None:
        """Text of a picture."""
        said = f"slide {self.number}: {name}"
        self.flow.add(marked_text(picture_text(shown, self.slide.part.rels, self.pictures, said)))

    def _table(self, table: Any) -> None:
        grid: list[list[str]] = []
        for row in table.rows:
            cells: list[str] = []
            for cell in row.cells:
                if cell.is_spanned:  # covered by a merged cell: of the same row, or of one above
                    across = cell._tc.get("hMerge") in ("1", "true")
                    cells.append("" if across or not grid else grid[-1][len(cells)])
                else:
                    cells.append(_text(cell.text_frame))
            grid.append(cells)
        header, rows = (grid[0], grid[1:]) if table.first_row and len(grid) > 1 else split_header(grid)
        self.flow.add_lines(table_rows(header, rows, self.flow.title_above(), outer_labels(rows)))

    def _chart(self, chart: Any) -> None:
        """A chart's title, and its values as a table."""
        try:
            title = _text(chart.chart_title.text_frame) if chart.has_title and chart.chart_title.has_text_frame else ""
            self.flow.add(title)
            for plot in chart.plots:
                header = ["", *(str(series.name or "") for series in plot.series)]
                rows = [
                    [str(category), *(_number(list(series.values), at) for series in plot.series)]
                    for at, category in enumerate(plot.categories)
                ]
                self.flow.add_lines(table_rows(header, rows, title))
        except (KeyError, ValueError, AttributeError, IndexError, TypeError):
            self.charts += 1

    def _notes(self) -> None:
        if self.slide.has_notes_slide:
            frame = self.slide.notes_slide.notes_text_frame
            text = _text(frame) if frame is not None else ""
            if text.strip():
                self.flow.add(f"Speaker notes: {text}")


def _place(shape: Any) -> tuple[int | None, int | None, int | None, int | None]:
    """Left, top, width and height of a shape; None where neither it nor its slide's layout, if there is one, says."""
    try:
        return shape.left, shape.top, shape.width, shape.height
    except (KeyError, AttributeError, ValueError):  # a layout that is missing or damaged costs no text
        return None, None, None, None


def _settle_choices(slide: Any) -> None:
    """Put what newer programs show of a choice (formulas among them) in its place; python-pptx passes choices over."""
    for choice in list(slide.iter("{*}AlternateContent")):
        parent = choice.getparent()
        if local(parent) not in ("spTree", "grpSp"):
            continue
        ways = sorted((one for one in choice if local(one) in ("Choice", "Fallback")), key=local)
        for one in list(ways[0]) if ways else ():
            choice.addprevious(one)
        parent.remove(choice)


def _text(frame: Any) -> str:
    """Paragraphs of a text frame; bullets show as ``- `` where the level says that they are indented."""
    lines = []
    for paragraph in frame.paragraphs:
        text = "".join(
            "\n" if local(part) == "br" else part.text or ""
            for part in paragraph._p.iter()
            if local(part) in ("t", "br")
        )
        if text.strip():
            lines.append("  " * min(paragraph.level, 8) + ("- " if paragraph.level else "") + text)
    return "\n".join(lines)


def _number(values: list[Any], at: int) -> str:
    value = values[at] if at < len(values) else None
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
