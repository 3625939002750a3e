"""Bytes to text: byte order marks, UTF-8, UTF-16, and finally a guess. Shared by the readers of text formats."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence

from sharedllm_docs.documents.cleaning import normalise_line_breaks
from sharedllm_docs.documents.document import Issue
from sharedllm_docs.documents.readers.reasons import reason_of
from sharedllm_docs.documents.readers.source import HEAD_BYTES
from sharedllm_docs.errors import DamagedDocumentError, UnknownFormatError

# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_TEXT_CONTROLS = frozenset(b"\t\n\v\f\r\x08\x1a\x1b")
_SAMPLE = 1 << 16  # bytes that are looked at before a guess
_FEW_BAD = 2  # bad bytes for which as many good characters are proof of UTF-8; for more it takes four times as many
_MAX_CONTROLS = 0.02  # share of control bytes above which bytes are not text

# Single-byte encodings by use: where the guess is a near tie, these are the likelier ones.
_COMMON = ("cp1252", "cp1251", "cp1250", "iso8859_2", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257")
_SIGN_IN_WORD = re.compile(r"(?<=[^\W\d_])[^\w\s\x00-\x7f\u2010-\u2019](?=[^\W\d_])")
_NEAR = 0.05  # of the guesser's measure of disorder, 0 to 1

_CHARSET = re.compile(
    rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]{2,40})|<\?xml[^>]{0,200}?encoding=[\"']([\w.:-]{2,40})", re.I
)

# Python's codecs for what browsers read wider than its label says (WHATWG encoding standard).
_WIDER = {"shift_jis": "cp932", "euc-kr": "cp949", "gbk": "gb18030", "big5": "big5hkscs"}

_NO_TEXT_HEADS = (
    *(b"\x7fELF", b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!\x1a", b"BZh9", b"\xfd7zXZ"),
    *(b"SQLite format 3", b"\x00asm", b"OggS", b"fLaC", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe", b"!<arch>\n"),
    *(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"wOFF", b"wOF2", b"GGUF", b"PAR1", b"\x89HDF", b"ITSF", b"AT&TFORM"),
    *(b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"\xc5\xd0\xd3\xc6"),
)
"""First bytes of files that are not text, whatever their name."""

_CHECK = "Check that it is the right file."
_REMEDY = "Give encoding=, or convert the file to UTF-8."


def _marked(data: bytes) -> str | None:
    """The encoding given by a byte order mark."""
    return next((name for mark, name in _MARKS if data.startswith(mark)), None)


def _bare_utf16(head: bytes) -> str | None:
    """UTF-16 without a mark: mostly Western text has a zero in every second byte, and in no other."""
    half = len(head) // 2
    if half < 2:
        return None
    even, odd = head[0 : 2 * half : 2].count(0), head[1 : 2 * half : 2].count(0)
    if odd > 0.4 * half and even == 0:
        return "utf-16-le"
    return "utf-16-be" if even > 0.4 * half and odd == 0 else None


def declared_encoding(head: bytes) -> list[str]:
    """The encoding that the page names in a meta tag or an XML declaration, as browsers take it: none or one."""
    match = _CHARSET.search(head)
    if not match:
        return []
    from webencodings import lookup

    name = (match[1] or match[2]).decode("ascii").lower()
    known = lookup(name)
    if known is None:
        return [name]
    if known.name.startswith("utf-16"):  # a tag that could be read as ASCII is in no UTF-16
        return ["utf-8"]
    return [_WIDER.get(known.name, known.codec_info.name)]


def begins_no_text(head: bytes) -> bool:
    """Whether the first bytes are those of a format that is not text; a very short file may contain only some of
    them."""
    return head.startswith(_NO_TEXT_HEADS) or _begins_bytes(head)


def _begins_bytes(head: bytes) -> bool:
    """The same of marks that no text begins with: whole or cut short, they contain bytes that are no letters."""
    odd = any(byte > 126 or (byte < 32 and byte not in b"\t\n\r\f") for byte in head[:8])
    marks = (mark for mark in _NO_TEXT_HEADS if mark.startswith(head[: len(mark)]))
    return odd and len(head) > 1 and any(any(byte > 126 or byte < 9 for byte in mark[: len(head)]) for mark in marks)


def looks_like_text(head: bytes) -> bool:
    """Whether these first bytes may be text in some encoding: no NUL, few control bytes, no signature of another
    format."""
    if _marked(head) or _bare_utf16(head):
        return True
    if _begins_bytes(head):
        return False
    controls = sum(byte < 32 and byte not in _TEXT_CONTROLS for byte in head)
    return b"\0" not in head and controls <= _MAX_CONTROLS * len(head) and b"%PDF-" not in head[:1024]


_HALF_WIDTH = re.compile("[\uff61-\uff9f]{3}")
_LETTERS = re.compile(r"[^\W\d_]+")
_CYRILLIC_WORD = re.compile("[\u0410-\u042f\u0401]?[\u0430-\u044f\u0451]+|[\u0410-\u042f\u0401]+")


def decode(data: bytes, name: str, encoding: str | None, declared: Sequence[str] = ()) -> tuple[str, list[Issue]]:
    """Text with uniform line breaks, and what was guessed or lost.

    Args:
        data: the whole file.
        name: for messages.
        encoding: what the caller says; no guess is made then.
        declared: encodings that the document itself names (HTML), tried after the byte order mark.

    Raises:
        DamagedDocumentError: when the bytes are not in ``encoding``.
        UnknownFormatError: when they are not text in any encoding.
    """
    if encoding:
        text, issues = _strict(data, name, encoding), list[Issue]()
    else:
        text, issues = _detected(data, name, declared)
    text = text.removeprefix("\ufeff")
    _refuse_controls(text, name)
    # Form feeds separate pages, so they outlive this step.
    return "\f".join(normalise_line_breaks(part) for part in text.split("\f")), issues


def _refuse_controls(text: str, name: str) -> None:
    """Bytes that decode to NUL or to many control characters are not text."""
    position = text.find("\0")
    if position >= 0:
        raise UnknownFormatError(f"{name} is not text: it has a NUL character at position {position}.", remedy=_CHECK)
    sample = text[:HEAD_BYTES]
    controls = sum(ord(character) < 32 and ord(character) not in _TEXT_CONTROLS for character in sample)
    if controls > max(1, _MAX_CONTROLS * len(sample)):
        message = f"{name} is not text: {controls} of its first {len(sample)} characters are control characters."
        raise UnknownFormatError(message, remedy=_CHECK)


def _strict(data: bytes, name: str, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeError as error:
        raise DamagedDocumentError(f"{name} is not in {encoding}: {reason_of(error)}.", remedy=_REMEDY) from error


def _detected(data: bytes, name: str, declared: Sequence[str]) -> tuple[str, list[Issue]]:
    """Tries the byte order mark, the declared encoding, UTF-8, UTF-16 by its zero bytes, UTF-8 with errors, then a
    guess."""
    marked, bare = _marked(data), _bare_utf16(data[:HEAD_BYTES])
    for encoding in [marked] if marked else [*declared, *([bare] if bare else ["utf-8"])]:
        decoded = _try(data, encoding)
        if decoded is not None:
            text, issues = decoded
            return text, [*issues, *([_guessed(encoding)] if encoding == bare else [])]
    for encoding in [marked] if marked else [*declared, "utf-8"]:
        flawed = _with_bad_bytes_replaced(data, encoding)
        if flawed is not None:
            return flawed
    return _guess(data, name)


def _with_bad_bytes_replaced(data: bytes, encoding: str) -> tuple[str, list[Issue]] | None:
    """The text with U+FFFD for bytes that do not fit, or None when too many do not for it to be this encoding.

    Bytes of another encoding hardly ever form characters of UTF-8 by chance: a few bad bytes among good characters
    were pasted, or damaged. In other encodings nearly all bytes are characters, so one bad byte in a hundred is enough
    to doubt.
    """
    try:
        text = data.decode(encoding, "replace")
    except (LookupError, UnicodeError):
        return None
    bad = text.count("\ufffd") - data.count(b"\xef\xbf\xbd")
    good = sum(character > "\x7f" for character in text) - bad
    enough = max(1, 4 * bad if bad > _FEW_BAD else bad) if encoding.startswith("utf") else 100 * bad
    if bad < 1 or good < enough:
        return None
    if encoding.startswith("utf") or looks_like_text(data[:_SAMPLE]):
        message = f"{bad} byte(s) are not in {encoding}, in which the rest of the file is; U+FFFD stands for each"
        return text, [Issue("bytes-replaced", message)]
    return None


def _try(data: bytes, encoding: str) -> tuple[str, list[Issue]] | None:
    """The text, or None when it is not in this encoding. A UTF character cut off at the very end is lost, not fatal."""
    try:
        return data.decode(encoding), []
    except LookupError:  # a page may declare anything
        return None
    except UnicodeDecodeError as error:
        left, lost = data[: error.start], len(data) - error.start
    # One byte of Latin-1 at the end of ASCII looks like cut-off UTF-8 as well, but is not.
    if not encoding.startswith("utf") or lost > 3 or (encoding == "utf-8" and left.isascii()):
        return None
    message = f"the file ends inside a character; its last {lost} byte(s) are left out"
    return left.decode(encoding), [Issue("truncated", message)]


def _guess(data: bytes, name: str) -> tuple[str, list[Issue]]:
    """The text in the encoding that fits the bytes best."""
    if not looks_like_text(data[:_SAMPLE]):
        message = f"{name} is not text: it holds bytes that no text encoding uses."
        raise UnknownFormatError(message, remedy=_CHECK)
    from charset_normalizer import from_bytes

    matches = from_bytes(data)
    best = matches.best()
    if best is None:
        raise UnknownFormatError(f"{name} is text in no encoding that could be recognised.", remedy=_REMEDY)
    encoding = best.encoding
    if _HALF_WIDTH.search(str(best)[:_SAMPLE]) and _is_russian(data):
        return data.decode("koi8-r"), [_guessed("koi8-r")]
    if not best.multi_byte_usage:
        likely = [match for match in matches if match.encoding in _COMMON and match.chaos <= best.chaos + _NEAR]
        likely.sort(key=lambda m: (_signs_in_words(str(m)), -m.coherence, _COMMON.index(m.encoding)))
        encoding = likely[0].encoding if likely else encoding
    return data.decode(encoding), [_guessed(encoding)]


def _is_russian(data: bytes) -> bool:
    """Whether the bytes are words of small Cyrillic letters in KOI8-R, whose bytes are half-width signs elsewhere."""
    words = _LETTERS.findall(data[:_SAMPLE].decode("koi8-r", "replace"))
    small = sum(_CYRILLIC_WORD.fullmatch(word) is not None for word in words)
    return bool(words) and small >= 0.9 * len(words)


def _signs_in_words(text: str) -> int:
    """Number of symbols such as a paragraph mark between two letters; hardly any in the right encoding."""
    return len(_SIGN_IN_WORD.findall(text[:_SAMPLE]))


def _guessed(encoding: str) -> Issue:
    message = f"the encoding is neither marked nor UTF-8 and was guessed as {encoding}; give encoding= if that is wrong"
    return Issue("encoding-guessed", message)
