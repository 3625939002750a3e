"""What all cleaners share: decoding, tidying, and applying a page cleaner to all files of a source."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

_ENCODINGS = ("utf-8", "cp1252", "latin-1")
_TYPED = str.maketrans({"\u00a0": " ", "\u00ad": "", "\u200b": "", "\ufeff": "", "\r": "", "\f": "\n", "¶": ""})


@dataclass(frozen=True)
class Doc:
    """One cleaned document: its path in the package, its title, and its text."""

    path: str
    title: str
    text: str


Members = Iterable[tuple[str, bytes]]
PageCleaner = Callable[[str], tuple[str, str]]
Cleaner = Callable[[Members], Iterator[Doc]]


def decode(data: bytes) -> str:
    """Decode a file; old documentation uses several encodings."""
    for encoding in _ENCODINGS:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise AssertionError("latin-1 decodes every byte")  # pragma: no cover


def tidy(text: str) -> str:
    """Remove odd spaces, trailing blanks and repeated empty lines."""
    text = text.translate(_TYPED).expandtabs(8)
    text = re.sub(r"[ ]+\n", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def each(clean: PageCleaner) -> Cleaner:
    """A cleaner that turns every file into one document."""

    def pages(members: Members) -> Iterator[Doc]:
        for name, data in members:
            title, text = clean(decode(data))
            yield Doc(name, title or name.rpartition("/")[2].partition(".")[0], tidy(text))

    return pages


def parts(heading: str, min_chars: int = 400) -> Cleaner:
    """A cleaner for a book in one plain file: a document for everything from one ``heading`` line to the next."""
    pattern = re.compile(heading, re.MULTILINE)

    def chapters(members: Members) -> Iterator[Doc]:
        for name, data in members:
            text = decode(data)
            starts = [match.start() for match in pattern.finditer(text)] or [0]
            for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(text)], strict=True)):
                chapter = tidy(text[start:end])
                # The table of contents has the same lines; what follows them there is too short for a chapter.
                if len(chapter) >= min_chars:
                    yield Doc(f"{name}#{number}", chapter.partition("\n")[0].strip(), chapter)

    return chapters
