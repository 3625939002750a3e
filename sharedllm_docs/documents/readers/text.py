"""Plain text. Form feeds separate pages; without one the whole file is page 1."""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from pathlib import PurePath

from sharedllm_docs.documents.cleaning import CLEANING_VERSION, MARGIN_LINES, clean_pages
from sharedllm_docs.documents.document import Document, Page
from sharedllm_docs.documents.readers.base import Progress, choose_pages, cleaning_issues, make_document
from sharedllm_docs.documents.readers.decode import begins_no_text, decode, looks_like_text
from sharedllm_docs.documents.readers.options import ReadOptions
from sharedllm_docs.documents.readers.source import Source

_BLANK_LINE = re.compile(r"\n(?:[ \t]*\n)+")


def split_pages(text: str) -> list[str]:
    """Pages between form feeds; the form feed that ends the last page opens no new one."""
    pages = text.split("\f")
    return pages[:-1] if len(pages) > 1 and not pages[-1].strip() else pages


def margins(page: str) -> tuple[int, int]:
    """Number of lines that a blank line sets off at the top and at the bottom of a page; 0 where they are too many."""
    blocks = [block.count("\n") + 1 for block in _BLANK_LINE.split(page.strip())]
    if len(blocks) < 2:
        return 0, 0
    lead, trail = blocks[0], blocks[-1]
    return (lead if lead <= MARGIN_LINES else 0), (trail if trail <= MARGIN_LINES else 0)


_PROGRAMS = ".exe .dll .sys .com .msi .so .dylib .bin .o .a .obj .lib .class .jar .war .pyc .wasm .apk .ko .elf"
_PACKED = ".7z .gz .tgz .bz2 .xz .zst .rar .tar .zip .iso .img .dmg .deb .rpm .cab"
_SOUND = ".mp3 .m4a .wav .flac .ogg .opus .aac .wma .mid .aiff .amr"
_FILMS = ".mp4 .m4v .avi .mov .mkv .webm .wmv .flv .mpg .mpeg .3gp .swf"
_FONTS = ".ttf .otf .woff .woff2 .eot .pfb"
_PICTURES = (
    ".psd .ico .cur .icns .heic .heif .avif .jp2 .jxl .tga .pcx .xcf .ai .eps .emf .wmf .emz .wmz .dng .cr2 .nef"
)
_DATA = ".db .sqlite .sqlite3 .pkl .pickle .npy .npz .pt .pth .onnx .safetensors .gguf .parquet .h5 .mdb .accdb .dbf"
_OFFICE = (
    ".doc .dot .xls .xlt .xlsb .ppt .pps .pot .pub .vsd .vsdx .mpp .msg .oft .pst .ost .one .wps .wpd .hwp .xps .odt "
    ".ods .odp .odg .ott .pages .numbers .key .indd .dwg .djvu .chm .hlp .mobi .azw .azw3 .lit .thmx .p7m"
)
_NO_TEXT = frozenset(f"{_PROGRAMS} {_PACKED} {_SOUND} {_FILMS} {_FONTS} {_PICTURES} {_DATA} {_OFFICE}".split())
"""Endings of files that are no text, unless what they contain is writing beyond doubt."""


class TextReader:
    """Plain text of any encoding; also takes files of unknown name that look like text."""

    name = "text"
    version = f"2+clean{CLEANING_VERSION}"
    suffixes = (".txt", ".text")
    takes = frozenset({"encoding"})

    def sniff(self, head: bytes, name: str) -> bool:
        """Anything without NUL bytes and hardly any control characters, unless it is known to be no text."""
        suffix = PurePath(name.lower()).suffix
        if begins_no_text(head) or (suffix in _NO_TEXT and not _is_writing(head)):
            return False
        return looks_like_text(head) and b"\x7f" not in head[:16]

    def read(self, source: Source, options: ReadOptions, progress: Progress | None) -> Document:
        """Pages as the form feeds say; no sections.

        Raises:
            DamagedDocumentError: when the bytes are not in ``options.encoding``.
            UnknownFormatError: when they are not text.
        """
        text, issues = decode(source.read(), source.name, options.encoding)
        texts = split_pages(text)
        numbers = choose_pages(source.name, len(texts), options)
        pages = [texts[number - 1] for number in numbers]
        cleaned = pages
        if options.clean:
            cleaned, removed = clean_pages(
                pages,
                numbers=numbers,
                margins=[margins(page) for page in pages],
                layout=False,
                keep_running_lines=options.keep_running_lines,
            )
            issues = [*issues, *cleaning_issues(pages, cleaned, numbers, removed)]
        read = [Page(number, page) for number, page in zip(numbers, cleaned, strict=True)]
        if progress is not None:
            progress(len(read), len(read))
        return make_document(self, source, options, pages=read, page_count=len(texts), issues=issues)


def _is_writing(head: bytes) -> bool:
    """Whether first bytes are several words in plain ASCII or UTF-8: a letter called ``letter.bin`` is one still."""
    try:
        text = getincrementaldecoder("utf-8")().decode(head)  # the last character may be cut
    except UnicodeDecodeError:
        return False
    return len(text.split()) >= 5 and all(one.isprintable() or one in "\t\r\n\f" for one in text)
