"""Where text stands: boxes of made and printed pages, compared with what PDFium finds and draws inside them."""

from __future__ import annotations

import itertools
import random
import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pypdfium2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharedllm_docs.documents.box import Box
from sharedllm_docs.documents.boxes import LEVEL, UPRIGHT, Places, Run, merged
from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.readers import ReadOptions, read_document
from sharedllm_docs.documents.readers.ocr import engines
from sharedllm_docs.documents.readers.ocr.recognised import Line, Recognised
from sharedllm_docs.documents.readers.ocr.recognised import Word as Recognisable
from sharedllm_docs.documents.readers.pdf.draw import draw_page
from sharedllm_docs.store.records import decode_places, encode_places
from tests.documents import drawn_pdf, make_pdf, prose, put
from tests.layouts import column, grid, income_statement, left, right, sentences, woven

EXAMPLE = Path(__file__).parents[1] / "examples" / "R-intro.pdf"
DARK = 160  # of 255
SHOWN = "The tide gauge at the northern pier is read twice a day."


def places_of(document: Document) -> Places:
    assert document.places is not None
    return document.places


def letters(text: str) -> str:
    """Letters and digits, ligatures and raised ones as plain letters."""
    return "".join(c for c in unicodedata.normalize("NFKC", text) if c.isalnum())


def text_inside(textpage: Any, box: Box, direction: int = LEVEL) -> str:
    """What PDFium finds inside a box; its edges are left out, since lines and words stand close."""
    x, y = (0.2, 0.3 * box.height) if direction == LEVEL else (0.3 * box.width, 0.2)
    found: str = textpage.get_text_bounded(box.left + x, box.bottom + y, box.right - x, box.top - y)
    return found


def spans_of(document: Document, count: int, seed: int = 7) -> Iterator[tuple[int, int]]:
    """Random runs of words."""
    chance = random.Random(seed)
    words = [match.span() for match in re.finditer(r"\S+", document.text)]
    for _ in range(count):
        first = chance.randrange(len(words))
        last = min(len(words) - 1, first + chance.randrange(25))
        yield words[first][0], words[last][1]


def check_text(document: Document, pdf: bytes | Path, count: int = 60, *, all_printed: bool = True) -> None:
    """The letters inside the boxes of random spans are those of the spans, in their order.

    Args:
        document: as read.
        pdf: what it was read from.
        count: number of spans.
        all_printed: False where labels are said again: what has no box then stands elsewhere.
    """
    file, places = pypdfium2.PdfDocument(pdf), places_of(document)
    textpage = cache(lambda number: file[number - 1].get_textpage())
    for start, end in spans_of(document, count):
        runs, boxes = places.runs(start, end), places.boxes(start, end)
        said = document.printed(start, end) if all_printed else "".join(document.text[r.start : r.end] for r in runs)
        ways = {run.direction for run in runs}
        found = "".join(
            letters(text_inside(textpage(box.page), box, way if len(ways) == 1 else int(box.height > box.width)))
            for box in boxes
            for way in list(ways)[:1]
        )
        assert found == letters(said), (document.text[start:end], boxes)


def check_pixels(document: Document, pdf: bytes, share: float = 0.995) -> None:
    """All ink of pages that hold nothing but text lies inside the boxes, and there is ink in each box."""
    boxes = places_of(document).boxes(0, len(document.text))
    for number in sorted({box.page for box in boxes}):
        image = draw_page(pdf, "made.pdf", number, 2.0)
        shape = (image.height, image.width, 3)
        dark = np.frombuffer(image.rgb, dtype=np.uint8).reshape(shape).min(axis=2) < DARK
        inside = np.zeros_like(dark)
        for box in (box for box in boxes if box.page == number):
            x0, y0, x1, y1 = image.pixels(box)
            window = (slice(int(y0), int(y1) + 1), slice(int(x0), int(x1) + 1))
            assert dark[window].any(), box
            inside[window] = True
        assert dark.any()
        assert (dark & inside).sum() > share * dark.sum()


def hyphenated() -> bytes:
    """Lines that break words, twice over a page break."""
    lines = [
        "The committee ana-",
        "lysed the measure-",
        "ments of the low-",
        "level gauge and of the northern har-",
        "bour, and found them well-",
        "known. The remain-",
    ]
    return make_pdf([lines, ["der was re-", "peated in May, as the com-"], ["mittee had asked.", "It took a week."]])


