"""Steps of decoding: weights in eight bits, heads that share keys packed; the model itself is left as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from sharedllm_docs.architectures.registry import architecture_for
from sharedllm_docs.config import Profile
from sharedllm_docs.errors import ConfigError
from sharedllm_docs.injection.decode_step import for_questions, for_steps, quantised
from sharedllm_docs.injection.decoder import InjectedDecoder, Injection
from sharedllm_docs.injection.grouped_heads import GROUPED_HEADS, grouped_attention
from sharedllm_docs.injection.row_attention import attend_to_rows
from tests.tiny import FAMILIES, random_ids, state, tiny_model
from tests.tiny_text import tiny_llm

WEIGHTS = st.floats(-1e3, 1e3, width=32)


@given(arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 9)), elements=WEIGHTS))
def test_eight_bits_are_near_the_weight(array):
    """Half a step, and what rounding the scale to bfloat16 takes from the largest."""
    weight = torch.from_numpy(array).bfloat16()
    codes, scale = quantised(weight)
    assert codes.dtype == torch.int8
    assert scale.dtype == torch.bfloat16
    error = (codes.float() * scale.float()[:, None] - weight.float()).abs()
    largest = weight.float().abs().amax(dim=1, keepdim=True)
    assert (error <= 0.5 * scale.float()[:, None] + largest / 128 + 1e-37).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_parts_make_a_whole_and_the_weight_stays(monkeypatch, dtype):
    weight = torch.randn(7, 5, generator=torch.Generator().manual_seed(0)).to(dtype)
    before, whole = weight.clone(), quantised(weight)
    monkeypatch.setattr("sharedllm_docs.injection.decode_step._PART", 3)
    for ours, theirs in zip(quantised(weight), whole, strict=True):
        assert torch.equal(ours, theirs)
    assert torch.equal(weight, before)


def test_a_row_of_zeros_stays_zero():
    codes, scale = quantised(torch.zeros(2, 4, dtype=torch.bfloat16))
    assert not codes.any()
    assert not scale.any()


@pytest.fixture
def arch():
    return architecture_for(tiny_model("qwen2", dtype=torch.bfloat16))  # with biases


def replaced(arch):
    """Linear layers whose product is another than their own."""
    return [module for module in arch.model.modules() if "forward" in vars(module)]


def test_the_twins_layers_multiply_by_codes_and_the_models_own_stay(arch):
    before = state(arch.model)
    hidden = torch.randn(1, 1, arch.hidden_size, generator=torch.Generator().manual_seed(0)).bfloat16()
    own = arch.layers[0].self_attn.q_proj(hidden)
    other = for_steps(arch).layers[0].self_attn.q_proj(hidden)
    assert other.dtype == own.dtype
    assert not torch.equal(other, own)
    assert torch.allclose(other.float(), own.float(), atol=0.03, rtol=0.03)
    assert torch.equal(arch.layers[0].self_attn.q_proj(hidden), own)
    assert all(torch.equal(value, before[name]) for name, value in state(arch.model).items())
    assert not replaced(arch)
    assert arch.config._attn_implementation == "sdpa"


def test_the_twin_shares_the_weights(arch):
    ours = {id(parameter) for parameter in arch.model.parameters()}
    assert {id(parameter) for parameter in for_steps(arch).model.parameters()} == ours


def test_layers_of_another_kind_are_left_alone(arch):
    class Special(nn.Linear):
        pass

    arch.layers[0].special = Special(4, 4).bfloat16()
    steps = for_steps(arch)
    assert steps.layers[0].special not in replaced(steps)
    assert steps.layers[0].self_attn.o_proj in replaced(steps)
    assert steps.model.lm_head in replaced(steps)


def test_a_dispatched_model_is_left_alone(arch):
    arch.layers[0].mlp._hf_hook = object()
    assert for_steps(arch) is arch


@pytest.mark.parametrize(("name", "dtype"), [("auto", torch.float32), ("model", torch.bfloat16)])
def test_the_models_own_weights_with_packed_heads(name, dtype):
    steps = for_steps(architecture_for(tiny_model(dtype=dtype)), name)
    assert steps.config._attn_implementation == GROUPED_HEADS
    assert not replaced(steps)


@pytest.mark.parametrize("changes", [{"num_key_value_heads": 6}, {"attention": "eager"}])
def test_where_nothing_is_gained_the_model_itself(changes):
    arch = architecture_for(tiny_model(dtype=torch.float32, **changes))
    assert for_steps(arch) is arch


@pytest.mark.parametrize(
    ("name", "says"), [("int4", r"step_weights='int4' is not one of auto, int8, model"), ("int8", "needs bfloat16")]
)
def test_bad_step_weights(name, says):
    with pytest.raises(ConfigError, match=says):
        tiny_llm(step_weights=name)


def injections(arch, *counts):
    generator = torch.Generator().manual_seed(3)
    made = []
    for rows in counts:
        shape = (arch.num_layers, arch.kv_heads, rows, arch.head_dim)
        keys, values = (torch.randn(shape, generator=generator).to(arch.dtype) for _ in range(2))
        made.append(Injection(keys, values, torch.arange(rows), rows))
    return made


def decoded(arch, made, first, steps, by=None):
    """Logits of the first feed and of each step; steps go by another architecture where one is given."""
    profile = Profile.prefix(chunk_tokens=64).resolve(arch.num_layers)
    with InjectedDecoder(arch, profile, made, capacity=32, steps=(lambda: by) if by else None) as decoder:
        return [decoder.feed(first), *(decoder.feed(step) for step in steps)]


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_packed_heads_are_the_same_attention(family):
    """In float64, questions of different lengths over different rows."""
    arch = architecture_for(tiny_model(family))
    made = injections(arch, 7, 4)
    first, steps = [random_ids(5), random_ids(3, seed=1)], [[[3], [4]], [[5], [6]]]
    twin = for_steps(arch)
    assert twin is not arch
    for ours, plain in zip(decoded(arch, made, first, steps, twin), decoded(arch, made, first, steps), strict=True):
        assert torch.allclose(ours, plain, atol=1e-10)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_question_by_packed_heads_has_the_same_bits(family):
    """Questions of different lengths over different rows, a second turn after an answer, and likelihoods of tokens."""
    arch = architecture_for(tiny_model(family, dtype=torch.bfloat16))
    twin = for_questions(arch)
    assert twin is not arch
    profile = Profile.prefix(chunk_tokens=64).resolve(arch.num_layers)
    fed = [[random_ids(37), random_ids(21, seed=1)], [[3], [4]], [random_ids(5), random_ids(5, seed=2)]]
    seen = []
    for model in (arch, twin):
        with InjectedDecoder(model, profile, injections(arch, 70, 33), capacity=64) as decoder:
            seen.append([decoder.feed(fed[0], all_logits=True), *(decoder.feed(one) for one in fed[1:])])
    for ours, plain in zip(*seen, strict=True):
        assert torch.equal(ours, plain)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_question_goes_by_the_model_itself_where_bits_would_change(dtype):
    arch = architecture_for(tiny_model(dtype=dtype))
    assert for_questions(arch) is arch


def test_a_question_reads_keys_once_for_all_heads_that_share_them(monkeypatch):
    shapes = []
    usual = torch.nn.functional.scaled_dot_product_attention

    def counted(query, key, *rest, **options):
        shapes.append((query.shape[1:3], key.shape[1]))
        return usual(query, key, *rest, **options)

    monkeypatch.setattr("torch.nn.functional.scaled_dot_product_attention", counted)
    arch = architecture_for(tiny_model(dtype=torch.bfloat16))
    decoded(for_questions(arch), injections(arch, 4), [random_ids(3)], [])
    group = arch.num_heads // arch.kv_heads
    assert shapes == [((arch.kv_heads, 3 * group), arch.kv_heads)] * arch.num_layers


def test_packing_is_what_steps_attend_by(monkeypatch):
    arch = architecture_for(tiny_model())
    calls = []

    def counted(query, *rest):
        calls.append(tuple(query.shape))
        return attend_to_rows(query, *rest)

    monkeypatch.setattr("sharedllm_docs.injection.grouped_heads.attend_to_rows", counted)
    decoded(arch, injections(arch, 4), [random_ids(3)], [[[3]]], for_steps(arch))
    group = arch.num_heads // arch.kv_heads
    assert calls == [(1, arch.kv_heads, group, arch.head_dim)] * arch.num_layers


def test_cross_attention_takes_part_in_steps():
    """The paper's profile: steps by the twin are those by the model itself, and feel the rows."""
    llm = tiny_llm(adapter=True)
    arch, layers = llm.upper, len(llm.profile.injection_layers)
    generator = torch.Generator().manual_seed(1)
    keys, values = (torch.randn(layers, arch.kv_heads, 6, arch.head_dim, generator=generator) for _ in range(2))

    def steps_over(rows, twin):
        places = torch.zeros(rows, dtype=torch.long)
        made = [Injection(keys[:, :, :rows], values[:, :, :rows], places, 1)]
        options = {"steps": lambda: llm.steps} if twin else {}
        with InjectedDecoder(arch, llm.profile, made, blocks=llm.blocks, capacity=32, **options) as decoder:
            decoder.feed([random_ids(4)])
            return torch.stack([decoder.feed([[token]]) for token in (3, 4, 5)])

    assert llm.steps is not arch
    assert torch.allclose(steps_over(6, twin=True), steps_over(6, twin=False), atol=1e-5)
    assert not torch.allclose(steps_over(6, twin=True), steps_over(0, twin=True), atol=1e-3)


