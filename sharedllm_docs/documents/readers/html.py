"""HTML: what a reader of the page sees, headings as sections, the title as metadata. One page, page 1."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING

from sharedllm_docs.documents.cleaning import CLEANING_VERSION, clean_characters, limit_blank_lines
from sharedllm_docs.documents.document import Document, Page, Section
from sharedllm_docs.documents.readers.base import Progress, choose_pages, make_document
from sharedllm_docs.documents.readers.decode import decode, looks_like_text
from sharedllm_docs.documents.readers.options import ReadOptions
from sharedllm_docs.documents.readers.source import Source

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

_CHARSET = re.compile(
    rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]{2,40})|<\?xml[^>]{0,200}?encoding=[\"']([\w.:-]{2,40})", re.I
)
_LOOKS_LIKE = re.compile(
    rb"\A\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.I | re.S
)
_DROPPED_TAGS = "script style nav template noscript svg math iframe object canvas head button select textarea dialog"
_DROPPED = frozenset(_DROPPED_TAGS.split())
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCK_TAGS = """
    address article aside blockquote body center dd details div dl dt fieldset figcaption figure footer form
    header hr html li main ol p pre section summary table tbody tfoot thead tr ul
"""
_BLOCKS = frozenset(_BLOCK_TAGS.split()) | frozenset(_HEADINGS)
_GROUPS = {"li": "list", "tr": "table", "dd": "terms", "dt": "terms"}  # no blank line inside these
_SPACE = re.compile(r"\s+")
_XML_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*>")

# What browsers read for what pages declare (WHATWG encoding standard).
_DECLARED = {
    **dict.fromkeys(("iso-8859-1", "latin1", "latin-1", "ascii", "us-ascii"), "windows-1252"),
    **dict.fromkeys(("gb2312", "gbk"), "gb18030"),
    **dict.fromkeys(("utf-16", "utf-16le", "utf-16be", "unicode"), "utf-8"),
}
_META_NAMES = ("author", "description", "keywords", "date")


@dataclass(frozen=True)
class Block:
    """Text between two block boundaries: ``level`` is 0, or 1 to 6 for a heading; blocks of one ``group`` (items
    of a list, rows of a table) follow each other without a blank line."""

    text: str
    level: int = 0
    group: str = ""


@dataclass
class _Builder:
    """Collects blocks while the tree is walked."""

    clean: bool
    blocks: list[Block] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    lists: list[int | None] = field(default_factory=list)  # item counter of each open list, None for bullets
    mark: str = ""  # of the list item that was opened and has no text yet
    level: int = 0
    preformatted: int = 0
    group: str = ""

    def text(self, text: str) -> None:
        self.parts.append(text if self.preformatted else _SPACE.sub(" ", text))

    def open(self, tag: Tag) -> None:
        name = tag.name
        if name == "br":
            self.parts.append("\n")
        elif name in ("td", "th"):
            self.parts.append(" | " if "".join(self.parts).strip() else "")
        if name in _BLOCKS:
            self.flush()
            self.group = _GROUPS.get(name, "")
        self.level = _HEADINGS.get(name, self.level)
        self.preformatted += name == "pre"
        if name in ("ul", "ol"):
            self.lists.append(0 if name == "ol" else None)
        elif name == "li":
            self.mark = self._next_mark()

    def close(self, tag: Tag) -> None:
        name = tag.name
        if name in _BLOCKS:
            self.flush()
            self.group = ""
        if name in _HEADINGS:
            self.level = 0
        self.preformatted -= name == "pre"
        if name in ("ul", "ol") and self.lists:
            self.lists.pop()

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

    def _next_mark(self) -> str:
        if not self.lists or self.lists[-1] is None:
            return "- "
        self.lists[-1] += 1
        return f"{self.lists[-1]}. "


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
            if child.name not in _DROPPED and not child.has_attr("hidden"):
                yield "open", child
                stack.append((child, iter(child.children)))
        elif isinstance(child, NavigableString) and not isinstance(child, PreformattedString):
            yield "text", str(child)


def html_blocks(root: Tag, clean: bool) -> list[Block]:
    """The visible text below ``root``, block by block, scripts, styles and navigation left out."""
    builder = _Builder(clean)
    for event, item in _walk(root):
        if isinstance(item, str):
            builder.text(item)
        elif event == "open":
            builder.open(item)
        else:
            builder.close(item)
    builder.flush()
    return builder.blocks


def join_blocks(blocks: list[Block]) -> tuple[str, list[Section]]:
    """The page text, and a section for each heading at the very character where it starts."""
    parts: list[str] = []
    sections, length = [], 0
    for index, block in enumerate(blocks):
        if index:
            gap = "\n" if block.group and block.group == blocks[index - 1].group else "\n\n"
            parts.append(gap)
            length += len(gap)
        if block.level:
            sections.append(Section(" ".join(block.text.split()), block.level, 1, length))
        parts.append(block.text)
        length += len(block.text)
    return "".join(parts), sections


def declared_encoding(head: bytes) -> list[str]:
    """The encoding that the page names in a meta tag or an XML declaration: none or one."""
    match = _CHARSET.search(head)
    if not match:
        return []
    name = (match[1] or match[2]).decode("ascii").lower()
    return [_DECLARED.get(name, name)]


def _metadata(soup: BeautifulSoup) -> dict[str, str]:
    found = {"title": soup.title.get_text() if soup.title else ""}
    for tag in soup.find_all("meta"):
        key = str(tag.get("name", "")).lower()
        if key in _META_NAMES:
            found.setdefault(key, str(tag.get("content", "")))
    return {key: text for key, value in found.items() if (text := " ".join(clean_characters(value).split()))}


class HtmlReader:
    """HTML and XHTML through Beautiful Soup and Python's own parser, which never fails on bad markup."""

    name = "html"
    suffixes = (".html", ".htm", ".xhtml")
    takes = frozenset({"encoding"})

    @property
    def version(self) -> str:
        return f"1+clean{CLEANING_VERSION}+bs4-{installed_version('beautifulsoup4')}"

    def sniff(self, head: bytes, name: str) -> bool:
        """Text of an HTML name, or any text that opens like an HTML page."""
        named = name.lower().endswith(self.suffixes)
        return looks_like_text(head) and (named or bool(_LOOKS_LIKE.match(head.lstrip(b"\xef\xbb\xbf"))))

    def read(self, source: Source, options: ReadOptions, progress: Progress | None) -> Document:
        """One page with the visible text.

        Raises:
            DamagedDocumentError: when the bytes are not in ``options.encoding``.
            UnknownFormatError: when they are no text.
        """
        from bs4 import BeautifulSoup

        markup, issues = decode(source.read(), source.name, options.encoding, declared_encoding(source.head))
        choose_pages(source.name, 1, options)
        # The comment keeps Beautiful Soup from warning about text without a single tag.
        soup = BeautifulSoup(_XML_DECLARATION.sub("", markup) + "<!---->", "html.parser")
        text, sections = join_blocks(html_blocks(soup, options.clean))
        if progress is not None:
            progress(1, 1)
        return make_document(
            self,
            source,
            options,
            pages=[Page(1, text)],
            page_count=1,
            sections=sections,
            issues=issues,
            metadata=_metadata(soup),
        )
