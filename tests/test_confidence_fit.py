"""Fitting the decision: on rows with a known truth, with pages hidden from the search, and by the command."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from sharedllm_docs import Index, RetrievalConfig
from sharedllm_docs.errors import EvaluationError, ReservedDataError
from sharedllm_docs.evaluation.declining import fit as fitting
from sharedllm_docs.evaluation.declining.collect import cases_of
from sharedllm_docs.evaluation.declining.fit import area, fit
from sharedllm_docs.evaluation.declining.removed import WithoutPages
from sharedllm_docs.evaluation.declining.run import MADE, fit_pooled
from sharedllm_docs.evaluation.declining.states import packed, states_of
from sharedllm_docs.evaluation.declining.volumes import Volumes
from sharedllm_docs.evaluation.run_file import read_lines
from sharedllm_docs.evaluation.tasks.own.task import OwnQuestions
from sharedllm_docs.evaluation.tasks.squad_haystack.data import Squad
from sharedllm_docs.retrieval.confidence import Confidence
from sharedllm_docs.retrieval.query import Query
from sharedllm_docs.retrieval.signs import AFTER, BEFORE, GAIN, NOT_SAID_SIGN, PROBE
from tests.cli_run import good, json_of
from tests.documents import make_pdf
from tests.tiny_text import tiny_document, tiny_llm

PAGES = [
    f"Page {n}: the {bird} stands in the river and eats {n} fish a day."
    for n, bird in enumerate(("heron", "stork", "crane", "ibis", "egret", "bittern"), start=1)
]


def rows(count=400, *, gap=1.5, seed=0, costly=0.0):
    """Rows whose sign ``beside`` parts them by ``gap`` spreads, and ``not_said`` by ``costly``; all else is noise."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        answerable = number % 4 > 0
        removed = number % 8 == 0
        signs = {name: float(rng.standard_normal()) for name in (*BEFORE, *AFTER, NOT_SAID_SIGN, GAIN)}
        signs |= {"beside": float(rng.standard_normal()) + gap * answerable, "declined": 0.0}
        signs[NOT_SAID_SIGN] -= costly * answerable
        own = f"q{number}" + ("-removed" if removed else "")
        made.append({"id": own, "answerable": answerable, "declined": False, "f1": 0.5 * answerable, "signs": signs})
    return made


def test_a_fit_parts_what_can_be_parted_on_rows_it_was_not_fitted_on():
    found = fit(rows(gap=6.0))
    assert found.declining.precision > 0.95
    assert found.declining.recall > 0.95
    assert found.own.recall == 0.0
    assert found.confidence.notes["held out"]["auc"] > 0.99
    others = rows(gap=6.0, seed=1)
    declined = [found.confidence.after(row["signs"]) < found.confidence.threshold for row in others]
    assert np.mean([one != row["answerable"] for one, row in zip(declined, others, strict=True)]) > 0.95


def test_noise_is_not_parted():
    """Held-out folds do not see their own truth: without a difference they part nothing.

    Below a half is chance too: where every sign is left out, a fold with many answers is judged by a fit on few.
    """
    assert fit(rows(gap=0.0)).confidence.notes["held out"]["auc"] < 0.62


def test_signs_that_cost_are_taken_only_if_they_pay():
    assert not fit(rows(1600, gap=2.0)).confidence.uses(NOT_SAID_SIGN)
    found = fit(rows(1600, gap=2.0, costly=3.0))
    assert found.confidence.uses(NOT_SAID_SIGN)
    assert not found.confidence.uses(GAIN)
    assert found.confidence.after.signs[NOT_SAID_SIGN][2] < 0
    assert found.confidence.after.signs["beside"][2] > 0


def test_the_curve_runs_from_answering_all_to_declining_all():
    curve = fit(rows()).curve
    assert curve[0].answered == 1.0
    assert curve[-1].answered == 0.0
    assert curve[-1].recall == 1.0
    assert [one.answered for one in curve] == sorted((one.answered for one in curve), reverse=True)
    assert curve[0].risk == pytest.approx(1 - 0.5 * 0.8)  # as if four in five had an answer
    best = min(curve, key=lambda one: abs(one.answered - 0.8))
    assert best.risk < curve[0].risk


