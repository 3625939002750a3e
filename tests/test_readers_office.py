"""DOCX, PPTX and XLSX: what a person sees is read, what nobody sees is left out and told, hostile files are refused."""

from __future__ import annotations

import datetime as dt
import io
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.readers import ReadOptions, read_document
from sharedllm_docs.documents.readers.office.number_format import shown
from sharedllm_docs.errors import (
    DamagedDocumentError,
    DocumentError,
    DocumentTooLargeError,
    DocumentWarning,
    EncryptedDocumentError,
    MissingExtraError,
    UnknownFormatError,
)

docx = pytest.importorskip("docx")
pptx = pytest.importorskip("pptx")
openpyxl = pytest.importorskip("openpyxl")


def saved(made: Any) -> bytes:
    file = io.BytesIO()
    made.save(file)
    return file.getvalue()


def changed(data: bytes, edit: Callable[[str, bytes], bytes | None], more: dict[str, bytes] | None = None) -> bytes:
    """The archive with every entry as ``edit`` gives it back (None leaves it out), and ``more`` entries."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            content = edit(entry.filename, old.read(entry))
            if content is not None:
                new.writestr(entry.filename, content)
        for name, content in (more or {}).items():
            new.writestr(name, content)
    return file.getvalue()


def body(data: bytes, old: str, new: str) -> bytes:
    """A DOCX with a piece of its text's XML replaced."""

    def edit(name: str, content: bytes) -> bytes:
        if name != "word/document.xml":
            return content
        assert old.encode() in content
        return content.replace(old.encode(), new.encode())

    return changed(data, edit)


def codes(document: Document) -> list[tuple[str, int | None]]:
    return [(issue.code, issue.page) for issue in document.issues]


def read(data: bytes, name: str, **options: Any) -> Document:
    return read_document(data, name=name, options=ReadOptions(**options))


# -- DOCX


def report() -> Any:
    made = docx.Document()
    made.core_properties.title, made.core_properties.author = "Harbour plan", "Ann"
    made.add_heading("Harbour plan", 0)
    made.add_heading("Fees", 1)
    made.add_paragraph("The fee is 12 euros.")
    return made


def test_docx_headings_are_sections_and_properties_metadata() -> None:
    document = read(saved(report()), "plan.docx")
    assert document.text == "Harbour plan\n\nFees\n\nThe fee is 12 euros."
    assert [(one.title, one.level, document.text[one.char :][:4]) for one in document.sections] == [
        ("Harbour plan", 1, "Harb"),
        ("Fees", 1, "Fees"),
    ]
    assert (document.metadata["title"], document.metadata["author"]) == ("Harbour plan", "Ann")
    assert document.page_word == ""
    assert document.section_path(document.text.index("12 euros")) == ("Fees",)


def test_docx_lists_are_numbered_as_word_numbers_them() -> None:
    made = docx.Document()
    for text, style in [
        ("one", "List Number"),
        ("two", "List Number"),
        ("dot", "List Bullet"),
        ("three", "List Number"),
    ]:
        made.add_paragraph(text, style=style)
    assert read(saved(made), "a.docx").text.split("\n") == ["1. one", "2. two", "- dot", "3. three"]


def table(made: Any, rows: list[list[str]]) -> Any:
    grid = made.add_table(len(rows), len(rows[0]))
    for at, row in enumerate(rows):
        for column, text in enumerate(row):
            grid.cell(at, column).text = text
    return grid


def test_docx_tables_keep_head_and_cell_together() -> None:
    made = docx.Document()
    table(made, [["Boat", "Built", "Crew"], ["Heron", "1911", "5"], ["Tern", "1932", "3"]])
    assert read(saved(made), "a.docx").text.split("\n") == [
        "Boat | Built | Crew",
        "Heron | Built: 1911 | Crew: 5",
        "Tern | Built: 1932 | Crew: 3",
    ]


def test_docx_merged_cells_hold_for_every_row_and_column_they_span() -> None:
    made = docx.Document()
    grid = table(made, [["Port", "Boat", "Tons"], ["Brel", "Heron", "12"], ["", "Tern", "9"]])
    grid.cell(1, 0).merge(grid.cell(2, 0))
    lines = read(saved(made), "a.docx").text.split("\n")
    assert lines[1:] == ["Brel | Boat: Heron | Tons: 12", "Brel | Boat: Tern | Tons: 9"]


def test_docx_heads_over_several_columns_name_each_and_pairs_of_words_have_none() -> None:
    made = docx.Document()
    grid = table(made, [["Class", "Toll", ""], ["", "2024", "2025"], ["Cars", "12", "14"], ["Lorries", "30", "(33)"]])
    grid.cell(0, 1).merge(grid.cell(0, 2))
    grid.cell(0, 0).merge(grid.cell(1, 0))
    table(made, [["Chair", "Ann Lee"], ["Clerk", "Bo Ek"], ["Auditor", "Cy Dahl"]])
    assert read(saved(made), "a.docx").text.split("\n") == [
        *("Class | Toll 2024 | Toll 2025", "Cars | Toll 2024: 12 | Toll 2025: 14"),
        *("Lorries | Toll 2024: 30 | Toll 2025: (33)", ""),
        *("Chair | Ann Lee", "Clerk | Bo Ek", "Auditor | Cy Dahl"),
    ]


