"""What stands on a PDF page and what does not: raised marks, hidden text, scans, form values, margins."""

from __future__ import annotations

import warnings

import pytest

from sharedllm_docs.documents.cleaning import RunningLine
from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.readers import ReadOptions, read_document, running_lines
from sharedllm_docs.errors import DocumentWarning, ScannedDocumentError

from .documents import SCAN, drawn_pdf, make_pdf, prose, put


def read(pdf: bytes, **options: object) -> Document:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DocumentWarning)
        return read_document(pdf, name="sample.pdf", options=ReadOptions(**options))  # type: ignore[arg-type]


def codes(document: Document) -> list[tuple[str, int | None]]:
    return [(issue.code, issue.page) for issue in document.issues]


# -- raised and lowered marks


def marked(*parts: tuple[str, float, float]) -> str:
    """The text of a page of one line; parts are (text, rise in points, font size), each where the last one ended."""
    shown = " ".join(f"/F1 {size} Tf {rise} Ts ({text}) Tj" for text, rise, size in parts)
    return read(drawn_pdf([f"BT 1 0 0 1 72 700 Tm {shown} ET"])).text


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ([("It costs 250", 0, 11), ("3", 4.5, 7), (" euros a year.", 0, 11)], "It costs 250\u00b3 euros a year."),
        ([("stores 10", 0, 11), ("6", 4.5, 7), (" kWh", 0, 11)], "stores 10^6 kWh"),
        ([("about 10", 0, 11), ("-12", 4.5, 7), (" m", 0, 11)], "about 10^-12 m"),
        ([("of 210", 0, 11), ("6", 4.5, 7), (" kWh", 0, 11)], "of 210\u2076 kWh"),
        ([("about e", 0, 11), ("-12", 4.5, 7), (" m", 0, 11)], "about e\u207b\u00b9\u00b2 m"),
        ([("the word", 0, 11), ("12", 4.5, 7), (", and", 0, 11)], "the word\u00b9\u00b2, and"),
        ([("H", 0, 11), ("2", -2, 7), ("O is wet", 0, 11)], "H2O is wet"),
        ([("log 3", 0, 11), ("10", -2, 7), (" is", 0, 11)], "log 3\u2081\u2080 is"),
        ([("the 5", 0, 11), ("th", 4.5, 7), (" day", 0, 11)], "the 5th day"),
        ([("from 1990 to 2003", 0, 11)], "from 1990 to 2003"),
        ([("ISO ", 0, 11), ("9001", 0, 7), (" holds", 0, 11)], "ISO 9001 holds"),
        ([("big 12", 0, 20), ("34 small", 0, 10)], "big 1234 small"),
    ],
)
def test_raised_marks_are_no_digits_of_the_number_before_them(parts: list[tuple[str, float, float]], text: str) -> None:
    assert marked(*parts) == text


@pytest.mark.parametrize(("before", "text"), [("up to ", "up to 1\u20444 inch"), ("all 3", "all 3 1\u20444 inch")])
def test_fractions_are_no_raised_marks(before: str, text: str) -> None:
    shown = f"/F1 11 Tf ({before}) Tj /F1 7 Tf 4 Ts (1) Tj /F3 11 Tf 0 Ts (!) Tj /F1 7 Tf (4) Tj /F1 11 Tf ( inch) Tj"
    assert read(drawn_pdf([f"BT 1 0 0 1 72 700 Tm {shown} ET"])).text == text


def test_a_footnote_that_opens_with_its_raised_mark() -> None:
    assert (
        marked(("3", 3, 6), ("Only for plants built before 1990.", 0, 9)) == "\u00b3Only for plants built before 1990."
    )


# -- text that no viewer shows

SHOWN = put("The kayak costs 640 EUR.", y=560)


@pytest.mark.parametrize(
    ("content", "page"),
    [
        (put("Old proof: 990 EUR.", y=812), "/CropBox [40 400 555 700]"),
        (put("Old proof: 990 EUR.", x=700), ""),
        (put("Old proof: 990 EUR.", y=-40), ""),
        (put("Old proof: 990 EUR.", more="3 Tr"), ""),
        (put("Old proof: 990 EUR.", more="1 1 1 rg"), ""),
    ],
    ids=["crop-box", "beside-the-page", "below-the-page", "no-ink", "white-on-white"],
)
def test_text_that_no_viewer_shows_is_left_out_and_told(content: str, page: str) -> None:
    pdf = drawn_pdf([content + SHOWN], page=page)
    with pytest.warns(DocumentWarning, match=r"hidden-text: sample\.pdf: 4 word\(s\) that no viewer shows"):
        document = read_document(pdf, name="sample.pdf")
    assert document.text == "The kayak costs 640 EUR."
    assert codes(document) == [("hidden-text", 1)]