def test_the_confidence_is_meant_for_four_in_five_answerable_questions():
    data = rows(gap=1.0)
    found = fit(data).confidence
    sure = {flag: np.mean([found.after(r["signs"]) for r in data if r["answerable"] is flag]) for flag in (True, False)}
    assert fitting.ANSWERABLE * sure[True] + (1 - fitting.ANSWERABLE) * sure[False] == pytest.approx(0.8, abs=0.03)


def test_few_questions_are_declined_before_the_model_is_asked():
    data = rows()
    found = fit(data).confidence
    early = [found.before(row["signs"]) < found.early for row in data if row["answerable"]]
    assert 0 <= np.mean(early) < 0.05


def test_what_the_model_declines_by_itself_counts_as_declined():
    data = [{**row, "declined": not row["answerable"], "f1": 0.5} for row in rows(gap=0.0)]
    found = fit(data)
    assert (found.own.precision, found.own.recall) == (1.0, 1.0)
    assert found.declining.recall == 1.0


def test_a_sign_that_some_rows_lack():
    data = rows(gap=3.0)
    for row in data[::2]:
        del row["signs"][NOT_SAID_SIGN]
    assert fit(data).declining.recall > 0.7


def test_too_few_questions():
    with pytest.raises(EvaluationError, match="there are 19 questions without an answer, below 20"):
        fit([row for row in rows() if row["answerable"]] + [row for row in rows() if not row["answerable"]][:19])


@pytest.mark.parametrize(("high", "low", "expected"), [([3, 4], [1, 2], 1.0), ([1], [1], 0.5), ([1, 3], [2], 0.5)])
def test_area(high, low, expected):
    values, flags = np.array([*high, *low], dtype=float), np.array([True] * len(high) + [False] * len(low))
    assert area(values, flags) == expected


# -- hidden states ------------------------------------------------------------------------------------------------

LAYERS = (2, 5)


def with_states(data, *, gap=0.0, groups=20, told=0.0, seed=5):
    """Rows with states [2, 48]: the second layer's part them by ``gap`` spreads, the first one's by group only."""
    rng = np.random.default_rng(seed)
    way = rng.standard_normal(48) / np.sqrt(48)
    of_group = rng.standard_normal((groups, 48))
    made = []
    for number, row in enumerate(data):
        states = rng.standard_normal((2, 48))
        states[0] += told * of_group[number % groups]
        states[1] += gap * way * (1 if row["answerable"] else -1)
        own = {"group": f"text {number % groups}", "states": packed(states.astype(np.float32))}
        made.append({**row, **own})
    return made


def test_states_come_back_as_they_were_kept():
    states = np.linspace(-3, 3, 12, dtype=np.float32).reshape(2, 6)
    np.testing.assert_allclose(states_of({"states": packed(states)}, 2), states, atol=1e-2)
    assert states_of({"states": None}, 2) is None
    assert states_of({}, 2) is None


def test_a_probe_finds_the_layer_that_tells():
    found = fit(with_states(rows(gap=0.0), gap=3.0), layers=LAYERS)
    probe = found.confidence.probe
    assert found.confidence.uses(PROBE)
    assert probe.layers == (5,)
    assert found.confidence.notes["held out"]["auc"] > 0.9
    others = with_states(rows(gap=0.0, seed=1), gap=3.0)
    # the same direction, drawn with the same seed, in rows that neither regression has seen
    read = np.array([probe(states_of(row, 2)[1:]) for row in others])
    assert area(read, np.array([row["answerable"] for row in others])) > 0.9


def test_states_that_tell_nothing_are_not_probed():
    """There are as many dimensions as rows of a kind: on rows it was fitted on, a probe would tell everything."""
    assert fit(with_states(rows(120, gap=1.5)), layers=LAYERS).confidence.probe is None


def test_states_that_only_tell_which_text_it_is_are_not_probed():
    data = [row for number, row in enumerate(rows(400, gap=1.0)) if row["answerable"] or number % 20 in (0, 4)]
    assert fit(with_states(data, told=4.0), layers=LAYERS).confidence.probe is None


