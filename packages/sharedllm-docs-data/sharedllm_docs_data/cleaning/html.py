"""HTML and the XML of help systems (Mallard) to plain text, through beautifulsoup."""

from __future__ import annotations

import re

from bs4 import BeautifulSoup, Tag
from bs4.element import Comment, Declaration, Doctype, NavigableString, ProcessingInstruction

from sharedllm_docs_data.wordlists import listed

_SKIPPED = frozenset(listed("script style nav footer noscript svg math head info comment button form select"))
_BLOCKS = frozenset(
    listed(
        "address article aside blockquote body caption center dd desc details div dl dt example figcaption "
        "figure h1 h2 h3 h4 h5 h6 hr html item li listing main note ol p page section steps summary table "
        "tbody td terms th thead title tr ul screen synopsis example code-block"
    )
)
_VERBATIM = frozenset(("pre", "code-block", "screen"))
_CHROME = re.compile(
    r"^(nav(header|footer|bar.*|igation.*)?|sphinxsidebar.*|related|headerlink|permalink|toc.*|footer|breadcrumb.*"
    r"|quickview|docnav|nosearch|edit-?page|sidebar.*|bd-sidebar.*|prev-next.*|up-?level|lang|toplang|bottomlang"
    r"|crumbs?|page-header|page-footer|rubric-source|fancy_toc|fancy-toc.*|viewcode-.*|srclink|src|copybtn"
    r"|titlepage-nav|list-of-.*|legalnotice|revhistory|authorgroup|nextprev|clipboard|line-numbers)$"
)
_UNSEEN = (Comment, Doctype, Declaration, ProcessingInstruction)
_MAIN = ('div[role="main"]', "main", "article", "#page-content", "#content", "body", "page")


def clean_html(text: str) -> tuple[str, str]:
    """The title and the running text of a page; menus, links back and forth and scripts are left out."""
    soup = BeautifulSoup(re.sub(r"^\s*<\?xml[^>]*\?>", "", text), "html.parser")
    root = next((found for path in _MAIN if (found := soup.select_one(path)) is not None), soup)
    heading = root.find(["h1", "title"]) or soup.find("title")
    title = re.sub(r"\s+", " ", heading.get_text(" ")).strip(" ¶—-") if isinstance(heading, Tag) else ""
    blocks = _Blocks()
    blocks.walk(root)
    return title, blocks.text()


class _Blocks:
    """Collects blocks of text while walking a tree."""

    def __init__(self) -> None:
        self._done: list[str] = []
        self._line: list[str] = []
        self._rows = False

    def text(self) -> str:
        self._flush()
        return "\n\n".join(self._done)

    def walk(self, root: Tag | BeautifulSoup) -> None:
        # Not recursive: the parser leaves tags like <li> open, and a long page nests them thousands deep.
        stack = [(iter(root.children), False)]
        while stack:
            child = next(stack[-1][0], None)
            if child is None:
                if stack.pop()[1]:
                    self._flush()
            elif isinstance(child, Tag):
                if not _is_chrome(child) and self._descends(child):
                    stack.append((iter(child.children), child.name in _BLOCKS))
            elif isinstance(child, NavigableString) and not isinstance(child, _UNSEEN):
                self._line.append(re.sub(r"\s+", " ", child))

    def _descends(self, tag: Tag) -> bool:
        """Do what a tag asks for; whether its children are to be walked."""
        if tag.name == "br":
            self._line.append("\n")
            return False
        if tag.name in _BLOCKS or tag.name in _VERBATIM:
            self._flush()
        if tag.name in _VERBATIM:
            self._done.append(tag.get_text().strip("\n"))
            self._rows = False
            return False
        if tag.name == "tr":
            return self._row_is_long(tag)
        if tag.name in ("li", "item"):
            self._line.append("- ")
        return True

    def _row_is_long(self, tag: Tag) -> bool:
        """A table row goes on one line, unless its cells hold whole paragraphs."""
        cells = [
            re.sub(r"\s+", " ", cell.get_text(" ")).strip() for cell in tag.find_all(["td", "th"], recursive=False)
        ]
        if any(len(cell) > 300 for cell in cells):
            return True
        row = " | ".join(cell for cell in cells if cell)
        if self._rows and row:
            self._done[-1] += "\n" + row
        elif row:
            self._done.append(row)
        self._rows = bool(row) or self._rows
        return False

    def _flush(self) -> None:
        text = re.sub(r" *\n *", "\n", re.sub(r"[ \t]+", " ", "".join(self._line))).strip()
        self._line = []
        if text and text != "-":
            self._done.append(text)
            self._rows = False


def _is_chrome(tag: Tag) -> bool:
    if tag.name in _SKIPPED or tag.get("hidden") is not None:
        return True
    names = [*tag.get_attribute_list("class"), str(tag.get("id") or ""), str(tag.get("role") or "")]
    return any(_CHROME.match(name) for name in names if name)
