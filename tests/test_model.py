"""A model made ready: loading from a folder, profiles and adapters, and what its fingerprint is made of."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from sharedllm_docs.architectures.registry import architecture_for
from sharedllm_docs.cache import ENVIRONMENT_VARIABLE
from sharedllm_docs.config import Profile
from sharedllm_docs.errors import AdapterError, ConfigError, ModelUnavailableError, UnsupportedModelError
from sharedllm_docs.injection.encoder import LowerEncoder
from sharedllm_docs.model import shared_llm as model_module
from sharedllm_docs.model.shared_llm import SharedLLM
from sharedllm_docs.model.zoo import DEFAULT_MODEL, EMBEDDED
from tests.tiny import random_ids, state
from tests.tiny_text import (
    END,
    HashEmbedder,
    save_model,
    tiny_adapter,
    tiny_base,
    tiny_llm,
    tiny_profile,
    tiny_sharedllm_profile,
    tiny_tokenizer,
)

WEIGHT = "model.layers.0.mlp.up_proj.weight"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(tmp_path / "cache"))


def load(folder, **options):
    return SharedLLM.from_pretrained(folder, dtype="float32", device="cpu", **options)


# -- loading ------------------------------------------------------------------------------------------------------


def test_a_folder_is_loaded_as_it_was_saved(saved):
    llm = load(saved / "model", profile=tiny_profile(), embedder=str(saved / "embedder"))
    base = tiny_base()
    assert all(torch.equal(llm.upper.model.state_dict()[name], t) for name, t in base.state_dict().items())
    assert not llm.upper.model.training
    assert llm.profile.layers == (1, 4)
    assert (llm.dtype, llm.device.type, llm.name) == ("float32", "cpu", str(saved / "model"))
    assert llm.embedder.encode(["text"]).shape == (1, llm.embedder.size)
    assert llm.end_ids == {END}
    again = SharedLLM.from_model(base, tiny_tokenizer(), profile=tiny_profile(), embedder=llm.embedder)
    assert again.fingerprint == llm.fingerprint


def test_what_it_was_loaded_from_leads_there_again(saved, monkeypatch):
    monkeypatch.chdir(saved)
    llm = load("model", adapter="adapter", embedder="embedder")
    monkeypatch.chdir("/")
    assert llm.source == {
        "name_or_path": str(saved / "model"),
        "adapter": str(saved / "adapter"),
        "dtype": "float32",
        "embedder": str(saved / "embedder"),
    }
    assert SharedLLM.from_pretrained(**llm.source).fingerprint == llm.fingerprint
    assert tiny_llm().source == {}


def test_without_a_name_the_embedded_default_is_loaded(saved, monkeypatch):
    asked = []

    def ensure(embedded, report):
        asked.append((embedded.name, report))
        return saved / "model"

    monkeypatch.setattr(model_module, "ensure", ensure)
    monkeypatch.setattr(model_module, "DEFAULT_MODEL", small := replace(DEFAULT_MODEL, layers=(2, 3)))
    monkeypatch.setitem(EMBEDDED, small.name, small)
    for name in (None, DEFAULT_MODEL.name):
        llm = load(name, profile=tiny_profile(), report=print)
        assert llm.profile.layers == (2, 3)  # those it was calibrated for, unless asked otherwise
        assert load(name, profile=tiny_profile(layers=(1, 4)), report=print).profile.layers == (1, 4)
        assert llm.name == DEFAULT_MODEL.name
        assert llm.source["name_or_path"] == DEFAULT_MODEL.name
    assert asked == [(DEFAULT_MODEL.name, print)] * 4


def test_tied_embeddings_lack_no_weight(tmp_path):
    """lm_head is not in the file, and need not be."""
    folder = save_model(tmp_path / "tied", tie_word_embeddings=True)
    assert "lm_head.weight" not in load_file(folder / "model.safetensors")
    model = load(folder).upper.model
    assert torch.equal(model.lm_head.weight, model.model.embed_tokens.weight)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64"])
def test_dtypes(saved, dtype):
    llm = SharedLLM.from_pretrained(saved / "model", dtype=dtype, device="cpu")
    assert llm.dtype == llm.source["dtype"] == dtype


@pytest.mark.parametrize(
    ("amx", "avx512", "wanted"), [(True, False, "bfloat16"), (False, True, "bfloat16"), (False, False, "float32")]
)
def test_the_dtype_follows_the_processor(saved, monkeypatch, amx, avx512, wanted):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512, raising=False)
    assert SharedLLM.from_pretrained(saved / "model", device="cpu").dtype == wanted


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "int8"}, r"dtype 'int8' is unknown \(known: auto, float32, bfloat16, float16, float64\)"),
        ({"device": "abacus"}, r"Device 'abacus' cannot be used: .* Use 'auto' or 'cpu'"),
        ({"profile": "suffix"}, r"Profile 'suffix' is unknown \(known: 'prefix', 'sharedllm'\)"),
        ({"profile": Profile.prefix(layers=(3, 9))}, r"layers=\(3, 9\) reaches beyond the model's 4 layers"),
    ],
)
def test_unknown_options_are_named(saved, options, message):
    with pytest.raises(ConfigError, match=message):
        SharedLLM.from_pretrained(saved / "model", **options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="wants a machine without CUDA")
def test_a_device_that_is_not_there(saved):
    with pytest.raises(ConfigError, match=r"Device 'cuda' cannot be used: .*CUDA.* Use 'auto' or 'cpu'"):
        SharedLLM.from_pretrained(saved / "model", device="cuda")


# -- folders that cannot be loaded --------------------------------------------------------------------------------


def without_weight(folder):
    weights = load_file(folder / "model.safetensors")
    del weights[WEIGHT]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def odd_weight(folder):
    weights = load_file(folder / "model.safetensors") | {WEIGHT: torch.ones(3, 3)}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def cut(folder):
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (without_weight, f"its files lack the weight {WEIGHT}"),
        (odd_weight, ""),
        (cut, "Error while deserializing header"),
        (lambda f: (f / "model.safetensors").unlink(), "no file named model.safetensors"),
        (lambda f: (f / "config.json").write_text("{"), "not a valid JSON file"),
        (lambda f: (f / "config.json").write_text("{}"), "Unrecognized model"),
        (lambda f: (f / "tokenizer.json").write_text("{}"), ""),
        (shutil.rmtree, ""),
    ],
    ids=["weight-missing", "weight-odd", "cut", "no-weights", "bad-json", "no-type", "bad-tokenizer", "no-folder"],
)
def test_a_folder_that_cannot_be_loaded(saved, tmp_path, damage, reason):
    folder = Path(shutil.copytree(saved / "model", tmp_path / "damaged"))
    damage(folder)
    message = rf"The model '.*damaged' could not be loaded: .*{reason}.*\. Give a folder with a transformers model"
    with pytest.raises(ModelUnavailableError, match=message):
        load(folder)


def test_a_hub_name_while_offline(monkeypatch):
    import transformers

    def offline(*_args, **_options):
        raise OSError("We couldn't connect to the hub.\nCheck your connection.")

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", offline)
    with pytest.raises(
        ModelUnavailableError, match=r"'some/model' could not be loaded: We couldn't connect .*while online"
    ):
        load("some/model")


def test_a_family_that_is_not_supported(tmp_path):
    from transformers import GPT2Config, GPT2LMHeadModel

    GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=2, n_embd=8, vocab_size=300)).save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(UnsupportedModelError, match="'gpt2' is not supported"):
        load(tmp_path)


def test_a_slow_tokenizer_is_refused():
    class SlowTokenizer:
        is_fast = False

    with pytest.raises(UnsupportedModelError, match="The tokenizer SlowTokenizer gives no character offsets"):
        SharedLLM.from_model(tiny_base(), SlowTokenizer(), profile=tiny_profile())


# -- profiles and adapters ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["sharedllm", tiny_sharedllm_profile()])
def test_the_sharedllm_profile_wants_an_adapter(saved, profile):
    message = r"Profile 'sharedllm' injects by trained cross-attention.* Give adapter=FOLDER, or use profile='prefix'"
    with pytest.raises(AdapterError, match=message):
        load(saved / "model", profile=profile)
    with pytest.raises(AdapterError, match=message):
        SharedLLM.from_model(tiny_base(), tiny_tokenizer(), profile=profile)


@pytest.mark.parametrize("profile", [None, "prefix"])
def test_without_an_adapter_the_prefix_profile_is_taken(profile):
    llm = SharedLLM.from_model(tiny_base(), tiny_tokenizer(), profile=profile, embedder=HashEmbedder())
    assert llm.profile == Profile.prefix().resolve(4)
    assert llm.blocks == {}
    assert llm.lower is llm.upper


@pytest.mark.parametrize("profile", [None, "sharedllm", tiny_sharedllm_profile(store_dtype="int8")])
def test_an_adapter_brings_its_profile(saved, profile):
    llm = load(saved / "model", adapter=saved / "adapter", profile=profile)
    assert llm.profile == (profile if isinstance(profile, Profile) else tiny_sharedllm_profile())
    assert list(llm.blocks) == [0, 1]
    assert llm.front is None


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ("prefix", "Profile 'prefix' has no place for the adapter's cross-attention"),
        (tiny_sharedllm_profile(layers=(1, 3)), r"trained for layers \(1, 2\), not for \(1, 3\)"),
        (tiny_sharedllm_profile(layers=(2, 2)), r"trained for layers \(1, 2\), not for \(2, 2\)"),
    ],
)
def test_an_adapter_in_a_profile_that_cannot_use_it_is_refused(saved, profile, message):
    with pytest.raises(AdapterError, match=f"{message}.* Leave profile out"):
        load(saved / "model", adapter=saved / "adapter", profile=profile)


def test_an_adapter_that_is_not_there(saved, tmp_path):
    with pytest.raises(AdapterError, match="holds no adapter"):
        load(saved / "model", adapter=tmp_path / "none")


def test_an_adapter_of_another_model_is_refused():
    adapter = tiny_adapter(tiny_base(hidden_size=24))
    with pytest.raises(AdapterError, match="does not fit layer 1 of the model: size mismatch"):
        tiny_llm(adapter=adapter)


@pytest.mark.parametrize("weights", [{"lower.model.norm.bias": torch.ones(48)}, {f"lower.{WEIGHT}": torch.ones(3, 3)}])
def test_lower_weights_of_another_model_are_refused(weights):
    adapter = tiny_adapter(tiny_base())
    adapter.weights.update(weights)
    (name,) = weights
    message = f"lower weights do not fit the model: {name.removeprefix('lower.')} is unknown to it or of another shape"
    with pytest.raises(AdapterError, match=message):
        tiny_llm(adapter=adapter)


def test_the_adapters_lower_weights_encode_and_the_base_model_stays():
    base = tiny_base()
    before = state(base)
    adapter = tiny_adapter(base, lower=True)
    llm = SharedLLM.from_model(base, tiny_tokenizer(), adapter=adapter, embedder=HashEmbedder())
    ids = random_ids(40)
    rows = llm.encoder.encode([ids])[0]
    plain = LowerEncoder(architecture_for(base), llm.profile).encode([ids])[0]
    doubled = tiny_base()
    doubled.state_dict()[WEIGHT].mul_(2)
    wanted = LowerEncoder(architecture_for(doubled), llm.profile).encode([ids])[0]
    assert not torch.equal(rows.keys, plain.keys)
    assert torch.equal(rows.keys, wanted.keys)
    assert torch.equal(rows.node_vectors, wanted.node_vectors)
    assert llm.upper.model is base
    assert all(torch.equal(before[name], tensor) for name, tensor in state(base).items())


def test_without_lower_weights_both_halves_are_one():
    llm = tiny_llm(adapter=True)
    assert llm.lower is llm.upper


# -- the front and the window -------------------------------------------------------------------------------------


def test_what_stands_before_every_chunk():
    start = tiny_llm().start_ids
    assert len(start) > 10
    assert tiny_llm(profile=tiny_profile(front="prompt")).front_ids == start
    assert tiny_llm(profile=tiny_profile(front="sink")).front_ids == start[:1]
    assert tiny_llm(profile=tiny_profile(front="none")).front_ids == ()


def test_the_prompts_start_is_computed_once():
    llm = tiny_llm()
    assert llm.front is llm.front
    assert llm.front.num_tokens == len(llm.start_ids)


def test_the_window_is_shared_by_all():
    llm = tiny_llm(max_position_embeddings=512)
    assert llm.window_left(20, 30) == 512 - len(llm.start_ids) - 50


# -- the fingerprint ----------------------------------------------------------------------------------------------


def test_the_same_made_twice_has_one_fingerprint():
    assert tiny_llm().fingerprint == tiny_llm().fingerprint
    assert tiny_llm(adapter=True).fingerprint.digest() == tiny_llm(adapter=True).fingerprint.digest()


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"seed": 1}, {"weights"}),
        ({"dtype": torch.float64}, {"weights", "dtype"}),
        ({"chat_template": None}, {"front"}),
        ({"embedder": HashEmbedder("other")}, {"embedder"}),
        ({"profile": tiny_profile(front="sink")}, {"front"}),
        ({"profile": tiny_profile(front="none")}, {"front"}),
        ({"profile": tiny_profile(layers=(2, 3))}, {"layers"}),
        ({"profile": tiny_profile(chunk_tokens=128)}, {"chunk_tokens"}),
        ({"profile": tiny_profile(store_dtype="int8")}, {"store_dtype"}),
        ({"profile": tiny_profile(keep="first")}, {"keep"}),
        ({"max_position_embeddings": 8192}, set()),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}}, {"rope"}),
        ({"adapter": True}, {"adapter", "profile", "layers", "grains", "front"}),
    ],
)
def test_every_change_shows_in_its_field(changes, fields):
    one, other = tiny_llm().fingerprint.to_dict(), tiny_llm(**changes).fingerprint.to_dict()
    assert {name for name in one if one[name] != other[name]} == fields


def test_fronts_and_adapters_tell_themselves_apart():
    fronts = {tiny_llm(profile=tiny_profile(front=front)).fingerprint.digest() for front in ("prompt", "sink", "none")}
    assert len(fronts) == 3
    base = tiny_base()
    adapters = [tiny_adapter(base), tiny_adapter(base, seed=1), tiny_adapter(base, lower=True)]
    assert len({tiny_llm(adapter=adapter).fingerprint.digest() for adapter in adapters}) == 3


def test_any_weight_changes_the_weights_digest():
    first = tiny_llm().weights_digest
    for name in ("model.embed_tokens.weight", "model.layers.3.mlp.down_proj.weight", "model.norm.weight"):
        model = tiny_base()
        model.state_dict()[name].view(-1)[0] += 1
        llm = SharedLLM.from_model(model, tiny_tokenizer(), profile=tiny_profile(), embedder=HashEmbedder())
        assert llm.weights_digest != first


def test_a_changed_file_is_not_taken_for_the_remembered_one(tmp_path):
    folder = save_model(tmp_path / "model")
    first = load(folder).weights_digest
    assert load(folder).weights_digest == first
    save_model(folder, seed=1)
    assert load(folder).weights_digest != first


@pytest.mark.parametrize(("file", "field"), [("model.safetensors", "weights"), ("tokenizer.json", "tokenizer")])
def test_a_file_replaced_after_loading_gets_no_digest_of_what_was_loaded(saved, tmp_path, file, field):
    folder, other = save_model(tmp_path / "model"), save_model(tmp_path / "other", seed=1)
    backend = json.loads((other / "tokenizer.json").read_text(encoding="utf-8"))
    backend["model"]["merges"].pop()
    (other / "tokenizer.json").write_text(json.dumps(backend), encoding="utf-8")

    def fingerprint_of(llm):
        return llm.fingerprint.to_dict()

    early = load(folder, embedder=str(saved / "embedder"))
    (other / file).replace(folder / file)
    late = load(folder, embedder=str(saved / "embedder"))
    first = fingerprint_of(early)
    assert first == fingerprint_of(load(saved / "model", embedder=str(saved / "embedder")))
    second = fingerprint_of(late)
    assert second == fingerprint_of(load(folder, embedder=str(saved / "embedder")))
    assert first[field] != second[field]


def test_the_tokenizers_settings_of_the_moment_do_not_count():
    llm, used = tiny_llm(), tiny_llm()
    used.tokenizer(["a", "bb"], padding=True, truncation=True, max_length=1)
    assert used.fingerprint == llm.fingerprint
    assert json.loads(json.dumps(llm.fingerprint.to_dict())) == llm.fingerprint.to_dict()
