"""Character-level cleaning: makes any text plain, printable and NFC. Keeps the line structure.

Knows nothing of pages or layout. Only characters that carry no meaning of their own are changed: superscripts, math
letters and full-width forms stay (no NFKC).
"""

from __future__ import annotations

import re

from sharedllm_docs.documents.escapes import ESCAPE_SEQUENCE
from sharedllm_docs.documents.traced import composed, substitute, translated

# Typographic ligatures only: U+FB00 to U+FB06.
_LIGATURES = {0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB05: "st", 0xFB06: "st"}

# Bullets of the Symbol and Wingdings fonts, which have no Unicode map in many office documents.
_SYMBOL_FONT_BULLETS = {0xF0B7: "•", 0xF0A7: "▪", 0xF06E: "▪", 0xF0D8: "➢", 0xF0FC: "✓"}

# Zero-width space, word joiner, BOM, soft hyphen, non-characters. Joiners (U+200C, U+200D) and direction marks carry
# meaning in several scripts and stay.
_INVISIBLE = dict.fromkeys((0x200B, 0x2060, 0xFEFF, 0x00AD, 0xFFFE, 0xFFFF))

_CONTROLS = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n"}

_SPACES = dict.fromkeys((0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000), " ")

_TABLE: dict[int, str | None] = {
    **_LIGATURES,
    **_SYMBOL_FONT_BULLETS,
    **_INVISIBLE,
    **_CONTROLS,
    **_SPACES,
    **dict.fromkeys(range(0xD800, 0xE000), "\N{REPLACEMENT CHARACTER}"),  # lone surrogates cannot be written as UTF-8
}

_LINE_BREAK = re.compile("\r\n|[\r\v\f\x1c\x1d\x1e\x85\u2028\u2029]")

# What a PDF library leaves where a word was broken: PDFium swallows the line break as well.
_SOFT_BREAK = re.compile("[\u00ad\ufffe][ \t]*\n[ \t]*|\ufffe")

# Where TeX's fonts (OT1 encoding) keep their ligatures; PDF files without a Unicode map give these codes away.
_TEX_LIGATURES = {"\x0b": "ff", "\x0c": "fi", "\r": "fl", "\x0e": "ffi", "\x0f": "ffl"}
_TEX_CODE = re.compile(r"[\x0b\x0c\x0e\x0f](?=[^\W\d_])|(?<=[^\W\d_])[\x0b\x0c\x0e\x0f]|\r(?=[^\W\d_])")

# TeX sets the copyright sign as a c inside a big circle: code 13 in the symbol font, or the finished sign once more.
_TEX_COPYRIGHT = re.compile(r"(?<!\w)(?:\rc|c©)(?!\w)")


def normalise_line_breaks(text: str) -> str:
    """Every kind of line break (CR LF, CR, form feed, U+2028 and so on) becomes one ``\\n``."""
    return substitute(_LINE_BREAK, "\n", text)


def restore_tex_codes(text: str) -> str:
    """Control codes next to a letter in raw PDF page text become the letters that they stand for in TeX's fonts.

    Only for PDF text, whose lines end in LF or CR LF: form feeds and lone carriage returns mean nothing else there.
    """
    return substitute(_TEX_CODE, lambda match: _TEX_LIGATURES[match[0]], substitute(_TEX_COPYRIGHT, "©", text))


def restore_soft_breaks(text: str) -> str:
    """Soft hyphens at line ends become ``-\\n``, the form in which ``.hyphens`` decides about them.

    PDFium writes U+FFFE for *every* hyphen that it meets at a line end (also the real one of ``low-level``) and drops
    the line break; U+00AD inside a line is left for ``clean_characters``.
    """
    return substitute(_SOFT_BREAK, "-\n", normalise_line_breaks(text))


def clean_characters(text: str) -> str:
    """NFC text with ligatures expanded, unusual spaces made plain, control and invisible characters removed.

    Escape sequences of terminals go as a whole, not their ESC alone.

    Idempotent. Tabs and line breaks stay.
    """
    return composed(translated(substitute(ESCAPE_SEQUENCE, "", normalise_line_breaks(text)), _TABLE))
