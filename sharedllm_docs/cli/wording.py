"""Results in words, a line each; no rich, no wrapping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sharedllm_docs.cli.screen import one_line
from sharedllm_docs.cli.units import count_text, seconds_text, size_text
from sharedllm_docs.retrieval.answer import Answer, Citation

if TYPE_CHECKING:
    from sharedllm_docs.index.views import AddedDocument
    from sharedllm_docs.store.estimate import SizeEstimate


def place(citation: Citation) -> str:
    """``R-intro.pdf, page 13 (printed 7; 2.1 Vectors and assignment)``."""
    label = citation.page_label if citation.page_label != str(citation.page) else ""
    details = [f"printed {label}" if label else "", citation.section]
    inside = one_line("; ".join(detail for detail in details if detail))
    return one_line(f"{citation.document}, page {citation.page}") + (f" ({inside})" if inside else "")


def source_line(citations: Sequence[Citation]) -> str:
    """All pages in one line: ``R-intro.pdf, page 7, page 12; R-data.pdf, page 3``."""
    pages: dict[str, list[int]] = {}
    for citation in citations:
        known = pages.setdefault(citation.document, [])
        if citation.page not in known:
            known.append(citation.page)
    named = (f"{name}, " + ", ".join(f"page {page}" for page in numbers) for name, numbers in pages.items())
    return one_line("; ".join(named))


def effort_line(answer: Answer) -> str:
    """Timings and counts in one line."""
    counts, timings = answer.counts, answer.timings
    searched = f"{count_text(counts.chunks, 'chunk')} of {count_text(counts.documents, 'document')} searched"
    if not answer.found:
        return f"{seconds_text(timings.total)}; {searched}; best passage's relevance {answer.relevance:.2f}"
    return "; ".join(
        (
            f"first token after {seconds_text(timings.first_token)}, all after {seconds_text(timings.total)}",
            searched,
            f"{count_text(counts.nodes, 'node')} injected ({count_text(counts.rows, 'row')}, "
            f"{size_text(counts.bytes_read)} read)",
            f"{count_text(counts.question_tokens, 'token')} asked, {counts.answer_tokens:,} answered"
            + (" (cut at the limit)" if answer.finish_reason == "length" else ""),
        )
    )


def added_line(added: AddedDocument, *, index_bytes: int) -> str:
    """What ``add`` did, in one line."""
    info = added.document
    held = f"{count_text(info.pages, 'page')}, {count_text(info.tokens, 'token')} in {count_text(info.chunks, 'chunk')}"
    head = f"{'Added' if added.new else 'Already there:'} {info.name}: {held}, {size_text(info.bytes)}"
    if not added.new:
        return f"{head}."
    work = f"{count_text(added.chunks_encoded, 'chunk')} encoded, {added.chunks_reused:,} reused"
    speed = f", {added.tokens_per_second:,.0f} tokens/s" if added.chunks_encoded else ""
    return f"{head}; {work} in {seconds_text(added.seconds)}{speed}. The index has {size_text(index_bytes)}."


def estimate_line(source: str, estimate: SizeEstimate) -> str:
    """What a file would take, in one line."""
    parts = ", ".join(f"{name} {size_text(size)}" for name, size in estimate.parts().items())
    taken = f"{count_text(estimate.num_tokens, 'token')} in {count_text(len(estimate.chunk_bytes), 'chunk')}"
    return f"{source}: {taken} would take {size_text(estimate.total)}" + (f" ({parts})." if parts else ".")
