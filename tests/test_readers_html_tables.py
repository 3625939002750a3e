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


def statement(heading: str, label: str) -> str:
    """A table as quarterly reports have it: no marked heads, dollar signs and brackets in cells of their own."""

    def row(look: str, name: str, *cells: str) -> str:
        return f"<tr><td {look}>{name}</td>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"

    spans = "<td colspan=4><b>Three Months Ended</b></td><td colspan=4><b>Nine Months Ended</b></td>"
    years = "".join(f"<td colspan=2>{year}</td>" for year in (2024, 2023, 2024, 2023))
    rows = [
        row(heading, "Revenue:"),
        row(label, "Fares", "3", "$", "41,208", "$", "38,114", "$", "120,877", "$", "99"),
        row(label, "Freight", "", "", "(12,090", ")", "7", "", "36", "", "9"),
        row(heading, "Operating expenses:"),
        row(label, "Fuel", "", "", "18,004", "", "17,220", "", "55,098", "", "50"),
        row(heading, "Income before taxes", "", "", "14,877", "", "13,293", "", "41", "", "40"),
    ]
    heads = f"<tr><td></td><td></td>{spans}</tr><tr><td></td><td>Notes</td>{years}</tr>"
    return f"<p><b>STATEMENTS OF INCOME</b><br>(In thousands)</p><table>{heads}{''.join(rows)}</table>"


@pytest.mark.parametrize(
    ("heading", "label"),
    [
        ('style="padding-left:0pt"', 'style="padding-left:12pt"'),
        ("class=h", "class=indented"),
        ("", 'style="text-indent:1em"'),
    ],
)
def test_statements_bring_heads_headings_title_and_unit(heading: str, label: str) -> None:
    text = read(statement(heading, label)).text
    assert "STATEMENTS OF INCOME (In thousands)\nNotes | Three Months Ended 2024 | Three Months Ended 2023" in text
    assert "Revenue: Fares | Notes: 3 | Three Months Ended 2024: $41,208 | Three Months Ended 2023: $38,114" in text
    assert "Revenue: Freight | Three Months Ended 2024: (12,090)" in text
    assert "Operating expenses: Fuel | Three Months Ended 2024: 18,004" in text
    assert "\nIncome before taxes | Three Months Ended 2024: 14,877" in text  # no expense


def test_days_words_and_signs_head_columns() -> None:
    days = "<tr><td>TEUR<td>30.09.2024<td>31.12.2023<tr><td>Stocks<td>88,0<td>90,1<tr><td>Cash<td>2,0<td>1,9"
    assert "Cash | 30.09.2024: 2,0 | 31.12.2023: 1,9" in read(f"<table>{days}</table>").text
    signs = (
        "<table><tr><td><td>2024<td>Change<td>%<tr><td>Ships<td>36<td>1<td>2.9<tr><td>Staff<td>9<td>2<td>3.1</table>"
    )
    assert "Staff | 2024: 9 | Change: 2 | %: 3.1" in read(signs).text
    ranges = "<tr><td>Metric<td>Q4<td>Year<tr><td>Margin<td>20% to 22%<td>about 21%<tr><td>Cost<td>$4 million<td>5"
    assert "Margin | Q4: 20% to 22% | Year: about 21%" in read(f"<table>{ranges}</table>").text


def test_records_with_days_have_no_heads() -> None:
    rows = "<table><tr><td>A<td>2024-01-05<td>45<tr><td>B<td>2024-01-06<td>12<tr><td>C<td>2024-01-07<td>3</table>"
    assert "B | 2024-01-06 | 12" in read(rows).text


def test_labels_and_values_by_turns_head_no_columns() -> None:
    rows = (
        "<tr><td>Name<td>Ann<td>Born<td>4 May 1980<tr><td>Kind<td>Full<td>Fee<td>120<tr><td>Pier<td>North<td>Bay<td>Oln"
    )
    assert "Kind | Full | Fee | 120" in read(f"<table>{rows}</table>").text
    signs = "<tr><td>Day<td>Text<td>EUR<tr><td>2 May<td>Rent<td>950,00-<tr><td>3 May<td>Pay<td>2.450,17+"
    assert "2 May | Text: Rent | EUR: 950,00-" in read(f"<table>{signs}</table>").text
