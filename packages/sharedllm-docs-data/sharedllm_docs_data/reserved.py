"""Refuses reserved data: what is kept for judging never enters the data, whatever its path.

There are two groups. *Reserved* data are never read, neither for training nor for tuning: SQuAD rows whose id ends in
an odd hex digit, DROP, and the PDFs of r-doc-pdf and debian-policy other than R-intro, R-lang and R-data. *Evaluation*
data may be measured on, but not trained on: the other SQuAD rows, and those three manuals.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sharedllm_docs.errors import ReservedDataError

_EVEN, _ODD = frozenset("02468ace"), frozenset("13579bdf")
_PACKAGES = re.compile(r"^(r-doc-|r-base-html|debian-policy)")
_EVALUATION_MANUAL = re.compile(r"(^|[/:])R-(intro|lang|data)\.(pdf|html|txt)$", re.IGNORECASE)
_RESERVED_TEXT = re.compile(r"(^|[/:])(r-doc-(pdf|html|info)|debian-policy)([/_:]|$)", re.IGNORECASE)
_LABELS = ("source", "task", "task_name", "dataset", "kind")
_PLACES = ("source", "doc", "path", "id")
_TASK_FOLDER = re.compile(r"oe_eval_tasks/(\w+)/")


def _values(row: Mapping[str, Any], fields: tuple[str, ...]) -> list[str]:
    return [str(row[field]) for field in fields if row.get(field)]


def _labelled(row: Mapping[str, Any], word: str) -> bool:
    labels = _values(row, _LABELS) + _TASK_FOLDER.findall(str(row.get("path", "")))
    pattern = re.compile(rf"(^|[^a-z]){word}([^a-z]|$)", re.IGNORECASE)
    return any(pattern.search(label) for label in labels)


def _squad_id(row: Mapping[str, Any]) -> str:
    identifier = str(row.get("squad_id") or row.get("native_id") or row.get("id") or "")
    return identifier.strip().lower().rpartition(":")[2]


def is_squad(row: Mapping[str, Any]) -> bool:
    """Whether a row says it comes from SQuAD."""
    return _labelled(row, "squad")


def is_even_squad(row: Mapping[str, Any]) -> bool:
    """Whether a SQuAD row may be evaluated on: its id ends in an even hex digit.

    Raises:
        ReservedDataError: the id is missing or does not end in a hex digit, so the row cannot be judged.
    """
    last = _squad_id(row)[-1:]
    if last not in _EVEN | _ODD or not last:
        raise ReservedDataError(
            f"SQuAD row with the id {_squad_id(row)!r}, which does not end in a hex digit.",
            remedy="Keep the id that the data set gives; without it the row counts as reserved.",
        )
    return last in _EVEN


def refuse_reserved(row: Mapping[str, Any]) -> None:
    """Stop a row that is kept for judging.

    Raises:
        ReservedDataError: an odd SQuAD id, a DROP row, or a reserved manual.
    """
    if is_squad(row) and not is_even_squad(row):
        raise ReservedDataError(
            f"SQuAD row {_squad_id(row)!r} ends in an odd hex digit: it is kept for judging.",
            remedy="Use rows whose id ends in an even hex digit.",
        )
    if _labelled(row, "drop"):
        raise ReservedDataError(
            f"DROP row {str(row.get('id'))!r}: the whole set is kept for judging.", remedy="Leave DROP out."
        )
    manual = next((name for name in _values(row, _PLACES) if _RESERVED_TEXT.search(name)), None)
    if manual and not _EVALUATION_MANUAL.search(manual):
        raise ReservedDataError(
            f"{manual!r} is a manual that is kept for judging.", remedy="Only R-intro, R-lang and R-data may be read."
        )


def refuse_training(row: Mapping[str, Any]) -> None:
    """Stop a row that must not be trained on: everything reserved, and the data of the evaluation.

    Raises:
        ReservedDataError: as ``refuse_reserved``, or any SQuAD row, or any of the evaluation manuals.
    """
    refuse_reserved(row)
    if is_squad(row):
        raise ReservedDataError(
            f"SQuAD row {_squad_id(row)!r} is for evaluation, not for training.",
            remedy="Write it to squad-even.jsonl.gz.",
        )
    manual = next((name for name in _values(row, _PLACES) if _EVALUATION_MANUAL.search(name)), None)
    if manual:
        raise ReservedDataError(f"{manual!r} is measured on, not trained on.", remedy="Leave the manual out.")


def refuse_package(name: str) -> None:
    """Stop a package whose text is reserved or used by the evaluation.

    Raises:
        ReservedDataError: the R manuals and the Debian policy, in any format.
    """
    if _PACKAGES.match(name):
        raise ReservedDataError(
            f"Package {name!r} holds manuals that are kept for judging.", remedy="Take another source of text."
        )
