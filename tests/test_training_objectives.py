"""Token files and objectives: what is written comes back, and examples hold what they say."""

from __future__ import annotations

import itertools
import random
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sharedllm_docs.config import Profile
from sharedllm_docs.documents.tree import ContextTree
from sharedllm_docs.errors import ConfigError, DataError
from sharedllm_docs.model.prompt import PromptTemplate
from sharedllm_docs.training.config import ObjectiveSettings
from sharedllm_docs.training.dataset import write_rows
from sharedllm_docs.training.examples import Example, collate, prefilled
from sharedllm_docs.training.objectives import PROBE_SHARE, PoolSource
from sharedllm_docs.training.token_files import Pool, TokenFile, rows_of
from tests.tiny_text import END, tiny_tokenizer
from tests.training_helpers import JOINT, SHAPE, question_rows, text_rows, tiny_pool, tiny_token_file

TOKENIZER = tiny_tokenizer()
PROFILE = Profile.sharedllm(**{name: tuple(v) if isinstance(v, list) else v for name, v in (SHAPE | JOINT).items()})
LEAVES = replace(PROFILE, grains=(0, 1))


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return tiny_pool(tmp_path_factory.mktemp("packs"))


def text(ids):
    return TOKENIZER.decode(list(ids), clean_up_tokenization_spaces=False)


def source(pool, **changes):
    return PoolSource(pool, ObjectiveSettings(**({"target_tokens": 20} | changes)))


# -- token files --------------------------------------------------------------------------------------------------


def test_what_is_written_comes_back(pool):
    texts, questions = text_rows(), question_rows()
    assert [text(pool.text(i)) for i in range(len(texts))] == [row.text for row in texts]
    assert pool.num_questions == len(questions)
    template = PromptTemplate.of(TOKENIZER)
    for number in (0, 7, len(questions) - 1):
        row, tokens = questions[number], pool.question(number)
        assert text(tokens.context) == row.context
        assert tokens.asked == template.question_ids(TOKENIZER, row.question)
        assert text(tokens.answer[:-1]).strip() == row.answer
        assert tokens.answer[-1] == END
        assert text(tokens.context[tokens.answer_at :]).lstrip().startswith(row.answer)


def test_several_packs_are_one_pool(tmp_path):
    tiny_token_file(tmp_path / "a.npz", text_rows(2))
    tiny_token_file(tmp_path / "b.npz", question_rows(3))
    tiny_token_file(tmp_path / "c.npz", question_rows(5))
    pool = Pool.read([str(tmp_path / "*.npz")], TOKENIZER)
    assert (len(pool.text_tokens), pool.num_questions) == (2, 8)
    assert pool.question(4) == pool.files[2].question(1)
    assert pool.text_tokens.tolist() == [len(pool.text(i)) for i in range(2)]
    with pytest.raises(IndexError):
        pool.question(8)


def test_a_small_vocabulary_takes_16_bits_and_a_limit_holds(tmp_path):
    said = []
    sizes = sorted(len(TOKENIZER(row.context)["input_ids"]) for row in question_rows(9))
    path = tiny_token_file(tmp_path / "a.npz", question_rows(9), max_tokens=150, max_context=sizes[5], say=said.append)
    file = TokenFile.read(path)
    assert file.tokens.dtype == np.uint16
    assert 150 <= len(file.tokens) < 400
    assert "questions over longer contexts left out" in said[0]
    assert all(len(file.question(i).context) <= sizes[5] for i in range(len(file.question_rows)))


def test_rows_of_files_take_turns_within_a_split(tmp_path):
    texts = [replace(row, split="valid" if i % 2 else "train") for i, row in enumerate(text_rows(6))]
    write_rows(tmp_path / "texts.jsonl.gz", texts)
    write_rows(tmp_path / "questions.jsonl.gz", question_rows(2))
    rows = list(rows_of([tmp_path / "texts.jsonl.gz", tmp_path / "questions.jsonl.gz"], "train"))
    assert [row.id for row in rows] == ["made:0", "q0", "made:2", "q1", "made:4"]
    (tmp_path / "bad.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(DataError, match=r"bad\.jsonl\.gz holds no rows of the data build"):
        list(rows_of([tmp_path / "bad.jsonl.gz"], "train"))


def test_packs_that_cannot_be_read_are_named(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=r"No token file matches .*none.*Correct token_files"):
        Pool.read([str(tmp_path / "none*.npz")])
    path = tiny_token_file(tmp_path / "a.npz")
    with pytest.raises(DataError, match=r"a\.npz was made with another tokenizer"):
        Pool.read([str(path)], tiny_tokenizer_other())
    (tmp_path / "b.npz").write_bytes(path.read_bytes()[:300])
    with pytest.raises(DataError, match=r"b\.npz cannot be read"):
        TokenFile.read(tmp_path / "b.npz")
    monkeypatch.setattr("sharedllm_docs.training.token_files.SCHEMA", 2)
    with pytest.raises(DataError, match="has schema 1, this version reads 2"):
        TokenFile.read(path)
    with pytest.raises(DataError, match="nothing to write"):
        tiny_token_file(tmp_path / "c.npz", [])


def tiny_tokenizer_other():
    other = tiny_tokenizer()
    other.add_tokens(["another"])
    return other


# -- objectives ---------------------------------------------------------------------------------------------------


def check(example: Example):
    """What holds for any example."""
    assert all(0 < len(chunk) <= example.profile.chunk_tokens for chunk in example.chunks)
    assert example.target
    assert len(example.rows()) == len(example.places())
    for node in example.nodes:
        assert node.node in ContextTree(example.profile, len(example.chunks[node.chunk])).nodes
        assert node.grain == example.profile.grains[node.node.level - 1] > 0
    assert list(example.nodes) == sorted(example.nodes, key=lambda n: (n.chunk, n.node.start, n.node.level))
    spans = [(n.chunk, n.node.start, n.node.end) for n in example.nodes]
    assert all(a[0] < b[0] or a[2] <= b[1] for a, b in itertools.pairwise(spans))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    leaves=st.booleans(),
    name=st.sampled_from(["continuation", "reconstruction", "questions"]),
)
def test_any_example_is_sound_and_drawn_by_its_seed_alone(pool, seed, leaves, name):
    shares = {key: float(key == name) for key in ("continuation", "reconstruction", "questions")}
    made = source(pool, **shares, evidence=0.5)
    profile = LEAVES if leaves else PROFILE
    example = made.draw(random.Random(seed), profile)
    check(example)
    assert example.objective == name
    assert example == made.draw(random.Random(seed), profile)