def test_xlsx_a_title_and_a_unit_that_stand_apart_are_those_of_the_table_below() -> None:
    made = book(
        [["Income"], ["EUR thousand"], [], ["", 2024, 2025], *([f"Berth {n}", n, n + 1] for n in range(40))], "Q1"
    )
    document = read(saved(made), "a.xlsx")
    place = document.text.index("Berth 30 |")
    assert document.table_title(place) == "Q1: Income: EUR thousand"
    assert document.text[place:].startswith("Berth 30 | 2024: 30 | 2025: 31")


def test_docx_tracked_changes_show_the_new_text() -> None:
    old = "<w:t>The fee is 12 euros.</w:t></w:r>"
    new = (
        "<w:t>The fee is </w:t></w:r><w:del w:id='1' w:author='A'><w:r><w:delText>12</w:delText></w:r></w:del>"
        "<w:ins w:id='2' w:author='A'><w:r><w:t>15</w:t></w:r></w:ins><w:r><w:t> euros.</w:t></w:r>"
    )
    with pytest.warns(DocumentWarning, match=r"deleted-text: .*1 tracked deletion"):
        document = read(body(saved(report()), old, new), "a.docx")
    assert "The fee is 15 euros." in document.text
    assert "12" not in document.text


def test_docx_hidden_text_is_left_out_and_told() -> None:
    made = report()
    made.add_paragraph("secret margin").runs[0].font.hidden = True
    with pytest.warns(DocumentWarning, match="hidden-text: .*1 run"):
        document = read(saved(made), "a.docx")
    assert "secret" not in document.text


def test_docx_comments_and_struck_out_text_are_marked() -> None:
    made = docx.Document()
    paragraph = made.add_paragraph("See the annex.")
    made.add_comment(paragraph.runs[0], text="Which one?", author="Ann")
    paragraph.add_run(" 80 crowns").font.strike = True
    assert read(saved(made), "a.docx").text == "See the annex.[deleted:  80 crowns]\n\nComment (Ann): Which one?"


FOOTNOTES = (
    b'<w:footnotes xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
    b'<w:footnote w:type="separator" w:id="-1"><w:p/></w:footnote>'
    b'<w:footnote w:id="2"><w:p><w:r><w:t>Only in summer.</w:t></w:r></w:p></w:footnote></w:footnotes>'
)


def test_docx_footnotes_follow_their_paragraph_and_no_number_grows_by_their_mark() -> None:
    data = body(saved(report()), "12 euros.</w:t></w:r>", "250</w:t></w:r><w:r><w:footnoteReference w:id='2'/></w:r>")
    relation = (
        b'<Relationship Id="rId99" '
        b'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes" '
        b'Target="footnotes.xml"/></Relationships>'
    )
    kind = (
        b'<Override PartName="/word/footnotes.xml" '
        b'ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"/></Types>'
    )

    def edit(name: str, content: bytes) -> bytes:
        if name == "word/_rels/document.xml.rels":
            return content.replace(b"</Relationships>", relation)
        return content.replace(b"</Types>", kind) if name == "[Content_Types].xml" else content

    text = read(changed(data, edit, {"word/footnotes.xml": FOOTNOTES}), "a.docx").text
    assert "The fee is 250¹" in text
    assert "2501" not in text
    assert text.endswith("Footnote 1: Only in summer.")


def test_docx_pages_are_those_that_word_wrote_down() -> None:
    made = report()
    made.add_paragraph("Second page.")
    made.add_paragraph("Third page.")
    data = body(saved(made), "<w:t>Second page.", "<w:lastRenderedPageBreak/><w:t>Second page.")
    data = body(data, "<w:t>Third page.", "<w:lastRenderedPageBreak/><w:t>Third page.")
    document = read(data, "a.docx")
    assert [page.text for page in document.pages][1:] == ["Second page.", "Third page."]
    assert document.page_word == "page"
    assert [page.number for page in read(data, "a.docx", pages="2-3").pages] == [2, 3]


def test_docx_forced_breaks_tell_pages_only_where_no_page_can_lie_between() -> None:
    short, long = report(), report()
    for made, lines in ((short, 2), (long, 90)):
        for number in range(lines):
            made.add_paragraph(f"Line {number} of the first part.")
        made.add_page_break()
        made.add_paragraph("After the break.")
    assert [page.text for page in read(saved(short), "a.docx").pages][1:] == ["After the break."]
    document = read(saved(long), "a.docx")
    assert len(document.pages) == 1
    assert document.text.endswith("After the break.")


def test_docx_headers_are_read_once_and_page_numbers_not() -> None:
    made = report()
    made.sections[0].header.paragraphs[0].text = "Port authority of Brel"
    assert read(saved(made), "a.docx").text.startswith("Port authority of Brel\n\nHarbour plan")


