"""Questions over long files: read once by the lower layers of an LLM, answered from a store of keys and values.

Importing this package is cheap; what it exports is imported at first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sharedllm_docs.version import __version__

if TYPE_CHECKING:
    from sharedllm_docs.config import GenerationConfig as GenerationConfig
    from sharedllm_docs.config import GenerationOptions as GenerationOptions
    from sharedllm_docs.config import ModelOptions as ModelOptions
    from sharedllm_docs.config import Profile as Profile
    from sharedllm_docs.config import RetrievalConfig as RetrievalConfig
    from sharedllm_docs.config import RetrievalOptions as RetrievalOptions
    from sharedllm_docs.documents.box import Box as Box
    from sharedllm_docs.documents.boxes import Places as Places
    from sharedllm_docs.documents.boxes import Run as Run
    from sharedllm_docs.documents.document import Document as Document
    from sharedllm_docs.documents.document import Issue as Issue
    from sharedllm_docs.documents.document import Page as Page
    from sharedllm_docs.documents.document import Section as Section
    from sharedllm_docs.documents.page_image import PageImage as PageImage
    from sharedllm_docs.documents.readers import ReadOptions as ReadOptions
    from sharedllm_docs.documents.readers.options import ReadKeywords as ReadKeywords
    from sharedllm_docs.documents.tree import ContextTree as ContextTree
    from sharedllm_docs.documents.tree import Node as Node
    from sharedllm_docs.errors import BoxesMissingError as BoxesMissingError
    from sharedllm_docs.errors import ConfigError as ConfigError
    from sharedllm_docs.errors import DocumentNotFoundError as DocumentNotFoundError
    from sharedllm_docs.errors import QuotaError as QuotaError
    from sharedllm_docs.errors import SharedLLMError as SharedLLMError
    from sharedllm_docs.errors import SourceMissingError as SourceMissingError
    from sharedllm_docs.errors import TenantError as TenantError
    from sharedllm_docs.index.contents import AddOptions as AddOptions
    from sharedllm_docs.index.engine import Engine as Engine
    from sharedllm_docs.index.index import Index as Index
    from sharedllm_docs.index.ingest import Progress as Progress
    from sharedllm_docs.index.tenants import DeletedTenant as DeletedTenant
    from sharedllm_docs.index.tenants import delete_tenant as delete_tenant
    from sharedllm_docs.index.tenants import set_quotas as set_quotas
    from sharedllm_docs.index.tenants import tenant_names as tenant_names
    from sharedllm_docs.index.views import AddedDocument as AddedDocument
    from sharedllm_docs.index.views import AddedFiles as AddedFiles
    from sharedllm_docs.index.views import ChunkView as ChunkView
    from sharedllm_docs.index.views import DocumentInfo as DocumentInfo
    from sharedllm_docs.index.views import NodeView as NodeView
    from sharedllm_docs.index.views import TreeView as TreeView
    from sharedllm_docs.model.adapter import Adapter as Adapter
    from sharedllm_docs.model.completion import Completion as Completion
    from sharedllm_docs.model.embedder import Embedder as Embedder
    from sharedllm_docs.model.messages import Message as Message
    from sharedllm_docs.model.shared_llm import SharedLLM as SharedLLM
    from sharedllm_docs.retrieval.answer import Answer as Answer
    from sharedllm_docs.retrieval.answer import Citation as Citation
    from sharedllm_docs.retrieval.answer import Counts as Counts
    from sharedllm_docs.retrieval.answer import Timings as Timings
    from sharedllm_docs.retrieval.candidates import LeafScores as LeafScores
    from sharedllm_docs.retrieval.confidence import Confidence as Confidence
    from sharedllm_docs.retrieval.confidence import Logistic as Logistic
    from sharedllm_docs.retrieval.confidence import Probe as Probe
    from sharedllm_docs.retrieval.passages import Passage as Passage
    from sharedllm_docs.retrieval.prepared import PreparedDocument as PreparedDocument
    from sharedllm_docs.retrieval.query import DOCUMENT_OPTIONS as DOCUMENT_OPTIONS
    from sharedllm_docs.retrieval.query import AskOptions as AskOptions
    from sharedllm_docs.retrieval.query import Query as Query
    from sharedllm_docs.retrieval.query import SummaryOptions as SummaryOptions
    from sharedllm_docs.retrieval.query import Where as Where
    from sharedllm_docs.retrieval.query import ask_options as ask_options
    from sharedllm_docs.retrieval.query import with_defaults as with_defaults
    from sharedllm_docs.retrieval.searcher import Selection as Selection
    from sharedllm_docs.retrieval.selection import CandidateChunk as CandidateChunk
    from sharedllm_docs.retrieval.selection import SelectedNode as SelectedNode
    from sharedllm_docs.store.catalog import Damage as Damage
    from sharedllm_docs.store.estimate import SizeEstimate as SizeEstimate
    from sharedllm_docs.store.fingerprint import Fingerprint as Fingerprint
    from sharedllm_docs.store.verify import VerifyReport as VerifyReport
    from sharedllm_docs.streams import AsyncStream as AsyncStream
    from sharedllm_docs.streams import Stream as Stream

_EXPORTS = {
    "Adapter": "model.adapter",
    "AddOptions": "index.contents",
    "AddedDocument": "index.views",
    "AddedFiles": "index.views",
    "Answer": "retrieval.answer",
    "AskOptions": "retrieval.query",
    "AsyncStream": "streams",
    "Box": "documents.boxes",
    "BoxesMissingError": "errors",
    "CandidateChunk": "retrieval.selection",
    "ChunkView": "index.views",
    "Citation": "retrieval.answer",
    "Completion": "model.completion",
    "Confidence": "retrieval.confidence",
    "ConfigError": "errors",
    "ContextTree": "documents.tree",
    "Counts": "retrieval.answer",
    "DOCUMENT_OPTIONS": "retrieval.query",
    "Damage": "store.catalog",
    "DeletedTenant": "index.tenants",
    "Document": "documents.document",
    "DocumentInfo": "index.views",
    "DocumentNotFoundError": "errors",
    "Embedder": "model.embedder",
    "Engine": "index.engine",
    "Fingerprint": "store.fingerprint",
    "GenerationConfig": "config",
    "GenerationOptions": "config",
    "Index": "index.index",
    "Issue": "documents.document",
    "LeafScores": "retrieval.candidates",
    "Logistic": "retrieval.confidence",
    "Message": "model.messages",
    "ModelOptions": "config",
    "Node": "documents.tree",
    "NodeView": "index.views",
    "Page": "documents.document",
    "PageImage": "documents.page_image",
    "Passage": "retrieval.passages",
    "Places": "documents.boxes",
    "PreparedDocument": "retrieval.prepared",
    "Probe": "retrieval.confidence",
    "Profile": "config",
    "Progress": "index.ingest",
    "Query": "retrieval.query",
    "QuotaError": "errors",
    "ReadKeywords": "documents.readers.options",
    "ReadOptions": "documents.readers",
    "RetrievalConfig": "config",
    "RetrievalOptions": "config",
    "Run": "documents.boxes",
    "Section": "documents.document",
    "SelectedNode": "retrieval.selection",
    "Selection": "retrieval.searcher",
    "SharedLLM": "model.shared_llm",
    "SharedLLMError": "errors",
    "SizeEstimate": "store.estimate",
    "SourceMissingError": "errors",
    "Stream": "streams",
    "SummaryOptions": "retrieval.query",
    "TenantError": "errors",
    "Timings": "retrieval.answer",
    "TreeView": "index.views",
    "VerifyReport": "store.verify",
    "Where": "retrieval.query",
    "ask_options": "retrieval.query",
    "delete_tenant": "index.tenants",
    "set_quotas": "index.tenants",
    "tenant_names": "index.tenants",
    "with_defaults": "retrieval.query",
}
__all__ = [*_EXPORTS, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
