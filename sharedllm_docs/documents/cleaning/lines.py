"""Line-level cleaning of text that was laid out on pages. Pure functions of text.

One line stays one line, except where a line break comes before a single full stop or comma.
"""

from __future__ import annotations

import re

from sharedllm_docs.documents.traced import joined, substitute

# ". . . . 12", "..... xii", "     . . 9, 18": what fills a line of a table of contents or an index.
_PAGE_NUMBERS = r"[\divxlc]+(?:[,\u2013-]\s?[\divxlc]+)*"
_LEADER = re.compile(
    r"(?<![ \t])[ \t]*(?:(?:\.[ \t]){3,}\.?|(?<=[ \t])(?:\.[ \t]){2}\.|(?<=[ \t])\.{4,}|\.{5,}"
    rf"|(?<=[ \t])(?:\.[ \t]){{2}}(?={_PAGE_NUMBERS}$))[ \t]*",
    re.MULTILINE,
)

# PDFium starts a new line after a raised footnote mark: "lost 2\n. So now".
_STRANDED_STOP = re.compile(r"(?<=\w)\n(?=\)?[.,;:](?: \S|$))", re.MULTILINE)

# The four corners of the oval boxes that TeX draws with its lcircle fonts, as those fonts' Unicode maps name them.
_BOX_CORNERS = re.compile(r"^[ \t]*[☛✟✡✠][☛✟✡✠ \t]*(?:\n|\Z)", re.MULTILINE)

_INNER_SPACES = re.compile(r"(?<=\S)  +(?=\S)")
_BLANK_LINES = re.compile(r"\n{3,}")


def limit_blank_lines(text: str) -> str:
    """No spaces at line ends, no blank line at either end, never two blank lines in a row. Indentation stays."""
    stripped = joined("\n", (line.rstrip(" \t") for line in text.split("\n")))
    return substitute(_BLANK_LINES, "\n\n", stripped).strip("\n")


def clean_layout(text: str) -> str:
    """Remove what only serves the eye: leader dots (one ``...`` is left), box corners, wide word spaces."""
    text = substitute(_BOX_CORNERS, "", text)
    text = substitute(_LEADER, _ellipsis, text)
    text = substitute(_STRANDED_STOP, _bring_up, text)
    return substitute(_INNER_SPACES, " ", text)


def _ellipsis(match: re.Match[str]) -> str:
    """Three dots, with a space after them unless a bracket or another mark follows at once."""
    following = match.string[match.end() : match.end() + 1]
    return " ..." if not match[0].endswith((" ", "\t")) and following in tuple(",;:)]}") else " ... "


def _bring_up(match: re.Match[str]) -> str:
    """No line break, unless the line above is an entry of an index, which may have "." and ":" as its headings."""
    above = match.string[match.string.rfind("\n", 0, match.start()) + 1 : match.start()]
    return "\n" if " ... " in above else ""
