"""A document's tree drawn in the terminal: a line a chunk, the selected chunks opened down to their branches."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.text import Text
from rich.tree import Tree

from sharedllm_docs.cli.screen import one_line
from sharedllm_docs.cli.units import count_text, pages_text, size_text

if TYPE_CHECKING:
    from sharedllm_docs.index.views import ChunkView, DocumentInfo, NodeView, TreeView

# what stands before a node; "split": not injected itself, something below it is
_STYLES = {"taken": "bold green", "coarse": "yellow", "split": "", "left": "dim"}
_INJECTED = ("taken", "coarse")
_WORD = max(map(len, _STYLES))


def document_lines(info: DocumentInfo) -> Iterator[str]:
    """What is known of a document, line by line."""
    yield f"{info.name}" + (f" - {info.title}" if info.title and info.title != info.name else "")
    yield f"key {info.key}"
    held = (count_text(info.pages, "page"), count_text(info.tokens, "token"), count_text(info.chunks, "chunk"))
    yield ", ".join((*held, size_text(info.bytes)))
    yield f"read as {info.reader}, added {info.created}"
    for issue in info.issues:
        where = f" (page {issue.page})" if issue.page is not None else ""
        yield f"warning: {issue.code}{where}: {issue.message}"


def summary_line(view: TreeView) -> str:
    """What the question took, in one line."""
    chunks = [chunk for chunk in view.chunks if chunk.selected]
    nodes = [node for chunk in chunks for node in chunk.nodes if node.state in _INJECTED]
    rows = sum(node.rows for node in nodes)
    pages = ", ".join(dict.fromkeys(pages_text(chunk.start_page, chunk.end_page) for chunk in chunks))
    return (
        f"{len(chunks)} of {count_text(len(view.chunks), 'chunk')} selected, "
        f"{count_text(len(nodes), 'node')} injected ({count_text(rows, 'row')})" + (f": {pages}." if pages else ".")
    )


def draw(view: TreeView, *, opened: Collection[int] = ()) -> Tree:
    """The tree: selected chunks and those whose index is in ``opened`` show their nodes, the others are one line."""
    tree = Tree(_label(Text(one_line(view.question or view.document.name), style="bold")), guide_style="dim")
    widths = _widths(view.chunks)
    for chunk in view.chunks:
        branch = tree.add(_label(_chunk_text(chunk, widths)))
        if chunk.selected or chunk.index in opened:
            # without a question nothing is left behind: all of the chunk is shown
            _add_nodes(branch, chunk.nodes, everything=view.question is None or not chunk.selected)
    return tree


def _label(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _widths(chunks: Sequence[ChunkView]) -> tuple[int, int, int]:
    """Columns taken by the chunk's index, its pages and its tokens."""
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
        f"{one_line(chunk.section)}"
    )
    return Text(line.rstrip(), style="bold" if chunk.selected else "")


def _add_nodes(branch: Tree, nodes: Sequence[NodeView], *, everything: bool) -> None:
    """Nodes under their parents; below a node of which nothing was injected nothing is shown."""
    places: dict[tuple[int, int], Tree] = {}
    for node in sorted(nodes, key=lambda node: (node.level, node.index)):
        parent = _parent(places, node)
        above = places[parent] if parent else branch
        if not everything and parent and not _leads_to_rows(nodes, parent):
            continue
        split = node.state == "left" and _leads_to_rows(nodes, (node.level, node.index))
        places[node.level, node.index] = above.add(_label(_node_text(node, "split" if split else node.state)))


def _parent(places: dict[tuple[int, int], Tree], node: NodeView) -> tuple[int, int] | None:
    """The nearest node above that is drawn; levels that hold no rows may be missing."""
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