def test_rows_without_states_are_fitted_without_a_probe():
    data = with_states(rows(gap=0.0), gap=3.0)
    assert fit(data).confidence.probe is None  # of layers that nobody names
    for row in data[::3]:
        row["states"] = None
    assert fit(data, layers=LAYERS).confidence.probe.layers == (5,)  # the others tell
    few = [row if number < 30 else {**row, "states": None} for number, row in enumerate(data)]
    assert fit(few, layers=LAYERS).confidence.probe is None


def test_questions_about_one_text_are_judged_by_fits_on_others():
    data = with_states(rows())
    folds = fitting._folds(data)
    of_group = {row["group"]: set() for row in data}
    for row, fold in zip(data, folds.tolist(), strict=True):
        of_group[row["group"]].add(fold)
    assert all(len(found) == 1 for found in of_group.values())
    assert len(set(folds.tolist())) == fitting.FOLDS
    # of a single text, both questions of a pair are in one fold
    alone = fitting._folds([{"id": name} for name in ("a", "a-removed", "b", "c", "d", "e", "f")])
    assert alone[0] == alone[1]
    assert len(set(alone.tolist())) > 1


def test_in_every_source_four_in_five_questions_count_as_answerable():
    data = [{**row, "system": "first" if n % 3 else "second"} for n, row in enumerate(rows())]
    weights = fitting._Data.of(data).weights
    for source in ("first", "second"):
        own = np.array([row["system"] == source for row in data])
        answerable = np.array([row["answerable"] for row in data])
        assert weights[own & answerable].sum() / weights[own].sum() == pytest.approx(fitting.ANSWERABLE)


# -- questions ----------------------------------------------------------------------------------------------------


def squad(number, title):
    text = f"Paragraph {number} of {title} tells of the number {1000 + number}."
    return Squad(f"{number:023x}2", title, text, f"Which number is in {number}?", (str(1000 + number),))


def test_volumes_ask_each_question_with_and_without_its_paragraph():
    titles = [f"Article {letter}" for letter in "abcdefg"]
    asked = [squad(100 * place + n, title) for place, title in enumerate(titles) for n in range(8)]
    asked += [squad(900 + n, "Too short") for n in range(3)]
    examples = Volumes(asked).examples(None, 0)
    assert examples == Volumes(asked).examples(None, 0)
    pairs = list(zip(examples[::2], examples[1::2], strict=True))
    assert 7 <= len(pairs) <= 7 * 5
    for with_, without in pairs:
        paragraph = next(row.paragraph for row in asked if with_.id == f"{row.id}-with")
        assert without.id == with_.id.replace("-with", "-without")
        assert with_.question == without.question
        assert (with_.answerable, without.answerable) == (True, False)
        assert paragraph in with_.documents[0].text
        assert paragraph not in without.documents[0].text
        title = paragraph.partition(" of ")[2].partition(" tells")[0]
        assert title in without.documents[0].text  # the same subject
        assert Volumes.pair(with_) == Volumes.pair(without)
    assert len({Volumes.pair(one) for one in examples}) == 2
    assert not any("Too short" in one.documents[0].text for one in examples)
    assert len(Volumes(asked).examples(3, 0)) == 6


def test_volumes_refuse_rows_that_are_kept_for_judging():
    with pytest.raises(ReservedDataError, match="odd hex digit"):
        Volumes([Squad("ab1", "T", "P", "Q?", ("P",))]).examples(1, 0)


def test_the_made_up_documents_hold_the_answers_and_nothing_for_the_others():
    task = OwnQuestions(MADE, ())
    examples = task.examples(None, 0)
    absent = [one for one in examples if not one.answerable]
    assert len(examples) > 150
    assert 0.35 < len(absent) / len(examples) < 0.55
    for one in examples:
        if one.answerable and one.kind != "yes-no":
            words = re.findall(r"\w+", " ".join(one.documents[0].text.lower().split()))
            said = [re.findall(r"\w+", answer.lower()) for answer in one.answers]
            assert any(set(answer) <= set(words) for answer in said), one.question


# -- pages that are hidden ----------------------------------------------------------------------------------------


