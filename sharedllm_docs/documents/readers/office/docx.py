"""DOCX: what Word shows of a document, through python-docx. Headings are sections; pages where Word has written them.

Tracked insertions are read and deletions left out, as Word shows the document by default; footnotes follow the
paragraph that refers to them, comments the one they stand beside.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sharedllm_docs.documents.cleaning import is_page_number, raised_behind
from sharedllm_docs.documents.document import Document, Issue
from sharedllm_docs.documents.readers.base import Progress, choose_pages, make_document
from sharedllm_docs.documents.readers.flow import Flow
from sharedllm_docs.documents.readers.html_blocks import marked_text
from sharedllm_docs.documents.readers.office.drawings import SHOWS, charts_in, diagrams_in, picture_text
from sharedllm_docs.documents.readers.office.numbering import Numbering
from sharedllm_docs.documents.readers.office.xml import W, children, local, value_of
from sharedllm_docs.documents.readers.options import ReadOptions
from sharedllm_docs.documents.readers.packed import missing_extra, opened_archive, sniff_packed
from sharedllm_docs.documents.readers.pictures import Pictures
from sharedllm_docs.documents.readers.reasons import reason_of
from sharedllm_docs.documents.readers.source import Source
from sharedllm_docs.documents.tables import head_rows, join_heads, outer_labels, split_header, table_rows
from sharedllm_docs.errors import DamagedDocumentError

_SHORT_PAGE = 2400  # characters up to which text between two breaks surely fits a page
_LETTERING = "{urn:schemas-microsoft-com:vml}textpath"  # letters that are drawn, as of a watermark
_FIELD = "\ue000"  # stands for what a field of a header or footer shows
_MAX_DEPTH = 40  # of nested tables, boxes and content controls
_SYMBOLS = {"f0b7": "•", "f0a7": "▪", "f0fe": "☑", "f0a8": "☐", "f0fc": "✓", "f0e0": "→"}


class DocxReader:
    """Word documents since 2007, macros and templates included."""

    name = "docx"
    version = "4"
    suffixes = (".docx", ".docm", ".dotx", ".dotm")
    takes = frozenset({"password", "ocr"})

    def sniff(self, head: bytes, name: str) -> bool:
        """A zip archive, or an encrypted container, of a Word name."""
        return sniff_packed(head, name, self.suffixes)

    def read(self, source: Source, options: ReadOptions, progress: Progress | None) -> Document:
        """Read the whole document.

        Raises:
            MissingExtraError: python-docx is not installed.
            EncryptedDocumentError: without the right password.
            DamagedDocumentError, DocumentTooLargeError: not a whole Word document, or a hostile one.
        """
        package = _opened(source, options)
        story = _Story(package, Flow(options.clean), Pictures(options))
        story.read()
        numbers = choose_pages(source.name, story.flow.page_count, options)
        pages, sections = story.flow.pages(numbers)
        if progress is not None:
            progress(len(pages), len(pages))
        return make_document(
            self,
            source,
            options,
            pages=pages,
            page_count=story.flow.page_count,
            sections=sections,
            issues=story.issues(),
            metadata=_properties(package),
        )


def _opened(source: Source, options: ReadOptions) -> Any:
    """The package as python-docx opens it."""
    try:
        import docx
        from docx.opc.exceptions import PackageNotFoundError
    except ImportError as error:
        raise missing_extra(source.name, "python-docx", "office") from error
    with opened_archive(source, options.password) as archive:
        try:
            return docx.Document(archive.fp)  # type: ignore[arg-type]
        except (KeyError, ValueError, PackageNotFoundError, AttributeError, SyntaxError) as error:
            reason = reason_of(error)
            raise DamagedDocumentError(
                f"{source.name} is not a Word document, or a damaged one: {reason}.",
                remedy="Open it in Word and save it.",
            ) from error


def _properties(package: Any) -> dict[str, str]:
    try:
        core = package.core_properties
        found = {
            "title": core.title,
            "author": core.author,
            "subject": core.subject,
            "keywords": core.keywords,
            "creationdate": core.created.isoformat() if core.created else "",
        }
    except (KeyError, ValueError, AttributeError):
        return {}
    return {name: " ".join(str(value).split()) for name, value in found.items() if value}


@dataclass
class _Seen:
    """What is counted while a document is read, for the issues."""

    deleted: int = 0
    hidden: int = 0
    charts: int = 0
    diagrams: int = 0
    inserts: int = 0


@dataclass
class _Paragraph:
    """Text of a paragraph, with what hangs on it."""

    parts: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)  # notes and comments
    boxes: list[Any] = field(default_factory=list)
    tables: list[list[str]] = field(default_factory=list)  # rows of charts, and lines of diagrams

    @property
    def text(self) -> str:
        return "".join(self.parts)


class _Story:
    """Walks through a document's body.

    Args:
        package: of python-docx.
        flow: where the text goes.
        pictures: reads them.
    """

    def __init__(self, package: Any, flow: Flow, pictures: Pictures) -> None:
        self.package, self.flow, self.pictures = package, flow, pictures
        self.part = package.part  # whose text is read: the body's, a header's
        self.at_edge = False  # in a header or footer, where numbers of pages are left out
        self.body = package.element.body
        self.numbering = Numbering(package)
        self.styles = {style.style_id: style for style in package.styles}
        self.seen = _Seen()
        self.ghosts = _hidden_styles(package)
        self.notes = {kind: _notes_of(package, kind) for kind in ("footnote", "endnote", "comment")}
        self.marks: dict[str, str] = {}
        self.paged = self._breaks_are_known()

    def read(self) -> None:
        self._edges("header")
        self._blocks(self.body, 0)
        self._edges("footer")

    def issues(self) -> list[Issue]:
        """What was left out."""
        seen, told = self.seen, []
        if seen.deleted:
            told.append(Issue("deleted-text", f"{seen.deleted} tracked deletion(s) are left out, insertions are read"))
        if seen.hidden:
            told.append(Issue("hidden-text", f"{seen.hidden} run(s) of hidden text are left out"))
        if seen.charts:
            told.append(Issue("pictures", f"{seen.charts} chart(s) whose values are not in the file"))
        if seen.diagrams:
            told.append(Issue("structure-failed", f"{seen.diagrams} diagram(s) are missing or damaged"))
        if seen.inserts:
            told.append(Issue("embedded-files", f"{seen.inserts} inserted document(s) are not read: save it with them"))
        return [*told, *self.pictures.issues()]

    # -- pages

    def _breaks_are_known(self) -> str:
        """Which breaks mark the pages: those that Word recorded when it laid out the text, or manual ones.

        Manual breaks alone are used only if no text between two of them is longer than a page.
        """
        if next(self.body.iter(f"{W}lastRenderedPageBreak"), None) is not None:
            return "rendered"
        length, forced = 0, False
        for element in self.body.iter(f"{W}t", f"{W}br", f"{W}p"):
            if element.tag == f"{W}t":
                length += len(element.text or "")
            elif element.tag == f"{W}p":
                length += 60
            elif element.get(f"{W}type") == "page":
                forced, length = True, 0
            if length > _SHORT_PAGE:
                return ""
        return "forced" if forced else ""

    def _break(self) -> None:
        self.flow.new_page()

    # -- blocks

    def _edges(self, kind: str) -> None:
        """What stands at the pages' edges, each header or footer once: of all pages, of first and of even ones."""
        seen: list[Any] = []
        try:
            for section in self.package.sections:
                names = [kind, *([f"first_page_{kind}"] if section.different_first_page_header_footer else [])]
                names += [f"even_page_{kind}"] if self.package.settings.odd_and_even_pages_header_footer else []
                parts = [getattr(section, name) for name in names]
                seen += [one.part for one in parts if not one.is_linked_to_previous and one.part not in seen]
        except (KeyError, AttributeError, ValueError):
            pass  # a section that is not as it should be costs its own edges only
        texts: set[str] = set()
        for part in seen:
            self.part, self.at_edge = part, True
            inner, outer = Flow(clean=False), self.flow
            self.flow = inner
            try:
                self._blocks(part.element, 0)
            finally:
                self.flow, self.part, self.at_edge = outer, self.package.part, False
            text = "\n".join(page.text for page in inner.pages()[0])
            if any(character.isalpha() for character in text) and text not in texts:
                texts.add(text)
                self.flow.add(text)

    def _blocks(self, parent: Any, depth: int) -> None:
        if depth > _MAX_DEPTH:
            return
        for child in children(parent):
            name = local(child)
            if name == "p":
                self._add_paragraph(child, depth)
            elif name == "tbl":
                self._add_table(child, depth)
            elif name in ("sdt", "sdtContent", "ins", "customXml", "smartTag", "moveTo"):
                self._blocks(child, depth + 1)
            elif name in ("del", "moveFrom"):
                self.seen.deleted += 1
            elif name in ("altChunk", "subDoc"):
                self.seen.inserts += 1

    def _add_paragraph(self, element: Any, depth: int) -> None:
        if self.at_edge and _counts_pages(element):
            self.flow.add(_beside_numbers(element))
            return
        properties = element.find(f"{W}pPr")
        if self.paged == "forced" and properties is not None and properties.find(f"{W}pageBreakBefore") is not None:
            self._break()
        paragraph = self._paragraph(element)
        level = self._level(properties)
        mark = self.numbering.mark(properties, self._style(properties)) if paragraph.text.strip() else ""
        pieces = paragraph.text.split("\f")
        for number, piece in enumerate(pieces):
            if number:
                self._break()
            opened = number == next((i for i, one in enumerate(pieces) if one.strip()), 0)
            self.flow.add(
                (mark if opened else "") + piece, level if opened else 0, "list" if mark and not level else ""
            )
        for note in paragraph.after:
            self.flow.add(note)
        for lines in paragraph.tables:
            self.flow.add_lines(lines)
        for box in paragraph.boxes:
            self._blocks(box, depth + 1)

    def _style(self, properties: Any) -> Any:
        found = value_of(properties, "pStyle") if properties is not None else None
        return self.styles.get(found) if found else None

    def _level(self, properties: Any) -> int:
        """1 to 9 for a heading: by its outline level, its style's or its style's name."""
        if properties is not None and (own := value_of(properties, "outlineLvl")) is not None:
            return int(own) + 1 if own.isdecimal() and int(own) < 9 else 0
        style, visited = self._style(properties), 0
        while style is not None and visited < 20:
            name = (style.name or "").lower()
            if name == "title":
                return 1
            if name.startswith("heading ") and name[8:].isdecimal():
                return min(9, int(name[8:]))
            outline = style.element.find(f"{W}pPr/{W}outlineLvl")
            if outline is not None and (depth := outline.get(f"{W}val", "")).isdecimal():
                return int(depth) + 1 if int(depth) < 9 else 0
            style, visited = style.base_style, visited + 1
        return 0

    # -- the text of a paragraph

    def _paragraph(self, element: Any, *, breaks: bool = True) -> _Paragraph:
        found = _Paragraph()
        self._inline(element, found, breaks and bool(self.paged), 0)
        return found

    def _inline(self, parent: Any, found: _Paragraph, breaks: bool, depth: int) -> None:
        if depth > _MAX_DEPTH:
            return
        for child in children(parent):
            name = local(child)
            if name == "r":
                self._run(child, found, breaks, depth)
            elif name in ("del", "moveFrom"):
                self.seen.deleted += any(element.text for element in child.iter(f"{W}delText", f"{W}t"))
            elif name in ("oMath", "oMathPara"):
                found.parts.append(_formula(child))
            elif name == "commentRangeStart" or name in ("pPr", "rPr", "bookmarkStart", "proofErr"):
                continue
            else:
                self._inline(child, found, breaks, depth + 1)

    def _run(self, run: Any, found: _Paragraph, breaks: bool, depth: int) -> None:
        properties = run.find(f"{W}rPr")
        if self._is_hidden(run, properties):
            self.seen.hidden += any(element.text for element in run.iter(f"{W}t"))
            return
        raised = value_of(properties, "vertAlign") if properties is not None else None
        struck = properties is not None and (_is_on(properties, "strike") or _is_on(properties, "dstrike"))
        start = len(found.parts)
        for child in children(run):
            self._piece(child, found, breaks, depth)
        text = "".join(found.parts[start:])
        if struck and text.strip():
            found.parts[start:] = [f"[deleted: {text}]"]
        elif raised == "superscript" and text.strip().isdecimal():
            found.parts[start:] = [raised_behind("".join(found.parts[:start])[-4:], text.strip())]

    def _is_hidden(self, run: Any, properties: Any) -> bool:
        """Whether a run is hidden: by itself, by its own style, or by that of its paragraph."""
        if properties is not None and properties.find(f"{W}vanish") is not None:
            return _is_on(properties, "vanish")
        own = value_of(properties, "rStyle") if properties is not None else None
        if own in self.ghosts or not self.ghosts:
            return own in self.ghosts
        paragraph = next(run.iterancestors(f"{W}p"), None)
        around = paragraph.find(f"{W}pPr") if paragraph is not None else None
        return around is not None and value_of(around, "pStyle") in self.ghosts

    def _piece(self, child: Any, found: _Paragraph, breaks: bool, depth: int) -> None:
        name = local(child)
        if name == "t":
            found.parts.append(child.text or "")
        elif name in ("tab", "ptab"):
            found.parts.append("\t")
        elif name == "noBreakHyphen":
            found.parts.append("-")
        elif name == "cr" or (name == "br" and child.get(f"{W}type") in (None, "textWrapping", "column")):
            found.parts.append("\n")
        elif name == "br" and child.get(f"{W}type") == "page":
            found.parts.append("\f" if breaks and self.paged == "forced" else "\n")
        elif name == "lastRenderedPageBreak" and breaks:
            found.parts.append("\f")
        elif name == "fldChar":
            found.parts.append(_form_field(child))
        elif name == "ruby":
            found.parts.append(_with_reading(child))
        elif name == "sym":
            found.parts.append(_SYMBOLS.get(child.get(f"{W}char", "").lower(), ""))
        elif name in ("footnoteReference", "endnoteReference", "commentReference"):
            self._note(name.removesuffix("Reference"), child.get(f"{W}id", ""), found)
        elif name == "AlternateContent":
            choice = next((one for one in child if local(one) == "Choice"), None)
            for one in choice if choice is not None else ():
                self._piece(one, found, breaks, depth)
        elif name in ("drawing", "pict", "object"):
            boxes = list(child.iter(f"{W}txbxContent"))
            found.boxes += boxes
            inner = {one for box in boxes for one in box.iter(*SHOWS)}  # read with the box
            shown = (one for one in child.iter(*SHOWS) if one not in inner)
            found.after += filter(None, (marked_text(self._picture(one)) for one in shown))
            found.after += [str(one.get("string") or "") for one in child.iter(_LETTERING)]
            self._drawings(child, found)

    def _drawings(self, element: Any, found: _Paragraph) -> None:
        """Charts and diagrams of a drawing."""
        for chart in charts_in(element, self.part.rels):
            self.seen.charts += not chart.rows
            found.tables.append([*filter(None, [chart.title]), *table_rows(chart.header, chart.rows, chart.title)])
        lines, damaged = diagrams_in(element, self.part.rels)
        found.tables.append(lines)
        self.seen.diagrams += damaged

    def _picture(self, blip: Any) -> str:
        """Text of a picture that an element shows."""
        frame = next((one for one in blip.iterancestors() if local(one) in ("inline", "anchor")), None)
        described = next((one for one in frame.iter() if local(one) == "docPr"), None) if frame is not None else None
        said = " ".join(str(described.get("descr") or "").split())[:60] if described is not None else ""
        return picture_text(blip, self.part.rels, self.pictures, said)

    def _note(self, kind: str, identity: str, found: _Paragraph) -> None:
        """A mark in the text, and the note's text after the paragraph."""
        author, text = self.notes[kind].get(identity, ("", ""))
        if not text:
            return
        if kind == "comment":
            found.after.append(f"Comment ({author}): {text}" if author else f"Comment: {text}")
            return
        number = str(sum(1 for key in self.marks if key.startswith(kind)) + 1)
        mark = self.marks.setdefault(f"{kind}{identity}", number)
        found.parts.append(raised_behind("".join(found.parts)[-4:], mark))
        found.after.append(f"{kind.capitalize()} {mark}: {text}")

    # -- tables

    def _add_table(self, table: Any, depth: int) -> None:
        """A table as rows of heads and cells; cells that span rows stand in each of them, as their reader sees them."""
        grid: list[list[str]] = []
        spread: list[list[str]] = []  # the same, with what spans columns in each of them
        heads = 0
        above: dict[int, str] = {}
        for row in table.iterchildren(f"{W}tr", f"{W}sdt"):
            for element in [row] if local(row) == "tr" else list(row.iter(f"{W}tr")):
                properties = element.find(f"{W}trPr")
                if properties is not None and properties.find(f"{W}del") is not None:
                    self.seen.deleted += 1
                    continue
                cells, repeated = self._cells(element, above, depth)
                heads += properties is not None and _is_on(properties, "tblHeader") and heads == len(grid)
                grid.append(cells)
                spread.append(repeated)
        if max(map(len, grid), default=0) < 2:  # a frame around text
            for line in (cell for row in grid for cell in row):
                self.flow.add(line)
            return
        if not 0 < heads < len(grid) and grid[0] != spread[0]:  # a cell over several columns names each of them
            heads = head_rows(spread)
        header, rows = (join_heads(spread[:heads]), grid[heads:]) if 0 < heads < len(grid) else split_header(grid)
        self.flow.add_lines(table_rows(header, rows, self.flow.title_above(), outer_labels(rows)))

    def _cells(self, row: Any, above: dict[int, str], depth: int) -> tuple[list[str], list[str]]:
        """The cells of a row, those over several columns in the first of them; and in each of them."""
        cells, spread = list[str](), list[str]()
        for element in row.iter(f"{W}tc"):
            if element.getparent() is not row and next(element.iterancestors(f"{W}tr"), None) is not row:
                continue
            properties = element.find(f"{W}tcPr")
            span, merge = 1, None
            if properties is not None:
                width = value_of(properties, "gridSpan") or "1"
                span = min(64, int(width)) if width.isdecimal() and len(width) < 4 else 1
                merge = properties.find(f"{W}vMerge")
            if merge is not None and merge.get(f"{W}val") != "restart":
                text = above.get(len(cells), "")
            else:
                text = self._cell_text(element, depth)
            if merge is not None:
                above[len(cells)] = text
            else:
                above.pop(len(cells), None)
            cells += [text, *[""] * (span - 1)]
            spread += [text] * span
        return cells, spread

    def _cell_text(self, cell: Any, depth: int) -> str:
        """All text of a cell; an inner table's cells one after another."""
        inner = Flow(clean=False)
        outer, self.flow = self.flow, inner
        paged, self.paged = self.paged, ""
        try:
            self._blocks(cell, depth + 1)
        finally:
            self.flow, self.paged = outer, paged
        return "\n".join(page.text for page in inner.pages()[0])