def test_continuation_goes_on_where_the_past_ends(pool):
    for seed in range(20):
        example = source(pool).continuation(random.Random(seed), LEAVES)
        joined = text([t for chunk in example.chunks for t in chunk] + [*example.before, *example.target])
        assert any(joined in row.text for row in text_rows())
        assert all(len(chunk) == LEAVES.chunk_tokens for chunk in example.chunks[:-1])
        assert len(example.rows()) == sum(map(len, example.chunks))


def test_reconstruction_repeats_what_its_chunk_holds(pool):
    for seed in range(20):
        example = source(pool).reconstruction(random.Random(seed), LEAVES)
        chunk, cue = text(example.chunks[0]), text(example.before)
        assert "Repeat the passage of the document that begins with:" in cue
        assert text(example.target) in chunk


@pytest.mark.parametrize("full", [0.0, 1.0])
def test_a_question_has_its_gold_chunk_and_its_answer_at_the_finest_grain(pool, full):
    places = set()
    for seed in range(30):
        example = source(pool, full_chunks=full, evidence=0.0).questions(random.Random(seed), PROFILE)
        answer = text(example.target[:-1]).strip()
        holding = [i for i, chunk in enumerate(example.chunks) if f"The key is {answer}." in text(chunk)]
        if not holding and len(answer) > 6:  # the answer may be cut at a chunk's end by filling only
            assert full
            continue
        places.add((len(example.chunks), holding[0]))
        tree = ContextTree(PROFILE, len(example.chunks[holding[0]]))
        finest = [n.node for n in example.nodes if n.chunk == holding[0] and n.node.level == tree.depth]
        seen = text([t for node in finest for t in example.chunks[holding[0]][node.start : node.end]])
        assert re.search(rf"(^|\s){answer[0]}", seen)
        if full:
            assert len(example.chunks[holding[0]]) == PROFILE.chunk_tokens
    assert len(places) > 3


def test_evidence_is_quoted_before_the_question(pool):
    example = source(pool, evidence=1.0, full_chunks=0.0).questions(random.Random(1), PROFILE)
    plain = source(pool, evidence=0.0, full_chunks=0.0).questions(random.Random(1), PROFILE)
    assert text(example.before).endswith(text(plain.before))
    assert text(example.target[:-1]).strip() in text(example.before[: -len(plain.before)])


def test_probes_are_never_trained_on(pool):
    made = source(pool, continuation=0.0, reconstruction=0.0)
    held_out = {pool.question(i).answer for i in range(0, pool.num_questions, PROBE_SHARE)}
    assert {made.probe(random.Random(seed), LEAVES).target for seed in range(40)} == held_out
    assert not held_out & {made.draw(random.Random(seed), LEAVES).target for seed in range(300)}


def test_rows_stay_within_their_bound(pool):
    for seed in range(20):
        example = source(pool, max_rows=20, full_chunks=1.0).questions(random.Random(seed), PROFILE)
        check(example)
        assert len(example.rows()) <= 20


def test_too_little_data_is_named(tmp_path):
    tiny_token_file(tmp_path / "a.npz", question_rows(5))
    pool = Pool.read([str(tmp_path / "a.npz")])
    with pytest.raises(DataError, match="The token files hold 5 questions; at least 51 are needed"):
        source(pool)
    with pytest.raises(DataError, match="The token files hold no text of 44 tokens"):
        source(pool, questions=0.0)


# -- batches ------------------------------------------------------------------------------------------------------


def test_a_batch_points_at_the_tokens_that_are_predicted(pool):
    made = source(pool)
    examples = [made.draw(random.Random(seed), LEAVES) for seed in range(5)]
    start = (1, 2, 3)
    batch = collate(examples, start)
    assert torch.equal(batch.ids.flatten()[batch.target_at + 1], batch.targets)
    assert torch.bincount(batch.target_example).tolist() == [len(e.target) for e in examples]
    assert batch.row_exists.sum(1).tolist() == [len(e.rows()) for e in examples]
    assert batch.query_position.tolist() == [3 + len(e.rows()) for e in examples]
    read = prefilled(examples, start)
    assert torch.equal(read.targets, batch.targets)
    assert not read.row_exists.any()
    first = [t for chunk in examples[0].chunks for t in chunk] + [*examples[0].before, *examples[0].target]
    assert read.ids[0, : len(first)].tolist() == first
