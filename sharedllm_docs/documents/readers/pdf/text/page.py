"""One page of a PDF that is open in PDFium: its text as someone who looks at the page reads it.

PDFium's own page text drops indentation, joins superscripts to the number before them, is in the order in which the
file draws it, and contains text that no viewer shows. The other modules of this folder find the edits that correct
this; here they are put together with the layout of the page.
"""

from __future__ import annotations

import bisect
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from sharedllm_docs.documents.cleaning import MARGIN_LINES
from sharedllm_docs.documents.readers.pdf.engine import PageText, listed
from sharedllm_docs.documents.readers.pdf.fields import Field
from sharedllm_docs.documents.readers.pdf.layout.boxes import Word
from sharedllm_docs.documents.readers.pdf.layout.continued import OpenTable, Sheet
from sharedllm_docs.documents.readers.pdf.layout.page import LaidOut, lay_out
from sharedllm_docs.documents.readers.pdf.layout.written import Part
from sharedllm_docs.documents.readers.pdf.measure import MAX_CHARACTERS, Extents, Measured, clipped
from sharedllm_docs.documents.readers.pdf.text.characters import Characters
from sharedllm_docs.documents.readers.pdf.text.edits import Edit, applied, gaps, inside
from sharedllm_docs.documents.readers.pdf.text.hidden import hidden_words
from sharedllm_docs.documents.readers.pdf.text.labels import fill_in
from sharedllm_docs.documents.readers.pdf.text.lines import TextLine, indentation, lines_of, with_code_marked
from sharedllm_docs.documents.readers.pdf.text.lone_marks import lone_marks
from sharedllm_docs.documents.readers.pdf.text.margins import WIDE_GAP, margin_lines
from sharedllm_docs.documents.readers.pdf.text.superscripts import SMALL, superscripts
from sharedllm_docs.documents.readers.placing import Spots
from sharedllm_docs.documents.traced import NOWHERE, Traced, joined, marked, marks_of, substitute

_TIGHT = 0.12  # font sizes: between two pieces of one word
_FEW_LETTERS = 120  # text of a stamp, not of a page
_LINE_END = re.compile("\r\n")


