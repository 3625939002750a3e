"""Model families, lower pass and injection against the models' own forward pass, on tiny random models."""

from __future__ import annotations

import pytest
import torch
from transformers import DynamicCache

from sharedllm_docs.architectures.registry import architecture_for, supported_families
from sharedllm_docs.architectures.rope import rotate
from sharedllm_docs.config import Profile
from sharedllm_docs.documents.tree import RowPlace
from sharedllm_docs.errors import UnsupportedModelError
from sharedllm_docs.injection.cross_attention import CrossAttention
from sharedllm_docs.injection.decoder import InjectedDecoder, Injection, positions_of
from sharedllm_docs.injection.encoder import LowerEncoder
from sharedllm_docs.injection.prompt_prefix import front_state
from tests.tiny import FAMILIES, ROPES, random_ids, state, tiny_model

FAMILY_AND_ROPE = [(family, None) for family in FAMILIES] + [("llama", rope) for rope in ROPES] + [("qwen2", "yarn")]


def build(family, rope, **changes):
    rope_parameters = {"rope_parameters": dict(ROPES[rope])} if rope else {}
    return tiny_model(family, **rope_parameters, **changes)


def small(**changes):
    return Profile.prefix(chunk_tokens=64, depth=3, grains=(0, 0, 1), store_dtype="float64", **changes).resolve(4)


def injection_of(encoded, positions, query_position):
    """All rows of an encoded chunk, in order."""
    return Injection(
        encoded.keys.permute(1, 2, 0, 3), encoded.values.permute(1, 2, 0, 3), torch.tensor(positions), query_position
    )


