"""Reading order of PDF pages: columns, mixed pages, turned pages, boxes; and pages that stay as they were."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pypdfium2
import pytest

from sharedllm_docs.documents.boxes import LEVEL
from sharedllm_docs.documents.readers import ReadOptions, read_document
from sharedllm_docs.documents.readers.pdf.layout.boxes import Word
from sharedllm_docs.documents.readers.pdf.layout.page import lay_out
from sharedllm_docs.documents.readers.pdf.text.page import PdfiumPage
from sharedllm_docs.documents.traced import marks_of

from .documents import drawn_pdf, make_pdf, prose
from .layouts import centred, column, escaped, in_turn, left, right, sentences, width, woven

SAMPLE = Path(__file__).parent / "data" / "reading_order.json"


def keys(text: str) -> list[str]:
    """The keys that open the lines made by ``sentences``, in order."""
    return re.findall(r"\b[a-z]+\d+\b", text)


def wanted(*names: tuple[str, int]) -> list[str]:
    return [f"{name}{number}" for name, lines in names for number in range(lines)]


def text_of(content: str, page: str = "") -> str:
    return read_document(drawn_pdf([content], page=page), name="columns.pdf", options=ReadOptions(clean=False)).text


@pytest.mark.parametrize("draw", [woven, in_turn])
@pytest.mark.parametrize("count", [2, 3])
def test_columns_are_read_one_after_the_other(draw: Callable[..., str], count: int) -> None:
    across = 480 / count
    columns = [column(sentences("abc"[n] * 2, 20, int(100 / count)), 50 + n * across, 700) for n in range(count)]
    text = text_of(draw(*columns))
    assert keys(text) == wanted(*(("abc"[n] * 2, 20) for n in range(count)))


@pytest.mark.parametrize("draw", [woven, in_turn])
def test_a_title_over_two_columns_and_a_note_under_them(draw: Callable[..., str]) -> None:
    title = centred("A title that stands over both of the columns of the page", 297, 760, 14)
    note = "".join(column(sentences("note", 3, 100), 50, 250))
    columns = draw(column(sentences("le", 25), 50, 720), column(sentences("ri", 22), 300, 720))
    text = text_of(columns + note + title)
    assert text.startswith("A title")
    assert keys(text) == wanted(("le", 25), ("ri", 22), ("note", 3))


def test_columns_above_and_below_a_full_line() -> None:
    upper = woven(column(sentences("aa", 10), 50, 760), column(sentences("bb", 10), 300, 760))
    middle = "".join(column(sentences("mm", 4, 100), 50, 620))
    lower = woven(column(sentences("cc", 12), 50, 550), column(sentences("dd", 12), 300, 550))
    text = text_of(upper + middle + lower)
    assert keys(text) == wanted(("aa", 10), ("bb", 10), ("mm", 4), ("cc", 12), ("dd", 12))


def test_columns_of_different_lengths_and_line_heights() -> None:
    text = text_of(woven(column(sentences("aa", 30), 50, 760), column(sentences("bb", 14), 300, 757, pitch=13.7)))
    assert keys(text) == wanted(("aa", 30), ("bb", 14))


def test_running_heads_of_two_columns_stay_outside() -> None:
    heads = left("The journal of tides", 50, 810) + right("17", 540, 810)
    text = text_of(heads + woven(column(sentences("aa", 30), 50, 760), column(sentences("bb", 30), 300, 760)))
    assert text.split("\n")[0].split() == ["The", "journal", "of", "tides", "17"]
    assert keys(text) == wanted(("aa", 30), ("bb", 30))


def test_a_box_beside_the_text_is_read_apart_from_it() -> None:
    box = column(sentences("box", 8, 26), 440, 640, 8, 10)
    text = text_of(woven(column(sentences("aa", 30, 78), 50, 760), box))
    found = keys(text)
    assert [key for key in found if key.startswith("aa")] == wanted(("aa", 30))
    place = found.index("box0")
    assert found[place : place + 8] == wanted(("box", 8))


def test_a_table_in_a_column_and_one_over_both() -> None:
    def table(x: float, y: float, name: str) -> str:
        rows = [
            left(f"{name} {n}", x, y - 12 * n)
            + right(f"{n}.5", x + 120, y - 12 * n)
            + right(f"{n}.7", x + 180, y - 12 * n)
            for n in range(1, 6)
        ]
        return right("2023", x + 120, y) + right("2024", x + 180, y) + "".join(rows)

    content = in_turn(column(sentences("aa", 12), 50, 760), column(sentences("bb", 30), 300, 760))
    text = text_of(content + table(50, 590, "small") + "".join(column(sentences("cc", 8), 50, 500)))
    assert "small 3 | 2023: 3.5 | 2024: 3.7" in text
    assert keys(text) == wanted(("aa", 12), ("cc", 8), ("bb", 30))


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_pages_that_are_turned(turn: int) -> None:
    """Upright text on a page with /Rotate: lines in the order in which a viewer shows them."""
    matrices = {0: "1 0 0 1 0 0", 90: "0 1 -1 0 595 0", 180: "-1 0 0 -1 595 842", 270: "0 -1 1 0 0 842"}
    lines = "".join(
        f"BT /F1 10 Tf 1 0 0 1 60 {500 - 14 * number} Tm ({escaped(line)}) Tj ET\n"
        for number, line in enumerate(sentences("aa", 12, 60))
    )
    text = text_of(f"q {matrices[turn]} cm\n{lines}Q", page=f"/Rotate {turn}")
    assert keys(text) == wanted(("aa", 12))


def test_text_on_its_side_on_a_page_that_is_not_turned() -> None:
    lines = "".join(
        f"BT /F1 10 Tf 0 1 -1 0 {60 + 14 * number} 60 Tm ({escaped(line)}) Tj ET\n"
        for number, line in enumerate(sentences("aa", 12, 60))
    )
    assert keys(text_of(lines)) == wanted(("aa", 12))


def test_words_that_a_line_end_broke_in_a_column_are_whole() -> None:
    lines = [
        *sentences("aa", 6),
        "aa6 and then the birds were fright-",
        "aa7 ened by the noise of the engine",
        *sentences("bb", 4),
    ]
    lines[7] = "ened by the noise of the engine again"
    page = woven(column(lines, 50, 760), column(sentences("cc", 12), 300, 760))
    text = read_document(drawn_pdf([page]), name="a.pdf").text
    assert "frightened" in text


# -- pages that stay as they were


def test_one_column_is_read_as_before() -> None:
    lines = prose(3)
    assert read_document(make_pdf([lines]), name="a.pdf").text == "\n".join(lines)


def test_code_beside_its_comments_is_no_pair_of_columns() -> None:
    code = [f"`x{n} <- value{n}(a, b)      # what it does {n}" for n in range(12)]
    text = read_document(make_pdf([code]), name="a.pdf").text
    assert "|" not in text
    assert text.split("\n")[3].startswith("x3 <- value3(a, b)")


# -- places


@pytest.mark.parametrize(
    "content",
    [
        woven(column(sentences("aa", 12), 50, 760), column(sentences("bb", 12), 300, 760)),
        "".join(column(sentences("aa", 12, 90), 50, 760)),
    ],
    ids=["columns", "one column"],
)
def test_each_character_leads_to_its_glyph(content: str) -> None:
    document = pypdfium2.PdfDocument(drawn_pdf([content]))
    page = document[0]
    textpage = page.get_textpage()
    found = PdfiumPage(page, textpage).page_text()
    covered = 0
    left, bottom, right, top = page.get_bbox()
    for character, mark in zip(found.text, marks_of(found.text), strict=True):
        if mark < 0:
            continue
        low, high, start, end, direction = found.spots.sides(mark)
        assert direction == LEVEL
        assert left <= start < end <= right
        assert bottom <= low < high <= top
        middle, height = (start + end) / 2, (low + high) / 2
        assert character in textpage.get_text_bounded(middle - 0.1, height - 1, middle + 0.1, height + 1)
        covered += 1
    assert covered == len(re.sub(r"\s", "", found.text))


# -- many pages


def synthetic(seed: int) -> tuple[str, list[str]]:
    """A page of random parts, and the keys in reading order."""
    chance = random.Random(seed)
    content, order, y = "", list[str](), 790.0
    if chance.random() < 0.5:
        content += left("A running head", 50, 815) + right(str(seed), 540, 815)
    if chance.random() < 0.6:
        content += centred("The title of the whole page in large letters", 297, y, 15)
        y -= 34
    for part in range(chance.randint(1, 3)):
        count, size = chance.choice((1, 2, 2, 2, 3)), chance.choice((8, 9, 10))
        across, pitch = 490 / count, size * chance.uniform(1.15, 1.4)
        lines = chance.randint(8, 14)
        if part:  # a line over the whole width parts what stands above from what stands below
            content += "".join(column(sentences("pqr"[part], 1, 100), 50, y + 12))
            order += wanted(("pqr"[part], 1))
            y -= 16
        columns = []
        for number in range(count):
            name = "abcdefgh"[part] + "xyz"[number]
            height = lines - chance.randint(0, 3) if number == count - 1 and count > 1 else lines
            columns.append(
                column(sentences(name, height, int(1.82 * across / size)), 50 + across * number, y, size, pitch)
            )
            order += wanted((name, height))
        content += chance.choice((woven, in_turn))(*columns)
        y -= lines * pitch + 30
        if y < 250:
            break
    return content, order


def test_the_order_of_ninety_pages_of_mixed_parts() -> None:
    right_pages = sum(keys(text_of(content)) == order for content, order in map(synthetic, range(90)))
    assert right_pages >= 86


SAMPLES: dict[str, Any] = json.loads(SAMPLE.read_text(encoding="utf-8"))
FOLDER = Path(SAMPLES["folder"])


@pytest.mark.slow
@pytest.mark.skipif(not FOLDER.is_dir(), reason="Debian's texlive-publishers-doc is not installed")
def test_the_order_of_printed_pages_that_were_checked_by_eye() -> None:
    wrong = []
    for sample in SAMPLES["pages"]:
        options = ReadOptions(pages=str(sample["page"]), clean=False)
        text = " ".join(read_document(FOLDER / sample["file"], options=options).text.split())
        places = [text.find(phrase) for phrase in sample["phrases"]]
        if -1 in places or places != sorted(places):
            wrong.append((sample["file"], sample["page"]))
    assert len(wrong) <= 0.05 * len(SAMPLES["pages"]), wrong


def word(text: str, x: float, y: float, start: int) -> Word:
    return Word(x, y - 8, x + 6 * len(text), y + 2, y, 10, start, start + len(text), text)


def test_lines_from_right_to_left_are_left_to_the_engine() -> None:
    hebrew = [
        word("\u05e9\u05dc\u05d5\u05dd", 500 - 90 * n, 40 + 14 * row, 10 * row + n)
        for row in range(8)
        for n in range(4)
    ]
    assert lay_out(hebrew, []) is None
    latin = [word("ship", 60 + 90 * n, 40 + 14 * row, 10 * row + n) for row in range(8) for n in range(4)]
    laid_out = lay_out(latin, [])
    assert laid_out is not None
    assert laid_out.tables == 1


def test_a_part_without_columns_keeps_the_order_of_the_file() -> None:
    """A note that the file draws last is read last, although columns stand elsewhere on the page."""
    upper = "".join(column(sentences("aa", 10, 100), 50, 780))
    columns = woven(column(sentences("bb", 20), 50, 600), column(sentences("cc", 20), 300, 600))
    late = left("late1 stands at the top.", 50, 794)
    assert keys(text_of(upper + late + columns)) == [*wanted(("aa", 10)), "late1", *wanted(("bb", 20), ("cc", 20))]


def test_justified_lines_above_a_table_are_no_heads_of_it() -> None:
    wide = ["the", "harbour", "carried", "vessels", "between", "islands"]
    content, x = "", 60.0
    for word in wide:
        content += left(word, x, 700)
        x += width(word) + 9
    content += left("and berths were free.", 60, 688)
    rows = [["Route", "Low", "High"], ["Oln", "11.0", "14.5"], ["Vik", "9.0", "12.0"], ["Moss", "7.5", "8.0"]]
    for number, (label, *figures) in enumerate(rows):
        y = 670 - 12 * number
        content += left(label, 60, y) + right(figures[0], 180, y) + right(figures[1], 280, y)
    text = read_document(drawn_pdf([content]), name="a.pdf").text
    assert "the harbour carried vessels between islands\nand berths were free." in text
    assert "Vik | Low: 9.0 | High: 12.0" in text
