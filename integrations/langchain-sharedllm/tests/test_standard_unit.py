"""LangChain's own standard unit tests, with their standard arguments as they are."""

from __future__ import annotations

import pytest
from langchain_sharedllm import ChatSharedLLM
from langchain_tests.unit_tests import ChatModelUnitTests
from tiny_models import tiny_llm


@pytest.mark.filterwarnings("ignore:api_key has no effect")
class TestChatUnit(ChatModelUnitTests):
    @property
    def chat_model_class(self):
        return ChatSharedLLM

    @property
    def chat_model_params(self):
        return {"llm": tiny_llm()}