def test_docx_headers_of_first_pages_and_of_later_sections_are_read() -> None:
    from docx.enum.section import WD_SECTION

    made = report()
    first = made.sections[0]
    first.different_first_page_header_footer = True
    first.first_page_header.paragraphs[0].text = "Letter of 3 May"
    first.header.paragraphs[0].text = "Port authority"
    table = first.footer.add_table(1, 2, 3_000_000)
    table.cell(0, 0).text, table.cell(0, 1).text = "IBAN", "BR12 3456"
    second = made.add_section(WD_SECTION.NEW_PAGE)
    second.header.is_linked_to_previous = False
    second.header.paragraphs[0].text = "Annex of tariffs"
    text = read(saved(made), "a.docx").text
    assert [text.count(one) for one in ("Letter of 3 May", "Port authority", "Annex of tariffs")] == [1, 1, 1]
    assert "IBAN | BR12 3456" in text


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ("", "", ""),
        ("Page ", "", ""),
        ("Port authority\t", "", "Port authority"),
        ("Contract 17-A, page ", "", "Contract 17-A, page"),
        ("Page ", "\tOffice hours 9 to 5", "Office hours 9 to 5"),
    ],
)
def test_docx_what_stands_beside_the_number_of_a_page_is_read(before: str, after: str, shown: str) -> None:
    from docx.oxml import parse_xml
    from docx.oxml.ns import nsdecls

    made = report()
    paragraph = made.sections[0].footer.paragraphs[0]
    paragraph.add_run(before)
    field = ("begin", "PAGE", "separate", "7", "end")
    for piece in field:
        inner = f'<w:fldChar w:fldCharType="{piece}"/>' if piece.isalpha() and piece.islower() else ""
        inner = inner or ("<w:instrText>PAGE</w:instrText>" if piece == "PAGE" else "<w:t>7</w:t>")
        paragraph._p.append(parse_xml(f"<w:r {nsdecls('w')}>{inner}</w:r>"))
    paragraph.add_run(after)
    text, plain = read(saved(made), "a.docx").text, read(saved(report()), "a.docx").text
    assert text == (f"{plain}\n\n{shown}" if shown else plain)


def test_docx_the_letters_of_a_watermark_are_read() -> None:
    from docx.oxml import parse_xml
    from docx.oxml.ns import nsdecls

    made = report()
    paragraph = made.sections[0].header.paragraphs[0]
    mark = '<v:shape xmlns:v="urn:schemas-microsoft-com:vml"><v:textpath string="DRAFT, not signed"/></v:shape>'
    paragraph.add_run()._r.append(parse_xml(f"<w:pict {nsdecls('w')}>{mark}</w:pict>"))
    assert read(saved(made), "a.docx").text.startswith("DRAFT, not signed\n\n")


def test_docx_inserted_documents_are_told() -> None:
    from docx.oxml import parse_xml
    from docx.oxml.ns import nsdecls

    made = report()
    made.element.body.insert(0, parse_xml(f"<w:altChunk {nsdecls('w', 'r')} r:id='rId99'/>"))
    with pytest.warns(DocumentWarning, match=r"1 inserted document\(s\) are not read"):
        assert [one.code for one in read(saved(made), "a.docx").issues] == ["embedded-files"]


def test_xlsx_sheets_that_are_a_chart_are_told() -> None:
    from openpyxl.chart import BarChart, Reference

    made = openpyxl.Workbook()
    made.active.append(["Fares", 7])
    chart = BarChart()
    chart.add_data(Reference(made.active, min_col=2, min_row=1))
    made.create_chartsheet("Fares by town").add_chart(chart)
    document = read(saved(made), "a.xlsx")
    assert [(one.code, one.message) for one in document.issues] == [
        ("pictures", "1 sheet(s) that are a chart are left out: 'Fares by town'")
    ]


def test_docx_charts_and_diagrams_are_read() -> None:
    from docx.opc.constants import RELATIONSHIP_TYPE
    from docx.opc.packuri import PackURI
    from docx.opc.part import Part
    from docx.oxml import parse_xml
    from docx.oxml.ns import nsdecls

    c, a = (f"http://schemas.openxmlformats.org/drawingml/2006/{one}" for one in ("chart", "main"))
    points = "".join(f'<c:pt idx="{n}"><c:v>{v}</c:v></c:pt>' for n, v in enumerate(("Oln", "Brel")))
    values = "".join(f'<c:pt idx="{n}"><c:v>{v}</c:v></c:pt>' for n, v in enumerate((11, 9)))
    chart = (
        f'<c:chartSpace xmlns:c="{c}" xmlns:a="{a}"><c:chart><c:title><c:tx><c:rich><a:p><a:r><a:t>Fares</a:t></a:r>'
        "</a:p></c:rich></c:tx></c:title><c:plotArea><c:barChart><c:ser><c:tx><c:strRef><c:strCache><c:pt idx='0'>"
        f"<c:v>EUR</c:v></c:pt></c:strCache></c:strRef></c:tx><c:cat><c:strRef><c:strCache>{points}</c:strCache>"
        f"</c:strRef></c:cat><c:val><c:numRef><c:numCache>{values}</c:numCache></c:numRef></c:val></c:ser></c:barChart>"
        "</c:plotArea></c:chart></c:chartSpace>"
    )
    line = "<a:p><a:r><a:t>First book, then board</a:t></a:r></a:p>"
    diagram = f'<d:dataModel xmlns:d="urn:d" xmlns:a="{a}">{line}</d:dataModel>'
    made = report()
    for number, (xml, kind) in enumerate(
        [(chart, "chart"), (diagram, "diagram"), ("<c:chartSpace", "chart"), ("<d", "diagram")]
    ):
        part = Part(PackURI(f"/word/drawn/{number}.xml"), "application/xml", xml.encode(), made.part.package)
        identity = made.part.relate_to(part, f"{RELATIONSHIP_TYPE.IMAGE}{kind}")
        shown = f'<c:chart xmlns:c="{c}" r:id="{identity}"/>'
        if kind == "diagram":
            shown = f'<d:relIds xmlns:d="http://schemas.openxmlformats.org/drawingml/2006/diagram" r:dm="{identity}"/>'
        run = made.add_paragraph().add_run()
        run._r.append(parse_xml(f"<w:drawing {nsdecls('w', 'r')}>{shown}</w:drawing>"))
    with pytest.warns(DocumentWarning, match=r"1 diagram\(s\) are missing or damaged"):
        document = read(saved(made), "a.docx")
    assert "Fares\n" in document.text
    assert "Oln | EUR: 11\nBrel | EUR: 9" in document.text
    assert "First book, then board" in document.text
    assert [(one.code, one.message) for one in document.issues] == [
        ("pictures", "1 chart(s) whose values are not in the file"),
        ("structure-failed", "1 diagram(s) are missing or damaged"),
    ]


