"""Rows chosen by the attention they receive: ranks, scores against an independent path, storage, and whole indexes."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sharedllm_docs import Index
from sharedllm_docs.architectures.registry import architecture_for
from sharedllm_docs.config import RANKED, Profile
from sharedllm_docs.documents.tree import ContextTree, RowLayout, ranks_of
from sharedllm_docs.errors import ConfigError, DamagedIndexError, SchemaError, StoreError
from sharedllm_docs.injection.encoder import LowerEncoder
from sharedllm_docs.injection.row_scores import NEAREST, scoring_layers
from sharedllm_docs.store import IndexStore
from sharedllm_docs.store.canonical import canonical_bytes, seal
from sharedllm_docs.store.estimate import estimate_bytes
from sharedllm_docs.store.shard import RANKED_SCHEMA, check_shard, encode_shard, parse_head
from tests.strategies import ranked_trees
from tests.tiny import FAMILIES, tiny_model
from tests.tiny_text import PAGES, tiny_llm
from tests.tiny_text import tiny_profile as text_profile

IDS = [(7 * place * place + 3 * place) % 90 + 10 for place in range(61)]
FRONT = (3, 5, 7)
REPEAT = (11, 13)

# -- ranks and trees ----------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0]) | st.floats(-1, 1), max_size=40))
def test_ranks_are_an_order_and_ties_go_to_the_earlier_token(scores):
    ranks = ranks_of(scores)
    assert sorted(ranks) == list(range(len(scores)))
    by_rank = sorted(range(len(scores)), key=ranks.__getitem__)
    assert [scores[place] for place in by_rank] == sorted(scores, reverse=True)
    assert all(a < b for a, b in pairwise(by_rank) if scores[a] == scores[b])


@given(ranked_trees(), st.data())
def test_coarser_rows_are_among_the_finer_ones_and_every_node_keeps_some(tree, data):
    finest = tree.profile.stored_grain
    node = data.draw(st.sampled_from(tree.nodes))
    grains = [finest * factor for factor in (1, 2, 4, 8, 1000)]
    kept = [tree.kept(node, grain) for grain in grains]
    for grain, offsets in zip(grains, kept, strict=True):
        assert len(offsets) == tree.num_kept(node, grain) >= 1
        assert list(offsets) == sorted(set(offsets))
        assert all(node.start <= offset < node.end for offset in offsets)
    for fine, coarse in pairwise(kept):
        assert set(coarse) <= set(fine)
        worst = max(tree.ranks[offset] for offset in coarse)
        assert all(tree.ranks[offset] > worst for offset in set(fine) - set(coarse))
    assert tree.kept(node, 0) == ()


@given(ranked_trees())
def test_rows_are_stored_leaf_after_leaf(tree):
    layout = RowLayout(tree)
    assert len(layout.offsets) == layout.num_rows
    assert list(layout.offsets) == sorted(layout.offsets)
    for node in tree.nodes:
        for grain in (tree.profile.stored_grain, 4 * tree.profile.stored_grain):
            assert [layout.offsets[row] for row in layout.rows_of(node, grain)] == list(tree.kept(node, grain))


def test_before_its_chunk_is_encoded_a_tree_knows_how_many_rows_and_not_which():
    tree = ContextTree(Profile.prefix(chunk_tokens=32, depth=2, grains=(0, 4), keep="reread"), 30)
    assert RowLayout(tree).num_rows == 8
    assert [tree.num_kept(leaf) for leaf in tree.leaves] == [2, 2, 2, 2]
    with pytest.raises(ValueError, match="not known yet"):
        tree.kept(tree.leaves[0])


def test_ranked_grains_need_not_divide_but_are_not_finer_than_the_stored_one():
    tree = ContextTree(Profile.prefix(grains=(0, 0, 5), keep="reread"), 1000)
    assert [tree.num_kept(leaf) for leaf in tree.leaves] == [26] * 7 + [21]
    with pytest.raises(ConfigError, match="grain 2 is finer than the stored grain 4"):
        Profile.prefix(grains=(0, 2, 4), keep="reread")
    with pytest.raises(ConfigError, match="grain 5 does not divide the 128 tokens"):
        Profile.prefix(grains=(0, 0, 5))


def test_ranks_need_the_whole_chunk_in_one_pass():
    with pytest.raises(ConfigError, match="keep='repeat' ranks the tokens of a chunk: encoding must be 'one_pass'"):
        Profile.prefix(encoding="per_node", front="none", keep="repeat")


# -- scores, against the attention weights that transformers itself computes ----------------------------------------


def weights_of(model: Any, ids: list[int]) -> list[torch.Tensor]:
    """Attention weights [H, S, S] of every layer, by transformers' own eager attention."""
    with torch.inference_mode():
        return [one[0] for one in model(torch.tensor([ids]), output_attentions=True).attentions]


