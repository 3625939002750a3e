"""All tables of a page: drawn ones first, then those that only their columns show."""

from __future__ import annotations

from collections.abc import Sequence

from sharedllm_docs.documents.readers.pdf.layout.boxes import Rule, Word
from sharedllm_docs.documents.readers.pdf.layout.lattice import lattice_table
from sharedllm_docs.documents.readers.pdf.layout.lines import lines_of
from sharedllm_docs.documents.readers.pdf.layout.rules import Lattice, joined, lattices
from sharedllm_docs.documents.readers.pdf.layout.table import Table
from sharedllm_docs.documents.readers.pdf.layout.textual import table_of, text_tables


def find_tables(words: Sequence[Word], rules: Sequence[Rule]) -> list[Table]:
    """The tables of a page.

    Args:
        words: of the page.
        rules: drawn lines of the page.
    """
    lines = joined(rules)
    found: list[Table] = []
    taken: set[Word] = set()
    for lattice in sorted(lattices(lines), key=lambda one: -one.box.width * one.box.height):
        inside = [word for word in words if word not in taken and lattice.box.holds(word.centre, word.middle, 1.0)]
        table = lattice_table(lattice, inside)
        if table is not None:
            table = _better(table, lattice, inside, lines)
            found.append(table)
            taken |= table.words
    free = lines_of([word for word in words if word not in taken])
    found += text_tables(free, lines)
    return found


def _better(table: Table, lattice: Lattice, words: Sequence[Word], rules: Sequence[Rule]) -> Table:
    """The table by its gaps where the rules show only some of its columns and hardly any of its rows."""
    lines = lines_of(words)
    bands = len({round(rule.place / 3) for rule in lattice.across}) - 1
    inner = {round(rule.place / 6) for rule in lattice.down}
    if bands > 0.4 * len(lines) or len(inner) >= 0.6 * (table.columns + 1):
        return table
    other = table_of(lines, rules)
    return other if other is not None and other.columns >= table.columns else table