# -- PPTX


@pytest.mark.parametrize(
    "xml",
    [
        '<p:cmLst xmlns:p="urn:p"><p:cm><p:text>Check the price.</p:text></p:cm></p:cmLst>',
        '<q:cmLst xmlns:q="urn:q" xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><q:cm><q:txBody><a:p><a:r>'
        "<a:t>Check the </a:t></a:r><a:r><a:t>price.</a:t></a:r></a:p></q:txBody></q:cm></q:cmLst>",
        "<p:cmLst",
    ],
    ids=["older", "newer", "damaged"],
)
def test_pptx_comments_are_read(xml: str) -> None:
    from pptx.opc.package import Part
    from pptx.opc.packuri import PackURI

    made = slides()
    slide = made.slides[0].part
    part = Part(PackURI("/ppt/comments/comment1.xml"), "application/xml", slide.package, xml.encode())
    slide.relate_to(part, "http://schemas.openxmlformats.org/officeDocument/2006/relationships/comments")
    if xml == "<p:cmLst":
        with pytest.warns(DocumentWarning, match="with comments are missing or damaged"):
            assert [one.page for one in read(saved(made), "kelp.pptx").issues] == [1]
    else:
        assert "Comment: Check the price." in read(saved(made), "kelp.pptx").pages[0].text


def test_pptx_a_slide_whose_layout_is_missing_is_read() -> None:
    made = slides()
    for slide in made.slides:
        for identity, relation in list(slide.part.rels.items()):
            if relation.reltype.endswith("/slideLayout"):
                slide.part.drop_rel(identity)
                slide.part.rels.pop(identity) if identity in slide.part.rels else None
    text = read(saved(made), "kelp.pptx").text
    assert all(one in text for one in ("Kelp", "Price 2.60", "Costs", "Net | Euros: 310000"))


def test_pptx_shapes_that_newer_programs_show_are_read() -> None:
    from lxml import etree

    made = slides()
    tree = made.slides[0].shapes._spTree
    box = made.slides[0].shapes.add_textbox(0, 4_000_000, 900_000, 900_000)
    box.text_frame.text = "Area = length times width"
    holder = etree.fromstring(
        '<mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">'
        '<mc:Choice Requires="a14"/><mc:Fallback/></mc:AlternateContent>'
    )
    tree.append(holder)
    holder[1].append(etree.fromstring(etree.tostring(box._element)))
    holder[0].append(box._element)
    assert read(saved(made), "kelp.pptx").text.count("Area = length times width") == 1


def slides() -> Any:
    made = pptx.Presentation()
    first = made.slides.add_slide(made.slide_layouts[1])
    first.shapes.title.text, first.placeholders[1].text = "Kelp", "Price 2.60\nBoat Solan"
    first.notes_slide.notes_text_frame.text = "Say hello."
    second = made.slides.add_slide(made.slide_layouts[5])
    second.shapes.title.text = "Costs"
    grid = second.shapes.add_table(2, 2, 0, 3_000_000, 4_000_000, 900_000).table
    for at, text in enumerate(["Item", "Euros", "Net", "310000"]):
        grid.cell(at // 2, at % 2).text = text
    return made


def test_pptx_a_slide_is_a_page_with_its_table_and_notes() -> None:
    document = read(saved(slides()), "kelp.pptx")
    assert [page.text for page in document.pages] == [
        "Kelp\n\nPrice 2.60\nBoat Solan\n\nSpeaker notes: Say hello.",
        "Costs\n\nItem | Euros\nNet | Euros: 310000",
    ]
    assert [(one.title, one.page) for one in document.sections] == [("Kelp", 1), ("Costs", 2)]
    assert document.page_word == "slide"


def test_pptx_hidden_slides_and_shapes_off_the_slide_are_left_out_and_told() -> None:
    made = slides()
    made.slides[1].element.set("show", "0")
    box = made.slides[0].shapes.add_textbox(made.slide_width + 10, 0, 1000, 1000)
    box.text_frame.text = "outside"
    with pytest.warns(DocumentWarning):
        document = read(saved(made), "kelp.pptx")
    assert codes(document) == [("hidden-text", 1), ("hidden-slide", 2)]
    assert "outside" not in document.text
    assert document.pages[1].text == ""


def test_pptx_charts_are_tables() -> None:
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE

    made = pptx.Presentation()
    slide = made.slides.add_slide(made.slide_layouts[6])
    data = CategoryChartData()
    data.categories = ["2023", "2024"]
    data.add_series("Revenue", (412.5, 430))
    slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, 0, 4_000_000, 3_000_000, data)
    assert read(saved(made), "a.pptx").text.split("\n") == ["Revenue", "2023 | Revenue: 412.5", "2024 | Revenue: 430"]


