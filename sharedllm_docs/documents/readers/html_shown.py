"""The tree of an HTML page as a browser shows it: embedded frames, shadow trees, the page's own style sheets.

The tree that the parser made is changed so that later steps need to know nothing about these. Parts that a style sheet
hides, and that nothing in the page can open, get the attribute ``hidden``. Inline elements that are shown as blocks, or
side by side in a row of their own, get the attribute ``BREAK``.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from sharedllm_docs.documents.document import Issue

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

BREAK = "data-sharedllm-break"
"""The attribute whose value, a space or a line break, separates an element from its neighbours."""
_DEEPEST_FRAME = 3
_MOST_RULES = 400  # that show or hide something
_MOST_MATCHED = 4_000_000  # rules times elements
_MOST_TEMPLATES = 10_000
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_AT_RULE = re.compile(r"@[^;{}]*;")
_SCREEN = re.compile(r"@media\s+(?:only\s+)?(?:screen|all)\s*\Z", re.IGNORECASE)
_DECLARED = re.compile(r"(display|visibility)\s*:\s*([a-z-]+)[^;]*?(!\s*important)?\s*(?:;|\Z)", re.IGNORECASE)
_NAMES = re.compile(r"[.#]((?:\\.|[\w-])+)")
_STATE = re.compile(r":(?!root\b|not\b|is\b|where\b|first|last|nth|only|empty\b)")
_SPECIFIC = re.compile(r"(#[\w-]+)|(\.[\w-]+|\[[^\]]*\]|:(?!:)[\w-]+)|((?<![\w.#:-])[a-zA-Z][\w-]*)")
_LINES = frozenset(("block", "list-item", "table", "flow-root", "flex", "grid", "table-row"))
_ROWS = frozenset(("flex", "inline-flex", "grid", "inline-grid"))
_INLINE_TAGS = """
    a abbr b bdi bdo button cite code data dfn em font i kbd label mark q s samp small span strong sub sup time tt u var
"""
_INLINE = frozenset(_INLINE_TAGS.split())


_TEMPLATE = re.compile(
    r"<template\b(?P<said>[^>]*)>(?P<held>(?:(?!<template\b|</template).)*)</template\s*>", re.DOTALL | re.IGNORECASE
)
_SHADOW = re.compile(r"\bshadowrootmode\s*=", re.IGNORECASE)
_HELD = "data-sharedllm-held"


def without_templates(markup: str) -> str:
    """The markup with the content of templates moved into an attribute; templates that no browser shows are removed.

    The parser does not know templates: an end tag omitted in one would end elements around it.
    """

    def put(match: re.Match[str]) -> str:
        if not _SHADOW.search(match["said"]):
            return ""
        return f'<template{match["said"]} {_HELD}="{escape(match["held"])}"></template>'

    before = None
    while before != markup and "<template" in markup.lower():
        before, markup = markup, _TEMPLATE.sub(put, markup, count=_MOST_TEMPLATES)
        if _HELD in markup:
            break  # those around a shadow tree stay as they are
    return markup


def as_shown(soup: BeautifulSoup, parse: Callable[[str], BeautifulSoup], depth: int = 0) -> list[Issue]:
    """Change a tree to what a browser shows of it.

    Args:
        soup: the tree.
        parse: makes a tree of the text of a frame.
        depth: of frames in frames.

    Returns:
        issues about parts that are left out.
    """
    _open_frames(soup, parse, depth)
    _open_shadows(soup, parse)
    hidden = _apply_styles(soup)
    outside = sum(bool(one.get("src")) and not one.has_attr("srcdoc") for one in soup.find_all("iframe"))
    issues = []
    if hidden:
        message = f"{hidden} word(s) that the page's own style sheet hides, with nothing to open them, are left out"
        issues.append(Issue("hidden-text", message))
    if outside:
        issues.append(Issue("frames", f"{outside} frame(s) of the page are other files and are not read"))
    return issues


def _open_frames(soup: BeautifulSoup, parse: Callable[[str], BeautifulSoup], depth: int) -> None:
    """Replace frames by their text, if the page itself contains it."""
    if depth >= _DEEPEST_FRAME:
        return
    for frame in soup.find_all("iframe", srcdoc=True):
        inner = parse(str(frame["srcdoc"]))
        as_shown(inner, parse, depth + 1)
        frame.name = "div"
        frame.clear()
        for child in list((inner.body or inner).children):
            frame.append(child.extract())


def _open_shadows(soup: BeautifulSoup, parse: Callable[[str], BeautifulSoup]) -> None:
    """Replace the contents of hosts by their declared shadow trees; the contents move into the slots."""
    for template in soup.find_all("template", shadowrootmode=True):
        host = template.parent
        if host is None:
            continue
        template.extract()
        light = [child.extract() for child in list(host.children)]
        inner = parse(str(template.get(_HELD) or ""))
        for child in list((inner.body or inner).children):
            host.append(child.extract())
        for slot in host.find_all("slot"):
            name = slot.get("name")
            given = [one for one in light if _slot_of(one) == (name or "")]
            if any(str(one).strip() for one in given):
                slot.clear()
                for one in given:
                    slot.append(one)
                light = [one for one in light if one not in given]


def _slot_of(node: Any) -> str:
    return str(node.get("slot") or "") if hasattr(node, "attrs") else ""


# -- style sheets


@dataclass(frozen=True)
class _Rule:
    """The declarations of a style sheet for the elements that a selector matches.

    Attributes:
        selector: as written.
        said: property -> value and whether it is important.
        order: of several rules with the same specificity, the last one applies.
    """

    selector: str
    said: tuple[tuple[str, str, bool], ...]
    order: int

    @property
    def specific(self) -> tuple[int, int, int]:
        found = [match.lastindex for match in _SPECIFIC.finditer(self.selector)]
        return found.count(1), found.count(2), found.count(3)


def _apply_styles(soup: BeautifulSoup) -> int:
    """Mark what style sheets hide and what they show as blocks; returns the words that are hidden."""
    rules = list(itertools.islice(_rules(soup), _MOST_RULES))
    looks: dict[int, tuple[Tag, dict[str, tuple[Any, str]]]] = {}
    matched: dict[int, set[int]] = {}
    plain = [rule for rule in rules if not _STATE.search(rule.selector)]
    if len(plain) * len(soup.find_all(True)) <= _MOST_MATCHED:
        for rule in plain:
            matched[rule.order] = _match(soup, rule, looks)
    for tag in soup.find_all(style=True):
        said = _declared(str(tag["style"]))
        _note(looks, tag, _Rule("", said, 0), (1, 0, 0, 0))
    openers = _openers(soup, rules, matched)
    hidden = 0
    for tag, look in looks.values():
        display, visibility = (look.get(name, (None, ""))[1] for name in ("display", "visibility"))
        if display == "none" or visibility in ("hidden", "collapse"):
            own = _CONCEALS.search(str(tag.get("style") or "")) is not None
            if not own and not tag.has_attr("hidden") and not openers(tag) and tag.name not in ("body", "html"):
                hidden += len(tag.get_text(" ").split())
                tag["hidden"] = ""
        else:
            _set_apart(tag, display)
    return hidden


_CONCEALS = re.compile(r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)", re.IGNORECASE)


def _set_apart(tag: Tag, display: str) -> None:
    """Mark an element that is shown as a block, and the parts of a row."""
    if display in _LINES and tag.name in _INLINE:
        tag[BREAK] = "\n"
    if display in _ROWS:
        for child in tag.find_all(True, recursive=False):
            if child.name in _INLINE:
                child[BREAK] = " "


def _match(soup: BeautifulSoup, rule: _Rule, looks: dict[int, tuple[Tag, dict[str, tuple[Any, str]]]]) -> set[int]:
    """Apply a rule to its elements; returns them."""
    try:
        found = soup.select(rule.selector)
    except Exception:  # an invalid selector, or one that the library does not support: only its own rule is lost
        return set()
    for tag in found:
        _note(looks, tag, rule, (0, *rule.specific))
    return set(map(id, found))


def _note(
    looks: dict[int, tuple[Tag, dict[str, tuple[Any, str]]]], tag: Tag, rule: _Rule, specific: tuple[int, ...]
) -> None:
    _, look = looks.setdefault(id(tag), (tag, {}))
    for name, value, important in rule.said:
        rank = (important, *specific, rule.order)
        if name not in look or rank >= look[name][0]:
            look[name] = rank, value


def _rules(soup: BeautifulSoup) -> Iterator[_Rule]:
    """The rules of the page's style sheets that show or hide something, in order."""
    order = 0
    for sheet in soup.find_all("style"):
        media = str(sheet.get("media") or "all").lower()
        if "screen" not in media and "all" not in media:
            continue
        for selectors, body in _blocks(_AT_RULE.sub("", _COMMENT.sub("", "".join(map(str, sheet.contents))))):
            said = _declared(body)
            for selector in selectors.split(",") if said and "(" not in selectors else [selectors] if said else ():
                order += 1
                yield _Rule(selector.strip(), said, order)


