"""Metrics: hand-worked cases against the SQuAD rules, properties, and every bad argument."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharedllm_docs.errors import EvaluationError
from sharedllm_docs.evaluation.metrics import (
    abstention_intervals,
    bootstrap_interval,
    contains_answer,
    exact_match,
    is_abstention,
    normalise_answer,
    page_hit,
    share_contained,
    token_f1,
    yes_or_no,
)

texts = st.text(alphabet="abthen 0.,'\u2019-:", max_size=30)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  Blue\nBook.", "blue book"),
        ("an apple and a pear", "apple and pear"),
        ("\u2018Math\u2019 group", "math group"),
        ("10,000 bytes", "10000 bytes"),
        ("there", "there"),
        (":::", ":::"),
        ("The", "the"),
        ("  ", ""),
    ],
)
def test_normalise_answer(text: str, expected: str) -> None:
    assert normalise_answer(text) == expected


def test_exact_match_takes_any_accepted_answer() -> None:
    assert exact_match("the fix function.", ["fix", "fix function"]) == 1.0
    assert exact_match("fix it", ["fix", "fix function"]) == 0.0
    assert exact_match(":::", ["::", ":::"]) == 1.0
    assert exact_match("::", [":::"]) == 0.0


@pytest.mark.parametrize(
    ("prediction", "answers", "expected"),
    [
        ("in the Blue Book", ["Blue Book"], 2 * (2 / 3) * 1 / (2 / 3 + 1)),
        ("Chambers", ["Richard A. Becker", "John M. Chambers"], 2 * 1 * (1 / 3) / (1 + 1 / 3)),
        ("four four", ["four"], 2 * (1 / 2) * 1 / (1 / 2 + 1)),
        ("nothing alike", ["four"], 0.0),
        ("", ["four"], 0.0),
    ],
)
def test_token_f1_by_hand(prediction: str, answers: list[str], expected: float) -> None:
    assert token_f1(prediction, answers) == pytest.approx(expected)


@pytest.mark.parametrize("metric", [exact_match, token_f1])
def test_no_accepted_answer_is_an_error(metric: object) -> None:
    assert callable(metric)
    with pytest.raises(EvaluationError, match="no accepted answer"):
        metric("x", [])


@given(texts, texts)
def test_f1_is_symmetric_bounded_and_one_exactly_for_equal_bags_of_words(left: str, right: str) -> None:
    score = token_f1(left, [right])
    assert score == token_f1(right, [left])
    assert 0.0 <= score <= 1.0
    same_words = sorted(normalise_answer(left).split()) == sorted(normalise_answer(right).split())
    assert (score == 1.0) == same_words


@given(texts, st.lists(texts, min_size=1, max_size=4))
def test_exact_match_implies_full_f1_and_more_answers_never_hurt(prediction: str, answers: list[str]) -> None:
    assert exact_match(prediction, answers) <= token_f1(prediction, answers)
    assert token_f1(prediction, answers) >= token_f1(prediction, answers[:1])


@given(texts)
def test_normalising_twice_changes_nothing_once_articles_and_punctuation_are_gone(text: str) -> None:
    once = normalise_answer(text)
    assert once == " ".join(once.split())
    assert exact_match(text, [once]) == 1.0


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [("Yes.", "yes"), ("No, it is not", "no"), ("The answer is yes", None), ("nothing", None), ("", None)],
)
def test_yes_or_no_reads_the_first_word(prediction: str, expected: str | None) -> None:
    assert yes_or_no(prediction) == expected


@pytest.mark.parametrize(
    "text",
    [
        "The document does not say.",
        "This text doesn\u2019t mention that",
        "The provided context does not contain the answer.",
        "It is not mentioned in the document",
        "Not stated.",
        "I don't know",
        "I cannot answer this question",
        "The question cannot be answered from the passage.",
        "There is no information about it",
        "Unanswerable",
        "Not in the document.",
    ],
)
def test_abstentions_are_recognised(text: str) -> None:
    assert is_abstention(text)


@pytest.mark.parametrize(
    "text",
    ["", "no", "NA", "y is not found", "an error indicating that y is not found", "NULL", "it is not assigned", "N/A"],
)
def test_answers_are_not_taken_for_abstentions(text: str) -> None:
    assert not is_abstention(text)


def test_page_hit_needs_every_group() -> None:
    assert page_hit([7, 3], [[7]], k=1) == 1.0
    assert page_hit([3, 7], [[7]], k=1) == 0.0
    assert page_hit([3, 7], [[7, 12]], k=2) == 1.0
    assert page_hit([7, 3, 13], [[7], [12, 13]], k=3) == 1.0
    assert page_hit([7, 3, 4], [[7], [12, 13]], k=3) == 0.0
    assert page_hit([], [[7]], k=5) == 0.0


def test_page_hit_counts_different_pages_and_raises_k_to_the_number_of_groups() -> None:
    assert page_hit([3, 3, 3, 7], [[7]], k=2) == 1.0
    assert page_hit([7, 12], [[7], [12, 13]], k=1) == 1.0
    assert page_hit([7, 3, 12], [[7], [12, 13]], k=1) == 0.0


@pytest.mark.parametrize(
    ("groups", "k", "message"),
    [([[1]], 0, "k is 0, below 1"), ([], 1, "nothing to hit"), ([[1], []], 1, "nothing to hit")],
)
def test_page_hit_refuses(groups: list[list[int]], k: int, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        page_hit([1], groups, k)


@given(
    st.lists(st.integers(1, 9), max_size=12),
    st.lists(st.sets(st.integers(1, 9), min_size=1), min_size=1, max_size=3),
    st.integers(1, 8),
)
def test_page_hit_never_falls_with_k(cited: list[int], groups: list[set[int]], k: int) -> None:
    assert page_hit(cited, groups, k) <= page_hit(cited, groups, k + 1)


def test_abstention_by_hand() -> None:
    abstained = [True, True, True, False, False]
    unanswerable = [True, True, False, True, False]
    assert [found.value for found in abstention_intervals(abstained, unanswerable)] == [2 / 3, 2 / 3]


def test_abstention_is_none_where_undefined() -> None:
    precision, recall = abstention_intervals([False, False], [True, False])
    assert precision is None
    assert recall is not None
    assert recall.value == 0.0
    precision, recall = abstention_intervals([True, False], [False, False])
    assert precision is not None
    assert precision.value == 0.0
    assert recall is None


def test_abstention_intervals_lie_around_the_score() -> None:
    abstained, unanswerable = [True, True, False, False] * 10, [True, False, True, False] * 10
    precision, recall = abstention_intervals(abstained, unanswerable, resamples=300)
    assert precision is not None
    assert recall is not None
    assert (precision.value, recall.value) == (0.5, 0.5)
    assert 0.0 < precision.low < 0.5 < precision.high < 1.0


@pytest.mark.parametrize(("abstained", "unanswerable"), [([True], [True, False]), ([], [])])
def test_abstention_refuses_unequal_or_empty_lists(abstained: list[bool], unanswerable: list[bool]) -> None:
    with pytest.raises(EvaluationError, match="abstention flags for"):
        abstention_intervals(abstained, unanswerable)


def test_bootstrap_agrees_with_the_normal_interval() -> None:
    values = np.random.default_rng(3).normal(0.4, 0.2, size=400)
    interval = bootstrap_interval(values)
    half = 1.96 * values.std() / math.sqrt(len(values))
    assert interval.value == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_bootstrap_depends_on_the_seed_alone() -> None:
    values = [0.0, 1.0, 1.0, 0.5, 0.2, 0.9, 0.0]
    assert bootstrap_interval(values, seed=1, resamples=700) == bootstrap_interval(values, seed=1, resamples=700)
    assert bootstrap_interval(values, seed=1, resamples=7) != bootstrap_interval(values, seed=2, resamples=7)


def test_a_wider_level_gives_a_wider_interval() -> None:
    values = np.linspace(0.0, 1.0, 30)
    narrow, wide = bootstrap_interval(values, level=0.5), bootstrap_interval(values, level=0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20))
def test_bootstrap_stays_within_the_values(values: list[float]) -> None:
    interval = bootstrap_interval(values, resamples=40)
    slack = 1e-12
    assert min(values) - slack <= interval.low <= interval.high <= max(values) + slack


def test_bootstrap_leaves_out_resamples_where_the_statistic_is_undefined() -> None:
    def mean_of_ones(rows: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        chosen = rows[rows[:, 0] == 1.0, 1]
        return float(chosen.mean()) if len(chosen) else float("nan")

    interval = bootstrap_interval([[1.0, 0.3], [0.0, 0.9]], statistic=mean_of_ones, resamples=200)
    assert (interval.value, interval.low, interval.high) == pytest.approx((0.3, 0.3, 0.3))


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([], {}, "are empty, not finite"),
        ([0.1, float("nan")], {}, "are empty, not finite"),
        ([[[0.1]]], {}, "of one or two dimensions"),
        ([0.1], {"resamples": 0}, "resamples is 0"),
        ([0.1], {"level": 1.0}, r"level is 1\.0"),
        ([0.1], {"statistic": lambda rows: float("nan")}, "the statistic is undefined on these 1 values"),
    ],
)
def test_bootstrap_refuses(values: list[float], options: dict[str, Any], message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        bootstrap_interval(values, **options)


def test_contained_answers_are_whole_words_side_by_side() -> None:
    assert contains_answer("The key is 12345, he says.", ["12345"]) == 1.0
    assert contains_answer("The key is 123456.", ["12345"]) == 0.0
    assert contains_answer("It was Bell, at the Laboratories.", ["Bell Laboratories"]) == 0.0
    assert contains_answer("", ["12345"]) == 0.0
    with pytest.raises(EvaluationError, match="no accepted answer to compare with"):
        contains_answer("12345", [])


@given(texts, st.lists(texts.filter(str.strip), min_size=1, max_size=4))
def test_the_share_contained_counts_each_wanted_text(prediction: str, wanted: list[str]) -> None:
    share = share_contained(prediction, wanted)
    assert share * len(wanted) == pytest.approx(sum(contains_answer(prediction, [text]) for text in wanted))
    assert share_contained(wanted[0], wanted[:1]) == 1.0
