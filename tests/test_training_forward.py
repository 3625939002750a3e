"""The differentiable path against the inference path, and trained adapters served without touching the model."""

from __future__ import annotations

import pytest
import torch

from sharedllm_docs.architectures.registry import architecture_for
from sharedllm_docs.documents.tree import ContextTree, RowLayout
from sharedllm_docs.errors import AdapterError
from sharedllm_docs.injection.decoder import InjectedDecoder, Injection, positions_of
from sharedllm_docs.injection.encoder import LowerEncoder
from sharedllm_docs.injection.prompt_prefix import front_state
from sharedllm_docs.model.adapter import Adapter
from sharedllm_docs.model.shared_llm import SharedLLM
from tests.tiny import random_ids, state, tiny_model
from tests.tiny_text import HashEmbedder, tiny_base, tiny_tokenizer

pytest.importorskip("peft")

from sharedllm_docs.training.config import TrainingConfig
from sharedllm_docs.training.examples import Example, PlacedNode, collate
from sharedllm_docs.training.trainee import Trainee

START = (5, 9, 11)
JOINT = {"fusion": "joint", "front": "prompt", "positions": "token"}
SEPARATE = {"fusion": "separate"}
SHAPE = {"chunk_tokens": 32, "depth": 2, "grains": [4, 2], "layers": [1, 3]}


def config(fusion, trained=None, **tables):
    trained = {"upper_rank": 3, "lower_rank": 2, "gate_init": 0.7} | (trained or {})
    return TrainingConfig.from_dict({"profile": SHAPE | fusion, "trained": trained} | tables)


def example(profile, seed, sizes=(32, 21), before=3, target=4):
    """Two chunks, the second short; of each the first leaf and its coarser neighbour."""
    chunks = tuple(tuple(random_ids(size, seed=seed * 10 + i)) for i, size in enumerate(sizes))
    nodes = []
    for index, chunk in enumerate(chunks):
        tree = ContextTree(profile, len(chunk))
        nodes.append(PlacedNode(index, tree.leaves[0], 2))
        nodes += [PlacedNode(index, node, 4) for node in tree.level(1)[1:]]
    ids = random_ids(before + target, seed=seed + 500)
    return Example("test", profile, chunks, tuple(nodes), tuple(ids[:before]), tuple(ids[before:]))


def trainee(model, settings, *, shake=0.3):
    made = Trainee(
        architecture_for(model),
        settings,
        start_ids=START,
        front_ids=START if settings.profile.front == "prompt" else (),
    )
    torch.manual_seed(3)
    with torch.no_grad():
        for _, parameter in made.named_trained():
            parameter.add_(torch.randn_like(parameter) * shake)
    return made


def served(model, adapter, batch):
    """Logits of the targets of one example by the inference classes alone."""
    llm = SharedLLM.from_model(model, tiny_tokenizer(), adapter=adapter, embedder=HashEmbedder())
    profile, joint = llm.profile, llm.profile.fusion == "joint"
    encoded = LowerEncoder(llm.lower, profile, START if joint else ()).encode(batch.chunks)
    keys, values = [], []
    for node in batch.nodes:
        rows = RowLayout(ContextTree(profile, len(batch.chunks[node.chunk]))).rows_of(node.node, node.grain)
        keys.append(encoded[node.chunk].keys[list(rows)])
        values.append(encoded[node.chunk].values[list(rows)])
    positions, query = positions_of(profile, batch.places(), len(START))
    injection = Injection(
        torch.cat(keys).permute(1, 2, 0, 3), torch.cat(values).permute(1, 2, 0, 3), torch.tensor(positions), query
    )
    fed = (*(() if joint else START), *batch.before, *batch.target)
    with InjectedDecoder(
        llm.upper,
        profile,
        [injection],
        front=front_state(llm.upper, START) if joint else None,
        blocks=llm.blocks,
        capacity=len(fed),
    ) as decoder:
        return decoder.feed([fed], all_logits=True)[0, -len(batch.target) - 1 : -1].clone()


