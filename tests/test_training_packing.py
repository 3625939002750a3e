"""Packing: the same losses and gradients as padded batches, nobody sees a neighbour, the model as it was."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch

pytest.importorskip("peft")

from sharedllm_docs.injection.encoder import LowerEncoder
from sharedllm_docs.training.examples import collate
from sharedllm_docs.training.injected_rows import encoded_rows
from sharedllm_docs.training.objectives import PoolSource
from sharedllm_docs.training.packing import PACKED_SEQUENCES, Segments, packed_attention, segments_of
from sharedllm_docs.training.trainee import Trainee
from tests.training_helpers import tiny_config, tiny_pool, tiny_training_base

SEPARATE = {"fusion": "separate", "front": "none", "positions": "chunk+token"}
ALONE = {"objectives": {"evidence": 0.5, "target_tokens": 12, "full_chunks": 0.0}, "run": {"batch": 6}}
GROUPS = {
    "objectives": {"group": 6, "questions": 1.0, "continuation": 0.0, "reconstruction": 0.0, "fill": 40},
    "run": {"batch": 6},
}


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return tiny_pool(tmp_path_factory.mktemp("packs"))


@pytest.fixture(autouse=True)
def _norms_in_float64(monkeypatch):
    """Statistics of the norms are float32 whatever the weights are: too coarse to compare by."""
    from transformers.models.llama.modeling_llama import LlamaRMSNorm
    from transformers.models.mistral.modeling_mistral import MistralRMSNorm

    from sharedllm_docs.injection.cross_attention import RMSNorm

    def exact(self, hidden):
        eps = getattr(self, "variance_epsilon", None) or self.eps
        return self.weight * hidden * torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + eps)

    for norm in (LlamaRMSNorm, MistralRMSNorm, RMSNorm):
        monkeypatch.setattr(norm, "forward", exact)


def trainee(config, family="llama", attention="sdpa"):
    base = tiny_training_base(family=family)
    base.arch.model.double()
    base.arch.model.set_attn_implementation(attention)
    front = base.start_ids if config.profile.front == "prompt" else ()
    made = Trainee(base.arch, config, start_ids=base.start_ids, front_ids=front).double().eval()
    for index, parameter in enumerate(made.parameters()):
        torch.manual_seed(index)
        torch.nn.init.normal_(parameter, std=0.2)
    return made


def drawn(config, pool, seed=3):
    source = PoolSource(pool, config.objectives)
    profile = config.final_profile
    if config.objectives.group > 1:
        return source.draw_group(random.Random(seed), profile)
    return [source.draw(random.Random(f"{seed} {i}"), profile) for i in range(config.run.batch)]


def outcome(config, examples, packing, **options):
    made = trainee(replace(config, run=replace(config.run, packing=packing)), **options)
    losses = made(examples)
    losses.total.backward()
    return losses, {name: p.grad for name, p in made.named_trained() if p.grad is not None}


def count_packed(monkeypatch):
    """How many tokens wide the rows were that layers were given."""
    widths = []
    original = packed_attention

    def noted(arch, segments):
        if segments is not None:
            widths.append(sum(segments.lengths))
        return original(arch, segments)

    monkeypatch.setattr("sharedllm_docs.training.forward.packed_attention", noted)
    monkeypatch.setattr("sharedllm_docs.training.injected_rows.packed_attention", noted)
    return widths


@pytest.mark.parametrize("family", ["llama", "mistral-sliding"])
@pytest.mark.parametrize("tables", [ALONE, GROUPS], ids=["alone", "groups"])
@pytest.mark.parametrize("fusion", [None, SEPARATE], ids=["joint", "separate"])
def test_losses_and_gradients_are_those_of_padded_batches(pool, monkeypatch, fusion, tables, family):
    config = tiny_config(fusion, stages=[{}], **tables)
    examples = drawn(config, pool)
    monkeypatch.setattr("sharedllm_docs.training.packing.WORTH", 0.0)
    widths = count_packed(monkeypatch)
    padded, expected = outcome(config, examples, False, family=family)
    assert not widths
    packed, found = outcome(config, examples, True, family=family)
    fed = sum(len(e.before) + len(e.target) for e in examples)
    start = 0 if fusion is None else 6 * len(examples)
    assert fed + start in widths
    assert len(widths) == 2  # the lower model's row too
    torch.testing.assert_close(packed.by_example, padded.by_example, rtol=0, atol=1e-9)
    assert found.keys() == expected.keys()
    assert sum(bool(gradient.abs().max() > 1e-6) for gradient in expected.values()) > 20
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=0, atol=1e-9, msg=name)


def test_the_teacher_is_packed_too(pool):
    config = tiny_config(stages=[{}], objectives={"teacher": "prefill", "target_tokens": 12}, run={"batch": 6})
    examples = drawn(config, pool)
    padded, _ = outcome(config, examples, False)
    packed, _ = outcome(config, examples, True)
    assert float(padded.divergence) > 1e-3
    torch.testing.assert_close(packed.divergence, padded.divergence, rtol=0, atol=1e-9)


def test_nobody_sees_a_neighbour(pool):
    """Another example's question, chunks and length change nothing of this one's logits."""
    config = tiny_config(stages=[{}], **ALONE)
    one, *others = drawn(config, pool)
    strangers = drawn(config, pool, seed=4)[1:]
    made = trainee(config)
    with torch.no_grad():
        first, second = (made([one, *rest]).by_example for rest in (others, strangers))
    assert not torch.allclose(first[1:], second[1:])
    torch.testing.assert_close(first[0], second[0], rtol=0, atol=1e-12)


def test_the_model_is_as_before_whatever_happens(pool, monkeypatch):
    config = tiny_config(stages=[{}], **ALONE)
    made = trainee(config)
    model = made._halves["upper"].model
    seen = []

    def fails():
        with packed_attention(made._halves["upper"], Segments((3, 1))):
            seen.append(model.config._attn_implementation)
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert seen == [PACKED_SEQUENCES]
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize(
    ("lengths", "attention", "packs"),
    [((9, 1), "sdpa", True), ((9, 1), "eager", False), ((16, 16, 15), "sdpa", False), ((16, 14), "sdpa", True)],
)
def test_packed_only_where_it_pays_and_can_be(lengths, attention, packs):
    arch = tiny_training_base().arch
    arch.model.set_attn_implementation(attention)
    assert (segments_of(lengths, arch, wanted=True) is not None) is packs
    assert segments_of(lengths, arch, wanted=False) is None


def test_segments_go_there_and_back():
    segments = Segments((2, 4, 1))
    padded = torch.arange(12).view(3, 4)
    packed = segments.pack(padded)
    assert packed.tolist() == [[0, 1, 4, 5, 6, 7, 8]]
    assert segments.spread(packed).tolist() == [[0, 1, 0, 0], [4, 5, 6, 7], [8, 0, 0, 0]]
    assert segments.packed_places(torch.tensor([1, 7, 8])).tolist() == [1, 5, 6]


def test_no_rows_no_lower_pass(pool):
    config = tiny_config(stages=[{}], **ALONE)
    made = trainee(config)
    bare = [example.without_rows() for example in drawn(config, pool)]
    encoder = LowerEncoder(made._halves["lower"], made.profile, ())
    assert encoded_rows(collate(bare, (1, 2)), encoder, packing=True) is None
    assert torch.isfinite(made(bare).by_example).all()
