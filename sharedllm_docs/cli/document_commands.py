"""``list``, ``show`` and ``remove``: the documents of an index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sharedllm_docs.cli import backend
from sharedllm_docs.cli.flatten import flattened
from sharedllm_docs.cli.options import IndexOption, ModelOptions, OutputOptions, refuse_without
from sharedllm_docs.cli.question_options import QuestionOptions
from sharedllm_docs.cli.records import document_record, tree_record
from sharedllm_docs.cli.screen import Screen, one_line, opened
from sharedllm_docs.cli.units import count_text, size_text
from sharedllm_docs.errors import ConfigError

if TYPE_CHECKING:
    from sharedllm_docs.index.index import Index
    from sharedllm_docs.index.views import TreeView

Document = Annotated[str, typer.Argument(metavar="DOC", help="Name, key or the start of a key.")]


@flattened
def list_documents(where: IndexOption, output: OutputOptions) -> None:
    """List the documents of the index."""
    with opened(output) as screen:
        print_documents(screen, backend.open_index(where.index, screen.report))


def print_documents(screen: Screen, index: Index) -> None:
    """The documents, as a table or as JSON."""
    documents = index.documents()
    if screen.json:
        records = [document_record(info) for info in documents]
        screen.emit({"index": index.url, "bytes": index.size(), "documents": records})
    elif not documents:
        screen.print(f"The index {index.url} holds no documents. Add one with `sharedllm-docs add FILE`.")
    else:
        from sharedllm_docs.cli.render import document_list

        screen.print(document_list(documents, screen.out.width))
        if not screen.quiet:
            total = f"{count_text(len(documents), 'document')} in {index.url}, {size_text(index.size())}"
            screen.print(total, style="dim")


@flattened
def show(
    document: Document,
    where: IndexOption,
    asked: QuestionOptions,
    model: ModelOptions,
    output: OutputOptions,
    question: Annotated[
        str | None, typer.Option("--question", metavar="TEXT", help="Mark the branches that this question takes.")
    ] = None,
    chunk: Annotated[
        list[int] | None, typer.Option("--chunk", metavar="N", help="Open this chunk as well; may be repeated.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Open all chunks.")] = False,
) -> None:
    """Draw a document's tree, and the branches of a question.

    A chunk is one line; those that the question selects are opened. Their nodes are marked `taken` (injected at the
    finest grain), `coarse` (injected at a coarser one), `split` (injected in parts, which follow) or `left`.
    """
    with opened(output) as screen:
        if question is None:
            refuse_without(asked, "--question", why="tells how a question is answered")
        settings = asked.settings()
        view = backend.open_index(where.index, screen.report, model).tree(document, question, retrieval=settings)
        indices = _opened_chunks(view, chunk or [], every=every)
        if screen.json:
            screen.emit(tree_record(view))
            return
        _print_tree(screen, view, indices)


def _opened_chunks(view: TreeView, wanted: list[int], *, every: bool) -> set[int]:
    known = {chunk.index for chunk in view.chunks}
    unknown = sorted(set(wanted) - known)
    if unknown:
        raise ConfigError(
            f"--chunk {unknown[0]} is not in {view.document.name}, which has {count_text(len(known), 'chunk')}.",
            remedy=f"The first is 0, the last {len(known) - 1}.",
        )
    return known if every else set(wanted)


def _print_tree(screen: Screen, view: TreeView, indices: set[int]) -> None:
    from sharedllm_docs.cli.tree_render import document_lines, draw, summary_line

    for line in document_lines(view.document):
        screen.print(one_line(line))
    screen.print()
    screen.print(draw(view, opened=indices))
    if view.question is not None:
        screen.print()
        screen.print(summary_line(view))


@flattened
def remove(
    documents: Annotated[list[str], typer.Argument(metavar="DOC", help="Name, key or the start of a key.")],
    where: IndexOption,
    output: OutputOptions,
) -> None:
    """Remove documents from the index."""
    with opened(output) as screen:
        index = backend.open_index(where.index, screen.report)
        found = [index.document(document) for document in documents]  # all are known before the first goes
        removed = [index.remove(info.key) for info in dict.fromkeys(found)]
        if screen.json:
            screen.emit({"index": index.url, "removed": [document_record(info) for info in removed]})
            return
        for info in removed:
            screen.print(one_line(f"Removed {info.name} ({count_text(info.pages, 'page')}, {size_text(info.bytes)})."))
        screen.note("`sharedllm-docs prune` frees what no other document uses.")
