"""Methods of a loaded model that generate without documents: whole, piece by piece, and in a thread.

Comes in: prompts or messages. Goes out: completions of :mod:`sharedllm_docs.plain`. Knows no documents.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from asyncio import to_thread
from collections.abc import Sequence
from threading import RLock
from typing import Any

import torch

from sharedllm_docs.asynchronous import AsyncCompletionStream
from sharedllm_docs.config import GenerationSettings
from sharedllm_docs.messages import Message
from sharedllm_docs.plain import Completion, CompletionStream, chat, complete


class PlainModel(ABC):
    """Plain generation over a base model.

    Attributes:
        base: the base model, which generates.
        upper: the decoder.
        tokenizer: of the base model.
        end_ids: tokens that end an answer.
        lock: held while the model computes.
    """

    base: Any
    upper: Any
    tokenizer: Any
    end_ids: frozenset[int]
    lock: RLock

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """On which the model computes."""

    def count_tokens(self, text: str) -> int:
        """Tokens that a text takes, special ones not counted."""
        return len(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def complete(self, prompt: str, *, generation: GenerationSettings | None = None) -> Completion:
        """Go on with a prompt, without template and documents; see :func:`sharedllm_docs.plain.complete`."""
        return self.stream_complete(prompt, generation=generation).completion

    def stream_complete(self, prompt: str, *, generation: GenerationSettings | None = None) -> CompletionStream:
        """:meth:`complete` piece by piece: iterate for text, then take ``.completion``."""
        return complete(self, prompt, generation or GenerationSettings())

    def astream_complete(self, prompt: str, *, generation: GenerationSettings | None = None) -> AsyncCompletionStream:
        """:meth:`stream_complete` for ``async for``, computed in a thread."""
        return AsyncCompletionStream(lambda: self.stream_complete(prompt, generation=generation))

    async def acomplete(self, prompt: str, *, generation: GenerationSettings | None = None) -> Completion:
        """:meth:`complete` in a thread."""
        return await to_thread(self.complete, prompt, generation=generation)

    def chat(self, messages: Sequence[Message], *, generation: GenerationSettings | None = None) -> Completion:
        """Answer messages through the chat template, without documents; see :func:`sharedllm_docs.plain.chat`."""
        return self.stream_chat(messages, generation=generation).completion

    def stream_chat(
        self, messages: Sequence[Message], *, generation: GenerationSettings | None = None
    ) -> CompletionStream:
        """:meth:`chat` piece by piece."""
        return chat(self, messages, generation or GenerationSettings())

    def astream_chat(
        self, messages: Sequence[Message], *, generation: GenerationSettings | None = None
    ) -> AsyncCompletionStream:
        """:meth:`stream_chat` for ``async for``, computed in a thread."""
        return AsyncCompletionStream(lambda: self.stream_chat(messages, generation=generation))

    async def achat(self, messages: Sequence[Message], *, generation: GenerationSettings | None = None) -> Completion:
        """:meth:`chat` in a thread."""
        return await to_thread(self.chat, messages, generation=generation)
