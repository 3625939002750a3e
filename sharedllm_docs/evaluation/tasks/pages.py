"""Synthetic documents out of real text: pages of exactly one chunk, so that documents which differ in one page share
the encoded chunks of all others. In: text and a tokenizer. Out: page texts and documents."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import cycle, islice
from typing import Any

from sharedllm_docs.documents.document import PAGE_SEPARATOR, Document, Page
from sharedllm_docs.errors import EvaluationError

_PADDING = (" .", ".", " a")


def count_tokens(tokenizer: Any, text: str) -> int:
    """Tokens of a text as documents are tokenised."""
    return len(tokenizer(text, add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"])


def fit_page(text: str, tokenizer: Any, size: int) -> str:
    """The beginning of ``text``, cut at a word and padded with full stops to ``size`` tokens with its separator."""
    encoded = tokenizer(
        text[: size * 16],
        add_special_tokens=False,
        split_special_tokens=True,
        return_offsets_mapping=True,
        verbose=False,
    )["offset_mapping"]
    piece = text[: encoded[min(size, len(encoded)) - 1][1]]
    while count_tokens(tokenizer, piece + PAGE_SEPARATOR) > size:
        piece = piece.rpartition(" ")[0].rstrip() if " " in piece else piece[:-1]
    for padding in _PADDING:
        while count_tokens(tokenizer, piece + padding + PAGE_SEPARATOR) <= size:
            piece += padding
    return piece


def cut_pages(text: str, tokenizer: Any, size: int, most: int | None = None) -> list[str]:
    """Consecutive pages of ``size`` tokens each, separator included; a rest shorter than a page is left out.

    Raises:
        EvaluationError: the text is shorter than one page.
    """
    words = " ".join(text.split())
    pages: list[str] = []
    start = 0
    while most is None or len(pages) < most:
        rest = words[start:]
        if count_tokens(tokenizer, rest[: size * 16]) < size:
            break
        page = fit_page(rest, tokenizer, size)
        pages.append(page)
        start += max(1, _kept(rest, page))
        start += len(words[start:]) - len(words[start:].lstrip())
    if not pages:
        raise EvaluationError(
            f"The text has {count_tokens(tokenizer, words)} tokens, fewer than one page of {size}.",
            remedy="Give a longer text.",
        )
    return pages


def _kept(text: str, page: str) -> int:
    """How many characters of the text stand at the beginning of the page (the rest of the page is padding)."""
    return next((i for i, (a, b) in enumerate(zip(text, page, strict=False)) if a != b), min(len(text), len(page)))


def filled(pages: Sequence[str], count: int, start: int = 0) -> list[str]:
    """``count`` pages from number ``start`` on; the text begins again where it ends."""
    return list(islice(cycle(pages), start % len(pages), start % len(pages) + count))


def with_sentence(page: str, sentence: str, place: float, tokenizer: Any, size: int) -> str:
    """The page with a sentence put in after some sentence of it, ``place`` (0 .. 1) of the way down, cut to size."""
    stops = [0, *(i + 2 for i in range(len(page) - 2) if page[i : i + 2] == ". ")]
    room = len(page) - len(sentence) * 2
    wanted = place * max(0, room)
    at = min(stops, key=lambda stop: abs(stop - wanted))
    at = at if at <= max(0, room) else 0
    return fit_page(f"{page[:at]}{sentence} {page[at:]}", tokenizer, size)


def document_of(name: str, pages: Sequence[str]) -> Document:
    """A document of these pages, numbered from 1."""
    text = PAGE_SEPARATOR.join(pages)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return Document(name, digest, "text", "1", tuple(Page(number, page) for number, page in enumerate(pages, start=1)))
