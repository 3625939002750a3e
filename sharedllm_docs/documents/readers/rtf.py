"""RTF: text through striprtf, after hidden text is taken out and headings, notes and pictures are marked."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from sharedllm_docs.documents.cleaning import raised_behind
from sharedllm_docs.documents.document import Document, Issue
from sharedllm_docs.documents.readers.base import Progress, choose_pages, make_document
from sharedllm_docs.documents.readers.flow import Flow
from sharedllm_docs.documents.readers.html_blocks import marked_text
from sharedllm_docs.documents.readers.options import ReadOptions
from sharedllm_docs.documents.readers.packed import missing_extra
from sharedllm_docs.documents.readers.pictures import Pictures
from sharedllm_docs.documents.readers.reasons import reason_of
from sharedllm_docs.documents.readers.source import Source
from sharedllm_docs.documents.tables import outer_labels, split_header, table_rows
from sharedllm_docs.errors import DamagedDocumentError

_TOKEN = re.compile(
    r"(?P<hex>\\'[0-9a-fA-F]{2})|\\(?P<word>[a-zA-Z]{1,32})(?P<value>-?\d{1,10})? ?|(?P<symbol>\\[^a-zA-Z])"
    r"|(?P<open>\{)|(?P<close>\})|(?P<text>[^\\{}]+)"
)
_NOTE = {"footnote": "note", "annotation": "comment"}
_HEADING = "\u241eH"  # a visible mark that no RTF program writes, before a heading's level
_PICTURE = "\\u9254?{}\\u9254?"  # a mark around the number of a picture, where it stands
_PICTURE_MARK = re.compile("\u2426(\\d+)\u2426")
_BLIPS = ("pngblip", "jpegblip", "emfblip", "wmetafile", "dibitmap", "wbitmap", "pmmetafile", "macpict")
_EDGE = re.compile(r"\\(?:header|footer)[lrf]?(?![a-zA-Z\d])")
_UNDRAWN = "{} drawings in RTF cannot be drawn here"
_SET = {"super": (r"\u9250?", r"\u9251?"), "strike": (r"\u9252?", r"\u9253?")}  # what stands around such text
_UNSET = {"nosupersub": "super"}
_RAISED = re.compile("\u2422([^\u2422\u2423]*)\u2423")
_STRUCK = re.compile("\u2424(\\s*)([^\u2424\u2425]*?)(\\s*)\u2425")
_UNICODE = re.compile(r"\\u(-?\d+)")
_HEADING_LINE = re.compile(r"\u241eH(\d)\u241e")
_MAX_DEPTH = 1000


def _possible(match: re.Match[str]) -> str:
    """A character's number as it stands, or that of the replacement character where there is no such character."""
    digits = match[1]
    return match[0] if len(digits) < 8 and -65536 <= int(digits) <= 0x10FFFF else r"\u65533"


class RtfReader:
    """Rich Text Format of Word and its kin."""

    name = "rtf"
    version = "4"
    suffixes = (".rtf",)
    takes = frozenset({"encoding", "ocr"})

    def sniff(self, head: bytes, name: str) -> bool:
        """The group with which every RTF file opens."""
        return head.lstrip().startswith(b"{\\rtf")

    def read(self, source: Source, options: ReadOptions, progress: Progress | None) -> Document:
        """One page: RTF does not say where pages end.

        Raises:
            MissingExtraError: striprtf is not installed.
            DamagedDocumentError: its groups do not close, or its bytes are in no known encoding.
        """
        try:
            from striprtf.striprtf import rtf_to_text
        except ImportError as error:
            raise missing_extra(source.name, "striprtf", "office") from error
        choose_pages(source.name, 1, options)
        kept = _Pictures()
        prepared, hidden, issues = _prepared(source.read().decode("latin-1"), kept)
        try:
            text: str = rtf_to_text(
                _UNICODE.sub(_possible, prepared), encoding=options.encoding or "cp1252", errors="replace"
            )
        except (ValueError, LookupError, IndexError, RecursionError) as error:
            raise DamagedDocumentError(
                f"{source.name} is damaged: {reason_of(error)}.", remedy="Export it again."
            ) from error
        if hidden:
            issues.append(Issue("hidden-text", f"{hidden} run(s) of hidden or deleted text are left out"))
        edges = len(_EDGE.findall(prepared))
        if edges:
            issues.append(Issue("running-lines", f"{edges} header(s) and footer(s) are left out"))
        flow, pictures = Flow(options.clean), Pictures(options)
        _fill(flow, _marked(text), lambda number: kept.text(number, pictures))
        issues += pictures.issues()
        pages, sections = flow.pages()
        if progress is not None:
            progress(1, 1)
        return make_document(self, source, options, pages=pages, page_count=1, sections=sections, issues=issues)