# -- XLSX


def test_a_sheet_named_by_blanks_has_a_heading_of_its_own() -> None:
    made = openpyxl.Workbook()
    made.active.title = "Costs"
    made.active.append(["Item", "Price"])
    sheet = made.create_sheet("  ")
    sheet.append(["Room", "Rent"])
    file = io.BytesIO()
    made.save(file)
    document = read(file.getvalue(), name="a.xlsx")
    assert [section.title for section in document.sections] == ["Costs", "Sheet 2"]


def book(rows: list[list[Any]], title: str = "Costs") -> Any:
    made = openpyxl.Workbook()
    made.active.title = title
    for row in rows:
        made.active.append(row)
    return made


def test_xlsx_cells_bring_their_heads_and_sheets_are_pages() -> None:
    made = book([["Harbour costs in kEUR"], ["Item", "2024", "2025"], ["Crane", 12, 14], ["Dredge", 8, 9]])
    made.active.merge_cells("A1:C1")
    made.create_sheet("Second").append(["Only this"])
    document = read(saved(made), "costs.xlsx")
    assert document.pages[0].text.split("\n") == [
        *("Costs", "", "Harbour costs in kEUR", ""),
        *("Item | 2024 | 2025", "Crane | 2024: 12 | 2025: 14", "Dredge | 2024: 8 | 2025: 9"),
    ]
    assert [page.label for page in document.pages] == ["Costs", "Second"]
    assert document.page_word == "sheet"


def test_xlsx_two_rows_of_heads_with_merged_cells() -> None:
    made = book([["Region", "North", None, "South", None], [None, "Q1", "Q2", "Q1", "Q2"], ["Fish", 1, 2, 3, 4]])
    for span in ("A1:A2", "B1:C1", "D1:E1"):
        made.active.merge_cells(span)
    last = read(saved(made), "a.xlsx").text.split("\n")[-1]
    assert last == "Fish | North Q1: 1 | North Q2: 2 | South Q1: 3 | South Q2: 4"


def test_xlsx_long_tables_repeat_their_title() -> None:
    made = book([["Ferry fares"], ["Town", "Fare"], *([f"Town {n}", n] for n in range(60))])
    text = read(saved(made), "a.xlsx").text
    assert text.count("Ferry fares") > 3


def test_xlsx_rows_come_with_sheet_title_and_heads_and_are_quoted_as_shown() -> None:
    rows: list[list[Any]] = [["Harbour costs (in EUR)"], ["Harbour", "2023", "2024"]]
    rows += [[f"Harbour {chr(65 + n)}", 100 * n + 11, 90 * n + 7] for n in range(20)]
    document = read(saved(book(rows, "Northern")), "costs.xlsx")
    place = document.text.index("Harbour K | ")
    end = document.text.index("\n", place)
    assert document.text[place:end] == "Harbour K | 2023: 1011 | 2024: 907"
    assert document.printed(place, end) == "Harbour K | 1011 | 907"
    assert document.table_title(place) == "Northern: Harbour costs (in EUR)"
    assert document.section_path(place) == ("Northern",)
    # any four hundred characters of it name the sheet
    assert all("Northern" in document.text[a : a + 400] for a in range(0, len(document.text) - 400, 10))


@pytest.mark.parametrize("name", ["boats.docx", "boats.pptx", "boats.xlsx", "boats.csv"])
def test_what_a_table_repeats_is_known_in_every_format(name: str) -> None:
    rows = [["Boat", "Built", "Crew"], ["Heron", "1911", "5"], ["Tern", "1932", "3"]]
    if name.endswith(".docx"):
        made = docx.Document()
        made.add_heading("Boats", 1)
        table(made, rows)
        data = saved(made)
    elif name.endswith(".pptx"):
        show = pptx.Presentation()
        slide = show.slides.add_slide(show.slide_layouts[5])
        slide.shapes.title.text = "Boats"
        shape = slide.shapes.add_table(3, 3, 0, 2_000_000, 4_000_000, 1_000_000)
        for at, row in enumerate(rows):
            for column, text in enumerate(row):
                shape.table.cell(at, column).text = text
        data = saved(show)
    else:
        data = saved(book(rows)) if name.endswith(".xlsx") else "\n".join(map(",".join, rows)).encode()
    document = read(data, name)
    place = document.text.index("Tern")
    assert document.text[place:].startswith("Tern | Built: 1932 | Crew: 3")
    assert document.printed(place, place + 28) == "Tern | 1932 | 3"
    for section in document.sections:
        assert document.text[section.char :].startswith(section.title)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (['"Heron,5', "Tern,3", "Gull,2"], ["row 2 has a quote that is not closed: lines 2 to 4 are read as one row"]),
        (["Tern,3", 'Heron,"5', "Gull,2"], ["row 3 has a quote that is not closed: lines 3 to 4 are read as one row"]),
        (["Tern,3", 'Heron,"5'], ["row 3 has a quote that is not closed: line 3 is read as one row"]),
        (['"Heron,5', "Tern,3", '"Gull",2', "Auk,1"],
         ["row 2 has a quote that is not closed: lines 2 to 4 are read as one row"]),
        (['"Heron\nof 1911",5', '"T",3', '"Gull ""x""",2'], []),
        (['Heron "of" 1911,5', '"Tern" x,3', '12",4'], []),
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", ["", "\n"])
@pytest.mark.parametrize(("suffix", "delimiter"), [("csv", ","), ("csv", ";"), ("tsv", "\t")])
def test_a_quote_that_is_not_closed_is_told_with_its_row(lines, told, end, suffix, delimiter) -> None:
    data = ("\n".join(["Boat,Crew", *lines]) + end).replace(",", delimiter).encode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        document = read(data, f"a.{suffix}")
    assert [one.message for one in document.issues if one.code == "unclosed-quote"] == told


