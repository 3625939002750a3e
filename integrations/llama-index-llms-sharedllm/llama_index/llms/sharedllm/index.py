"""``SharedLLMIndex``: LlamaIndex documents, read once and kept on disk under their ``ref_doc_id``."""

from __future__ import annotations

import logging
from asyncio import to_thread
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import sharedllm_docs as core
from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.chat_engine.types import ChatMode
from llama_index.core.memory import BaseMemory
from llama_index.core.schema import Document
from llama_index.core.settings import Settings
from llama_index.core.storage.docstore.types import RefDocInfo
from llama_index.core.utils import get_tqdm_iterable

from llama_index.llms.sharedllm.base import SharedLLM
from llama_index.llms.sharedllm.chat_engine import SharedLLMChatEngine, condenses, window_memory
from llama_index.llms.sharedllm.documents import is_blank, kept_of, to_core
from llama_index.llms.sharedllm.filters import Filters
from llama_index.llms.sharedllm.query_engine import SharedLLMQueryEngine
from llama_index.llms.sharedllm.retriever import SharedLLMRetriever

if TYPE_CHECKING:
    from typing_extensions import Unpack

logger = logging.getLogger(__name__)
Encode = Literal["all", "background", "when-asked"]


class SharedLLMIndex:
    """LlamaIndex documents in an index of sharedllm-docs. Everything is on disk when a method returns.

    Make one with ``from_documents`` or ``load``. There are no nodes to insert: documents are read whole, and responses
    make nodes from the passages that were injected.

    Attributes:
        core: the index of sharedllm-docs.
    """

    def __init__(self, index: core.Index, *, callback_manager: CallbackManager | None = None) -> None:
        self.core = index
        self._callback_manager = callback_manager or Settings.callback_manager

    # -- making and opening -----------------------------------------------------------------------------------------

    @classmethod
    def from_documents(
        cls,
        documents: Sequence[Document],
        *,
        persist_dir: str | Path,
        llm: SharedLLM | core.SharedLLM | None = None,
        show_progress: bool = False,
        callback_manager: CallbackManager | None = None,
        encode: Encode = "all",
        **model_options: Any,
    ) -> SharedLLMIndex:
        """Add documents to the index at ``persist_dir``, which is made if it does not exist.

        Known documents are not read again: those with the same ``id_`` and content, and (since readers draw new ids
        every time) those whose text and metadata the index has under another id. Other documents in the index stay.

        Args:
            documents: from any reader; blank documents are left out with a warning.
            persist_dir: folder or fsspec URL.
            llm: the loaded model; None loads the index's own or the default.
            show_progress: show a progress bar.
            callback_manager: by default that of LlamaIndex's settings.
            encode: see ``insert``.
            model_options: of ``sharedllm_docs.SharedLLM.from_pretrained`` (name_or_path, adapter, device, ...).

        Raises:
            SharedLLMError: see ``insert``, and for an index of another model.
        """
        index = cls(core.Index.open_or_create(persist_dir, _core_llm(llm), **model_options))
        index._callback_manager = callback_manager or index._callback_manager
        with index._callback_manager.as_trace("index_construction"):
            index._refresh(documents, same_content=True, show_progress=show_progress, encode=encode)
        return index

    @classmethod
    def load(
        cls,
        persist_dir: str | Path,
        *,
        llm: SharedLLM | core.SharedLLM | None = None,
        callback_manager: CallbackManager | None = None,
        **model_options: Any,
    ) -> SharedLLMIndex:
        """Open the index at ``persist_dir``.

        Raises:
            SharedLLMError: there is none, or it is another model's.
        """
        return cls(core.Index.open(persist_dir, _core_llm(llm), **model_options), callback_manager=callback_manager)

    # -- documents --------------------------------------------------------------------------------------------------

    @property
    def ref_doc_info(self) -> dict[str, RefDocInfo]:
        """Metadata by ``ref_doc_id``, without node ids, since nodes are made when a question is asked."""
        return {info.name: RefDocInfo(metadata=dict(kept_of(info.metadata).metadata)) for info in self._documents()}

    @property
    def unread_chunks(self) -> dict[str, int]:
        """By ``ref_doc_id``: how many chunks of a document are not encoded yet; see ``insert``."""
        return {info.name: info.unread_chunks for info in self._documents()}

    def insert(self, document: Document, *, encode: Encode = "all") -> None:
        """Read a document, in place of the one with the same ``id_``; only changed chunks are read again.

        Args:
            document: to be read.
            encode: ``"all"`` encodes its chunks before this returns, ``"background"`` in a thread (``wait`` waits for
                it), ``"when-asked"`` when a question needs them. It can be asked in any case, with the same answers.

        Raises:
            SharedLLMError: the document has no text, or metadata that JSON cannot carry; or the disk is full.
        """
        with self._callback_manager.as_trace("insert"):
            self.core.add(to_core(document), replace=True, encode=encode)

    def insert_file(
        self,
        path: str | Path,
        *,
        ref_doc_id: str | None = None,
        options: core.ReadOptions | None = None,
        encode: Encode = "all",
        **reading: Unpack[core.ReadKeywords],
    ) -> str:
        """Read a file of any format with sharedllm-docs's own readers; returns its ``ref_doc_id``.

        Unlike LlamaIndex's readers they keep pages, printed page labels and sections.

        Args:
            path: of the file, or an fsspec URL.
            ref_doc_id: the file's name by default.
            options: how it is read, as a whole.
            encode: see ``insert``.
            reading: single fields of ``ReadOptions``: ``pages``, ``password``, ``ocr``, ``attachments`` and others.
        """
        with self._callback_manager.as_trace("insert"):
            added = self.core.add(path, name=ref_doc_id, options=options, replace=True, encode=encode, **reading)
            return added.document.name

    def read(self, ref_doc_id: str | None = None) -> int:
        """Encode what is not read yet, of one document or of all; returns the number of chunks encoded."""
        return self.core.read(ref_doc_id)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nothing is read in the background; False if that takes longer than ``timeout`` seconds."""
        return self.core.wait(timeout)

    def update_ref_doc(self, document: Document) -> None:
        """Replace the document with the same ``id_``, or insert it; the index always has one of the two."""
        self.insert(document)

    def refresh_ref_docs(self, documents: Sequence[Document], *, show_progress: bool = False) -> list[bool]:
        """Insert documents whose ``id_`` is new, update those whose text or metadata changed.

        Returns:
            whether each document was read; False also for blank ones, which are left out with a warning.
        """
        with self._callback_manager.as_trace("refresh_ref_docs"):
            return self._refresh(documents, same_content=False, show_progress=show_progress)

    def delete_ref_doc(self, ref_doc_id: str, delete_from_docstore: bool = True) -> None:
        """Take a document out. Its rows stay on disk until ``prune``, in case it is added again.

        Args:
            ref_doc_id: id of the document.
            delete_from_docstore: True only, since text and index are one.

        Raises:
            DocumentNotFoundError: there is none with that id.
            ConfigError: ``delete_from_docstore=False``.
        """
        if not delete_from_docstore:
            raise core.ConfigError(
                "delete_from_docstore=False cannot be honoured: a document's text goes with it.",
                remedy="Leave it out.",
            )
        self.core.remove(ref_doc_id)

    def prune(self) -> int:
        """Delete the rows that no document needs; returns the bytes freed."""
        return self.core.prune()

    async def ainsert(self, document: Document, *, encode: Encode = "all") -> None:
        """``insert`` in a thread."""
        await to_thread(self.insert, document, encode=encode)

    async def aupdate_ref_doc(self, document: Document) -> None:
        """``update_ref_doc`` in a thread."""
        await to_thread(self.update_ref_doc, document)

    async def arefresh_ref_docs(self, documents: Sequence[Document]) -> list[bool]:
        """``refresh_ref_docs`` in a thread."""
        return await to_thread(self.refresh_ref_docs, documents)

    async def adelete_ref_doc(self, ref_doc_id: str, delete_from_docstore: bool = True) -> None:
        """``delete_ref_doc`` in a thread."""
        await to_thread(self.delete_ref_doc, ref_doc_id, delete_from_docstore)

    # -- asking -----------------------------------------------------------------------------------------------------

    def as_llm(
        self, *, ref_doc_ids: Sequence[str] | None = None, filters: Filters | None = None, **fields: Any
    ) -> SharedLLM:
        """The model with this index.

        Args:
            ref_doc_ids: documents to answer from; None: all.
            filters: metadata that they must have: ``MetadataFilters``, ``{"year": "2024"}`` or
                ``{"year": ["2023", "2024"]}``, or a function of the metadata.
            fields: of ``SharedLLM`` (max_tokens, temperature, stop, budget, relevance_floor, ...).

        Raises:
            ConfigError: ``llm``, or a filter that cannot be honoured.
        """
        if "llm" in fields:
            raise core.ConfigError(
                "llm cannot be honoured: the answers come from the model that the documents were read with.",
                remedy="Leave it out, or make the index with that model.",
            )
        scope = {"documents": ref_doc_ids, "where": filters}
        for name, value in scope.items():
            if value is not None and fields.get(name) is not None:
                here = "ref_doc_ids" if name == "documents" else "filters"
                raise core.ConfigError(f"{here} and {name} are one setting, given twice.", remedy=f"Give {here}.")
        fields |= {name: value for name, value in scope.items() if value is not None}
        fields.setdefault("callback_manager", self._callback_manager)
        return SharedLLM(index=self.core, **fields)

    def as_retriever(
        self,
        *,
        similarity_top_k: int = 5,
        ref_doc_ids: Sequence[str] | None = None,
        filters: Filters | None = None,
    ) -> SharedLLMRetriever:
        """The nearest passages as nodes, without generating anything; arguments as for ``as_query_engine``."""
        return SharedLLMRetriever(
            self.core,
            similarity_top_k=similarity_top_k,
            ref_doc_ids=ref_doc_ids,
            filters=filters,
            callback_manager=self._callback_manager,
        )

    def as_query_engine(
        self,
        *,
        streaming: bool = False,
        similarity_top_k: int = 5,
        ref_doc_ids: Sequence[str] | None = None,
        filters: Filters | None = None,
        **fields: Any,
    ) -> SharedLLMQueryEngine:
        """Answers with source nodes.

        Args:
            streaming: give streaming responses.
            similarity_top_k: maximum number of source nodes; ``budget`` sets how much is injected, in rows.
            ref_doc_ids, filters, fields: see ``as_llm``.

        Raises:
            ConfigError: see ``as_llm``.
        """
        llm = self.as_llm(ref_doc_ids=ref_doc_ids, filters=filters, max_citations=similarity_top_k, **fields)
        return SharedLLMQueryEngine(llm, streaming=streaming)

    def as_chat_engine(
        self,
        chat_mode: ChatMode | str = ChatMode.BEST,
        *,
        memory: BaseMemory | None = None,
        chat_history: Sequence[ChatMessage] = (),
        system_prompt: str | None = None,
        **engine_options: Any,
    ) -> SharedLLMChatEngine:
        """A conversation over the documents.

        Args:
            chat_mode: ``context`` (``best``): earlier turns precede the question; ``condense_question``: the same
                model first rewrites the question so that it can be understood alone.
            memory: keeps the turns; by default as many as fit the window.
            chat_history: first turns of the conversation.
            system_prompt: instructions that precede the conversation.
            engine_options: of ``as_query_engine``, except ``streaming``.

        Raises:
            ConfigError: another mode, or ``memory`` together with ``chat_history``.
        """
        condensing = condenses(chat_mode)
        engine = self.as_query_engine(**engine_options)
        if memory is not None and chat_history:
            raise core.ConfigError("memory and chat_history are both given.", remedy="Put the history in the memory.")
        prefix = [ChatMessage(role=MessageRole.SYSTEM, content=system_prompt)] if system_prompt else []
        return SharedLLMChatEngine(
            engine,
            memory or window_memory(engine.llm, list(chat_history)),
            prefix_messages=prefix,
            condenser=engine.llm.plain() if condensing else None,
            callback_manager=self._callback_manager,
        )

    # -- inner ------------------------------------------------------------------------------------------------------

    def _documents(self) -> list[core.DocumentInfo]:
        return self.core.documents()

    def _refresh(
        self,
        documents: Sequence[Document],
        *,
        same_content: bool,
        show_progress: bool,
        encode: Encode = "all",
    ) -> list[bool]:
        hashes = {info.name: kept_of(info.metadata).hash for info in self._documents()}
        contents = set(hashes.values()) if same_content else set()
        done = []
        for document in get_tqdm_iterable(documents, show_progress, "Reading documents"):
            present = hashes.get(document.id_) == document.hash or document.hash in contents
            blank = not present and is_blank(document)
            if blank:
                logger.warning("The document %r is blank and is left out.", document.id_)
            elif not present:
                self.insert(document, encode=encode)
                hashes[document.id_] = document.hash
            done.append(not present and not blank)
        return done


def _core_llm(llm: SharedLLM | core.SharedLLM | None) -> core.SharedLLM | None:
    return llm.core_llm if isinstance(llm, SharedLLM) else llm