def encoded(model: Any, keep: str, **changes: Any) -> Any:
    profile = Profile.prefix(chunk_tokens=64, depth=2, grains=(0, 1), keep=keep, **changes).resolve(4)
    return LowerEncoder(architecture_for(model), profile, FRONT, REPEAT).encode([IDS])[0]


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "mistral-sliding"])
def test_repeat_ranks_by_what_the_model_attends_to_while_it_repeats(family):
    model = tiny_model(family, attention="eager")
    ranks = encoded(model, "repeat").ranks
    end = len(FRONT) + len(IDS)
    attention = weights_of(model, [*FRONT, *IDS, *REPEAT, *IDS])
    by_layer = [attention[layer][:, end:, len(FRONT) : end].amax((0, 1)) for layer in scoring_layers(range(4))]
    assert ranks == ranks_of(torch.stack(by_layer).mean(0).tolist())


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_following_ranks_by_what_later_tokens_attend_to(family):
    """Weights among the tokens that stand far enough before each: the softmax over all, without the near ones."""
    model = tiny_model(family, attention="eager")
    ranks = encoded(model, "following").ranks
    places = torch.arange(len(FRONT) + len(IDS))
    distance = places[:, None] - places[None]
    seen = (distance >= NEAREST) | ((places < len(FRONT)) & (distance > 0))
    by_layer = []
    for layer in scoring_layers(range(4)):
        own = (weights_of(model, [*FRONT, *IDS])[layer] * seen)[:, len(FRONT) :]
        by_layer.append((own / own.sum(-1, keepdim=True)).amax((0, 1))[len(FRONT) :])
    assert ranks == ranks_of(torch.stack(by_layer).mean(0).tolist())


@pytest.mark.parametrize("keep", ["reread", "expected"])
def test_the_first_layer_repeats_what_it_read(keep):
    """In the first layer a token that is read again has the query it had: there ``reread`` is ``repeat`` exactly, but
    for the keys of the repetition itself, which take their share of each query's softmax."""
    model = tiny_model("llama", attention="eager")
    ranks = encoded(model, keep, layers=(1, 1)).ranks
    assert sorted(ranks) == list(range(len(IDS)))
    end = len(FRONT) + len(IDS)
    twice = weights_of(model, [*FRONT, *IDS, *IDS])[0][:, end:, :end]
    own = (twice / twice.sum(-1, keepdim=True)).amax((0, 1))[len(FRONT) :]
    if keep == "reread":
        assert ranks == ranks_of(own.tolist())
    else:  # another rule over the same queries: not the same order, but far from a random one
        assert ranks != ranks_of(own.tolist())


@pytest.mark.parametrize("keep", sorted(RANKED))
def test_scoring_leaves_rows_and_model_as_they_are(keep):
    model = tiny_model("qwen3")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    plain, chosen = encoded(model, "last"), encoded(model, keep)
    assert torch.equal(plain.keys, chosen.keys)
    assert torch.equal(plain.values, chosen.values)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())
    coarse = encoded(model, keep, layers=(2, 4))
    assert coarse.keys.shape[1] == 3


@pytest.mark.parametrize("keep", sorted(RANKED))
@pytest.mark.parametrize("layers", [(1, 1), (1, 2), (3, 3), (1, 4)])
@pytest.mark.parametrize("tokens", [1, 2, 9, 61])
def test_any_layers_and_lengths_are_ranked(keep, layers, tokens):
    profile = Profile.prefix(chunk_tokens=64, depth=2, grains=(0, 4), keep=keep, layers=layers, front="none")
    encoder = LowerEncoder(architecture_for(tiny_model("llama")), profile, (), REPEAT)
    one, two = encoder.encode([IDS[:tokens], IDS])
    assert sorted(one.ranks) == list(range(tokens))
    assert one.keys.shape[0] == RowLayout(ContextTree(profile, tokens)).num_rows
    if tokens < len(IDS):  # padding of a batch changes nothing
        alone = encoder.encode([IDS[:tokens]])[0]
        assert alone.ranks == one.ranks
        assert torch.allclose(alone.keys, one.keys, atol=1e-12)
    assert sorted(two.ranks) == list(range(len(IDS)))


