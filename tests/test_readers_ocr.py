"""Text recognition: which pages are recognised, in what order lines are read, and how well scans come out."""

from __future__ import annotations

import difflib
import io
import re
import warnings
from pathlib import Path
from typing import Any

import pytest

from sharedllm_docs import Index
from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.readers import ReadOptions, read_document, recognised_words
from sharedllm_docs.documents.readers.identify import identify
from sharedllm_docs.documents.readers.legible import illegible
from sharedllm_docs.documents.readers.ocr import Line, Recognised, Word, engines
from sharedllm_docs.errors import ConfigError, DocumentWarning, ScannedDocumentError
from tests.documents import PICTURE, R_INTRO, drawn_pdf, make_pdf, prose, put
from tests.tiny_text import tiny_llm

SCAN_TEXT = "The yearly rent is 1,240 EUR."


def line(text: str, left: float, top: float, confidence: float = 0.9, height: float = 20) -> Line:
    box = (left, top, left + 10 * len(text), top + height)
    return Line((Word(text, box, confidence),), box, text, confidence)


class FakeEngine:
    """Recognises the same lines in every picture."""

    name = "fake-1"

    def __init__(self, *lines: Line) -> None:
        self.lines = lines
        self.pictures: list[tuple[int, ...]] = []

    def recognise(self, picture: Any) -> Recognised:
        self.pictures.append(picture.shape)
        return Recognised.of(self.lines)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, own_process: None) -> FakeEngine:
    made = FakeEngine(line(SCAN_TEXT, 100, 800))
    monkeypatch.setattr(engines, "engine_name", lambda: made.name)
    monkeypatch.setattr(engines, "engine", lambda: made)
    return made


def read(pdf: bytes, **options: Any) -> Document:
    return read_document(pdf, name="sample.pdf", options=ReadOptions(**options))


def codes(document: Document) -> list[tuple[str, int | None]]:
    return [(issue.code, issue.page) for issue in document.issues]


IMAGE = "BI /W 1 /H 1 /BPC 8 /CS /G ID a EI"
SCAN = f"q 595 0 0 842 0 0 cm {IMAGE} Q "

# -- which pages are recognised


def test_a_scan_among_pages_of_text_is_recognised(fake: FakeEngine) -> None:
    document = read(make_pdf([prose(1), (PICTURE,), prose(2)]))
    assert [page.text for page in document.pages] == ["\n".join(prose(1)), SCAN_TEXT, "\n".join(prose(2))]
    assert codes(document) == [("text-recognised", 2)]
    assert document.issues[0].message.endswith("(confidence 0.90)")
    assert document.reader_options["ocr"] == "fake-1"
    assert len(fake.pictures) == 1
    assert max(fake.pictures[0][:2]) == 1800


def test_a_scan_under_a_stamp_is_recognised_as_a_whole(fake: FakeEngine) -> None:
    document = read(drawn_pdf([SCAN + put("Envelope ID: 5D1F00AA", y=830, size=6)]))
    assert document.text == SCAN_TEXT


def test_without_an_engine_the_page_is_told_with_the_remedy() -> None:
    with pytest.warns(DocumentWarning, match=r"no-text-on-page: .* install sharedllm-docs\[ocr\]"):
        document = read(make_pdf([prose(1), (PICTURE,)]))
    assert codes(document) == [("no-text-on-page", 2)]
    with pytest.raises(ScannedDocumentError, match=r"Install sharedllm-docs\[ocr\]"):
        read(make_pdf([(PICTURE,)]))


def test_off_recognises_nothing(fake: FakeEngine) -> None:
    with pytest.warns(DocumentWarning, match=r"no-text-on-page: .* ocr='auto' recognises it"):
        document = read(make_pdf([prose(1), (PICTURE,)]), ocr="off")
    assert not fake.pictures
    assert "ocr" not in document.reader_options


