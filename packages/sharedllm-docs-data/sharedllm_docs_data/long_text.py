"""Long text: turns a source's package into deduplicated documents with their splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict

from sharedllm_docs.training.dataset import TextRow, split_of
from sharedllm_docs_data.archives import members, natural_key
from sharedllm_docs_data.cleaning.dedup import Contamination, Deduplicator
from sharedllm_docs_data.cleaning.pages import Doc
from sharedllm_docs_data.cleaning.prose import is_english
from sharedllm_docs_data.fetch import Fetched
from sharedllm_docs_data.reserved import refuse_training
from sharedllm_docs_data.sources.source import TextSource


def text_rows(
    source: TextSource,
    fetched: Fetched,
    seen: Deduplicator,
    judged: Contamination,
    dropped: Counter[str],
    limit: int | None = None,
) -> list[TextRow]:
    """The documents of one source, in reading order, group by group.

    Args:
        source: the entry of the source table.
        fetched: its package on the disk.
        seen: shared by all sources; what an earlier one had is dropped.
        judged: texts of the evaluation; documents that share text with it are dropped.
        dropped: counts the documents left out, by reason.
        limit: maximum documents.

    Raises:
        FetchError: the package cannot be read.
        ReservedDataError: a document is kept for judging.
    """
    rows: list[TextRow] = []
    for doc in _documents(source, fetched):
        if limit is not None and len(rows) >= limit:
            break
        reason = _refusal(doc, source.min_chars, seen, judged)
        if reason:
            dropped[reason] += 1
            continue
        text, gone = seen.without_known_paragraphs(doc.text)
        dropped["known-paragraph"] += gone
        if len(text) < source.min_chars:
            dropped["short"] += 1
            continue
        row = _row(source, doc, text)
        refuse_training(asdict(row))
        rows.append(row)
    return sorted(rows, key=lambda row: natural_key(row.group))


def _documents(source: TextSource, fetched: Fetched) -> Iterator[Doc]:
    yield from source.clean(members(fetched.path, source.include, source.exclude))


def _refusal(doc: Doc, min_chars: int, seen: Deduplicator, judged: Contamination) -> str:
    if len(doc.text) < min_chars:
        return "short"
    if not is_english(doc.text):
        return "not-english-prose"
    if doc.text in judged:
        return "shares-text-with-evaluation"
    return "duplicate" if seen.is_duplicate(doc.text) else ""


def _row(source: TextSource, doc: Doc, text: str) -> TextRow:
    group = source.group(doc)
    # A group that begins with a colon is common to several sources, so that they agree on its split.
    key = group if group.startswith(":") else f"{source.name}/{group}"
    identifier = f"{source.name}:{doc.path}"
    return TextRow(identifier, source.name, group, doc.title[:200], text, split_of(key), source.commercial)