def two_columns() -> bytes:
    return drawn_pdf([woven(column(sentences("aa", 30), 50, 760), column(sentences("bb", 30), 310, 760))])


def raised() -> bytes:
    content = put("Each pump lifts 250 m", 72, 700) + put("3", 172, 704, 6) + put("an hour", 180, 700)
    return drawn_pdf([content + put("The pond holds 12 000 litres in all", 72, 680)])


def ruled_table() -> bytes:
    content = grid([700, 680, 660, 640], [60, 200, 320, 440])
    rows = [("Pond", "Litres", "Fish"), ("North", "12,000", "40"), ("South", "9,500", "31")]
    for row, (name, litres, fish) in enumerate(rows):
        y = 686 - 20 * row
        content += left(name, 66, y) + right(litres, 314, y) + right(fish, 434, y)
    return drawn_pdf([put("Ponds of the estate and what they hold", 60, 720) + content])


def turned(turn: int) -> bytes:
    """Upright text on a page with /Rotate: shown upright after the turn, drawn sideways in the page's coordinates."""
    matrices = {90: "0 1 -1 0 595 0", 180: "-1 0 0 -1 595 842", 270: "0 -1 1 0 0 842"}
    lines = "".join(left(line, 72, 500 - 20 * row) for row, line in enumerate(sentences("cc", 8)))
    return drawn_pdf([f"q {matrices[turn]} cm\n{lines}Q"], page=f"/Rotate {turn}")


def sideways() -> bytes:
    """A page that is not turned, with a line that runs up its side."""
    lines = "".join(left(line, 72, 700 - 14 * row) for row, line in enumerate(sentences("dd", 10)))
    return drawn_pdf([lines + "q BT /F1 9 Tf 0 1 -1 0 500 300 Tm (Set sideways beside the text) Tj ET Q\n"])


def cropped(box: str) -> bytes:
    lines = "".join(left(line, 100, 650 - 14 * row) for row, line in enumerate(sentences("ee", 12)))
    return drawn_pdf([lines], page=box)


MADE = {
    "lines": lambda: make_pdf([prose(1), prose(2)]),
    "hyphens": hyphenated,
    "columns": two_columns,
    "raised": raised,
    "turned 90": lambda: turned(90),
    "turned 180": lambda: turned(180),
    "turned 270": lambda: turned(270),
    "sideways": sideways,
    "crop box": lambda: cropped("/CropBox [40 400 555 700]"),
    "crop box, turned": lambda: cropped("/CropBox [40 400 555 700] /Rotate 90"),
    "media box": lambda: cropped("").replace(b"[0 0 595 842]", b"[9 9 600 842]"),
    "running heads": lambda: make_pdf([["A Guide to Ponds", *prose(n)] for n in range(1, 8)]),
}


@pytest.mark.parametrize("made", MADE.values(), ids=MADE)
def test_boxes_hold_the_letters_and_the_ink_of_their_text(made: Any) -> None:
    pdf = made()
    hyphens_go = made is hyphenated  # those of broken words are in no box
    document = read_document(pdf, name="made.pdf", options=ReadOptions(keep_running_lines=True))
    check_text(document, pdf)
    check_pixels(document, pdf, share=0.98 if hyphens_go else 0.995)


MIRRORED = {
    "not at all": "1 0 0 1",
    "left to right": "-1 0 0 1",
    "upside down": "1 0 0 -1",
    "both": "-1 0 0 -1",
    "up the page": "0 1 -1 0",
    "up the page, mirrored": "0 1 1 0",
    "down the page": "0 -1 1 0",
    "down the page, mirrored": "0 -1 -1 0",
}


@pytest.mark.parametrize("matrix", MIRRORED.values(), ids=MIRRORED)
@pytest.mark.parametrize("how", ["text", "page"])
def test_boxes_of_mirrored_text_hold_its_ink(how: str, matrix: str) -> None:
    shown = "BT /F1 12 Tf"
    text = f"{shown} {matrix} 300 400 Tm (heron waiting) Tj ET"
    if how == "page":
        text = f"q {matrix} 300 400 cm {shown} (heron waiting) Tj ET Q"
    pdf = drawn_pdf([text])
    check_pixels(read_document(pdf, name="made.pdf"), pdf)


OFF = {
    "right": ("1 0 0 1 575 700", ""),
    "left": ("1 0 0 1 -0.5 700", ""),
    "above": ("1 0 0 1 100 838", ""),
    "below": ("1 0 0 1 100 1", ""),
    "up": ("0 1 -1 0 300 822", ""),
    "crop box": ("1 0 0 1 275 500", "/CropBox [50 350 300 750]"),
    "crop box, turned": ("1 0 0 1 275 500", "/CropBox [50 350 300 750] /Rotate 90"),
}


