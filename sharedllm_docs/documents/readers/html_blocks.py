"""The text of an HTML tree as a reader of the page sees it, block by block; for HTML, EPUB, e-mail and SVG alike.

In comes a tree, out come blocks of text with headings and lists known as such, and from them a page's text. Knows
neither bytes nor encodings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sharedllm_docs.documents.cleaning import clean_characters, limit_blank_lines, lower, raised_behind, roman
from sharedllm_docs.documents.document import Section
from sharedllm_docs.documents.readers.html_shown import BREAK
from sharedllm_docs.documents.readers.html_tables import table_lines
from sharedllm_docs.documents.tables import title_above, without_marks

if TYPE_CHECKING:
    from bs4 import Tag

_DROPPED_TAGS = (
    "script style nav template noscript iframe canvas head annotation annotation-xml rp "
    "video audio progress meter "  # what stands in these is for browsers that do not know them
    "title desc defs metadata symbol"  # these five of drawings
)
_DROPPED = frozenset(_DROPPED_TAGS.split())
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCK_TAGS = """
    address article aside blockquote body center dd details div dl dt fieldset figcaption figure footer form
    header hr html li main ol p pre section summary table tbody text tfoot thead tr ul
"""
_BLOCKS = frozenset(_BLOCK_TAGS.split()) | frozenset(_HEADINGS)
_GROUPS = {"li": "list", "tr": "table", "dd": "terms", "dt": "terms", "text": "drawing"}  # no blank line inside these
_AROUND = {
    "q": ("\u201c", "\u201d"),
    "rt": (" (", ")"),
    "msqrt": ("\u221a", ""),
    "select": (" ", " "),
    "textarea": (" ", " "),
}
"""What is shown around a text; fields of a form stand apart from their neighbours."""
_TYPED = frozenset(("text", "number", "email", "tel", "date", "time", "url", "month", "week", "datetime-local"))
_TICKED = {"checkbox": "[x]", "radio": "(x)"}  # boxes and circles of a form, as plain text has them
_UNTICKED = {"checkbox": "[ ]", "radio": "( )"}
_DESCRIBES = 3  # words from which the text in place of a picture says what is to be seen
_PICTURES = frozenset(("img", "image", "object", "embed"))  # the second in drawings
_CLOSED = frozenset(("object", "embed"))  # what stands in them is shown where they are not
_PICTURE_FILE = re.compile(r"(?i)^data:image/|\.(?:svgz?|png|jpe?g|gif|webp|bmp|tiff?|avif|emf|wmf)(?:[?#]|$)")
_LAZY = ("data-src", "data-original", "data-lazy-src")  # where pages name pictures that are fetched later
_SPACE = re.compile(r"\s+")
_CONCEALED = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse))\b", re.I)
_STRUCK_STYLE = re.compile(r"(?:^|;)\s*text-decoration(?:-line)?\s*:[^;]*\bline-through\b", re.I)
_STRUCK = frozenset(("del", "s", "strike"))
_STRUCK_OPEN, _STRUCK_CLOSE = "[deleted: ", "]"
_DISCLOSES = ("aria-expanded", "aria-controls", "data-bs-toggle", "data-toggle")  # a button that opens a text
_TITLES = frozenset(_HEADINGS) | {"summary", "dt", "legend", "caption"}
_MARK = re.compile(r"\s*(?P<digits>[\d+\-\u2212\u2013]*\d[\d+\-\u2212\u2013,]*)\s*")
_ORDINALS = frozenset(["st", "nd", "rd", "th", "er", "re", "e", "ème", "eme", "o", "a", "os", "as"])


@dataclass(frozen=True)
class Block:
    """Text between two block boundaries: ``level`` is 0, or 1 to 6 for a heading; blocks of one ``group`` (items
    of a list, rows of a table) follow each other without a blank line."""

    text: str
    level: int = 0
    group: str = ""


See = Callable[["Tag"], str]
"""What stands in the picture that a tag shows; "" for nothing."""


@dataclass
class _Builder:
    """Collects blocks while the tree is walked."""

    clean: bool
    see: See | None = None
    seen: list[str] = field(default_factory=list)  # in pictures of the block that is open
    blocks: list[Block] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    lists: list[_List] = field(default_factory=list)  # the open ones
    raised: list[int] = field(default_factory=list)  # for each open sup and sub, where in ``parts`` it begins
    mark: str = ""  # of the list item that was opened and has no text yet
    level: int = 0
    preformatted: int = 0
    group: str = ""

    def text(self, text: str) -> None:
        self.parts.append(text if self.preformatted else _SPACE.sub(" ", text))

    def open(self, tag: Tag) -> None:
        name = tag.name
        self._set_apart(tag)
        self._open_formula(tag)
        if name in _AROUND:
            self.parts.append(_AROUND[name][0])
        elif name == "input":
            self.text(_field(tag))
        if name in _PICTURES or (name == "input" and str(tag.get("type")).lower() == "image"):
            self._picture(tag)
        elif name == "tspan":
            self._part_of_drawing(tag)
        elif name == "br":
            self.parts.append("\n")
        elif name in ("td", "th"):
            self.parts.append(" | " if "".join(self.parts).strip() else "")
        if name in _BLOCKS:
            self.flush()
            self.group = _GROUPS.get(name, "")
        self.level = _HEADINGS.get(name, self.level)
        self.preformatted += name == "pre"
        if name in ("ul", "ol"):
            self.lists.append(_List.of(tag))
        elif name == "li":
            self.mark = self.lists[-1].next_mark(tag) if self.lists else "- "
        elif _raises(tag):
            self.raised.append(len(self.parts))
        if _is_struck(tag):
            self.parts.append(_STRUCK_OPEN)

    def _set_apart(self, tag: Tag) -> None:
        if tag.has_attr(BREAK):
            self.parts.append(str(tag[BREAK]))

    def _picture(self, tag: Tag) -> None:
        """Take what stands in a picture, or what the page says in its place where it is in another file."""
        if self.see is None or not _is_picture(tag):
            return
        said = " ".join(str(tag.get("alt") or "").split())
        seen = self.see(tag)
        outside = picture_source(tag)[:5].lower() not in ("data:", "cid:") and len(said.split()) >= _DESCRIBES
        self.seen += filter(None, [seen or (said if outside else "")])

    def _part_of_drawing(self, tag: Tag) -> None:
        """Keep the parts of a drawing's text apart that stand below or beside each other."""
        if not tag.has_attr("x") or not "".join(self.parts).strip():
            return
        before = tag.find_previous_sibling("tspan")
        above = (before if before is not None and before.has_attr("y") else tag.parent) or tag
        moved = _length(tag.get("dy")) or (tag.has_attr("y") and _length(tag.get("y")) != _length(above.get("y")))
        split = (
            "".join(self.parts)[-1:].isalpha() and tag.get_text()[:1].islower()
        )  # a word whose letters are set apart
        self.parts.append("\n" if moved else "" if split else " ")

    def _open_formula(self, tag: Tag) -> None:
        """Keep the parts of a fraction, and a fraction and what stands before it, apart."""
        if tag.name == "mfrac" and "".join(self.parts)[-1:].isalnum():
            self.parts.append(" ")
        if tag.parent is not None and tag.parent.name == "mfrac" and tag.find_previous_sibling(True) is not None:
            self.parts.append("/")
        if _is_term(tag):
            self.parts.append("(")

    def table(self, tag: Tag) -> bool:
        """Write a table of data; False for one that arranges the page."""
        pictures: list[Block] = []

        def text_of(cell: Tag) -> str:
            blocks = html_blocks(cell, self.clean, self.see)
            pictures.extend(one for one in blocks if one.text.startswith("Picture: "))
            return " ".join(one.text for one in blocks if not one.text.startswith("Picture: "))

        self.flush()
        lines = table_lines(tag, text_of, _is_left_out, title_above(self._above()))
        if lines is None:
            return False
        self.blocks += [Block(line, 0, f"table-{id(tag)}") for line in lines]
        self.blocks += pictures
        return True

    def _above(self) -> list[str]:
        """The paragraphs in front of what follows, from the last heading on."""
        found: list[str] = []
        for block in reversed(self.blocks[-4:]):
            if block.group:
                break
            found.insert(0, block.text)
            if block.level:
                break
        return found

    def close(self, tag: Tag) -> None:
        name = tag.name
        if name in _AROUND:
            self.parts.append(_AROUND[name][1])
        if _is_term(tag):
            self.parts.append(")")
        self._set_apart(tag)
        if _is_struck(tag):
            self._close_struck()
        if name in _BLOCKS:
            self.flush()
            self.group = ""
        if name in _HEADINGS:
            self.level = 0
        self.preformatted -= name == "pre"
        if name in ("ul", "ol") and self.lists:
            self.lists.pop()
        elif _raises(tag) and self.raised:
            self._set_mark(min(self.raised.pop(), len(self.parts)), up=not _lowers(tag))

    def _close_struck(self) -> None:
        """End struck-out text; an empty one leaves no trace."""
        if self.parts and self.parts[-1] == _STRUCK_OPEN:
            self.parts.pop()
        else:
            self.parts.append(_STRUCK_CLOSE)

    def _set_mark(self, start: int, *, up: bool) -> None:
        """Write the digits of ``parts[start:]`` as Unicode's raised or lowered ones, so that no number grows by them.

        Subscript digits stay plain after a letter (``H2O``). A superscript letter after a digit gets a ``^``.
        """
        mark, before = "".join(self.parts[start:]), "".join(self.parts[:start])[-4:]
        match = _MARK.fullmatch(mark)
        if match is None:
            power = up and before[-1:].isdigit() and mark.strip().isalpha() and mark.strip().lower() not in _ORDINALS
            self.parts[start:] = [f"^{mark.strip()}" if power else mark]
        elif up or before[-1:].isdigit():
            digits = match["digits"]
            self.parts[start:] = [raised_behind(before, digits) if up else lower(digits)]

    def flush(self) -> None:
        """End the current block, if it has any text."""
        raw = "".join(self.parts)
        self.parts.clear()
        raw = clean_characters(raw) if self.clean else raw
        if self.preformatted:
            text = limit_blank_lines(raw) if self.clean else raw.strip("\n")
        else:
            text = "\n".join(filter(None, (_SPACE.sub(" ", line).strip() for line in raw.split("\n"))))
        if text.strip():
            self.blocks.append(Block(self.mark + text, self.level, self.group))
            self.mark = ""
        self.blocks += [Block(marked_text(clean_characters(seen) if self.clean else seen)) for seen in self.seen]
        self.seen.clear()