def test_white_text_on_a_dark_field_is_read() -> None:
    field = "0 0 0.5 rg 60 770 300 30 re f\n"
    document = read(drawn_pdf([field + put("Total 12 EUR", more="1 1 1 rg") + SHOWN]))
    assert document.text == "Total 12 EUR\nThe kayak costs 640 EUR."
    assert document.issues == ()


def test_the_invisible_text_of_a_scan_is_its_text() -> None:
    lines = "".join(put(line, y=700 - 20 * row, more="3 Tr") for row, line in enumerate(prose(1)))
    document = read(drawn_pdf([SCAN + lines]))
    assert document.text == "\n".join(prose(1))
    assert document.issues == ()


# -- scans


def test_a_scan_under_a_stamp_is_told_page_by_page() -> None:
    stamp = put("Envelope ID: 5D1F00AA", y=830, size=6)
    full = "".join(put(line, y=700 - 20 * row) for row, line in enumerate(prose(2)))
    with pytest.warns(DocumentWarning, match=r"no-text-on-page: .* picture with only \d+ letters and digits of text"):
        document = read_document(drawn_pdf([SCAN + stamp, stamp + full, SCAN + stamp]), name="sample.pdf")
    assert [code for code in codes(document) if code[0] == "no-text-on-page"] == [
        ("no-text-on-page", 1),
        ("no-text-on-page", 3),
    ]


def test_a_page_with_a_background_picture_and_its_text_is_no_scan() -> None:
    full = "".join(put(line, y=700 - 20 * row) for row, line in enumerate(prose(2)))
    assert read(drawn_pdf([SCAN + full])).issues == ()


def test_a_scan_alone_is_refused() -> None:
    with pytest.raises(ScannedDocumentError):
        read(drawn_pdf([SCAN]))


# -- form fields and notes


def widget(name: str, value: str, rect: str, more: str = "/FT /Tx") -> bytes:
    return f"<< /Type /Annot /Subtype /Widget /T ({name}) /V {value} /Rect [{rect}] {more} >>".encode()


def form(*widgets: bytes, content: str = "", catalog: str = "") -> Document:
    numbers = range(100, 100 + len(widgets))
    references = " ".join(f"{number} 0 R" for number in numbers)
    pdf = drawn_pdf(
        [content],
        page=f"/Annots [{references}]",
        catalog=f"/AcroForm << /Fields [{references}] >> {catalog}",
        extra=dict(zip(numbers, widgets, strict=True)),
    )
    return read(pdf)


def test_form_values_stand_behind_their_labels() -> None:
    labels = put("Name of vessel:", y=700) + put("Harbour:", y=680) + put("Insured:", y=660) + put("The end", y=640)
    document = form(
        widget("f1", "(Grey Heron)", "160 696 300 712"),
        widget("f2", "(Eastdock)", "160 676 300 692", "/FT /Ch"),
        widget("f3", "/Yes", "160 656 172 668", "/FT /Btn /AS /Yes"),
        content=labels,
    )
    assert document.text == "Name of vessel: Grey Heron\nHarbour: Eastdock\nInsured: checked\nThe end"
    assert document.issues == ()


def test_a_page_of_fields_alone_is_read() -> None:
    assert form(widget("who", "(Oskar Lind)", "72 700 300 712")).text == "who: Oskar Lind"


@pytest.mark.parametrize(
    "left_out",
    [
        widget("a", "(secret)", "72 700 300 712", "/FT /Tx /Ff 8192"),
        widget("a", "(secret)", "72 700 300 712", "/FT /Tx /F 2"),
        widget("a", "(secret)", "72 700 300 712", "/FT /Sig"),
        widget("a", "/secret", "72 700 300 712", "/FT /Btn /Ff 65536"),
        widget("a", "()", "72 700 300 712"),
    ],
    ids=["password", "hidden", "signature", "push-button", "empty"],
)
def test_fields_that_show_no_text(left_out: bytes) -> None:
    assert form(left_out, content=SHOWN).text == "The kayak costs 640 EUR."


def test_inherited_values_and_shown_names() -> None:
    parent = b"<< /T (p) /TU (Name of the owner) /FT /Tx /V (Ada) /Kids [101 0 R] >>"
    kid = b"<< /Type /Annot /Subtype /Widget /Parent 100 0 R /Rect [300 100 400 112] >>"
    pdf = drawn_pdf([SHOWN], page="/Annots [101 0 R]", extra={100: parent, 101: kid})
    assert read(pdf).text == "The kayak costs 640 EUR.\nName of the owner: Ada"