def test_force_recognises_every_page(fake: FakeEngine) -> None:
    document = read(make_pdf([prose(1), prose(2)]), ocr="force")
    assert [page.text for page in document.pages] == [SCAN_TEXT, SCAN_TEXT]
    assert document.reader_options["ocr"] == "force fake-1"


def test_force_without_an_engine_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"needs an engine .* Install sharedllm-docs\[ocr\]"):
        read(make_pdf([prose(1)]), ocr="force")


def test_pages_of_text_alone_are_known_by_the_same_key_with_and_without_an_engine(
    fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pdf = make_pdf([prose(1)])
    assert read(pdf).reader_options == read(pdf, ocr="off").reader_options
    assert not fake.pictures
    found = identify(pdf, name="a.pdf", options=ReadOptions())
    assert found is not None
    assert found.recognised_options == {**found.reader_options, "ocr": "fake-1"}
    monkeypatch.setattr(engines, "engine_name", lambda: "")
    assert identify(pdf, name="a.pdf", options=ReadOptions()).recognised_options is None  # type: ignore[union-attr]


def test_a_picture_beside_text_is_read_behind_it_and_one_under_text_is_not(fake: FakeEngine) -> None:
    picture = f"q 400 0 0 300 100 60 cm {IMAGE} Q "
    beside = "".join(put(one, y=780 - 20 * row) for row, one in enumerate(prose(1)))
    document = read(
        drawn_pdf([picture + beside, picture + put("caption inside the picture of the page", y=200) + beside])
    )
    assert document.pages[0].text.endswith(f"\n\n{SCAN_TEXT}")
    assert SCAN_TEXT not in document.pages[1].text
    assert codes(document) == [("text-recognised", 1)]


def test_pictures_beside_text_are_told_where_nothing_reads_them() -> None:
    picture = f"q 400 0 0 300 100 60 cm {IMAGE} Q "
    small = f"q 40 0 0 20 100 60 cm {IMAGE} Q "
    beside = "".join(put(one, y=780 - 20 * row) for row, one in enumerate(prose(1)))
    with pytest.warns(DocumentWarning, match=r"text in 1 picture\(s\) on the page is not read; install sharedllm-docs"):
        document = read(
            drawn_pdf(
                [
                    picture + beside,
                    small + beside,
                    picture + put("caption inside the picture of the page", y=200) + beside,
                ]
            )
        )
    assert codes(document) == [("pictures-unread", 1)]


def test_pictures_beside_text_are_told_where_nothing_is_to_read_them(fake: FakeEngine) -> None:
    content = f"q 400 0 0 300 100 60 cm {IMAGE} Q " + put("A line of text", y=780)
    with pytest.warns(DocumentWarning, match="ocr='auto' recognises it"):
        assert codes(read(drawn_pdf([content]), ocr="off")) == [("pictures-unread", 1)]


def test_doubtful_lines_of_pictures_beside_text_are_not_taken(fake: FakeEngine) -> None:
    fake.lines = (line("l1I;:", 0, 0, confidence=0.4),)
    beside = "".join(put(one, y=780 - 20 * row) for row, one in enumerate(prose(1)))
    assert read(drawn_pdf([f"q 400 0 0 300 100 60 cm {IMAGE} Q " + beside])).issues == ()


def test_a_page_that_is_recognised_poorly_is_told_aloud(fake: FakeEngine) -> None:
    fake.lines = (line("Tbe yearIy rcnt is", 0, 0, confidence=0.55),)
    with pytest.warns(DocumentWarning, match=r"text-recognised-poorly: .*confidence 0\.55"):
        read(make_pdf([(PICTURE,)]))


def test_a_scan_in_which_nothing_is_recognised_is_told(fake: FakeEngine) -> None:
    fake.lines = ()
    with pytest.warns(DocumentWarning, match="no-text-on-page: .* no text is recognised in it"):
        assert codes(read(make_pdf([prose(1), (PICTURE,)]))) == [("no-text-on-page", 2)]


def test_words_with_boxes_and_confidence_on_request(fake: FakeEngine) -> None:
    words = recognised_words(make_pdf([prose(1), (PICTURE,)]), name="a.pdf")
    assert {page: [(word.text, word.confidence) for word in found] for page, found in words.items()} == {
        2: [(SCAN_TEXT, 0.9)]
    }
    assert words[2][0].box == (100, 800, 100 + 10 * len(SCAN_TEXT), 820)


def test_progress_counts_recognised_pages(fake: FakeEngine) -> None:
    steps: list[tuple[int, int]] = []
    read_document(
        make_pdf([(PICTURE,), (PICTURE,)]), name="a.pdf", progress=lambda done, total: steps.append((done, total))
    )
    assert steps == [(1, 2), (2, 2)]


# -- characters that are no text


@pytest.mark.parametrize(
    "text",
    [
        "\x01 \x04\x05\x06\x06\x07\x08\x08\x07\x05\t \x06\n \x05\t \x0b \x01\x02\x03\x04\x05",
        '!"# $%&\'( )*+,- ./ !"#$ %&\'() *+,-. /!"# $%&\'( )*+,- ./ !"#$ %&\'() *+,-. /!"#',
        "\ue001\ue002\ue003 \ue004\ue005 \ue006\ue007\ue008 \ue009 \ue00a\ue00b\ue00c",
        " ".join(
            "".join(chr((ord(c) - 97 + 11) % 26 + 97) for c in word) for word in " ".join(prose(1)).lower().split()
        ),
        "(cid:12)(cid:5) \ufffd\ufffd\ufffd\ufffd \ufffd\ufffd\ufffd\ufffd\ufffd\ufffd",
    ],
)
def test_glyph_numbers_are_no_text(text: str) -> None:
    assert illegible(text)


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(prose(1)),
        "Die Gebühr für das Café in Zürich ist hoch, und die Fahrt über den See dauert eine gute Stunde.",
        "Łódź jest miastem w środkowej Polsce, a jego mieszkańcy chętnie spacerują po szerokich ulicach i parkach.",
        "Suomen kieli kuuluu uralilaisiin kieliin ja sitä puhuu noin viisi miljoonaa ihmistä pääasiassa Suomessa.",
        "Gemi sabah erken saatlerde limandan ayrılıyor ve akşam olmadan önce adaya ulaşıyor; bilet ücreti on iki lira.",
        "Saya tinggal di kota kecil dan setiap hari pergi ke pasar untuk membeli sayur serta buah yang segar.",
        "每月租金是七百五十。管理人是李。",
        "Он пришёл домой и сел за стол.",
        "Q1 2025 | 24.7 | 21.3\nQ2 2025 | (1,234.50) | 12 %\n" * 5,
        "x <- c(1, 2, 3)\nif (x[1] > 2) { print(x$y) }\n" * 5,
        "Contents .................... 12\nIndex ........................ 40\n" * 4,
        "12",
    ],
)
def test_text_of_many_languages_tables_and_code_are_text(text: str) -> None:
    assert illegible(text) == ""