def _marked(text: str) -> str:
    """The text with raised digits raised, and struck-out text marked."""

    def raised(match: re.Match[str]) -> str:
        before = text[max(0, match.start() - 4) : match.start()]
        return raised_behind(before, match[1]) if match[1].strip().isdecimal() else match[1]

    text = _RAISED.sub(raised, text)
    return _STRUCK.sub(lambda m: f"{m[1]}[deleted: {m[2]}]{m[3]}" if m[2] else m[0][1:-1], text)


@dataclass
class _Pictures:
    """The pictures of a file, taken out while it is prepared.

    Attributes:
        found: kind and hexadecimal digits of each.
    """

    found: list[tuple[str, str]] = field(default_factory=list)
    _open: int = 0  # depth of the group whose picture is taken out; 0 for none
    _second: int = 0  # depth of the group that repeats a picture for old programs
    _apart: int = 0  # depth of the group around it that readers skip
    _waiting: list[int] = field(default_factory=list)  # pictures whose marks are not written yet
    _kind: str = ""
    _digits: list[str] = field(default_factory=list)

    def takes(self, kind: str, piece: str, word: str, depth: int, hidden: bool) -> bool:
        """Look at a token; True if it belongs to a picture and is left out of the text.

        Args:
            kind: of the token.
            piece: the token.
            word: of a control word; else "".
            depth: number of open groups.
            hidden: whether text is hidden here.
        """
        if word == "nonshppict":
            self._second = self._second or depth
        elif piece == "\\*":
            self._apart = self._apart or depth
        elif word == "pict" and not self._open and depth:
            self._open, self._kind, self._digits = depth, "", []
            return True
        if not self._open or kind in ("open", "close"):
            return False
        if word in _BLIPS:
            self._kind = word
        elif word == "bin":
            self._kind = "binary"
        elif kind == "text" and depth == self._open and not hidden:
            self._digits.append(piece)
        return True

    def closed(self, depth: int, *, hidden: bool) -> str:
        """What to write after a group that has just closed; ``depth`` counts the groups that remain open."""
        if self._open > depth:
            self._open = 0
            if not self._second and not hidden:
                self.found.append((self._kind, "".join(self._digits)))
                self._waiting.append(len(self.found))
        self._second = 0 if self._second > depth else self._second
        self._apart = 0 if self._apart > depth else self._apart
        if self._open or self._apart or not self._waiting:
            return ""
        marks = "".join(map(_PICTURE.format, self._waiting))
        self._waiting.clear()
        return marks

    def text(self, number: int, pictures: Pictures) -> str:
        """What stands in the picture of this number, from 1."""
        kind, digits = self.found[number - 1]
        name = f"picture {number}"
        if kind not in ("", "pngblip", "jpegblip"):
            pictures.lost(name, _UNDRAWN.format(kind))
            return ""
        try:
            data = bytes.fromhex(digits)
        except ValueError:
            pictures.lost(name, "it is damaged: its digits are not hexadecimal")
            return ""
        return pictures.text(data, name)


def _prepared(rtf: str, pictures: _Pictures) -> tuple[str, int, list[Issue]]:
    """RTF without hidden and deleted text, with marks at headings, around notes and in place of pictures.

    Returns:
        the RTF, the number of runs taken out, and an issue where the file ends inside a group.
    """
    made = _Preparing(pictures)
    for match in _TOKEN.finditer(rtf):
        if match["open"] and len(made.groups) > _MAX_DEPTH:
            break
        made.take(match)
    issues = []
    if made.groups:
        issues.append(Issue("truncated", "the file ends inside a group, so its end may be lost"))
        made.out.append(pictures.closed(0, hidden=False) + "}" * len(made.groups))
    return "".join(made.out), made.runs, issues