@pytest.mark.parametrize(("matrix", "page"), OFF.values(), ids=OFF)
def test_boxes_end_where_the_page_ends(matrix: str, page: str) -> None:
    left, bottom, right, top = (50, 350, 300, 750) if page else (0, 0, 595, 842)
    lines = "".join(put(line, 100, 600 - 14 * row, 8) for row, line in enumerate(["A pond", "holds water"]))
    pdf = drawn_pdf([f"{lines} BT /F1 12 Tf {matrix} Tm (heron) Tj ET"], page=page)
    document = read_document(pdf, name="made.pdf")
    start = document.text.index("heron")
    boxes = places_of(document).boxes(start, start + 5)
    assert boxes
    for box in boxes:
        assert left <= box.left < box.right <= right
        assert bottom <= box.bottom < box.top <= top


def test_a_field_is_clipped_to_the_page_and_one_beside_it_has_no_box() -> None:
    fields = {20: field("half", "Half off", "500 700 700 720"), 21: field("gone", "All off", "900 700 950 720")}
    pdf = drawn_pdf(
        [put("A form about ponds", 72, 720)],
        page="/Annots [20 0 R 21 0 R]",
        catalog="/AcroForm << /Fields [20 0 R 21 0 R] >>",
        extra=fields,
    )
    document = read_document(pdf, name="made.pdf")

    def boxes(value: str) -> list[tuple[float, float]]:
        start = document.text.index(value)
        return [(box.left, box.right) for box in places_of(document).boxes(start, start + len(value))]

    assert boxes("Half off") == [(500, 595)]
    assert boxes("All off") == []


def test_cells_of_a_table_have_boxes_and_repeated_heads_have_none() -> None:
    pdf = ruled_table()
    document = read_document(pdf, name="made.pdf")
    assert "Litres: 9,500" in document.text, "the table is read row by row"
    check_text(document, pdf)
    start = document.text.index("South")
    row = places_of(document).boxes(start, len(document.text))
    textpage = pypdfium2.PdfDocument(pdf)[0].get_textpage()
    assert [text_inside(textpage, box).strip() for box in row] == ["South", "9,500", "31"]
    head = document.text.index("Litres: 9,500")
    assert places_of(document).boxes(head, head + len("Litres:")) == ()


def test_values_of_a_table_without_rules_have_boxes() -> None:
    pdf = drawn_pdf([income_statement()])
    document = read_document(pdf, name="made.pdf")
    check_text(document, pdf, 100, all_printed=False)
    check_pixels(document, pdf)
    for value in ("61,564", "167,417", "(2,417)"):
        start = document.text.index(value)
        assert len(places_of(document).boxes(start, start + len(value))) == 1


def test_lines_that_cleaning_takes_away_move_no_box() -> None:
    pdf = MADE["running heads"]()
    document = read_document(pdf, name="made.pdf")
    assert document.text.count("A Guide to Ponds") == 1
    check_text(document, pdf)


def test_a_word_over_a_page_break_has_a_box_on_both_pages() -> None:
    document = read_document(hyphenated(), name="made.pdf", options=ReadOptions(keep_running_lines=True))
    start = document.text.index("remainder")
    assert [box.page for box in places_of(document).boxes(start, start + len("remainder"))] == [1, 2]
    assert document.page_at(start).number == 1
    assert [run.box.page for run in places_of(document).runs(start, start + len("remainder"))] == [1, 2]


def field(name: str, value: str, rectangle: str) -> bytes:
    return f"<< /Type /Annot /Subtype /Widget /FT /Tx /T ({name}) /V ({value}) /Rect [{rectangle}] >>".encode()


def test_form_fields_and_notes_have_their_own_rectangle() -> None:
    note = b"<< /Type /Annot /Subtype /FreeText /Contents (Sold in May) /Rect [72 100 200 120] >>"
    pdf = drawn_pdf(
        [put("Name of the boat", 72, 700) + put(SHOWN, 72, 650)],
        page="/Annots [100 0 R 101 0 R 102 0 R]",
        catalog="/AcroForm << /Fields [100 0 R 101 0 R] >>",
        extra={
            100: field("boat", "Tern", "200 696 320 712"),
            101: field("berth", "Nine", "300 400 360 415"),
            102: note,
        },
    )
    for engine in ("pdfium", "pypdf"):
        document = read_document(pdf, name="form.pdf", options=ReadOptions(engine=engine))  # type: ignore[arg-type]
        for value, box in {
            "Tern": Box(1, 200, 696, 320, 712),
            "berth: Nine": Box(1, 300, 400, 360, 415),
            "Sold in May": Box(1, 72, 100, 200, 120),
        }.items():
            start = document.text.index(value)
            assert places_of(document).boxes(start, start + len(value)) == (box,)