def test_no_page_of_the_example_is_doubted() -> None:
    document = read_document(R_INTRO)
    assert [page.number for page in document.pages if illegible(page.text)] == []


# -- reading order


def test_columns_are_read_one_after_the_other_under_their_title() -> None:
    left = [line(f"left column line {n} goes on", 0, 100 + 30 * n) for n in range(5)]
    right = [line(f"right column line {n} goes on", 400, 103 + 30 * n) for n in range(5)]
    title = line("A title that spans both of the columns of this page", 60, 20)
    found = Recognised.of([*right, title, *left])
    texts = [one.text for one in found.lines]
    assert texts == [title.text, *(one.text for one in left), *(one.text for one in right)]


def test_rows_of_a_table_stay_together() -> None:
    cells = [line(text, 200 * column, 50 * row) for row in range(4) for column, text in enumerate(("Boat", "12", "9"))]
    assert Recognised.of(cells).text.split("\n")[0] == "Boat | 12 | 9"


def test_confidence_is_the_mean_over_characters() -> None:
    found = Recognised.of([line("aaaa", 0, 0, 1.0), line("bb", 0, 50, 0.4)])
    assert found.confidence == pytest.approx(0.8)


# -- pictures


def test_a_picture_file_is_a_document(fake: FakeEngine, tmp_path: Path) -> None:
    Image = pytest.importorskip("PIL.Image")  # noqa: N806
    file = io.BytesIO()
    pages = [Image.new("RGBA", (400, 200), "white") for _ in range(2)]
    pages[0].convert("RGB").save(file, "TIFF", save_all=True, append_images=[pages[1].convert("RGB")])
    document = read_document(file.getvalue(), name="scan.tif")
    assert [page.text for page in document.pages] == [SCAN_TEXT, SCAN_TEXT]
    assert codes(document) == [("text-recognised", 1), ("text-recognised", 2)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        index = Index.create(tmp_path / "index", tiny_llm())
        index.add(file.getvalue(), name="scan.tif", encode="when-asked")
    assert index.document("scan.tif").pages == 2


def test_a_picture_without_an_engine_is_told_what_to_do() -> None:
    with pytest.raises(ScannedDocumentError, match=r"Install sharedllm-docs\[ocr\]"):
        read_document(b"\x89PNG\r\n\x1a\n" + b"\0" * 50, name="scan.png")


# -- the real engine


@pytest.fixture
def engine() -> Any:
    made = engines.engine()
    if made is None:
        pytest.skip("no engine for text recognition is installed")
    return made


def accuracy(wanted: str, got: str) -> float:
    """Share of the wanted words that come out, in order."""
    first, second = (re.findall(r"\w+", text) for text in (wanted, got))
    match = difflib.SequenceMatcher(None, first, second, autojunk=False)
    return sum(block.size for block in match.get_matching_blocks()) / len(first)


def scan(page: int, path: Path = R_INTRO) -> tuple[str, Any]:
    """The text of a page, and its picture at 150 dpi."""
    import pypdfium2

    opened = pypdfium2.PdfDocument(path)
    text = opened[page - 1].get_textpage().get_text_range()
    return text, opened[page - 1].render(scale=150 / 72, rev_byteorder=True).to_pil().convert("RGB")


@pytest.mark.ocr
@pytest.mark.slow
@pytest.mark.e2e
@pytest.mark.parametrize(("turn", "skew"), [(0, 0), (90, 0), (180, 0), (270, 0), (0, 3), (0, -5)])
def test_rotated_and_skewed_scans_are_read_word_by_word(engine: Any, turn: int, skew: float) -> None:
    import numpy as np

    text, picture = scan(21)
    turned = picture.rotate(turn, expand=True, fillcolor="white").rotate(skew, expand=True, fillcolor="white")
    found = engine.recognise(np.asarray(turned))
    assert accuracy(text, found.text) >= 0.95
    assert found.confidence > 0.9


@pytest.mark.ocr
@pytest.mark.slow
@pytest.mark.e2e
def test_word_boxes_lie_on_their_words_whatever_way_up(engine: Any) -> None:
    import numpy as np

    _, picture = scan(25)
    upright = {word.text: word.box for word in engine.recognise(np.asarray(picture)).words}
    turned = {word.text: word.box for word in engine.recognise(np.asarray(picture.rotate(180))).words}
    common = [text for text in upright if text in turned and len(text) > 3]
    assert len(common) >= 5
    for text in common:
        left, top, right, bottom = turned[text]
        back = (picture.width - right, picture.height - bottom, picture.width - left, picture.height - top)
        assert all(abs(a - b) <= 8 for a, b in zip(upright[text], back, strict=True))
