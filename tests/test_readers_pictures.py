"""Pictures inside Office files, books, web pages and e-mails: recognised where an engine is there, or told by name."""

from __future__ import annotations

import base64
import gzip
import io
import re
import struct
import zipfile
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import pytest

from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.readers import ReadOptions, pictures, read_document
from sharedllm_docs.documents.readers.identify import identify
from sharedllm_docs.documents.readers.ocr import Line, Recognised, Word, engines
from sharedllm_docs.errors import DocumentWarning, EmptyDocumentError, UnknownFormatError

docx = pytest.importorskip("docx")
pptx = pytest.importorskip("pptx")
openpyxl = pytest.importorskip("openpyxl")
Image = pytest.importorskip("PIL.Image")

TEXT = "The yearly rent is 1,240 EUR."


def png(width: int = 400, height: int = 200, shade: int = 200) -> bytes:
    file = io.BytesIO()
    Image.new("L", (width, height), shade).save(file, "PNG")
    return file.getvalue()


PICTURE, SMALL, BROKEN = png(), png(20, 20), b"\x89PNG\r\n\x1a\n" + b"no picture" * 9
EMF = struct.pack("<II4i4i4s", 1, 108, 0, 0, 400, 200, 0, 0, 9000, 4500, b" EMF") + bytes(64)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><title>Tip</title><text>Ferry fare 7 EUR</text></svg>'


class FakeEngine:
    """Says the same of every picture."""

    name = "fake-1"
    confidence = 0.9

    def __init__(self) -> None:
        self.asked = 0

    def recognise(self, picture: Any) -> Recognised:
        self.asked += 1
        box = (0.0, 0.0, 290.0, 20.0)
        return Recognised.of([Line((Word(TEXT, box, self.confidence),), box, TEXT, self.confidence)])


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, own_process: None) -> FakeEngine:
    made = FakeEngine()
    monkeypatch.setattr(engines, "engine_name", lambda: made.name)
    monkeypatch.setattr(engines, "engine", lambda: made)
    return made


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch, own_process: None) -> None:
    monkeypatch.setattr(engines, "engine_name", lambda: "")


def saved(made: Any) -> bytes:
    file = io.BytesIO()
    made.save(file)
    return file.getvalue()


def in_docx(*data: bytes) -> bytes:
    made = docx.Document()
    made.add_paragraph("Before the picture.")
    for one in data:
        made.add_picture(io.BytesIO(one))
    made.add_paragraph("After it.")
    return saved(made)


def in_pptx(*data: bytes) -> bytes:
    made = pptx.Presentation()
    slide = made.slides.add_slide(made.slide_layouts[5])
    slide.shapes.title.text = "Before the picture."
    for number, one in enumerate(data):
        slide.shapes.add_picture(io.BytesIO(one), 0, 2_000_000 + 100_000 * number)
    return saved(made)


def in_xlsx(*data: bytes) -> bytes:
    from openpyxl.drawing.image import Image as Drawn

    made = openpyxl.Workbook()
    made.active.append(["Before the picture."])
    for number, one in enumerate(data):
        made.active.add_image(Drawn(io.BytesIO(one)), f"B{5 * number + 3}")
    return saved(made)


def in_html(*data: bytes) -> bytes:
    shown = "".join(f'<img src="data:image/png;base64,{base64.b64encode(one).decode()}">' for one in data)
    return f"<html><body><p>Before the picture. {shown}</p><p>After it.</p></body></html>".encode()


def in_mail(*data: bytes) -> bytes:
    made = EmailMessage()
    made["From"], made["Subject"] = "ann@example.org", "Rent"
    made.set_content("Before the picture.")
    shown = "".join(f'<img src="cid:p{number}@x">' for number in range(len(data)))
    made.add_alternative(f"<p>Before the picture.</p>{shown}<p>After it.</p>", subtype="html")
    for number, one in enumerate(data):
        made.get_payload()[1].add_related(one, "image", "png", cid=f"<p{number}@x>", filename=f"image{number}.png")
    return made.as_bytes()


