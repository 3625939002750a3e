"""XLSX: a sheet is a page, labelled by its name; values as Excel shows them, through openpyxl's streaming mode.

Formulas show the values that Excel kept with them. Hidden sheets, rows and columns are left out and reported.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import unescape
from typing import Any

from sharedllm_docs.documents.document import Document, Issue
from sharedllm_docs.documents.readers.base import Progress, choose_pages, make_document
from sharedllm_docs.documents.readers.flow import Flow
from sharedllm_docs.documents.readers.html_blocks import marked_text
from sharedllm_docs.documents.readers.office.docx import _properties as properties_of
from sharedllm_docs.documents.readers.office.grid import add_sheet
from sharedllm_docs.documents.readers.office.number_format import shown
from sharedllm_docs.documents.readers.office.xml import A, R
from sharedllm_docs.documents.readers.options import ReadOptions
from sharedllm_docs.documents.readers.packed import missing_extra, opened_archive, sniff_packed
from sharedllm_docs.documents.readers.pictures import Pictures
from sharedllm_docs.documents.readers.reasons import reason_of
from sharedllm_docs.documents.readers.source import Source
from sharedllm_docs.errors import DamagedDocumentError, DocumentTooLargeError

MAX_CELLS = 2_000_000
_BLOCK = 1 << 20
_ROW = re.compile(rb"<(?:\w+:)?row\b([^>]*)>")
_COLUMN = re.compile(rb"<(?:\w+:)?col\b([^>]*)>")
_MERGED = re.compile(rb'<(?:\w+:)?mergeCell\b[^>]*\bref="([A-Z]+)(\d+):([A-Z]+)(\d+)"')
_UNCOMPUTED = re.compile(
    rb"<(?:\w+:)?c\b([^>]*)>\s*<(?:\w+:)?f\b[^>]*>([^<]*)</(?:\w+:)?f>\s*(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v></(?:\w+:)?v>)?\s*"
    rb"</(?:\w+:)?c>"
)
_HIDDEN = re.compile(rb'\bhidden="(?:1|true)"')
_EDGE = re.compile(rb"<(?:\w+:)?(?:odd|even|first)(Header|Footer)>([^<]*)</")
_EDGE_CODE = re.compile(r'&(?:"[^"]*"|\d{1,3}|K[0-9A-F]{6}|[BIUSXYEOHLCRPNDTZFG])')
_COUNTS = re.compile(r"(?i)(?:\w+\.? )?&P(?: ?(?:/|\w+) ?&N)?|&N")
_NUMBER = re.compile(rb'\b(r|min|max)="(\d+)"')
_CELL = re.compile(rb'\br="([A-Z]+)(\d+)"')
_OVERLAP = 4096
_SVG = "{http://schemas.microsoft.com/office/drawing/2016/SVG/main}svgBlip"


@dataclass
class _Shape:
    """What streaming mode does not say about a sheet.

    Attributes:
        rows: numbers of hidden rows.
        columns: (first, last) of hidden columns.
        merged: (first row, first column, last row, last column) of merged cells.
        formulas: (row, column) -> formula without a kept value.
        edges: ("Header" or "Footer", its code) of printed pages.
    """

    rows: set[int] = field(default_factory=set)
    columns: list[tuple[int, int]] = field(default_factory=list)
    merged: list[tuple[int, int, int, int]] = field(default_factory=list)
    formulas: dict[tuple[int, int], str] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)

    def hides(self, column: int) -> bool:
        return any(first <= column <= last for first, last in self.columns)


class XlsxReader:
    """Excel workbooks since 2007."""

    name = "xlsx"
    version = "4"
    suffixes = (".xlsx", ".xlsm", ".xltx", ".xltm")
    takes = frozenset({"password", "ocr"})

    def sniff(self, head: bytes, name: str) -> bool:
        """A zip archive, or an encrypted container, of an Excel name."""
        return sniff_packed(head, name, self.suffixes)

    def read(self, source: Source, options: ReadOptions, progress: Progress | None) -> Document:
        """Read the sheets that Excel shows.

        Raises:
            MissingExtraError: openpyxl is not installed.
            EncryptedDocumentError: without the right password.
            DamagedDocumentError, DocumentTooLargeError: not a whole workbook, or a hostile or very large one.
        """
        try:
            import openpyxl
        except ImportError as error:
            raise missing_extra(source.name, "openpyxl", "office") from error
        with opened_archive(source, options.password) as archive:
            try:
                book = openpyxl.load_workbook(archive.fp, read_only=True, data_only=True, keep_links=False)
            except (KeyError, ValueError, TypeError, AttributeError, SyntaxError, IndexError) as error:
                reason = reason_of(error)
                raise DamagedDocumentError(
                    f"{source.name} is not a workbook, or a damaged one: {reason}.",
                    remedy="Open it in Excel and save it.",
                ) from error
            numbers = choose_pages(source.name, len(book.worksheets), options)
            flow, issues = Flow(options.clean), list[Issue]()
            if book.chartsheets:
                named = ", ".join(repr(str(sheet.title)) for sheet in book.chartsheets[:10])
                issues.append(
                    Issue("pictures", f"{len(book.chartsheets)} sheet(s) that are a chart are left out: {named}")
                )
            cells, pictures = _Counter(source.name), Pictures(options)
            for number, sheet in enumerate(book.worksheets, start=1):
                if number > 1:
                    flow.new_page()
                flow.label(_name(sheet, number))
                if number in set(numbers):
                    issues += _Sheet(archive, sheet, number, flow, cells, pictures).read()
                    if progress is not None:
                        progress(numbers.index(number) + 1, len(numbers))
            issues += pictures.issues()
            pages, sections = flow.pages(numbers)
            return make_document(
                self,
                source,
                options,
                pages=pages,
                page_count=len(book.worksheets),
                sections=sections,
                issues=issues,
                metadata={name: text for name, text in _metadata(book).items() if text != "openpyxl"},
            )


class _Counter:
    """Counts cells, so that a sheet of a billion is refused and not read."""

    def __init__(self, name: str) -> None:
        self.name, self.left = name, MAX_CELLS

    def take(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise DocumentTooLargeError(
                f"{self.name} has more than {MAX_CELLS:,} filled cells.",
                remedy="Name its sheets with pages=, or save the part that matters.",
            )


def _metadata(book: Any) -> dict[str, str]:
    class Holder:
        core_properties = book.properties

    book.properties.author = getattr(book.properties, "creator", "") or ""
    return properties_of(Holder)


def _name(sheet: Any, number: int) -> str:
    """What a sheet is called; a name of blanks is none, and its rows would stand under the sheet before."""
    return str(sheet.title) if str(sheet.title).strip() else f"Sheet {number}"


class _Sheet:
    def __init__(
        self, archive: zipfile.ZipFile, sheet: Any, number: int, flow: Flow, cells: _Counter, pictures: Pictures
    ) -> None:
        self.archive, self.sheet, self.number, self.flow, self.cells = archive, sheet, number, flow, cells
        self.pictures = pictures
        self.shape = _Shape()
        self.hidden_cells = 0

    def read(self) -> list[Issue]:
        if self.sheet.sheet_state != "visible":
            return [Issue("hidden-sheet", f"the sheet {self.sheet.title!r} is hidden and left out", self.number)]
        self.shape = self._look()
        name = _name(self.sheet, self.number)
        self.flow.add(name, level=1)
        add_sheet(self.flow, self._rows(), name, laid_out=True)
        for text in (*self._notes(), *self._drawings(), *self._edges()):
            self.flow.add(text)
        issues = []
        if self.hidden_cells:
            message = f"{self.hidden_cells} filled cell(s) in hidden rows and columns are left out"
            issues.append(Issue("hidden-cells", message, self.number))
        if self.shape.formulas:
            message = (
                f"{len(self.shape.formulas)} formula(s) have no value in the file and are read as formulas; "
                "open and save it in Excel"
            )
            issues.append(Issue("formula-without-value", message, self.number))
        return issues

    def _look(self) -> _Shape:
        """Hidden rows and columns, merged cells and formulas without values, out of the sheet's XML, block by block."""
        shape, tail = _Shape(), b""
        with self.archive.open(self.sheet._worksheet_path) as part:
            while block := part.read(_BLOCK):
                data = tail + block
                cut = len(tail)
                for match in _ROW.finditer(data):
                    if match.end() > cut and _HIDDEN.search(match[1]):
                        shape.rows.update(int(value) for name, value in _NUMBER.findall(match[1]) if name == b"r")
                for match in _COLUMN.finditer(data):
                    if match.end() > cut and _HIDDEN.search(match[1]):
                        ends = {name: int(value) for name, value in _NUMBER.findall(match[1])}
                        shape.columns.append((ends.get(b"min", 0), ends.get(b"max", 0)))
                for match in _MERGED.finditer(data):
                    if match.end() > cut and len(shape.merged) < 100_000:
                        left, top, right, bottom = match.groups()
                        shape.merged.append((int(top), _letters(left), int(bottom), _letters(right)))
                for match in _UNCOMPUTED.finditer(data):
                    place = _CELL.search(match[1])
                    if match.end() > cut and place and len(shape.formulas) < 100_000:
                        formula = match[2].decode("utf-8", "replace")
                        shape.formulas[int(place[2]), _letters(place[1])] = f"={formula}"
                for match in _EDGE.finditer(data):
                    if match.end() > cut and len(shape.edges) < 6:
                        shape.edges.append((match[1].decode(), unescape(match[2].decode("utf-8", "replace"))))
                tail = data[-_OVERLAP:]
        return shape

    def _rows(self) -> Iterator[list[str]]:
        self.sheet.reset_dimensions()  # a forged one would be padded to sixteen thousand columns
        spread = self._spread()
        for number, row in enumerate(self.sheet.iter_rows(), start=1):
            cells = [self._cell(cell) for cell in row]
            filled = sum(map(bool, cells))
            self.cells.take(filled)
            if number in self.shape.rows:
                self.hidden_cells += filled
                continue
            for column, text in spread.pop(number, {}).items():
                cells += [""] * (column - len(cells))
                merged = text(cells)
                cells[column - 1] = cells[column - 1] or merged
            if self.shape.columns:
                self.hidden_cells += sum(bool(cell) for at, cell in enumerate(cells, 1) if self.shape.hides(at))
                cells = [cell for at, cell in enumerate(cells, 1) if not self.shape.hides(at)]
            yield cells

    def _cell(self, cell: Any) -> str:
        value = cell.value
        if value is None:
            row, column = getattr(cell, "row", 0), getattr(cell, "column", 0)  # an empty cell knows no place
            return self.shape.formulas.get((row, column), "")
        return shown(value, cell.number_format or "General")

    def _spread(self) -> dict[int, dict[int, Any]]:
        """For merged cells: row -> column -> what stands there, found when the row is read.

        A cell that spans rows holds for each of them, one that spans columns of a head for each of these.
        """
        kept: dict[tuple[int, int], str] = {}
        spread: dict[int, dict[int, Any]] = {}
        for top, left, bottom, right in self.shape.merged:
            if bottom - top > 10_000 or right - left > 1000:
                continue

            def first(cells: list[str], key: tuple[int, int] = (top, left)) -> str:
                kept[key] = cells[key[1] - 1] if key[1] <= len(cells) else ""
                return kept[key]

            def again(cells: list[str], key: tuple[int, int] = (top, left)) -> str:
                return kept.get(key, "")

            spread.setdefault(top, {})[left] = first
            for row in range(top, bottom + 1):
                for column in range(left, right + 1):
                    # a title over the whole table is not said in every column
                    if (row, column) != (top, left) and (row > top or right - left < 6):
                        spread.setdefault(row, {})[column] = again
        return {row: dict(sorted(columns.items())) for row, columns in spread.items()}

    def _notes(self) -> Iterator[str]:
        """Comments on cells, out of the part that belongs to the sheet."""
        for _, part in self._related(self.sheet._worksheet_path, "/comments"):
            for comment in self._parsed(part).iter("{*}comment"):
                text = " ".join("".join(piece.text or "" for piece in comment.iter("{*}t")).split())
                if text:
                    yield f"Comment ({comment.get('ref', '')}): {text}"

    def _edges(self) -> Iterator[str]:
        """What stands above and below the sheet where it is printed, each once; numbers of pages and dates aside."""
        texts = dict.fromkeys((kind, _edge_text(code, str(self.sheet.title))) for kind, code in self.shape.edges)
        yield from (f"Page {kind.lower()}: {text}" for kind, text in texts if any(map(str.isalnum, text)))

    def _drawings(self) -> Iterator[str]:
        """Text boxes and pictures of the sheet, top to bottom; charts by their titles, their values stand in cells."""
        for _, part in self._related(self.sheet._worksheet_path, "/drawing"):
            parts = dict(self._related(part, ""))
            for anchor in self._parsed(part):
                text = "\n".join(_paragraphs(anchor))
                if text:
                    yield f"Text box: {text}"
                for blip in anchor.iter(f"{A}blip"):
                    drawing = next(blip.iter(_SVG), None)
                    text = self._picture(drawing, parts) if drawing is not None else ""
                    yield marked_text(text or self._picture(blip, parts))
                for chart in anchor.iter("{*}chart"):
                    target = parts.get(chart.get(f"{R}id"), "")
                    title = " ".join(_paragraphs(self._parsed(target).find(".//{*}title"))) if target else ""
                    if title:
                        yield f"Chart: {title}"

    def _picture(self, shown: Any, parts: Mapping[str, str]) -> str:
        """Text of a picture, or a note why it is not read."""
        target = parts.get(shown.get(f"{R}embed"), "")
        if target:
            return self.pictures.text(self.archive.read(target), f"{self.sheet.title}: {target.rpartition('/')[2]}")
        name = f"{self.sheet.title}: a picture"
        if shown.get(f"{R}link"):
            self.pictures.outside(name)
        else:
            self.pictures.lost(name, "it is missing from the file")
        return ""

    def _parsed(self, part: str) -> Any:
        from lxml import etree

        return etree.fromstring(self.archive.read(part), etree.XMLParser(resolve_entities=False, no_network=True))

    def _related(self, path: str, kind: str) -> Iterator[tuple[str, str]]:
        """(identity, part) of what a part refers to, of types that end so."""
        path = path.lstrip("/")
        folder, _, name = path.rpartition("/")
        relations = f"{folder}/_rels/{name}.rels"
        names = set(self.archive.namelist())
        if relations not in names:
            return
        for relation in self._parsed(relations):
            target = str(relation.get("Target", ""))
            part = target.lstrip("/") if target.startswith("/") else _joined(folder, target)
            if str(relation.get("Type", "")).endswith(kind) and part in names:
                yield str(relation.get("Id", "")), part


def _edge_text(code: str, sheet: str) -> str:
    """The text of a header or footer, its left, middle and right part one after the other."""
    parts = re.split(r"&[LCR]", code.replace("&&", "\0"))
    plain = (_EDGE_CODE.sub("", _COUNTS.sub("", part).replace("&A", sheet)) for part in parts)
    shown = (" ".join(part.split()).strip(" ,;|/-") for part in plain)
    return " | ".join(filter(None, shown)).replace("\0", "&")


def _paragraphs(element: Any) -> list[str]:
    """The lines of text of a drawing."""
    if element is None:
        return []
    found = ("".join(piece.text or "" for piece in one.iter(f"{A}t")) for one in element.iter(f"{A}p"))
    return [" ".join(text.split()) for text in found if text.strip()]


def _joined(folder: str, target: str) -> str:
    parts = folder.split("/")
    for part in target.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def _letters(letters: bytes) -> int:
    """The number of a column: A is 1, AA is 27."""
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number
