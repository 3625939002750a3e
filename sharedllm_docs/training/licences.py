"""Whether what the data are made of may be used commercially, by the name of the source that a row carries.

Licences of question sets stand here, those of long text in the source tables. The passages of CoQA have the licences
of their origins, which its rows name.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from sharedllm_docs.training.dataset import QuestionRow, TextRow


@dataclass(frozen=True)
class Licence:
    """A licence.

    Attributes:
        name: as the source states it.
        commercial: whether it is certain to allow commercial use.
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
"""By the source of a row. MCTest's licence is Microsoft's for research, which is not certain to allow more."""
_SETS = frozenset(source.partition("/")[0] for source in QUESTION_LICENCES)


@cache
def allows_commercial_use(source: str) -> bool:
    """Whether rows of this source may be used commercially.

    An origin of a question set that is not listed is not certain to allow it; what is in no table is made up, or out of
    the tables of facts, whose packages all allow it.
    """
    if source in QUESTION_LICENCES:
        return QUESTION_LICENCES[source].commercial
    return source.partition("/")[0] not in _SETS


def is_commercial(row: TextRow | QuestionRow) -> bool:
    """What the row says, or where it says nothing (it is of an older build, or text) its source's licence."""
    said = row.commercial if isinstance(row, QuestionRow) else None
    return allows_commercial_use(row.source) if said is None else said
