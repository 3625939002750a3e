"""Adapters: their files, their digest, and what does not fit a model."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from sharedllm_docs.architectures.registry import architecture_for
from sharedllm_docs.errors import AdapterError, ModelError
from sharedllm_docs.injection.cross_attention import CrossAttention
from sharedllm_docs.model.adapter import CONFIG_FILE, WEIGHTS_FILE, Adapter
from tests.tiny_text import tiny_adapter, tiny_base, tiny_sharedllm_profile

MODEL = tiny_base()
ARCH = architecture_for(MODEL)
Q0 = "layers.0.cross_attn.q_proj.weight"


@pytest.fixture
def adapter():
    return tiny_adapter(MODEL, lower=True)


def changed(adapter, **weights):
    return replace(adapter, weights={**adapter.weights, **{name.replace("__", "."): t for name, t in weights.items()}})


# -- files --------------------------------------------------------------------------------------------------------


def test_saved_and_loaded_it_is_the_same(adapter, tmp_path):
    loaded = Adapter.load(adapter.save(tmp_path / "new" / "folder"))
    assert loaded.profile == adapter.profile
    assert loaded.notes == {"base": "tiny"}
    assert loaded.digest == adapter.digest
    assert loaded.weights.keys() == adapter.weights.keys()
    assert all(torch.equal(loaded.weights[name], tensor) for name, tensor in adapter.weights.items())


def test_large_adapters_are_written_in_shards_and_read_together(adapter, tmp_path):
    adapter.save(tmp_path, shard_bytes=10_000)
    files = sorted(path.name for path in tmp_path.glob("*.safetensors"))
    assert len(files) > 2
    assert files[0] == f"adapter-00001-of-{len(files):05d}.safetensors"
    assert Adapter.load(tmp_path).digest == adapter.digest
    adapter.save(tmp_path)
    assert [path.name for path in tmp_path.glob("*.safetensors")] == [WEIGHTS_FILE]  # no stale shard beside it
    assert Adapter.load(tmp_path).digest == adapter.digest


@pytest.mark.parametrize("number", [1, 2])
def test_a_missing_shard_is_named(adapter, tmp_path, number):
    adapter.save(tmp_path, shard_bytes=10_000)
    gone = sorted(tmp_path.glob("*.safetensors"))[number]
    gone.unlink()
    with pytest.raises(AdapterError, match=f"lacks {gone.name}. Fetch or convert it again"):
        Adapter.load(tmp_path)


@pytest.mark.parametrize("gone", [None, CONFIG_FILE, WEIGHTS_FILE])
def test_a_folder_without_an_adapter_is_refused(adapter, tmp_path, gone):
    folder = tmp_path / "adapter"
    if gone:
        (adapter.save(folder) / gone).unlink()
    with pytest.raises(
        AdapterError, match=r"adapter holds no adapter \(adapter_config.json and .* Give the folder"
    ) as e:
        Adapter.load(folder)
    assert isinstance(e.value, ModelError)
    assert e.value.exit_code == 4


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("{", "Expecting property name"),
        ("[]", "list indices must be integers"),
        ("{}", "'profile'"),
        ('{"profile": null}', "not iterable"),
        ('{"profile": {"grain": 4}}', "unknown setting 'grain'"),
        ('{"profile": {"depth": "three"}}', "depth='three' must be a whole number"),
        ('{"profile": {"layers": 3}}', "layers=3 must be a tuple"),
        (b"\xff\xfe\x00", "codec can't decode"),
    ],
)
def test_a_damaged_config_is_named(adapter, tmp_path, config, reason):
    adapter.save(tmp_path)
    (tmp_path / CONFIG_FILE).write_bytes(config if isinstance(config, bytes) else config.encode())
    with pytest.raises(AdapterError, match=f"is damaged: .*{reason}.* Fetch or convert it again"):
        Adapter.load(tmp_path)


@pytest.mark.parametrize("keep", [0, 7, 100, -1])
def test_damaged_weights_are_named(adapter, tmp_path, keep):
    adapter.save(tmp_path)
    data = (tmp_path / WEIGHTS_FILE).read_bytes()
    (tmp_path / WEIGHTS_FILE).write_bytes(data[:keep])
    with pytest.raises(AdapterError, match="is damaged"):
        Adapter.load(tmp_path)


# -- digest -------------------------------------------------------------------------------------------------------


def test_the_digest_changes_with_any_weight(adapter):
    seen = {adapter.digest}
    for name, tensor in adapter.weights.items():
        other = tensor.clone()
        other.view(-1)[-1] += 1
        seen.add(changed(adapter, **{name.replace(".", "__"): other}).digest)
    assert len(seen) == 1 + len(adapter.weights)


def test_the_digest_changes_with_name_dtype_shape_and_profile(adapter):
    tensor = adapter.weights[Q0]
    others = [
        replace(adapter, weights={n + "x" * (n == Q0): t for n, t in adapter.weights.items()}),
        replace(adapter, weights={n: t for n, t in adapter.weights.items() if n != Q0}),
        changed(adapter, **{Q0.replace(".", "__"): tensor.T.contiguous()}),
        changed(adapter, **{Q0.replace(".", "__"): tensor.view(torch.int32)}),
        replace(adapter, profile=tiny_sharedllm_profile(query_offset=1)),
        replace(adapter, profile=tiny_sharedllm_profile(store_dtype="int8")),
    ]
    assert len({adapter.digest, *(other.digest for other in others)}) == 7


def test_the_digest_does_not_depend_on_order_notes_or_memory(adapter):
    backwards = dict(reversed(adapter.weights.items()))
    backwards[Q0] = backwards[Q0].T.contiguous().T
    assert replace(adapter, weights=backwards, notes={"run": 7}).digest == adapter.digest


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_every_dtype_and_the_gate_have_a_digest(adapter, dtype):
    weights = {name: tensor.to(dtype) for name, tensor in adapter.weights.items()}
    gated = {**weights, "layers.0.cross_attn.gate": torch.zeros((), dtype=dtype), "lower.empty": torch.zeros(0)}
    digests = {adapter.digest, replace(adapter, weights=weights).digest, replace(adapter, weights=gated).digest}
    assert len(digests) == 3


# -- blocks -------------------------------------------------------------------------------------------------------


def test_blocks_carry_the_weights_on_the_models_dtype(adapter):
    wide = architecture_for(tiny_base(dtype=torch.float64))
    blocks = adapter.blocks(wide)
    assert list(blocks) == [0, 1]
    for layer, block in blocks.items():
        assert not block.training
        assert block.gate is None
        for name, parameter in block.named_parameters():
            assert parameter.dtype == torch.float64
            assert torch.equal(parameter, adapter.weights[f"layers.{layer}.cross_attn.{name}"].double())


def test_a_gate_is_part_of_the_block(adapter):
    gates = {f"layers.{layer}.cross_attn.gate": torch.tensor(0.5) for layer in (0, 1)}
    blocks = replace(adapter, weights={**adapter.weights, **gates}).blocks(ARCH)
    assert [block.gate.item() for block in blocks.values()] == [0.5, 0.5]


def test_a_new_gated_block_adds_nothing():
    block = CrossAttention(ARCH, gated=True)
    rows = torch.randn(1, 2, 3, 8)
    from sharedllm_docs.injection.cross_attention import CrossRows

    turn = torch.ones(1, 1, 1, 8), torch.zeros(1, 1, 1, 8)
    out = block(torch.randn(1, 4, 48), CrossRows({0: (rows, rows)}, *turn, None), 0)
    assert torch.equal(out, torch.zeros(1, 4, 48))


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        (Q0, None, r"does not fit layer 1 of the model: Missing key.*q_proj"),
        (Q0, torch.zeros(48, 40), r"does not fit layer 1 of the model: size mismatch for q_proj"),
        ("layers.1.cross_attn.layernorm.weight", torch.ones(7), "does not fit layer 2 .* size mismatch for layernorm"),
        ("layers.1.cross_attn.k_proj.weight", torch.ones(7), 'does not fit layer 2 .* Unexpected key.*"k_proj.weight"'),
        (
            "layers.2.cross_attn.q_proj.weight",
            torch.ones(7),
            r"holds layers\.2\.cross_attn.*layers 1\.\.2 have no place",
        ),
        ("upper.lm_head.weight", torch.ones(7), r"holds upper\.lm_head\.weight"),
    ],
)
def test_weights_that_do_not_fit_are_named(adapter, name, tensor, message):
    weights = {n: t for n, t in adapter.weights.items() if n != name} | ({} if tensor is None else {name: tensor})
    with pytest.raises(AdapterError, match=f"{message}.* Use the"):
        replace(adapter, weights=weights).blocks(ARCH)


def test_an_adapter_for_more_layers_than_the_model_has():
    profile = tiny_sharedllm_profile(layers=(1, 9))
    with pytest.raises(ValueError, match="reaches beyond the model's 4 layers"):
        Adapter(profile, {}).blocks(ARCH)


def test_lower_weights_go_by_the_base_models_names(adapter):
    assert list(adapter.lower_weights) == ["model.layers.0.mlp.up_proj.weight"]
    assert tiny_adapter(MODEL).lower_weights == {}


@pytest.mark.parametrize("half", ["upper", "lower"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
def test_merged_weights_have_the_bits_of_the_plain_sum_and_nothing_else_changes(adapter, half, dtype):
    base = architecture_for(tiny_base(dtype=dtype))
    own = {name: tensor.clone() for name, tensor in base.model.named_parameters()}
    both, only = "model.layers.0.mlp.up_proj.weight", "model.layers.1.self_attn.q_proj.weight"
    low = {
        name: (torch.randn(2, own[name].shape[1]).half(), torch.randn(len(own[name]), 2).half())
        for name in (both, only)
    }
    parts = {
        f"{half}.lora.{name}.{letter}": tensor
        for name, pair in low.items()
        for letter, tensor in zip("AB", pair, strict=True)
    }
    trained = replace(adapter, weights={**adapter.weights, **parts})
    before = {name: tensor.clone() for name, tensor in trained.weights.items()}
    merged = trained.weights_of(half, base)
    assert set(merged) == {both, only}
    starts = {**own, **(adapter.lower_weights if half == "lower" else {})}
    for name, tensor in merged.items():
        start = starts[name]
        kind = torch.promote_types(start.dtype, torch.float32)
        a, b = (part.to(kind) for part in low[name])
        assert torch.equal(tensor, (start.to(kind) + b @ a).to(own[name].dtype))
        assert tensor.dtype == own[name].dtype
    assert all(torch.equal(tensor, own[name]) for name, tensor in base.model.named_parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in trained.weights.items())


def test_the_config_is_readable(adapter, tmp_path):
    settings = json.loads((adapter.save(tmp_path) / CONFIG_FILE).read_text())
    assert settings["profile"]["grains"] == [4, 2, 1]
    assert settings["notes"] == {"base": "tiny"}