class _Preparing:
    """Takes RTF token by token.

    Attributes:
        out: what stays of it, with marks.
        groups: of each open group, whether its text is hidden, and what is to be written at its end.
        runs: number of runs of hidden or deleted text that were taken out.
    """

    def __init__(self, pictures: _Pictures) -> None:
        self._pictures = pictures
        self.out: list[str] = []
        self.groups: list[tuple[bool, str]] = []
        self.runs = 0
        self._hidden = False
        self._in_run = False

    def take(self, token: re.Match[str]) -> None:
        """Write a token, something in its place, or nothing."""
        kind, piece = token.lastgroup or "", token[0]
        if self._pictures.takes(kind, piece, token["word"] or "", len(self.groups), self._hidden):
            return
        if kind == "open":
            self.groups.append((self._hidden, ""))
        elif kind == "close":
            if not self.groups:
                return
            was, (self._hidden, ending) = self._hidden, self.groups.pop()
            piece = f"{ending}}}{self._pictures.closed(len(self.groups), hidden=was)}"
        elif self._hidden and (kind in ("text", "hex") or (kind == "symbol" and piece[1] not in "\n\r*")):
            self.runs += not self._in_run
            self._in_run = True
            return
        elif token["word"] and self._marked(token["word"], token["value"], piece):
            return
        self._in_run = self._in_run and self._hidden
        self.out.append(piece)

    def _marked(self, word: str, value: str | None, piece: str) -> bool:
        """Heed a control word; returns whether something else was written in its place."""
        if word in ("v", "deleted"):
            self._hidden = value != "0"
        elif word == "plain":
            self._hidden = False
        elif word in _NOTE and self.groups:
            self.out.append(f" [{_NOTE[word]}: ")
            _drop_star(self.out)
            self._end_with("]")
            return True
        elif word == "outlinelevel" and value and value.isdecimal() and int(value) < 9:
            self.out.append(f"\\u9246?H{int(value) + 1}\\u9246?")
            return True
        elif word in _SET and self.groups and not self._hidden:
            return self._set(word, value, piece)
        elif word in _UNSET and self.groups and self.groups[-1][1] == _SET[_UNSET[word]][1]:
            self.out.append(self.groups[-1][1])
            self._end_with("")
        return False

    def _set(self, word: str, value: str | None, piece: str) -> bool:
        """Mark where raised or struck-out text begins, and at the end of its group where it ends."""
        opens, closes = _SET[word]
        if value == "0" or self.groups[-1][1]:
            return False
        self._end_with(closes)
        self.out.append(f"{piece}{opens}")
        return True

    def _end_with(self, ending: str) -> None:
        self.groups[-1] = (self.groups[-1][0], ending)


def _drop_star(out: list[str]) -> None:
    """Take back the mark that makes readers skip the group that has just opened."""
    for at in range(len(out) - 2, max(-1, len(out) - 4), -1):
        if out[at] == "\\*":
            del out[at]
            return


def _fill(flow: Flow, text: str, picture: Callable[[int], str]) -> None:
    """Lines as headings, paragraphs and rows of tables (``a|b|``, as striprtf writes them), each followed by its
    pictures."""
    table: list[list[str]] = []
    shown: list[int] = []
    for marked in [*text.split("\n"), ""]:
        shown += map(int, _PICTURE_MARK.findall(marked))
        line = _PICTURE_MARK.sub("", marked)
        cells = line.split("|")
        if len(cells) > 2 and not cells[-1].strip():
            table.append([_HEADING_LINE.sub("", cell) for cell in cells[:-1]])
            continue
        if table:
            header, rows = split_header(table)
            flow.add_lines(table_rows(header, rows, flow.title_above(), outer_labels(rows)))
            table = []
        found = _HEADING_LINE.search(line)
        flow.add(_HEADING_LINE.sub("", line), int(found[1]) if found else 0)
        for number in shown:
            flow.add(marked_text(picture(number)))
        shown.clear()