@dataclass
class _List:
    """An open list: ``number`` is that of the next item, None for bullets; ``step`` is -1 where it counts down."""

    number: int | None = None
    step: int = 1
    style: str = "1"

    @classmethod
    def of(cls, tag: Tag) -> _List:
        if tag.name == "ul":
            return cls()
        items = len(tag.find_all("li", recursive=False))
        down = tag.has_attr("reversed")
        start = _integer(tag.get("start"))
        return cls((items if down else 1) if start is None else start, -1 if down else 1, str(tag.get("type") or "1"))

    def next_mark(self, item: Tag) -> str:
        """``- ``, ``3. ``, ``c. `` or ``iii. ``, and on to the next item."""
        if self.number is None:
            return "- "
        value = _integer(item.get("value"))
        number = self.number if value is None else value
        self.number = number + self.step
        return f"{_numeral(number, str(item.get('type') or self.style))}. "


def _integer(value: object) -> int | None:
    try:
        number = int(str(value))
    except ValueError:
        return None
    return number if abs(number) < 1 << 31 else None


def _numeral(number: int, style: str) -> str:
    """The number as a list of this ``type`` shows it."""
    if style in ("i", "I") and 0 < number < 4000:
        text = roman(number)
    elif style in ("a", "A") and number > 0:
        text = ""
        while number > 0:
            number, rest = divmod(number - 1, 26)
            text = chr(ord("a") + rest) + text
    else:
        return str(number)
    return text.upper() if style.isupper() else text