@pytest.mark.parametrize(("family", "rope"), FAMILY_AND_ROPE)
def test_lower_pass_equals_models_first_layers(family, rope):
    model = build(family, rope)
    arch = architecture_for(model)
    profile = Profile.sharedllm(chunk_tokens=64, grains=(4, 2, 1), layers=(1, 2), store_dtype="float64")
    ids = random_ids(50)
    encoded = LowerEncoder(arch, profile).encode([ids])[0]
    cache = DynamicCache()
    with torch.inference_mode():
        out = model.model(torch.tensor([ids]), past_key_values=cache, use_cache=True, output_hidden_states=True)
    cos, sin = arch.rotary(torch.arange(50)[None])
    for layer in range(2):
        rotated = rotate(encoded.keys[:, layer].transpose(0, 1), cos, sin)
        torch.testing.assert_close(rotated, cache.layers[layer].keys[0][:, -50:], rtol=0, atol=1e-12)
        torch.testing.assert_close(
            encoded.values[:, layer].transpose(0, 1), cache.layers[layer].values[0], rtol=0, atol=1e-12
        )
    last_leaf = model.model.norm(out.hidden_states[1])[0, -1]
    torch.testing.assert_close(encoded.node_vectors[-1], last_leaf, rtol=0, atol=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_nothing_injected_equals_plain_model_bit_for_bit(family, attention):
    model = build(family, None, attention=attention, dtype=torch.float32)
    arch = architecture_for(model)
    ids = random_ids(40)
    nothing = torch.zeros(4, 2, 0, 8)
    with torch.inference_mode():
        plain = model(torch.tensor([ids])).logits
    with InjectedDecoder(
        arch, small(), [Injection(nothing, nothing, torch.zeros(0).long(), 0)], capacity=41
    ) as decoder:
        ours = decoder.feed([ids], all_logits=True)
    assert torch.equal(ours, plain)


@pytest.mark.parametrize(("family", "rope"), FAMILY_AND_ROPE)
def test_prefix_of_one_chunk_equals_ordinary_forward(family, rope):
    """One document in one chunk, encoded after the prompt's start, gives an ordinary pass's logits."""
    model = build(family, rope)
    arch = architecture_for(model)
    start, document, question = random_ids(7, seed=1), random_ids(60, seed=2), random_ids(9, seed=3)
    profile = small()
    encoded = LowerEncoder(arch, profile, start).encode([document])[0]
    places = [RowPlace(0, offset) for offset in range(60)]
    positions, query_position = positions_of(profile, places, len(start))
    assert query_position == 67
    injection = injection_of(encoded, positions, query_position)
    with InjectedDecoder(arch, profile, [injection], front=front_state(arch, start), capacity=10) as decoder:
        ours = decoder.feed([question], all_logits=True)
        step = decoder.feed([[5]])
    with torch.inference_mode():
        plain = model(torch.tensor([start + document + question + [5]])).logits
    torch.testing.assert_close(ours, plain[:, 67:-1], rtol=0, atol=1e-9)
    torch.testing.assert_close(step, plain[:, -1], rtol=0, atol=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("fusion", ["joint", "separate"])
def test_model_is_bit_identical_after_injection(family, fusion):
    model = build(family, None)
    arch = architecture_for(model)
    before = state(model)
    ids = random_ids(30)
    with torch.inference_mode():
        logits = model(torch.tensor([ids])).logits
    profile = small() if fusion == "joint" else Profile.sharedllm(chunk_tokens=64, grains=(4, 2, 1), layers=(1, 2))
    encoded = LowerEncoder(arch, profile).encode([random_ids(64)])[0]
    injection = injection_of(encoded, range(len(encoded.keys)), 64)
    blocks = {layer: CrossAttention(arch).double() for layer in profile.injection_layers}
    with InjectedDecoder(arch, profile, [injection], blocks=blocks, capacity=31) as decoder:
        injected = decoder.feed([ids])
        assert not torch.allclose(injected, logits[:, -1])
    after = state(model)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    with torch.inference_mode():
        assert torch.equal(model(torch.tensor([ids])).logits, logits)


def test_hooks_are_removed_when_the_forward_pass_fails():
    model = tiny_model()
    arch = architecture_for(model)
    profile = Profile.sharedllm(chunk_tokens=64, grains=(4, 2, 1), layers=(1, 2))
    rows = torch.zeros(2, 2, 4, 8, dtype=torch.float64)
    injection = Injection(rows, rows, torch.zeros(4).long(), 1)
    blocks = {layer: CrossAttention(arch).double() for layer in range(2)}
    with (
        pytest.raises(IndexError),
        InjectedDecoder(arch, profile, [injection], blocks=blocks, capacity=4) as decoder,
    ):
        decoder.feed([[10_000]])
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("family", ["llama", "mistral-sliding", "qwen3"])
@pytest.mark.parametrize("fusion", ["joint", "separate"])
def test_ragged_batch_equals_one_by_one(family, fusion):
    """Questions of different lengths over different rows, together and alone."""
    model = tiny_model(family)
    arch = architecture_for(model)
    start = random_ids(5, seed=9) if fusion == "joint" else []
    if fusion == "joint":
        profile = small()
    else:
        profile = Profile.sharedllm(chunk_tokens=64, grains=(4, 2, 1), layers=(1, 3), store_dtype="float64")
    blocks = {layer: CrossAttention(arch).double() for layer in profile.injection_layers}
    encoder = LowerEncoder(arch, profile, start)
    injections = []
    for seed, length in ((1, 64), (2, 17), (3, 40)):
        encoded = encoder.encode([random_ids(length, seed=seed)])[0]
        places = [RowPlace(0, row) for row in range(len(encoded.keys))]
        injections.append(injection_of(encoded, *positions_of(profile, places, len(start))))
    questions = [random_ids(9, seed=4), random_ids(3, seed=5), random_ids(6, seed=6)]
    front = front_state(arch, start)

    def run(chosen):
        picked = [injections[i] for i in chosen]
        with InjectedDecoder(arch, profile, picked, front=front, blocks=blocks, capacity=12) as decoder:
            first = decoder.feed([questions[i] for i in chosen])
            return first, decoder.feed([[i] for i in chosen]), decoder.feed([[i + 7] for i in chosen])

    together = run([0, 1, 2])
    for index in range(3):
        for ours, alone in zip(together, run([index]), strict=True):
            torch.testing.assert_close(ours[index], alone[0], rtol=0, atol=1e-9)


def test_layers_outside_the_range_receive_nothing():
    """Rows injected into layers 2..3 only: the same as all layers with the others' rows masked away."""
    model = tiny_model()
    arch = architecture_for(model)
    part = small(layers=(2, 3))
    encoded = LowerEncoder(arch, part).encode([random_ids(16)])[0]
    assert encoded.keys.shape[1] == 2
    injection = injection_of(encoded, range(16), 16)
    with InjectedDecoder(arch, part, [injection], capacity=4) as decoder:
        decoder.feed([random_ids(3)])
        assert decoder._cache.lengths == [3, 19, 19, 3]


def test_unsupported_family_and_rope_are_refused_by_name():
    from transformers import GPT2Config, GPT2LMHeadModel

    gpt2 = GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=2, n_embd=8, vocab_size=11))
    with pytest.raises(UnsupportedModelError, match=r"'gpt2' is not supported .*llama, mistral, qwen2, qwen3"):
        architecture_for(gpt2)
    longrope = {
        "rope_type": "longrope",
        "short_factor": [1.0] * 4,
        "long_factor": [2.0] * 4,
        "factor": 2.0,
        "original_max_position_embeddings": 64,
        "rope_theta": 10000.0,
    }
    with pytest.raises(UnsupportedModelError, match="'longrope' is not supported"):
        architecture_for(tiny_model(rope_parameters=longrope))
    assert supported_families() == ("llama", "mistral", "qwen2", "qwen3")


def test_dynamic_rope_is_held_to_its_original_window():
    model = tiny_model(rope_parameters=dict(ROPES["dynamic"]), max_position_embeddings=256)
    assert architecture_for(model).window == 256
