"""Raised numbers of PDF pages that PDFium puts on a line of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from sharedllm_docs.documents.readers import read_document

from .documents import drawn_pdf, put
from .layouts import width


def line(*pieces: tuple[str, float], y: float = 700) -> str:
    """Pieces one behind the other, each with its rise in points; what is raised is set smaller."""
    x, content = 60.0, ""
    for text, rise in pieces:
        size = 12 if not rise else 10
        content += put(text, x, y + rise, size)
        x += width(text, size)
    return content


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        ([("in all 250", 0), ("3", 5), (" ships came", 0)], "in all 250\u00b3 ships came"),
        ([("as shown", 0), ("12", 5), (", and more", 0)], "as shown\u00b9\u00b2, and more"),
        ([("of 4,850", 0), ("1", 5)], "of 4,850\u00b9"),
    ],
)
def test_a_raised_number_stands_behind_its_word(pieces: list[tuple[str, float]], shown: str) -> None:
    other = put("Another line of text, which is plain.", 60, 660, 12)
    assert read_document(drawn_pdf([line(*pieces) + other]), name="a.pdf").text.split("\n")[0] == shown


def test_small_numbers_elsewhere_stay_where_they_are() -> None:
    text = read_document(drawn_pdf([line(("in all 250", 0)) + put("3", 300, 705, 10) + put("7", 115, 718, 10)])).text
    assert "250\u00b3" not in text
    assert "250\u2077" not in text


def test_raised_numbers_of_a_page_that_a_browser_printed() -> None:
    text = read_document(Path(__file__).parent / "data" / "raised.pdf").text
    assert text.split("\n") == [
        "As shown\u00b3, E = mc\u00b2 and 250\u00b3 ships; 10^6 units, 1,204\u00b9; CO2 fell.",
        "Another line with revenue of 4,850\u00b9\u00b2 and text.",
        "\u00b3 Note three.",
    ]
