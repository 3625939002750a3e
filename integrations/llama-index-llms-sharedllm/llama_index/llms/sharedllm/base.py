"""``SharedLLM``: a local model as a LlamaIndex LLM, with or without an index of documents."""

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

from llama_index.llms.sharedllm.filters import Filters, where_of
from llama_index.llms.sharedllm.messages import split_question, to_turns
from llama_index.llms.sharedllm.responses import (
    Streamed,
    achat_pieces,
    acompletion_pieces,
    chat_pieces,
    completion_pieces,
    said,
)

KEYWORDS = frozenset(core.AskOptions.__annotations__) | {"max_tokens"}


class SharedLLM(LLM):
    """A local causal LM. With an index it answers questions from the documents' stored keys and values.

    With an index (``index_dir`` or ``index``) the last user message, or the prompt, is a question to the documents: it
    selects the passages, while earlier turns and system messages precede it as text. Without an index it is a plain
    chat model. Every response has its citations in ``additional_kwargs["citations"]`` and ``raw["citations"]``. If the
    answer is that the document does not say, ``additional_kwargs["nearest"]`` has the nearest passages. The model is
    loaded when the object is made. ``complete`` uses the chat template if there is one, unless ``formatted=True``.

    Settings that are None have the default of sharedllm-docs. A call may give any of its keywords (see
    ``sharedllm_docs.AskOptions``) in their place, and ``max_tokens`` for ``max_new_tokens``.

    Raises:
        SharedLLMError: from sharedllm-docs, with the remedy: no such index, another model than the index's, a question
            beyond the window, an unknown setting, ...
    """

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, protected_namespaces=())

    index_dir: str | None = Field(default=None, description="Folder or URL of an index; None: no documents.")
    documents: list[str] | None = Field(default=None, description="Names of the documents to search; None: all.")
    where: Filters | None = Field(
        default=None,
        union_mode="left_to_right",
        description="Metadata of the documents to search: MetadataFilters, a mapping of values, or a function.",
    )
    model_name: str | None = Field(default=None, description="Folder or hub name; None: the index's or the default.")
    adapter: str | None = Field(default=None, description="Folder of a trained adapter, auto, or none.")
    device: str | None = Field(default=None, description="cpu, cuda, ...; None: the best available.")
    dtype: str | None = Field(default=None, description="float32, bfloat16, ...; None: the index's or the best.")
    embedder: str | None = Field(default=None, description="Folder or hub name; None: the default.")
    max_tokens: int | None = Field(default=None, description="Maximum number of tokens generated; None: 128.")
    temperature: float | None = Field(default=None, description="0 (default): greedy, the same answer every time.")
    top_p: float | None = Field(default=None, description="Nucleus mass for sampling; None: 1.")
    top_k: int | None = Field(default=None, description="Tokens considered for sampling; 0 (default): all.")
    repetition_penalty: float | None = Field(default=None, description="1 (default): none.")
    stop: list[str] | None = Field(default=None, description="Generation ends before the first of these strings.")
    seed: int | None = Field(default=0, description="Seed of the sampling; None draws a fresh one each time.")
    generation: core.GenerationConfig | None = Field(default=None, description="All of these settings in one object.")
    budget: int | None = Field(default=None, description="Maximum number of rows injected for a question.")
    selector: str | None = Field(default=None, description="embedding (default), hidden-state, right-half.")
    candidates: int | None = Field(default=None, description="Maximum number of chunks searched; None: 8.")
    evidence_tokens: int | None = Field(default=None, description="Tokens of text quoted in the prompt; 0: none.")
    relevance_floor: float | None = Field(
        default=None, description="Below this relevance the document does not say; None: 0.3, 0: no floor."
    )
    min_confidence: float | None = Field(
        default=None, description="Below this confidence the document does not say; None: the model's, 0: off."
    )
    max_citations: int | None = Field(default=None, description="Maximum number of citations; None: 5.")
    retrieval: core.RetrievalConfig | None = Field(
        default=None, description="budget to max_citations in one object; single settings change it."
    )

    style: str | None = Field(
        default=None, description="short (default), sentence, or full: several sentences with numbered sources."
    )
    instructions: str | None = Field(default=None, description="What else the model is to heed in its answers.")

    _llm: core.SharedLLM = PrivateAttr()
    _index: core.Index | None = PrivateAttr(default=None)

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
            llm: a loaded model of sharedllm-docs.
            index: an open index of sharedllm-docs.
            fields: the other settings, by name.
        """
        if index is not None and index_dir is not None:
            raise core.ConfigError("index_dir and index are both given.", remedy="Give one of them.")
        if "max_new_tokens" in fields:
            fields["max_tokens"] = core.ask_options(fields)["max_new_tokens"]
            del fields["max_new_tokens"]
        url = index.url if index is not None else str(index_dir) if index_dir is not None else None
        super().__init__(**{"index_dir": url, **fields})
        self._options({})  # wrong settings are reported before the model is loaded
        self._index = index or self._open(llm)
        self._llm = self._index.llm if self._index is not None else (llm or self._load())

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
        """Window, name and kind of the loaded model."""
        return LLMMetadata(
            context_window=self._llm.window,
            num_output=core.Query.of("any", self._options({})).generation.max_new_tokens,
            is_chat_model=self._has_template,
            is_function_calling_model=False,
            model_name=self._llm.name,
        )

    @property
    def core_llm(self) -> core.SharedLLM:
        """The model of sharedllm-docs, to share its weights."""
        return self._llm

    @property
    def core_index(self) -> core.Index | None:
        """The index of sharedllm-docs; None without documents."""
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
        return said(self._answer(to_turns(messages), self._options(kwargs))).chat()

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Answer a prompt; with ``formatted=True`` and no index, continue it as it is."""
        return said(self._completed(prompt, formatted, self._options(kwargs))).completion()

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """``chat`` in a thread."""
        return said(await to_thread(self._answer, to_turns(messages), self._options(kwargs))).chat()

    @llm_completion_callback()
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """``complete`` in a thread."""
        return said(await to_thread(self._completed, prompt, formatted, self._options(kwargs))).completion()

    # -- pieces -----------------------------------------------------------------------------------------------------

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """``chat`` piece by piece."""
        return chat_pieces(self._stream(to_turns(messages), self._options(kwargs)))

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        """``complete`` piece by piece."""
        return completion_pieces(self._prompt_stream(prompt, formatted, self._options(kwargs)))

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        """``stream_chat`` for an event loop."""
        return achat_pieces(await to_thread(self._stream, to_turns(messages), self._options(kwargs)))

    @llm_completion_callback()
    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseAsyncGen:
        """``stream_complete`` for an event loop."""
        return acompletion_pieces(await to_thread(self._prompt_stream, prompt, formatted, self._options(kwargs)))

    # -- inner ------------------------------------------------------------------------------------------------------

    def _options(self, call: dict[str, Any]) -> dict[str, Any]:
        """The core's keywords for one call: this model's own, and in their place what the call gives."""
        own = core.ask_options({name: getattr(self, name) for name in self.model_fields_set & KEYWORDS}, where=where_of)
        given = core.ask_options(call, where=where_of)
        options = core.with_defaults(own, given)
        if self.index_dir is not None:
            return options
        for name in sorted({*own, *given} & core.DOCUMENT_OPTIONS):
            raise core.ConfigError(f"{name} is given to a model without an index.", remedy="Give it index_dir.")
        options.pop("retrieval", None)
        return options

    def _continues(self, formatted: bool) -> bool:
        """Whether a prompt is continued as it is."""
        return self._index is None and (formatted or not self._has_template)

    def _asked(self, prompt: str, formatted: bool) -> list[core.Message]:
        text = prompt if formatted or self.completion_to_prompt is None else self.completion_to_prompt(prompt)
        return [core.Message("user", text)]

    def _completed(self, prompt: str, formatted: bool, options: dict[str, Any]) -> core.Answer | core.Completion:
        if self._continues(formatted):
            return self._llm.complete(prompt, **options)
        return self._answer(self._asked(prompt, formatted), options)

    def _answer(self, turns: list[core.Message], options: dict[str, Any]) -> core.Answer | core.Completion:
        if self._index is None:
            return self._llm.chat(turns, **options)
        question, earlier = split_question(turns)
        return self._index.ask(question, conversation=earlier, **options)

    def _stream(self, turns: list[core.Message], options: dict[str, Any]) -> Streamed:
        if self._index is None:
            return self._llm.stream_chat(turns, **options)
        question, earlier = split_question(turns)
        return self._index.stream(question, conversation=earlier, **options)

    def _prompt_stream(self, prompt: str, formatted: bool, options: dict[str, Any]) -> Streamed:
        if self._continues(formatted):
            return self._llm.stream_complete(prompt, **options)
        return self._stream(self._asked(prompt, formatted), options)
