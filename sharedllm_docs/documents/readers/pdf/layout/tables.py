"""The regions of a page and their tables: ruled ones first, then those that only gaps between columns show."""

from __future__ import annotations

from collections.abc import Sequence

from sharedllm_docs.documents.readers.pdf.layout.boxes import Rule, Word
from sharedllm_docs.documents.readers.pdf.layout.columns import regions
from sharedllm_docs.documents.readers.pdf.layout.lattice import lattice_table
from sharedllm_docs.documents.readers.pdf.layout.lines import Line, lines_of
from sharedllm_docs.documents.readers.pdf.layout.rules import Lattice, joined, lattices
from sharedllm_docs.documents.readers.pdf.layout.table import Table
from sharedllm_docs.documents.readers.pdf.layout.textual import table_of, text_tables


def find_tables(words: Sequence[Word], rules: Sequence[Rule]) -> list[Table]:
    """The tables of a page, in reading order.

    Args:
        words: of the page.
        rules: drawn lines of the page.
    """
    return [table for _, tables in page_parts(words, rules) for table in tables]


def page_parts(words: Sequence[Word], rules: Sequence[Rule]) -> list[tuple[list[Line], list[Table]]]:
    """(lines outside of tables, tables) of each part of a page, in reading order.

    Ruled tables are found first, then columns of text, and in each of these the tables that only gaps show: text in
    columns is not a table.
    """
    lines = joined(rules)
    drawn = _drawn_tables(words, lines)
    held = {word for table in drawn for word in table.words}
    free = [word for word in words if word not in held]
    found = []
    for region in regions(free, drawn, lines):
        tables = text_tables(region.lines, lines, sure=region.has_neighbour)
        taken = {word for table in tables for word in table.words}
        rest = [line for line in region.lines if not taken.intersection(line.words)]
        found.append((rest, [*region.tables, *tables]))
    return found


def _drawn_tables(words: Sequence[Word], rules: Sequence[Rule]) -> list[Table]:
    found: list[Table] = []
    taken: set[Word] = set()
    for lattice in sorted(lattices(rules), key=lambda one: -one.box.width * one.box.height):
        inside = [word for word in words if word not in taken and lattice.box.holds(word.centre, word.middle, 1.0)]
        table = lattice_table(lattice, inside)
        if table is not None:
            table = _better(table, lattice, inside, rules)
            found.append(table)
            taken |= table.words
    return found


def _better(table: Table, lattice: Lattice, words: Sequence[Word], rules: Sequence[Rule]) -> Table:
    """The table found by its gaps, if drawn lines show only some of its columns and hardly any of its rows."""
    lines = lines_of(words)
    bands = len({round(rule.place / 3) for rule in lattice.across}) - 1
    inner = {round(rule.place / 6) for rule in lattice.down}
    if bands > 0.4 * len(lines) or len(inner) >= 0.6 * (table.columns + 1):
        return table
    other = table_of(lines, rules)
    return other if other is not None and other.columns >= table.columns else table
