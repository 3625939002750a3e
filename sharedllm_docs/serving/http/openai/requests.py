"""Requests of the OpenAI-style API, validated: parameters that cannot be honoured are refused by name, never ignored
silently.

The table in docs/server.md says the same; a test compares it with ``NEUTRAL``, ``IGNORED`` and ``OWN``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sharedllm_docs.errors import ConfigError, EmptyQuestionError, RequestTooLargeError, UnsupportedParameterError
from sharedllm_docs.model.messages import Message
from sharedllm_docs.retrieval.query import AskOptions
from sharedllm_docs.serving.http.answers import usual_tokens
from sharedllm_docs.serving.http.settings import Settings

NEUTRAL: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "best_of": (1,),
    "response_format": ({"type": "text"},),
    "logprobs": (False, 0),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "modalities": (["text"],),
    "audio": (),
    "prediction": (),
    "web_search_options": (),
    "echo": (False,),
    "suffix": ("",),
    "dimensions": (),
}
"""Parameters that are refused, except with these values, which have no effect."""
IGNORED = frozenset(
    (
        *("user", "metadata", "store", "service_tier", "parallel_tool_calls", "safety_identifier", "prompt_cache_key"),
        *("prompt_cache_retention", "reasoning_effort", "verbosity"),
    )
)
"""Parameters that cannot change an answer from documents: they are accepted and have no effect."""
OWN = frozenset(AskOptions.__annotations__) - {
    *("retrieval", "generation", "max_new_tokens", "temperature", "top_p", "stop", "seed"),
}
"""Parameters that the OpenAI API does not have: the project's own settings of a question (``extra_body`` of
clients)."""
_HINTS = {
    "response_format": "Ask for the form in words, in a system message; the form is not enforced.",
    "tools": "Tools are called by MCP clients: see /mcp.",
    "n": "Send the request again with another seed.",
}


class _Request(BaseModel):
    """A request with any further fields."""

    model_config = ConfigDict(extra="allow", strict=True)

    model: str = Field(min_length=1, max_length=1000)

    def check_extra(self, own: frozenset[str] = frozenset()) -> None:
        """Raise UnsupportedParameterError for a parameter that is neither honoured, nor ignored, nor asks nothing."""
        for name, value in (self.model_extra or {}).items():
            asks_nothing = value is None or any(value == one for one in NEUTRAL.get(name, ()))
            if not (asks_nothing or name in IGNORED or name in own):
                hint = _HINTS.get(name, "Leave it out.")
                raise UnsupportedParameterError(
                    f"The parameter {name!r} is not supported by this server.", param=name, remedy=hint
                )

    def extra(self, names: frozenset[str]) -> dict[str, Any]:
        """The further parameters of these names that have a value."""
        extra = self.model_extra or {}
        return {name: value for name, value in extra.items() if name in names and value is not None}


class StreamOptions(BaseModel):
    """``stream_options``."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class _Generating(_Request):
    """Parameters that chats and completions share."""

    stream: bool | None = None
    stream_options: StreamOptions | None = None
    stop: str | list[str] | None = None
    temperature: float | None = Field(default=None, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(default=None, allow_inf_nan=False)
    max_tokens: int | None = None
    seed: int | None = None

    def wanted_tokens(self) -> tuple[str, int | None]:
        """Tokens of the answer at most, and the name that the request has for them."""
        return "max_tokens", self.max_tokens

    def generation(self, settings: Settings) -> dict[str, Any]:
        """Keywords of ``Index.ask`` for drawing tokens.

        Raises:
            ConfigError: more tokens are asked for than the server gives, or none.
        """
        name, tokens = self.wanted_tokens()
        if tokens is not None and tokens < 1:
            raise ConfigError(f"{name}={tokens} is below the least, 1.", remedy="Give at least 1, or leave it out.")
        if tokens is not None and tokens > settings.max_answer_tokens:
            raise ConfigError(
                f"{name}={tokens} is more than the {settings.max_answer_tokens} that this server gives.",
                remedy=f"Ask for at most {settings.max_answer_tokens}.",
            )
        if tokens is None:
            tokens = usual_tokens(self.extra(OWN).get("style"), settings)
        stop = [self.stop] if isinstance(self.stop, str) else self.stop
        given = {"temperature": self.temperature, "top_p": self.top_p, "stop": stop, "max_new_tokens": tokens}
        # as in the OpenAI API, no seed means a different answer each time, if tokens are sampled at all
        return {**{name: value for name, value in given.items() if value is not None}, "seed": self.seed}

    def documents(self) -> dict[str, Any]:
        """The project's own keywords of ``Index.ask``.

        Raises:
            ConfigError: ``where`` or ``documents`` is not of its type.
        """
        own = self.extra(OWN)
        if not isinstance(own.get("where", {}), Mapping):
            raise ConfigError(f"where={own['where']!r} is not an object.", remedy='Give {"year": "2024"}.')
        if not isinstance(own.get("documents", []), list):
            raise ConfigError(f"documents={own['documents']!r} is not a list.", remedy='Give ["contract.pdf"].')
        return own


class TextPart(BaseModel):
    """A part of a message's content."""

    model_config = ConfigDict(extra="allow")

    type: str
    text: str = ""


class ChatMessage(BaseModel):
    """A message; fields other than role and content are refused, except a name."""

    model_config = ConfigDict(extra="allow")

    role: str
    content: str | list[TextPart] | None = None

    def message(self, position: int) -> Message:
        """The message as the model takes it.

        Raises:
            UnsupportedParameterError: it contains something other than text.
        """
        where = f"messages.{position}"
        if self.role in ("tool", "function"):
            raise UnsupportedParameterError(
                f"{where} has the role {self.role!r}; this server calls no tools.", param=where, remedy="Leave it out."
            )
        if (self.model_extra or {}).get("tool_calls"):
            raise UnsupportedParameterError(
                f"{where} calls tools; this server has none.", param=where, remedy="Leave it out."
            )
        return Message({"developer": "system"}.get(self.role, self.role), self._text(where))

    def _text(self, where: str) -> str:
        if not isinstance(self.content, list):
            return self.content or ""
        for part in self.content:
            if part.type not in ("text", "input_text"):
                raise UnsupportedParameterError(
                    f"{where}.content holds a part of type {part.type!r}; this server takes text alone, and fetches "
                    "nothing from addresses.",
                    param=f"{where}.content",
                    remedy="Add files as documents.",
                )
        return "\n".join(part.text for part in self.content)


class ChatRequest(_Generating):
    """``POST /v1/chat/completions``."""

    messages: list[ChatMessage] = Field(min_length=1)
    max_completion_tokens: int | None = None

    def wanted_tokens(self) -> tuple[str, int | None]:
        """``max_completion_tokens`` or its older name, and which of them was used.

        Raises:
            ConfigError: both are given, and differ.
        """
        both = {self.max_tokens, self.max_completion_tokens} - {None}
        if len(both) > 1:
            raise ConfigError("max_tokens and max_completion_tokens are one setting, given twice.")
        name = "max_tokens" if self.max_completion_tokens is None else "max_completion_tokens"
        return name, both.pop() if both else None

    def turns(self, settings: Settings) -> list[Message]:
        """The messages.

        Raises:
            RequestTooLargeError: there are more than the server takes.
            ConfigError: a role is unknown, or a message is not text.
        """
        check_count("messages", len(self.messages), settings.max_messages)
        return [message.message(position) for position, message in enumerate(self.messages)]


class CompletionRequest(_Generating):
    """``POST /v1/completions``."""

    prompt: str | list[str]

    def prompts(self, settings: Settings) -> list[str]:
        """The prompts, each of which becomes a choice.

        Raises:
            RequestTooLargeError: there are more than the server takes.
            EmptyQuestionError: there is none.
            UnsupportedParameterError: several are to be streamed.
        """
        found = [self.prompt] if isinstance(self.prompt, str) else self.prompt
        if not found:
            raise EmptyQuestionError("The list of prompts is empty.", remedy="Ask something.")
        # more prompts than may wait for one caller would never all find room
        most = min(settings.max_texts, settings.max_waiting, settings.max_waiting_each)
        check_count("prompts", len(found), most)
        if self.stream and len(found) > 1:
            raise UnsupportedParameterError(
                f"{len(found)} prompts cannot be streamed in one response.",
                param="prompt",
                remedy="Send one at a time.",
            )
        return found


class EmbeddingsRequest(_Request):
    """``POST /v1/embeddings``."""

    input: str | list[str]
    encoding_format: Literal["float", "base64"] = "float"

    def texts(self, settings: Settings) -> list[str]:
        """The texts; errors as for ``checked_texts``."""
        return checked_texts("input", [self.input] if isinstance(self.input, str) else self.input, settings)


class RerankDocument(BaseModel):
    """A text to rank."""

    model_config = ConfigDict(extra="allow")

    text: str


class RerankRequest(_Request):
    """``POST /v1/rerank``."""

    query: str
    documents: list[str | RerankDocument]
    top_n: int | None = Field(default=None, ge=1)
    return_documents: bool = True

    def texts(self, settings: Settings) -> list[str]:
        """The texts to rank; errors as for ``checked_texts``."""
        texts = [one if isinstance(one, str) else one.text for one in self.documents]
        return checked_texts("documents", texts, settings)


def checked_texts(what: str, texts: Sequence[str], settings: Settings) -> list[str]:
    """The texts of a request.

    Raises:
        RequestTooLargeError: there are more than the server takes.
        EmptyQuestionError: there is none, or one is blank.
    """
    check_count(what, len(texts), settings.max_texts)
    if not texts or not all(text.strip() for text in texts):
        raise EmptyQuestionError(f"{what} contains no text, or a blank one.", remedy="Give texts with words.")
    check_written(what, texts)
    return list(texts)


def check_written(what: str, texts: Sequence[str]) -> None:
    """Raise ConfigError for a text with half of a surrogate pair, which no tokenizer reads."""
    for position, text in enumerate(texts):
        if any("\ud800" <= char <= "\udfff" for char in text):
            raise ConfigError(
                f"Text {position} of {what} contains half a character (a lone surrogate).",
                remedy="Send whole characters.",
            )


def check_count(what: str, count: int, limit: int) -> None:
    """Raise RequestTooLargeError for more things than the server takes."""
    if count > limit:
        raise RequestTooLargeError(f"The request has {count} {what}; this server takes {limit}.", remedy="Send fewer.")
