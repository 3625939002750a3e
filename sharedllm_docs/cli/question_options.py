"""The options of a question: where it is looked up, what is injected and how the answer is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from sharedllm_docs.cli.options import choices, given
from sharedllm_docs.config import GenerationConfig, RetrievalConfig, SelectorName

_QUESTION, _GENERATION = "Question", "Answer"
_ASK, _DRAW = RetrievalConfig(), GenerationConfig()


@dataclass(frozen=True)
class DocumentOption:
    """Which documents are asked."""

    doc: Annotated[
        list[str] | None,
        typer.Option(
            "--doc",
            metavar="DOC",
            show_default="all",
            help="Ask this document (name or key); may be repeated.",
        ),
    ] = None


@dataclass(frozen=True)
class QuestionOptions:
    """What is selected and injected."""

    budget: Annotated[
        int | None,
        typer.Option(
            "--budget",
            metavar="ROWS",
            show_default="the profile's",
            help="Most key/value rows injected a layer.",
            rich_help_panel=_QUESTION,
        ),
    ] = None
    selector: Annotated[
        str | None,
        typer.Option(
            "--selector",
            metavar=choices(SelectorName),
            show_default=_ASK.selector,
            help="How branches are chosen inside a chunk.",
            rich_help_panel=_QUESTION,
        ),
    ] = None
    candidates: Annotated[
        int | None,
        typer.Option(
            "--candidates",
            metavar="N",
            show_default=str(_ASK.candidates),
            help="Most chunks considered.",
            rich_help_panel=_QUESTION,
        ),
    ] = None
    evidence: Annotated[
        int | None,
        typer.Option(
            "--evidence",
            metavar="TOKENS",
            show_default="the adapter's or 0",
            help="Text of the best passages placed in the prompt as well.",
            rich_help_panel=_QUESTION,
        ),
    ] = None
    floor: Annotated[
        float | None,
        typer.Option(
            "--floor",
            metavar="0..1",
            show_default=str(_ASK.relevance_floor),
            help="Least relevance; below it the document does not say. 0 = off.",
            rich_help_panel=_QUESTION,
        ),
    ] = None
    citations: Annotated[
        int | None,
        typer.Option(
            "--citations",
            metavar="N",
            show_default=str(_ASK.max_citations),
            help="Most citations.",
            rich_help_panel=_QUESTION,
        ),
    ] = None

    def settings(self) -> RetrievalConfig | None:
        """For the engine; None when nothing was set.

        Raises:
            ConfigError: naming every setting out of bounds.
        """
        names = {"evidence": "evidence_tokens", "floor": "relevance_floor", "citations": "max_citations"}
        changes = {names.get(name, name): value for name, value in given(self).items()}
        return RetrievalConfig(**changes) if changes else None


@dataclass(frozen=True)
class GenerationOptions:
    """How the answer's tokens are drawn."""

    max_tokens: Annotated[
        int | None,
        typer.Option(
            "--max-tokens",
            metavar="N",
            show_default=str(_DRAW.max_new_tokens),
            help="Longest answer.",
            rich_help_panel=_GENERATION,
        ),
    ] = None
    temperature: Annotated[
        float | None,
        typer.Option(
            "--temperature",
            metavar="T",
            show_default=f"{_DRAW.temperature:g}",
            help="0 = the likeliest token always; above, sampling.",
            rich_help_panel=_GENERATION,
        ),
    ] = None
    top_p: Annotated[
        float | None,
        typer.Option(
            "--top-p",
            metavar="P",
            show_default=f"{_DRAW.top_p:g}",
            help="Nucleus mass when sampling.",
            rich_help_panel=_GENERATION,
        ),
    ] = None
    top_k: Annotated[
        int | None,
        typer.Option(
            "--top-k",
            metavar="K",
            show_default=str(_DRAW.top_k),
            help="Tokens considered when sampling; 0 = all.",
            rich_help_panel=_GENERATION,
        ),
    ] = None
    repetition_penalty: Annotated[
        float | None,
        typer.Option(
            "--repetition-penalty",
            metavar="R",
            show_default=f"{_DRAW.repetition_penalty:g}",
            help="1 = none.",
            rich_help_panel=_GENERATION,
        ),
    ] = None
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            metavar="N",
            show_default=str(_DRAW.seed),
            help="Of the sampling; -1 draws a fresh one.",
            rich_help_panel=_GENERATION,
        ),
    ] = None
    stop: Annotated[
        list[str] | None,
        typer.Option(
            "--stop",
            metavar="TEXT",
            help="End the answer before this text; may be repeated.",
            rich_help_panel=_GENERATION,
        ),
    ] = None
    stream: Annotated[
        bool | None,
        typer.Option(
            "--stream/--no-stream",
            show_default="on a terminal",
            help="Print the answer word by word.",
            rich_help_panel=_GENERATION,
        ),
    ] = None

    def settings(self) -> GenerationConfig | None:
        """For the engine; None when nothing was set.

        Raises:
            ConfigError: naming every setting out of bounds.
        """
        changes = given(self)
        changes.pop("stream", None)
        if "max_tokens" in changes:
            changes["max_new_tokens"] = changes.pop("max_tokens")
        if "stop" in changes:
            changes["stop"] = tuple(changes["stop"])
        if changes.get("seed") == -1:
            changes["seed"] = None
        return GenerationConfig(**changes) if changes else None