def test_what_cannot_be_packed_goes_to_transformers():
    """Several tokens attend causally, as transformers' function does."""
    arch = architecture_for(tiny_model())
    module = arch.layers[0].self_attn
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(1, arch.num_heads, 3, arch.head_dim, generator=generator)
    key, value = (torch.randn(1, arch.kv_heads, 3, arch.head_dim, generator=generator) for _ in range(2))
    ours, _none = grouped_attention(module, query, key, value, None, scaling=0.3)
    theirs, _none = ALL_ATTENTION_FUNCTIONS["sdpa"](module, query, key, value, None, scaling=0.3)
    assert torch.equal(ours, theirs)
    with pytest.raises(ValueError, match="softcap"):
        grouped_attention(module, query[:, :, :1], key, value, None, softcap=3.0)


def test_int8_steps_follow_questions_by_the_models_own_weights(arch):
    made = injections(arch, 6)
    first, steps = [random_ids(5)], [[[3]], [[4]]]
    own = decoded(arch, made, first, steps)
    ours = decoded(arch, made, first, steps, for_steps(arch))
    assert torch.equal(own[0], ours[0])
    for a, b in zip(own[1:], ours[1:], strict=True):
        assert not torch.equal(a, b)
        assert (a - b).float().norm() < 0.1 * a.float().norm()


def test_an_answer_in_eight_bits_does_not_depend_on_its_company(arch):
    """The same logits alone and in a batch, up to what a batch changes in bfloat16 anyway."""
    made = injections(arch, 6, 6)
    twin = for_steps(arch)
    both = decoded(arch, made, [random_ids(5), random_ids(5, seed=2)], [[[3], [4]]], twin)
    alone = decoded(arch, made[:1], [random_ids(5)], [[[3]]], twin)
    assert (both[1][0] - alone[1][0]).float().norm() < 0.03 * alone[1].float().norm()
