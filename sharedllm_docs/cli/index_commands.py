"""``list``, ``show``, ``read``, ``remove``, ``verify`` and ``prune``: what an index holds, and how sound it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sharedllm_docs.cli import backend
from sharedllm_docs.cli.failures import resumable_encoding
from sharedllm_docs.cli.options import (
    LoadingOptions,
    OutputOptions,
    SelectionOptions,
    WhereOption,
    flattened,
    refuse_without,
)
from sharedllm_docs.cli.progress import bars
from sharedllm_docs.cli.records import document_record, tree_record
from sharedllm_docs.cli.screen import Screen, one_line, opened
from sharedllm_docs.cli.tenancy import Place
from sharedllm_docs.cli.units import count_text, parse_duration
from sharedllm_docs.documents.names import shown_name
from sharedllm_docs.errors import ConfigError, DamagedIndexError
from sharedllm_docs.retrieval.query import fits
from sharedllm_docs.sizes import size_text

if TYPE_CHECKING:
    from sharedllm_docs.index.index import Index
    from sharedllm_docs.index.views import TreeView
    from sharedllm_docs.retrieval.query import Where
    from sharedllm_docs.store.verify import VerifyReport

_REPAIR = "Run `sharedllm-docs verify --repair`."
_AGAIN = "These cannot be encoded again from the index: remove the document and add its file."

Document = Annotated[str, typer.Argument(metavar="DOC", help="Name, key or the start of a key.")]


@flattened
def list_documents(location: Place, chosen: WhereOption, output: OutputOptions) -> None:
    """List the documents of the index.

    With --where, only the documents that `ask` would search with the same option; `show` prints the metadata of one.
    """
    where = chosen.keywords().get("where")
    with opened(output) as screen:
        print_documents(screen, backend.open_index(location, screen.report), where)


def print_documents(screen: Screen, index: Index, where: Where | None = None) -> None:
    """Print the documents, all or those whose metadata fit, as a table or as JSON."""
    every = index.documents()
    documents = [info for info in every if where is None or fits(info.metadata, where)]
    if screen.json:
        records = [document_record(info) for info in documents]
        screen.emit({"index": index.url, "bytes": index.size(), "documents": records})
    elif not every:
        screen.print(f"The index {index.url} contains no documents. Add one with `sharedllm-docs add FILE`.")
    elif not documents:
        keys = sorted({key for info in every for key in info.metadata})
        screen.print(
            one_line(f"No document in {index.url} has this metadata (keys there: {', '.join(keys) or 'none'}).")
        )
    else:
        from sharedllm_docs.cli.render import document_list

        screen.print(document_list(documents, screen.out.width))
        if not screen.quiet:
            total = f"{count_text(len(every), 'document')} in {index.url}, {size_text(index.size())}"
            chosen = "" if where is None else f"{len(documents):,} of "
            screen.print(chosen + total, style="dim")


@flattened
def show(
    document: Document,
    location: Place,
    asked: SelectionOptions,
    model: LoadingOptions,
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

    Each chunk is one line; the chunks that the question selects are opened. Their nodes are marked `taken` (injected at
    the finest grain), `coarse` (injected at a coarser one), `split` (injected in parts, which follow) or `left`.
    """
    with opened(output) as screen:
        if question is None:
            refuse_without(asked, "--question", why="tells how a question is answered")
        index = backend.open_index(location, screen.report, model)
        view = index.tree(document, question, **asked.keywords())
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
    from sharedllm_docs.cli.render import draw, summary_line, title_lines

    for line in title_lines(view.document):
        screen.print(one_line(line))
    screen.print()
    screen.print(draw(view, opened=indices))
    if view.question is not None:
        screen.print()
        screen.print(summary_line(view))


@flattened
def read(
    location: Place,
    model: LoadingOptions,
    output: OutputOptions,
    documents: Annotated[
        list[str] | None, typer.Argument(metavar="DOC", show_default="all", help="Name, key or the start of a key.")
    ] = None,
) -> None:
    """Read the rest of documents that are only partly read.

    After `add --lazy`, `ask --file --no-read-on` or Ctrl-C, some chunks are not encoded yet. Questions encode what
    they need; this command encodes all. Ctrl-C keeps what was encoded: the same command resumes there.
    """
    with opened(output) as screen:
        index = backend.open_index(location, screen.report, model)
        every = [index.document(name).key for name in documents or ()] or [info.key for info in index.documents()]
        with resumable_encoding(location.url):
            encoded = {key: read_on(screen, index, key) for key in dict.fromkeys(every)}
        infos = [index.document(key) for key in encoded]
        if screen.json:
            records = [{**document_record(info), "chunks_encoded": encoded[info.key]} for info in infos]
            screen.emit({"index": index.url, "documents": records})
            return
        from sharedllm_docs.cli.render import read_line

        for info in infos:
            screen.print(one_line(read_line(info)))


