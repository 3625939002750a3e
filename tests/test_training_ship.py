"""A shipped adapter: the same weights in a narrower dtype, its question settings, and how a model finds it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sharedllm_docs.config import Profile, RetrievalConfig
from sharedllm_docs.errors import AdapterError, ConfigError
from sharedllm_docs.model import loading
from sharedllm_docs.model.adapter import CONFIG_FILE, Adapter, shipped_adapter
from sharedllm_docs.model.shared_llm import SharedLLM
from sharedllm_docs.training.ship import main, mean, ship
from sharedllm_docs.training.trainee import Trainee
from tests.tiny_text import tiny_base, tiny_tokenizer
from tests.training_helpers import tiny_config, tiny_training_base

NAME = "model.layers.0.self_attn.q_proj.weight"
PROFILE = Profile.sharedllm(
    fusion="joint", positions="token", front="prompt", layers=(1, 2), grains=(0, 1), depth=2, chunk_tokens=64
)


def adapter(scale=1.0, **question):
    width = tiny_base().config.hidden_size
    heads = tiny_base().config.num_attention_heads * tiny_base().config.head_dim
    weights = {
        f"upper.lora.{NAME}.A": scale * torch.randn(2, width),
        f"upper.lora.{NAME}.B": scale * torch.randn(heads, 2),
    }
    folder = "/home/somebody/tokens"
    notes = {
        "base": "tiny",
        "training": {"token_files": [f"{folder}/a.npz"], "packs": [f"{folder}/b.npz"], "stages": []},
    }
    return Adapter(PROFILE, weights, notes, question)


def test_a_shipped_adapter_is_the_same_but_narrower(tmp_path, capsys):
    source = adapter(budget=64)
    source.save(tmp_path / "a")
    assert main([str(tmp_path / "a"), str(tmp_path / "b"), "--evidence", "16"]) == 0
    made = Adapter.load(tmp_path / "b")
    assert made.digest in capsys.readouterr().out
    assert made.profile == source.profile
    assert dict(made.question) == {"budget": 64, "evidence_tokens": 16}
    assert made.notes == {"base": "tiny", "training": {"token_files": ["a.npz"], "packs": ["b.npz"], "stages": []}}
    for name, tensor in made.weights.items():
        assert tensor.dtype == torch.float16
        torch.testing.assert_close(tensor.float(), source.weights[name], rtol=1e-3, atol=1e-3)


def test_rows_may_be_stored_otherwise_than_in_training(tmp_path, capsys):
    source = adapter()
    source.save(tmp_path / "a")
    assert main([str(tmp_path / "a"), str(tmp_path / "b"), "--store-dtype", "int4"]) == 0
    made = Adapter.load(tmp_path / "b")
    assert made.profile == replace(source.profile, store_dtype="int4")
    assert made.digest != source.digest, "an index is bound to how its rows are stored"
    assert main([str(tmp_path / "a"), str(tmp_path / "c"), "--store-dtype", "int3"]) != 0
    assert "store_dtype='int3' is not one of" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()


def test_what_does_not_fit_the_dtype_is_named_and_nothing_is_written(tmp_path, capsys):
    adapter(scale=1e6).save(tmp_path / "a")
    assert main([str(tmp_path / "a"), str(tmp_path / "b")]) != 0
    assert "exceeds what float16 holds" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()
    assert main([str(tmp_path / "a"), str(tmp_path / "a")]) != 0
    assert "is an adapter that is read" in capsys.readouterr().err
    ship(tmp_path / "a", tmp_path / "b", dtype="bfloat16")
    assert Adapter.load(tmp_path / "b").weights


def test_of_several_adapters_the_mean_is_shipped_with_the_notes_of_the_last(tmp_path, capsys):
    sources = [replace(adapter(budget=64), notes={"base": "tiny", "step": step}) for step in (10, 20, 30)]
    for number, one in enumerate(sources):
        one.save(tmp_path / str(number))
    folders = [str(tmp_path / str(number)) for number in range(3)]
    assert main([*folders, str(tmp_path / "mean"), "--dtype", "float32"]) == 0
    made = Adapter.load(tmp_path / "mean")
    assert made.notes == {"base": "tiny", "step": 30, "mean_of": 3}
    assert dict(made.question) == {"budget": 64}
    for name, tensor in made.weights.items():
        torch.testing.assert_close(tensor, sum(one.weights[name] for one in sources) / 3)
    assert main([*folders, folders[1]]) != 0
    assert "is an adapter that is read" in capsys.readouterr().err
    assert dict(Adapter.load(folders[1]).weights).keys() == dict(sources[1].weights).keys()


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (lambda one: replace(one, profile=replace(one.profile, store_dtype="int4")), "another profile"),
        (lambda one: replace(one, prompt_start="instructed"), "another prompt's start"),
        (lambda one: replace(one, weights=dict(list(one.weights.items())[:1])), "another set of weights"),
        (lambda one: replace(one, weights={n: t[..., :1] for n, t in one.weights.items()}), "another set of weights"),
    ],
)
def test_adapters_that_do_not_belong_together_have_no_mean(other, what):
    one = adapter()
    with pytest.raises(AdapterError, match=f"Adapter 1 of 2 has {what}"):
        mean([other(one), one])
    with pytest.raises(AdapterError, match="No adapter"):
        mean([])


def test_question_settings_are_checked():
    with pytest.raises(AdapterError, match="hold 'floor'"):
        adapter(floor=1)
    with pytest.raises(ConfigError, match="budget=0 must be at least 1"):
        adapter(budget=0)


def test_a_question_that_asks_for_none_gets_the_adapters_settings():
    made = SharedLLM.from_model(tiny_base(), tiny_tokenizer(), adapter=adapter(budget=77, evidence_tokens=9))
    assert (made.question_default("budget"), made.question_default("evidence_tokens")) == (77, 9)
    plain = SharedLLM.from_model(tiny_base(), tiny_tokenizer())
    assert (plain.question_default("budget"), plain.question_default("evidence_tokens")) == (512, 0)
    assert RetrievalConfig().evidence_tokens is None


def test_training_in_groups_tells_the_budget_it_saw():
    base = tiny_training_base()
    tables = {"profile": {"grains": [0, 1]}, "stages": [{}], "objectives": {"group": 2, "leaves": 3}}
    trainee = Trainee(base.arch, tiny_config(**tables), start_ids=base.start_ids, front_ids=base.start_ids)
    assert dict(trainee.adapter().question) == {"budget": 3 * 16}


def test_an_embedded_model_finds_its_own_adapter(tmp_path, monkeypatch):
    monkeypatch.setattr("sharedllm_docs.model.adapter.SHIPPED", tmp_path)
    assert shipped_adapter("small") is None
    assert loading.load_adapter("auto", "small", None) is None
    own = adapter()
    own.save(tmp_path / "small")
    assert shipped_adapter("small") == tmp_path / "small"
    for profile in (None, "sharedllm", PROFILE):
        assert loading.load_adapter("auto", "small", profile).digest == own.digest
    for profile in ("prefix", Profile.prefix()):
        assert loading.load_adapter("auto", "small", profile) is None
    assert loading.load_adapter("auto", "", None) is None
    assert loading.load_adapter("none", "small", None) is None
    assert loading.load_adapter(None, "small", None) is None
    assert loading.load_adapter(tmp_path / "small", "", None).digest == own.digest
    assert loading.adapter_source("auto", own) == "auto"
    assert loading.adapter_source("auto", None) is None
    assert loading.load_adapter("small", "", None).digest == own.digest, "by name, for any model"
    assert loading.adapter_source("small", own) == "small"
    with pytest.raises(AdapterError, match=r"large holds no adapter .* or one of small\."):
        loading.load_adapter("large", "", None)
    (tmp_path / "small" / CONFIG_FILE).unlink()
    assert shipped_adapter("small") is None
