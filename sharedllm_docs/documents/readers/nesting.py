"""Flattens HTML that is nested extremely deep before it is parsed: the parser's time grows with the square of the
depth.

Browsers do the same from 512 elements on. Text is kept; only its nesting is lost, and that is reported.
"""

from __future__ import annotations

import re
from typing import Any

from sharedllm_docs.documents.document import Issue
from sharedllm_docs.documents.readers.html_shown import as_shown, without_templates

MAX_DEPTH = 1000
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)[^<>]*>?")
# Elements without an end tag, and those that the next of their kind ends: many of them in a row are no depth.
_NAMES = (
    "area base br col embed hr img input link meta param source track wbr p li dt dd tr td th thead tbody tfoot option "
    "optgroup colgroup caption rt rp html head body"
)
_FLAT = frozenset(_NAMES.split())


def parse_html(markup: str) -> tuple[Any, list[Issue]]:
    """The tree of a page as it is shown, no deeper than ``MAX_DEPTH`` elements or so, and what is left out of it."""
    from bs4 import BeautifulSoup

    shallow = _shallow(markup)
    issues = []
    if shallow is not markup:
        message = f"elements are nested more than {MAX_DEPTH:,} deep; the text of deeper ones is read without them"
        issues.append(Issue("nested-too-deep", message))

    def parse(text: str) -> Any:
        # The comment keeps Beautiful Soup from warning about text without a single tag.
        return BeautifulSoup(without_templates(_shallow(text)) + "<!---->", "html5lib")

    tree = parse(shallow)
    return tree, issues + as_shown(tree, parse)


def _shallow(markup: str) -> str:
    """The markup itself, or a copy without the tags that stand too deep."""
    if markup.count("<") <= MAX_DEPTH:
        return markup
    depth, left = 0, 0

    def kept(match: re.Match[str]) -> str:
        nonlocal depth, left
        name = match[2].lower()
        if name in _FLAT or match[0].endswith("/>"):
            return "" if depth >= MAX_DEPTH and name in ("td", "th", "tr", "li") and not match[1] else match[0]
        if match[1]:
            if left:  # it ends one that was left out
                left -= 1
                return ""
            depth = max(0, depth - 1)
            return match[0]
        if depth >= MAX_DEPTH:
            left += 1
            return ""
        depth += 1
        return match[0]

    found = _TAG.sub(kept, markup)
    return markup if len(found) == len(markup) else found
