"""reStructuredText sources (Python and kernel documentation) to plain text."""

from __future__ import annotations

import re
from itertools import pairwise

from sharedllm_docs_data.wordlists import listed

_DROPPED = frozenset(
    listed(
        "toctree index contents image figure raw only kernel-doc include literalinclude highlight "
        "sectionauthor codeauthor moduleauthor currentmodule tabularcolumns role meta testsetup testcleanup "
        "csv-table flat-table kernel-figure kernel-render kernel-feat kernel-abi maintainers-include "
        "limited-api-list impl-detail-table seealso-table audit-event-table availability-table graphviz plot "
        "target productionlist"
    )
)
_SPOKEN = {
    "note": "Note:",
    "warning": "Warning:",
    "seealso": "See also:",
    "tip": "Tip:",
    "caution": "Caution:",
    "important": "Important:",
    "attention": "Attention:",
    "danger": "Danger:",
    "hint": "Hint:",
    "rubric": "",
    "versionadded": "Added in version",
    "versionchanged": "Changed in version",
    "deprecated": "Deprecated since version",
    "deprecated-removed": "Deprecated since version",
    "impl-detail": "Implementation detail:",
    "admonition": "",
    "availability": "Availability:",
    "topic": "",
    "centered": "",
    "glossary": "",
    "sidebar": "",
}
_DIRECTIVE = re.compile(r"^(\s*)\.\. ([\w:+-]+)::\s*(.*)$")
_UNDERLINE = re.compile(r"^([=\-~^\"'`#*+.:_<>])\1{2,}\s*$")
_OPTION = re.compile(r"^\s+:[\w-]+:.*$")
_ROLES = (
    (re.compile(r":[\w:+-]+:`([^`<]*?)\s*<[^`>]*>`"), r"\1"),
    (re.compile(r":[\w:+-]+:`!?~(?:[\w.]*\.)?([\w]+(?:\(\))?)`"), r"\1"),
    (re.compile(r":[\w:+-]+:`!?([^`]*)`"), r"\1"),
    (re.compile(r"``(.+?)``", re.DOTALL), r"\1"),
    (re.compile(r"`([^`<]+?)\s*<[^`>]*>`__?"), r"\1"),
    (re.compile(r"`([^`]+)`__?"), r"\1"),
    (re.compile(r"\b(\w+)__?(?=[\s.,;)])(?<![A-Z_]_)(?<!__)"), r"\1"),
    (re.compile(r"(?<![\w*])\*\*([^*\n]+)\*\*(?![\w*])"), r"\1"),
    (re.compile(r"(?<![\w*])\*([^*\s][^*\n]*?)\*(?![\w*])"), r"\1"),
    (re.compile(r"\s?\[(?:#\w*|\d+|\*)\]_"), ""),
    (re.compile(r"\\ "), ""),
)


def clean_rst(text: str) -> tuple[str, str]:
    """The title and the text; directives become words if they say something, and are dropped otherwise."""
    lines = text.expandtabs(8).splitlines()
    title = next(
        (
            above.strip()
            for above, below in pairwise(lines)
            if _UNDERLINE.match(below) and above.strip() and not _UNDERLINE.match(above)
        ),
        "",
    )
    kept = _without_directives(lines)
    body = "\n".join(line for line in kept if not _UNDERLINE.match(line))
    for pattern, plain in _ROLES:
        body = pattern.sub(plain, body)
    body = re.sub(r"^[ ]*::[ ]*$", "", body, flags=re.MULTILINE)
    body = re.sub(r"::[ ]*$", ":", body, flags=re.MULTILINE)
    return _plain_title(title), body


def _plain_title(title: str) -> str:
    for pattern, plain in _ROLES:
        title = pattern.sub(plain, title)
    return title


def _without_directives(lines: list[str]) -> list[str]:
    kept: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        directive = _DIRECTIVE.match(line)
        if directive:
            indent, name, rest = len(directive[1]), directive[2], directive[3]
            if name in _DROPPED:
                at = _after_block(lines, at, indent)
                continue
            while at < len(lines) and _OPTION.match(lines[at]):
                at += 1
            spoken = _SPOKEN.get(name.lower(), None if _names_code(name) else "")
            kept.append(" " * indent + " ".join(part for part in (spoken, rest) if part))
        elif re.match(r"^\s*\.\.(\s|$)", line):
            # A comment, a link target or a substitution: nothing that a reader sees, except footnotes and citations.
            note = re.match(r"^\s*\.\. \[[^\]]+\]\s+(.*)$", line)
            if note:
                kept.append(note[1])
            else:
                at = _after_block(lines, at, len(line) - len(line.lstrip()))
        else:
            kept.append(line)
    return kept


def _names_code(name: str) -> bool:
    """Directives like ``function`` and ``c:type`` carry the signature as their argument; code blocks a language."""
    return name not in (
        "code-block",
        "code",
        "sourcecode",
        "parsed-literal",
        "highlight",
        "doctest",
        "testcode",
        "table",
    )


def _after_block(lines: list[str], at: int, indent: int) -> int:
    """The index of the first line after the block that is indented deeper than ``indent``."""
    while at < len(lines) and (not lines[at].strip() or len(lines[at]) - len(lines[at].lstrip()) > indent):
        at += 1
    return at
