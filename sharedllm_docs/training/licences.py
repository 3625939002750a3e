"""Whether training data may be used commercially.

A row says so itself. The licences of the question sets are kept here, for the build, which writes the rows, and for
rows of older builds, which do not say. Passages of CoQA have the licence of their origin, which the row's source names.
"""

from __future__ import annotations

from dataclasses import dataclass

from sharedllm_docs.training.dataset import QuestionRow, TextRow


@dataclass(frozen=True)
class Licence:
    """A licence.

    Attributes:
        name: the licence as the source states it.
        commercial: whether it certainly allows commercial use.
    """

    name: str
    commercial: bool = True


QUESTION_LICENCES = {
    "coqa/cnn": Licence("Apache-2.0"),
    "coqa/gutenberg": Licence("CC BY-SA 4.0"),
    "coqa/wikipedia": Licence("CC BY-SA 4.0"),
    "coqa/mctest": Licence("MSR-LA", commercial=False),
    "coqa/race": Licence("RACE's own, for research", commercial=False),
    "boolq": Licence("CC BY-SA 3.0"),
    "sciq": Licence("CC BY-NC 3.0", commercial=False),
}
"""By the source of a row. MCTest's licence is Microsoft's for research, which may allow nothing more."""
_SETS = frozenset(source.partition("/")[0] for source in QUESTION_LICENCES)


def allows_commercial_use(source: str) -> bool:
    """Whether rows of this source may be used commercially, if they do not say so themselves.

    An origin of a question set that is not listed may not. Everything else may: older builds without the flag took long
    text and tables only from packages that allow it.
    """
    if source in QUESTION_LICENCES:
        return QUESTION_LICENCES[source].commercial
    return source.partition("/")[0] not in _SETS


def is_commercial(row: TextRow | QuestionRow) -> bool:
    """What the row says, or what its source's licence says if the row is silent."""
    return allows_commercial_use(row.source) if row.commercial is None else row.commercial