# -- shards -------------------------------------------------------------------------------------------------------


def shard_of(dtype: str, tokens: int, ranks: Any) -> Any:
    rng = np.random.default_rng(0)
    keys, values = rng.normal(size=(2, tokens, 2, 3, 8))
    return encode_shard("ab" * 32, dtype, keys, values, [(0, tokens)], ranks)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8", "int4", "float64"])
@pytest.mark.parametrize("tokens", [1, 4, 11, 40_000])
def test_ranks_stand_in_the_head_and_add_little(dtype, tokens):
    if tokens > 1000 and dtype != "int8":
        pytest.skip("one format is enough for long chunks")
    ranks = ranks_of(np.random.default_rng(1).normal(size=tokens).tolist())
    shard, plain = shard_of(dtype, tokens, ranks), shard_of(dtype, tokens, None)
    data = b"".join(shard.buffers)
    head = check_shard(data)
    assert (head.ranked, parse_head(data)) == (tokens, head)
    start = head.starts["ranks"]
    width = 2 if tokens <= 1 << 15 else 4
    assert np.frombuffer(data[start : start + width * tokens], f"<i{width}").tolist() == list(ranks)
    assert start + width * tokens <= head.head_bytes
    assert all(place % spec.numpy_dtype.itemsize == 0 for spec in head.specs for place in [head.starts[spec.name]])
    assert len(data) - plain.head.file_bytes < width * tokens + 160
    assert b'"schema":1' in plain.head.header.replace(b"\\", b"")
    assert b"ranked" not in plain.head.header


@pytest.mark.parametrize("ranks", [[0, 1], [0, 0, 1], [0, 1, 3], [-1, 0, 1], []])
def test_ranks_that_are_no_order_are_refused(ranks):
    if len(ranks) == 2:
        assert shard_of("int8", 3, ranks).head.ranked == 2  # the reader compares with the chunk's tokens
        return
    with pytest.raises(StoreError, match="must be each of 0"):
        shard_of("int8", 3, ranks)


def test_a_changed_rank_is_found_and_a_newer_shard_refused():
    data = bytearray(b"".join(shard_of("int8", 11, list(range(11))).buffers))
    start = parse_head(bytes(data)).starts["ranks"]
    data[start] ^= 1
    with pytest.raises(ValueError, match="scales do not match"):
        check_shard(bytes(data))
    size = struct.unpack("<Q", bytes(data[:8]))[0]
    header = json.loads(data[8 : 8 + size])
    told = json.loads(header["__metadata__"]["sharedllm-docs"])
    del told["digest"]
    for changes, error, match in (
        ({"schema": RANKED_SCHEMA + 1}, SchemaError, f"reads up to {RANKED_SCHEMA}"),
        ({"schema": 1}, ValueError, "does not match"),
        ({"ranked": 0}, ValueError, "ranks of 0 tokens"),
        ({"ranked": "eleven"}, ValueError, "ranks of 'eleven' tokens"),
    ):
        header["__metadata__"]["sharedllm-docs"] = seal({**told, **changes}).decode()
        text = canonical_bytes(header)
        text += b" " * (-len(text) % 8)
        with pytest.raises(error, match=match):
            parse_head(struct.pack("<Q", len(text)) + text + bytes(data[8 + size :]))


# -- whole indexes ------------------------------------------------------------------------------------------------

QUESTIONS = ("Where does the heron stand?", "Who writes into a blue book?")


def llm_of(keep: str, **changes: Any) -> Any:
    return tiny_llm(profile=text_profile(keep=keep, **changes))


def write(folder: Path) -> Path:
    path = folder / "notes.txt"
    path.write_text("\f".join(f"{page} " * 6 for page in PAGES), encoding="utf-8")
    return path


def answers(index: Index, **options: Any) -> list[Any]:
    found = [index.ask(q, max_new_tokens=6, relevance_floor=0, min_confidence=0, **options) for q in QUESTIONS]
    return [(one.text, one.citations, one.counts) for one in found]


