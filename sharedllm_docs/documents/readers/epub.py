"""EPUB: the chapters in reading order, headings as sections; printed pages where the book marks them.

A zip archive of XHTML, read with the HTML reader's rules. The one library for the format is under the AGPL, and its
parts are few: container, package, spine.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from sharedllm_docs.documents.document import Document, Issue
from sharedllm_docs.documents.readers.base import Progress, choose_pages, make_document
from sharedllm_docs.documents.readers.decode import declared_encoding, decode
from sharedllm_docs.documents.readers.flow import Flow
from sharedllm_docs.documents.readers.html_blocks import html_blocks, marked_text, picture_name, picture_source
from sharedllm_docs.documents.readers.nesting import parse_html
from sharedllm_docs.documents.readers.options import ReadOptions
from sharedllm_docs.documents.readers.packed import ZIP_HEAD, opened_archive
from sharedllm_docs.documents.readers.pictures import Pictures
from sharedllm_docs.documents.readers.source import Source
from sharedllm_docs.errors import DamagedDocumentError, EncryptedDocumentError, UnknownFormatError

_PAGE = re.compile("\ufdd2([^\ufdd3]*)\ufdd3")  # non-characters around the label of a printed page that begins here
_EMPTY_ELEMENT = re.compile(
    r"<(script|title|a|span|div|p|i|b|em|td|th|iframe|textarea)((?:\s[^<>]*)?)/>", re.IGNORECASE
)
_MAX_ITEMS = 5000
_FONTS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")


class EpubReader:
    """Electronic books without copy protection."""

    name = "epub"
    version = "4"
    suffixes = (".epub",)
    takes = frozenset({"ocr"})

    def sniff(self, head: bytes, name: str) -> bool:
        """A zip archive that names the format first, or one of this name."""
        return head.startswith(ZIP_HEAD) and (
            b"mimetypeapplication/epub+zip" in head[:100] or name.lower().endswith(".epub")
        )

    def read(self, source: Source, options: ReadOptions, progress: Progress | None) -> Document:
        """All chapters of the spine.

        Raises:
            EncryptedDocumentError: under copy protection.
            DamagedDocumentError, DocumentTooLargeError: not a whole book, or a hostile one.
        """
        with opened_archive(source) as archive:
            book = _Book(archive, source.name, Pictures(options))
            flow, issues = Flow(options.clean), list[Issue]()
            items = book.spine()
            issues += book.passed_over
            for done, item in enumerate(items, start=1):
                issues += book.add(flow, item)
                if progress is not None:
                    progress(done, len(items))
            metadata = book.metadata()
            issues += book.pictures.issues()
        numbers = choose_pages(source.name, flow.page_count, options)
        pages, sections = flow.pages(numbers)
        return make_document(
            self,
            source,
            options,
            pages=pages,
            page_count=flow.page_count,
            sections=sections,
            issues=issues,
            metadata=metadata,
        )


class _Book:
    def __init__(self, archive: zipfile.ZipFile, name: str, pictures: Pictures) -> None:
        self.archive, self.name, self.pictures = archive, name, pictures
        self.names = set(archive.namelist())
        self._refuse_protection()
        container = self._xml("META-INF/container.xml")
        root = container.find(".//{*}rootfile") if container is not None else None
        path = unquote(str(root.get("full-path"))) if root is not None else ""
        package = self._xml(path) if path else None
        if package is None:
            raise UnknownFormatError(
                f"{name} is a zip archive but no EPUB: it names no package.", remedy="Check the file."
            )
        self.package, self.folder = package, posixpath.dirname(path)
        self.items = {item.get("id"): item for item in package.iterfind(".//{*}manifest/{*}item")}
        drawn = (one for one in self.items.values() if str(one.get("media-type")).startswith("image/"))
        self.drawn = {self._path(self.folder, str(one.get("href"))) for one in drawn}
        self.passed_over = list[Issue]()

    def _refuse_protection(self) -> None:
        encryption = self._xml("META-INF/encryption.xml")
        if encryption is None:
            return
        methods = [str(one.get("Algorithm")) for one in encryption.iterfind(".//{*}EncryptionMethod")]
        if any(method not in _FONTS for method in methods):
            raise EncryptedDocumentError(f"{self.name} is under copy protection.", remedy="Get a copy without it.")

    def _xml(self, path: str) -> Any:
        """A part as a tree; None where it is missing or not XML."""
        from xml.etree import ElementTree

        if path not in self.names:
            return None
        data = self._read(path)
        try:
            return None if data is None else ElementTree.fromstring(data)
        except (ElementTree.ParseError, ValueError, LookupError, RecursionError):  # an odd encoding is a LookupError
            return None

    def _read(self, path: str) -> bytes | None:
        """A part's bytes; None where they are damaged."""
        try:
            return self.archive.read(path)
        except MemoryError:
            raise
        except Exception:  # zlib.error is a plain Exception
            return None

    def spine(self) -> list[str]:
        """Paths of the chapters in reading order, those outside the main line last."""
        order: list[tuple[bool, str]] = []
        for reference in self.package.iterfind(".//{*}spine/{*}itemref"):
            item = self.items.get(reference.get("idref"))
            if item is None:
                self._pass_over(f"the book names a chapter {reference.get('idref')!r} that it does not hold")
                continue
            kind, path = str(item.get("media-type")), self._path(self.folder, str(item.get("href")))
            if "html" in kind or kind.startswith("image/"):
                order.append((reference.get("linear") == "no", path))
            else:
                self._pass_over(f"the chapter {path!r} is of the kind {kind}, which is not read")
        if len(order) > _MAX_ITEMS:
            self._pass_over(f"{len(order) - _MAX_ITEMS:,} chapters beyond the limit of {_MAX_ITEMS:,} are not read")
        if not order:
            raise DamagedDocumentError(f"{self.name} names no chapter.", remedy="Fetch or export it again.")
        return [path for _, path in sorted(order[:_MAX_ITEMS], key=lambda one: one[0])]

    def _pass_over(self, message: str) -> None:
        self.passed_over.append(Issue("chapter-missing", message))

    @staticmethod
    def _path(folder: str, reference: str) -> str:
        return posixpath.normpath(posixpath.join(folder, unquote(reference.partition("#")[0])))

    def add(self, flow: Flow, path: str) -> list[Issue]:
        """A chapter's blocks; an issue where it is missing."""
        if path not in self.names:
            return [Issue("chapter-missing", f"the chapter {path!r} is missing from the file")]
        data = self._read(path)
        if data is None:
            return [Issue("chapter-missing", f"the chapter {path!r} is damaged and cannot be unpacked")]
        if path in self.drawn:  # a page that is a picture
            flow.add(marked_text(self.pictures.text(data, posixpath.basename(path))))
            return []
        markup, issues = decode(data, f"{self.name}: {path}", None, declared_encoding(data[:4096]))
        markup = _EMPTY_ELEMENT.sub(r"<\1\2></\1>", re.sub(r"\A\s*<\?xml[^>]*>", "", markup))
        soup, deep = parse_html(markup)
        _mark_pages(soup)
        blocks = html_blocks(soup, clean=True, see=lambda tag: self._see(tag, posixpath.dirname(path)))
        title = self._titles.get(path, "")
        if title and not any(block.level for block in blocks) and any(block.text.strip() for block in blocks):
            flow.add(title, level=1)
        for block in blocks:
            self._split(flow, block.text, block.level, block.group)
        return [*issues, *deep]

    def _see(self, tag: Any, folder: str) -> str:
        """Text of a picture in a chapter."""
        source = picture_source(tag)
        if not source or re.match(r"(?:data:|[a-z][a-z0-9+.-]*://|//)", source, re.IGNORECASE):
            return self.pictures.shown_by(tag)
        target = self._path(folder, source)
        data = self._read(target) if target in self.names else None
        if data is None:
            why = "it is damaged and cannot be unpacked" if target in self.names else "it is missing from the file"
            self.pictures.lost(picture_name(tag, source[:100]), why)
            return ""
        return self.pictures.text(data, picture_name(tag, posixpath.basename(target)))

    @staticmethod
    def _split(flow: Flow, text: str, level: int, group: str) -> None:
        """A block, parted where a printed page begins."""
        pieces = _PAGE.split(text)
        flow.add(pieces[0], level, group)
        for label, piece in zip(pieces[1::2], pieces[2::2], strict=True):
            if flow.page_count > 1 or flow.on_page:
                flow.new_page(label)
            else:
                flow.label(label)
            flow.add(piece.lstrip(), level, group)

    @property
    def _titles(self) -> dict[str, str]:
        """Titles of chapters in the table of contents, by path."""
        if not hasattr(self, "_contents"):
            self._contents = dict(self._entries())
        return self._contents

    def _entries(self) -> Iterator[tuple[str, str]]:
        for item in reversed(list(self.items.values())):
            path = self._path(self.folder, str(item.get("href")))
            folder = posixpath.dirname(path)
            if "nav" in str(item.get("properties") or "").split():
                root = self._xml(path)
                for link in root.iterfind(".//{*}a") if root is not None else ():
                    yield self._path(folder, str(link.get("href"))), " ".join("".join(link.itertext()).split())
            elif item.get("media-type") == "application/x-dtbncx+xml":
                root = self._xml(path)
                for point in root.iterfind(".//{*}navPoint") if root is not None else ():
                    label, content = point.find("{*}navLabel/{*}text"), point.find("{*}content")
                    if label is not None and content is not None:
                        yield self._path(folder, str(content.get("src"))), " ".join((label.text or "").split())

    def metadata(self) -> dict[str, str]:
        wanted = {
            "title": "title",
            "creator": "author",
            "language": "language",
            "date": "date",
            "publisher": "publisher",
        }
        found: dict[str, str] = {}
        for element in self.package.iterfind(".//{*}metadata/*"):
            key = wanted.get(str(element.tag).rpartition("}")[2])
            text = " ".join((element.text or "").split())
            if key and text:
                found[key] = f"{found[key]}, {text}" if key == "author" and key in found else found.get(key, text)
        return found


def _mark_pages(soup: Any) -> None:
    """Put the label of each printed page into the text where the page begins."""
    for element in soup.find_all(True):
        kind = f"{element.get('epub:type') or ''} {element.get('role') or ''}"
        if "pagebreak" in kind:
            label = str(element.get("title") or element.get("aria-label") or element.get_text() or "").strip()
            element.replace_with(f"\ufdd2{label}\ufdd3")