def in_epub(*data: bytes) -> bytes:
    shown = "".join(f'<img src="../images/image{number}.png" alt="plan"/>' for number in range(len(data)))
    files = {
        "mimetype": b"application/epub+zip",
        "META-INF/container.xml": b'<container><rootfiles><rootfile full-path="o/p.opf"/></rootfiles></container>',
        "o/p.opf": b'<package><manifest><item id="a" href="text/a.xhtml" media-type="application/xhtml+xml"/>'
        b'</manifest><spine><itemref idref="a"/></spine></package>',
        "o/text/a.xhtml": f"<html><body><p>Before the picture.</p>{shown}<p>After it.</p></body></html>".encode(),
        **{f"o/images/image{number}.png": one for number, one in enumerate(data)},
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def in_rtf(*data: bytes) -> bytes:
    again = "{\\nonshppict{\\pict\\wmetafile8 0100}}"  # what old programs show of the same picture
    shown = "".join(f"{{\\*\\shppict{{\\pict{{\\*\\picprop}}\\pngblip\\picw9 {one.hex()}}}}}{again}" for one in data)
    return f"{{\\rtf1\\ansi Before the picture.\\par {shown}\\par After it.\\par}}".encode()


MAKERS: dict[str, Callable[..., bytes]] = {
    "a.docx": in_docx,
    "a.pptx": in_pptx,
    "a.xlsx": in_xlsx,
    "a.html": in_html,
    "a.eml": in_mail,
    "a.epub": in_epub,
    "a.rtf": in_rtf,
}
each_format = pytest.mark.parametrize("name", list(MAKERS))


def read(data: bytes, name: str, **options: Any) -> Document:
    return read_document(data, name=name, options=ReadOptions(**options))


def codes(document: Document) -> list[str]:
    return [issue.code for issue in document.issues]


@each_format
def test_a_picture_is_recognised_where_it_stands_and_once(name: str, fake: FakeEngine) -> None:
    data = MAKERS[name](PICTURE, PICTURE)
    document = read(data, name)
    text = document.text
    assert text.count(f"Picture: {TEXT}") == 1
    assert text.index("Before the picture.") < text.index(TEXT)
    assert "After it." not in text or text.index(TEXT) < text.index("After it.")
    assert fake.asked == 1
    assert codes(document) == ["text-recognised"]
    assert document.reader_options["ocr"] == "fake-1"
    found = identify(data, name=name, options=ReadOptions())
    assert found is None or found.recognised_options == document.reader_options


@each_format
def test_without_an_engine_pictures_are_told_by_name(name: str, without: None) -> None:
    with pytest.warns(DocumentWarning, match=r"1 picture\(s\) is not read: .+; install sharedllm-docs\[ocr\]"):
        document = read(MAKERS[name](PICTURE, SMALL), name)
    assert codes(document) == ["pictures-unread"]
    assert TEXT not in document.text
    named = {"a.docx": "image1.png", "a.pptx": "slide 1: Picture", "a.xlsx": "Sheet: image1.png"}
    named |= {"a.html": "data:image/png", "a.eml": "image0.png", "a.epub": "image0.png ('plan')", "a.rtf": "picture 1"}
    assert named[name] in document.issues[0].message


@each_format
def test_recognition_can_be_left_out(name: str, fake: FakeEngine) -> None:
    with pytest.warns(DocumentWarning, match="ocr='auto' reads it"):
        read(MAKERS[name](PICTURE), name, ocr="off")
    assert not fake.asked


def holding(name: str, data: bytes) -> bytes:
    """A file of this format whose one picture has these bytes, whatever they are."""
    if not name.endswith(("x",)):
        return MAKERS[name](data)
    return repacked(MAKERS[name](PICTURE), lambda path, old: data if "/media/" in path else old)


def repacked(archive: bytes, change: Callable[[str, bytes], bytes], **more: bytes) -> bytes:
    """A zip archive with other contents."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(file, "w") as new:
        for path in old.namelist():
            new.writestr(path, change(path, old.read(path)))
        for path, data in more.items():
            new.writestr(path, data)
    return file.getvalue()


@pytest.mark.parametrize("engine", ["fake", "without"])
@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it is empty"),
        (BROKEN, "Truncated File Read"),
        (b"neither this nor that", "cannot identify image file"),
        (EMF, "WMF and EMF drawings cannot be drawn here"),
        (b"<svg><text>\x00\x00</text></svg>", "is not text"),
    ],
    ids=["empty", "broken", "none", "unsupported", "broken drawing"],
)
@each_format
def test_a_picture_that_cannot_be_read_is_told_with_the_reason(
    name: str, data: bytes, why: str, engine: str, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(engine)
    with pytest.warns(DocumentWarning, match=r"1 picture\(s\) cannot be recognised: .+"):
        document = read(holding(name, data), name)
    assert codes(document) == ["recognition-failed"]
    assert why in document.issues[0].message
    assert " at 0x" not in document.issues[0].message
    assert "Before the picture." in document.text


@pytest.mark.parametrize("url", ["data:image/png;base64,====x", "data:image/png", "data:;base64,A"])
@pytest.mark.parametrize("name", ["a.html", "a.eml", "a.epub", "a.svg"])
def test_a_data_url_that_holds_nothing_is_told(name: str, url: str, without: None) -> None:
    page = f'<p>Text</p><img src="{url}" alt="Plan">'.encode()
    if name == "a.svg":
        page = f'<svg xmlns:xlink="x"><text>Text</text><image xlink:href="{url}" title="Plan"/></svg>'.encode()
    elif name == "a.eml":
        page = b"From: a@b.org\nSubject: Rent\nContent-Type: text/html\n\n" + page
    elif name == "a.epub":
        page = repacked(in_epub(), lambda path, old: old.replace(b"</body>", page + b"</body>"))
    with pytest.warns(DocumentWarning, match=r"1 picture\(s\) cannot be recognised: data:.*\('Plan'\) \(its data: URL"):
        document = read(page, name)
    assert codes(document) == ["recognition-failed"]


def linked(archive: bytes) -> bytes:
    """An Office file whose picture is linked and stands elsewhere."""

    def change(path: str, old: bytes) -> bytes:
        if path.endswith(".rels"):
            return re.sub(
                rb"<Relationship [^>]*media/[^>]*>",
                lambda match: re.sub(
                    rb'Target="[^"]*"', b'Target="file:///plans/a.png" TargetMode="External"', match[0]
                ),
                old,
            )
        return old.replace(b"r:embed=", b"r:link=") if path.endswith(".xml") else old

    return repacked(archive, change)


@pytest.mark.parametrize("name", ["a.docx", "a.pptx", "a.xlsx"])
def test_linked_pictures_are_told(name: str, without: None) -> None:
    document = read(linked(MAKERS[name](PICTURE)), name)
    assert codes(document) == ["pictures"]
    assert "1 picture(s) outside of the file are not read" in document.issues[0].message


@pytest.mark.parametrize("name", ["a.docx", "a.pptx", "a.xlsx", "a.eml", "a.epub"])
def test_pictures_that_are_missing_from_the_file_are_told(name: str, without: None) -> None:
    data = MAKERS[name](PICTURE)
    if name.endswith("x"):  # the reference leads nowhere
        data = repacked(data, lambda path, old: re.sub(rb'(r:embed=")[^"]*"', rb'\1rId99"', old))
    else:
        there = {"a.eml": (b"<p0@x>", b"<q9@x>"), "a.epub": (b"image0.png", b"image7.png")}[name]
        data = (
            data.replace(*there)
            if name == "a.eml"
            else repacked(data, lambda path, old: old.replace(*there) if path.endswith("xhtml") else old)
        )
    with pytest.warns(DocumentWarning):
        document = read(data, name)
    assert "recognition-failed" in codes(document)
    told = next(one.message for one in document.issues if one.code == "recognition-failed")
    assert "1 picture(s) cannot be recognised" in told
    assert "missing from the file" in told or "not in the e-mail" in told


@pytest.mark.parametrize(
    "shown", ['<img alt="Plan">', '<img src="" alt="Plan">', '<object data="plan.png" title="Plan">old</object>']
)
def test_pictures_that_a_page_does_not_hold_are_told(shown: str, without: None) -> None:
    document = read(f"<p>Text</p>{shown}".encode(), "a.html")
    assert codes(document) == ["pictures"]
    assert "1 picture(s) outside of the file are not read: " in document.issues[0].message
    assert "Plan" in document.issues[0].message
    assert document.text == "Text"


def test_a_picture_that_is_fetched_later_is_named_and_not_its_stand_in(without: None) -> None:
    page = f'<p>T</p><img src="data:image/png;base64,{base64.b64encode(SMALL).decode()}" data-src="harbour.png">'
    assert "harbour.png" in read(page.encode(), "a.html").issues[0].message


def test_pictures_in_markdown_are_read_where_the_text_holds_them_and_told_where_it_does_not(fake: FakeEngine) -> None:
    uri = f"data:image/png;base64,{base64.b64encode(PICTURE).decode()}"
    outside = "![plan](a.png) ![ref]\n\n`![code](b.png)`\n\n<img src='c.png'>\n\n[ref]: d.png"
    text = f"Rent: ![bill]({uri} 'scan') paid.\n\n{outside}"
    document = read(text.encode(), "a.md")
    assert document.text.startswith(f"Rent: ![bill](data:image/png 'scan') Picture: {TEXT} paid.\n\n![plan](a.png)")
    assert codes(document) == ["text-recognised", "pictures"]
    assert document.issues[1].message == "3 picture(s) outside of the file are not read: a.png, d.png, c.png"


def test_a_broken_picture_in_markdown_is_told_and_its_bytes_are_not_text(without: None) -> None:
    broken = base64.b64encode(BROKEN).decode()
    with pytest.warns(DocumentWarning, match=r"1 picture\(s\) cannot be recognised"):
        assert read(f"![a](data:image/png;base64,{broken})".encode(), "a.md").text == "![a](data:image/png)"
    drawn = base64.b64encode(SVG).decode()
    shown = read(f"![a](data:image/svg+xml;base64,{drawn})".encode(), "a.md").text
    assert shown == "![a](data:image/svg+xml) Picture: Ferry fare 7 EUR"


def test_small_pictures_are_signs_and_a_damaged_one_costs_no_other(fake: FakeEngine) -> None:
    with pytest.warns(DocumentWarning, match=r"1 picture\(s\) cannot be recognised: image1.png"):
        document = read(in_epub(SMALL, BROKEN, PICTURE), "a.epub")
    assert TEXT in document.text
    assert fake.asked == 1


def test_doubtful_text_is_not_taken_and_pictures_without_text_are_named(fake: FakeEngine) -> None:
    fake.confidence = 0.3
    document = read(in_docx(PICTURE), "a.docx")
    assert TEXT not in document.text
    assert [(one.code, "image1.png" in one.message) for one in document.issues] == [("pictures", True)]


def test_no_more_pictures_are_recognised_than_the_limit(fake: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_PICTURES", 2)
    with pytest.warns(DocumentWarning, match=r"1 picture\(s\) cannot be recognised \(at most 2 are\): image2.png"):
        read(in_epub(png(shade=1), png(shade=2), png(shade=3)), "a.epub")
    assert fake.asked == 2


def test_drawings_tell_their_text_themselves(without: None) -> None:
    page = (
        b"<p>Fares</p>"
        + SVG
        + b'<img src="data:image/svg+xml;base64,'
        + base64.b64encode(SVG.replace(b"7", b"9"))
        + b'">'
    )
    text = read(page, "a.html").text
    assert text == "Fares\n\nFerry fare 7 EUR\n\nPicture: Ferry fare 9 EUR"


def drawing(inner: str) -> bytes:
    return f'<svg xmlns="http://www.w3.org/2000/svg">{inner}</svg>'.encode()


DRAWINGS = [
    ("<text>Fare &lt; 7&#160;&amp; more</text>", "Fare < 7 & more"),
    ("<text>H<tspan dy='2'>2</tspan>O</text>", "H2O"),
    (
        "<text><tspan x='0' y='1'>First line</tspan><tspan x='0' y='9'>second line</tspan></text>",
        "First line\nsecond line",
    ),
    ("<text y='5'><tspan x='0' dy='0'>Harbour</tspan><tspan x='0' dy='12'>Office</tspan></text>", "Harbour\nOffice"),
    ("<text><tspan x='0' y='1'>Price</tspan><tspan x='90' y='1'>12 EUR</tspan></text>", "Price 12 EUR"),
    ("<text><tspan x='0' y='1'>Har</tspan><tspan x='9' y='1'>bour</tspan></text>", "Harbour"),
    ("<g><text>A</text><text display='none'>B</text><text style='display:none'>C</text></g>", "A"),
    ("<text visibility='hidden'>A</text><text>B</text><text>C</text>", "B\nC"),
    ("<foreignObject><div>Label <b>one</b></div></foreignObject>", "Label one"),
    ("<switch><foreignObject><p>Whole label</p></foreignObject><text>Whole la…</text></switch>", "Whole label"),
    ("<switch><text systemLanguage='de'>Hafen</text><text>Harbour</text></switch>", "Harbour"),
    (
        "<style>text{fill:red}</style><script>var a</script><title>T</title><defs><text>D</text></defs><text>A</text>",
        "A",
    ),
    ("<text>On <textPath>a curve</textPath></text>", "On a curve"),
    ("<text><![CDATA[5 < 6]]></text>", "5 < 6"),
]


@pytest.mark.parametrize(("inner", "text"), DRAWINGS)
def test_the_text_of_a_drawing_is_read_as_a_file_in_a_page_and_as_a_picture(
    inner: str, text: str, without: None
) -> None:
    data = drawing(inner)
    assert read(data, "a.svg").text == text
    assert read(b"<p>Plan</p>" + data, "a.html").text == f"Plan\n\n{text}"
    shown = read(in_html(data), "a.html").text
    assert shown == f"Before the picture.\n\nPicture: {text}\n\nAfter it."


@pytest.mark.parametrize(
    "data",
    [
        drawing("<text>7 € to Oln</text>"),
        b"\xef\xbb\xbf" + drawing("<text>7 € to Oln</text>"),
        gzip.compress(drawing("<text>7 € to Oln</text>")),
        "<?xml version='1.0' encoding='utf-16'?><svg><text>7 € to Oln</text></svg>".encode("utf-16"),
        "<?xml version='1.0' encoding='iso-8859-15'?>\n<svg><text>7 € to Oln</text></svg>".encode("iso-8859-15"),
        "<!-- a <svg> --><?pi x?><svg:svg xmlns:svg='http://www.w3.org/2000/svg'><svg:text>7 € to "
        "<svg:tspan>Oln</svg:tspan></svg:text></svg:svg>".encode(),
        "<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN' 'http://www.w3.org/svg11.dtd' [\n<!ENTITY fare '7 €'>\n]>"
        "<svg><text>&fare; to Oln</text></svg>".encode(),
    ],
    ids=["plain", "mark", "packed", "utf-16", "declared", "prefix", "entity"],
)
@pytest.mark.parametrize("name", ["a.svg", "drawing", "in a page"])
def test_drawings_in_every_form(data: bytes, name: str, without: None) -> None:
    if name == "in a page":
        assert "Picture: 7 € to Oln" in read(in_html(data), "a.html").text
    else:
        assert read(data, name).text == "7 € to Oln"


def test_entities_that_stand_for_much_more_are_bounded(without: None) -> None:
    data = b"<!DOCTYPE svg [<!ENTITY a '" + b"x" * 900 + b"'>]><svg><text>Fare " + b"&a;" * 90_000 + b"</text></svg>"
    assert len(read(data, "a.svg").text) < 3_000_000


@each_format
def test_a_drawing_in_every_format(name: str, without: None) -> None:
    if not name.endswith("x"):
        assert "Picture: Ferry fare 7 EUR" in read(holding(name, SVG), name).text
        return
    uri = "http://schemas.microsoft.com/office/drawing/2016/SVG/main"

    def change(
        path: str, old: bytes
    ) -> bytes:  # as Office writes it: a picture, and the drawing for those that know it
        more = f'><a:extLst><a:ext uri="x"><s:svgBlip xmlns:s="{uri}" r:embed="rId77"/></a:ext></a:extLst></a:blip>'
        old = re.sub(rb"(<a:blip [^>]*?)(?:/>|></a:blip>)", lambda match: match[1] + more.encode(), old)
        if path.endswith(".rels") and b"media/" in old:
            target = "../media/d.svg" if name != "a.docx" else "media/d.svg"
            kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/image"
            more = f'<Relationship Id="rId77" Type="{kind}" Target="{target}"/></Relationships>'
            old = old.replace(b"</Relationships>", more.encode())
        return old.replace(
            b'<Default Extension="xml"',
            b'<Default Extension="svg" ContentType="image/svg+xml"/>' * (path == "[Content_Types].xml")
            + b'<Default Extension="xml"',
        )

    folder = {"a.docx": "word", "a.pptx": "ppt", "a.xlsx": "xl"}[name]
    data = repacked(MAKERS[name](PICTURE), change, **{f"{folder}/media/d.svg": SVG})
    document = read(data, name)
    assert "Picture: Ferry fare 7 EUR" in document.text
    assert codes(document) == []


def test_a_picture_in_a_drawing_is_read_or_told(fake: FakeEngine) -> None:
    inner = f'<text>Plan</text><image href="data:image/png;base64,{base64.b64encode(PICTURE).decode()}"/>'
    assert read(drawing(inner), "a.svg").text == f"Plan\n\nPicture: {TEXT}"
    assert f"Picture: {TEXT}" in read(in_epub(drawing(inner)), "a.epub").text.replace("Picture: Plan\n", "")
    assert codes(read(drawing('<text>Plan</text><image href="harbour.png"/>'), "a.svg")) == ["pictures"]


def test_a_drawing_without_text_is_told(without: None) -> None:
    curve = drawing("<title>Curve</title><path d='M0 0L9 9'/>")
    document = read(in_html(curve), "a.html")
    assert [(one.code, one.message) for one in document.issues] == [
        ("pictures", "1 picture(s) hold no text: data:image/png")
    ]
    with pytest.raises(EmptyDocumentError, match=r"a\.svg is a drawing without text.*curves are no text"):
        read(curve, "a.svg")


def test_a_packed_drawing_that_is_cut_off_is_read_as_far_as_it_goes_or_refused(without: None) -> None:
    whole = gzip.compress(drawing("<text>Fare 7 EUR</text>" + "".join(f"<text>{n * 7919}</text>" for n in range(900))))
    with pytest.raises(UnknownFormatError):
        read(whole[:12], "a.svgz")
    with pytest.warns(DocumentWarning, match="is cut off"):
        document = read(whole[: len(whole) // 2], "a.svgz")
    assert document.text.startswith("Fare 7 EUR\n0\n7919")
    assert codes(document) == ["truncated"]


def test_pictures_outside_of_the_file_are_named(without: None) -> None:
    document = read(
        b'<p>Text</p><img src="plans/harbour.png" alt="Plan"><img src="https://example.org/a.gif">', "a.html"
    )
    assert codes(document) == ["pictures"]
    assert "plans/harbour.png ('Plan'), https://example.org/a.gif" in document.issues[0].message


def test_pictures_of_rtf_are_read_once_where_they_stand(fake: FakeEngine) -> None:
    table = (
        rb"{\rtf1\ansi\trowd\cellx1\cellx2 Boat {\pict\pngblip "
        + PICTURE.hex().encode()
        + rb"}\cell Fare\cell\row\par}"
    )
    assert f"Picture: {TEXT}" in read(table, "a.rtf").text
    cut = in_rtf(PICTURE)[:-60]
    with pytest.warns(DocumentWarning):
        document = read(cut, "a.rtf")
    assert {"truncated"} <= set(codes(document))
    binary = rb"{\rtf1\ansi Text {\pict\jpegblip\bin4 abcd}\par}"
    with pytest.warns(DocumentWarning, match="binary"):
        assert read(binary, "a.rtf").text == "Text"


def test_pictures_behind_a_slide_and_in_its_shapes_are_read(fake: FakeEngine) -> None:
    made = pptx.Presentation(io.BytesIO(in_pptx(PICTURE)))
    slide = made.slides[0]
    blip = next(slide.element.iter("{*}blip"))
    identity = blip.get("{http://schemas.openxmlformats.org/officeDocument/2006/relationships}embed")
    fill = (
        '<a:blipFill xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
        'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">'
        f'<a:blip r:embed="{identity}"/></a:blipFill>'
    )
    from lxml import etree

    box = slide.shapes.add_textbox(0, 0, 900_000, 900_000)
    box.text_frame.text = "In the box."
    box._element.spPr.append(etree.fromstring(fill))
    slide.shapes._spTree.remove(slide.shapes[1]._element)
    text = read(saved(made), "a.pptx").text
    assert text.endswith(f"In the box.\n\nPicture: {TEXT}")
    slide.background.fill.solid()
    properties = next(slide.element.iter("{*}bgPr"))
    properties.replace(properties[0], etree.fromstring(fill))
    assert read(saved(made), "a.pptx").text.startswith(f"Picture: {TEXT}")


def test_text_boxes_of_spreadsheets_are_read(fake: FakeEngine) -> None:
    data = in_xlsx(PICTURE)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    a = "http://schemas.openxmlformats.org/drawingml/2006/main"
    x = "http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing"
    words = "<a:r><a:t>Prices hold </a:t></a:r><a:r><a:t>until May.</a:t></a:r>"
    box = f'<x:sp xmlns:x="{x}" xmlns:a="{a}"><x:txBody><a:p>{words}</a:p></x:txBody></x:sp>'
    path = "xl/drawings/drawing1.xml"
    start = files[path].index(b"<pic>") if b"<pic>" in files[path] else files[path].index(b"<xdr:pic>")
    files[path] = files[path][:start] + box.encode() + files[path][start:]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    assert "Text box: Prices hold until May." in read(file.getvalue(), "a.xlsx", ocr="auto").text