def test_a_row_without_a_label_takes_the_words_further_on() -> None:
    data = b"Item;Unit price;Amount\nRope;14.50;29.00\nFender;9.00;36.00\n;Total;65.00\n;;3.00\n"
    assert read(data, "a.csv").text.split("\n")[-2:] == ["Total | Amount: 65.00", "Amount: 3.00"]


def test_xlsx_formulas_show_kept_values_and_others_are_told() -> None:
    made = book([["Item", "Sum"], ["Net", "=1+1"], ["Gross", "=B2*2"]])

    def keep(name: str, content: bytes) -> bytes:
        return content.replace(b"<f>1+1</f><v/>", b"<f>1+1</f><v>2</v>").replace(
            b"<f>1+1</f><v></v>", b"<f>1+1</f><v>2</v>"
        )

    with pytest.warns(DocumentWarning, match=r"formula-without-value: .*1 formula"):
        text = read(changed(saved(made), keep), "a.xlsx").text
    assert text.split("\n")[-2:] == ["Net | Sum: 2", "Gross | Sum: =B2*2"]


def test_xlsx_hidden_parts_are_left_out_and_told() -> None:
    made = book([["Item", "Fee", "Secret"], ["Crane", 1, 111], ["Winch", 2, 222], ["Hidden", 3, 333]])
    made.active.row_dimensions[4].hidden = True
    made.active.column_dimensions["C"].hidden = True
    made.create_sheet("Notes").append(["nobody sees this"])
    made["Notes"].sheet_state = "hidden"
    with pytest.warns(DocumentWarning):
        document = read(saved(made), "a.xlsx")
    assert codes(document) == [("hidden-cells", 1), ("hidden-sheet", 2)]
    assert not any(word in document.text for word in ("111", "333", "Secret", "Hidden", "nobody"))


def test_xlsx_comments_on_cells_are_read() -> None:
    from openpyxl.comments import Comment

    made = book([["Item", "Fee"], ["Crane", 1]])
    made.active["A2"].comment = Comment("needs repair", "Ann")
    assert read(saved(made), "a.xlsx").text.endswith("Comment (A2): needs repair")


def test_xlsx_a_forged_dimension_costs_nothing() -> None:
    data = changed(
        saved(book([["a", "b"], [1, 2]])),
        lambda name, content: content.replace(b'ref="A1:B2"', b'ref="A1:XFD1048576"'),
    )
    assert read(data, "a.xlsx").text.split("\n")[-1] == "1 | b: 2"


@pytest.mark.usefixtures("own_process")
def test_xlsx_more_cells_than_anyone_reads_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from sharedllm_docs.documents.readers.office import xlsx

    monkeypatch.setattr(xlsx, "MAX_CELLS", 20)
    with pytest.raises(DocumentTooLargeError, match="more than 20 filled cells"):
        read(saved(book([[1, 2, 3]] * 10)), "a.xlsx")


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (1234.5, "#,##0.00", "1,234.50"),
        (0.256, "0%", "26%"),
        (0.256, "0.0%", "25.6%"),
        (-12, "#,##0;[Red](#,##0)", "(12)"),
        (1234567, '#,##0,"K"', "1,235K"),
        (5, "000", "005"),
        (12.5, "[$€-407] #,##0.00", "€ 12.50"),
        (1500, '_-* #,##0.00\\ "€"_-', "1,500.00 €"),
        (dt.datetime(2024, 3, 5), "dd.mm.yyyy", "05.03.2024"),
        (dt.datetime(2024, 3, 5, 14, 7), "d mmm yyyy h:mm AM/PM", "5 Mar 2024 2:07 PM"),
        (dt.date(2024, 3, 5), "dddd, d mmmm yyyy", "Tuesday, 5 March 2024"),
        (dt.time(9, 5), "hh:mm", "09:05"),
        (dt.timedelta(hours=30, minutes=5), "[h]:mm", "30:05"),
        (45000.5, "yyyy-mm-dd hh:mm", "2023-03-15 12:00"),
        (0.1 + 0.2, "General", "0.3"),
        (1e12, "General", "1E+12"),
        (12345.678, "0.00E+00", "1.23E+04"),
        (0, '#,##0;-#,##0;"-"', "-"),
        (0.5, "#.##", ".5"),
        (5, '0 "pcs"', "5 pcs"),
        (-0.001, "0.00", "0.00"),
        (7, '[>5]"big "0;"small "0', "big 7"),
        (3, '[>5]"big "0;"small "0', "small 3"),
        (True, "General", "TRUE"),
        ("abc", "@", "abc"),
        (2.5, "# ?/?", "2.5"),
    ],
)
def test_values_show_as_in_excel(value: Any, code: str, text: str) -> None:
    assert shown(value, code) == text


