"""LlamaIndex over sharedllm-docs: an LLM, an index of documents, its query engine, retriever and chat engine."""

from importlib.metadata import version

from llama_index.llms.sharedllm.base import SharedLLM
from llama_index.llms.sharedllm.chat_engine import SharedLLMChatEngine
from llama_index.llms.sharedllm.documents import core_documents, join_pages
from llama_index.llms.sharedllm.index import SharedLLMIndex
from llama_index.llms.sharedllm.query_engine import SharedLLMQueryEngine
from llama_index.llms.sharedllm.retriever import SharedLLMRetriever

__version__ = version("llama-index-llms-sharedllm")
__all__ = [
    "SharedLLM",
    "SharedLLMChatEngine",
    "SharedLLMIndex",
    "SharedLLMQueryEngine",
    "SharedLLMRetriever",
    "core_documents",
    "join_pages",
]