def test_without_glyph_positions_there_are_no_boxes() -> None:
    """The engine without positions gives the text alone; fields are the exception, see above."""
    document = read_document(make_pdf([prose(1)]), name="a.pdf", options=ReadOptions(engine="pypdf"))
    assert len(places_of(document)) == 0
    assert read_document(b"# Ponds\n\nText.", name="a.md").places is None


# -- recognised text -----------------------------------------------------------------------------------------------


class Known:
    """Stands for an engine that finds two words at known places of every picture."""

    name = "known"

    def recognise(self, picture: Any) -> Recognised:
        height, width = picture.shape[:2]
        words = (
            Recognisable("Tide", (0.1 * width, 0.1 * height, 0.2 * width, 0.12 * height), 0.9),
            Recognisable("gauge.", (0.25 * width, 0.1 * height, 0.4 * width, 0.12 * height), 0.9),
        )
        line = Line(words, (0.1 * width, 0.1 * height, 0.4 * width, 0.12 * height), "Tide gauge.", 0.9)
        return Recognised.of([line])


@pytest.mark.usefixtures("own_process")
@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("crop", ["", "/CropBox [40 400 555 700]"], ids=["whole", "cropped"])
def test_recognised_words_stand_where_the_engine_saw_them(
    turn: int, crop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "engine_name", lambda: "known")
    monkeypatch.setattr(engines, "engine", Known)
    pdf = drawn_pdf([put(SHOWN, 100, 600)], page=f"/Rotate {turn} {crop}")
    document = read_document(pdf, name="scan.pdf", options=ReadOptions(ocr="force"))
    assert document.text == "Tide gauge."
    image = draw_page(pdf, "scan.pdf", 1, 2.0)
    for word, wanted in {"Tide": (0.1, 0.1, 0.2, 0.12), "gauge.": (0.25, 0.1, 0.4, 0.12)}.items():
        start = document.text.index(word)
        (box,) = places_of(document).boxes(start, start + len(word))
        found = [side / size for side, size in zip(image.pixels(box), (image.width, image.height) * 2, strict=True)]
        assert found == pytest.approx(wanted, abs=0.003)


# -- printed pages -------------------------------------------------------------------------------------------------


def test_boxes_of_the_example() -> None:
    """Ligatures of TeX, raised marks, code, tables, a contents page with leaders, broken words."""
    document = read_document(EXAMPLE, options=ReadOptions(pages="1-6,30-45"))
    check_text(document, EXAMPLE, 150)
    words = [match for match in re.finditer(r"\w+", document.text) if document.printed(*match.span())]
    assert all(places_of(document).boxes(*word.span()) for word in words), "no word is without a box"


@pytest.mark.slow
def test_boxes_take_little_room() -> None:
    """Bytes a token, the budget being 12; tokens are at least as many as words."""
    document = read_document(EXAMPLE)
    assert len(encode_places(places_of(document))) < 7 * len(document.text.split())


def test_boxes_of_two_columns_take_little_room() -> None:
    document = read_document(two_columns(), name="columns.pdf")
    header = 1000
    assert len(encode_places(places_of(document))) - header < 9 * len(document.text.split())


# -- places --------------------------------------------------------------------------------------------------------

NUMBERS = st.floats(-2000, 2000, allow_nan=False)


@st.composite
def run_lists(draw: st.DrawFn) -> list[Run]:
    runs, start = list[Run](), 0
    for _ in range(draw(st.integers(0, 12))):
        start += draw(st.integers(0, 3))
        end = start + draw(st.integers(1, 300))
        x, y = draw(NUMBERS), draw(NUMBERS)
        box = Box(draw(st.integers(1, 40_000)), x, y, x + draw(st.floats(0, 900)), y + draw(st.floats(0, 90)))
        runs.append(Run(start, end, box, draw(st.sampled_from((LEVEL, UPRIGHT)))))
        start = end
    return runs


