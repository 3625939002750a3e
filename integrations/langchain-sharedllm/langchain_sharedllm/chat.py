"""A LangChain chat model that answers from an index of documents, or without one from the model alone."""

from __future__ import annotations

import time
import warnings
from collections.abc import AsyncIterator, Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.base import LangSmithParams
from langchain_core.language_models.chat_models import agenerate_from_stream, generate_from_stream
from langchain_core.language_models.model_profile import ModelProfile
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import ConfigDict, Field, PrivateAttr, SecretStr, SkipValidation

from langchain_sharedllm.errors import UnsupportedArgumentError
from langchain_sharedllm.filters import Filter, where_of
from langchain_sharedllm.messages import split_question, turns
from langchain_sharedllm.opening import IndexLike, load_model, open_index
from langchain_sharedllm.results import of_answer, of_completion, settled
from langchain_sharedllm.streams import begin, trimmed, within
from sharedllm_docs import (
    DOCUMENT_OPTIONS,
    AskOptions,
    AsyncStream,
    GenerationConfig,
    Index,
    RetrievalConfig,
    Stream,
    ask_options,
    with_defaults,
)

if TYPE_CHECKING:
    from sharedllm_docs import SharedLLM
else:  # the class brings torch with it, which is loaded at the first call
    SharedLLM = Any

DEFAULT_MODEL = "qwen2.5-coder-0.5b-instruct"
"""What the core loads when no model is named."""
KEYWORDS = frozenset(AskOptions.__annotations__) | {"max_tokens"}