def _declared(body: str) -> tuple[tuple[str, str, bool], ...]:
    return tuple((name.lower(), value.lower(), bool(important)) for name, value, important in _DECLARED.findall(body))


def _blocks(sheet: str) -> Iterator[tuple[str, str]]:
    """(selectors, declarations); of conditional rules only those that apply to every screen."""
    place = 0
    while (opens := sheet.find("{", place)) >= 0:
        head = sheet[place:opens].strip().lstrip("}").strip()
        if not head.startswith("@"):
            closes = sheet.find("}", opens)
            closes = len(sheet) if closes < 0 else closes
            yield head, sheet[opens + 1 : closes]
            place = closes + 1
        elif _SCREEN.match(head):
            place = opens + 1
        else:
            place = _end_of(sheet, opens)


def _end_of(sheet: str, opens: int) -> int:
    """Position after the bracket that closes the one at ``opens``."""
    depth = 0
    for match in re.finditer(r"[{}]", sheet[opens:]):
        depth += 1 if match[0] == "{" else -1
        if depth == 0:
            return opens + match.end()
    return len(sheet)


def _openers(soup: BeautifulSoup, rules: list[_Rule], matched: dict[int, set[int]]) -> Callable[[Tag], bool]:
    """Decides whether something in the page may open a hidden element: a link, a button, a state, a script."""
    scripts = soup.find_all("script")
    if any(one.get("src") for one in scripts):
        return lambda tag: True  # it may do anything
    code = " ".join(str(text) for one in scripts for text in one.contents)
    for tag in soup.find_all(True):
        code += " ".join(str(value) for name, value in tag.attrs.items() if name.startswith("on"))
    names = set(re.findall(r"[\w-]+", code))
    for name in ("href", "aria-controls", "data-target", "data-bs-target", "popovertarget", "for"):
        names.update(str(tag[name]).lstrip("#") for tag in soup.select(f"[{name}]"))

    shows = [rule for rule in rules if any(value not in ("none", "hidden", "collapse") for _, value, _ in rule.said)]
    states = [(set(_NAMES.findall(rule.selector)), matched.get(rule.order, set())) for rule in shows]

    def opens(tag: Tag) -> bool:
        own = {name for name in (str(tag.get("id") or ""), *(tag.get("class") or ())) if name}
        return bool(own & names) or any(own & said and id(tag) not in found for said, found in states)

    return opens
