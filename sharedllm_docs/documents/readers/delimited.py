"""CSV and TSV: one table, with every value after the header of its column."""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterator

from sharedllm_docs.documents.document import Document, Issue
from sharedllm_docs.documents.readers.base import Progress, choose_pages, make_document
from sharedllm_docs.documents.readers.decode import decode, looks_like_text
from sharedllm_docs.documents.readers.flow import Flow
from sharedllm_docs.documents.readers.office.grid import add_sheet
from sharedllm_docs.documents.readers.office.xlsx import MAX_CELLS
from sharedllm_docs.documents.readers.options import ReadOptions
from sharedllm_docs.documents.readers.reasons import reason_of
from sharedllm_docs.documents.readers.source import Source
from sharedllm_docs.errors import DamagedDocumentError, DocumentTooLargeError

_DELIMITERS = ",;\t|"
_SAMPLE = 1 << 16
_LONGEST_FIELD = 1 << 20


class CsvReader:
    """Values between commas, semicolons, tabs or bars, in any text encoding."""

    name = "csv"
    version = "2"
    suffixes = (".csv", ".tsv", ".tab")
    takes = frozenset({"encoding"})

    def sniff(self, head: bytes, name: str) -> bool:
        """Text of such a name."""
        return name.lower().endswith(self.suffixes) and looks_like_text(head)

    def read(self, source: Source, options: ReadOptions, progress: Progress | None) -> Document:
        """One page with the table.

        Raises:
            DamagedDocumentError: the bytes are not in ``options.encoding``, or a quoted value never ends.
            DocumentTooLargeError: more than ``MAX_CELLS`` values.
        """
        text, issues = decode(source.read(), source.name, options.encoding)
        choose_pages(source.name, 1, options)
        flow = Flow(options.clean)
        add_sheet(flow, _rows(text, source.name, issues))
        pages, sections = flow.pages()
        if progress is not None:
            progress(1, 1)
        return make_document(self, source, options, pages=pages, page_count=1, sections=sections, issues=issues)


def _rows(text: str, name: str, issues: list[Issue]) -> Iterator[list[str]]:
    """The rows; ``issues`` gets those that consist of several lines because a quotation mark is not closed."""
    csv.field_size_limit(_LONGEST_FIELD)
    delimiter = _delimiter(text[:_SAMPLE], name)
    left = MAX_CELLS
    try:
        lines = _Lines(text)
        for number, row in enumerate(csv.reader(lines, delimiter=delimiter), start=1):
            first, raw = lines.taken()
            if '"' in raw and not _is_closed(raw, delimiter):
                issues.append(_unclosed(number, first, raw))
            left -= len(row)
            if left < 0:
                raise DocumentTooLargeError(f"{name} has more than {MAX_CELLS:,} values.", remedy="Split it.")
            yield row
    except csv.Error as error:
        raise DamagedDocumentError(
            f"{name} cannot be read as CSV: {reason_of(error)}.", remedy="Export it again."
        ) from error


class _Lines:
    """The lines of a text one by one, and those that were taken since the last call of ``taken``."""

    def __init__(self, text: str) -> None:
        self._lines = io.StringIO(text)
        self._number = 0
        self._taken = list[str]()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self._number += 1
        self._taken.append(line)
        return line

    def taken(self) -> tuple[int, str]:
        """The number of the first line, from 1, and the text of all."""
        first, raw = self._number - len(self._taken) + 1, "".join(self._taken)
        self._taken.clear()
        return first, raw


def _is_closed(raw: str, delimiter: str) -> bool:
    """Whether the quotation marks of a row are closed where they should be.

    In a row of several lines, a closing mark that is followed by more text did not close the value: it opens another
    value further down, and the mark before swallowed the lines between. In a single line it is a mark that was not
    doubled, which does no harm.
    """
    try:
        deque(csv.reader(io.StringIO(raw), delimiter=delimiter, strict=True), maxlen=0)
    except csv.Error as error:
        return "\n" not in raw.rstrip("\n") and "end of data" not in str(error)
    return True


def _unclosed(row: int, line: int, raw: str) -> Issue:
    last = line + raw.rstrip("\n").count("\n")
    lines = f"line {line} is" if last == line else f"lines {line} to {last} are"
    return Issue("unclosed-quote", f"row {row} has a quote that is not closed: {lines} read as one row")


def _delimiter(sample: str, name: str) -> str:
    """The delimiter that divides most lines into the same number of values; if none does, the one of the file's
    suffix."""
    if name.lower().endswith((".tsv", ".tab")):
        return "\t"
    lines = [line for line in sample.split("\n")[:50] if line.strip()]
    if lines and lines[0].lower().startswith("sep=") and len(lines[0].strip()) == 5:
        return lines[0].strip()[4]

    def evenness(delimiter: str) -> tuple[float, int]:
        try:
            counts = [len(row) for row in csv.reader(lines, delimiter=delimiter)]
        except csv.Error:
            return 0.0, 0
        usual = max(set(counts), key=counts.count, default=1)
        return (counts.count(usual) / len(counts), usual) if usual > 1 else (0.0, 1)

    return max(_DELIMITERS, key=evenness)