def _length(value: object) -> float:
    """The first number of a place in a drawing; 0 where there is none."""
    match = re.match(r"\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?", str(value or ""), re.IGNORECASE)
    return float(match[0]) if match else 0.0


def _field(tag: Tag) -> str:
    """What is typed into a field of a form, or whether it is ticked."""
    kind = str(tag.get("type") or "text").lower()
    if kind in _TICKED:
        return f" {(_TICKED if tag.has_attr('checked') else _UNTICKED)[kind]} "
    return f" {tag.get('value') or ''} " if kind in _TYPED else ""


def _is_picture(tag: Tag) -> bool:
    """Whether a tag that may show a picture shows one: objects also show films and programs."""
    if tag.name not in _CLOSED:
        return True
    return str(tag.get("type") or "").lower().startswith("image/") or bool(_PICTURE_FILE.search(picture_source(tag)))


def _raises(tag: Tag) -> bool:
    """Whether the tag sets its text above or below the line: sup, sub, or an exponent in MathML."""
    if tag.name in ("sup", "sub"):
        return True
    if tag.parent is None or tag.parent.name not in ("msup", "msub", "msubsup"):
        return False
    return tag.find_previous_sibling(True) is not None


def _lowers(tag: Tag) -> bool:
    """Whether a tag that sets its text off the line sets it below."""
    if tag.name in ("sup", "sub"):
        return tag.name == "sub"
    parent = tag.parent.name if tag.parent is not None else ""
    return parent == "msub" or (parent == "msubsup" and tag.find_next_sibling(True) is not None)


def _is_term(tag: Tag) -> bool:
    """Whether the tag holds several signs over or under the bar of a fraction, or under a root."""
    if tag.parent is None or tag.parent.name not in ("mfrac", "msqrt"):
        return False
    return tag.name == "mrow" and len(tag.find_all(True, recursive=False)) > 1


def _is_struck(tag: Tag) -> bool:
    return tag.name in _STRUCK or _STRUCK_STYLE.search(str(tag.get("style") or "")) is not None


