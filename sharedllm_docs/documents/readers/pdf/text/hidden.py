"""Words that no viewer shows: outside the page, invisible, or white on nothing."""

from __future__ import annotations

import re

from sharedllm_docs.documents.readers.pdf.text.characters import Characters

_WORD = re.compile(r"\S+")


def hidden_words(characters: Characters) -> list[tuple[int, int]]:
    """Where the hidden words of a page stand in its text: pairs of start and end."""
    hidden: list[tuple[int, int]] = []
    left, bottom, right, top = characters.bounds
    known = right > left and top > bottom
    for word in _WORD.finditer(characters.text):
        index = characters.nearest_index(word.start())
        if index < 0:
            continue
        x, y = characters.origin(index)
        outside = known and not (left - 1 <= x <= right + 1 and bottom - 1 <= y <= top + 1)
        if outside or characters.is_inkless(index, x, y):
            hidden.append(word.span())
    return hidden
