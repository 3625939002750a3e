"""An index of documents for LangChain: it reads loaders' documents and files, and makes retrievers and chat models."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.documents import Document

from langchain_sharedllm.documents import core_documents, named
from langchain_sharedllm.filters import Filter
from langchain_sharedllm.opening import IndexLike, open_index

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from langchain_sharedllm.chat import ChatSharedLLM
    from langchain_sharedllm.retriever import SharedLLMRetriever
    from sharedllm_docs import Index, ReadKeywords, SharedLLM

Encode = Literal["all", "background", "when-asked"]


class SharedLLMIndex:
    """A folder of documents that were read once; it is made if it does not exist.

    Each document has an id, its name in the index. Adding a document under an existing id replaces the older one;
    adding the same content again costs nothing.

    Args:
        index: folder, fsspec URL, or an open ``Index`` of sharedllm-docs.
        model: name or folder of the model (default: the one that the index was made with, else the embedded one).
        llm: a loaded model instead.

    Raises:
        SharedLLMError: the model cannot be loaded, or is not the one that the index was made with.
    """

    def __init__(self, index: IndexLike, *, model: str | None = None, llm: SharedLLM | None = None) -> None:
        self._core = open_index(index, model=model, llm=llm, create=True)

    def __repr__(self) -> str:
        return f"SharedLLMIndex({self._core.url!r})"

    @classmethod
    def from_documents(
        cls,
        documents: Sequence[Document],
        index: IndexLike,
        *,
        ids: Sequence[str] | None = None,
        encode: Encode = "all",
        **options: Any,
    ) -> SharedLLMIndex:
        """An index with these documents added; ``encode`` as for ``add_documents``, ``options`` are the class's own."""
        made = cls(index, **options)
        made.add_documents(documents, ids=ids, encode=encode)
        return made

    @property
    def core(self) -> Index:
        """The index of sharedllm-docs: questions, trees, verification, pruning."""
        return self._core

    @property
    def ids(self) -> list[str]:
        """Ids of all documents, oldest first."""
        return [info.name for info in self._core.documents()]

    @property
    def unread_chunks(self) -> dict[str, int]:
        """By id: how many chunks of a document are not encoded yet; see ``add_documents``."""
        return {info.name: info.unread_chunks for info in self._core.documents()}

    # -- documents --------------------------------------------------------------------------------------------------

    def add_documents(
        self, documents: Sequence[Document], *, ids: Sequence[str] | None = None, encode: Encode = "all"
    ) -> list[str]:
        """Read documents into the index. Give whole pages; the index splits them itself.

        Documents with the same id are the pages of one document, in this order, and replace all of its older pages.
        Metadata is kept page by page.

        Args:
            documents: as loaders give them.
            ids: one for each document (default: its own id, else its ``source``, else a hash of its text).
            encode: ``"all"`` encodes the documents' chunks before this returns, ``"background"`` in a thread (``wait``
                waits for it), ``"when-asked"`` when a question needs them. They can be asked in any case, with the same
                answers.

        Returns:
            the id of each document.

        Raises:
            UnsupportedArgumentError, UnsupportedMetadataError: wrong ids or metadata; nothing is added.
            SharedLLMError: a document without words, a full disk, another process that keeps writing.
        """
        names = named(documents, ids)
        for document in core_documents(documents, ids=names):
            self._core.add(document, replace=True, encode=encode)
        return names

    async def aadd_documents(
        self, documents: Sequence[Document], *, ids: Sequence[str] | None = None, encode: Encode = "all"
    ) -> list[str]:
        """``add_documents`` in a thread."""
        return await asyncio.to_thread(self.add_documents, documents, ids=ids, encode=encode)

    def add_file(
        self,
        path: str | os.PathLike[str],
        *,
        id: str | None = None,
        metadata: dict[str, str] | None = None,
        encode: Encode = "all",
        **reading: Unpack[ReadKeywords],
    ) -> str:
        """Read a file of any format with sharedllm-docs' own readers, which keep pages and sections.

        Args:
            path: of the file, or an fsspec URL.
            id: default: the file's name.
            metadata: strings kept with the document.
            encode: see ``add_documents``.
            reading: how it is read: ``pages``, ``password``, ``ocr``, ``attachments`` and the other fields of
                ``sharedllm_docs.ReadOptions``.

        Returns:
            the document's id.

        Raises:
            SharedLLMError: the file cannot be read; says why.
        """
        added = self._core.add(os.fspath(path), name=id, metadata=metadata, replace=True, encode=encode, **reading)
        return added.document.name

    async def aadd_file(
        self,
        path: str | os.PathLike[str],
        *,
        id: str | None = None,
        metadata: dict[str, str] | None = None,
        encode: Encode = "all",
        **reading: Unpack[ReadKeywords],
    ) -> str:
        """``add_file`` in a thread."""
        return await asyncio.to_thread(lambda: self.add_file(path, id=id, metadata=metadata, encode=encode, **reading))

    def read(self, id: str | None = None) -> int:
        """Encode what is not read yet, of one document or of all; returns the number of chunks encoded."""
        return self._core.read(id)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nothing is read in the background; False if that takes longer than ``timeout`` seconds."""
        return self._core.wait(timeout)

    def delete(self, ids: Sequence[str]) -> bool:
        """Take documents out of the index; True if all of them were in it."""
        keys = {info.name: info.key for info in self._core.documents()}
        there = [name for name in dict.fromkeys(ids) if name in keys]
        for name in there:
            self._core.remove(keys[name])
        return len(there) == len(set(ids))

    async def adelete(self, ids: Sequence[str]) -> bool:
        """``delete`` in a thread."""
        return await asyncio.to_thread(self.delete, ids)

    # -- what LangChain works with ----------------------------------------------------------------------------------

    def similarity_search(
        self, query: str, k: int = 4, *, filter: Filter | None = None, documents: Sequence[str] | None = None
    ) -> list[Document]:
        """The best passages, as a vector store gives them; see ``langchain_sharedllm.SharedLLMRetriever``.

        Args:
            query: in words.
            k: number of passages.
            filter: metadata of the documents to search: ``{"year": 2024}``, ``{"year": [2023, 2024]}``, or a function
                of the metadata.
            documents: ids of the documents to search; None: all.
        """
        return self.as_retriever(k=k).invoke(query, filter=filter, documents=documents)

    async def asimilarity_search(
        self, query: str, k: int = 4, *, filter: Filter | None = None, documents: Sequence[str] | None = None
    ) -> list[Document]:
        """``similarity_search`` in a thread."""
        return await self.as_retriever(k=k).ainvoke(query, filter=filter, documents=documents)

    def as_retriever(self, **options: Any) -> SharedLLMRetriever:
        """A retriever over this index; ``options`` are those of ``langchain_sharedllm.SharedLLMRetriever``."""
        from langchain_sharedllm.retriever import SharedLLMRetriever

        return SharedLLMRetriever(index=self._core, **options)

    def as_chat_model(self, **options: Any) -> ChatSharedLLM:
        """A chat model over this index; ``options`` are those of ``langchain_sharedllm.ChatSharedLLM``."""
        from langchain_sharedllm.chat import ChatSharedLLM

        return ChatSharedLLM(index=self._core, **options)
