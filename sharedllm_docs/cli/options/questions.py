"""Options of questions and answers. The fields are keywords of ``Index.ask``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from sharedllm_docs.cli.options.declare import choices, given, option
from sharedllm_docs.cli.units import parse_grains, parse_where
from sharedllm_docs.config import RELEVANCE_FLOOR, AnswerStyle, GenerationConfig, RetrievalConfig, SelectorName
from sharedllm_docs.retrieval.query import FULL

_RETRIEVAL, _GENERATION = RetrievalConfig(), GenerationConfig()


@dataclass(frozen=True)
class WhereOption:
    """Which documents, by their metadata."""

    where: Annotated[
        list[str] | None,
        option(
            "--where",
            "KEY=VALUE",
            "Only documents with this metadata; may be repeated. Several values for one key mean any of them.",
            "all",
        ),
    ] = None

    def keywords(self) -> dict[str, Any]:
        """``where`` as ``Index.ask`` takes it, if it was set.

        Raises:
            ConfigError: it is malformed.
        """
        return {"where": parse_where(self.where, "--where")} if self.where else {}


@dataclass(frozen=True)
class ScopeOption(WhereOption):
    """Which documents are searched."""

    documents: Annotated[
        list[str] | None, option("--doc", "DOC", "Ask this document (name or key); may be repeated.", "all")
    ] = None

    def keywords(self) -> dict[str, Any]:
        """Keyword arguments of ``Index.ask`` that were set.

        Raises:
            ConfigError: the metadata are malformed.
        """
        return {**given(self), **super().keywords()}


_question = partial(option, panel="Question")


@dataclass(frozen=True)
class AmountOptions:
    """How much is injected and quoted."""

    budget: Annotated[
        int | None, _question("--budget", "ROWS", "Maximum number of rows injected per layer.", "the profile's")
    ] = None
    evidence_tokens: Annotated[
        int | None,
        _question("--evidence", "TOKENS", "Text of the best passages quoted in the prompt.", "the adapter's, else 0"),
    ] = None
    grains: Annotated[
        str | None,
        _question(
            "--grains", "G/G/G", "Grains among which the budget of rows is spent, e.g. 1/2/4/8/16.", "the profile's"
        ),
    ] = None

    def keywords(self) -> dict[str, Any]:
        """Keyword arguments of ``Index.ask`` that were set.

        Raises:
            ConfigError: the grains are malformed.
        """
        keywords = given(self)
        return {**keywords, "grains": parse_grains(keywords["grains"])} if "grains" in keywords else keywords


CitationsOption = Annotated[
    int | None,
    _question(
        "--citations",
        "N",
        "Maximum number of citations.",
        f"{_RETRIEVAL.max_citations}, of an answer in full {FULL['max_citations']}",
    ),
]


@dataclass(frozen=True)
class SummaryOptions(AmountOptions):
    """How much is injected, quoted and cited."""

    max_citations: CitationsOption = None


@dataclass(frozen=True)
class SelectionOptions(AmountOptions):
    """What is selected and injected."""

    selector: Annotated[
        str | None,
        _question("--selector", choices(SelectorName), "How branches are chosen inside a chunk.", _RETRIEVAL.selector),
    ] = None
    candidates: Annotated[
        int | None, _question("--candidates", "N", "Maximum number of chunks considered.", str(_RETRIEVAL.candidates))
    ] = None


@dataclass(frozen=True)
class QuestionOptions(SelectionOptions):
    """What is selected, injected and cited, and when a question is declined."""

    max_citations: CitationsOption = None
    relevance_floor: Annotated[
        float | None,
        _question(
            "--floor",
            "0..1",
            "Relevance below which the answer is that the document does not say; 0 = off.",
            f"{RELEVANCE_FLOOR}, or off where the decision was fitted to the model",
        ),
    ] = None
    min_confidence: Annotated[
        float | None,
        _question(
            "--min-confidence",
            "0..1",
            "Confidence below which the answer is that the document does not say; 0 = off.",
            "the model's",
        ),
    ] = None


_answer = partial(option, panel="Answer")
StreamOption = Annotated[
    bool | None, _answer("--stream/--no-stream", None, "Print the answer word by word.", "on a terminal")
]


@dataclass(frozen=True)
class AnswerOptions:
    """What the answer is like, and how its tokens are drawn."""

    style: Annotated[
        str | None,
        _answer(
            "--style",
            choices(AnswerStyle),
            "A phrase, one sentence, or several with numbered sources.",
            "short; summarise: full",
        ),
    ] = None
    instructions: Annotated[
        str | None, _answer("--instructions", "TEXT", "Further instructions for the model's answer.")
    ] = None
    max_new_tokens: Annotated[
        int | None,
        _answer(
            "--max-tokens",
            "N",
            "Maximum length of the answer.",
            f"{_GENERATION.max_new_tokens}, in full {FULL['max_new_tokens']}",
        ),
    ] = None
    temperature: Annotated[
        float | None,
        _answer(
            "--temperature",
            "T",
            "0 = always the most likely token; above 0, tokens are sampled.",
            f"{_GENERATION.temperature:g}",
        ),
    ] = None
    top_p: Annotated[
        float | None,
        _answer("--top-p", "P", "Probability mass for sampling.", f"{_GENERATION.top_p:g}"),
    ] = None
    top_k: Annotated[
        int | None, _answer("--top-k", "K", "Tokens considered when sampling; 0 = all.", str(_GENERATION.top_k))
    ] = None
    repetition_penalty: Annotated[
        float | None,
        _answer(
            "--repetition-penalty", "R", "Penalty on repeated tokens; 1 = none.", f"{_GENERATION.repetition_penalty:g}"
        ),
    ] = None
    seed: Annotated[
        int | None, _answer("--seed", "N", "Seed for sampling; -1 draws a new one each time.", str(_GENERATION.seed))
    ] = None
    stop: Annotated[
        list[str] | None, _answer("--stop", "TEXT", "End the answer before this text; may be repeated.")
    ] = None

    def keywords(self) -> dict[str, Any]:
        """Keyword arguments of ``Index.ask`` that were set."""
        keywords = given(self)
        return {**keywords, "seed": None} if keywords.get("seed") == -1 else keywords
