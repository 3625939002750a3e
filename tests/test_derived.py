"""Merged weights and codes in the cache: the same bits, mapped and shared, and never a wrong one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sharedllm_docs import SharedLLM
from sharedllm_docs.injection.decode_step import for_steps
from sharedllm_docs.model import derived as module
from sharedllm_docs.model.adapter import Adapter
from sharedllm_docs.model.derived import derived
from tests.cli_run import ROOT
from tests.tiny_text import tiny_adapter, tiny_base

TENSORS = {
    "b": torch.arange(96, dtype=torch.float32).view(4, 24),
    "odd": torch.tensor([1, -2, 3], dtype=torch.int8),
    "a": torch.linspace(-1, 1, 64).to(torch.bfloat16),
    "none": torch.empty(0, 5),
}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SHAREDLLM_DOCS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "derived"


def never():
    raise AssertionError("computed again")


def equal(one, other):
    assert set(one) == set(other)
    assert all(torch.equal(one[name], other[name]) and one[name].dtype == other[name].dtype for name in one)


def the_file(cache, ending="safetensors"):
    (found,) = cache.glob(f"*.{ending}")
    return found


def mapped_files():
    """Files mapped into this process -> address ranges."""
    found = {}
    for line in Path("/proc/self/maps").read_text().splitlines():
        place, _rights, _offset, _device, _inode, *name = line.split(maxsplit=5)
        start, end = (int(number, 16) for number in place.split("-"))
        found.setdefault(name[0] if name else "", []).append(range(start, end))
    return found


def test_what_was_computed_once_is_read_the_next_time(cache):
    equal(derived("x", {"n": 1}, lambda: TENSORS), TENSORS)
    equal(derived("x", {"n": 1}, never), TENSORS)
    equal(load_file(the_file(cache)), TENSORS)
    for what, sources in (("y", {"n": 1}), ("x", {"n": 2}), ("x", {})):
        with pytest.raises(AssertionError, match="computed again"):
            derived(what, sources, never)


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="needs /proc")
def test_the_tensors_are_mapped_and_aligned(cache):
    made = derived("x", {}, lambda: TENSORS)
    for name in ("a", "b"):
        assert made[name].data_ptr() % 64 == 0
        assert any(made[name].data_ptr() in place for place in mapped_files()[str(the_file(cache))])


@pytest.mark.parametrize(
    "harm",
    [
        lambda file, note: file.write_bytes(file.read_bytes()[:-1] + b"\x55"),
        lambda file, note: file.write_bytes(file.read_bytes()[:-40]),
        lambda file, note: file.write_bytes(b""),
        lambda file, note: file.unlink(),
        lambda file, note: note.unlink(),
        lambda file, note: note.write_text("{"),
        lambda file, note: note.write_text("{}"),
        lambda file, note: note.write_text('{"sha256": "00", "state": [0, 0, 0]}'),
    ],
)
def test_damage_is_noticed_and_mended(cache, harm):
    derived("x", {}, lambda: TENSORS)
    harm(the_file(cache), the_file(cache, "json"))
    with pytest.raises(AssertionError, match="computed again"):
        derived("x", {}, never)
    equal(derived("x", {}, lambda: TENSORS), TENSORS)
    equal(derived("x", {}, never), TENSORS)
    assert len(list(cache.iterdir())) == 2, "nothing is left behind"


def test_a_copy_of_the_cache_is_as_good(cache):
    derived("x", {}, lambda: TENSORS)
    shutil.copytree(cache, cache.with_name("copy"))
    shutil.rmtree(cache)
    cache.with_name("copy").rename(cache)
    before = the_file(cache, "json").read_text()
    equal(derived("x", {}, never), TENSORS)
    assert the_file(cache, "json").read_text() != before
    equal(derived("x", {}, never), TENSORS)


def test_a_cache_that_cannot_be_written_costs_time_only(cache, monkeypatch):
    cache.parent.mkdir()
    cache.write_text("a file is in the way")
    equal(derived("x", {}, lambda: TENSORS), TENSORS)
    cache.unlink()
    usage = shutil.disk_usage(cache.parent)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _place: usage._replace(free=800))
    equal(derived("x", {}, lambda: TENSORS), TENSORS)
    assert not cache.exists(), "the disk would be nearly full"
    monkeypatch.undo()


def test_a_write_that_breaks_off_leaves_nothing_that_counts(cache, monkeypatch):
    monkeypatch.setattr(module, "_put_note", lambda *_: (_ for _ in ()).throw(OSError("killed")))
    equal(derived("x", {}, lambda: TENSORS), TENSORS)
    monkeypatch.undo()
    monkeypatch.setenv("SHAREDLLM_DOCS_CACHE", str(cache.parent))
    with pytest.raises(AssertionError, match="computed again"):
        derived("x", {}, never)


def test_what_nobody_used_for_long_goes(cache, monkeypatch):
    derived("old", {}, lambda: TENSORS)
    derived("used", {}, lambda: TENSORS)
    long_ago = module.time.time() - 31 * 86_400
    for file in cache.iterdir():
        state = file.stat()
        if file.suffix == ".json":
            os.utime(file, (long_ago, long_ago))
        else:
            os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns - 31 * 86_400 * 10**9))
            note = file.with_suffix(".json")
            note.write_text(json.dumps({**json.loads(note.read_text()), "state": module._state(file)}))
            os.utime(note, (long_ago, long_ago))
    derived("used", {}, never)
    derived("new", {}, lambda: TENSORS)
    assert sorted(file.name.partition("-")[0] for file in cache.glob("*.safetensors")) == ["new", "used"]


# -- models ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def lora(saved, tmp_path):
    """A folder with an adapter that changes both halves by low-rank weights."""
    base = tiny_base()
    adapter = tiny_adapter(base)
    name = "model.layers.0.self_attn.q_proj.weight"
    rows, columns = base.get_parameter(name).shape
    changed = {
        f"{half}.lora.{name}.{letter}": torch.randn(shape)
        for half in ("upper", "lower")
        for letter, shape in (("A", (2, columns)), ("B", (rows, 2)))
    }
    Adapter(adapter.profile, {**adapter.weights, **changed}, {}, {}, adapter.prompt_start).save(tmp_path / "adapter")
    return tmp_path / "adapter"


def load(saved, adapter, **options):
    folder = saved / "model"
    return SharedLLM.from_pretrained(folder, adapter=adapter, embedder=str(saved / "embedder"), **options)


def test_merged_weights_are_the_same_bits_from_the_cache(cache, saved, lora):
    first, second = load(saved, lora, dtype="float32"), load(saved, lora, dtype="float32")
    assert sorted(file.name.partition("-")[0] for file in cache.glob("*.safetensors")) == ["merged", "merged"]
    plain = Adapter.load(lora)
    for half in ("upper", "lower"):
        wanted = plain.weights_of(half, first.base)
        assert wanted
        for made in (first, second):
            own = dict(getattr(made, half).model.named_parameters())
            equal({name: own[name].data for name in wanted}, wanted)
    assert first.fingerprint == second.fingerprint


def test_another_adapter_has_other_weights(cache, saved, lora, tmp_path):
    first = load(saved, lora)
    own = Adapter.load(lora)
    weights = {name: tensor * 2 if ".B" in name else tensor for name, tensor in own.weights.items()}
    Adapter(own.profile, weights, {}, {}, own.prompt_start).save(tmp_path / "other")
    second = load(saved, tmp_path / "other")
    name = "model.layers.0.self_attn.q_proj.weight"
    assert not torch.equal(first.upper.model.get_parameter(name), second.upper.model.get_parameter(name))


def test_codes_of_steps_are_the_same_bits_from_the_cache(cache, saved, lora):
    if not hasattr(torch, "_weight_int8pack_mm"):
        pytest.skip("this torch has no kernel for codes")
    ids = torch.tensor([[5]])
    options = {"dtype": "bfloat16", "step_weights": "int8"}
    first, second = load(saved, lora, **options), load(saved, lora, **options)
    plain = for_steps(first.upper, "int8").model(ids).logits
    assert torch.equal(first.steps.model(ids).logits, plain)
    assert torch.equal(second.steps.model(ids).logits, plain)
    names = sorted({file.name.partition("-")[0] for file in cache.glob("*.safetensors")})
    assert names == ["codes", "converted", "merged"]


def test_codes_of_the_model_with_and_without_its_adapter_are_kept_apart(cache, saved, lora):
    if not hasattr(torch, "_weight_int8pack_mm"):
        pytest.skip("this torch has no kernel for codes")
    from tests.tiny_text import tiny_profile

    ids = torch.tensor([[5]])
    options = {"dtype": "bfloat16", "step_weights": "int8"}
    adapted = load(saved, lora, **options)
    bare = load(saved, None, profile=tiny_profile(), **options)
    for one in (adapted, bare):
        assert torch.equal(one.steps.model(ids).logits, for_steps(one.upper, "int8").model(ids).logits)


def test_weights_in_another_dtype_than_the_files_are_mapped_too(cache, saved):
    made = load(saved, None, dtype="bfloat16")
    wanted = {name: tensor.to(torch.bfloat16) for name, tensor in load(saved, None).base.model.named_parameters()}
    equal({name: tensor.data for name, tensor in made.base.model.named_parameters()}, wanted)
    again = load(saved, None, dtype="bfloat16")
    assert again.weights_digest == made.weights_digest
    if os.path.exists("/proc/self/maps"):
        places = mapped_files()[str(the_file(cache))]
        assert all(any(one.data_ptr() in place for place in places) for one in again.base.model.parameters())


def test_a_model_in_memory_is_not_kept(cache):
    from tests.tiny_text import tiny_llm

    tiny_llm().steps  # noqa: B018
    assert not cache.exists()


SHARED = """
import sys
from sharedllm_docs import SharedLLM
llm = SharedLLM.from_pretrained(sys.argv[1], adapter=sys.argv[2], embedder=sys.argv[3])
for half in (llm.base, llm.upper, llm.lower):
    for tensor in half.model.parameters():
        tensor.sum()
address = {}
for line in open("/proc/self/maps"):
    place, rights, offset, device, inode, *name = line.split(maxsplit=5)
    start, end = (int(one, 16) for one in place.split("-"))
    address.update({(start, end): (device, inode)})
for half in ("base", "upper", "lower"):
    for name, tensor in getattr(llm, half).model.named_parameters():
        found = next(file for (a, b), file in address.items() if a <= tensor.data_ptr() < b)
        print(half, name, *found)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="needs /proc")
def test_two_processes_hold_the_weights_once(cache, saved, lora):
    """All weights lie in mappings of the same files, which the system keeps in memory once."""
    command = [sys.executable, "-c", SHARED, str(saved / "model"), str(lora), str(saved / "embedder")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    load(saved, lora)
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) for _ in range(2)]
    first, second = (sorted(one.communicate()[0].splitlines()) for one in started)
    assert first == second
    assert len(first) > 20
    assert all(line.split()[-1] != "0" for line in first), "each has a file behind it"
