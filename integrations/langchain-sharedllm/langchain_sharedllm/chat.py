"""A LangChain chat model that answers from an index of documents, or without one from the model alone."""

from __future__ import annotations

import time
import warnings
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.base import LangSmithParams
from langchain_core.language_models.chat_models import agenerate_from_stream, generate_from_stream
from langchain_core.language_models.model_profile import ModelProfile
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import ConfigDict, Field, PrivateAttr, SecretStr, SkipValidation

from langchain_sharedllm.arguments import OF_DOCUMENTS, SAMPLING, Call, call_of
from langchain_sharedllm.errors import UnsupportedArgumentError
from langchain_sharedllm.messages import split_question, turns
from langchain_sharedllm.opening import IndexLike, load_model, open_index
from langchain_sharedllm.results import of_answer, of_completion
from langchain_sharedllm.streams import begin, in_thread, trimmed, within
from sharedllm_docs import Index, RetrievalConfig

if TYPE_CHECKING:
    from sharedllm_docs import SharedLLM
else:  # the class brings torch with it, which is loaded at the first call
    SharedLLM = Any

DEFAULT_MODEL = "smollm2-135m-instruct"
"""What the core loads when no model is named."""


class ChatSharedLLM(BaseChatModel):
    """Answers the last human message; system messages and earlier turns stand before it.

    With ``index`` the answer comes out of the documents' stored keys and values, and
    ``response_metadata["citations"]`` says where it stands. Without it the model answers by itself.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    index: SkipValidation[IndexLike | None] = None
    """Folder, fsspec URL, ``langchain_sharedllm.SharedLLMIndex`` or open ``Index``; None: plain generation."""
    documents: list[str] | None = None
    """Ids (or keys) of the documents to search; None searches all."""
    settings: RetrievalConfig | None = None
    """Budget, selector, evidence, relevance floor and number of citations."""
    model: str | None = None
    """Name or folder of the model (default: the index's, else the embedded one)."""
    llm: SharedLLM | None = Field(default=None, exclude=True, repr=False)
    """A model in memory instead."""
    temperature: float | None = 0.0
    """0 takes the likeliest token each time."""
    max_tokens: int | None = None
    """Most tokens of the answer (default: the core's 128)."""
    top_p: float | None = None
    top_k: int | None = None
    repetition_penalty: float | None = None
    seed: int | None = 0
    """Of the sampling; None draws a fresh one each time."""
    stop: list[str] | None = None
    """The answer ends before the first of these; ``stop`` of a call takes their place."""
    timeout: float | None = Field(default=None, gt=0)
    """Seconds for an answer, looked at whenever a piece of text is ready; beyond them ``AnswerTimeoutError``."""
    max_retries: int = Field(default=0, ge=0)
    """Further attempts where reading files or a connection failed before the answer began."""
    streaming: bool = False
    """Let ``invoke`` tell callbacks of each piece, too."""
    api_key: SecretStr | None = Field(default=None, exclude=True, repr=False)
    """For code that gives one to every model: never used, as the model runs here; a warning says so."""

    _opened: tuple[Any, Index] | None = PrivateAttr(default=None)
    _loaded: tuple[str | None, SharedLLM] | None = PrivateAttr(default=None)

    def model_post_init(self, context: Any, /) -> None:
        """Open the index and check the arguments; the model itself is loaded at the first call."""
        super().model_post_init(context)
        if self.api_key is not None:
            warnings.warn("api_key has no effect: the model runs in this process.", UserWarning, stacklevel=4)
            self.api_key = None
        for name in OF_DOCUMENTS:
            if self.index is None and getattr(self, name) is not None:
                raise UnsupportedArgumentError(f"{name} was given without an index.", remedy="Give index=FOLDER.")
        self.core  # noqa: B018 - opens it
        call_of(self, None, {})

    # -- what it is -------------------------------------------------------------------------------------------------

    @property
    def core(self) -> Index | None:
        """The index that ``index`` names, kept open; None without one."""
        if self.index is None:
            return None
        place = (self.index, self.model, self.llm)
        if self._opened is None or self._opened[0] != place:
            self._opened = (place, open_index(self.index, model=self.model, llm=self.llm))
        return self._opened[1]

    @property
    def has_index(self) -> bool:
        """True when it answers from documents."""
        return self.index is not None

    @property
    def model_name(self) -> str:
        """Of the model that answers; known without loading it."""
        if self.llm is not None:
            return self.llm.name
        return str(self.core.settings["model"]) if self.core is not None else self.model or DEFAULT_MODEL

    @property
    def _llm_type(self) -> str:
        return "sharedllm"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        chosen = {name: getattr(self, name) for name in (*SAMPLING, *OF_DOCUMENTS, "stop")}
        return {"model_name": self.model_name, "index": self.core.url if self.core else None, **chosen}

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        """Key of LangChain's caches: an answer is cached for the very documents that it came from."""
        content = sorted((info.name, info.key) for info in self.core.documents()) if self.core else []
        return f"{super()._get_llm_string(stop=stop, **kwargs)}---{content}"

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_model_name"] = kwargs.get("model") or self.model_name
        return params

    def _resolve_model_profile(self) -> ModelProfile:
        return ModelProfile(text_inputs=True, text_outputs=True, tool_calling=False, structured_output=False)

    # -- tokens -----------------------------------------------------------------------------------------------------

    @property
    def loaded(self) -> SharedLLM:
        """The model, loaded at first use; it may be shared: ``ChatSharedLLM(llm=chat.loaded)``."""
        if self.core is not None:
            return self.core.llm
        if self.llm is not None:
            return self.llm
        if self._loaded is None or self._loaded[0] != self.model:
            self._loaded = (self.model, load_model(self.model))
        return self._loaded[1]

    def get_token_ids(self, text: str) -> list[int]:
        """Ids of a text in the model's own tokenizer (``get_num_tokens`` and ``trim_messages`` count by it)."""
        if self.custom_get_token_ids is not None:
            return self.custom_get_token_ids(text)
        return list(self.loaded.tokenizer(text, add_special_tokens=False)["input_ids"])

    # -- answering --------------------------------------------------------------------------------------------------

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop=stop, **kwargs))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return await agenerate_from_stream(self._astream(messages, stop=stop, **kwargs))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        yield from self._chunks(messages, stop, kwargs)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        async for chunk in in_thread(lambda: self._chunks(messages, stop, kwargs)):
            yield chunk

    def _chunks(
        self, messages: Sequence[BaseMessage], stop: Sequence[str] | None, given: dict[str, Any]
    ) -> Generator[ChatGenerationChunk, None, None]:
        begun = time.monotonic()
        call = call_of(self, stop, given)
        stream, pieces = begin(lambda: self._begun(messages, call), self.max_retries)
        for piece in trimmed(within(pieces, call.timeout, begun)):
            yield ChatGenerationChunk(message=AIMessageChunk(content=piece))
        last = of_answer(stream.result) if self.has_index else of_completion(stream.result)
        last.response_metadata["model_name"] = self.model_name
        yield ChatGenerationChunk(message=last)

    def _begun(self, messages: Sequence[BaseMessage], call: Call) -> Any:
        """The core's stream of an answer, or of a completion without documents."""
        said = turns(messages)
        if self.core is None:
            return self.loaded.stream_chat(said, generation=call.generation)
        question, conversation = split_question(said)
        return self.core.stream(
            question,
            documents=call.documents,
            retrieval=call.settings,
            generation=call.generation,
            conversation=conversation,
        )