def test_notes_are_read() -> None:
    note = b"<< /Type /Annot /Subtype /FreeText /Contents (Sold in May) /Rect [72 100 200 120] >>"
    assert read(drawn_pdf([SHOWN], page="/Annots [100 0 R]", extra={100: note})).text == (
        "The kayak costs 640 EUR.\nNote: Sold in May"
    )


def test_damaged_annotations_do_not_stop_a_page() -> None:
    pdf = drawn_pdf([SHOWN], page="/Annots [100 0 R 7]", extra={100: b"<< /Subtype /Widget /Rect (no) >>"})
    assert read(pdf).text == "The kayak costs 640 EUR."


def test_xfa_forms_and_embedded_files_are_told() -> None:
    extra = {
        100: b"<< /Length 8 >>\nstream\n<xfa/>  \nendstream",
        101: b"<< /Type /Filespec /F (a.pdf) /EF << /F 102 0 R >> >>",
        102: b"<< /Type /EmbeddedFile /Length 5 >>\nstream\n%PDF-\nendstream",
    }
    catalog = "/AcroForm << /Fields [] /XFA 100 0 R >> /Names << /EmbeddedFiles << /Names [(a.pdf) 101 0 R] >> >>"
    with pytest.warns(DocumentWarning, match="xfa-form|embedded-files") as caught:
        document = read_document(drawn_pdf([SHOWN], catalog=catalog, extra=extra), name="sample.pdf")
    assert sorted(codes(document)) == [("embedded-files", None), ("xfa-form", None)]
    assert len(caught) == 2


XFA = b"""<xdp:xdp xmlns:xdp="http://ns.adobe.com/xdp/"><template><subform>
<draw><value><text>Customs declaration</text></value></draw>
<field name="quantity"><caption><value><text>Number of saplings:</text></value></caption></field>
<field name="note" presence="hidden"><value><text>secret</text></value></field></subform></template>
<datasets><data><form><quantity>35</quantity><port>Brel</port></form></data></datasets></xdp:xdp>"""


@pytest.mark.parametrize("parts", [1, 3])
def test_the_labels_and_values_of_an_xfa_form_are_read(parts: int) -> None:
    size = len(XFA) // parts + 1
    packets = [XFA[at : at + size] for at in range(0, len(XFA), size)]
    extra = {100 + n: b"<< /Length %d >>\nstream\n%s\nendstream" % (len(one), one) for n, one in enumerate(packets)}
    held = "100 0 R" if parts == 1 else f"[{' '.join(f'(p{n}) {100 + n} 0 R' for n in range(len(packets)))}]"
    with pytest.warns(DocumentWarning, match="xfa-form: .*labels and values are read"):
        document = read_document(
            drawn_pdf([SHOWN], catalog=f"/AcroForm << /Fields [] /XFA {held} >>", extra=extra), name="sample.pdf"
        )
    assert document.text.split("\n\n")[1] == "Customs declaration\nNumber of saplings: 35\nport: Brel"


# -- margins and running lines


def test_a_value_in_the_middle_of_the_page_is_no_page_number() -> None:
    def sheet(number: int, y: float) -> str:
        return put(f"Survey of street {'ABCDEF'[number]}", y=700) + put(str(number), y=y)

    body = read(drawn_pdf([sheet(number, 500) for number in range(1, 6)]))
    assert [page.text.split("\n")[-1] for page in body] == ["1", "2", "3", "4", "5"]
    footer = read(drawn_pdf([sheet(number, 30) for number in range(1, 6)]))
    assert all("\n" not in page.text for page in footer)


def test_the_same_last_line_above_the_margin_stays() -> None:
    def sheet(number: int, y: float) -> str:
        return put(f"Programme of {'ABCDEF'[number]}", y=700) + put("Bring the badge", y=y)

    assert all("badge" in page.text for page in read(drawn_pdf([sheet(number, 600) for number in range(1, 6)])))
    pages = read(drawn_pdf([sheet(number, 40) for number in range(1, 6)])).pages
    assert ["badge" in page.text for page in pages] == [True, False, False, False, False]


def test_a_number_far_from_the_title_is_the_pages_and_one_beside_it_is_not() -> None:
    def sheet(number: int, x: float) -> str:
        lines = "".join(put(line, y=600 - 14 * row) for row, line in enumerate(prose(number)))
        return put("Workshop", y=800) + put(str(number), x=x, y=800) + lines

    beside = read(drawn_pdf([sheet(number, 121) for number in range(1, 7)]))
    assert [page.text.split("\n")[0] for page in beside] == [f"Workshop {number}" for number in range(1, 7)]
    apart = read(drawn_pdf([sheet(number, 500) for number in range(1, 7)]))
    assert apart.pages[0].text.startswith("Workshop 1\n")  # the first of a title that stands nowhere else
    assert [page.text for page in apart][1:] == ["\n".join(prose(number)) for number in range(2, 7)]