class PdfiumPage:
    """One open page. Positions are offsets into ``text``; PDFium's lock must be held.

    Args:
        page: of pypdfium2.
        textpage: its text page.

    Attributes:
        text: PDFium's own page text.
    """

    def __init__(self, page: Any, textpage: Any) -> None:
        self._characters = Characters(page, textpage)
        self.text = self._characters.text

    @cached_property
    def measured(self) -> Measured:
        """Words and drawn lines with their places."""
        glyphs = self._characters
        return Measured(glyphs.page, glyphs.handle, self.text, glyphs.index, glyphs.bounds)

    def page_text(self, fields: Sequence[Field] = (), before: OpenTable | None = None) -> PageText:
        """Text as a reader of the page sees it, with what is known of its layout.

        Args:
            fields: filled form fields and notes; the value of a field follows its label, others come last.
            before: the table at the end of the page before.
        """
        # the value of a field has a mark of its own, above those of the page's characters
        fields = [replace(one, value=marked(one.value, len(self.text) + n)) for n, one in enumerate(fields)]
        hidden = hidden_words(self._characters)
        lines = [line for line in lines_of(self._characters) if not inside(hidden, line.start, line.end)]
        filled, unlabelled = fill_in(self._characters, [line for line in lines if line.text.strip()], fields)
        laid_out = self._laid_out(hidden, lines, before)
        corrections = list(self._corrections(hidden, lines))
        if laid_out is None:
            text, lead, trail = self._in_file_order(lines, corrections, filled)
        else:
            text, lead, trail = self._written(laid_out, [*corrections, *filled])
        text = substitute(_LINE_END, "\n", text)
        if unlabelled:
            text = (text + listed(unlabelled)).lstrip("\n")
        text, spots = self._placed(text, fields)
        visible = sum(end - start for start, end in gaps(hidden, len(self.text)))
        return PageText(
            text=text,
            margins=(min(lead, MARGIN_LINES), 0 if unlabelled else min(trail, MARGIN_LINES)),
            scanned=visible <= _FEW_LETTERS and not fields and self._characters.is_covered,
            hidden=len(hidden),
            undecoded=self._characters.undecoded(),
            spots=spots,
            open_table=laid_out.open_table if laid_out is not None else None,
        )

    def _corrections(self, hidden: Sequence[tuple[int, int]], lines: Sequence[TextLine]) -> Iterator[Edit]:
        """Edits of single places: hidden words removed, code indented, superscripts written as such."""
        yield from (Edit(start, end, "") for start, end in hidden)
        yield from indentation(lines)
        lone = list(lone_marks(self._characters))
        known = [*hidden, *((edit.start, edit.end) for edit in lone)]
        yield from lone
        yield from (edit for edit in superscripts(self._characters) if not inside(known, edit.start, edit.end))

    # -- the text in the order of the file, or as it was laid out; both with the numbers of lines in their margins

    def _in_file_order(
        self, lines: Sequence[TextLine], corrections: Sequence[Edit], filled: Sequence[Edit]
    ) -> tuple[str, int, int]:
        lead, trail, wide_gaps = margin_lines(self._characters, [line for line in lines if line.text.strip()])
        widened = [Edit(place, place, "  ") for place in wide_gaps]
        return applied(self.text, [*corrections, *widened, *filled], [(0, len(self.text))]), lead, trail

    def _written(self, laid_out: LaidOut, edits: Sequence[Edit]) -> tuple[str, int, int]:
        text, lines = list[str](), list[TextLine]()
        pending = sorted(edits, key=lambda edit: (edit.start, edit.end))
        starts = [edit.start for edit in pending]
        used: set[int] = set()
        for parts in laid_out.lines:
            line: list[str] = []
            for part in parts:
                for start, end, glue in self._spans(part.words):
                    low, high = bisect.bisect_left(starts, start), bisect.bisect_right(starts, end)
                    own = [n for n in range(low, high) if pending[n].end <= end and n not in used]
                    used.update(own)
                    piece = applied(self.text, [pending[n] for n in own], [(start, end)])
                    line += [glue, substitute(_LINE_END, " ", piece)]
                if not part.words:
                    line.append(part.text)
            whole = joined("", line)
            words = parts[0].words if len(parts) == 1 else ()
            lines.append(TextLine(words[0].start if words else -1, whole))
            text.append(whole)
        lead, trail, _ = margin_lines(self._characters, lines)
        return joined("\n", text), lead, trail

    def _spans(self, words: Sequence[Word]) -> Iterator[tuple[int, int, str]]:
        """(start, end, what stands before it) of the pieces of the page text that words make up."""
        start = end = -1
        last: Word | None = None
        glue = ""
        for word in words:
            follows = last is not None and 0 <= word.start - end <= 1 and self.text[end : word.start] in ("", " ")
            if last is not None and follows and (word.start > end or word.left - last.right < _TIGHT * word.size):
                end, last = word.end, word
                continue
            if last is not None:
                yield start, end, glue
                gap = word.left - last.right
                tight = _TIGHT * (2 if word.size < SMALL * last.size else 1)
                glue = "" if -word.size < gap < tight * word.size else "  " if gap > WIDE_GAP * word.size else " "
            start, end, last = word.start, word.end, word
        if last is not None:
            yield start, end, glue

    def _laid_out(
        self, hidden: Sequence[tuple[int, int]], lines: Sequence[TextLine], before: OpenTable | None
    ) -> LaidOut | None:
        """Lines in reading order and tables as rows, or None where PDFium's order is right."""
        if len(self.text) > MAX_CHARACTERS:
            return None
        measured = self.measured
        words = [word for word in measured.words if not inside(hidden, word.start, word.end)]
        words = with_code_marked(words, lines)
        laid_out = lay_out(words, measured.rules(), before, Sheet(measured.height, self._is_bold))
        if laid_out is None or not measured.sideways:
            return laid_out
        # text that is set sideways comes last
        aside = [Part(text=self.text[start:end]) for start, end in measured.sideways if not inside(hidden, start, end)]
        rest = [part for one in aside for part in (one, Part(text=" "))][:-1]
        return replace(laid_out, lines=(*laid_out.lines, tuple(rest))) if rest else laid_out

    def _is_bold(self, word: Word) -> bool:
        index = self._characters.index(word.start)
        return index is not None and self._characters.is_bold(index)

    # -- places

    def _placed(self, text: str, fields: Sequence[Field]) -> tuple[str, Spots]:
        """The text with marks that count in the spots, which come with it: of characters, and of fields."""
        spots, size = Spots(), len(self.text)
        glyphs = self._characters
        # TeX's codes for ligatures are white space to Python, so only real spaces are left out
        marks = [NOWHERE if c in " \n" else mark for c, mark in zip(text, marks_of(text), strict=True)]
        drawn = sorted({mark for mark in marks if 0 <= mark < size})
        numbers = Extents(glyphs.handle, glyphs.index, glyphs.bounds).place(drawn, spots)
        for number, one in enumerate(fields, start=size):
            if (shown := clipped((one.left, one.bottom, one.right, one.top), glyphs.bounds)) is not None:
                numbers[number] = spots.add(*shown)
        return Traced(text, array("i", (numbers.get(mark, NOWHERE) for mark in marks))), spots
