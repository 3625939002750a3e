"""A question together with all of its settings."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, get_args

from sharedllm_docs.checks import check_text
from sharedllm_docs.config import (
    AnswerStyle,
    GenerationConfig,
    GenerationOptions,
    RetrievalConfig,
    RetrievalOptions,
    check_options,
    config_of,
)
from sharedllm_docs.errors import ConfigError, EmptyQuestionError, QuestionError

Where = Mapping[str, str | Collection[str]] | Callable[[Mapping[str, str]], bool]
"""Which documents to search, by their metadata: for each key its value or a collection of allowed values, all of which
must fit; or a function that is given the metadata."""


FULL = {"max_new_tokens": 384, "max_citations": 12, "candidates": 24}
"""Settings of an answer of several sentences, where no others are given."""
FULL_BUDGET = 3
"""Such an answer is given this many times the rows, so that it can draw on several sections."""


class ScopeOptions(RetrievalOptions, total=False):
    """Keywords that choose what is searched, and how.

    Attributes:
        documents: names or keys; None searches all.
        where: metadata that a document must have, see ``Where``. Given with ``documents``, both apply.
    """

    documents: Sequence[str] | None
    where: Where | None


class AskOptions(ScopeOptions, GenerationOptions, total=False):
    """Keywords of ``Index.ask`` and its relatives; one that is not given keeps its default.

    Attributes:
        style: ``short`` (a phrase from the text), ``sentence``, or ``full`` (several sentences, each marked with the
            number of the citation that supports it). None for ``short``, unless there are instructions.
        instructions: further instructions for the model's answer, in words.
    """

    style: AnswerStyle | None
    instructions: str


class SummaryOptions(GenerationOptions, total=False):
    """Keywords of ``Index.summarise``: those of ``ask`` that do not choose documents or rank passages."""

    budget: int | None
    evidence_tokens: int | None
    max_citations: int
    grains: Sequence[int] | None
    style: AnswerStyle | None
    instructions: str


DOCUMENT_OPTIONS = frozenset(AskOptions.__annotations__) - frozenset(GenerationOptions.__annotations__)
"""Keywords that have a meaning only if documents are searched."""


@dataclass(frozen=True)
class Query:
    """A question, checked, with its settings: made once and passed from the index to the search and the model.

    Attributes:
        question: in words.
        retrieval: budget, selector, evidence, floor, citations.
        generation: length, sampling, stop strings, seed.
        conversation: earlier turns as lines of text, or "".
        documents: names or keys to search; None searches all.
        where: metadata that searched documents must have, or None.
        style: what the answer should be like; None for ``short``, unless there are instructions.
        instructions: the user's own, or "".
        section: title of the section that a summary is limited to, or None.
        spread: choose passages spread over the text instead of those nearest to the question.

    Raises:
        EmptyQuestionError: the question has no words.
        QuestionError: it contains something that is not a valid character.
        ConfigError: ``documents`` is a string instead of a list of strings, or an unknown style.
    """

    question: str
    retrieval: RetrievalConfig = field(default_factory=RetrievalConfig)
    generation: GenerationConfig = field(default_factory=GenerationConfig)
    conversation: str = ""
    documents: Sequence[str] | None = None
    where: Where | None = None
    style: AnswerStyle | None = None
    instructions: str = ""
    section: str | None = None
    spread: bool = False

    def __post_init__(self) -> None:
        self._check_wording()
        if not isinstance(self.question, str):
            raise QuestionError(f"The question {self.question!r} is not text.", remedy="Give a string.")
        if not self.question.strip():
            raise EmptyQuestionError(f"The question {self.question!r} is empty.", remedy="Ask something.")
        check_text(self.question, "question")
        if isinstance(self.documents, str):  # a string would be taken as a list of letters
            raise ConfigError(f"documents={self.documents!r} is one string.", remedy=f"Give [{self.documents!r}].")
        if self.documents is not None and not all(isinstance(one, str) for one in self.documents):
            raise ConfigError(f"documents={self.documents!r} holds no names.", remedy="Give names or keys as strings.")
        if self.documents is not None and not len(self.documents):
            raise ConfigError("documents=[] names no document.", remedy="Leave it out to search all documents.")

    @classmethod
    def summary(cls, key: str, name: str, section: str | None, about: str | None, options: Mapping[str, Any]) -> Query:
        """A query for a summary of one document.

        Args:
            key: of the document.
            name: of the document.
            section: title of a section, or None for the whole.
            about: what the summary should say, or None.
            options: keywords of ``SummaryOptions``.

        Raises:
            ConfigError: an invalid value.
            QuestionError: ``about`` is not text, or is blank.
        """
        what = f"the section {section!r} of {name}" if section is not None else name
        question = f"What are the main points of {what}?" if about is None else about
        query = cls.of(question, {"style": "full", **options})
        return replace(query, documents=[key], section=section, spread=True)

    def _check_wording(self) -> None:
        if self.style not in (None, *get_args(AnswerStyle)):
            known = ", ".join(get_args(AnswerStyle))
            raise ConfigError(f"style={self.style!r} is unknown (known: {known}).", remedy="Use one of these.")
        if not isinstance(self.instructions, str):
            raise ConfigError(f"instructions={self.instructions!r} is not text.", remedy="Give a string.")
        check_text(self.instructions, "instructions")

    @classmethod
    def of(cls, question: str, options: Mapping[str, Any], *, conversation: str = "") -> Query:
        """A query from the keywords of ``AskOptions``.

        Raises:
            ConfigError: an unknown keyword (all known ones are named), or an invalid value.
            EmptyQuestionError, QuestionError: of the question.
        """
        check_options(AskOptions, options)
        style = options.get("style")
        if style == "full":
            options = {**_full_defaults(options), **options}
        retrieval, generation = _configs(options)
        return cls(
            question,
            retrieval,
            generation,
            conversation,
            options.get("documents"),
            options.get("where"),
            style,
            options.get("instructions", ""),
        )


def _full_defaults(options: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the style ``full`` for the configs that are not given as objects."""
    whole = {name: "generation" if name == "max_new_tokens" else "retrieval" for name in FULL}
    return {name: value for name, value in FULL.items() if options.get(whole[name]) is None}


