"""What a file of packed data holds, for those who write and those who read it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

SCHEMA = 1
Ids = tuple[int, ...]


@dataclass(frozen=True)
class PackedQuestion:
    """A question as token ids.

    Attributes:
        context: what answers it (or does not).
        asked: everything behind the rows: the question in the prompt's frame.
        answer: to train on, the ending token included.
        answer_at: token of the context at which the answer stands, -1 where it is not found.
        kind: of the row.
        document: number of its document; contexts of one document are no distractors for one another.
    """

    context: Ids
    asked: Ids
    answer: Ids
    answer_at: int
    kind: str
    document: int


@dataclass(frozen=True)
class Frames:
    """Token ids of the prompt's fixed parts, kept in the pack so that training needs no tokenizer.

    Attributes:
        excerpt: before evidence.
        repeat: before the beginning of a passage that is to be continued from its rows; ``repeat_end`` behind it.
    """

    excerpt: Ids
    repeat: Ids
    repeat_end: Ids
