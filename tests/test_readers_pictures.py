"""Pictures inside Office files, books, web pages and e-mails: recognised where an engine is there, or told by name."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import pytest

from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.readers import ReadOptions, pictures, read_document
from sharedllm_docs.documents.readers.identify import identify
from sharedllm_docs.documents.readers.ocr import Line, Recognised, Word, engines
from sharedllm_docs.errors import DocumentWarning

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


MAKERS: dict[str, Callable[..., bytes]] = {
    "a.docx": in_docx,
    "a.pptx": in_pptx,
    "a.xlsx": in_xlsx,
    "a.html": in_html,
    "a.eml": in_mail,
    "a.epub": in_epub,
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
    named |= {"a.html": "data:image/png", "a.eml": "image0.png", "a.epub": "image0.png ('plan')"}
    assert named[name] in document.issues[0].message


@each_format
def test_recognition_can_be_left_out(name: str, fake: FakeEngine) -> None:
    with pytest.warns(DocumentWarning, match="ocr='auto' reads it"):
        read(MAKERS[name](PICTURE), name, ocr="off")
    assert not fake.asked


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


def test_pictures_outside_of_the_file_are_named(without: None) -> None:
    document = read(
        b'<p>Text</p><img src="plans/harbour.png" alt="Plan"><img src="https://example.org/a.gif">', "a.html"
    )
    assert codes(document) == ["pictures"]
    assert "plans/harbour.png ('Plan'), https://example.org/a.gif" in document.issues[0].message


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