def _configs(options: Mapping[str, Any]) -> tuple[RetrievalConfig, GenerationConfig]:
    """Both configs; the problems of both in one error."""
    try:
        retrieval = config_of(RetrievalConfig, options.get("retrieval"), options)
    except ConfigError as error:
        try:
            config_of(GenerationConfig, options.get("generation"), options)
        except ConfigError as other:
            raise ConfigError(f"{error.message} {other.message}", remedy=error.remedy) from error
        raise
    return retrieval, config_of(GenerationConfig, options.get("generation"), options)


def fits(metadata: Mapping[str, str], where: Where) -> bool:
    """Whether a document with this metadata is to be searched.

    Raises:
        ConfigError: ``where`` is neither a mapping nor a function, or one of its values is neither a string nor a
            collection of strings.
    """
    if callable(where):
        return bool(where(dict(metadata)))  # a copy, so that the function cannot change a document
    if not isinstance(where, Mapping):
        raise ConfigError(
            f"where={where!r} is neither a mapping nor a function.", remedy="Give a dictionary, as in {'year': '2024'}."
        )
    allowed = {key: _allowed(key, value) for key, value in where.items()}
    return all(key in metadata and metadata[key] in values for key, values in allowed.items())


def _allowed(key: str, value: str | Collection[str]) -> Collection[str]:
    values = (value,) if isinstance(value, str) else value
    if not isinstance(values, Collection) or not all(isinstance(one, str) for one in values):
        raise ConfigError(
            f"where[{key!r}]={value!r} is neither a string nor a collection of strings; metadata are strings.",
            remedy="Give text, as in {'year': '2024'}, or a function for other comparisons.",
        )
    return values


def ask_options(given: Mapping[str, Any], *, where: Callable[[Any], Where | None] | None = None) -> dict[str, Any]:
    """Settings as LLM frameworks give them, as keywords of ``AskOptions``.

    ``max_tokens`` stands for ``max_new_tokens``, one string for a list of stop strings, and None for a setting that is
    not given, except for ``seed``, where None draws a fresh one. Names are checked where the keywords are used.

    Args:
        given: settings by name.
        where: translates a framework's metadata filter, given as ``where``.

    Raises:
        ConfigError: ``max_tokens`` and ``max_new_tokens`` are both given.
    """
    options = {name: value for name, value in given.items() if value is not None or name == "seed"}
    if {"max_tokens", "max_new_tokens"} <= set(options):
        raise ConfigError("max_tokens and max_new_tokens are one setting, given twice.", remedy="Give max_tokens.")
    if "max_tokens" in options:
        options["max_new_tokens"] = options.pop("max_tokens")
    if isinstance(options.get("stop"), str):
        options["stop"] = [options["stop"]]
    if where is not None and "where" in options:
        options["where"] = where(options["where"])
    return options


def with_defaults(own: Mapping[str, Any], call: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords of one call, added to those of the object that is called; a keyword or a config object of the call wins.

    Raises:
        ConfigError: a value is invalid.
    """
    kept = dict(own)
    for whole, kind in (("retrieval", RetrievalConfig), ("generation", GenerationConfig)):
        config_of(kind, own.get(whole), own)
        if call.get(whole) is not None:
            kept = {name: value for name, value in kept.items() if name not in (whole, *kind.__dataclass_fields__)}
    return {**kept, **call}
