"""Groups of questions over shared chunks: the same chunks, right answers, few leaves; a chunk is encoded once."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sharedllm_docs.config import Profile
from sharedllm_docs.documents.tree import ContextTree
from sharedllm_docs.errors import ConfigError, DataError
from sharedllm_docs.training.config import ObjectiveSettings
from sharedllm_docs.training.examples import collate
from sharedllm_docs.training.feed import Feed
from sharedllm_docs.training.objectives import PROBE_SHARE, PoolSource
from sharedllm_docs.training.token_files import Pool
from sharedllm_docs.training.trainee import Trainee
from sharedllm_docs.training.trainer import Trainer, train
from tests.test_training_objectives import check
from tests.tiny_text import tiny_tokenizer
from tests.training_helpers import (
    JOINT,
    SHAPE,
    question_rows,
    text_rows,
    tiny_config,
    tiny_pool,
    tiny_token_file,
    tiny_training_base,
)

TOKENIZER = tiny_tokenizer()
PROFILE = Profile.sharedllm(
    **{name: tuple(v) if isinstance(v, list) else v for name, v in (SHAPE | JOINT | {"grains": [0, 1]}).items()}
)


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return tiny_pool(tmp_path_factory.mktemp("packs"))


def text(ids):
    return TOKENIZER.decode(list(ids), clean_up_tokenization_spaces=False)


def grouped(pool, **changes):
    wanted = {"group": 6, "leaves": 2, "questions": 1.0, "continuation": 0.0, "reconstruction": 0.0, "evidence": 0.0}
    return PoolSource(pool, ObjectiveSettings(**(wanted | changes)))


def seen(example):
    return text([t for n in example.nodes for t in example.chunks[n.chunk][n.node.start : n.node.end]])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), fill=st.sampled_from([0, 40, 64]), leaves=st.integers(1, 4))
def test_a_group_shares_its_chunks_and_every_answer_is_injected(pool, seed, fill, leaves):
    made = grouped(pool, fill=fill, leaves=leaves)
    examples = made.draw_group(random.Random(seed), PROFILE)
    assert len(examples) == 6
    assert examples == made.draw_group(random.Random(seed), PROFILE)
    for example in examples:
        check(example)
        assert example.chunks is examples[0].chunks or example.chunks == examples[0].chunks
        assert len(example.nodes) <= max(leaves, 2)  # an answer across two leaves has both
        # a leaf's first token may be a part of a word, so blanks are left out of the comparison
        assert text(example.target[:-1]).replace(" ", "") in seen(example).replace(" ", "")


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), fewest=st.integers(1, 4))
def test_a_question_gets_at_least_the_fewest_leaves(pool, seed, fewest):
    made = grouped(pool, fill=64, leaves=4, fewest_leaves=fewest)
    for example in made.draw_group(random.Random(seed), PROFILE):
        there = sum(len(ContextTree(PROFILE, len(chunk)).leaves) for chunk in example.chunks)
        assert min(fewest, there) <= len(example.nodes) <= 4


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), grain=st.sampled_from([1, 2, 4]), leaves=st.integers(1, 4))
def test_leaves_of_any_grain_keep_every_group_of_tokens(pool, seed, grain, leaves):
    """At grain 2 half of the rows of grain 1, the last of each pair, of the same leaves."""
    fine = grouped(pool, fill=40, leaves=leaves).draw_group(random.Random(seed), PROFILE)
    coarse = grouped(pool, fill=40, leaves=leaves).draw_group(random.Random(seed), replace(PROFILE, grains=(0, grain)))
    for one, other in zip(fine, coarse, strict=True):
        assert [n.node for n in one.nodes] == [n.node for n in other.nodes]
        assert len(other.rows()) == sum(-(-len(n.node) // grain) for n in one.nodes)
        assert set(other.rows()) <= set(one.rows())
        ends = {(n.chunk, n.node.end - 1) for n in one.nodes}
        assert ends <= set(other.rows())


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), leaves=st.integers(1, 4))
def test_with_grains_above_the_leaves_the_rest_of_a_chunk_comes_coarser(pool, seed, leaves):
    """Leaves as without, at the finest grain; every other token of their chunks lies in a coarser node, once."""
    profile = replace(PROFILE, depth=3, grains=(8, 4, 2))
    alone = replace(profile, grains=(0, 0, 2))
    made = grouped(pool, leaves=leaves)
    plain = made.draw_group(random.Random(seed), alone)
    branched = made.draw_group(random.Random(seed), profile)
    for one, other in zip(plain, branched, strict=True):
        check(other)
        nodes = [(n.chunk, n.node) for n in other.nodes]
        assert {(n.chunk, n.node) for n in one.nodes} <= set(nodes)
        assert all(n.grain == {1: 8, 2: 4, 3: 2}[n.node.level] for n in other.nodes)
        for chunk in {n.chunk for n in other.nodes}:
            covered = [t for n in other.nodes if n.chunk == chunk for t in range(n.node.start, n.node.end)]
            assert covered == list(range(len(other.chunks[chunk])))


def test_groups_of_several_grains_take_turns(pool):
    config = tiny_config(
        profile={"grains": [0, 2]}, stages=[{"grains": [[0, 1], [0, 2]]}], run={"batch": 4}, objectives={"group": 2}
    )
    feed = Feed(config, grouped(pool, group=2), num_layers=4)
    grains = [[e.profile.grains for e in feed.draw(step, 0)] for step in range(12)]
    assert all(four[0] == four[1] and four[2] == four[3] for four in grains)
    assert {four[0] for four in grains} == {(0, 1), (0, 2)}


def test_distractors_come_beside_the_answer(pool):
    counts = {len(e.nodes) for s in range(20) for e in grouped(pool, leaves=3).draw_group(random.Random(s), PROFILE)}
    assert counts == {1, 2, 3}


def test_evidence_quotes_a_leaf_that_is_injected(pool):
    for example in grouped(pool, evidence=1.0).draw_group(random.Random(3), PROFILE):
        quoted = text(example.before).partition("Question")[0].strip()
        assert any(
            quoted.startswith(text(example.chunks[n.chunk][n.node.start : n.node.end]).strip()[:20])
            for n in example.nodes
        )


def test_siblings_share_one_context(tmp_path):
    rows = question_rows(120)
    shared = [replace(row, context=rows[60 * (i // 60)].context, doc="d") for i, row in enumerate(rows)]
    made = grouped(Pool.read([str(tiny_token_file(tmp_path / "a.npz", shared))], TOKENIZER), siblings=4, group=4)
    examples = made.draw_group(random.Random(0), PROFILE)
    spans = {(n.chunk, n.node) for e in examples for n in e.nodes}
    assert sum(map(len, examples[0].chunks)) < 2 * len(made.pool.question(0).context) + 1
    assert spans


def test_kinds_are_drawn_by_their_weights(tmp_path):
    rows = [replace(row, kind="rare" if i % 10 == 3 else "common") for i, row in enumerate(question_rows(200))]
    made = PoolSource(
        Pool.read([str(tiny_token_file(tmp_path / "a.npz", rows))], TOKENIZER),
        ObjectiveSettings(group=2, kinds={"rare": 1.0, "common": 0.0}, continuation=0.0, reconstruction=0.0),
    )
    rare = {made.pool.question(i).answer for i in range(200) if i % 10 == 3 and i % PROBE_SHARE}
    drawn = {e.target for seed in range(30) for e in made.draw_group(random.Random(seed), PROFILE)}
    assert drawn <= rare


def test_what_is_kept_for_measuring_is_never_drawn(pool):
    held_out = {pool.question(i).answer for i in range(0, pool.num_questions, PROBE_SHARE)}
    drawn = {e.target for seed in range(60) for e in grouped(pool).draw_group(random.Random(seed), PROFILE)}
    assert len(drawn) > 100
    assert not held_out & drawn


def test_long_questions_are_left_out(pool):
    sizes = sorted(pool.question_tokens)
    most = sizes[len(sizes) // 2]
    made = grouped(pool, max_fed=most)
    drawn = [e for seed in range(20) for e in made.draw_group(random.Random(seed), PROFILE)]
    assert max(len(e.before) + len(e.target) for e in drawn) == most < sizes[-1]


@pytest.mark.parametrize("settings", [{"max_fed": 1}, {"kinds": {"unheard-of": 1.0}}])
def test_settings_that_leave_no_question_are_refused(pool, settings):
    with pytest.raises(DataError, match=rf"None of {pool.num_questions:,} questions .* max_fed=\d+ tokens. Raise obj"):
        grouped(pool, **settings).draw_group(random.Random(0), PROFILE)


def test_other_objectives_fill_their_group(pool):
    made = grouped(pool, questions=0.0, continuation=1.0, target_tokens=12)
    assert [e.objective for e in made.draw_group(random.Random(1), PROFILE)] == ["continuation"] * 6


def test_a_chunk_that_several_examples_read_is_encoded_once_and_gives_the_same_loss(pool):
    examples = grouped(pool).draw_group(random.Random(5), PROFILE)
    batch = collate(examples, (1, 2, 3))
    assert len(batch.chunks) == len(examples[0].chunks)
    base = tiny_training_base()
    config = tiny_config(profile={"grains": [0, 1]}, stages=[{}], run={"batch": 6}, objectives={"group": 6})
    trainee = Trainee(base.arch, config, start_ids=base.start_ids, front_ids=base.start_ids).eval()
    together = trainee(examples).by_example
    alone = torch.cat([trainee([example]).by_example for example in examples])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_the_lower_model_learns_through_chunks_that_are_shared(pool):
    """The gradient of a group is the mean of its questions' own ones, though its chunks were encoded once."""
    tables = {"profile": {"grains": [0, 2]}, "stages": [{}], "run": {"batch": 6}, "objectives": {"group": 6}}
    base = tiny_training_base()
    base.arch.model.double()
    trainee = Trainee(base.arch, tiny_config(**tables), start_ids=base.start_ids, front_ids=base.start_ids).eval()
    for index, parameter in enumerate(trainee.parameters()):
        torch.manual_seed(index)
        torch.nn.init.normal_(parameter, std=0.1)
    examples = grouped(pool).draw_group(random.Random(5), replace(PROFILE, grains=(0, 2)))

    def gradients(parts):
        trainee.zero_grad()
        for part in parts:
            (trainee(part).total / len(parts)).backward()
        return {name: p.grad.clone() for name, p in trainee.named_trained() if p.grad is not None}

    together, alone = gradients([examples]), gradients([[one] for one in examples])
    assert sum(name.startswith("lower_lora") and bool(g.abs().max() > 0) for name, g in together.items()) > 10
    assert together.keys() == alone.keys()
    for name, gradient in together.items():
        torch.testing.assert_close(gradient, alone[name], rtol=1e-4, atol=1e-6)