def read_on(screen: Screen, index: Index, key: str) -> int:
    """``Index.read`` with a progress bar where there is a terminal; returns the number of chunks encoded."""
    info = index.document(key)
    if not info.unread_chunks:
        return 0
    with bars(screen, info.name) as progress:
        return index.read(key, progress=progress)


@flattened
def remove(
    documents: Annotated[list[str], typer.Argument(metavar="DOC", help="Name, key or the start of a key.")],
    location: Place,
    output: OutputOptions,
) -> None:
    """Remove documents from the index."""
    with opened(output) as screen:
        index = backend.open_index(location, screen.report)
        keys = [index.find_key(document) for document in documents]  # all are known before the first goes
        removed = [index.remove(key) for key in dict.fromkeys(keys)]
        if screen.json:
            screen.emit({"index": index.url, "removed": [document_record(info) for info in removed]})
            return
        for info in removed:
            # a document has a chunk at least: without one, its manifest could not be read
            held = f" ({count_text(info.pages, 'page')}, {size_text(info.bytes)})" if info.chunks else ""
            screen.print(
                one_line(f"Removed {shown_name(info.name) or info.key[:12]}{held or ', whose manifest was damaged'}.")
            )
        screen.note("`sharedllm-docs prune` frees what no other document uses.")


@flattened
def verify(
    location: Place,
    model: LoadingOptions,
    output: OutputOptions,
    document: Annotated[
        str | None, typer.Argument(metavar="DOC", show_default="all", help="Only this document: name or key.")
    ] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Encode damaged chunks again.")] = False,
) -> None:
    """Check every file of the index against its checksum.

    Exit code 5 when something is damaged and was not repaired.
    """
    with opened(output) as screen:
        index = backend.open_index(location, screen.report, model)
        report = _check(screen, index, document)
        repaired = None
        if repair and not report.ok:
            _print_damage(screen, report)
            with resumable_encoding(location.url), bars(screen) as progress:
                repaired = index.repair(document, progress=progress)
            report = _check(screen, index, document)
        _tell(screen, report, repaired, location.url)


def _check(screen: Screen, index: Index, document: str | None) -> VerifyReport:
    with bars(screen) as progress:
        return index.verify(document, progress=progress)


def _print_damage(screen: Screen, report: VerifyReport) -> None:
    if not screen.json:
        for damage in report.damaged:
            screen.print(one_line(f"damaged: {damage}"))


def _tell(screen: Screen, report: VerifyReport, repaired: int | None, url: str) -> None:
    checked = f"{count_text(report.files, 'file')} ({size_text(report.bytes)}) checked"
    if report.unread:
        checked += f", {count_text(report.unread, 'chunk')} not read yet"
    if screen.json:
        counts = {"files": report.files, "bytes": report.bytes, "unread": report.unread, "repaired": repaired or 0}
        screen.emit({"index": url, "ok": report.ok, **counts, "damaged": [str(damage) for damage in report.damaged]})
        if not report.ok:
            raise typer.Exit(DamagedIndexError.exit_code)
        return
    if repaired is not None:
        screen.print(f"{count_text(repaired, 'chunk')} encoded again.")
    if report.ok:
        screen.print(f"{checked}: all sound.")
        return
    _print_damage(screen, report)
    raise DamagedIndexError(
        f"{checked}: {len(report.damaged):,} damaged.",
        paths=tuple(str(damage) for damage in report.damaged),
        remedy=_AGAIN if repaired is not None else _REPAIR,
    )


@flattened
def prune(
    location: Place,
    output: OutputOptions,
    grace: Annotated[
        str | None,
        typer.Option(
            "--grace",
            metavar="TIME",
            help="Keep what was written within this time, e.g. 2h: workers may be about to commit it. "
            "[default: 1d at a URL, 0 in a folder]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Delete data that no document uses.

    Removed documents and interrupted additions leave such data behind.
    """
    with opened(output) as screen:
        kept = None if grace is None else parse_duration(grace, "--grace")
        index = backend.open_index(location, screen.report)
        freed = index.prune(grace=kept)
        if screen.json:
            screen.emit({"index": index.url, "freed_bytes": freed, "bytes": index.size()})
        else:
            screen.print(f"Freed {size_text(freed)}; the index has {size_text(index.size())}.")