def test_what_is_removed_is_counted_listed_and_can_be_kept() -> None:
    pdf = make_pdf([["Notes on Fruit", *prose(number), f"Page {number}"] for number in range(1, 6)])
    document = read(pdf)
    assert codes(document) == [("running-lines", None)]
    assert document.issues[0].message.startswith("4 running header(s)")
    expected = [RunningLine(number, "Notes on Fruit") for number in range(2, 6)]
    assert list(running_lines(pdf, name="sample.pdf")) == expected
    kept = read(pdf, keep_running_lines=True)
    assert all(page.text.startswith("Notes on Fruit\n") for page in kept)
    assert kept.issues == ()
    assert kept.reader_options["keep_running_lines"] == "true"
    assert "keep_running_lines" not in document.reader_options


def test_a_page_that_cleaning_empties_is_told() -> None:
    pages = [
        put("A head of all pages", y=800) + "".join(put(line, y=600) for line in prose(i)[:1]) for i in range(1, 6)
    ]
    pages[3] = put("A head of all pages", y=800)
    with pytest.warns(DocumentWarning, match="page-emptied: .*cleaning left nothing of the page"):
        document = read_document(drawn_pdf(pages), name="sample.pdf")
    assert ("page-emptied", 4) in codes(document)
    assert document.pages[3].text == ""


def small(text: str, x: float, y: float) -> str:
    return put(text.replace("(", r"\(").replace(")", r"\)"), x, y, 6)


@pytest.mark.parametrize(
    ("text", "mark", "shown"),
    [
        ("100%", "3", "100%³"),
        ("500", "1)", "500¹)"),
        ("EUR", "4", "EUR⁴"),
        ("1,250", "12", "1,250¹²"),
        (r"\(12\)", "2", "(12)²"),
    ],
)
def test_a_raised_mark_stays_one_where_nothing_else_stands_on_its_line(text: str, mark: str, shown: str) -> None:
    width = sum(
        {",": 2.78, "\\": 0, "(": 3.33, ")": 3.33, "%": 8.89, "E": 6.67, "U": 7.22, "R": 7.22}.get(c, 5.56)
        for c in text
    )
    content = put(text, 72, 700) + small(mark, 72 + width, 704) + put("Other words stand below.", 72, 600)
    assert read_document(drawn_pdf([content]), name="a.pdf").text.split("\n")[0] == shown


def form_text(content: str, *widgets: str) -> str:
    """The text of a page with these widgets."""
    numbers = range(100, 100 + len(widgets))
    page = f"/Annots [{' '.join(f'{n} 0 R' for n in numbers)}]"
    catalog = f"/AcroForm << /Fields [{' '.join(f'{n} 0 R' for n in numbers)}] >>"
    extra = {n: one.encode() for n, one in zip(numbers, widgets, strict=True)}
    return read_document(drawn_pdf([content], page=page, catalog=catalog, extra=extra), name="form.pdf").text


def box(name: str, left: float, bottom: float, *, width: float = 60, value: str = "", tick: bool | None = None) -> str:
    """A text field, or a box to tick."""
    what = f"/FT /Tx /V ({value})" if tick is None else f"/FT /Btn /AS /{'Yes' if tick else 'Off'}"
    rectangle = f"{left} {bottom} {left + width} {bottom + 14}"
    return f"<< /Type /Annot /Subtype /Widget /T ({name}) /Rect [{rectangle}] {what} >>"


def test_each_value_of_a_line_of_fields_stands_behind_its_own_label() -> None:
    content = put(r"Length \(m\)", 60, 700) + put(r"Beam \(m\)", 260, 700) + put("Remarks", 60, 660)
    fields = [
        box("b", 330, 697, value="3.1"),
        box("l", 130, 697, value="11.4"),
        box("r", 60, 640, width=300, value="late"),
    ]
    assert form_text(content, *fields) == "Length (m): 11.4 Beam (m): 3.1\nRemarks: late"


@pytest.mark.parametrize("labels_first", [True, False])
def test_boxes_to_tick_go_with_the_labels_on_their_side(labels_first: bool) -> None:
    shift = 0 if labels_first else 70
    content = put("Insured", 60 + shift, 700) + put("Charter", 160 + shift, 700) + put("Crewed", 260 + shift, 700)
    fields = [box(name, x, 698, width=12, tick=x == 110) for name, x in (("i", 110), ("c", 210), ("w", 310))]
    shown = form_text(content, *fields)
    assert shown == "Insured: checked Charter: not checked Crewed: not checked"