def _is_on(properties: Any, name: str) -> bool:
    element = properties.find(f"{W}{name}")
    return element is not None and element.get(f"{W}val") not in ("0", "false", "off", "none")


def _hidden_styles(package: Any) -> set[str]:
    """Identities of the styles whose text is hidden, those that are based on them included."""
    hidden: set[str] = set()
    for style in package.styles:
        at, visited = style, 0
        while at is not None and visited < 20:
            properties = at.element.find(f"{W}rPr")
            if properties is not None and properties.find(f"{W}vanish") is not None:
                if _is_on(properties, "vanish"):
                    hidden.add(style.style_id)
                break
            at, visited = getattr(at, "base_style", None), visited + 1
    return hidden


def _form_field(begin: Any) -> str:
    """What a field of a form shows that has no text of its own: a box that is ticked or not, a chosen entry."""
    data = begin.find(f"{W}ffData")
    box = data.find(f"{W}checkBox") if data is not None else None
    if box is not None:
        said = "checked" if box.find(f"{W}checked") is not None else "default"
        return "[x]" if _is_on(box, said) else "[ ]"
    choice = data.find(f"{W}ddList") if data is not None else None
    if choice is None:
        return ""
    entries = [one.get(f"{W}val", "") for one in choice.iterchildren(f"{W}listEntry")]
    chosen = value_of(choice, "result") or value_of(choice, "default") or "0"
    return entries[int(chosen)] if chosen.isdecimal() and int(chosen) < len(entries) else ""


