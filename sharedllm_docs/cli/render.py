"""Results as rich objects: citations, tables of documents and models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from sharedllm_docs.answer import Citation
from sharedllm_docs.cli.screen import one_line
from sharedllm_docs.cli.units import size_text
from sharedllm_docs.cli.wording import place

if TYPE_CHECKING:
    from sharedllm_docs.views import DocumentInfo
    from sharedllm_docs.zoo import EmbeddedModel

KEY_LENGTH = 10


def citation_lines(citations: Sequence[Citation]) -> Table:
    """``[1] R-intro.pdf, page 7 (2.1 Vectors and assignment): "quote"``, a line each, hanging where it wraps."""
    lines = Table.grid(padding=(0, 1))
    lines.add_column(no_wrap=True, style="bold")
    lines.add_column(overflow="fold")
    for number, citation in enumerate(citations, start=1):
        quote = Text(f': "{one_line(citation.quote)}"', style="italic")
        lines.add_row(f"[{number}]", Text(place(citation), style="cyan").append_text(quote))
    return lines


def document_table(documents: Sequence[DocumentInfo]) -> Table:
    """The documents of an index, one a row."""
    table = _table("Document", "Key", "Pages", "Tokens", "Chunks", "Size", "Added", "Warnings", right=(2, 3, 4, 5, 7))
    table.columns[0].overflow = "fold"
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


def model_table(models: Sequence[tuple[EmbeddedModel, bool, Path]]) -> Table:
    """The embedded models, one a row."""
    table = _table("Model", "Kind", "Licence", "Download", "In the cache", "Folder", right=(3,))
    table.columns[5].overflow = "fold"
    for model, ready, folder in models:
        row = (model.name, model.kind, model.licence, f"{model.megabytes} MB", "yes" if ready else "no", str(folder))
        table.add_row(*row)
    return table


def _table(*titles: str, right: tuple[int, ...] = ()) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for position, title in enumerate(titles):
        table.add_column(title, justify="right" if position in right else "left")
    return table
