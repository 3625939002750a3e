"""LlamaIndex's interfaces around the loaded model and embedder, so that stock RAG runs on the very same weights.

``llama-index-core`` is an optional dependency and is imported when the classes are first asked for. A thin CustomLLM
stands in for HuggingFaceLLM: same model object, same greedy decoding and the same clock as every other system.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sharedllm_docs.config import GenerationConfig
from sharedllm_docs.errors import EvaluationError
from sharedllm_docs.evaluation.systems.plain import plain_answer
from sharedllm_docs.model.shared_llm import SharedLLM


@dataclass
class CallLog:
    """What the language model was asked since the log was cleared.

    Attributes:
        prompt_tokens: number of prompt tokens of all calls.
        first_token_at: clock time of the first token of the last call.
    """

    prompt_tokens: int = 0
    first_token_at: float = 0.0

    def clear(self) -> None:
        """Forget earlier calls."""
        self.prompt_tokens, self.first_token_at = 0, 0.0


@dataclass
class Completer:
    """Completes a rendered prompt with the loaded model, and keeps the log.

    Attributes:
        llm: the model.
        generation: settings of the answers.
        log: what was asked.
    """

    llm: SharedLLM
    generation: GenerationConfig
    log: CallLog = field(default_factory=CallLog)

    def __call__(self, prompt: str) -> str:
        """The model's answer to a prompt that contains the tokens of the chat template already."""
        ids = self._ids(prompt)
        self.log.prompt_tokens += len(ids)
        begun = time.perf_counter()
        result = plain_answer(self.llm, ids, self.generation)
        self.log.first_token_at = begun + result.first_token_seconds
        return result.text.strip()

    def _ids(self, prompt: str) -> list[int]:
        """Token ids of a prompt; control tokens spelt out in its middle are text, as for every other system."""
        template, tokenizer = self.llm.template, self.llm.tokenizer
        if not (prompt.startswith(template.start) and prompt.endswith(template.after_question)):
            return list(tokenizer(prompt, add_special_tokens=False)["input_ids"])  # LlamaIndex's own refine prompt
        middle = prompt[len(template.start) : len(prompt) - len(template.after_question)]
        ids = tokenizer(middle, add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]
        return [*self.llm.start_ids, *ids, *tokenizer(template.after_question, add_special_tokens=False)["input_ids"]]


def core() -> Any:
    """The module ``llama_index.core``.

    Raises:
        EvaluationError: it is not installed.
    """
    try:
        import llama_index.core
    except ImportError as error:
        raise EvaluationError(
            f"The rag systems need llama-index-core, which is not installed ({error}).",
            remedy="Install it: pip install 'sharedllm-docs[llama-index]'.",
        ) from error
    return llama_index.core


def language_model(completer: Completer) -> Any:
    """A LlamaIndex LLM that completes with ``completer``."""
    return _llm_class()(completer)


def embedding(llm: SharedLLM) -> Any:
    """A LlamaIndex embedding that encodes with the model's own embedder."""
    return _embedding_class()(llm.embedder)


@cache
def _llm_class() -> type:
    core()
    from llama_index.core.llms import CompletionResponse, CompletionResponseGen, CustomLLM, LLMMetadata
    from pydantic import PrivateAttr

    class LoadedModelLLM(CustomLLM):
        """The loaded model as LlamaIndex wants it."""

        _completer: Completer = PrivateAttr()

        def __init__(self, completer: Completer) -> None:
            super().__init__()
            self._completer = completer

        @property
        def metadata(self) -> LLMMetadata:
            llm = self._completer.llm
            return LLMMetadata(
                context_window=llm.upper.window,
                num_output=self._completer.generation.max_new_tokens,
                is_chat_model=False,  # the prompt carries the chat template
                model_name=llm.name,
            )

        def complete(self, prompt: str, formatted: bool = False, **_options: Any) -> CompletionResponse:
            return CompletionResponse(text=self._completer(prompt))

        def stream_complete(self, prompt: str, formatted: bool = False, **_options: Any) -> CompletionResponseGen:
            yield self.complete(prompt)

    return LoadedModelLLM


@cache
def _embedding_class() -> type:
    core()
    from llama_index.core.embeddings import BaseEmbedding
    from pydantic import PrivateAttr

    class LoadedEmbedder(BaseEmbedding):  # type: ignore[misc]
        """The loaded embedder as LlamaIndex wants it."""

        _embedder: Any = PrivateAttr()

        def __init__(self, embedder: Any) -> None:
            super().__init__(model_name=embedder.name)
            self._embedder = embedder

        def _get_text_embeddings(self, texts: Sequence[str]) -> list[list[float]]:
            vectors: list[list[float]] = self._embedder.encode(list(texts)).tolist()
            return vectors

        def _get_text_embedding(self, text: str) -> list[float]:
            return self._get_text_embeddings([text])[0]

        def _get_query_embedding(self, query: str) -> list[float]:
            return self._get_text_embedding(query)

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return self._get_query_embedding(query)

    return LoadedEmbedder
