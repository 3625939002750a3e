"""Tables of PDF pages: found with and without drawn lines, written row by row with their heads, quoted as printed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sharedllm_docs.documents.document import Document, Page
from sharedllm_docs.documents.readers import ReadOptions, read_document
from sharedllm_docs.documents.readers.pdf.tables import tables_of
from sharedllm_docs.documents.readers.pdf.text import page as page_text
from sharedllm_docs.documents.sentences import quotable_spans
from sharedllm_docs.retrieval.answer import best_quote

from .documents import drawn_pdf
from .layouts import centred, grid, income_statement, left, right, rule, width

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import itertools

import table_structure


def read(content: str, **options: object) -> Document:
    return read_document(drawn_pdf([content]), name="table.pdf", options=ReadOptions(**options))  # type: ignore[arg-type]


def row_with(text: str, *parts: str) -> str:
    """The one line that holds all parts."""
    found = [line for line in text.split("\n") if all(part in line for part in parts)]
    assert len(found) == 1, f"{parts} in {found}"
    return found[0]


def matrix(rows: int, columns: int, *, top: float = 760, heads: str = "Region") -> str:
    """A table without rules: heads, and figures that name their row and column."""
    content = "".join(right(f"20{10 + column}", 170 + 60 * column, top) for column in range(columns))
    for row in range(rows):
        y = top - 14 - 12 * row
        content += left(f"{heads} {chr(65 + row // 26)}{chr(65 + row % 26)}", 60, y)
        content += "".join(right(f"{row + 1}.{column:02}", 170 + 60 * column, y) for column in range(columns))
    return content


# -- financial statements


def test_a_statement_without_rules_keeps_each_figure_with_its_heads_and_its_label() -> None:
    text = read(income_statement()).text
    assert "Products | Three Months Ended 2025: $ 61,564 | Three Months Ended 2024: $ 58,313" in text
    assert "Total net sales | Three Months Ended 2025: 85,431" in text
    assert "Six Months Ended 2024: 167,417" in text
    assert "Earnings per share | Three Months Ended 2025: $ 1.40" in text


def _rows(top: float, places: list[float], rows: list[list[str]]) -> str:
    """Rows of labels and figures that end at ``places``, without rules."""
    lines = []
    for number, (label, *figures) in enumerate(rows):
        y = top - 13 * number
        lines.append((left(label, 60, y) if label else "") + "".join(map(right, figures, places, [y] * len(figures))))
    return "".join(lines)


def test_days_head_columns_as_years_do() -> None:
    rows = [
        ["Fixed assets", "5", "12.345,6", "11.998,0"],
        ["Stocks", "6", "88,0", "-"],
        ["Cash", "7", "2.010,4", "1.877,9"],
    ]
    for days in (["30.09.2024", "31.12.2023"], ["9/30/2024", "12/31/2023"], ["2024-09-30", "2023-12-31"]):
        text = read(_rows(700, [260, 380, 480], [["", "Notes", *days], *rows])).text
        assert f"Fixed assets | Notes: 5 | {days[0]}: 12.345,6 | {days[1]}: 11.998,0" in text
        assert f"Cash | Notes: 7 | {days[0]}: 2.010,4" in text


def test_years_beside_words_are_heads() -> None:
    rows = [
        ["", "2024", "2023", "Change", "%"],
        ["Vessels", "36", "35", "1", "2.9"],
        ["Staff", "1,204", "1,187", "17", "1.4"],
    ]
    text = read(_rows(700, [260, 330, 400, 470], [*rows, ["Berths", "12", "13", "-1", "-7.7"]])).text
    assert "Vessels | 2024: 36 | 2023: 35 | Change: 1 | %: 2.9" in text
    assert "Berths | 2024: 12 | 2023: 13 | Change: -1 | %: -7.7" in text


def test_columns_no_further_apart_than_words_are_columns() -> None:
    rows = [["Ships", "812", "790", "1,204", "1,187"], ["Revenue", "88.1", "85.0", "69.2", "65.9"]]
    rows += [["Costs", "(0.4)", "-", "nil", "n/a"], ["Share of all", "22.4%", "n.m.", "17.6%", "17.9%"]]
    content = right("North Sea", 248 + width("North Sea") / 2, 713) + right("Baltic", 316, 713)
    content += _rows(700, [245, 273, 301, 329], [["Year ended 31 December", "2024", "2023", "2024", "2023"], *rows])
    text = read(content).text
    assert "Ships | North Sea 2024: 812 | North Sea 2023: 790 | Baltic 2024: 1,204 | Baltic 2023: 1,187" in text
    assert "Costs | North Sea 2024: (0.4) | North Sea 2023: - | Baltic 2024: nil | Baltic 2023: n/a" in text
    assert "Share of all | North Sea 2024: 22.4% | North Sea 2023: n.m. | Baltic 2024: 17.6%" in text


def test_a_space_inside_numbers_parts_no_columns() -> None:
    rows = [
        ["", "2024", "2023"],
        ["Ships", "1 204", "1 187"],
        ["Staff", "12 812", "11 790"],
        ["Berths", "3 100", "3 000"],
    ]
    assert "Staff | 2024: 12 812 | 2023: 11 790" in read(_rows(700, [260, 400], rows)).text


@pytest.mark.parametrize("place", ["middle", "right"])
def test_heads_share_out_the_periods_below_them(place: str) -> None:
    periods = ["Jun-24", "Mar-24", "Jun-23", "Mar-24", "Mar-23"]
    places = [240.0, 310.0, 380.0, 450.0, 520.0]
    spans = [("Quarter ended", 170, 380), ("Year ended", 380, 520)]
    head = [
        right(text, end, 713) if place == "right" else right(text, (begin + end + width(text)) / 2, 713)
        for text, begin, end in spans
    ]
    rows = [
        ["Income", "4,512.3", "4,398.0", "4,021.7", "16,900.2", "15,221.9"],
        ["Loss", "(12.5)", "33.1", "1.1-", "88.4", "-"],
    ]
    text = read(
        "".join(head) + _rows(700, places, [["", *periods], *rows, ["Share", "3.4", "3.2", "2.9", "12.8", "11.4"]])
    ).text
    assert (
        "Income | Quarter ended Jun-24: 4,512.3 | Quarter ended Mar-24: 4,398.0 | Quarter ended Jun-23: 4,021.7" in text
    )
    assert "Quarter ended Jun-23: 1.1- | " in text
    assert "Year ended Mar-24: 88.4" in text
    assert "Year ended Mar-23: 11.4" in text


def test_heads_centred_over_cells_whose_figures_end_at_the_right() -> None:
    heads = [("Low", 215), ("High season", 315), ("All year", 415)]
    content = left("Route", 60, 713) + "".join(right(text, x + width(text) / 2, 713) for text, x in heads)
    rows = [["Oln", "11.0", "14.5", "12.1"], ["Vik", "9.0", "12.0", "10.2"], ["Moss", "7.5", "8.0", "7.7"]]
    text = read(content + _rows(700, [262, 362, 462], rows)).text
    assert "Oln | Low: 11.0 | High season: 14.5 | All year: 12.1" in text


def test_the_sum_of_a_table_stands_under_none_of_its_headings() -> None:
    rows = [["", "2024", "2023"], ["Fixed"], ["Ships", "12", "11"], ["Total fixed", "12", "11"], ["Current"]]
    text = read(_rows(700, [260, 400], [*rows, ["Stocks", "8", "9"], ["Cash", "2", "1"], ["Total", "22", "21"]])).text
    assert "Fixed: Ships | 2024: 12 | 2023: 11\nFixed: Total fixed | 2024: 12" in text
    assert "Current: Cash | 2024: 2 | 2023: 1\nTotal | 2024: 22 | 2023: 21" in text


def test_a_label_over_two_lines_is_one_and_a_negative_keeps_its_brackets() -> None:
    line = row_with(read(income_statement()).text, "Loss on investments", "2025: (1,204)")
    assert line.startswith("Loss on investments, net of hedging and of foreign exchange | ")
    assert "Three Months Ended 2024: 310" in line


def test_a_heading_names_the_rows_under_it_and_no_others() -> None:
    text = read(income_statement()).text
    assert "Net sales: Products | " in text
    assert "Net sales: Services (1) | " in text
    assert "Net sales: Loss" not in text
    assert "Net sales: Earnings" not in text


def test_the_title_with_the_unit_is_said_again_in_a_long_table() -> None:
    head = left("Table 7. Catch by region (in tonnes)", 60, 780)
    text = read(head + matrix(40, 5, top=760)).text
    lines = text.split("\n")
    titles = [number for number, line in enumerate(lines) if line == "Table 7. Catch by region (in tonnes)"]
    assert len(titles) > 5
    assert all(sum(map(len, lines[a:b])) < 600 for a, b in itertools.pairwise(titles))


def test_a_wide_row_goes_on_with_its_label() -> None:
    content = "".join(right(f"Weight 20{10 + n}", 160 + 66 * n, 760) for n in range(7))
    for row in range(6):
        content += left(f"Region {row}", 40, 746 - 12 * row)
        content += "".join(right(f"{row}{n}.55", 160 + 66 * n, 746 - 12 * row) for n in range(7))
    rows = [line for line in read(content).text.split("\n") if line.startswith("Region 4 | ")]
    assert len(rows) > 1
    for n in range(7):
        assert sum(f"Weight 20{10 + n}: 4{n}.55" in row for row in rows) == 1


def test_every_figure_of_a_table_stands_behind_its_own_head() -> None:
    text = read(matrix(30, 6)).text
    for row in range(30):
        lines = " ".join(
            line for line in text.split("\n") if line.startswith(f"Region {chr(65 + row // 26)}{chr(65 + row % 26)} |")
        )
        for column in range(6):
            assert f"20{10 + column}: {row + 1}.{column:02}" in lines


# -- drawn tables


def drawn_table(merged: bool = False) -> str:
    rows = (700, 684, 668, 652, 636)
    content = grid(rows, (60, 160, 260, 360))
    if merged:  # the first column reaches over two rows
        content = "".join(rule(60 if y not in (668, 636 + 0) or y == 636 else 160, y, 360, y) for y in rows)
        content += "".join(rule(x, 700, x, 636) for x in (60, 160, 260, 360))
    content += left("Vessel", 64, 688) + left("Item", 164, 688) + left("Value", 264, 688)
    cells = [("Heron", "Length", "12 m"), ("Heron" if not merged else "", "Crew", "5"), ("Otter", "Length", "9 m")]
    for number, row in enumerate(cells):
        for x, text in zip((64, 164, 264), row, strict=True):
            content += left(text, x, 672 - 16 * number) if text else ""
    return content


def test_a_drawn_table_is_read_cell_by_cell() -> None:
    text = read(drawn_table()).text
    assert "Vessel | Item | Value" in text
    assert "Heron | Item: Crew | Value: 5" in text


def test_a_cell_that_reaches_over_two_rows_names_both() -> None:
    text = read(drawn_table(merged=True)).text
    line = row_with(text, "Crew", "5")
    assert "Heron" in line


def test_a_frame_around_text_is_no_table() -> None:
    frame = grid((720, 600), (60, 400))
    lines = "".join(left(f"Line {number} of a note in a frame.", 70, 700 - 14 * number) for number in range(6))
    assert "|" not in read(frame + lines).text


# -- what is no table


@pytest.mark.parametrize(
    "content",
    [
        "".join(
            left(f"{n}.{n} Chapter about {word} . . . . . . . . . . . . . . {7 * n}", 60, 760 - 14 * n)
            for n, word in enumerate(("boats", "nets", "tides", "birds", "ropes", "sails"), start=1)
        ),
        "".join(
            left(f"{n}.", 60, 760 - 14 * n) + left("An item of a list of things to do.", 80, 760 - 14 * n)
            for n in range(1, 9)
        ),
        left("Dear reader, this is a letter.", 60, 760)
        + right("12.5.2024", 500, 760)
        + left("It has one date.", 60, 746),
    ],
    ids=["contents", "list", "letter"],
)
def test_what_is_no_table_is_read_as_before(content: str) -> None:
    assert "|" not in read(content).text


# -- quotes and places


def test_a_quote_of_a_row_looks_as_printed() -> None:
    document = read(income_statement())
    quote = best_quote(document.text, "What were the services sales in the six months of 2024?", "43,117")
    assert "Six Months Ended 2024: 43,117" in document.text[quote.start : quote.end]
    assert document.printed(quote.start, quote.end).endswith("| 43,117")
    assert "Months" not in document.printed(quote.start, quote.end)


def test_each_row_can_be_quoted_alone() -> None:
    rows = "Kayak | 2024: 640 | 2025: 655\nCanoe No. 5 | 2024: 710 | 2025: 720"
    text = f"Prices (in EUR)\n{rows}\nThe table ends. It was short."
    quoted = [text[a:b] for a, b in quotable_spans(text)]
    assert quoted == [
        "Prices (in EUR)",
        "Kayak | 2024: 640 | 2025: 655",
        "Canoe No. 5 | 2024: 710 | 2025: 720",
        "The table ends.",
        "It was short.",
    ]


def test_repeated_text_is_known_by_its_places_over_several_pages() -> None:
    first = Page(1, "Kayak | 2024: 640", repeats=((8, 14),))
    document = Document("a", "0", "pdf", "1", (first, Page(2, "Canoe | 2024: 710", repeats=((8, 14),))))
    assert document.printed(0, len(document.text)) == "Kayak | 640\nCanoe | 710"
    assert document.printed(18, 35) == "Canoe | 710"
    assert document.printed(10, 17) == "640"
    assert document.printed(5, 5) == ""


def test_every_row_of_a_long_table_knows_the_title_and_no_other_line_does() -> None:
    head = left("Before the table stands a sentence that is no title of it at all, and goes on.", 60, 800)
    title = left("Table 7. Catch by region (in tonnes)", 60, 780)
    after = left("After the table comes a sentence of its own, which is quite long too.", 60, 220)
    document = read(head + title + matrix(40, 5, top=760) + after)
    for row in ("Region AB | ", "Region AU | ", "Region BN | "):
        assert document.table_title(document.text.index(row)) == "Table 7. Catch by region (in tonnes)"
    assert document.table_title(document.text.index("Before")) == ""
    assert document.table_title(document.text.index("After")) == ""
    assert document.table_title(len(document.text)) == ""


def test_marks_of_the_reader_in_a_file_do_no_harm() -> None:
    document = read(income_statement(), clean=False)
    assert "\ufdd0" not in document.text
    assert "\ufdd1" not in document.text
    assert document.pages[0].repeats


# -- bounds


def test_a_page_of_a_hundred_thousand_characters_is_left_in_the_order_of_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(page_text, "lay_out", None)  # calling it would raise
    content = "".join(left("1.2 " * 250, 20, 830 - 8 * number, 1) for number in range(100))
    assert len(read(content).text) > 90_000


def test_ten_thousand_drawn_lines_are_bounded() -> None:
    lines = "".join(
        rule(60, 60 + 0.07 * n, 500, 60 + 0.07 * n) + rule(60 + 0.04 * n, 60, 60 + 0.04 * n, 700) for n in range(5000)
    )
    assert "2012: 1.02" in read(lines + matrix(10, 5)).text


# -- the scorer


TRUTH = """<document><table id="1"><region id="1" page="1">
<cell start-row="0" start-col="1"><content>2010</content></cell>
<cell start-row="0" start-col="2"><content>2011</content></cell>
<cell start-row="1" start-col="0"><content>Region AA</content></cell>
<cell start-row="1" start-col="1"><content>1.00</content></cell>
<cell start-row="1" start-col="2"><content>1.01</content></cell>
<cell start-row="2" start-col="0"><content>Region AB</content></cell>
<cell start-row="2" start-col="1"><content>2.00</content></cell>
<cell start-row="2" start-col="2"><content>{last}</content></cell>
</region></table></document>"""


def test_the_scorer_counts_neighbours(tmp_path: Path) -> None:
    pdf, truth = tmp_path / "a.pdf", tmp_path / "a-str.xml"
    content = matrix(3, 3)
    pdf.write_bytes(drawn_pdf([content]))
    truth.write_text(TRUTH.format(last="2.01"), encoding="utf-8")
    wanted = table_structure.wanted_relations(truth)
    assert sum(wanted.values()) == 10
    found = table_structure.found_relations(tables_of(pdf))
    score = table_structure.score(found, wanted)
    assert score.recall == 1.0
    assert score.precision < 1.0  # the third row and column are not in the truth
    truth.write_text(TRUTH.format(last="9.99"), encoding="utf-8")
    assert table_structure.score(found, table_structure.wanted_relations(truth)).right == 8


def test_the_scorer_names_a_folder_without_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["table_structure", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"holds no NAME-str\.xml"):
        table_structure.main()


def test_a_spanning_head_is_one_cell_over_its_columns(tmp_path: Path) -> None:
    pdf = tmp_path / "a.pdf"
    pdf.write_bytes(drawn_pdf([income_statement() + centred("end", 300, 100)]))
    ((_, table),) = tables_of(pdf)
    spans = {one.text: (one.column, one.last_column) for one in table.cells if one.row == 0}
    assert spans == {"Three Months Ended": (1, 2), "Six Months Ended": (3, 4)}


def test_words_at_the_start_of_a_row_without_a_label_are_its_label() -> None:
    content = left("Description", 60, 760) + right("Unit price", 330, 760) + right("Amount", 430, 760)
    for number, (label, price, amount) in enumerate([("Rope", "14.50", "29.00"), ("Fender", "9.00", "36.00")]):
        y = 745 - 14 * number
        content += left(label, 60, y) + right(price, 330, y) + right(amount, 430, y)
    for number, (label, amount) in enumerate([("Subtotal", "65.00"), ("VAT 20%", "13.00"), ("Total", "78.00")]):
        content += left(label, 290, 717 - 14 * number) + right(amount, 430, 717 - 14 * number)
    lines = read(content).text.split("\n")
    assert lines[-3:] == ["Subtotal | Amount: 65.00", "VAT 20% | Amount: 13.00", "Total | Amount: 78.00"]


# -- over a page break


HEADS = ("2022", "2023", "Change")
TITLE = "Table 7. Catch by harbour (in tonnes)"


def harbour_rows(first: int, last: int) -> list[tuple[str, tuple[str, ...]]]:
    """Rows whose figures name them: harbour 4 has 411, 407 and 4.5."""
    return [(f"Harbour {chr(65 + n)}", (f"{n}11", f"{n}07", f"{n}.5")) for n in range(first, last)]


def harbours(
    rows: list[tuple[str, tuple[str, ...]]], y: float, heads: tuple[str, ...] = (), title: str = "", x: float = 60
) -> str:
    """A page with a running header, a page number and a table that begins at height ``y``."""
    content = left("Report of the harbour board", 60, 812) + left("3", 290, 30)
    content += left(title, x, y + 20) if title else ""
    for number, head in enumerate(heads):
        content += right(head, x + 190 + 80 * number, y)
    y -= 14 if heads else 0
    for number, (label, values) in enumerate(rows):
        content += left(label.strip(), x + (10 if label.startswith(" ") else 0), y - 13 * number)
        for column, value in enumerate(values):
            content += right(value, x + 190 + 80 * column, y - 13 * number)
    return content


def pages_of(*contents: str) -> Document:
    return read_document(drawn_pdf(contents), name="pages.pdf")


def test_rows_on_the_next_pages_have_the_heads_and_the_title_of_the_table_they_continue() -> None:
    document = pages_of(
        harbours(harbour_rows(1, 9), 700, HEADS, TITLE),
        harbours(harbour_rows(9, 16), 780),
        harbours(harbour_rows(16, 17), 780),  # one row is no table by itself
    )
    assert "Harbour J | 2022: 911 | 2023: 907 | Change: 9.5" in document.pages[1].text
    assert "Harbour Q | 2022: 1611 | 2023: 1607 | Change: 16.5" in document.pages[2].text
    for page in document.pages[1:]:
        row = document.page_starts[page.number - 1] + page.text.index("Harbour ", page.text.index(TITLE))
        assert document.table_title(row) == TITLE
    shown = document.printed(document.page_starts[1], document.page_starts[2])
    assert "Harbour J | 911 | 907 | 9.5" in shown
    assert "2022" not in shown
    assert TITLE not in shown


def test_what_continues_a_table_may_be_shifted_and_say_so() -> None:
    document = pages_of(
        harbours(harbour_rows(1, 9), 700, HEADS, TITLE) + left("Continued on the next page", 60, 400),
        harbours(harbour_rows(9, 16), 740, title="Table 7 (continued)", x=90),
    )
    assert "Harbour J | 2022: 911 | 2023: 907 | Change: 9.5" in document.pages[1].text
    assert document.table_title(document.text.index("Harbour K")) == TITLE


def test_heads_that_are_said_again_stand_once_before_each_value_and_the_title_is_that_of_the_table() -> None:
    document = pages_of(harbours(harbour_rows(1, 9), 700, HEADS, TITLE), harbours(harbour_rows(9, 16), 780, HEADS))
    assert "Harbour K | 2022: 1011 | 2023: 1007 | Change: 10.5" in document.pages[1].text
    assert document.table_title(document.text.index("Harbour K")) == TITLE


def test_a_heading_between_rows_holds_on_the_next_page() -> None:
    def inside(first: int, last: int) -> list[tuple[str, tuple[str, ...]]]:
        return [(f" {label}", values) for label, values in harbour_rows(first, last)]

    document = pages_of(
        harbours([("Fish:", ()), *inside(1, 4), ("Shellfish:", ()), *inside(4, 8)], 700, HEADS, TITLE),
        harbours([*inside(8, 11), ("Total", ("911", "907", "9.9"))], 780),
    )
    text = document.pages[1].text
    assert "Shellfish: Harbour K | 2022: 1011 | " in text
    assert "\nTotal | 2022: 911 | " in text


@pytest.mark.parametrize("kind", ["other heads", "a caption", "text between", "other columns"])
def test_a_table_that_begins_on_the_next_page_takes_nothing_from_the_one_before(kind: str) -> None:
    first = harbours(harbour_rows(1, 9), 700, HEADS, TITLE)
    second = harbours(harbour_rows(9, 16), 740)
    if kind == "other heads":
        second = harbours(harbour_rows(9, 16), 780, ("Sold", "Kept", "Lost"))
    elif kind == "a caption":
        second = harbours(harbour_rows(9, 16), 740, title="Table 8. Landed elsewhere")
    elif kind == "text between":
        first += left("Here the report goes on with words that fill a whole line of the page and more.", 60, 400)
    else:
        second = left("Report of the harbour board", 60, 812) + matrix(8, 5, top=780)
    text = pages_of(first, second).pages[1].text
    assert "2022:" not in text
    assert TITLE not in text


def ruled_words(rows: list[tuple[str, str, str]], y: float, bold: bool = False) -> str:
    places = (60, 160, 300, 450)
    content = grid([y - 18 * n for n in range(len(rows) + 1)], places)
    for number, row in enumerate(rows):
        for x, text in zip(places, row, strict=False):
            cell = left(text, x + 4, y - 18 * number - 13)
            content += cell.replace("/F1", "/F3") if bold and not number else cell
    return content


def test_a_drawn_table_of_words_goes_on_where_nothing_stands_between() -> None:
    people = [
        (f"Person {chr(65 + n)}", f"Room {n}B", f"keeps the {w}") for n, w in enumerate(["books", "nets", "keys"] * 4)
    ]
    head = left("Harbour board", 60, 812)
    pages = [head + ruled_words([("Name", "Office", "Duty"), *people[:7]], 700), head + ruled_words(people[7:], 780)]
    assert "Person K | Office: Room 10B | Duty: keeps the nets" in pages_of(*pages).pages[1].text
    pages[1] = head + left("2 Ships", 60, 788) + ruled_words([("Ship", "Home", "Cargo"), *people[7:]], 780)
    assert "Office:" not in pages_of(*pages).pages[1].text


def test_bold_heads_begin_a_new_table_of_words() -> None:
    people = [
        (f"Person {chr(65 + n)}", f"Room {n}B", f"keeps the {w}") for n, w in enumerate(["books", "nets", "keys"] * 4)
    ]
    bold = {98: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>"}
    pages = [
        ruled_words([("Name", "Office", "Duty"), *people[:7]], 700, bold=True),
        ruled_words([("Ship", "Home", "Cargo"), *people[7:]], 780, bold=True),
    ]
    text = read_document(drawn_pdf(pages, extra=bold), name="bold.pdf").pages[1].text
    assert "Person K | Home: Room 10B | Cargo: keeps the nets" in text
    assert "Office:" not in text


def test_pages_that_are_not_read_one_after_the_other_do_not_share_heads() -> None:
    data = drawn_pdf(
        [harbours(harbour_rows(1, 9), 700, HEADS, TITLE), left("Words.", 60, 700), harbours(harbour_rows(9, 16), 780)]
    )
    text = read_document(data, name="pages.pdf", options=ReadOptions(pages="1,3")).pages[1].text
    assert "2022:" not in text


def test_years_centred_over_two_rows_of_figures() -> None:
    years = [("2021", 300), ("2022", 360), ("2023", 420), ("Mean", 480)]
    content = left("Vessel", 60, 713) + "".join(right(text, x + width(text) / 2, 713) for text, x in years)
    rows = [["Heron", "1.1", "1.2", "1.3", "1.2"], ["Tern", "2.1", "2.2", "2.3", "2.2"]]
    text = read(content + rule(60, 690, 510, 690) + _rows(700, [328, 388, 448, 508], rows)).text
    assert "Heron | 2021: 1.1 | 2022: 1.2 | 2023: 1.3 | Mean: 1.2" in text


def test_amounts_with_their_sign_behind_are_no_heads() -> None:
    rows = [["Day", "Text", "Amount"], ["2 May", "Rent", "950,00-"], ["3 May", "Wages", "2.450,17+"]]
    text = read(_rows(700, [260, 400], [*rows, ["9 May", "Power", "88,00-"], ["9 May", "Water", "12,50-"]])).text
    assert "2 May | Text: Rent | Amount: 950,00-\n3 May | Text: Wages | Amount: 2.450,17+" in text
