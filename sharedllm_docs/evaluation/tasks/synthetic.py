"""Synthetic documents made of real text, and the base class of tasks that hide sentences in them.

Pages have exactly one chunk, so that documents that differ in one page share the encoded chunks of all others.
"""

from __future__ import annotations

import gzip
import hashlib
import random
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle, islice
from pathlib import Path
from typing import Any, ClassVar

from sharedllm_docs.checks import json_of
from sharedllm_docs.documents.document import PAGE_SEPARATOR, Document, Page
from sharedllm_docs.errors import EvaluationError
from sharedllm_docs.evaluation.tasks.base import Example, QuestionTask, check_limit
from sharedllm_docs.evaluation.tasks.options import TaskOptions, chosen_lengths, length_label
from sharedllm_docs.evaluation.tasks.pdfqa.data import find_pdf
from sharedllm_docs.model.digests import file_sha256

TRAINING_DATA = ".jsonl.gz"
HELD_OUT = "test"
"""The split of the training data that is never trained on."""
_PADDING = (" .", ".", " a")


# -- text -------------------------------------------------------------------------------------------------------------


def real_text(options: TaskOptions, manuals: Sequence[str] = ("R-intro.pdf",)) -> str:
    """Text of the files given, or of these manuals, one after another.

    Files of the training data (``*.jsonl.gz``) give the texts of their test split.

    Raises:
        DocumentError: a file cannot be read.
        EvaluationError: a manual cannot be fetched, or a file of training data has no test split.
    """
    from sharedllm_docs.documents.readers import read_document

    files = options.texts or tuple(find_pdf(name, options.pdf_dirs, options.report) for name in manuals)
    return "\n".join(
        held_out(file) if file.name.endswith(TRAINING_DATA) else read_document(file).text for file in files
    )


def names_of(options: TaskOptions, manuals: Sequence[str] = ()) -> list[str]:
    """Names and digests of the texts, for the header of a run: another text is another measurement."""
    return [f"{file.name} {file_sha256(file)[:16]}" for file in options.texts if file.is_file()] or list(manuals)


def held_out(path: Path) -> str:
    """The texts of a file of training data that are never trained on.

    Raises:
        EvaluationError: it is not such a file, or has none.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            texts = [json_of(line) for line in lines]
        texts = [str(one["text"]) for one in texts if one["split"] == HELD_OUT]
    except (OSError, EOFError, ValueError, KeyError, TypeError, zlib.error) as error:
        raise EvaluationError(
            f"{path} is not a file of long text: {error}.",
            remedy="Give long/*.jsonl.gz of a data build, or a document.",
        ) from error
    if not texts:
        raise EvaluationError(f"{path} has no text of the split {HELD_OUT!r}.", remedy="Give another file.")
    return "\n\n".join(texts)


# -- pages and documents ----------------------------------------------------------------------------------------------


def count_tokens(tokenizer: Any, text: str) -> int:
    """Number of tokens of a text, tokenized as documents are."""
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


def cut_pages(text: str, tokenizer: Any, size: int, count: int | None = None) -> list[str]:
    """Consecutive pages of ``size`` tokens each, separator included, ``count`` at most; a shorter rest is left out.

    Raises:
        EvaluationError: the text is shorter than one page.
    """
    words = " ".join(text.split())
    pages: list[str] = []
    start = 0
    while count is None or len(pages) < count:
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
    """Number of characters of the text at the start of the page; the rest of the page is padding."""
    return next((i for i, (a, b) in enumerate(zip(text, page, strict=False)) if a != b), min(len(text), len(page)))


def filled(pages: Sequence[str], count: int, start: int = 0) -> list[str]:
    """``count`` pages from number ``start`` on; the text begins again where it ends."""
    return list(islice(cycle(pages), start % len(pages), start % len(pages) + count))


def with_sentence(page: str, sentence: str, place: float, tokenizer: Any, size: int) -> str:
    """The page with a sentence inserted between two others, ``place`` (0 .. 1) of the way down, cut to size."""
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


# -- sentences hidden in it -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hidden:
    """What one example hides and asks.

    Attributes:
        sentences: hidden in the text, in this order.
        proof: indices of the sentences that prove the answer.
        question: asked about them.
        wanted: accepted answers, or in tasks that say so texts that are all wanted.
    """

    sentences: tuple[str, ...]
    proof: tuple[int, ...]
    question: str
    wanted: tuple[str, ...]


class HiddenSentences(QuestionTask):
    """Questions about sentences hidden at random places in real text, at several lengths.

    Args:
        options: tokenizer, lengths (the task's own by default), text.

    Attributes:
        lengths: default tokens of the documents.
        default_limit: examples of each length and kind, if no limit is asked for.
        kinds: kind of example -> makes what is hidden.
        deepest: how far down a page a sentence may begin, as a share of the page.
    """

    lengths: ClassVar[tuple[int, ...]]
    default_limit: ClassVar[int]
    kinds: ClassVar[Mapping[str, Callable[[random.Random], Hidden]]]
    deepest: ClassVar[float] = 1.0

    def __init__(self, options: TaskOptions) -> None:
        self._options = options
        self._lengths = chosen_lengths(options, self.lengths)

    def options(self) -> dict[str, Any]:
        return {"page_tokens": self._options.chunk_tokens, "texts": names_of(self._options)}

    def examples(self, limit: int | None, seed: int) -> list[Example]:
        check_limit(limit)
        numbers = range(self.default_limit if limit is None else limit)
        cases = ((length, kind, number) for length in self._lengths for kind in self.kinds for number in numbers)
        return [self._example(*case, seed) for case in cases]

    @cached_property
    def _pages(self) -> list[str]:
        count = max(self._lengths) // self._options.chunk_tokens
        return cut_pages(real_text(self._options), self._options.tokenizer, self._options.chunk_tokens, count)

    def _example(self, length: int, kind: str, number: int, seed: int) -> Example:
        part = () if kind == self.name else (kind,)  # a task of one kind is named by itself
        rng = random.Random(" ".join(map(str, (self.name, seed, length, *part, number))))
        hidden = self.kinds[kind](rng)
        pages = filled(self._pages, length // self._options.chunk_tokens)
        places = sorted((rng.randrange(len(pages)), rng.random()) for _ in hidden.sentences)
        self._hide(hidden.sentences, pages, places)
        label = "-".join((self.name, *part, length_label(length), f"{number:03d}"))
        return Example(
            id=f"{label}-seed{seed}",
            documents=(document_of(f"{label}.txt", pages),),
            question=hidden.question,
            answers=hidden.wanted,
            kind=kind,
            page_groups=tuple((places[proof][0] + 1,) for proof in hidden.proof),
            evidence=tuple(hidden.sentences[proof] for proof in hidden.proof),
            length=length,
        )

    def _hide(self, sentences: Sequence[str], pages: list[str], places: Sequence[tuple[int, float]]) -> None:
        """Put the sentences into the pages, each at its place (page, share of the way down).

        Raises:
            EvaluationError: they do not fit.
        """
        size, tokenizer = self._options.chunk_tokens, self._options.tokenizer
        # from the end of a page to its beginning, so that a sentence put in later moves no earlier one off the page
        for (page, place), sentence in reversed(list(zip(places, sentences, strict=True))):
            pages[page] = with_sentence(pages[page], sentence, self.deepest * place, tokenizer, size)
        if not all(any(sentence in page for page in pages) for sentence in sentences):
            raise EvaluationError(
                f"{len(sentences)} hidden sentences do not fit {len(pages)} pages of {size} tokens.",
                remedy="Ask for longer documents.",
            )
