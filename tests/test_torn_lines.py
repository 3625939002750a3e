"""Pages of which PDFium puts every letter on a line of its own."""

from __future__ import annotations

from pathlib import Path

from sharedllm_docs.documents.readers import read_document
from sharedllm_docs.documents.readers.pdf.text.torn_lines import Place, has_torn_lines, is_torn, mended


def test_letters_of_a_word_are_joined_and_words_and_lines_kept_apart() -> None:
    places = {"a": (0, 5), "b": (5, 10), "c": (13, 18), "d": (90, 95), "e": (0, 5)}
    text = "a\r\nb\r\nc\r\nd\r\ne"

    def place_of(position: int) -> Place:
        letter = text[position]
        return Place(20.0 if letter == "e" else 40.0, 10.0, *places[letter])

    found, numbers = mended(text, lambda position: position, place_of)
    assert found == "ab c\r\nd\r\ne"
    assert [found[at] for at, number in enumerate(numbers) if number >= 0] == ["a", "b", "c", "d", "e"]
    assert [text[number] for number in numbers if number >= 0] == ["a", "b", "c", "d", "e"]


def test_a_page_of_few_or_whole_lines_is_not_torn() -> None:
    assert not is_torn("\r\n".join("abcdef"))
    assert not is_torn("\r\n".join(["a line of words"] * 30 + ["1"] * 9))
    assert is_torn("\r\n".join("abcdefghijklmnop"))
    assert has_torn_lines("2\r\n0\r\n2\r\n4\r\nItem 1 111")
    assert not has_torn_lines("Item 1\r\n2\r\nItem 2")


def test_a_page_of_narrow_columns_keeps_its_figures_whole() -> None:
    document = read_document(Path(__file__).parent / "data" / "torn.pdf")
    assert "Item 31 | 2024: 3,441 | 2023: (217)\nItem 32 | 2024: 3,552 | 2023: (224)" in document.text
    start = document.text.index("3,441")
    [box] = document.places.boxes(start, start + 5)
    assert 20 < box.right - box.left < 40
