"""The index: the public class. Its parts are ``opening``, ``contents`` and ``questions``; here are trees and pages.

Joins store, model, ingestion and engine. Listing, checking and looking at pages load neither torch nor a model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

from sharedllm_docs.documents.readers.options import Process, ReadOptions
from sharedllm_docs.errors import ConfigError
from sharedllm_docs.index.contents import Contents
from sharedllm_docs.index.library import boxes_missing
from sharedllm_docs.index.questions import Questions
from sharedllm_docs.index.views import TreeView, tree_view
from sharedllm_docs.retrieval.query import AskOptions, Query

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from sharedllm_docs.documents.box import Box
    from sharedllm_docs.documents.document import Document
    from sharedllm_docs.documents.page_image import PageImage


class Index(Contents, Questions):
    """An index folder (or fsspec URL) of documents, with the model that it was made with.

    Use ``open``, ``create`` or ``open_or_create``. Questions may be asked from several threads, and by several
    processes while one of them writes.

    Attributes:
        url: where it is.
    """

    def tree(self, reference: str, question: str | None = None, **options: Unpack[AskOptions]) -> TreeView:
        """A document's trees, and with a question which branches are taken; loads no model without one.

        Args:
            reference: name or key of the document.
            question: in words, or None.
            options: as for ``ask``. Without ``documents`` this document alone is searched; with them, what is shown
                is the part of a question to all of them that this document has.

        Raises:
            ConfigError: an unknown option, or ``documents`` without this one.
            EmptyQuestionError, DocumentNotFoundError: see ``ask``.
        """
        record = self._store.get(reference)
        prepared = self._library.prepared(record)
        selection = None
        if question is not None:
            asked: dict[str, Any] = {"documents": [record.key], **options}
            query = Query.of(question, asked)
            searched = {one.key for one in self._library.records(query.documents, query.where)}
            # of very many documents only those near the question are prepared: no branch of another one is taken
            others = [prepared] if record.key in searched else []
            selection = self.engine(query).select(query).of_document(record.key, others)
        return tree_view(self._library.info(record), prepared, question, selection, record.unread)

    def contents(self, reference: str) -> Document:
        """A document as its reader delivered it: pages with their text, sections, issues; loads no model.

        Raises:
            DocumentNotFoundError: no such document.
            DamagedIndexError: its text is damaged.
        """
        return self._library.prepared(self._store.get(reference)).document

    def boxes(self, reference: str, start: int, end: int) -> tuple[Box, ...]:
        """Where characters of a document are printed on its pages: rectangles in order, one per line.

        A wide gap divides a line (cells of a table); words count completely even if only some of their characters are
        asked for. Text that is not printed there (repeated table headers) has no rectangle.

        Args:
            reference: name or key of the document.
            start: first character, counted in the document's canonical text as ``Citation.char_start`` is.
            end: one past the last.

        Raises:
            ConfigError: the characters are not in the document.
            BoxesMissingError: the document's format has no boxes, or it was read by an earlier version.
            DocumentNotFoundError, DamagedIndexError: there is no such document, or its boxes are damaged.
        """
        record = self._store.get(reference)
        prepared = self._library.prepared(record)
        length = len(prepared.document.text)
        if not 0 <= start <= end <= length:
            raise ConfigError(
                f"The characters [{start}, {end}) are not in {record.name}, which has {length:,}.",
                remedy="Give places as citations have them.",
            )
        if prepared.places is None:
            raise boxes_missing(record)
        return prepared.places.boxes(start, end)

    def page_image(
        self,
        reference: str,
        page: int,
        *,
        scale: float = 2.0,
        password: str | None = None,
        process: Process | None = None,
        page_seconds: float = 30.0,
        max_memory: int = 2 << 30,
    ) -> PageImage:
        """A page of a PDF as viewers show it, drawn from the source file; ``PageImage.pixels`` places boxes on it.

        It is drawn in a separate process, as documents are read, which may crash, hang or use too much memory without
        harm.

        Args:
            reference: name or key of the document.
            page: 1-based number of the page in the source, as ``Box.page`` has it.
            scale: pixels a point; 1 draws 72 pixels an inch.
            password: of an encrypted file.
            process: ``own`` to draw in this process, without the two limits below; see ``ReadOptions.process``.
            page_seconds: maximum processor time of the picture, in seconds. On the clock it is five times as much.
            max_memory: maximum memory of the process that draws, in bytes.

        Raises:
            SourceMissingError: the file is neither kept in the index nor found where it was.
            ConfigError: a picture without pixels or with more than 50 million, or an invalid limit.
            PageRangeError: there is no such page.
            DocumentError: the format's pages cannot be drawn, or others take too long just now
                (EncryptedDocumentError: without the password; DamagedDocumentError: the page is damaged, or makes
                PDFium crash; DocumentTooLargeError: it takes more time or memory than the limits allow).
            DocumentNotFoundError, DamagedIndexError: there is no such document, or the file kept is damaged.
        """
        from sharedllm_docs.index.sources import page_image

        options = ReadOptions(password=password, process=process, page_seconds=page_seconds, max_memory=max_memory)
        return page_image(self._store, self._store.get(reference), page, scale, options)

    def open_source(self, reference: str) -> BinaryIO:
        """The file that a document was read from, as an open binary file; the caller closes it.

        Its digest is checked first. ``DocumentInfo.source`` says whether it is kept in the index.

        Raises:
            SourceMissingError: it is neither kept in the index nor found where it was.
            DocumentNotFoundError, DamagedIndexError: see ``page_image``.
        """
        from sharedllm_docs.index.sources import open_source_file

        return open_source_file(self._store, self._store.get(reference))