@pytest.mark.parametrize("positions", ["token", "chunk", "chunk+token"])
@pytest.mark.parametrize("family", ["llama", "mistral-sliding", "qwen3"])
@pytest.mark.parametrize("fusion", [JOINT, SEPARATE], ids=["joint", "separate"])
def test_training_and_serving_compute_the_same(family, fusion, positions, tmp_path):
    """A ragged batch through the differentiable path, each example alone through the saved adapter."""
    model = tiny_model(family, vocab_size=len(tiny_tokenizer()))
    made = trainee(model, config(fusion | {"positions": positions}))
    profile = made.profile
    examples = [example(profile, 1), example(profile, 2, sizes=(17,), before=5, target=2)]
    logits = made.logits(collate(examples, START), profile).detach()
    adapter = Adapter.load(made.adapter().save(tmp_path, shard_bytes=2000))
    expected = torch.cat([served(model, adapter, one) for one in examples])
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("fusion", [JOINT, SEPARATE], ids=["joint", "separate"])
def test_step_0_is_the_base_model(fusion, attention):
    """Nothing trained yet: separate fusion with closed gates equals the model without any rows."""
    model = tiny_model(attention=attention)
    made = trainee(model, config(fusion, {"gate_init": 0.0}), shake=0)
    one = example(made.profile, 1)
    with torch.no_grad():
        logits = made.logits(collate([one], START), made.profile)
        plain = model(torch.tensor([[*START, *one.before, *one.target]])).logits[0, -5:-1]
        bare = made.logits(collate([one.without_rows()], START), made.profile)
    torch.testing.assert_close(bare, plain, rtol=0, atol=1e-5)
    assert torch.allclose(logits, plain, rtol=0, atol=1e-5) is (fusion is SEPARATE)


@pytest.mark.parametrize("teacher", ["prefill", "injection"])
def test_the_prefilled_teacher_reads_the_chunks_as_text(teacher):
    model = tiny_model()
    made = trainee(model, config(JOINT, objectives={"teacher": teacher, "kl_weight": 2.0}))
    one = example(made.profile, 1)
    taught = made._teacher_logits([one])
    if teacher == "prefill":
        text = (*START, *one.chunks[0], *one.chunks[1], *one.before, *one.target)
        with torch.no_grad():
            expected = model(torch.tensor([text])).logits[0, -5:-1]
        torch.testing.assert_close(taught, expected, rtol=0, atol=1e-5)
    losses = made([one])
    logits = made.logits(collate([one], START), made.profile)
    kl = (taught.softmax(-1) * (taught.log_softmax(-1) - logits.log_softmax(-1))).sum(-1).mean()
    torch.testing.assert_close(losses.divergence, kl.detach(), check_dtype=False)
    torch.testing.assert_close(losses.total, losses.by_example.mean() + 2 * losses.divergence)


