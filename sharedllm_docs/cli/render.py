"""Results as people read them: sentences, citations, tables and the tree of a document. Needs rich.

Commands import this module when they print, so that ``--help`` does not wait for rich.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sharedllm_docs.cli.keywords import as_typed
from sharedllm_docs.cli.screen import one_line
from sharedllm_docs.cli.units import count_text, pages_text, seconds_text
from sharedllm_docs.documents.document import PLACING_READERS
from sharedllm_docs.documents.names import shown_name
from sharedllm_docs.sizes import size_text

if TYPE_CHECKING:
    from rich.tree import Tree

    from sharedllm_docs.index.views import AddedDocument, ChunkView, DocumentInfo, NodeView, TreeView
    from sharedllm_docs.retrieval.answer import Answer, Citation
    from sharedllm_docs.store.estimate import SizeEstimate

KEY_LENGTH = 10
TABLE_WIDTH = 80
_COLUMNS = ("Key", "Pages", "Tokens", "Chunks", "Size", "Added", "Warnings")
# what stands before a node; "split": not injected itself, something below it is
_STYLES = {"taken": "bold green", "coarse": "yellow", "split": "", "left": "dim"}
_INJECTED = ("taken", "coarse")
_NAMED = 3  # documents of an answer that are named in one line
_WORD = max(map(len, _STYLES))


# -- answers ----------------------------------------------------------------------------------------------------------


def place(citation: Citation) -> str:
    """``R-intro.pdf, page 13 (printed 7; 2.1 Vectors and assignment)``."""
    label = citation.page_label if citation.page_label != str(citation.page) else ""
    details = [f"printed {label}" if label and citation.page_word == "page" else ""]
    details += [citation.section] if citation.page_word else []  # else the place is the section
    inside = one_line("; ".join(detail for detail in details if detail))
    return one_line(f"{shown_name(citation.document)}, {citation.place}") + (f" ({inside})" if inside else "")


def source_line(citations: Sequence[Citation]) -> str:
    """All pages in one line: ``R-intro.pdf, page 7, page 12; R-data.pdf, page 3``."""
    places: dict[str, list[str]] = {}
    for citation in citations:
        known = places.setdefault(shown_name(citation.document), [])
        place = f"{citation.page_word} {citation.page}" if citation.page_word == "page" else citation.place
        if place not in known:
            known.append(place)
    named = (f"{name}, " + ", ".join(known) for name, known in places.items())
    return one_line("; ".join(named))


def origin_line(answer: Answer) -> str:
    """Which of several documents an answer is based on, and which others fit the question as well; "" if there is only
    one."""
    if not answer.documents or answer.counts.documents < 2:
        return ""
    stands = f"From {_several(answer.documents)}."
    if not answer.alike:
        return one_line(stands)
    return one_line(
        f"{stands} The question fits {_several(answer.alike)} as well: name the one you mean, "
        "in the question or with --doc."
    )


def _several(names: Sequence[str]) -> str:
    """``a.pdf``, ``a.pdf and b.pdf``, ``a.pdf, b.pdf, c.pdf and 9 others``."""
    more = len(names) - _NAMED
    shown = [*names[:_NAMED], *([f"{more:,} other{'s' if more > 1 else ''}"] if more > 0 else [])]
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))


def _sure(answer: Answer, behind: str = ", ") -> str:
    """The confidence with its separator; "" for a summary, which has none."""
    return "" if answer.confidence is None else f"confidence {answer.confidence:.2f}{behind}"


def effort_line(answer: Answer) -> str:
    """Timings and counts in one line."""
    counts, timings = answer.counts, answer.timings
    searched = f"{count_text(counts.chunks, 'chunk')} of {count_text(counts.documents, 'document')} searched"
    if counts.chunks_encoded:
        searched += f", {counts.chunks_encoded:,} encoded for it in {seconds_text(timings.encode)}"
    if not answer.found:
        sure = f"{_sure(answer)}best passage's relevance {answer.relevance:.2f}"
        return f"{seconds_text(timings.total)}; {searched}; {sure}"
    return _sure(answer, "; ") + "; ".join(
        (
            f"first token after {seconds_text(timings.first_token)}, all after {seconds_text(timings.total)}",
            searched,
            f"{count_text(counts.nodes, 'node')} injected ({count_text(counts.rows, 'row')}, "
            f"{size_text(counts.bytes_read)} read)",
            f"{count_text(counts.question_tokens, 'token')} asked, {counts.answer_tokens:,} answered"
            + (" (cut at the limit)" if answer.finish_reason == "length" else ""),
        )
    )


def citation_lines(citations: Sequence[Citation]) -> Table:
    """``[1] R-intro.pdf, page 7 (2.1 Vectors and assignment): "quote"``, one per line, with a hanging indent."""
    lines = Table.grid(padding=(0, 1))
    lines.add_column(no_wrap=True, style="bold")
    lines.add_column(overflow="fold")
    for number, citation in enumerate(citations, start=1):
        quote = Text(f': "{one_line(citation.quote)}"', style="italic")
        lines.add_row(f"[{number}]", Text(place(citation), style="cyan").append_text(quote))
    return lines


# -- documents --------------------------------------------------------------------------------------------------------


def added_line(added: AddedDocument, *, index_bytes: int) -> str:
    """What ``add`` did, in one line."""
    info = added.document
    held = f"{count_text(info.pages, 'page')}, {count_text(info.tokens, 'token')} in {count_text(info.chunks, 'chunk')}"
    head = f"{'Added' if added.new else 'Already there:'} {shown_name(info.name)}: {held}, {size_text(info.bytes)}"
    if added.renamed_from:
        head += f"; it was {added.renamed_from} before"
    if added.replaced:
        head += f"; it replaces {count_text(len(added.replaced), 'older version')} of that name"
    if info.unread_chunks:
        head += f"; {unread_text(info)}"
    if not added.new:
        done = f"; {count_text(added.chunks_encoded, 'chunk')} encoded" if added.chunks_encoded else ""
        return f"{head}{done}{'; metadata updated' if added.metadata_updated else ''}."
    work = f"{count_text(added.chunks_encoded, 'chunk')} encoded, {added.chunks_reused:,} reused"
    speed = f", {added.tokens_per_second:,.0f} tokens/s" if added.chunks_encoded else ""
    return f"{head}; {work} in {seconds_text(added.seconds)}{speed}. The index has {size_text(index_bytes)}."


def unread_text(info: DocumentInfo) -> str:
    """How far a document is read, if not completely: ``12 of 59 chunks read``."""
    return f"{info.chunks - info.unread_chunks:,} of {count_text(info.chunks, 'chunk')} read"


def read_line(info: DocumentInfo) -> str:
    """How far a document is, in one line."""
    return f"{shown_name(info.name)}: {unread_text(info)}, {size_text(info.bytes)}."


def estimate_line(source: str, estimate: SizeEstimate) -> str:
    """What a file would take, in one line."""
    parts = ", ".join(f"{name} {size_text(size)}" for name, size in estimate.parts().items())
    taken = f"{count_text(estimate.num_tokens, 'token')} in {count_text(len(estimate.chunk_bytes), 'chunk')}"
    return f"{source}: {taken} would take {size_text(estimate.total)}" + (f" ({parts})." if parts else ".")


def document_list(documents: Sequence[DocumentInfo], width: int) -> RenderableType:
    """The documents of an index as a table, or as two lines each if the screen is too narrow for one."""
    if width >= TABLE_WIDTH:
        return _document_table(documents)
    return Group(*(Text(line) for info in documents for line in _narrow_lines(info)))


def _narrow_lines(info: DocumentInfo) -> tuple[str, str]:
    held = [count_text(info.pages, "page"), count_text(info.tokens, "token"), size_text(info.bytes)]
    held += [unread_text(info)] if info.unread_chunks else []
    return one_line(shown_name(info.name)), f"  {info.key[:KEY_LENGTH]}: {', '.join(held)}"


def _document_table(documents: Sequence[DocumentInfo]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("Document", overflow="fold")
    for title in _COLUMNS:
        table.add_column(title, justify="left" if title in ("Key", "Added") else "right", no_wrap=True)
    for info in documents:
        table.add_row(
            one_line(shown_name(info.name)),
            info.key[:KEY_LENGTH],
            f"{info.pages:,}",
            f"{info.tokens:,}",
            f"{info.chunks - info.unread_chunks:,} of {info.chunks:,}" if info.unread_chunks else f"{info.chunks:,}",
            size_text(info.bytes),
            str(info.created)[:10],
            str(len(info.issues) or ""),
        )
    return table


def title_lines(info: DocumentInfo) -> Iterator[str]:
    """What is known about a document, line by line; printed above its tree."""
    yield shown_name(info.name) + (f" - {info.title}" if info.title and info.title != info.name else "")
    yield f"key {info.key}"
    held = (count_text(info.pages, "page"), count_text(info.tokens, "token"), count_text(info.chunks, "chunk"))
    yield ", ".join((*held, size_text(info.bytes)))
    if info.unread_chunks:
        yield f"{unread_text(info)}; the others when a question needs them"
    yield f"read as {info.reader}, added {info.created}"
    if info.source:
        yield f"source file: {'kept in the index' if info.source == 'kept' else 'not kept, found where it was'}"
    if not info.boxes and info.reader in PLACING_READERS:
        yield "no boxes: an earlier version read it. Add the file again; nothing is encoded again"
    if info.metadata:
        yield "metadata: " + ", ".join(f"{key}={value}" for key, value in info.metadata.items())
    for issue in info.issues:
        where = f" (page {issue.page})" if issue.page is not None else ""
        yield f"warning: {issue.code}{where}: {as_typed(issue.message)}"


# -- trees ------------------------------------------------------------------------------------------------------------


def summary_line(view: TreeView) -> str:
    """What the question selected, in one line."""
    chunks = [chunk for chunk in view.chunks if chunk.selected]
    nodes = [node for chunk in chunks for node in chunk.nodes if node.state in _INJECTED]
    rows = sum(node.rows for node in nodes)
    pages = ", ".join(dict.fromkeys(pages_text(chunk.start_page, chunk.end_page) for chunk in chunks))
    return (
        f"{len(chunks)} of {count_text(len(view.chunks), 'chunk')} selected, "
        f"{count_text(len(nodes), 'node')} injected ({count_text(rows, 'row')})" + (f": {pages}." if pages else ".")
    )


def draw(view: TreeView, *, opened: Collection[int] = ()) -> Tree:
    """The tree; chunks that are selected, or whose index is in ``opened``, show their nodes, others are one line."""
    from rich.tree import Tree

    tree = Tree(
        _label(Text(one_line(view.question or shown_name(view.document.name)), style="bold")), guide_style="dim"
    )
    widths = _widths(view.chunks)
    for chunk in view.chunks:
        branch = tree.add(_label(_chunk_text(chunk, widths)))
        if chunk.selected or chunk.index in opened:
            # without a question nothing is left out: all of the chunk is shown
            _add_nodes(branch, chunk.nodes, everything=view.question is None or not chunk.selected)
    return tree


def _label(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _widths(chunks: Sequence[ChunkView]) -> tuple[int, int, int]:
    """Widths of the columns of index, pages and tokens."""
    return (
        max((len(str(chunk.index)) for chunk in chunks), default=0),
        max((len(pages_text(chunk.start_page, chunk.end_page)) for chunk in chunks), default=0),
        max((len(f"{chunk.tokens:,}") for chunk in chunks), default=0),
    )


def _chunk_text(chunk: ChunkView, widths: tuple[int, int, int]) -> Text:
    pages = pages_text(chunk.start_page, chunk.end_page)
    score = f"{chunk.score:5.2f}  " if chunk.score is not None else ""
    line = (
        f"chunk {chunk.index:>{widths[0]}}  {pages:<{widths[1]}}  {chunk.tokens:>{widths[2]},} tokens  {score}"
        f"{'' if chunk.read else '(not read yet)  '}{one_line(chunk.section)}"
    )
    return Text(line.rstrip(), style="bold" if chunk.selected else "")


def _add_nodes(branch: Tree, nodes: Sequence[NodeView], *, everything: bool) -> None:
    """Add nodes below their parents; nothing is shown below a node of which nothing was injected."""
    places: dict[tuple[int, int], Tree] = {}
    for node in sorted(nodes, key=lambda node: (node.level, node.index)):
        parent = _parent(places, node)
        above = places[parent] if parent else branch
        if not everything and parent and not _leads_to_rows(nodes, parent):
            continue
        split = node.state == "left" and _leads_to_rows(nodes, (node.level, node.index))
        places[node.level, node.index] = above.add(_label(_node_text(node, "split" if split else node.state)))


def _parent(places: dict[tuple[int, int], Tree], node: NodeView) -> tuple[int, int] | None:
    """The nearest ancestor that is drawn; levels without rows may be missing."""
    for up in range(1, node.level + 1):
        if (found := (node.level - up, node.index >> up)) in places:
            return found
    return None


def _leads_to_rows(nodes: Sequence[NodeView], top: tuple[int, int]) -> bool:
    """Whether something below ``top`` was injected."""
    level, index = top
    return any(
        node.state in _INJECTED and node.level > level and node.index >> (node.level - level) == index for node in nodes
    )


def _node_text(node: NodeView, state: str) -> Text:
    text = Text(f"{state:<{_WORD}}  " if state else "", style=_STYLES.get(state, ""))
    details = [
        f"tokens {node.start_token:,}-{node.end_token:,}",
        pages_text(node.start_page, node.end_page),
        f"{count_text(node.rows, 'row')} at grain {node.grain}" if state in _INJECTED else "",
        f"{node.score:.2f}" if node.score is not None else "",
    ]
    text.append("  ".join(detail for detail in details if detail), style="not bold")
    if node.text:
        text.append(f"  {one_line(node.text)}", style="dim not bold")
    return text