# -- bad files of all three


def samples() -> list[tuple[str, bytes]]:
    return [
        ("a.docx", saved(report())),
        ("a.pptx", saved(slides())),
        ("a.xlsx", saved(book([["Item", "Fee"], ["Crane", 1]]))),
    ]


@pytest.mark.parametrize(("name", "data"), samples())
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_damaged(name: str, data: bytes, share: float) -> None:
    with pytest.raises(DamagedDocumentError, match="truncated or damaged"):
        read(data[: int(len(data) * share)], name)


@pytest.mark.parametrize(("name", "data"), samples())
def test_a_wrong_ending_is_told(name: str, data: bytes) -> None:
    other = "a.xlsx" if name != "a.xlsx" else "a.docx"
    with pytest.raises(DocumentError):
        read(data, other)
    with pytest.raises(UnknownFormatError):
        read(b"%PDF-1.4 " + data, name)


@pytest.mark.parametrize(("name", "data"), samples())
def test_billion_laughs_are_refused(name: str, data: bytes) -> None:
    laughs = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'

    def edit(entry: str, content: bytes) -> bytes:
        return content.replace(b"?>", b"?>" + laughs, 1) if entry == "docProps/core.xml" else content

    bad = changed(data, edit)
    if bad == data or laughs not in zipfile.ZipFile(io.BytesIO(bad)).read("docProps/core.xml"):
        bad = changed(data, lambda entry, content: laughs + content if entry == "docProps/core.xml" else content)
    with pytest.raises(DamagedDocumentError, match="declares entities"):
        read(bad, name)


@pytest.mark.parametrize(("name", "data"), samples())
def test_a_zip_bomb_is_refused_before_it_is_unpacked(name: str, data: bytes) -> None:
    with pytest.raises(DocumentTooLargeError, match=r"unpacks to [\d,]+ times its size"):
        read(changed(data, lambda _, content: content, {"word/media/bomb.xml": b" " * (40 << 20)}), name)


@pytest.mark.parametrize("name", ["a.docx", "a.pptx", "a.xlsx"])
def test_an_old_office_file_is_told_what_to_do(name: str) -> None:
    with pytest.raises(UnknownFormatError, match="before 2007"):
        read(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, name)


@pytest.mark.parametrize(("name", "data"), samples())
def test_an_encrypted_file_wants_its_password(name: str, data: bytes) -> None:
    office = pytest.importorskip("msoffcrypto.format.ooxml")
    file = io.BytesIO()
    office.OOXMLFile(io.BytesIO(data)).encrypt("geheim", file)
    locked = file.getvalue()
    with pytest.raises(EncryptedDocumentError, match="needs a password"):
        read(locked, name)
    with pytest.raises(EncryptedDocumentError, match="is wrong"):
        read(locked, name, password="falsch")
    assert read(locked, name, password="geheim").text == read(data, name).text


