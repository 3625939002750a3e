"""Results as rich objects: citations and lists of documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sharedllm_docs.cli.screen import one_line
from sharedllm_docs.cli.units import count_text, size_text
from sharedllm_docs.cli.wording import place
from sharedllm_docs.retrieval.answer import Citation

if TYPE_CHECKING:
    from sharedllm_docs.index.views import DocumentInfo

KEY_LENGTH = 10
TABLE_WIDTH = 80
_COLUMNS = ("Key", "Pages", "Tokens", "Chunks", "Size", "Added", "Warnings")


def citation_lines(citations: Sequence[Citation]) -> Table:
    """``[1] R-intro.pdf, page 7 (2.1 Vectors and assignment): "quote"``, a line each, hanging where it wraps."""
    lines = Table.grid(padding=(0, 1))
    lines.add_column(no_wrap=True, style="bold")
    lines.add_column(overflow="fold")
    for number, citation in enumerate(citations, start=1):
        quote = Text(f': "{one_line(citation.quote)}"', style="italic")
        lines.add_row(f"[{number}]", Text(place(citation), style="cyan").append_text(quote))
    return lines


def document_list(documents: Sequence[DocumentInfo], width: int) -> RenderableType:
    """The documents of an index: a table, or on a screen too narrow for one a few lines each."""
    if width >= TABLE_WIDTH:
        return _document_table(documents)
    return Group(*(Text(line) for info in documents for line in _document_lines(info)))


def _document_lines(info: DocumentInfo) -> tuple[str, str]:
    held = (count_text(info.pages, "page"), count_text(info.tokens, "token"), size_text(info.bytes))
    return one_line(info.name), f"  {info.key[:KEY_LENGTH]}: {', '.join(held)}"


def _document_table(documents: Sequence[DocumentInfo]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("Document", overflow="fold")
    for title in _COLUMNS:
        table.add_column(title, justify="left" if title in ("Key", "Added") else "right", no_wrap=True)
    for info in documents:
        table.add_row(
            one_line(info.name),
            info.key[:KEY_LENGTH],
            f"{info.pages:,}",
            f"{info.tokens:,}",
            f"{info.chunks:,}",
            size_text(info.bytes),
            str(info.created)[:10],
            str(len(info.issues) or ""),
        )
    return table
