"""Adds many files at once, and the files inside a document; keeps an index up to date with folders.

One bad file never stops the others: what was skipped and what failed is part of the result.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from sharedllm_docs.documents.names import document_name
from sharedllm_docs.documents.readers.collect import collect, names_of
from sharedllm_docs.documents.readers.collected import Found, Skipped
from sharedllm_docs.documents.readers.embedded import embedded_files
from sharedllm_docs.documents.readers.options import ReadOptions
from sharedllm_docs.documents.readers.source import find_path
from sharedllm_docs.errors import (
    ConfigError,
    DocumentError,
    DocumentNotFoundError,
    EmptyDocumentError,
    SharedLLMError,
    UnknownFormatError,
)
from sharedllm_docs.index.views import AddedDocument, AddedFiles, DocumentInfo

_MAX_DEPTH = 3  # of files inside files

NO_DOCUMENTS = (UnknownFormatError, EmptyDocumentError)
"""Errors which mean that a file in a folder is not a document, rather than a bad document."""


class Holder(Protocol):
    """What files are added to: an ``Index``."""

    @property
    def add(self) -> Callable[..., AddedDocument]: ...

    @property
    def documents(self) -> Callable[[], list[DocumentInfo]]: ...

    @property
    def remove(self) -> Callable[..., DocumentInfo]: ...


def add_all(
    index: Holder,
    sources: Sequence[Any],
    *,
    recursive: bool,
    ignored: bool,
    each: Callable[[AddedDocument], None] | None,
    options: Any,
) -> AddedFiles:
    """See ``Index.add_all``."""
    if options.get("name") is not None:
        raise ConfigError("name= fits one document, add_all adds several.", remedy="Use add.")
    keywords = {key: value for key, value in options.items() if key != "name"}
    added, skipped, failed = list[AddedDocument](), list[tuple[str, str]](), list[tuple[str, SharedLLMError]]()
    limit = (keywords.get("options") or ReadOptions()).max_bytes
    for found in found_files(sources, recursive=recursive, ignored=ignored, max_bytes=limit):
        if isinstance(found, Skipped):
            skipped.append((found.name, found.reason))
            continue
        if isinstance(found, tuple):
            failed.append(found)
            continue
        try:
            added.append(index.add(found.source, name=found.name, **keywords))
        except NO_DOCUMENTS as error:
            if found.named:
                failed.append((found.name, error))
            else:
                skipped.append((found.name, error.message))
        except DocumentError as error:
            failed.append((found.name, error))
        else:
            if each is not None:
                each(added[-1])
    return AddedFiles(tuple(added), tuple(skipped), tuple(failed))


def found_files(
    sources: Sequence[Any], *, recursive: bool, ignored: bool, max_bytes: int | None = None
) -> Iterator[Found | Skipped | tuple[str, DocumentError]]:
    """The files of all sources one by one; an error beside the name of a source that cannot be searched.

    Files of more than ``max_bytes`` bytes (None: no limit) are not compared with others: reading refuses them.
    """
    names, copies = names_of(sources), _Copies(max_bytes)
    for source in sources:
        try:
            for found in collect([source], recursive=recursive, ignored=ignored):
                if isinstance(found, DocumentNotFoundError):
                    yield str(source), found
                elif isinstance(found, Found):
                    named = replace(found, name=names[os.fspath(source)]) if found.named else found
                    first = copies.first(named)
                    yield Skipped(named.name, f"it is the same as {first}") if first else named
                else:
                    yield found
        except DocumentError as error:  # a damaged archive
            yield str(source), error


_EMPTY = hashlib.sha256().hexdigest()


class _Copies:
    """Recognises files by their bytes: an index contains the same bytes only once, under one name."""

    def __init__(self, max_bytes: int | None = None) -> None:
        self._max_bytes = max_bytes
        self._names: dict[str, str] = {}

    def first(self, found: Found) -> str:
        """The name under which these bytes were found before; "" the first time, and if the file must be read to
        know."""
        digest = _digest(found.source, self._max_bytes)
        if digest == _EMPTY:  # empty files are not copies of each other: each is reported as empty
            return ""
        name = self._names.setdefault(digest, found.name) if digest else found.name
        return "" if name == found.name else name


def _digest(source: str | Path | bytes, max_bytes: int | None) -> str:
    """SHA-256 of a file; "" if it is not a file, larger than ``max_bytes`` or cannot be opened."""
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    if isinstance(source, str) and "://" in source:
        return ""
    path = find_path(source)
    try:
        if not path.is_file() or (max_bytes is not None and path.stat().st_size > max_bytes):
            return ""
        with path.open("rb") as file:
            digest = hashlib.sha256()
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError:
        return ""
    return digest.hexdigest()


def with_attachments(
    index: Holder, source: Any, added: AddedDocument, options: ReadOptions, *, depth: int = 0, **keywords: Any
) -> AddedDocument:
    """Add the files inside a document, each under the document's name and its own.

    Args:
        index: that contains the document.
        source: path, URL or bytes of the document.
        added: the result of adding it.
        options: of reading; pages and passwords are the document's own.
        depth: of files inside files.
        keywords: of ``Index.add``.
    """
    inside, unread, copies = list[AddedDocument](), list[tuple[str, str]](), _Copies()
    own = replace(options, pages=None, password=None, encoding=None, attachments=False)
    for file in embedded_files(source, name=added.document.name, options=options):
        first = copies.first(Found(file.name, file.data))
        if first:
            unread.append((file.name, f"it is the same as {first}"))
            continue
        try:
            one = index.add(file.data, name=file.name, options=own, **keywords)
        except DocumentError as error:
            unread.append((file.name, str(error)))
            continue
        if depth + 1 < _MAX_DEPTH:
            nested = replace(options, pages=None, password=None, encoding=None)
            one = with_attachments(index, file.data, one, nested, depth=depth + 1, **keywords)
        inside.append(one)
    if added.replaced:  # the older version's attached files go with it
        kept = {one.document.key for one in inside}
        for info in index.documents():
            if info.name.startswith(f"{added.document.name}/") and info.key not in kept:
                index.remove(info.key)
    return replace(added, attachments=tuple(inside), unread=tuple(unread))


def watch(
    index: Holder,
    folders: Sequence[str | Path],
    *,
    recursive: bool,
    ignored: bool,
    told: Callable[[AddedFiles, tuple[str, ...]], None],
    stop: Any = None,
    **options: Any,
) -> None:
    """Keep the index up to date with folders, until ``stop`` is set or Ctrl-C.

    First everything in them is added, then each change as it happens: a new or changed file is read, and a document
    whose file is gone is removed. Documents from elsewhere stay.

    Args:
        index: to keep up to date.
        folders: to watch.
        recursive: whether folders inside them are watched.
        ignored: whether files that a ``.gitignore`` names are read.
        told: called after each change with what was added and the names of removed documents.
        stop: an event that ends the watch.
        options: of ``Index.add``.

    Raises:
        ConfigError: not a folder.
        MissingExtraError: watchfiles is not installed.
    """
    for folder in folders:
        if not Path(folder).is_dir():
            raise ConfigError(f"{folder} is not a folder.", remedy="Name a folder to watch.")
    changes = _changes(folders, recursive, stop)
    known = _names(folders, recursive, ignored)
    told(add_all(index, folders, recursive=recursive, ignored=ignored, each=None, options=options), ())
    first = True
    for change in changes:
        if not change and not first:
            continue
        first = False  # what changed while everything was added is found by looking once more
        now = _names(folders, recursive, ignored)
        gone = tuple(sorted(known - now))
        removed = tuple(name for name in gone if _take_out(index, name))
        known = now
        told(add_all(index, folders, recursive=recursive, ignored=ignored, each=None, options=options), removed)


def _changes(folders: Sequence[str | Path], recursive: bool, stop: Any) -> Iterator[Any]:
    try:
        import watchfiles
    except ImportError as error:
        from sharedllm_docs.documents.readers.packed import missing_extra

        raise missing_extra("A folder", "watchfiles", "watch") from error
    yield from watchfiles.watch(
        *folders, recursive=recursive, stop_event=stop, raise_interrupt=True, yield_on_timeout=True, rust_timeout=1000
    )


def _names(folders: Sequence[str | Path], recursive: bool, ignored: bool) -> set[str]:
    """Names of the documents that the folders may contain."""
    found = found_files(folders, recursive=recursive, ignored=ignored)
    return {document_name(one.name) for one in found if isinstance(one, Found)}


def _take_out(index: Holder, name: str) -> bool:
    keys = [info.key for info in index.documents() if info.name == name or info.name.startswith(f"{name}/")]
    for key in keys:
        index.remove(key)
    return bool(keys)
