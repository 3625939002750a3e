"""LangChain's own standard integration tests: on a tiny random model, and marked ``e2e`` on the embedded default."""

from __future__ import annotations

import tempfile
from functools import cache

import pytest
from langchain_sharedllm import ChatSharedLLM, SharedLLMIndex, SharedLLMRetriever
from langchain_tests.integration_tests import ChatModelIntegrationTests, RetrieversIntegrationTests
from tiny_models import PAGES, pages, tiny_llm

from sharedllm_docs import RetrievalConfig, SharedLLM

ANY_RELEVANCE = RetrievalConfig(relevance_floor=0, budget=128, min_confidence=0)
"""The standard tests say hello: with a floor the answer would be that the document does not say."""


@cache
def tiny_index() -> SharedLLMIndex:
    return SharedLLMIndex.from_documents(pages("birds.pdf"), tempfile.mkdtemp() + "/index", llm=tiny_llm())


@cache
def default_llm() -> SharedLLM:
    return SharedLLM.from_pretrained("smollm2-135m-instruct")


@cache
def default_index() -> SharedLLMIndex:
    texts = [text * 12 for text in PAGES]  # several passages: one takes 128 tokens
    return SharedLLMIndex.from_documents(pages("birds.pdf", texts), tempfile.mkdtemp() + "/index", llm=default_llm())


class _Chat(ChatModelIntegrationTests):
    @property
    def chat_model_class(self):
        return ChatSharedLLM

    @property
    def supports_model_override(self):
        return False  # an index answers with the model that it was made with


class TestPlainChat(_Chat):
    @property
    def chat_model_params(self):
        return {"llm": tiny_llm(), "max_tokens": 12}


class TestChatWithDocuments(_Chat):
    @property
    def chat_model_params(self):
        return {"index": tiny_index(), "retrieval": ANY_RELEVANCE, "max_tokens": 12}


@pytest.mark.e2e
class TestPlainChatOfTheDefault(_Chat):
    @property
    def chat_model_params(self):
        return {"llm": default_llm(), "max_tokens": 24}


@pytest.mark.e2e
class TestChatWithDocumentsOfTheDefault(_Chat):
    @property
    def chat_model_params(self):
        return {"index": default_index(), "retrieval": ANY_RELEVANCE, "max_tokens": 24}


class _Retriever(RetrieversIntegrationTests):
    @property
    def retriever_constructor(self):
        return SharedLLMRetriever

    @property
    def retriever_query_example(self):
        return "Where does the heron stand?"


class TestRetriever(_Retriever):
    @property
    def retriever_constructor_params(self):
        return {"index": tiny_index()}


@pytest.mark.e2e
class TestRetrieverOfTheDefault(_Retriever):
    @property
    def retriever_constructor_params(self):
        return {"index": default_index()}