@pytest.mark.parametrize("fusion", [JOINT, SEPARATE], ids=["joint", "separate"])
def test_gradients_are_those_of_finite_differences(fusion):
    """Through the kept rows into the lower model, in float64 (the norms' statistics are float32: wide steps)."""
    made = trainee(tiny_model(), config(fusion), shake=0.1)
    batch = [example(made.profile, 1), example(made.profile, 2, sizes=(9,))]
    made(batch).total.backward()
    names = [n for n, p in made.named_trained() if p.grad is not None and float(p.grad.abs().max()) > 1e-7]
    assert any(n.startswith("lower_lora") for n in names)
    assert any(n.startswith("upper_lora") for n in names)
    assert any(n.startswith("blocks") for n in names) is (fusion is SEPARATE)
    trained = made.trained_state()
    targets = collate(batch, START).targets
    owner = collate(batch, START).target_example

    def loss():
        with torch.no_grad():
            logits = made.logits(collate(batch, START), made.profile)
        each = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
        return float(torch.stack([each[owner == index].mean() for index in (0, 1)]).mean())

    for name in names[:: max(1, len(names) // 8)]:
        weight = trained[name]
        place = int(weight.grad.abs().flatten().argmax())
        expected = float(weight.grad.flatten()[place])
        with torch.no_grad():
            weight.view(-1)[place] += 1e-4
            up = loss()
            weight.view(-1)[place] -= 2e-4
            down = loss()
            weight.view(-1)[place] += 1e-4
        assert (up - down) / 2e-4 == pytest.approx(expected, rel=2e-2, abs=2e-3), name


def test_a_frozen_lower_model_gets_no_gradients():
    made = trainee(tiny_model(), config(JOINT, {"lower_rank": 0}))
    assert not made.lower_lora
    made([example(made.profile, 1)]).total.backward()
    assert all(name.startswith("upper_lora") for name, _ in made.named_trained())


@pytest.mark.parametrize("fusion", [JOINT, SEPARATE], ids=["joint", "separate"])
def test_serving_an_adapter_leaves_the_model_as_it_was(fusion, tmp_path):
    model = tiny_base()
    made = trainee(model, config(fusion))
    adapter = made.adapter()
    before = state(model)
    llm = SharedLLM.from_model(model, tiny_tokenizer(), adapter=adapter, embedder=HashEmbedder())
    served(model, adapter, example(made.profile, 1))
    assert {name: id(p) for name, p in model.named_parameters()} == {
        name: id(p) for name, p in llm.base.model.named_parameters()
    }
    assert all(torch.equal(value, before[name]) for name, value in state(model).items())
    assert list(state(model)) == list(before)
    changed = "model.layers.0.self_attn.q_proj.weight"
    shared = "model.embed_tokens.weight"
    for half in (llm.upper, llm.lower):
        weights = dict(half.model.named_parameters())
        assert not torch.equal(weights[changed], before[changed])
        assert weights[shared] is model.get_parameter(shared)  # not a second copy in memory
    plain = SharedLLM.from_model(model, tiny_tokenizer(), profile="prefix", embedder=HashEmbedder())
    assert llm.fingerprint.weights == plain.fingerprint.weights
    assert llm.fingerprint.adapter == adapter.digest


def test_an_upper_change_alone_leaves_the_lower_model_the_base():
    model = tiny_base()
    adapter = trainee(model, config(JOINT, {"lower_rank": 0})).adapter()
    llm = SharedLLM.from_model(model, tiny_tokenizer(), adapter=adapter, embedder=HashEmbedder())
    assert llm.lower is llm.base
    assert llm.upper is not llm.base


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("upper.lora.model.layers.0.self_attn.q_proj.weight.B", None, r"q_proj\.weight\.B is missing"),
        (
            "upper.lora.model.layers.0.self_attn.q_proj.weight.B",
            torch.zeros(5, 3),
            "upper weights do not fit the model",
        ),
        ("lower.lora.model.layers.9.self_attn.q_proj.weight.A", torch.zeros(2, 48), r"layers\.9.*is missing"),
    ],
)
def test_low_rank_changes_that_do_not_fit_are_named(name, tensor, message):
    model = tiny_base()
    adapter = trainee(model, config(JOINT)).adapter()
    weights = {n: t for n, t in adapter.weights.items() if n != name} | ({} if tensor is None else {name: tensor})
    broken = Adapter(adapter.profile, weights)
    with pytest.raises(AdapterError, match=message):
        SharedLLM.from_model(model, tiny_tokenizer(), adapter=broken, embedder=HashEmbedder())


@pytest.mark.parametrize("fusion", [JOINT, SEPARATE], ids=["joint", "separate"])
def test_training_starts_from_an_adapter(fusion):
    model = tiny_model()
    first = trainee(model, config(fusion))
    second = trainee(model, config(fusion), shake=0)
    second.start_from(first.adapter())
    one = [example(first.profile, 1)]
    with torch.no_grad():
        assert torch.allclose(second(one).total, first(one).total, rtol=1e-5)
    with pytest.raises(AdapterError, match=r"has no place in this training.* Use the same upper_rank"):
        trainee(model, config(fusion, {"upper_rank": 4})).start_from(first.adapter())


def test_shards_are_small_and_replace_older_ones(tmp_path):
    adapter = trainee(tiny_model(), config(SEPARATE)).adapter()
    adapter.save(tmp_path, shard_bytes=3000)
    files = sorted(path.name for path in tmp_path.glob("adapter*.safetensors"))
    assert len(files) > 3
    assert files[0].startswith("adapter-00001-of-")
    biggest = max(t.nbytes for t in adapter.weights.values())
    assert all(path.stat().st_size < max(3000, biggest) + 8000 for path in tmp_path.glob("*.safetensors"))
    assert Adapter.load(tmp_path).digest == adapter.digest
    adapter.save(tmp_path)
    assert [path.name for path in tmp_path.glob("adapter*.safetensors")] == ["adapter.safetensors"]
    assert Adapter.load(tmp_path).digest == adapter.digest