@pytest.mark.usefixtures("own_process")
@pytest.mark.parametrize(("name", "package"), [("a.docx", "docx"), ("a.pptx", "pptx"), ("a.xlsx", "openpyxl")])
def test_a_missing_package_is_named_with_the_remedy(name: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = dict(samples())[name]
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'sharedllm-docs\[office\]'"):
        read(data, name)


STATEMENT_ROWS = [
    *(["", "2024", "2023"], ["Revenue", "", ""], ["Ships", "1,204", "1,100"], ["Ports", "(88)", "-"]),
    *(["Expenses", "", ""], ["Ships", "(700)", "(650)"], ["Total", "416", "450"]),
]


def test_docx_and_pptx_rows_bring_the_heading_that_holds_for_them() -> None:
    package = docx.Document()
    table = package.add_table(len(STATEMENT_ROWS), 3)
    deck = pptx.Presentation()
    frame = deck.slides.add_slide(deck.slide_layouts[6]).shapes.add_table(
        len(STATEMENT_ROWS), 3, 0, 0, 4000000, 2000000
    )
    for grid in (table, frame.table):
        for row, cells in enumerate(STATEMENT_ROWS):
            for column, text in enumerate(cells):
                grid.cell(row, column).text = text
    for name, made in (("a.docx", package), ("a.pptx", deck)):
        held = io.BytesIO()
        made.save(held)
        text = read_document(held.getvalue(), name=name).text
        assert "Revenue: Ships | 2024: 1,204 | 2023: 1,100\nRevenue: Ports | 2024: (88) | 2023: -" in text
        assert "Expenses: Ships | 2024: (700) | 2023: (650)\nTotal | 2024: 416" in text


def test_xlsx_lists_side_by_side_are_lists_of_their_own() -> None:
    book = openpyxl.Workbook()
    for row in ([*"ab", None, *"cd"], ["Apple", 3, None, "Heron", 5], ["Pear", 4, None, "Tern", 6]):
        book.active.append(row)
    words = book.create_sheet("words")
    for row in (
        ["Alice", "Oslo", None, "Bob", "Bergen"],
        ["Carl", "Moss", None, "Dora", "Voss"],
        ["Eve", "Alta", None, "Finn", "Bodo"],
    ):
        words.append(row)
    form = book.create_sheet("form")
    for row in (["Invoice", "4711"], ["Date", "6 May"], ["Customer", "Northwind"]):
        form.append(row)
    held = io.BytesIO()
    book.save(held)
    document = read_document(held.getvalue(), name="lists.xlsx")
    assert "Apple | b: 3\nPear | b: 4" in document.pages[0].text
    assert "Heron | d: 5\nTern | d: 6" in document.pages[0].text
    assert "Carl | Moss" in document.pages[1].text
    assert "Bob | Bergen\nDora | Voss\nFinn | Bodo" in document.pages[1].text
    assert "Customer | Northwind" in document.pages[2].text


def test_xlsx_columns_of_figures_set_apart_stay_in_their_row() -> None:
    book = openpyxl.Workbook()
    for row in (["", "2024", None, "2023"], ["Ships", 36, None, 35], ["Staff", 12, None, 11]):
        book.active.append(row)
    held = io.BytesIO()
    book.save(held)
    assert "Staff | 2024: 12 | 2023: 11" in read_document(held.getvalue(), name="a.xlsx").text


WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def _form_run(data: str) -> str:
    field = '<w:r><w:fldChar w:fldCharType="begin">{}</w:fldChar></w:r>'
    return field.format(f"<w:ffData>{data}</w:ffData>") + '<w:r><w:fldChar w:fldCharType="end"/></w:r>'


@pytest.mark.parametrize(
    ("runs", "shown"),
    [
        (_form_run('<w:checkBox><w:default w:val="0"/><w:checked/></w:checkBox>'), "[x]"),
        (_form_run('<w:checkBox><w:default w:val="1"/><w:checked w:val="0"/></w:checkBox>'), "[ ]"),
        (_form_run('<w:checkBox><w:default w:val="1"/></w:checkBox>'), "[x]"),
        (_form_run('<w:ddList><w:result w:val="1"/><w:listEntry w:val="A"/><w:listEntry w:val="B"/></w:ddList>'), "B"),
        (_form_run('<w:ddList><w:listEntry w:val="One"/><w:listEntry w:val="Two"/></w:ddList>'), "One"),
        ("<w:r><w:ruby><w:rt><w:r><w:t>kan</w:t></w:r></w:rt><w:rubyBase><w:r><w:t>漢</w:t></w:r></w:rubyBase></w:ruby></w:r>",
         "漢 (kan)"),
    ],
)  # fmt: skip
def test_docx_fields_of_forms_and_readings_are_read(runs: str, shown: str) -> None:
    package = docx.Document()
    from docx.oxml import parse_xml

    package.add_paragraph("Pets:")._p.append(parse_xml(f'<w:hyperlink xmlns:w="{WORD}">{runs}</w:hyperlink>'))
    held = io.BytesIO()
    package.save(held)
    assert read_document(held.getvalue(), name="form.docx").text == f"Pets:{shown}"


def test_docx_text_hidden_by_a_style_is_left_out_and_told() -> None:
    from docx.oxml import OxmlElement

    package = docx.Document()
    for name, kind, base in (("Ghost", 1, None), ("Later", 1, "Ghost"), ("Faint", 2, None)):
        style = package.styles.add_style(name, kind)
        if base:
            style.base_style = package.styles[base]
        else:
            style.element.get_or_add_rPr().append(OxmlElement("w:vanish"))
    package.add_paragraph("hidden one", style="Ghost")
    package.add_paragraph("hidden two", style="Later")
    package.add_paragraph("Seen").add_run(" hidden three", style="Faint")
    held = io.BytesIO()
    package.save(held)
    with pytest.warns(DocumentWarning, match="3 run"):
        assert read_document(held.getvalue(), name="a.docx").text == "Seen"


def test_pptx_text_of_layouts_and_masters_is_read_once() -> None:
    deck = pptx.Presentation()
    blank = deck.slide_layouts[6]
    for shapes, text in ((blank.shapes, "Strictly confidential"), (deck.slide_masters[0].shapes, "Grey Heron Ferries")):
        box = deck.slides.add_slide(deck.slide_layouts[5]).shapes.add_textbox(0, 0, 900000, 900000)
        box.text_frame.text = text
        shapes._spTree.append(box._element)
    bare = deck.slides.add_slide(blank)
    bare.element.set("showMasterSp", "0")
    deck.slides.add_slide(blank)
    held = io.BytesIO()
    deck.save(held)
    pages = [page.text for page in read_document(held.getvalue(), name="a.pptx").pages]
    assert pages == ["Grey Heron Ferries", "", "", "Strictly confidential"]


def test_xlsx_headers_and_footers_of_printed_pages_are_read() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Dues"
    sheet.append(["Berth", 7])
    sheet.oddHeader.left.text, sheet.oddHeader.center.text = "Grey & Sons", "&A, unaudited"
    sheet.oddFooter.center.text, sheet.oddFooter.right.text = "Page &P of &N", "EUR thousand"
    held = io.BytesIO()
    book.save(held)
    text = read_document(held.getvalue(), name="a.xlsx").text
    assert text.endswith("Page header: Grey & Sons | Dues, unaudited\n\nPage footer: EUR thousand")