def _with_reading(ruby: Any) -> str:
    """A word with the reading that stands above it in brackets."""
    base, reading = (
        "".join(one.text or "" for part in ruby.iterchildren(f"{W}{name}") for one in part.iter(f"{W}t"))
        for name in ("rubyBase", "rt")
    )
    return f"{base} ({reading})" if reading.strip() else base


def _counts_pages(paragraph: Any) -> bool:
    """Whether a paragraph of a header or footer shows the page's number."""
    fields = [element.text or "" for element in paragraph.iter(f"{W}instrText")]
    fields += [element.get(f"{W}instr", "") for element in paragraph.iter(f"{W}fldSimple")]
    return any("PAGE" in one.upper() for one in fields)


def _beside_numbers(paragraph: Any) -> str:
    """What a paragraph with the page's number says beside it: each part between tabs that says more than the number."""
    parts, inside = [""], 0  # open fields
    for element in paragraph.iter(f"{W}fldChar", f"{W}fldSimple", f"{W}t", f"{W}tab", f"{W}br", f"{W}ptab"):
        name, kind = local(element), element.get(f"{W}fldCharType")
        if name == "fldChar":
            inside += {"begin": 1, "end": -1}.get(str(kind), 0)
            parts[-1] += _FIELD if kind == "begin" else ""
        elif name == "fldSimple":
            parts[-1] += _FIELD
        elif name == "t":
            is_value = inside > 0 or next(element.iterancestors(f"{W}fldSimple"), None) is not None
            parts[-1] += "" if is_value else element.text or ""
        elif element.getparent().tag != f"{W}tabs":
            parts.append("")
    kept = (part for part in parts if part.strip() and not is_page_number(part.replace(_FIELD, "1")))
    return "\t".join(part.replace(_FIELD, "").strip() for part in kept)


def _formula(element: Any) -> str:
    return "".join(part.text or "" for part in element.iter() if local(part) == "t")


def _notes_of(package: Any, kind: str) -> dict[str, tuple[str, str]]:
    """(author, text) of footnotes, endnotes or comments by their identity."""
    from lxml import etree

    notes: dict[str, tuple[str, str]] = {}
    for relation in package.part.rels.values():
        if relation.is_external or not relation.reltype.endswith(f"/{kind}s"):
            continue
        try:
            parser = etree.XMLParser(resolve_entities=False, no_network=True)
            root = etree.fromstring(relation.target_part.blob, parser)
        except (etree.XMLSyntaxError, KeyError, ValueError):
            continue
        for note in root.iter(f"{W}{kind}"):
            if note.get(f"{W}type") in ("separator", "continuationSeparator"):
                continue
            notes[note.get(f"{W}id", "")] = note.get(f"{W}author", ""), _plain(note)
    return notes


def _plain(note: Any) -> str:
    def pieces() -> Iterator[str]:
        for element in note.iter(f"{W}t", f"{W}tab", f"{W}br", f"{W}p"):
            yield (element.text or "") if element.tag == f"{W}t" else " "

    return " ".join("".join(pieces()).split())