def test_hidden_pages_are_neither_found_nor_injected(tmp_path, llm):
    index = Index.create(tmp_path / "index", llm)
    index.add(tiny_document(*PAGES, name="birds.txt"))
    query = Query("What does the crane eat?", RetrievalConfig(relevance_floor=0, budget=64))
    engine = index.engine(query)
    plain = engine.select(query)
    engine.searcher = WithoutPages(engine.searcher, llm.profile, [3])
    hidden = engine.select(query)

    def pages(selection):
        document = selection.documents[0]
        return {page for node in selection.nodes for page in range(*_span(document, node))}

    assert 3 in pages(plain)
    assert 3 not in pages(hidden)
    assert hidden.nodes
    assert hidden.scores.lexical.max() < plain.scores.lexical.max()
    assert float(hidden.scores.fused.max()) == pytest.approx(1.0)


def _span(document, node):
    first, last = document.pages(node.chunk, node.node)
    return first, last + 1


def test_each_answerable_question_is_asked_again_without_its_pages(tmp_path):
    task = OwnQuestions(*questions(tmp_path))
    cases = cases_of(task, None)
    assert len(cases) == 24 + 24 + 24
    removed = [case for case in cases if case.removed]
    assert all(case.id == f"{case.example.id}-removed" and not case.answerable for case in removed)
    assert sum(case.answerable for case in cases) == 24


# -- the command --------------------------------------------------------------------------------------------------


def questions(folder: Path) -> tuple[Path, list[Path]]:
    """24 questions with a page and 24 without an answer, about one document."""
    document = folder / "birds.pdf"
    document.write_bytes(make_pdf([[page] for page in PAGES]))
    answerable = {"answers": ["fish"], "pages": [3], "file": "birds.pdf"}
    listed = [{"question": f"What does the crane eat, fish or {n}?", **answerable} for n in range(24)]
    listed += [{"question": f"Which boxplot number {n} is drawn?", "answers": []} for n in range(24)]
    path = folder / "mine.jsonl"
    path.write_text("\n".join(map(json.dumps, listed)), encoding="utf-8")
    return path, [document]


@pytest.fixture
def tiny_model(monkeypatch):
    from sharedllm_docs.model.shared_llm import SharedLLM

    monkeypatch.setattr(OwnQuestions, "max_new_tokens", 2)
    monkeypatch.setattr(SharedLLM, "from_pretrained", classmethod(lambda _cls, *_a, **_o: tiny_llm()))


def test_the_command_fits_a_model_and_goes_on_where_it_stopped(tmp_path, tiny_model):
    path, files = questions(tmp_path)
    out = tmp_path / "out"
    command = ("fit-confidence", "--questions", str(path), "--files", str(files[0]), "--out", str(out))
    found = json_of(*command)
    own = Confidence.load(out / "confidence.json")
    assert own.notes["model"] == "tiny-llama"
    assert own.notes["rows"] == {"answerable": 24, "without an answer": 24, "pages taken away": 24}
    assert found["file"] == str(out / "confidence.json")
    header, *collected = read_lines(out / "confidence.jsonl")
    assert header["adapter"] is None
    assert {*collected[0]["signs"]} >= {*BEFORE, *AFTER, NOT_SAID_SIGN, "match"}
    assert GAIN not in collected[0]["signs"]
    assert states_of(collected[0], len(header["layers"])).shape == (len(header["layers"]), tiny_llm().upper.hidden_size)
    # the questions of one kind name birds of the text, the others do not
    assert own.notes["held out"]["auc"] > 0.9
    assert "declining precision" in good(*command).stdout
    assert Confidence.load(out / "confidence.json") == own
    assert len(read_lines(out / "confidence.jsonl")) == 1 + 72
    assert fit_pooled([out / "confidence.jsonl"]).confidence.notes["models"] == ["tiny-llama"]


def test_options_that_do_not_go_together():
    error = json_of("fit-confidence", "--files", "a.pdf", exit_code=2)["error"]
    assert "--files are documents of --questions" in error["message"]
    assert "--squad is -1, below 0" in json_of("fit-confidence", "--squad", "-1", exit_code=2)["error"]["message"]
