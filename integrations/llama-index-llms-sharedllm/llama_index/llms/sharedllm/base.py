"""``SharedLLM``: a local model as a LlamaIndex LLM, over an index of documents or without one."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sharedllm_docs as core
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    LLMMetadata,
)
from llama_index.core.bridge.pydantic import ConfigDict, Field, PrivateAttr
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.llm import LLM

from llama_index.llms.sharedllm.arguments import Call, read_call
from llama_index.llms.sharedllm.messages import split_question, to_turns
from llama_index.llms.sharedllm.responses import (
    Stream,
    achat_pieces,
    acompletion_pieces,
    chat_pieces,
    completion_pieces,
    said,
)


class SharedLLM(LLM):
    """A local causal LM. Bound to an index it answers questions from the documents' stored keys and values.

    With an index (``index_dir`` or ``index``) the last user message, or the prompt, is a question to the documents:
    passages are selected by it, earlier turns and system messages stand as text before it. Without one it is a plain
    chat model. Citations are in ``additional_kwargs["citations"]`` and ``raw["citations"]`` of every response;
    ``additional_kwargs["nearest"]`` has the nearest passages where the answer is that the document does not say. The
    model is loaded when the object is made. ``complete`` goes through the chat template where there is one, unless
    ``formatted=True``.

    Raises:
        SharedLLMError: of sharedllm-docs, with the remedy: no such index, another model than the index's, a question
            beyond the window, an argument that cannot be honoured, ...
    """

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, protected_namespaces=())

    index_dir: str | None = Field(default=None, description="Folder or URL of an index; None: no documents.")
    documents: list[str] | None = Field(default=None, description="Names to answer from; None: all.")
    model_name: str | None = Field(default=None, description="Folder or hub name; None: the index's or the default.")
    adapter: str | None = Field(default=None, description="Folder of a trained adapter; auto, none.")
    device: str | None = Field(default=None, description="cpu, cuda, ...; None: the best there is.")
    dtype: str | None = Field(default=None, description="float32, bfloat16, ...; None: the index's or the best.")
    embedder: str | None = Field(default=None, description="Folder or hub name; None: the default.")
    max_tokens: int = Field(default=128, description="Most tokens generated.")
    temperature: float = Field(default=0.0, description="0: greedy, the same answer every time.")
    top_p: float = Field(default=1.0, description="Nucleus mass when sampling.")
    top_k: int = Field(default=0, description="Tokens considered when sampling; 0: all.")
    repetition_penalty: float = Field(default=1.0, description="1: none.")
    stop: list[str] = Field(default_factory=list, description="Generation ends before the first of these.")
    seed: int | None = Field(default=0, description="Of the sampling; None draws one.")
    budget: int | None = Field(default=None, description="Most rows injected for a question; None: the default.")
    evidence_tokens: int | None = Field(default=None, description="Tokens of text put into the prompt; None: default.")
    relevance_floor: float = Field(default=0.3, description="Below it the document does not say; 0: no floor.")
    max_citations: int = Field(default=5, description="Most citations of an answer.")

    _llm: core.SharedLLM = PrivateAttr()
    _index: core.Index | None = PrivateAttr(default=None)
    _settings: core.RetrievalConfig = PrivateAttr()

    def __init__(
        self,
        index_dir: str | Path | None = None,
        *,
        llm: core.SharedLLM | None = None,
        index: core.Index | None = None,
        **fields: Any,
    ) -> None:
        """Load the model, and open the index if there is one.

        Args:
            index_dir: folder or URL of an index.
            llm: a model of sharedllm-docs that is loaded already.
            index: an index of sharedllm-docs that is open already.
            fields: the others, by name.
        """
        if index is not None and index_dir is not None:
            raise core.ConfigError("index_dir and index are both given.", remedy="Give one of them.")
        where = index.url if index is not None else str(index_dir) if index_dir is not None else None
        super().__init__(**{"index_dir": where, **fields})
        if where is None and self.documents is not None:
            raise core.ConfigError("documents are given without an index.", remedy="Give index_dir.")
        self._index = index or self._open(llm)
        self._llm = self._index.llm if self._index is not None else (llm or self._load())
        self._settings = core.RetrievalConfig(
            budget=self.budget,
            evidence_tokens=self.evidence_tokens,
            relevance_floor=self.relevance_floor,
            max_citations=self.max_citations,
        )
        self._call({})  # wrong generation arguments are reported now

    def _open(self, llm: core.SharedLLM | None) -> core.Index | None:
        if self.index_dir is None:
            return None
        return core.Index.open(self.index_dir, llm, **({} if llm else self._model_options()))

    def _load(self) -> core.SharedLLM:
        return core.SharedLLM.from_pretrained(**self._model_options())

    def _model_options(self) -> dict[str, Any]:
        named = {"name_or_path": self.model_name, "adapter": self.adapter, "embedder": self.embedder}
        options = {**named, "device": self.device, "dtype": self.dtype}
        return {name: value for name, value in options.items() if value is not None}

    # -- what it is -------------------------------------------------------------------------------------------------

    @classmethod
    def class_name(cls) -> str:
        """Name for serialisation."""
        return "SharedLLM"

    @property
    def metadata(self) -> LLMMetadata:
        """True of the loaded model."""
        return LLMMetadata(
            context_window=self._llm.window,
            num_output=self.max_tokens,
            is_chat_model=self._has_template,
            is_function_calling_model=False,
            model_name=self._llm.name,
        )

    @property
    def core_llm(self) -> core.SharedLLM:
        """The model of sharedllm-docs underneath, to share its weights."""
        return self._llm

    @property
    def core_index(self) -> core.Index | None:
        """The index of sharedllm-docs, None without documents."""
        return self._index

    def plain(self, **fields: Any) -> SharedLLM:
        """The same weights without documents: for evaluators, query rewriting and other prompts."""
        return SharedLLM(llm=self._llm, **{"callback_manager": self.callback_manager, **fields})

    @property
    def _has_template(self) -> bool:
        return bool(getattr(self._llm.tokenizer, "chat_template", None))

    # -- whole responses --------------------------------------------------------------------------------------------

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Answer the last message."""
        return said(self._answer(to_turns(messages), self._call(kwargs))).chat()

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Answer a prompt; with ``formatted=True`` and no index go on with it as it stands."""
        call = self._call(kwargs)
        if self._continues(formatted):
            return said(self._llm.complete(prompt, generation=call.generation)).completion()
        return said(self._answer(self._asked(prompt, formatted), call)).completion()

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """``chat`` in a thread."""
        return said(await to_thread(self._answer, to_turns(messages), self._call(kwargs))).chat()

    @llm_completion_callback()
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """``complete`` in a thread."""
        call = self._call(kwargs)
        if self._continues(formatted):
            return said(await self._llm.acomplete(prompt, generation=call.generation)).completion()
        return said(await to_thread(self._answer, self._asked(prompt, formatted), call)).completion()

    # -- pieces -----------------------------------------------------------------------------------------------------

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """``chat`` piece by piece."""
        return chat_pieces(self._stream(to_turns(messages), self._call(kwargs)))

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        """``complete`` piece by piece."""
        return completion_pieces(self._prompt_stream(prompt, formatted, self._call(kwargs)))

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        """``stream_chat`` for an event loop."""
        return achat_pieces(await to_thread(self._stream, to_turns(messages), self._call(kwargs)))

    @llm_completion_callback()
    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseAsyncGen:
        """``stream_complete`` for an event loop."""
        return acompletion_pieces(await to_thread(self._prompt_stream, prompt, formatted, self._call(kwargs)))

    # -- inner ------------------------------------------------------------------------------------------------------

    def _call(self, options: dict[str, Any]) -> Call:
        defaults = {
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "top_k": self.top_k,
            "repetition_penalty": self.repetition_penalty,
            "stop": self.stop,
            "seed": self.seed,
        }
        call = read_call(defaults, self.documents, options)
        if self._index is None and call.documents is not None:
            raise core.ConfigError("documents are given to a model without an index.", remedy="Give it index_dir.")
        return call

    def _continues(self, formatted: bool) -> bool:
        """Whether a prompt is gone on with as it stands."""
        return self._index is None and (formatted or not self._has_template)

    def _asked(self, prompt: str, formatted: bool) -> list[core.Message]:
        text = prompt if formatted or self.completion_to_prompt is None else self.completion_to_prompt(prompt)
        return [core.Message("user", text)]

    def _answer(self, turns: list[core.Message], call: Call) -> core.Answer | core.Completion:
        if self._index is None:
            return self._llm.chat(turns, generation=call.generation)
        question, earlier = split_question(turns)
        return self._index.ask(
            question,
            documents=call.documents,
            retrieval=self._settings,
            generation=call.generation,
            conversation=earlier,
        )

    def _stream(self, turns: list[core.Message], call: Call) -> Stream:
        if self._index is None:
            return self._llm.stream_chat(turns, generation=call.generation)
        question, earlier = split_question(turns)
        return self._index.stream(
            question,
            documents=call.documents,
            retrieval=self._settings,
            generation=call.generation,
            conversation=earlier,
        )

    def _prompt_stream(self, prompt: str, formatted: bool, call: Call) -> Stream:
        if self._continues(formatted):
            return self._llm.stream_complete(prompt, generation=call.generation)
        return self._stream(self._asked(prompt, formatted), call)
