"""What a caller may ask of a reader: ``ReadOptions``, validated once, and page ranges."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypedDict, get_args

from sharedllm_docs.errors import ConfigError, PageRangeError

Engine = Literal["pdfium", "pypdf"]
Ocr = Literal["auto", "off", "force"]
Process = Literal["separate", "own"]

_PART = re.compile(r"\s*(\d{1,9})\s*(?:(-)\s*(\d{1,9})?\s*)?")
_REMEDY = 'Write pages as "1-20,35" or "50-" (to the end); the first page is 1.'


def parse_pages(pages: str) -> tuple[tuple[int, int | None], ...]:
    """Spans of a page range such as ``"1-20,35,50-"``, both ends included; None stands for the last page.

    Raises:
        PageRangeError: when it is malformed, names page 0 or runs backwards.
    """
    spans = []
    for part in pages.split(","):
        match = _PART.fullmatch(part)
        if not match:
            raise PageRangeError(f"The page range {pages!r} is malformed at {part!r}.", remedy=_REMEDY)
        first = int(match[1])
        last = int(match[3]) if match[3] else (None if match[2] else first)
        if first < 1 or (last is not None and last < first):
            raise PageRangeError(f"The page range {pages!r} is not ascending from page 1 at {part!r}.", remedy=_REMEDY)
        spans.append((first, last))
    return tuple(spans)


def select_pages(pages: str | None, count: int) -> tuple[int, ...]:
    """The 1-based page numbers that ``pages`` names in a document of ``count`` pages, ascending, each once.

    Raises:
        PageRangeError: when a page lies outside the document.
    """
    if pages is None:
        return tuple(range(1, count + 1))
    chosen: set[int] = set()
    for first, last in parse_pages(pages):
        outside = max(first, last or first)
        if outside > count:
            raise PageRangeError(
                f"Page {outside} of the range {pages!r} is outside the document, which has {count} page(s).",
                remedy=f"Name pages from 1 to {count}.",
            )
        chosen.update(range(first, (last or count) + 1))
    return tuple(sorted(chosen))


def format_pages(numbers: tuple[int, ...]) -> str:
    """The canonical page range of ascending page numbers: ``(1, 2, 3, 35)`` gives ``"1-3,35"``."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


@dataclass(frozen=True)
class ReadOptions:
    """How to read a document.

    An option that the reader of a format does not support (say, a password for plain text) is refused, not ignored.

    Attributes:
        password: of an encrypted document. Never stored.
        pages: page range such as ``"1-20,35"``; None for all.
        engine: which library extracts the text of PDF pages; ``pypdf`` is slower and loses more spaces.
        encoding: of a text-like file, as Python names it; None to detect it.
        max_pages: maximum number of pages to read, of those chosen by ``pages``.
        max_bytes: maximum size of the source, in bytes.
        clean: False to keep the text as it is in the source (only line breaks are made uniform).
        keep_running_lines: True to leave running headers, footers and page numbers in the cleaned text.
        ocr: text recognition (the extra ``ocr``, or tesseract): ``auto`` for pages and pictures without text that can
            be read, ``force`` for every page, ``off`` for none.
        attachments: True to read also the files that are embedded in a document (PDF) or attached to it (e-mail).
        process: ``separate`` to read in a separate process, which may crash, hang or run out of memory without harm;
            ``own`` to read in this one, without the two limits below. None for the value of the environment variable
            ``SHAREDLLM_DOCS_PROCESS``, or else ``separate``.
        page_seconds: maximum processor time for a page, in seconds. A page that takes longer is read by the other
            library, or left out and reported. By the clock, five times as much is allowed.
        max_memory: maximum memory of a process that reads files, in bytes. Up to four share a long PDF.

    Raises:
        ConfigError: naming every invalid setting.
        PageRangeError: when ``pages`` is malformed.
    """

    password: str | None = field(default=None, repr=False)
    pages: str | None = None
    engine: Engine = "pdfium"
    encoding: str | None = None
    max_pages: int = 20_000
    max_bytes: int = 1 << 30
    clean: bool = True
    keep_running_lines: bool = False
    ocr: Ocr = "auto"
    attachments: bool = False
    process: Process | None = None
    page_seconds: float = 120.0
    max_memory: int = 3 << 30

    def __post_init__(self) -> None:
        problems = [
            *([] if self.pages is None or isinstance(self.pages, str) else [f"pages is {self.pages!r}, not text"]),
            *([] if self.engine in get_args(Engine) else [f"engine is {self.engine!r}, not one of {get_args(Engine)}"]),
            *([] if self.ocr in get_args(Ocr) else [f"ocr is {self.ocr!r}, not one of {get_args(Ocr)}"]),
            *_below_one(self, "max_pages", "max_bytes", "max_memory"),
            *([] if self.process in (None, *get_args(Process)) else [_wrong_process(self.process)]),
            *([] if _is_positive(self.page_seconds) else [f"page_seconds is {self.page_seconds!r}, not above 0"]),
            *([] if self.encoding is None or _is_text_encoding(self.encoding) else [_unknown(self.encoding)]),
        ]
        if problems:
            raise ConfigError(f"Invalid reading options: {'; '.join(problems)}.", remedy="Correct them and read again.")
        if self.pages is not None:
            parse_pages(self.pages)

    def changed(self) -> frozenset[str]:
        """Names of the options that differ from their default."""
        return frozenset(f.name for f in fields(self) if getattr(self, f.name) != f.default)


def _is_text_encoding(name: str) -> bool:
    try:
        b"a".decode(name, "replace")
    except (LookupError, ValueError):
        return False
    return True


def _wrong_process(process: object) -> str:
    return f"process is {process!r}, not one of {get_args(Process)}"


def _is_positive(seconds: object) -> bool:
    return isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and 0 < seconds < 1e9


def _unknown(encoding: str) -> str:
    return f"encoding {encoding!r} is not a text encoding that Python knows"


def _below_one(options: ReadOptions, *names: str) -> list[str]:
    values = {name: getattr(options, name) for name in names}
    wrong = {n: v for n, v in values.items() if isinstance(v, bool) or not isinstance(v, int)}
    return [
        *(f"{name} is {value!r}, not a whole number" for name, value in wrong.items()),
        *(f"{name} is {value}, below 1" for name, value in values.items() if name not in wrong and value < 1),
    ]


class ReadKeywords(TypedDict, total=False):
    """Fields of ``ReadOptions`` as keywords of ``Index.add``; described there."""

    password: str | None
    pages: str | None
    engine: Engine
    encoding: str | None
    max_pages: int
    clean: bool
    keep_running_lines: bool
    ocr: Ocr
    attachments: bool
    process: Process | None
    page_seconds: float
    max_memory: int


def reading_options(whole: ReadOptions | None, keywords: Mapping[str, Any]) -> ReadOptions:
    """The options of ``whole``, or the defaults, with the fields that ``keywords`` names.

    Raises:
        ConfigError: an unknown keyword, an invalid value, or a ``whole`` of another class.
    """
    if whole is not None and not isinstance(whole, ReadOptions):
        raise ConfigError(
            f"options={whole!r} is not a ReadOptions.", remedy='Give single keywords, as in pages="1-20".'
        )
    unknown = sorted(set(keywords) - set(ReadKeywords.__annotations__))
    if unknown:
        raise ConfigError(
            f"Unknown setting {', '.join(map(repr, unknown))} (known: {', '.join(ReadKeywords.__annotations__)}).",
            remedy="Correct the name, or leave it out.",
        )
    return replace(whole or ReadOptions(), **keywords)
