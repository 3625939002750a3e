"""Tables side by side and tables that go on in the next column of a page: each row with its own heads and title."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sharedllm_docs.documents.readers import read_document

from .documents import drawn_pdf
from .layouts import column, in_turn, left, right, rule, sentences, woven

TOWNS = ("Oln", "Brel", "Solan", "Haven", "Marn", "Tessel")
BOATS = ("Heron", "Tern", "Gull", "Auk", "Skua", "Petrel")


def text_of(content: str) -> str:
    return read_document(drawn_pdf([content]), name="a.pdf").text


def table(
    x: float,
    top: float,
    heads: Sequence[str],
    labels: Sequence[str],
    first: int,
    *,
    pitch: float = 13,
    step: float = 62,
    title: str = "",
) -> list[str]:
    """The lines of a table of labels and figures, each figure different."""
    lines = [left(title, x, top + 18)] if title else []
    if heads:
        lines.append(
            left(heads[0], x, top)
            + "".join(right(head, x + 60 + step * (n + 1), top) for n, head in enumerate(heads[1:]))
        )
    count = max(1, len(heads) - 1) if heads else 2
    for row, label in enumerate(labels):
        y = top - pitch * (row + bool(heads))
        figures = (right(str(first + 10 * row + n), x + 60 + step * (n + 1), y) for n in range(count))
        lines.append(left(label, x, y) + "".join(figures))
    return lines


def rows(heads: Sequence[str], labels: Sequence[str], first: int) -> list[str]:
    """The rows of such a table as they are to be read."""
    return [
        " | ".join([label, *(f"{head}: {first + 10 * row + n}" for n, head in enumerate(heads[1:]))])
        for row, label in enumerate(labels)
    ]


@pytest.mark.parametrize("draw", [woven, in_turn])
@pytest.mark.parametrize("count", [2, 3])
def test_tables_whose_heads_are_said_again_stand_apart(draw, count: int) -> None:
    heads = ("Town", "Fare", "Time")[: 5 - count]
    step = 90 if count == 2 else 60
    places = [(50 + n * 500 / count, 100 * (n + 1)) for n in range(count)]
    tables = [
        table(x, 700, heads, TOWNS[2 * n : 2 * n + 3] or TOWNS[:3], first, step=step / len(heads[1:]))
        for n, (x, first) in enumerate(places)
    ]
    content = left("Fares of the harbour office", 50, 730) + draw(*tables)
    text = text_of(content)
    for n, (_, first) in enumerate(places):
        for row in rows(heads, TOWNS[2 * n : 2 * n + 3] or TOWNS[:3], first):
            assert row in text.split("\n"), (row, text)


@pytest.mark.parametrize("last", [1, 2, 5])
def test_a_table_set_in_three_columns_may_end_early(last: int) -> None:
    heads = ("Town", "Fare")
    labels = [f"Harbour {letter}" for letter in "ABCDEFGHIJKLMNO"]
    tables = [
        table(50 + 170 * n, 700, heads, labels[5 * n : 5 * n + (last if n == 2 else 5)], 100 + 50 * n) for n in range(3)
    ]
    lines = text_of(left("Fares in EUR", 50, 730) + woven(*tables)).split("\n")
    found = [line for line in lines if "Fare: " in line]
    assert found == rows(heads, labels[: 10 + last], 100)


@pytest.mark.parametrize("draw", [woven, in_turn])
def test_tables_with_captions_of_their_own_stand_apart(draw) -> None:
    fares, boats = ("Town", "Fare", "Time"), ("Boat", "Crew", "Built")
    content = draw(
        table(50, 700, fares, TOWNS, 100, title="Table 1. Fares in EUR"),
        table(310, 700, boats, BOATS, 500, title="Table 2. Boats of the port"),
    )
    lines = text_of(content).split("\n")
    for row in (*rows(fares, TOWNS, 100), *rows(boats, BOATS, 500)):
        assert row in lines
    assert lines.index("Table 1. Fares in EUR") < lines.index("Oln | Fare: 100 | Time: 101")
    assert lines.index("Tessel | Fare: 150 | Time: 151") < lines.index("Table 2. Boats of the port")


def test_titles_that_stand_off_are_those_of_the_tables_below_them() -> None:
    heads = ("Town", "Fare", "Time")
    content = left("Summer", 50, 738) + left("Winter", 310, 738)
    content += woven(table(50, 706, heads, TOWNS, 100), table(310, 706, heads, TOWNS, 500))
    document = read_document(drawn_pdf([content]), name="a.pdf")
    lines = document.text.split("\n")
    starts = [n for n, line in enumerate(lines) if line == "Town | Fare | Time"]
    assert [lines[n - 1] for n in starts] == ["Summer", "Winter"]


def test_tables_whose_rows_stand_at_other_heights_stand_apart() -> None:
    fares, boats = ("Town", "Fare", "Time"), ("Boat", "Crew", "Built")
    content = woven(table(50, 700, fares, TOWNS, 100), table(310, 694, boats, BOATS, 500, pitch=15))
    lines = text_of(content).split("\n")
    for row in (*rows(fares, TOWNS, 100), *rows(boats, BOATS, 500)):
        assert row in lines


def test_tables_of_the_same_rows_stand_apart() -> None:
    fares, crews = ("Boat", "Fare", "Time"), ("Ship", "Crew", "Built")
    content = woven(table(50, 700, fares, BOATS, 100), table(310, 700, crews, BOATS, 500))
    lines = text_of(content).split("\n")
    for row in (*rows(fares, BOATS, 100), *rows(crews, BOATS, 500)):
        assert row in lines


def test_the_two_halves_of_a_balance_sheet_stand_apart() -> None:
    assets, debts = ("Assets", "2025", "2024"), ("Liabilities", "2025", "2024")
    content = woven(table(50, 700, assets, TOWNS, 100), table(310, 700, debts, BOATS[:4], 500))
    lines = text_of(content).split("\n")
    for row in (*rows(assets, TOWNS, 100), *rows(debts, BOATS[:4], 500)):
        assert row in lines


def test_tables_of_words_whose_heads_are_said_again_stand_apart() -> None:
    masters = ("Ann Berg", "Bo Lind", "Cy Holm", "Di Falk", "Ed Nore", "Flo Aas", "Gus Ek", "Hal Ost")
    boats = (*BOATS, "Knot", "Ruff")
    content = ""
    for x, first in ((50, 0), (310, 4)):
        content += left("Boat", x, 700) + left("Master", x + 110, 700)
        for n in range(first, first + 4):
            content += left(boats[n], x, 687 - 13 * (n - first)) + left(masters[n], x + 110, 687 - 13 * (n - first))
    lines = text_of(content).split("\n")
    order = [next(n for n, line in enumerate(lines) if boat in line) for boat in boats]
    assert order == sorted(order)
    assert all(master in lines[place] for master, place in zip(masters, order, strict=True))


def test_a_note_under_the_left_table_stands_below_both() -> None:
    fares, boats = ("Town", "Fare", "Time"), ("Town", "Crew", "Built")
    content = woven(table(50, 700, fares, TOWNS, 100), table(310, 700, boats, TOWNS, 500))
    lines = text_of(content + left("Source: harbour office", 50, 700 - 13 * 7 - 4)).split("\n")
    assert lines[-1] == "Source: harbour office"
    for row in (*rows(fares, TOWNS, 100), *rows(boats, TOWNS, 500)):
        assert row in lines


def test_a_table_far_from_its_neighbour_stands_apart() -> None:
    fares, boats = ("Town", "Fare", "Time"), ("Boat", "Crew", "Built")
    content = woven(table(40, 700, fares, TOWNS, 100, step=40), table(390, 700, boats, BOATS, 500, step=40))
    lines = text_of(content).split("\n")
    for row in (*rows(fares, TOWNS, 100), *rows(boats, BOATS, 500)):
        assert row in lines


@pytest.mark.parametrize("draw", [woven, in_turn])
def test_a_table_that_goes_on_beside_its_beginning_keeps_its_heads(draw) -> None:
    heads = ("Town", "Fare", "Time")
    labels = (*TOWNS, *BOATS)
    content = left("Table 4. Fares and times", 50, 730)
    content += draw(table(50, 700, heads, labels[:6], 100), table(310, 700, (), labels[6:], 160))
    lines = text_of(content).split("\n")
    for row in rows(heads, labels, 100):
        assert row in lines
    assert lines[0] == "Table 4. Fares and times"


def test_a_table_that_goes_on_in_the_next_column_of_text_keeps_heads_and_title() -> None:
    heads, labels = ("Town", "Fare"), (*TOWNS, *BOATS)
    start = 760 - 12 * 20 - 40
    below = table(50, start, heads, labels[:6], 100, step=80, title="Table 4. Fares in EUR")
    above = [
        left(label, 310, 760 - 13 * n) + right(str(100 + 10 * (6 + n)), 310 + 140, 760 - 13 * n)
        for n, label in enumerate(labels[6:])
    ]
    content = in_turn(
        [*column(sentences("aa", 20), 50, 760), *below], [*above, *column(sentences("bb", 20), 310, 760 - 13 * 6 - 30)]
    )
    lines = text_of(content).split("\n")
    for row in rows(heads, labels, 100):
        assert row in lines
    assert lines.index("Tessel | Fare: 150") < lines.index("Heron | Fare: 160") < lines.index(sentences("bb", 20)[0])


def test_a_new_table_in_the_next_column_takes_no_heads() -> None:
    fares, boats = ("Town", "Fare"), ("Boat", "Crew")
    start = 760 - 12 * 20 - 40
    below = table(50, start, fares, TOWNS, 100, step=80)
    above = table(310, 760, boats, BOATS, 500, step=80)
    content = in_turn(
        [*column(sentences("aa", 20), 50, 760), *below], [*above, *column(sentences("bb", 20), 310, 760 - 13 * 7 - 30)]
    )
    lines = text_of(content).split("\n")
    for row in (*rows(fares, TOWNS, 100), *rows(boats, BOATS, 500)):
        assert row in lines


def test_one_table_with_words_in_the_middle_stays_one() -> None:
    names = ("Ann Berg", "Bo Lind", "Cy Holm", "Di Falk", "Ed Nore", "Flo Aas")
    heads = [("Town", 50, left), ("Fare", 170, right), ("Clerk", 230, left), ("Room", 400, right)]
    lines = ["".join(put(head, x, 700) for head, x, put in heads)]
    for n, (town, name) in enumerate(zip(TOWNS, names, strict=True)):
        y = 687 - 13 * n
        cells = left(town, 50, y) + right(str(100 + n), 170, y) + left(name, 230, y) + right(str(30 + n), 400, y)
        lines.append(cells)
    text = text_of("".join(lines))
    assert "Brel | Fare: 101 | Clerk: Bo Lind | Room: 31" in text.split("\n")


@pytest.mark.parametrize("columns", [4, 6, 8])
def test_many_columns_of_figures_are_one_table(columns: int) -> None:
    heads = ("Town", *(f"{month} 25" for month in ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug")[:columns]))
    lines = text_of(woven(table(40, 700, heads, TOWNS, 100, step=56))).split("\n")
    assert sum(line.startswith("Brel | Jan 25: 110 | Feb 25: 111 | Mar 25: 112") for line in lines) == 1


def test_years_under_two_heads_are_one_table() -> None:
    content = rule(50, 720, 540, 720) + left("Revenue", 240, 706) + left("Costs", 430, 706)
    for n, head in enumerate(("2024", "2025", "2024", "2025")):
        content += right(head, 240 + 90 * n, 692)
    for row, town in enumerate(TOWNS):
        y = 676 - 13 * row
        content += left(town, 50, y) + "".join(right(str(100 + 10 * row + n), 240 + 90 * n, y) for n in range(4))
    line = next(one for one in text_of(content).split("\n") if one.startswith("Oln"))
    assert [one.rpartition(" ")[2] for one in line.split(" | ")] == ["Oln", "100", "101", "102", "103"]
