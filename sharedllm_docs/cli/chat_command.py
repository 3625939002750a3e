"""``chat``: question after question to the same index, with the model kept in memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from sharedllm_docs.cli import backend
from sharedllm_docs.cli.answering import Asking, answer, print_citations
from sharedllm_docs.cli.document_commands import print_documents
from sharedllm_docs.cli.flatten import flattened
from sharedllm_docs.cli.options import IndexOption, ModelOptions, OutputOptions, ProfileOptions
from sharedllm_docs.cli.question_options import DocumentOption, GenerationOptions, QuestionOptions
from sharedllm_docs.cli.screen import Screen, one_line, opened
from sharedllm_docs.errors import QuestionError
from sharedllm_docs.retrieval.answer import Answer

if TYPE_CHECKING:
    from sharedllm_docs.index.index import Index

_HELP = (
    "/docs     the documents of the index",
    "/sources  the passages that the last answer stands on",
    "/help     this",
    "/quit     leave (so does the end of the input)",
)
_PROMPT = "> "


@flattened
def chat(
    where: IndexOption,
    chosen: DocumentOption,
    asked: QuestionOptions,
    drawing: GenerationOptions,
    model: ModelOptions,
    profile: ProfileOptions,
    output: OutputOptions,
) -> None:
    """Answer question after question, with the model kept in memory.

    Questions are lines, typed at a prompt or read from stdin, until /quit or the end of the input. Each stands alone:
    what was asked before is not part of it.

    /docs lists the documents, /sources quotes the passages of the last answer, /help lists these commands. Ctrl-C stops
    an answer; at the prompt it leaves.
    """
    asking = Asking.of(chosen, asked, drawing)
    with opened(output) as screen:
        index = backend.open_index(where.index, screen.report, model, profile)
        index.documents()  # a damaged or foreign index is told before the first question
        talk = Talk(screen, index, asking)
        if talk.prompted:
            screen.note("Ask a question, or /help. Ctrl-D leaves.")
        talk.run()


class Talk:
    """The loop of a chat.

    Attributes:
        prompted: whether a person types, at a prompt.
        last: the answer before, for ``/sources``.
    """

    def __init__(self, screen: Screen, index: Index, asking: Asking) -> None:
        self.screen, self.index, self.asking = screen, index, asking
        self.prompted = sys.stdin.isatty() and not screen.json
        self.last: Answer | None = None

    def run(self) -> None:
        """Until ``/quit`` or the end of the input."""
        for line in self._lines():
            text = line.strip()
            if text == "/quit":
                return
            if text.startswith("/"):
                self._command(text)
            elif text:
                self._question(text)

    def _lines(self) -> Iterator[str]:
        if not self.prompted:
            yield from sys.stdin
            return
        _edit_lines()
        while True:
            try:
                yield input(_PROMPT)
            except EOFError:
                self.screen.print()
                return

    def _question(self, text: str) -> None:
        try:
            self.last = answer(self.screen, self.index, text, self.asking, brief=True)
        except QuestionError as error:
            self.screen.fail(error)  # the next question may be better
        except KeyboardInterrupt:
            if not self.prompted:
                raise
            self.screen.print()
            self.screen.note("Stopped.")
        if self.prompted:
            self.screen.print()

    def _command(self, text: str) -> None:
        commands = {"/docs": self._documents, "/sources": self._sources, "/help": self._help}
        if text not in commands:
            known = ", ".join((*commands, "/quit"))
            self.screen.fail(QuestionError(f"There is no command {one_line(text)!r}.", remedy=f"Known: {known}."))
            return
        commands[text]()

    def _documents(self) -> None:
        print_documents(self.screen, self.index)

    def _sources(self) -> None:
        citations = self.last.citations if self.last else ()
        if self.screen.json:
            nearest = self.last.nearest if self.last else ()
            self.screen.emit({"citations": list(map(asdict, citations)), "nearest": list(map(asdict, nearest))})
        elif self.last is None or not (citations or self.last.nearest):
            self.screen.print("No answer yet." if self.last is None else "The last answer stands on no passage.")
        else:
            if not citations:
                self.screen.print("The last answer stands on no passage. Nearest to the question:")
            print_citations(self.screen, self.last)

    def _help(self) -> None:
        if self.screen.json:
            self.screen.emit({"help": list(_HELP)})
            return
        for line in _HELP:
            self.screen.print(line)


def _edit_lines() -> None:
    """Line editing and history at the prompt, where Python has them."""
    try:
        import readline  # noqa: F401  (importing it is what switches it on)
    except ImportError:
        return
