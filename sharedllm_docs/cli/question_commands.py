"""``ask`` and ``chat``: questions to an index, and their answers on the screen, whole or word by word."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sharedllm_docs.cli import backend
from sharedllm_docs.cli.failures import resumable_encoding
from sharedllm_docs.cli.options import (
    AnswerOptions,
    KeepOption,
    LoadingOptions,
    OutputOptions,
    ProfileOptions,
    QuestionOptions,
    ReadingOptions,
    ScopeOption,
    StayOptions,
    StreamOption,
    SummaryOptions,
    flattened,
    keeping,
    refuse_without,
)
from sharedllm_docs.cli.screen import Screen, clean, one_line, opened
from sharedllm_docs.cli.staying import Soon, stay_of
from sharedllm_docs.cli.tenancy import Place
from sharedllm_docs.cli.units import count_text
from sharedllm_docs.errors import ConfigError, InterruptedIngestion, QuestionError
from sharedllm_docs.retrieval.query import Query

if TYPE_CHECKING:
    from sharedllm_docs.index.index import Index
    from sharedllm_docs.retrieval.answer import Answer
    from sharedllm_docs.streams import Stream

_WAITING = "Finding and injecting the passages ..."
_HELP = (
    "/docs     list the documents of the index",
    "/sources  show the passages that the last answer is based on",
    "/help     show this list",
    "/quit     leave (so does the end of the input)",
)
_PROMPT = "> "


@flattened
def ask(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="In quotes; - reads it from stdin.")],
    location: Place,
    scope: ScopeOption,
    asked: QuestionOptions,
    answering: AnswerOptions,
    reading: ReadingOptions,
    model: LoadingOptions,
    profile: ProfileOptions,
    stay: StayOptions,
    output: OutputOptions,
    file: Annotated[
        list[str] | None,
        typer.Option("--file", metavar="FILE", help="Ask this file, added first if it is new; may be repeated."),
    ] = None,
    read_rest: Annotated[
        bool,
        typer.Option("--read-on/--no-read-on", help="With --file: read the rest of the file after the answer."),
    ] = True,
    keep_source: KeepOption = None,
    stream: StreamOption = None,
) -> None:
    """Answer a question from the index and name the pages.

    With --file the file is added first, unless it is there already: one command from a PDF to an answer. Of a new file,
    only what the question needs is encoded before the answer; the rest is read afterwards, for later questions. Ctrl-C
    during this (or --no-read-on) leaves the rest to those questions, or to `read`, and is not an error.
    """
    keywords = _ask_keywords(scope, asked, answering)
    with opened(output) as screen:
        staying = stay_of(stay, screen, location)
        if not file:
            _refuse_file_options(reading, keep_source)
            index = backend.index_for_questions(location, screen, model, profile, staying)
            keys = []
        else:
            options = reading.read_options()
            settings = {"options": options, **keeping(keep_source)}
            soon = Soon(file[0], options)
            with resumable_encoding(location.url):
                index = backend.index_for_questions(location, screen, model, profile, staying, soon)
                keys = _added_keys(screen, index, file, settings)
            keywords["documents"] = [*keywords.get("documents", ()), *keys]
        answer(screen, index, sys.stdin.read() if question == "-" else question, keywords, stream=stream)
        if read_rest:
            _read_rest(screen, index, keys, location.url)


def _refuse_file_options(reading: ReadingOptions, keep_source: bool | None) -> None:
    """Refuse options about a file where there is none."""
    refuse_without(reading, "--file", why="tells how a file is read")
    if keep_source is not None:
        raise ConfigError("--keep-source is about a file, and there is none.", remedy="Give --file.")


def _added_keys(screen: Screen, index: Index, files: Sequence[str], settings: Mapping[str, Any]) -> list[str]:
    """Add the files, encoding nothing yet; returns the keys of their documents, attachments too, each once."""
    from sharedllm_docs.cli.add_command import add_file

    added = [add_file(screen, index, name, encode="when-asked", embed="when-asked", **settings) for name in files]
    return list(dict.fromkeys(one.document.key for main in added for one in (main, *main.attachments)))


def _read_rest(screen: Screen, index: Index, keys: Sequence[str], url: str) -> None:
    """Read what the answer did not need. The answer is given: Ctrl-C is no failure then, and says what is left."""
    from sharedllm_docs.cli.index_commands import read_on

    key = ""
    try:
        for key in keys:
            info = index.document(key)
            if info.unread_chunks:
                left = f"{info.unread_chunks:,} of {count_text(info.chunks, 'chunk')} of {info.name}"
                screen.report(f"Reading the rest for later questions: {left}. Ctrl-C stops it, --no-read-on omits it")
                read_on(screen, index, key)
    except (KeyboardInterrupt, InterruptedIngestion):
        names = ", ".join(info.name for info in map(index.document, keys) if info.unread_chunks or info.key == key)
        screen.note(
            f"Stopped reading {names}; what was read is kept in {url}. Later questions read what they need, and "
            "`sharedllm-docs read` reads the rest."
        )


@flattened
def summarise(
    document: Annotated[str, typer.Argument(metavar="DOC", help="Document of the index, by name or key.")],
    location: Place,
    asked: SummaryOptions,
    answering: AnswerOptions,
    model: LoadingOptions,
    profile: ProfileOptions,
    stay: StayOptions,
    output: OutputOptions,
    section: Annotated[
        str | None, typer.Option("--section", metavar="TITLE", help="Only this section; a part of its title is enough.")
    ] = None,
    about: Annotated[
        str | None,
        typer.Option("--about", metavar="TEXT", help="What the summary should say.", show_default="the main points"),
    ] = None,
    stream: StreamOption = None,
) -> None:
    """Summarise a document of the index, or one of its sections, from passages spread over it."""
    chosen = {"section": section, "about": about, **asked.keywords(), **answering.keywords()}
    with opened(output) as screen:
        index = backend.index_for_questions(location, screen, model, profile, stay_of(stay, screen, location))
        print_answer(
            screen,
            lambda: index.stream_summary(document, **chosen),
            lambda: index.summarise(document, **chosen),
            stream=stream,
        )


@flattened
def chat(
    location: Place,
    scope: ScopeOption,
    asked: QuestionOptions,
    answering: AnswerOptions,
    model: LoadingOptions,
    profile: ProfileOptions,
    stay: StayOptions,
    output: OutputOptions,
    stream: StreamOption = None,
) -> None:
    """Answer question after question, with the model kept in memory.

    Each line is a question, typed at a prompt or read from stdin, until /quit or the end of the input. Every question
    stands alone: earlier ones are not part of it.

    /docs lists the documents, /sources quotes the passages of the last answer, /help lists these commands. Ctrl-C stops
    an answer; at the prompt it leaves.
    """
    keywords = _ask_keywords(scope, asked, answering)
    with opened(output) as screen:
        index = backend.index_for_questions(location, screen, model, profile, stay_of(stay, screen, location))
        index.documents()  # a damaged index or one of another model is reported before the first question
        talk = Talk(screen, index, keywords, stream=stream)
        if talk.prompted:
            screen.note("Ask a question, or /help. Ctrl-D leaves.")
        talk.run()


def _ask_keywords(scope: ScopeOption, asked: QuestionOptions, answering: AnswerOptions) -> dict[str, Any]:
    """Keywords of ``Index.ask``, checked before anything is loaded or added.

    Raises:
        ConfigError: a setting is malformed or out of bounds.
    """
    keywords = {**scope.keywords(), **asked.keywords(), **answering.keywords()}
    Query.of("Any question?", keywords)
    return keywords


def answer(
    screen: Screen,
    index: Index,
    question: str,
    keywords: Mapping[str, Any],
    *,
    stream: bool | None = None,
    brief: bool = False,
) -> Answer:
    """Ask, and print the answer with its pages.

    Args:
        screen: the command's output.
        index: answers the question.
        question: in the user's words.
        keywords: of ``Index.ask``.
        stream: print word by word; None does so on a terminal.
        brief: name the pages in one line, without quotes.
    """
    question = question.encode("utf-8", "replace").decode("utf-8")  # a terminal's undecodable bytes are not text
    return print_answer(
        screen,
        lambda: index.stream(question, **keywords),
        lambda: index.ask(question, **keywords),
        stream=stream,
        brief=brief,
    )


def print_answer(
    screen: Screen,
    begin: Callable[[], Stream[Answer]],
    whole: Callable[[], Answer],
    *,
    stream: bool | None = None,
    brief: bool = False,
) -> Answer:
    """Print an answer with its pages.

    Args:
        screen: the command's output.
        begin: starts the answer word by word.
        whole: gives the whole answer.
        stream: print word by word; None does so on a terminal.
        brief: name the pages in one line, without quotes.
    """
    streamed = (not screen.json and screen.to_terminal) if stream is None else stream
    if streamed:
        result = _streamed(screen, begin())
    else:
        with screen.waiting(_WAITING):
            result = whole()
    if screen.json:
        screen.emit(result.to_dict())
        return result
    screen.print("" if streamed else clean(result.text.strip()))
    if streamed and result.draft:
        # the words were printed before all of the answer could be weighed
        screen.print(
            f"{result.text} (The words above are not borne out by the text: confidence {result.confidence:.2f}.)"
        )
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
    from sharedllm_docs.cli.render import effort_line, origin_line

    if result.citations or result.nearest:
        screen.print()
        if origin := origin_line(result):
            screen.print(origin)
        if not result.citations:
            screen.print("Nearest passages:")
        _print_citations(screen, result, brief=brief)
    if not screen.quiet:
        screen.print()
        screen.print(effort_line(result), style="dim")


def _print_citations(screen: Screen, result: Answer, *, brief: bool = False) -> None:
    """Print the pages of an answer, or the nearest if it has none, with their quotes unless ``brief``."""
    from sharedllm_docs.cli.render import citation_lines, source_line

    passages = result.citations or result.nearest
    screen.print(source_line(passages) if brief else citation_lines(passages))


class Talk:
    """The loop of a chat.

    Attributes:
        prompted: whether a person types, at a prompt.
        last: the last answer, for ``/sources``.
    """

    def __init__(
        self, screen: Screen, index: Index, keywords: Mapping[str, Any], *, stream: bool | None = None
    ) -> None:
        self.screen, self.index, self.keywords, self.stream = screen, index, keywords, stream
        self.prompted = sys.stdin.isatty() and not screen.json
        self.last: Answer | None = None

    def run(self) -> None:
        """Answer until ``/quit`` or the end of the input."""
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
            self.last = answer(self.screen, self.index, text, self.keywords, stream=self.stream, brief=True)
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
        from sharedllm_docs.cli.index_commands import print_documents

        print_documents(self.screen, self.index)

    def _sources(self) -> None:
        citations = self.last.citations if self.last else ()
        if self.screen.json:
            nearest = self.last.nearest if self.last else ()
            self.screen.emit({"citations": list(map(asdict, citations)), "nearest": list(map(asdict, nearest))})
        elif self.last is None or not (citations or self.last.nearest):
            self.screen.print("No answer yet." if self.last is None else "The last answer is based on no passage.")
        else:
            if not citations:
                self.screen.print("The last answer is based on no passage. Nearest to the question:")
            _print_citations(self.screen, self.last)

    def _help(self) -> None:
        if self.screen.json:
            self.screen.emit({"help": list(_HELP)})
            return
        for line in _HELP:
            self.screen.print(line)


def _edit_lines() -> None:
    """Switch on line editing and history at the prompt, where Python has them."""
    try:
        import readline  # noqa: F401  (importing it is what switches it on)
    except ImportError:
        return
