"""Steps of decoding: weights in eight bits, heads that share keys packed; the model is left as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from sharedllm_docs.architectures import architecture_for
from sharedllm_docs.config import Profile
from sharedllm_docs.errors import ConfigError
from sharedllm_docs.inject import InjectedDecoder, Injection
from sharedllm_docs.step_attention import NAME, packed_attention, packing
from sharedllm_docs.step_weights import StepWeights, quantised, step_weights_for
from tests.tiny import FAMILIES, random_ids, tiny_model
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


def test_a_row_of_zeros_stays_zero():
    codes, scale = quantised(torch.zeros(2, 4, dtype=torch.bfloat16))
    assert not codes.any()
    assert not scale.any()


def fail(_seen):
    raise RuntimeError("stop")


@pytest.fixture
def arch():
    return architecture_for(tiny_model("qwen2", dtype=torch.bfloat16))  # with biases


def test_within_the_block_layers_multiply_by_codes_and_are_themselves_again_behind_it(arch):
    layer = arch.layers[0].self_attn.q_proj
    given_ = torch.randn(1, 1, arch.hidden_size, generator=torch.Generator().manual_seed(0)).bfloat16()
    own = layer(given_)
    steps = StepWeights(arch)
    with steps.instead():
        other = layer(given_)
    assert other.dtype == own.dtype
    assert not torch.equal(other, own)
    assert torch.allclose(other.float(), own.float(), atol=0.03, rtol=0.03)
    assert torch.equal(layer(given_), own)
    assert "forward" not in vars(layer)


def test_a_forward_of_the_users_own_comes_back_after_an_error(arch):
    layer = arch.layers[1].mlp.up_proj
    layer.forward = lambda given_: given_ * 0
    users = layer.forward
    seen = []
    with pytest.raises(RuntimeError, match="stop"), StepWeights(arch).instead():
        fail(seen.append(layer.forward))
    assert seen[0] is not users
    assert layer.forward is users
    assert all("forward" not in vars(m) for m in arch.model.modules() if m is not layer)


def test_layers_of_another_kind_are_left_alone(arch):
    class Special(nn.Linear):
        pass

    special = Special(4, 4).bfloat16()
    arch.layers[0].special = special
    with StepWeights(arch).instead():
        assert "forward" not in vars(special)
        assert "forward" in vars(arch.layers[0].self_attn.o_proj)
        assert "forward" in vars(arch.model.lm_head)


@pytest.mark.parametrize(
    ("name", "dtype", "expected"), [("auto", torch.float32, None), ("model", torch.bfloat16, None)]
)
def test_the_models_own_weights(name, dtype, expected):
    assert step_weights_for(name, architecture_for(tiny_model(dtype=dtype))) is expected


def test_int8_by_itself_in_bfloat16(arch):
    assert isinstance(step_weights_for("auto", arch), StepWeights)


@pytest.mark.parametrize(
    ("name", "says"), [("int4", r"step_weights='int4' is not one of auto, int8, model"), ("int8", "wants bfloat16")]
)
def test_bad_step_weights(name, says):
    with pytest.raises(ConfigError, match=says):
        tiny_llm(step_weights=name)


def injections(arch, *counts, dtype=torch.float32):
    generator = torch.Generator().manual_seed(3)
    made = []
    for rows in counts:
        shape = (arch.num_layers, arch.kv_heads, rows, arch.head_dim)
        keys, values = (torch.randn(shape, generator=generator).to(dtype) for _ in range(2))
        made.append(Injection(keys, values, torch.arange(rows), rows))
    return made


def decoded(arch, made, first, steps, step_weights=None):
    """Logits of the first feed and of each step."""
    profile = Profile.prefix(chunk_tokens=64).resolve(arch.num_layers)
    with InjectedDecoder(arch, profile, made, capacity=32, step_weights=step_weights) as decoder:
        return [decoder.feed(first), *(decoder.feed(step) for step in steps)]


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_packed_heads_are_the_same_attention(family, monkeypatch):
    """Against the same decoder without packing, in float32: questions of different lengths over different rows."""
    arch = architecture_for(tiny_model(family))
    made = injections(arch, 7, 4)
    first, steps = [random_ids(5), random_ids(3, seed=1)], [[[3], [4]], [[5], [6]]]
    ours = decoded(arch, made, first, steps)
    monkeypatch.setattr("sharedllm_docs.step_attention._USUAL", "nothing")
    plain = decoded(arch, made, first, steps)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(ours, plain, strict=True))
    assert torch.equal(ours[0], plain[0])
    assert ALL_ATTENTION_FUNCTIONS[NAME] is packed_attention


def test_packing_is_what_steps_attend_by(monkeypatch):
    arch = architecture_for(tiny_model())
    calls = []

    def counted(query, *rest, **options):
        calls.append(tuple(query.shape))
        return torch.nn.functional.scaled_dot_product_attention(query, *rest, **options)

    monkeypatch.setattr("sharedllm_docs.step_attention.scaled_dot_product_attention", counted)
    decoded(arch, injections(arch, 4), [random_ids(3)], [[[3]]])
    group = arch.num_heads // arch.kv_heads
    assert calls == [(1, arch.kv_heads, group, arch.head_dim)] * arch.num_layers


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_the_config_says_what_it_said(implementation):
    arch = architecture_for(tiny_model())
    arch.config._attn_implementation = implementation
    seen = []
    with pytest.raises(RuntimeError, match="stop"), packing(arch):
        fail(seen.append(arch.config._attn_implementation))
    assert seen == [NAME if implementation == "sdpa" else implementation]
    assert arch.config._attn_implementation == implementation


def test_what_cannot_be_packed_goes_to_transformers():
    """Several tokens attend causally, as transformers' function does."""
    arch = architecture_for(tiny_model())
    module = arch.layers[0].self_attn
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(1, arch.num_heads, 3, arch.head_dim, generator=generator)
    key, value = (torch.randn(1, arch.kv_heads, 3, arch.head_dim, generator=generator) for _ in range(2))
    ours, _none = packed_attention(module, query, key, value, None, scaling=0.3)
    theirs, _none = ALL_ATTENTION_FUNCTIONS["sdpa"](module, query, key, value, None, scaling=0.3)
    assert torch.equal(ours, theirs)
    with pytest.raises(ValueError, match="softcap"):
        packed_attention(module, query[:, :, :1], key, value, None, softcap=3.0)


def test_int8_steps_follow_questions_by_the_models_own_weights(arch):
    made = injections(arch, 6, dtype=torch.bfloat16)
    first, steps = [random_ids(5)], [[[3]], [[4]]]
    own = decoded(arch, made, first, steps)
    ours = decoded(arch, made, first, steps, StepWeights(arch))
    assert torch.equal(own[0], ours[0])
    for a, b in zip(own[1:], ours[1:], strict=True):
        assert not torch.equal(a, b)
        assert (a - b).float().norm() < 0.1 * a.float().norm()


def test_an_answer_in_eight_bits_does_not_depend_on_its_company(arch):
    """The same logits alone and in a batch, up to what a batch changes in bfloat16 anyway."""
    made = injections(arch, 6, 6, dtype=torch.bfloat16)
    weights = StepWeights(arch)
    both = decoded(arch, made, [random_ids(5), random_ids(5, seed=2)], [[[3], [4]]], weights)
    alone = decoded(arch, made[:1], [random_ids(5)], [[[3]]], weights)
    assert (both[1][0] - alone[1][0]).float().norm() < 0.03 * alone[1].float().norm()