class ChatSharedLLM(BaseChatModel):
    """Answers the last human message; system messages and earlier turns precede it.

    With ``index`` the answer comes from the documents' stored keys and values, and
    ``response_metadata["citations"]`` has the passages. Without it the model answers by itself.

    Settings that are None have the default of sharedllm-docs. A call may give any of its keywords (see
    ``sharedllm_docs.AskOptions``) in their place, ``max_tokens`` for ``max_new_tokens``, and ``timeout``.

    Raises:
        UnsupportedArgumentError: a setting of documents without an index, or another ``model``.
        ConfigError: an unknown keyword (all known ones are named), a value out of its bounds, one setting given twice.
        SharedLLMError: no such index, another model than the index's, a question beyond the window, ...
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    index: SkipValidation[IndexLike | None] = None
    """Folder, fsspec URL, ``langchain_sharedllm.SharedLLMIndex`` or open ``Index``; None: plain generation."""
    documents: list[str] | None = None
    """Ids (or keys) of the documents to search; None: all."""
    where: SkipValidation[Filter | None] = None
    """Metadata of the documents to search: ``{"year": 2024}``, ``{"year": [2023, 2024]}``, or a function of it."""
    budget: int | None = None
    """Maximum number of rows injected for a question."""
    selector: str | None = None
    """How branches are chosen: ``embedding``, ``hidden-state`` or ``right-half``."""
    candidates: int | None = None
    """Maximum number of chunks searched for branches."""
    evidence_tokens: int | None = None
    """Tokens of text quoted in the prompt; 0: none."""
    relevance_floor: float | None = None
    """Relevance (0 .. 1) below which the document does not say; 0: no floor."""
    min_confidence: float | None = None
    """Confidence (0 .. 1) below which the document does not say; 0: off; None: the model's own threshold."""
    max_citations: int | None = None
    """Maximum number of citations."""
    retrieval: RetrievalConfig | None = None
    """``budget`` to ``max_citations`` in one object; single settings change it."""
    style: str | None = None
    """``short`` (default), ``sentence``, or ``full``: several sentences with numbered sources."""
    instructions: str | None = None
    """What else the model is to heed in its answers; system messages are added to it."""
    model: str | None = None
    """Name or folder of the model (default: the index's, else the embedded one)."""
    llm: SharedLLM | None = Field(default=None, exclude=True, repr=False)
    """A loaded model instead."""
    temperature: float | None = None
    """0 (default) takes the likeliest token each time."""
    max_tokens: int | None = None
    """Maximum number of tokens of the answer (default: 128)."""
    top_p: float | None = None
    """Nucleus mass for sampling."""
    top_k: int | None = None
    """Maximum number of tokens considered for sampling; 0: all."""
    repetition_penalty: float | None = None
    """1: none."""
    seed: int | None = 0
    """Seed of the sampling; None draws a fresh one each time."""
    stop: list[str] | None = None
    """The answer ends before the first of these strings; the ``stop`` of a call replaces them."""
    generation: GenerationConfig | None = None
    """``temperature`` to ``stop`` in one object; single settings change it."""
    timeout: float | None = Field(default=None, gt=0)
    """Seconds for an answer, checked whenever a piece of text is ready; beyond them ``AnswerTimeoutError``."""
    max_retries: int = Field(default=0, ge=0)
    """Further attempts if reading files or a connection failed before the answer began."""
    streaming: bool = False
    """Also report each piece to the callbacks of ``invoke``."""
    api_key: SecretStr | None = Field(default=None, exclude=True, repr=False)
    """For code that gives a key to every model. It has no effect, since the model runs here; a warning says so."""

    _opened: tuple[Any, Index] | None = PrivateAttr(default=None)
    _loaded: tuple[str | None, SharedLLM] | None = PrivateAttr(default=None)

    def model_post_init(self, context: Any, /) -> None:
        """Open the index and check the settings; the model is loaded at the first call."""
        super().model_post_init(context)
        if self.api_key is not None:
            warnings.warn("api_key has no effect: the model runs in this process.", UserWarning, stacklevel=4)
            self.api_key = None
        self._options(None, {})
        self.core  # noqa: B018 - opens it

    # -- what it is -------------------------------------------------------------------------------------------------

    @property
    def core(self) -> Index | None:
        """The open index; None without one."""
        if self.index is None:
            return None
        place = (self.index, self.model, self.llm)
        if self._opened is None or self._opened[0] != place:
            self._opened = (place, open_index(self.index, model=self.model, llm=self.llm))
        return self._opened[1]

    @property
    def has_index(self) -> bool:
        """Whether it answers from documents."""
        return self.index is not None

    @property
    def model_name(self) -> str:
        """Name of the model that answers; known without loading it."""
        if self.llm is not None:
            return self.llm.name
        return str(self.core.settings["model"]) if self.core is not None else self.model or DEFAULT_MODEL

    @property
    def _llm_type(self) -> str:
        return "sharedllm"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {
            "model_name": self.model_name,
            "index": self.core.url if self.core else None,
            **self._options(None, {}),
        }

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        """Key of LangChain's caches: an answer is cached for exactly the documents that were searched."""
        where = self._options(stop, kwargs).get("where")
        documents = self.core.documents() if self.core else []
        content = sorted((info.name, info.key) for info in documents if where is None or where(info.metadata))
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
        """The model, loaded at first use. To share it: ``ChatSharedLLM(llm=chat.loaded)``."""
        if self.core is not None:
            return self.core.llm
        if self.llm is not None:
            return self.llm
        if self._loaded is None or self._loaded[0] != self.model:
            self._loaded = (self.model, load_model(self.model))
        return self._loaded[1]

    def get_token_ids(self, text: str) -> list[int]:
        """Token ids of a text by the model's tokenizer; ``get_num_tokens`` and ``trim_messages`` count with it."""
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
        return settled(generate_from_stream(self._stream(messages, stop=stop, **kwargs)))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return settled(await agenerate_from_stream(self._astream(messages, stop=stop, **kwargs)))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        stream = self._answer(messages, stop, kwargs)
        for piece in stream:
            yield ChatGenerationChunk(message=AIMessageChunk(content=piece))
        yield ChatGenerationChunk(message=stream.result)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        stream = AsyncStream(lambda: self._answer(messages, stop, kwargs))
        async for piece in stream:
            yield ChatGenerationChunk(message=AIMessageChunk(content=piece))
        yield ChatGenerationChunk(message=stream.result)

    def _answer(
        self, messages: Sequence[BaseMessage], stop: Sequence[str] | None, call: Mapping[str, Any]
    ) -> Stream[AIMessageChunk]:
        """The answer's text in pieces; the result is a last chunk with usage and metadata, without text."""
        options = self._options(stop, call)
        timeout = options.pop("timeout")

        def pieces() -> Generator[str, None, AIMessageChunk]:
            begun = time.monotonic()
            stream, texts = begin(lambda: self._begun(messages, options), self.max_retries)
            yield from trimmed(within(texts, timeout, begun))
            last = of_answer(stream.result) if self.has_index else of_completion(stream.result)
            last.response_metadata["model_name"] = self.model_name
            return last

        return Stream(pieces())

    def _begun(self, messages: Sequence[BaseMessage], options: dict[str, Any]) -> Any:
        """The core's stream of an answer, or of a completion without documents."""
        said = turns(messages)
        if self.core is None:
            return self.loaded.stream_chat(said, **options)
        question, conversation = split_question(said)
        return self.core.stream(question, conversation=conversation, **options)

    # -- settings ---------------------------------------------------------------------------------------------------

    def _options(self, stop: Sequence[str] | None, call: Mapping[str, Any]) -> dict[str, Any]:
        """The core's keywords for one call, and ``timeout``: the model's own, replaced by what the call gives."""
        own = ask_options({name: getattr(self, name) for name in self.model_fields_set & KEYWORDS}, where=where_of)
        given = ask_options({"stop": stop, **call}, where=where_of)
        self._check_call(given)
        timeout = given.pop("timeout", self.timeout)
        options = with_defaults(own, {name: given[name] for name in given if name not in ("model", "stream")})
        if not self.has_index:
            for name in sorted({*own, *given} & DOCUMENT_OPTIONS):
                raise UnsupportedArgumentError(
                    f"{name} is given to a model without documents.", remedy="Make it with index=FOLDER."
                )
            options.pop("retrieval", None)
        return {**options, "timeout": timeout}

    def _check_call(self, given: Mapping[str, Any]) -> None:
        timeout = given.get("timeout", 1)
        if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout > 0:
            raise UnsupportedArgumentError(f"timeout={timeout!r} must be above 0 seconds.", remedy="Or leave it out.")
        if given.get("model") not in (None, self.model_name):
            raise UnsupportedArgumentError(
                f"model={given['model']!r} was asked of {self.model_name!r}, which is loaded.",
                remedy="Make a ChatSharedLLM with that model; an index answers only with its own.",
            )