@pytest.mark.parametrize("keep", sorted(RANKED))
def test_an_index_answers_alike_fresh_reopened_and_read_when_asked(keep, tmp_path):
    llm = llm_of(keep, grains=(0, 0, 4))
    source = write(tmp_path)
    fresh = Index.create(tmp_path / "fresh", llm)
    fresh.add(source)
    first = answers(fresh, budget=24)
    assert all(0 < counts.rows <= 24 for _text, _cited, counts in first)
    again = Index.open(tmp_path / "fresh", llm)
    assert answers(again, budget=24) == first
    assert again.verify().ok
    lazy = Index.create(tmp_path / "lazy", llm)
    lazy.add(source, encode="when-asked")
    told = answers(lazy, budget=24)
    assert [one[:2] for one in told] == [one[:2] for one in first]
    lazy.read()
    shards = sorted((tmp_path / "fresh" / "shards").rglob("*.safetensors"))
    assert shards
    for path in shards:
        assert path.read_bytes() == (tmp_path / "lazy" / path.relative_to(tmp_path / "fresh")).read_bytes()


def test_a_small_index_is_as_small_as_the_estimate_says(tmp_path):
    llm = llm_of("reread", grains=(0, 0, 4), store_dtype="int8")
    index = Index.create(tmp_path / "index", llm)
    estimate = index.estimate(write(tmp_path))
    index.add(write(tmp_path))
    shards = [path.stat().st_size for path in (tmp_path / "index" / "shards").rglob("*.safetensors")]
    assert sorted(shards) == sorted(estimate.chunk_bytes)
    sizes = {}
    for grain, keep in ((1, "last"), (4, "reread"), (1, "reread")):
        profile = Profile.prefix(grains=(0, 0, grain), keep=keep).resolve(24)
        sizes[grain, keep] = estimate_bytes(100_000, profile, kv_heads=2, head_dim=64)
    assert sizes[4, "reread"].rows * 3.9 < sizes[1, "last"].rows
    extra = sizes[1, "reread"].total - sizes[1, "last"].total
    assert 2 * 100_000 <= extra < 2.1 * 100_000  # two bytes a token


def test_a_shard_with_the_ranks_of_other_tokens_is_damage(tmp_path):
    llm = llm_of("reread")
    index = Index.create(tmp_path / "index", llm)
    index.add(write(tmp_path))
    store = IndexStore.open(tmp_path / "index")
    record = store.documents()[0].chunks[0]
    assert sorted(store.ranks([record])[0]) == list(range(record.end - record.start))
    with pytest.raises(DamagedIndexError, match=r"holds the ranks of \d+ tokens instead of"):
        store.ranks([replace(record, end=record.end + 1)])
    with pytest.raises(StoreError, match="not read yet"):
        store.ranks([replace(record, sha256="", bytes=0)])


def test_a_damaged_chunk_is_encoded_again_with_its_ranks(tmp_path):
    llm = llm_of("reread", grains=(0, 0, 2))
    index = Index.create(tmp_path / "index", llm)
    index.add(write(tmp_path))
    before = answers(index)
    shard = next((tmp_path / "index" / "shards").rglob("*.safetensors"))
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-3] + b"abc")
    index = Index.open(tmp_path / "index", llm)
    assert not index.verify().ok
    index.repair()
    assert index.verify().ok
    assert answers(index) == before
    assert shard.read_bytes() == whole


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([1, 2, 4, 8]), st.integers(1, 61))
def test_chosen_rows_are_the_rows_of_their_tokens(grain, tokens):
    model = tiny_model("llama")
    profile = Profile.prefix(chunk_tokens=64, depth=2, grains=(0, grain), keep="reread", layers=(1, 4))
    every = Profile.prefix(chunk_tokens=64, depth=2, grains=(0, 1), layers=(1, 4))
    chosen = LowerEncoder(architecture_for(model), profile, FRONT).encode([IDS[:tokens]])[0]
    whole = LowerEncoder(architecture_for(model), every, FRONT).encode([IDS[:tokens]])[0]
    offsets = list(RowLayout(ContextTree(profile, tokens, chosen.ranks)).offsets)
    assert torch.equal(chosen.keys, whole.keys[offsets])
