"""``ask``: one question, answered from the index with the pages it stands on."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Annotated

import typer

from sharedllm_docs.cli import backend
from sharedllm_docs.cli.answering import Asking, answer
from sharedllm_docs.cli.flatten import flattened
from sharedllm_docs.cli.ingest import add_file, resumable
from sharedllm_docs.cli.options import (
    IndexOption,
    ModelOptions,
    OutputOptions,
    ProfileOptions,
    ReadingOptions,
    refuse_without,
)
from sharedllm_docs.cli.question_options import DocumentOption, GenerationOptions, QuestionOptions
from sharedllm_docs.cli.screen import opened


@flattened
def ask(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="In quotes; - reads it from stdin.")],
    where: IndexOption,
    chosen: DocumentOption,
    asked: QuestionOptions,
    drawing: GenerationOptions,
    reading: ReadingOptions,
    model: ModelOptions,
    profile: ProfileOptions,
    output: OutputOptions,
    file: Annotated[
        list[str] | None,
        typer.Option("--file", metavar="FILE", help="Ask this file, added first if it is new; may be repeated."),
    ] = None,
) -> None:
    """Answer a question from the index and name the pages.

    With --file the file is added first, unless it is there already: one command from a PDF to an answer.
    """
    asking = Asking.of(chosen, asked, drawing)
    with opened(output) as screen:
        if not file:
            refuse_without(reading, "--file", why="tells how a file is read")
            index = backend.open_index(where.index, screen.report, model, profile)
        else:
            options = reading.read_options()
            with resumable(where.index):
                index = backend.open_or_create(where.index, screen.report, model, profile)
                keys = [add_file(screen, index, name, options=options).document.key for name in file]
            asking = replace(asking, documents=(*(asking.documents or ()), *keys))
        answer(screen, index, sys.stdin.read() if question == "-" else question, asking)
