"""LlamaIndex over sharedllm-docs: an LLM, an index of documents, its query engine, retriever and chat engine."""

from llama_index.llms.sharedllm.base import SharedLLM
from llama_index.llms.sharedllm.chat_engine import SharedLLMChatEngine
from llama_index.llms.sharedllm.documents import join_pages
from llama_index.llms.sharedllm.index import SharedLLMIndex
from llama_index.llms.sharedllm.query_engine import SharedLLMQueryEngine
from llama_index.llms.sharedllm.retriever import SharedLLMRetriever

__version__ = "0.1.0"
__all__ = [
    "SharedLLM",
    "SharedLLMChatEngine",
    "SharedLLMIndex",
    "SharedLLMQueryEngine",
    "SharedLLMRetriever",
    "join_pages",
]
