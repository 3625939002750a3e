"""A budget spent by grain: chances, the knapsack against every other choice, and indexes that are asked so."""

from __future__ import annotations

import re
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sharedllm_docs.cli import backend
from sharedllm_docs.cli.options import ProfileOptions, QuestionOptions
from sharedllm_docs.cli.units import parse_grains
from sharedllm_docs.config import Profile, RetrievalConfig
from sharedllm_docs.documents.tree import ContextTree
from sharedllm_docs.errors import ConfigError
from sharedllm_docs.index.index import Index
from sharedllm_docs.retrieval.selection import CandidateChunk
from sharedllm_docs.retrieval.spending import WORTH, chances, check_grains, spend, worth
from sharedllm_docs.retrieval.spread import spread_leaves
from tests.strategies import candidate_lists
from tests.tiny_text import PAGES, tiny_document, tiny_llm, tiny_profile

GRAINS = st.lists(st.sampled_from([1, 2, 3, 4, 8, 16, 40]), min_size=1, max_size=4)


def sections_of(candidates, width=3):
    leaves = [(c.document, leaf) for c in candidates for leaf in c.tree.leaves]
    return [(document, place // width) for place, (document, _leaf) in enumerate(leaves)]


def rows_of(selected):
    return -(-len(selected.node) // selected.grain)


def value(candidates, selected):
    """Chances of what is injected times its worth."""
    leaves = [(c.document, c.chunk, leaf.index, c) for c in candidates for leaf in c.tree.leaves]
    likely = chances([c.leaf_scores[index] for _d, _n, index, c in leaves], sections_of(candidates))
    at = {(d, n, index): chance for (d, n, index, _c), chance in zip(leaves, likely, strict=True)}
    return sum(at[s.document, s.chunk, s.node.index] * worth(s.grain) for s in selected)


# -- chances ------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=30), st.integers(1, 6))
def test_chances_add_up_and_follow_the_scores(scores, width):
    sections = [(place // 11, place // width) for place in range(len(scores))]
    likely = chances(scores, sections)
    assert likely.min() > 0
    assert likely.sum() == pytest.approx(1)
    assert likely[int(np.argmax(scores))] >= 0.8 * likely.max()


def test_what_stands_beside_or_in_the_section_of_a_likely_leaf_gains():
    likely = chances([0.2, 0.9, 0.2, 0.2, 0.2, 0.2], [(0, 0), (0, 0), (0, 1), (0, 0), (0, 1), (1, 0)])
    assert likely[1] == likely.max()
    beside_and_section, beside, section, neither = likely[0], likely[2], likely[3], likely[4]
    assert beside_and_section > beside > neither
    assert beside_and_section > section > neither
    other_document = chances([0.2, 0.9], [(0, 0), (1, 0)])
    assert other_document[0] < likely[2]  # the leaf beside it in the list stands in another document


# -- the knapsack -------------------------------------------------------------------------------------------------


def test_worth_falls_with_the_grain():
    values = [worth(grain) for grain in range(1, 200)]
    assert values == sorted(values, reverse=True)
    assert all(worth(grain) == share for grain, share in WORTH.items())
    assert values[-1] > 0


@settings(max_examples=60)
@given(candidate_lists(encoding="one_pass"), st.integers(0, 200), GRAINS)
def test_it_fits_the_budget_and_names_each_leaf_once(candidates, budget, grains):
    selected = spend(candidates, sections_of(candidates), budget, grains)
    assert sum(map(rows_of, selected)) <= budget
    places = [(s.document, s.chunk, s.node.index) for s in selected]
    assert len(set(places)) == len(places)
    assert places == sorted(places)
    assert all(s.grain in grains and s.node.level == candidates[0].tree.depth for s in selected)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=4), st.integers(1, 40), GRAINS)
def test_no_other_choice_is_worth_much_more(scores, budget, grains):
    """The best of all choices, found by trying every one, gains at most what one leaf's next step would."""
    tree = ContextTree(Profile.prefix(chunk_tokens=64, depth=2, grains=(0, 1)), 16 * len(scores))
    candidates = [CandidateChunk(0, 0, tree, lambda node: 0.0, scores)]
    got = value(candidates, spend(candidates, sections_of(candidates), budget, grains))
    likely = chances(scores, sections_of(candidates))
    best = 0.0
    for choice in product((None, *set(grains)), repeat=len(scores)):
        rows = sum(-(-16 // grain) for grain in choice if grain)
        if rows <= budget:
            best = max(best, sum(p * worth(g) for p, g in zip(likely, choice, strict=True) if g))
    assert got <= best + 1e-9
    assert best - got <= likely.max() + 1e-9
    if budget >= 16 * len(scores):
        assert got == pytest.approx(best)


def test_with_one_grain_it_takes_the_likeliest_leaves_and_with_several_it_covers_more():
    profile = Profile.prefix()
    tree = ContextTree(profile, 1024)
    scores = [[0.9 - 0.04 * ((3 * leaf + 5 * chunk) % 23) for leaf in range(8)] for chunk in range(4)]
    candidates = [CandidateChunk(0, chunk, tree, lambda node: 0.0, scores[chunk]) for chunk in range(4)]
    sections = sections_of(candidates)
    fine, several = (spend(candidates, sections, 512, grains) for grains in ((1,), (1, 2, 4, 8, 16)))
    assert len(fine) == 4
    assert len(several) > 8
    assert sum(map(rows_of, several)) <= 512
    grain_at = {(s.chunk, s.node.index): s.grain for s in several}
    best = max(several, key=lambda s: s.score)
    assert grain_at[best.chunk, best.node.index] == min(grain_at.values())
    assert value(candidates, several) > value(candidates, fine)


def test_everything_is_injected_at_the_finest_grain_where_it_fits():
    tree = ContextTree(Profile.prefix(), 1000)
    candidates = [CandidateChunk(0, 0, tree, lambda node: 0.0, [0.5] * 8)]
    selected = spend(candidates, sections_of(candidates), 1000, (16, 4, 1))
    assert [s.grain for s in selected] == [1] * 8
    assert sum(map(rows_of, selected)) == 1000


# -- settings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grains", [(), (0,), (1, -2), (1.5,), "1/2", (True,)])
def test_grains_are_checked(grains):
    with pytest.raises(ConfigError, match="must be whole numbers above 0, at least one"):
        RetrievalConfig(grains=grains)


def test_an_index_has_no_rows_at_grains_finer_than_its_own():
    with pytest.raises(ConfigError, match=r"grains=\(4, 2\): the index keeps one row in 4, and none at grain 2"):
        check_grains(Profile.prefix(grains=(0, 0, 4), keep="reread"), (4, 2))
    check_grains(Profile.prefix(grains=(0, 0, 4), keep="reread"), (4, 6))
    with pytest.raises(ConfigError, match=r"none at grain 6.*multiples of it"):
        check_grains(Profile.prefix(grains=(0, 0, 4)), (4, 6))
    with pytest.raises(ConfigError, match="per_node"):
        check_grains(Profile.prefix(encoding="per_node", front="none"), (1,))


# -- indexes ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["last", "reread"])
def index(request, tmp_path_factory):
    made = Index.create(tmp_path_factory.mktemp("index"), tiny_llm(profile=tiny_profile(keep=request.param)))
    made.add(tiny_document(*(f"{page} " * 5 for page in PAGES)))
    return made


ASKED = {"relevance_floor": 0, "min_confidence": 0, "max_new_tokens": 4}


def test_counts_and_tree_tell_the_rows_by_grain(index):
    question = "Where does the heron stand?"
    answer = index.ask(question, budget=48, grains=(1, 2, 4), **ASKED)
    counts = answer.counts
    assert set(counts.grains) <= {1, 2, 4}
    assert len(counts.grains) > 1
    assert sum(counts.grains.values()) == counts.rows <= 48
    view = index.tree(index.documents()[0].key, question, budget=48, grains=(1, 2, 4), **ASKED)
    injected = [node for chunk in view.chunks for node in chunk.nodes if node.state in ("taken", "coarse")]
    by_grain = {grain: sum(n.rows for n in injected if n.grain == grain) for grain in counts.grains}
    assert by_grain == dict(counts.grains)
    assert {node.state for node in injected if node.grain > 1} == {"coarse"}
    plain = index.ask(question, budget=48, **ASKED).counts
    assert dict(plain.grains) == {1: plain.rows}


def test_the_same_answer_again_and_in_a_batch(index):
    questions = ["Where does the heron stand?", "Who writes into a blue book?", "What melts?"]
    options = {**ASKED, "budget": 40, "grains": (2, 8)}
    together = index.ask_many(questions, **options)
    assert [one.text for one in together] == [index.ask(q, **options).text for q in questions]
    assert all(one.counts.rows <= 40 for one in together)


def test_an_answer_told_by_another_process_keeps_its_grains(index):
    import json

    from sharedllm_docs.serving.stay.wire import answer_of

    answer = index.ask("What melts?", budget=40, grains=(1, 4), **ASKED)
    assert answer_of(json.loads(json.dumps(answer.to_dict()))) == answer


def test_a_grain_that_the_index_does_not_have_is_refused(tmp_path):
    made = Index.create(tmp_path, tiny_llm(profile=tiny_profile(keep="reread").at_grain(4)))
    made.add(tiny_document(*PAGES))
    with pytest.raises(ConfigError, match="none at grain 1"):
        made.ask("What melts?", grains=(1, 4), **ASKED)
    assert made.ask("What melts?", grains=(4, 8), **ASKED).counts.rows > 0
    with pytest.raises(ConfigError, match="The budget of rows is too small"):
        made.ask("What melts?", grains=(4,), budget=1, **ASKED)


def test_a_coarse_summary_covers_more_of_the_document(index):
    key = index.documents()[0].key
    fine, coarse = (
        index.summarise(key, budget=64, max_new_tokens=4, **options) for options in ({}, {"grains": (1, 2, 4, 8)})
    )
    assert coarse.counts.nodes > fine.counts.nodes
    assert coarse.counts.rows <= 64
    assert len(coarse.counts.grains) == 1


@given(candidate_lists(encoding="one_pass"), st.integers(1, 300), GRAINS)
def test_spread_leaves_share_one_grain(candidates, budget, grains):
    offered = [(c, leaf, np.ones(3, np.float32)) for c in candidates for leaf in c.tree.leaves]
    selected = spread_leaves(offered, budget, grains)
    assert sum(map(rows_of, selected)) <= budget
    assert len({s.grain for s in selected}) <= 1
    fitting = [g for g in grains if sum(-(-len(leaf) // g) for _c, leaf, _v in offered) <= budget]
    if fitting:
        assert len(selected) == len(offered)
        assert selected[0].grain == min(fitting)


def test_a_profile_with_a_grain_for_each_level_has_no_single_one():
    with pytest.raises(ConfigError, match="has a grain for each level"):
        Profile.sharedllm().at_grain(4)
    assert Profile.prefix().at_grain(4) == Profile.prefix(grains=(0, 0, 4), keep="reread")
    assert Profile.prefix(keep="first").at_grain(2).keep == "first"
    assert Profile.prefix().at_grain(1) == Profile.prefix()


# -- command line -------------------------------------------------------------------------------------------------


def test_grains_on_the_command_line():
    assert parse_grains("1/4/16") == (1, 4, 16)
    with pytest.raises(ConfigError, match=r"--grains '1,4' is not G/G/G\. Write whole numbers"):
        parse_grains("1,4")
    assert QuestionOptions(grains="2/8", budget=64).keywords() == {"grains": (2, 8), "budget": 64}
    assert ProfileOptions(grain=4, keep="repeat").changes() == {"keep": "repeat"}


def test_a_small_index_by_the_command_lines_options(tmp_path):
    chosen = backend._profile(ProfileOptions(grain=4), {"adapter": "none"}, str(tmp_path / "none"))
    assert chosen == Profile.prefix(grains=(0, 0, 4), keep="reread")
    kept = backend._profile(ProfileOptions(keep="reread"), {"adapter": "none"}, str(tmp_path / "none"))
    assert kept == Profile.prefix(keep="reread")


SMALL_PROFILES = {
    "fine": {},
    "stored coarser": {"keep": "reread", "grains": (0, 0, 4)},
    "several levels": {"keep": "reread", "grains": (16, 8, 4)},
}


@pytest.mark.parametrize("grains", [None, (4,), (4, 16), (16, 8), (7, 11)])
@pytest.mark.parametrize("profile", SMALL_PROFILES)
def test_a_budget_is_refused_only_where_no_leaf_fits_it(tmp_path, profile, grains):
    """Also where the leaf that fits is in a chunk that would not be searched, or in another section."""
    made = Index.create(tmp_path, tiny_llm(profile=tiny_profile(**SMALL_PROFILES[profile])))
    if grains is not None and profile == "fine":
        grains = tuple(grain * 4 for grain in grains)
    for number, page in enumerate(PAGES):
        made.add(tiny_document(page, name=f"{number}.txt"))
    made.add(tiny_document(" ".join(PAGES), name="long.txt"))
    common = {"grains": grains}
    for budget in (*range(1, 13), 40):
        for ask in (
            lambda rows: made.ask("What melts?", budget=rows, candidates=1, **ASKED, **common),
            lambda rows: made.summarise("long.txt", budget=rows, max_new_tokens=1, **common),
        ):
            try:
                assert 0 < ask(budget).counts.rows <= budget
            except ConfigError as error:
                least = int(re.search(r"takes (\d+)", str(error))[1])
                assert least > budget
                assert 0 < ask(least).counts.rows <= least


@pytest.mark.parametrize("grains", [(8, 16), (16, 8, 4)])
def test_a_step_that_is_worth_little_is_taken_where_nothing_else_fits(grains):
    tree = ContextTree(Profile.prefix(chunk_tokens=68, depth=2, grains=(0, 1)), 68)
    assert [tree.num_kept(tree.leaves[0], grain) for grain in (16, 8)] == [2, 3]
    candidates = [CandidateChunk(0, 0, tree, lambda _node: 0.0, [0.1, 0.4, 0.9, 0.3])]
    found = spend(candidates, [(0, 0)] * 4, 2, grains)
    assert [(one.node.index, one.grain) for one in found] == [(2, 16)]
    assert spend(candidates, [(0, 0)] * 4, 1, grains) == []


@pytest.mark.parametrize("recorded", [None, 1, 4, 1_000_000])
def test_the_grain_and_keep_of_the_command_line_count_together(monkeypatch, recorded):
    """Whatever the index has recorded: what was not given is in no message."""
    held = None if recorded is None else Profile.prefix().at_grain(recorded)
    monkeypatch.setattr(backend, "_recorded_profile", lambda _url, _salt: held)

    def profile(**options):
        return backend._profile(ProfileOptions(profile="prefix", **options), {}, "index")

    for grain in (0, -1):
        with pytest.raises(
            ConfigError, match=rf"--grain {grain} is not a number of tokens per row\. Use --grain 1 or more"
        ):
            profile(grain=grain)
    for keep in (None, "last"):
        with pytest.raises(ConfigError, match="must be a whole number of tokens per row"):
            Profile.prefix().at_grain(0, keep)
    with pytest.raises(ConfigError, match="grain 3 does not divide") as raised:
        profile(keep="last", grain=3)
    assert "1000000" not in str(raised.value)
    assert [(p.stored_grain, p.keep) for p in (profile(keep="last", grain=4), profile(keep="last", grain=1))] == [
        (4, "last"),
        (1, "last"),
    ]
    assert (profile(grain=3).stored_grain, profile(grain=3).keep) == (3, "reread")
