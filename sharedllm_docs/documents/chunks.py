"""Cut a document's tokens into chunks. Pure: spans only."""

from __future__ import annotations

from dataclasses import dataclass

from sharedllm_docs.errors import ConfigError


@dataclass(frozen=True)
class Chunk:
    """A run of tokens that is encoded in one go.

    Attributes:
        index: 0-based position among the document's chunks.
        start: first token (index into the document's tokens).
        end: one past the last token.
    """

    index: int
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start


def split_into_chunks(num_tokens: int, chunk_tokens: int) -> tuple[Chunk, ...]:
    """Chunks of ``chunk_tokens`` on a fixed grid from token 0; the last one may be shorter, no token is dropped.

    The grid is fixed so that a chunk's span depends on its position alone: an edit leaves all chunks before it, and
    all after it when the number of tokens stays the same, as they were.
    """
    if chunk_tokens < 1:
        raise ConfigError(f"chunk_tokens={chunk_tokens} must be at least 1.", remedy="Use 1024, the paper's value.")
    starts = range(0, num_tokens, chunk_tokens)
    return tuple(Chunk(i, start, min(start + chunk_tokens, num_tokens)) for i, start in enumerate(starts))
