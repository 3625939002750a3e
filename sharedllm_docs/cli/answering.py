"""One question put to an index and its answer brought to the screen, whole or word by word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sharedllm_docs.cli.question_options import DocumentOption, GenerationOptions, QuestionOptions
from sharedllm_docs.cli.screen import Screen, clean
from sharedllm_docs.cli.wording import effort_line, source_line
from sharedllm_docs.retrieval.answer import Answer

if TYPE_CHECKING:
    from sharedllm_docs.config import GenerationConfig, RetrievalConfig
    from sharedllm_docs.index.index import Index
    from sharedllm_docs.streams import Stream

_WAITING = "Finding and injecting the passages ..."


@dataclass(frozen=True)
class Asking:
    """How questions are asked; the same for all questions of a chat.

    Attributes:
        documents: names or keys; None for all.
        settings: None for the engine's.
        generation: None for the engine's.
        stream: None for "on a terminal".
    """

    documents: tuple[str, ...] | None
    settings: RetrievalConfig | None
    generation: GenerationConfig | None
    stream: bool | None

    @classmethod
    def of(cls, chosen: DocumentOption, question: QuestionOptions, drawing: GenerationOptions) -> Asking:
        """From the command line's options.

        Raises:
            ConfigError: a setting is out of bounds.
        """
        documents = tuple(chosen.doc) if chosen.doc else None
        return cls(documents, question.settings(), drawing.settings(), drawing.stream)

    def keywords(self) -> dict[str, Any]:
        """Keyword arguments of ``Index.ask`` and ``Index.stream``."""
        documents = list(self.documents) if self.documents else None
        return {"documents": documents, "retrieval": self.settings, "generation": self.generation}


def answer(screen: Screen, index: Index, question: str, asking: Asking, *, brief: bool = False) -> Answer:
    """Ask and print.

    Args:
        screen: of the command.
        index: to answer from.
        question: the user's words.
        asking: how.
        brief: name the pages in one line, without quotes.
    """
    question = question.encode("utf-8", "replace").decode("utf-8")  # a terminal's undecodable bytes are no text
    streamed = (screen.out.is_terminal and not screen.json) if asking.stream is None else asking.stream
    if streamed:
        result = _streamed(screen, index.stream(question, **asking.keywords()))
    else:
        with screen.waiting(_WAITING):
            result = index.ask(question, **asking.keywords())
    if screen.json:
        screen.emit(result.to_dict())
        return result
    screen.print("" if streamed else clean(result.text.strip()))
    _print_sources(screen, result, brief=brief)
    return result


def _streamed(screen: Screen, stream: Stream[Answer]) -> Answer:
    pieces = iter(stream)
    with screen.waiting(_WAITING):
        piece = next(pieces, None)
    while piece is not None:
        if screen.json:
            screen.emit({"piece": piece})
        else:
            screen.write(piece)
        piece = next(pieces, None)
    return stream.result


def _print_sources(screen: Screen, result: Answer, *, brief: bool) -> None:
    if result.citations:
        screen.print()
        print_citations(screen, result, brief=brief)
    elif result.nearest:
        screen.print()
        screen.print("Nearest passages:")
        print_citations(screen, result, brief=brief)
    if not screen.quiet:
        screen.print()
        screen.print(effort_line(result), style="dim")


def print_citations(screen: Screen, result: Answer, *, brief: bool = False) -> None:
    """The pages of an answer (or nearest to a question that has none), with their quotes unless ``brief``."""
    from sharedllm_docs.cli.render import citation_lines

    passages = result.citations or result.nearest
    screen.print(source_line(passages) if brief else citation_lines(passages))