@given(run_lists(), st.integers(0, 2000), st.integers(0, 2000))
def test_runs_come_back_from_the_file(runs: list[Run], one: int, other: int) -> None:
    places = decode_places(encode_places(Places.of(runs)))
    start, end = sorted((one, other))
    found = places.runs(start, end)
    wanted = [run for run in runs if run.start < end and run.end > start] if start < end else []
    assert [(run.start, run.end, run.direction, run.box.page) for run in found] == [
        (run.start, run.end, run.direction, run.box.page) for run in wanted
    ]
    for run, given_run in zip(found, wanted, strict=True):
        for side in ("left", "bottom", "right", "top"):
            outwards = (getattr(given_run.box, side) - getattr(run.box, side)) * (
                1 if side in ("left", "bottom") else -1
            )
            assert -0.001 <= outwards <= 0.051, "rounded outwards, by a step at most"


def test_what_is_no_boxes_file_is_refused() -> None:
    columns = Places.of([Run(0, 4, Box(1, 10, 10, 20, 20))]).to_arrays()
    cases: list[tuple[dict[str, Any], str]] = [
        ({name: column for name, column in columns.items() if name != "gap"}, "'gap' is missing"),
        ({**columns, "runs": np.asarray([2])}, "as many runs"),
        ({**columns, "to": np.asarray([1, 2])}, "differ in length"),
        ({**columns, "gap": np.asarray([-1])}, "overlap"),
        ({**columns, "gap": np.asarray([0.5])}, "not a list of whole numbers"),
    ]
    for wrong, said in cases:
        with pytest.raises(ValueError, match=said):
            Places(wrong)


def test_a_line_is_one_box_and_cells_and_lines_are_apart() -> None:
    line = [Run(i, i + 1, Box(1, 10 + 30 * i, 100, 35 + 30 * i, 110)) for i in range(3)]
    assert merged(line) == (Box(1, 10, 100, 95, 110),)
    cells = [Run(i, i + 1, Box(1, 10 + 90 * i, 100, 35 + 90 * i, 110)) for i in range(3)]
    assert merged(cells) == tuple(run.box for run in cells)
    lines = [Run(i, i + 1, Box(1, 10, 100 - 12 * i, 35, 110 - 12 * i)) for i in range(3)]
    assert merged(lines) == tuple(run.box for run in lines)
    pages = [Run(0, 1, Box(1, 10, 100, 20, 110)), Run(1, 2, Box(2, 22, 100, 30, 110))]
    assert merged(pages) == tuple(run.box for run in pages)
    upright = [Run(i, i + 1, Box(1, 100, 10 + 30 * i, 110, 35 + 30 * i), UPRIGHT) for i in range(3)]
    assert merged(upright) == (Box(1, 100, 10, 110, 95),)
    mark = [Run(0, 1, Box(1, 10, 100, 30, 110)), Run(1, 2, Box(1, 30, 104, 33, 110.5))]
    assert merged(mark) == (Box(1, 10, 100, 33, 110.5),), "a raised mark belongs to its line"
    watermark = [Run(0, 1, Box(1, 10, 100, 30, 110)), Run(1, 2, Box(1, 31, 60, 90, 160))]
    assert merged(watermark) == tuple(run.box for run in watermark)


def test_every_pair_of_neighbouring_words_is_on_one_line_or_on_two() -> None:
    """Boxes of a span are the boxes of its parts, joined: none is lost on the way."""
    document = read_document(two_columns(), name="columns.pdf")
    places = places_of(document)
    words = [match.span() for match in re.finditer(r"\S+", document.text)]
    for (start, middle), (_, end) in itertools.pairwise(words):
        whole, one = places.boxes(start, end), places.boxes(start, middle)
        assert len(whole) in (1, 2)
        assert whole[0].left <= one[0].left
        assert whole[0].right >= one[0].right


def test_boxes_of_fields_end_at_the_page_whichever_library_reads() -> None:
    widget = b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (berth) /V (7) /Rect [500 600 900 620] >>"
    pdf = drawn_pdf(
        [put("Berth", y=700)],
        page="/Annots [100 0 R]",
        catalog="/AcroForm << /Fields [100 0 R] >>",
        extra={100: widget},
    )
    for engine in ("pdfium", "pypdf"):
        document = read_document(pdf, name="a.pdf", options=ReadOptions(engine=engine))
        start = document.text.index("7")
        assert document.places is not None
        assert [box.right for box in document.places.boxes(start, start + 1)] == [595]
