"""Score tables found in PDFs against ground truth in the form of the ICDAR 2013 table competition.

Usage: ``python -m benchmarks.table_structure FOLDER [--verbose]``, where FOLDER holds ``NAME.pdf`` beside
``NAME-str.xml`` (cells with row and column). The measure is the competition's: of every cell that is not empty, the
relations to its nearest neighbours to the right and below. A relation is found if the same two texts (letters, digits
and signs, without white space) stand in the same direction on the same page. Tables are found in the whole document:
a table that is missed costs recall, text taken for a table costs precision.
"""

from __future__ import annotations

import argparse
import re
import unicodedata
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sharedllm_docs.documents.readers.pdf.tables import PlacedTable, tables_of

_NOT_COMPARED = re.compile(r"[\s.\u2024\u2026_]+")
Relation = tuple[int, str, str, str]
"""Page, text of a cell, text of its neighbour, ``right`` or ``down``."""


@dataclass(frozen=True)
class Cell:
    """A cell of a table on the grid of its rows and columns, all borders included."""

    text: str
    first_row: int
    last_row: int
    first_column: int
    last_column: int


@dataclass(frozen=True)
class Score:
    """Relations found, wanted, and found that were wanted."""

    found: int
    wanted: int
    right: int

    @property
    def precision(self) -> float:
        return self.right / self.found if self.found else float(not self.wanted)

    @property
    def recall(self) -> float:
        return self.right / self.wanted if self.wanted else 1.0


def normalised(text: str) -> str:
    """What of a cell's text is compared: no white space, leaders or compatibility forms; one kind of dash."""
    folded = unicodedata.normalize("NFKC", text).replace("\u2212", "-").replace("\u2013", "-").replace("\u2014", "-")
    return _NOT_COMPARED.sub("", folded).casefold()


def relations(page: int, cells: Iterable[Cell]) -> Iterator[Relation]:
    """The relations of the cells of one table that hold text."""
    filled = [cell for cell in cells if normalised(cell.text)]
    for cell in filled:
        for direction in ("right", "down"):
            neighbours = _nearest(cell, filled, direction)
            for other in neighbours:
                yield page, normalised(cell.text), normalised(other.text), direction


def _nearest(cell: Cell, cells: list[Cell], direction: str) -> list[Cell]:
    """The nearest cells in a direction, one for each row or column that the cell covers."""
    found: dict[int, Cell] = {}
    if direction == "right":
        ahead = [one for one in cells if one.first_column > cell.last_column]
        for lane in range(cell.first_row, cell.last_row + 1):
            beside = [one for one in ahead if one.first_row <= lane <= one.last_row]
            if beside:
                found[lane] = min(beside, key=lambda one: one.first_column)
    else:
        ahead = [one for one in cells if one.first_row > cell.last_row]
        for lane in range(cell.first_column, cell.last_column + 1):
            beside = [one for one in ahead if one.first_column <= lane <= one.last_column]
            if beside:
                found[lane] = min(beside, key=lambda one: one.first_row)
    return list({id(one): one for one in found.values()}.values())


def wanted_relations(path: Path) -> Counter[Relation]:
    """The relations of a ground truth file ``NAME-str.xml``; a region is a table, or its part on one page."""
    found: Counter[Relation] = Counter()
    for region in ET.parse(path).getroot().iter("region"):
        cells = []
        for cell in region.iter("cell"):
            row, column = int(cell.get("start-row", 0)), int(cell.get("start-col", 0))
            last_row, last_column = int(cell.get("end-row", row)), int(cell.get("end-col", column))
            text = cell.findtext("content") or ""
            cells.append(Cell(text, row, max(row, last_row), column, max(column, last_column)))
        found.update(relations(int(region.get("page", 1)), cells))
    return found


def found_relations(tables: Iterable[tuple[int, PlacedTable]]) -> Counter[Relation]:
    """The relations of tables as (page, table)."""
    found: Counter[Relation] = Counter()
    for page, table in tables:
        cells = [Cell(c.text, c.row, c.last_row, c.column, c.last_column) for c in table.cells]
        found.update(relations(page, cells))
    return found


def score(found: Counter[Relation], wanted: Counter[Relation]) -> Score:
    """Compare two bags of relations."""
    return Score(sum(found.values()), sum(wanted.values()), sum((found & wanted).values()))


def main() -> None:
    """Print a line for each document, and the sums."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--verbose", action="store_true", help="list the relations that were missed or made up")
    options = parser.parse_args()
    truths = sorted(path for path in options.folder.glob("*-str.xml"))
    scores = []
    for path in truths:
        pdf = path.with_name(path.name.replace("-str.xml", ".pdf"))
        if not pdf.exists():
            print(f"{pdf.name}: no such file, left out")
            continue
        found, wanted = found_relations(tables_of(pdf)), wanted_relations(path)
        one = score(found, wanted)
        scores.append(one)
        print(f"{pdf.name:24} precision {one.precision:.3f}  recall {one.recall:.3f}  relations {one.wanted}")
        if options.verbose:
            for name, missing in (("missed", wanted - found), ("made up", found - wanted)):
                for relation, count in sorted(missing.items()):
                    print(f"    {name}: {relation} x{count}")
    if not scores:
        raise SystemExit(f"{options.folder} holds no NAME-str.xml beside its NAME.pdf.")
    total = Score(sum(s.found for s in scores), sum(s.wanted for s in scores), sum(s.right for s in scores))
    print(f"all relations            precision {total.precision:.3f}  recall {total.recall:.3f}")
    mean = [sum(getattr(s, name) for s in scores) / len(scores) for name in ("precision", "recall")]
    print(f"mean of {len(scores)} documents     precision {mean[0]:.3f}  recall {mean[1]:.3f}")


if __name__ == "__main__":
    main()