def _is_left_out(tag: Tag) -> bool:
    """Whether a reader of the page does not see this element, or only as a control of the page."""
    if tag.name in _DROPPED or tag.has_attr("hidden") or str(tag.get("aria-hidden")).lower() == "true":
        return True
    if tag.name == "option":
        return not _is_chosen(tag)
    if tag.get("display") == "none" or tag.get("visibility") in ("hidden", "collapse"):  # in drawings
        return True
    if tag.parent is not None and tag.parent.name == "switch":
        return tag is not _switched(tag.parent)
    if tag.name == "dialog":
        return not tag.has_attr("open")
    if tag.name == "button":
        discloses = any(tag.has_attr(name) for name in _DISCLOSES)
        return not discloses and tag.find_parent(list(_TITLES)) is None
    classes = tag.get("class") or ()
    return "sortkey" in classes or _CONCEALED.search(str(tag.get("style") or "")) is not None


def _switched(switch: Tag) -> Tag | None:
    """The one child that a drawing's switch shows: the first for every language, else the first."""
    ways = switch.find_all(True, recursive=False)
    return next((one for one in ways if "systemlanguage" not in map(str.lower, one.attrs)), ways[0] if ways else None)


def _is_chosen(option: Tag) -> bool:
    """Whether a list that drops down shows this entry."""
    select = option.find_parent("select")
    options = select.find_all("option") if select is not None else []
    chosen = [one for one in options if one.has_attr("selected")] or options[:1]
    return any(one is option for one in chosen)


def _walk(root: Tag) -> Iterator[tuple[str, Tag | str]]:
    """("open" | "close", tag) and ("text", string) in document order. A loop: pages nest deeper than Python calls."""
    from bs4.element import NavigableString, PreformattedString, Tag

    stack: list[tuple[Tag, Iterator[object]]] = [(root, iter(root.children))]
    while stack:
        tag, children = stack[-1]
        child = next(children, None)
        if child is None:
            stack.pop()
            yield "close", tag
        elif isinstance(child, Tag):
            if not _is_left_out(child):
                yield "open", child
                closed = child.name in _CLOSED and _is_picture(child)
                stack.append((child, iter(() if closed else child.children)))
        elif isinstance(child, NavigableString) and not isinstance(child, PreformattedString):
            yield "text", str(child)


def html_blocks(root: Tag, clean: bool, see: See | None = None) -> list[Block]:
    """The visible text below ``root``, block by block; scripts, styles, navigation and hidden parts are left out.

    Args:
        root: of the tree.
        clean: whether characters are cleaned.
        see: reads pictures; None leaves them out.
    """
    builder = _Builder(clean, see)
    passed: Tag | None = None  # a table that is written already
    for event, item in _walk(root):
        if passed is not None:
            passed = None if event == "close" and item is passed else passed
        elif isinstance(item, str):
            builder.text(item)
        elif event == "open" and item.name == "table" and item is not root and builder.table(item):
            passed = item
        elif event == "open":
            builder.open(item)
        else:
            builder.close(item)
    builder.flush()
    return builder.blocks


Repeats = tuple[tuple[int, int], ...]


def join_blocks(blocks: list[Block]) -> tuple[str, list[Section], Repeats]:
    """The page text, a section for each heading at the very character where it starts, and what tables repeat."""
    parts, repeats = list[str](), list[tuple[int, int]]()
    sections, length = [], 0
    for index, block in enumerate(blocks):
        if index:
            gap = "\n" if block.group and block.group == blocks[index - 1].group else "\n\n"
            parts.append(gap)
            length += len(gap)
        if block.level:
            sections.append(Section(" ".join(block.text.split()), block.level, 1, length))
        text, spans = without_marks(block.text)
        repeats += [(length + start, length + end) for start, end in spans]
        parts.append(text)
        length += len(text)
    return "".join(parts), sections, tuple(repeats)


def picture_source(tag: Tag) -> str:
    """What a picture's tag shows, as it is written; "" where it names nothing."""
    source = str(tag.get("src") or tag.get("xlink:href") or tag.get("href") or tag.get("data") or "").strip()
    if (
        not source or source[:5].lower() == "data:"
    ):  # perhaps an empty one that stands there until the real one is fetched
        later = next((str(tag.get(name)).strip() for name in _LAZY if tag.get(name)), "")
        source = later or source
    return source or str(tag.get("srcset") or "").strip().partition(" ")[0].rstrip(",")


def picture_name(tag: Tag, name: str) -> str:
    """The name of a picture with what it says of itself."""
    said = " ".join(str(tag.get("alt") or tag.get("title") or "").split())[:60]
    return f"{name} ({said!r})" if said else name


def marked_text(text: str) -> str:
    """Text of a picture as it stands in a document."""
    return f"Picture: {text}" if text else ""
