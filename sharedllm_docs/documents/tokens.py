"""Tokens of a document, each with its place in the text.

Token ids come with character spans in the canonical text; a token's page follows from its span. Pages are tokenised one
by one, so memory and the effect of an edit stay local.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.documents.document import PAGE_SEPARATOR, Document
from sharedllm_docs.documents.folding import fold_map
from sharedllm_docs.errors import EmptyDocumentError, UnsupportedModelError


@dataclass(frozen=True)
class DocumentTokens:
    """A document's tokens.

    Attributes:
        ids: [T] int32.
        char_start: [T] int32, position in ``Document.text`` where the token begins.
        char_end: [T] int32, one past its last character.
    """

    ids: NDArray[np.int32]
    char_start: NDArray[np.int32]
    char_end: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.ids)

    def char_span(self, start: int, end: int) -> tuple[int, int]:
        """Character span of the tokens ``[start, end)``."""
        return int(self.char_start[start]), int(self.char_end[start:end].max())


def _printed(offsets: NDArray[np.int32], places: list[int]) -> NDArray[np.int32]:
    """Spans [T, 2] of a folded text as spans of the printed one; a part of a joined letter stands for the whole."""
    back = np.asarray(places, dtype=np.int32)
    ends = np.where(offsets[:, 1] > offsets[:, 0], back[np.maximum(offsets[:, 1] - 1, 0)] + 1, back[offsets[:, 1]])
    return np.stack([back[offsets[:, 0]], ends], axis=1)


def check_tokenizer(tokenizer: Any) -> None:
    """Raise UnsupportedModelError unless the tokenizer can say where in the text its tokens are."""
    if not getattr(tokenizer, "is_fast", False):
        raise UnsupportedModelError(
            f"The tokenizer {type(tokenizer).__name__} gives no character offsets, so no page could be cited.",
            remedy="Use a model with a fast tokenizer (tokenizer.json).",
        )


def tokenize(
    document: Document, tokenizer: Any, *, progress: Callable[[int, int], None] | None = None
) -> DocumentTokens:
    """Tokenise all pages.

    Args:
        document: as read.
        tokenizer: a fast tokenizer of transformers.
        progress: called with (pages done, pages in all).

    Raises:
        EmptyDocumentError: not one token.
        UnsupportedModelError: the tokenizer gives no offsets.
    """
    check_tokenizer(tokenizer)
    ids: list[NDArray[np.int32]] = []
    spans: list[NDArray[np.int32]] = []
    for index, (page, start) in enumerate(zip(document.pages, document.page_starts, strict=True)):
        last = index == len(document.pages) - 1
        text = page.text if last else page.text + PAGE_SEPARATOR
        # verbose=False: a page longer than the window is not a mistake, it is cut into chunks;
        # split_special_tokens: a document that spells a control token must not end the user's message with it
        # the model reads letters as they look; their places are those of the printed text
        found = fold_map(text)
        folded, back = found if found is not None else (text, None)
        encoded = tokenizer(
            folded, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True, verbose=False
        )
        ids.append(np.asarray(encoded["input_ids"], dtype=np.int32))
        offsets = np.asarray(encoded["offset_mapping"], dtype=np.int32).reshape(-1, 2)
        spans.append((offsets if back is None else _printed(offsets, back)) + start)
        if progress is not None:
            progress(index + 1, len(document.pages))
    if not document.text.strip() or not any(map(len, ids)):
        raise EmptyDocumentError(f"{document.name} contains no text.", remedy="Give a document with words in it.")
    places = np.concatenate(spans)
    return DocumentTokens(np.concatenate(ids), places[:, 0].copy(), places[:, 1].copy())
