"""What makes steps faster changes nothing of them: examples drawn ahead, compiled parts, free settings."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import torch

pytest.importorskip("accelerate")
pytest.importorskip("peft")

from sharedllm_docs.errors import ConfigError
from sharedllm_docs.training import trainer
from sharedllm_docs.training.binding import run_digest
from sharedllm_docs.training.checkpoints import find_checkpoint, load_state
from sharedllm_docs.training.compiled import CompiledParts, token_wise, wanted
from sharedllm_docs.training.feed import Feed
from sharedllm_docs.training.objectives import PoolSource
from sharedllm_docs.training.trainer import train
from tests.training_helpers import tiny_config, tiny_pool, tiny_training_base


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return tiny_pool(tmp_path_factory.mktemp("packs"))


def go(pool, folder, config, **options):
    source = PoolSource(pool, config.objectives)
    return train(config, folder, base=tiny_training_base(), source=source, tensorboard=False, **options)


def trained(folder):
    return load_state(find_checkpoint(folder)).tensors


# -- examples drawn ahead -----------------------------------------------------------------------------------------


class Noting:
    """A source that notes who draws, and fails when told to."""

    def __init__(self, source, fails_at=None):
        self.source, self.fails_at, self.drawn, self.threads = source, fails_at, 0, set()

    @property
    def digest(self):
        return self.source.digest

    def draw(self, rng, profile):
        self.drawn += 1
        self.threads.add(threading.current_thread().name)
        if self.drawn == self.fails_at:
            raise KeyError("no such question")
        return self.source.draw(rng, profile)


@pytest.mark.parametrize("prefetch", [1, 3])
def test_what_is_drawn_ahead_is_what_is_drawn_in_time(pool, prefetch):
    config = tiny_config(run={"accumulation": 2, "prefetch": prefetch, "steps": 4})
    noting = Noting(PoolSource(pool, config.objectives))
    plain = Feed(config, PoolSource(pool, config.objectives), num_layers=4)
    with Feed(config, noting, num_layers=4) as feed:
        for step in range(1, 4):  # as a resumed run begins
            for micro in range(2):
                assert feed.take(step, micro) == plain.draw(step, micro)
    assert noting.threads == {"examples_0"}
    assert noting.drawn == 3 * 2 * config.run.batch  # nothing twice, nothing behind the end
    assert not [t for t in threading.enumerate() if t.name.startswith("examples")]


def test_without_prefetch_no_thread_is_begun(pool):
    config = tiny_config(run={"prefetch": 0})
    noting = Noting(PoolSource(pool, config.objectives))
    with Feed(config, noting, num_layers=4) as feed:
        feed.take(0, 0)
    assert noting.threads == {threading.current_thread().name}


def test_a_fault_while_drawing_ahead_ends_the_run(pool):
    config = tiny_config()
    with Feed(config, Noting(PoolSource(pool, config.objectives), fails_at=3), num_layers=4) as feed:
        feed.take(0, 0)
        with pytest.raises(KeyError, match="no such question"):
            feed.take(1, 0)


def test_a_run_with_examples_drawn_ahead_is_the_same_to_the_bit(pool, tmp_path):
    for prefetch in (0, 2):
        go(pool, tmp_path / str(prefetch), tiny_config(run={"prefetch": prefetch, "steps": 3}))
    expected, found = trained(tmp_path / "0"), trained(tmp_path / "2")
    assert all(torch.equal(expected[name], found[name]) for name in expected)


# -- compiled parts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "device", "expected"),
    [("auto", "cuda", True), ("auto", "cpu", False), (True, "cpu", True), (False, "cuda", False)],
)
def test_compiled_by_itself_on_cuda_alone(setting, device, expected):
    assert wanted(setting, torch.device(device)) is expected


def test_compiled_steps_are_the_same_and_shapes_do_not_recompile(pool, tmp_path, monkeypatch):
    torch._dynamo.reset()
    monkeypatch.setattr(trainer, "CompiledParts", lambda models: CompiledParts(models, backend="eager"))
    counts = []
    original = trainer.Trainer._train_step

    def counted(self):
        original(self)
        counts.append(torch._dynamo.utils.counters["stats"]["unique_graphs"])

    tables = {"stages": [{}], "trained": {"dropout": 0.0}}
    plain, compiled = (tiny_config(run={"compile": c, "probe_every": 0, "steps": 4}, **tables) for c in (False, True))
    go(pool, tmp_path / "plain", plain)
    torch._dynamo.utils.counters.clear()
    monkeypatch.setattr(trainer.Trainer, "_train_step", counted)
    said = []
    go(pool, tmp_path / "compiled", compiled, say=said.append)
    assert not [line for line in said if "failed" in line]
    assert counts[0] > 0
    assert counts[-1] == counts[1] <= 12  # kinds of modules, not layers times shapes
    expected, found = trained(tmp_path / "plain"), trained(tmp_path / "compiled")
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-3, atol=1e-4, msg=name)


def test_modules_are_restored_when_the_run_ends(pool, tmp_path):
    base = tiny_training_base()
    parts = CompiledParts([base.arch, base.arch], backend="eager")
    assert len(parts.modules) == 3 * base.arch.num_layers
    assert all(module._compiled_call_impl is not None for module in token_wise(base.arch))
    parts.restore()
    assert all(module._compiled_call_impl is None for module in token_wise(base.arch))


def test_a_compiler_that_fails_is_gone_on_without(pool, tmp_path, monkeypatch):
    def broken(_graph, _inputs):
        raise RuntimeError("no compiler here")

    torch._dynamo.reset()
    monkeypatch.setattr(trainer, "CompiledParts", lambda models: CompiledParts(models, backend=broken))
    said = []
    tables = {"stages": [{}], "trained": {"dropout": 0.0}}
    config = tiny_config(run={"compile": True, "steps": 2}, **tables)
    assert go(pool, tmp_path / "broken", config, say=said.append).finished
    assert sum("torch.compile failed, going on without" in line for line in said) == 1
    assert "no compiler here" in " ".join(said)
    go(pool, tmp_path / "plain", replace(config, run=replace(config.run, compile=False)))
    expected, found = trained(tmp_path / "plain"), trained(tmp_path / "broken")
    assert all(torch.equal(expected[name], found[name]) for name in expected)


# -- folders of earlier versions ----------------------------------------------------------------------------------


def test_a_folder_is_bound_to_what_it_was_bound_to_before_settings_were_added():
    config = tiny_config(stages=[{}])
    fixed = "df8508cb7ebc3c7ea1d94c76dbac0c02beb6be72767db8091b6125c3691401d8"
    assert run_digest(config, "data") == fixed
    free = replace(config, run=replace(config.run, packing=False, compile=True, prefetch=0, log_every=1))
    assert run_digest(free, "data") == fixed
    assert run_digest(replace(config, run=replace(config.run, seed=1)), "data") != fixed
    assert run_digest(config, "other data") != fixed
    # a setting that came later is no part of the digest while it changes nothing
    assert run_digest(replace(config, objectives=replace(config.objectives, fewest_leaves=1)), "data") == fixed
    assert run_digest(replace(config, objectives=replace(config.objectives, fewest_leaves=2)), "data") != fixed


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ({"packing": 1}, "packing=1 must be true or false"),
        ({"compile": "yes"}, "compile='yes' must be 'auto', true or false"),
        ({"prefetch": -1}, "prefetch=-1 must be at least 0"),
    ],
)
def test_settings_that_cannot_be_are_named(run, message):
    with pytest.raises(ConfigError, match=message):
        tiny_config(run=run)
