"""Tables of web pages: every value with its heads and its row's label; tables that arrange a page stay text."""

from __future__ import annotations

import pytest

from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.readers import read_document


def read(markup: str) -> Document:
    return read_document(f"<!doctype html><title>T</title>{markup}".encode(), name="t.html")


def lines(markup: str) -> list[str]:
    return read(markup).text.split("\n")


def test_values_stand_behind_spanning_heads_and_quotes_are_as_printed() -> None:
    document = read(
        "<table><caption>Tolls (EUR)</caption><thead><tr><th rowspan=2>Class<th colspan=2>Toll<tr><th>2024<th>2025"
        "<tbody><tr><th scope=row>Cars<td>12<td>14<tr><th scope=row>Lorries<td>30<td>(33)</table>"
    )
    assert document.text.split("\n") == [
        "Tolls (EUR)",
        "Class | Toll 2024 | Toll 2025",
        "Cars | Toll 2024: 12 | Toll 2025: 14",
        "Lorries | Toll 2024: 30 | Toll 2025: (33)",
    ]
    assert document.printed(0, len(document.text)).endswith("Cars | 12 | 14\nLorries | 30 | (33)")


def test_cells_that_span_rows_hold_for_each() -> None:
    found = lines(
        "<table><tr><th><th>Mon<th>Tue<tr><td rowspan=2>Ferry<td>8:00<td>9:00<tr><td>18:00<td>19:00"
        "<tr><td>Bus<td colspan=2>hourly</table>"
    )
    assert found[1:] == [
        "Ferry | Mon: 8:00 | Tue: 9:00",
        "Ferry | Mon: 18:00 | Tue: 19:00",
        "Bus | Mon: hourly | Tue: hourly",
    ]


def test_heads_without_marks_and_signs_in_cells_of_their_own() -> None:
    found = lines(
        "<table><tr><td><td colspan=2><b>2025</b><td><td colspan=2><b>2024</b>"
        "<tr><td>Net sales<td>$<td>24,700<td><td>$<td>21,300<tr><td>Loss<td><td>(1,204<td>)<td><td>310</table>"
    )
    assert found[1:] == ["Net sales | 2025: $24,700 | 2024: $21,300", "Loss | 2025: (1,204) | 2024: 310"]


def test_a_long_table_repeats_its_caption() -> None:
    rows = "".join(f"<tr><td>Town {n}<td>{n}<td>{n * n}" for n in range(40))
    document = read(f"<h2>Fares</h2><table><caption>Ferry fares<tr><th>Town<th>Fare<th>Day{rows}</table>")
    place = document.text.index("Town 30")
    assert document.table_title(place) == "Ferry fares"
    assert document.section_path(place) == ("Fares",)


@pytest.mark.parametrize(
    ("markup", "shown"),
    [
        ("<table><tr><th>Tel.<td>0421 55<tr><th>Open<td>9-5</table>", ["Tel. | 0421 55", "Open | 9-5"]),
        ("<table><tr><td>Captain<td>Ann<tr><td>Mate<td>Bo</table>", ["Captain | Ann", "Mate | Bo"]),
        ("<table><tr><td>Left of the page<td>Right of it</table>", ["Left of the page | Right of it"]),
        ("<table role=presentation><tr><td>A<td>B<tr><td>1<td>2</table>", ["A | B", "1 | 2"]),
    ],
)
def test_tables_without_heads_get_none(markup: str, shown: list[str]) -> None:
    assert lines(markup) == shown


def test_tables_inside_a_table_that_arranges_the_page() -> None:
    text = read("<table><tr><td><table><tr><th>Item<th>Price<tr><td>Rope<td>12.50</table><td>Side text</table>").text
    assert "Item | Price" in text
    assert "Side text" in text


def test_hidden_rows_and_cells_are_left_out() -> None:
    text = read(
        "<table><tr><th>Item<th>Price<tr><td>Rope<td>12<tr hidden><td>Chain<td>30"
        '<tr><td>Buoy<td style="display:none">99</td><td>7</table>'
    ).text
    assert "Chain" not in text
    assert "99" not in text
    assert "Buoy | Price: 7" in text


def test_lists_and_line_breaks_in_cells_stay_in_their_row() -> None:
    found = lines(
        "<table><tr><th>Boat<th>Kind<tr><td>Heron<td><ul><li>red<li>fast</ul><tr><td>Tern<td>blue<br>slow</table>"
    )
    assert found[1:] == ["Heron | Kind: - red - fast", "Tern | Kind: blue slow"]


def test_numbers_of_formulas_do_not_melt() -> None:
    text = read(
        "<p>Add <math><mn>1</mn><mfrac><mn>1</mn><mn>2</mn></mfrac></math> cups"
        "<p><math><mfrac><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mn>2</mn></mfrac></math>"
        "<p><math><msubsup><mn>2</mn><mn>1</mn><mn>3</mn></msubsup></math>"
    ).text
    assert text == "Add 1 1/2 cups\n\n(a+b)/2\n\n2₁³"


def test_what_is_typed_and_chosen_is_read_and_what_is_not_shown_is_not() -> None:
    text = read(
        "<p>Name <input value='Grey Heron'> <input type=hidden value=secret> <input type=password value=secret>"
        "<p>Dock <select><option>East<option selected>West</select><p><textarea>Shore power.</textarea>"
        "<p><ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp></ruby> said <q>yes</q>"
    ).text
    assert text == "Name Grey Heron\n\nDock West\n\nShore power.\n\n漢 (kan) said “yes”"