def test_a_run_in_groups_stops_and_goes_on_exactly(pool, tmp_path):
    tables = {
        "profile": {"grains": [0, 1]},
        "stages": [{}],
        "run": {"batch": 4, "steps": 4},
        "objectives": {"group": 2, "questions": 0.7, "continuation": 0.3, "reconstruction": 0.0},
    }
    config = tiny_config(**tables)
    source = PoolSource(pool, config.objectives)
    whole = Trainer(config, tmp_path / "a", tiny_training_base(), source, lambda line: None)
    whole.run(None, tensorboard=False)
    train(config, tmp_path / "b", base=tiny_training_base(), source=source, max_minutes=1e-6, tensorboard=False)
    again = Trainer(config, tmp_path / "b", tiny_training_base(), source, lambda line: None)
    assert 0 < again.step < 4
    again.run(None, tensorboard=False)
    for name, value in whole.trainee.trained_state().items():
        assert torch.equal(value, again.trainee.trained_state()[name]), name


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"objectives": {"group": 3}}, "batch=2 is not a multiple of group=3"),
        ({"objectives": {"leaves": 0}}, "leaves=0 must be at least 1"),
        ({"objectives": {"fewest_leaves": 0}}, "fewest_leaves=0 must be at least 1"),
        ({"objectives": {"leaves": 2, "fewest_leaves": 3}}, "fewest_leaves=3 is above leaves=2"),
        ({"objectives": {"kinds": {"span": -1}}}, "the weight -1 of 'span' must be a number of at least 0"),
        ({"objectives": {"kinds": {"span": 0}}}, "all weights are 0"),
    ],
)
def test_settings_that_cannot_be_are_named(tables, message):
    with pytest.raises(ConfigError, match=message):
        tiny_config(**tables)


def test_texts_alone_make_no_group_of_questions(tmp_path):
    made = Pool.read([str(tiny_token_file(tmp_path / "a.npz", text_rows()))], TOKENIZER)
    assert made.question_kinds == []
    with pytest.raises(IndexError):
        made.context_key(0)
