"""The loop: exact resume, limits of time, faults that leave the last good checkpoint, what is logged."""

from __future__ import annotations

import errno
import json
import math

import pytest
import torch
from safetensors.torch import load_file, save_file

pytest.importorskip("accelerate")
pytest.importorskip("peft")

from sharedllm_docs.errors import CheckpointError, DiskFullError, TrainingError
from sharedllm_docs.model.adapter import Adapter
from sharedllm_docs.training import checkpoints, trainer
from sharedllm_docs.training.checkpoints import find_checkpoint, load_state
from sharedllm_docs.training.logs import read_log
from sharedllm_docs.training.objectives import PoolSource
from sharedllm_docs.training.trainer import train
from tests.tiny import state
from tests.training_helpers import tiny_config, tiny_pool, tiny_training_base

_TIMING = ("tokens_per_second", "minutes", "minutes_left")  # columns that differ between two equal runs
SEPARATE = {"fusion": "separate", "front": "none", "positions": "chunk"}


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return tiny_pool(tmp_path_factory.mktemp("packs"))


def go(pool, folder, config=None, *, base=None, **options):
    config = config or tiny_config()
    source = PoolSource(pool, config.objectives)
    return train(config, folder, base=base or tiny_training_base(), source=source, tensorboard=False, **options)


def rows_without_time(folder):
    return [{k: v for k, v in row.items() if k not in _TIMING} for row in read_log(folder / "log.csv")]


def tensors(folder):
    return load_state(find_checkpoint(folder)).tensors


class StopError(Exception):
    pass


def stop_after(monkeypatch, step, error=StopError):
    """The run dies in the middle of the step behind ``step``, as if killed."""
    original = trainer.Trainer._train_step

    def dying(self):
        if self.step == step:
            raise error
        original(self)

    monkeypatch.setattr(trainer.Trainer, "_train_step", dying)


# -- resume -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=[None, SEPARATE], ids=["joint", "separate"])
def uninterrupted(request, pool, tmp_path_factory):
    """Configuration, folder and outcome of a run that nothing stopped."""
    config = tiny_config(request.param, run={"accumulation": 2}, objectives={"teacher": "prefill"})
    folder = tmp_path_factory.mktemp("whole")
    return config, folder, go(pool, folder, config)


@pytest.mark.parametrize("killed_after", [2, 3, 5])
def test_a_resumed_run_equals_the_uninterrupted_one(uninterrupted, pool, tmp_path, monkeypatch, killed_after):
    """Bit for bit: weights, moments, log; killed at a checkpoint, and between two (what came after it is redone)."""
    config, folder, whole = uninterrupted
    with monkeypatch.context() as patch:
        stop_after(patch, killed_after)
        with pytest.raises(StopError):
            go(pool, tmp_path / "parts", config)
    assert load_state(find_checkpoint(tmp_path / "parts")).step == killed_after // 2 * 2
    parts = go(pool, tmp_path / "parts", config)
    assert (whole.step, whole.finished) == (parts.step, parts.finished) == (6, True)
    expected, found = tensors(folder), tensors(tmp_path / "parts")
    assert expected.keys() == found.keys()
    assert sum(name.startswith("optimiser.") for name in expected) > 20
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert rows_without_time(folder) == rows_without_time(tmp_path / "parts")
    assert Adapter.load(whole.adapter).digest == Adapter.load(parts.adapter).digest


def test_windows_of_time_add_up_to_the_same(pool, tmp_path):
    """Each call ends after one step, because its time is up at once."""
    config = tiny_config(run={"steps": 4})
    go(pool, tmp_path / "whole", config)
    outcomes = [go(pool, tmp_path / "parts", config, max_minutes=0.0) for _ in range(4)]
    assert [(outcome.step, outcome.finished) for outcome in outcomes] == [(1, False), (2, False), (3, False), (4, True)]
    expected, found = tensors(tmp_path / "whole"), tensors(tmp_path / "parts")
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_finished_run_is_left_alone(pool, tmp_path):
    first = go(pool, tmp_path)
    before = {path: path.read_bytes() for path in first.adapter.iterdir()}
    again = go(pool, tmp_path)
    assert again == first
    assert before == {path: path.read_bytes() for path in first.adapter.iterdir()}


def test_learning_changes_only_what_is_trained(pool, tmp_path):
    base = tiny_training_base()
    before = state(base.arch.model)
    outcome = go(pool, tmp_path, base=base)
    assert all(torch.equal(value, before[name]) for name, value in state(base.arch.model).items())
    lora = [t for name, t in Adapter.load(outcome.adapter).weights.items() if name.endswith(".B")]
    assert sum(bool(tensor.any()) for tensor in lora) > len(lora) // 2


# -- what does not fit --------------------------------------------------------------------------------------------


def test_another_configuration_does_not_resume(pool, tmp_path):
    go(pool, tmp_path)
    go(pool, tmp_path, tiny_config(run={"log_every": 1}))  # how often it logs does not matter
    with pytest.raises(CheckpointError, match=r"run of another configuration or other data.* Resume with the config"):
        go(pool, tmp_path, tiny_config(optimiser={"learning_rate": 1.0}))


@pytest.mark.parametrize("damage", ["numbers", "weights", "missing"])
def test_a_damaged_checkpoint_is_named(pool, tmp_path, damage):
    go(pool, tmp_path)
    folder = tmp_path / "checkpoint" / "state"
    shard = sorted(folder.glob("*.safetensors"))[0]
    if damage == "numbers":
        (folder / "state.json").write_text("{")
    elif damage == "weights":
        shard.write_bytes(shard.read_bytes()[:100])
    else:
        held = load_file(shard)
        held.pop(next(name for name in held if name.startswith("model.")))
        save_file(held, shard)
    message = "does not fit this run" if damage == "missing" else "is damaged"
    with pytest.raises(CheckpointError, match=message):
        go(pool, tmp_path)


# -- faults -------------------------------------------------------------------------------------------------------


def kept(folder, step):
    found = find_checkpoint(folder)
    assert load_state(found).step == step
    assert Adapter.load(found / "adapter").weights
    assert not (folder / "checkpoint.partial").exists()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    ],
    ids=["device", "python", "processor"],
)
def test_out_of_memory_keeps_the_checkpoint(pool, tmp_path, monkeypatch, error):
    stop_after(monkeypatch, 3, error)
    with pytest.raises(TrainingError, match=r"Out of memory in step 4 with batch=2\. The checkpoint of step 2 .* kept"):
        go(pool, tmp_path)
    kept(tmp_path, 2)


def test_any_other_fault_stays_what_it_is(pool, tmp_path, monkeypatch):
    stop_after(monkeypatch, 1, RuntimeError("a mistake"))
    with pytest.raises(RuntimeError, match="a mistake"):
        go(pool, tmp_path)


def test_a_loss_that_is_no_number_keeps_the_checkpoint(pool, tmp_path, monkeypatch):
    original = trainer.Trainer._train_step

    def spoilt(self):
        if self.step == 3:
            with torch.no_grad():
                next(iter(self.trainee.parameters())).fill_(math.nan)
        original(self)

    monkeypatch.setattr(trainer.Trainer, "_train_step", spoilt)
    with pytest.raises(
        TrainingError, match=r"In step 4 the loss is nan .* The checkpoint of step 2 .* Lower the learn"
    ):
        go(pool, tmp_path)
    kept(tmp_path, 2)
    assert all(torch.isfinite(tensor).all() for tensor in tensors(tmp_path).values())


def spoil_gradients(monkeypatch, steps):
    original = torch.nn.utils.clip_grad_norm_
    calls = []

    def clipped(parameters, *options):
        calls.append(1)
        parameters = list(parameters)
        if len(calls) - 1 in steps:
            parameters[0].grad.fill_(math.nan)
        return original(parameters, *options)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", clipped)


def test_single_gradients_that_are_no_numbers_leave_the_weights_as_they_are(pool, tmp_path, monkeypatch):
    go(pool, tmp_path / "clean")
    spoil_gradients(monkeypatch, {1, 3})
    told = []
    done = go(pool, tmp_path / "spoilt", say=told.append)
    assert done.finished
    assert [line for line in told if "changes nothing" in line] == [
        "step 2 changes nothing: its gradient's norm is nan",
        "step 4 changes nothing: its gradient's norm is nan",
    ]
    spoilt, clean = tensors(tmp_path / "spoilt"), tensors(tmp_path / "clean")
    assert all(torch.isfinite(tensor).all() for tensor in spoilt.values())
    assert any(not torch.equal(spoilt[name], clean[name]) for name in clean)


def test_gradients_that_stay_no_numbers_end_the_run(pool, tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "SKIPPED_IN_A_ROW", 2)
    spoil_gradients(monkeypatch, {2, 3})
    with pytest.raises(
        TrainingError, match=r"In step 4 the loss is \d.* gradient's norm nan. The checkpoint of step 2"
    ):
        go(pool, tmp_path)
    assert all(torch.isfinite(tensor).all() for tensor in tensors(tmp_path).values())


def test_before_the_first_checkpoint_it_says_so(pool, tmp_path, monkeypatch):
    stop_after(monkeypatch, 0, MemoryError())
    with pytest.raises(TrainingError, match=r"Out of memory in step 1 .* There was no checkpoint yet"):
        go(pool, tmp_path)
    assert find_checkpoint(tmp_path) is None


@pytest.mark.parametrize("what", ["state.safetensors", "adapter.safetensors", "state.json"])
def test_a_full_disk_keeps_the_checkpoint(pool, tmp_path, monkeypatch, what):
    """The second checkpoint meets a full disk at each of its files."""
    config = tiny_config()
    stop_at = {"count": 0}
    full = OSError(errno.ENOSPC, "No space left on device")
    original = checkpoints.write_shards

    def writing(tensors, folder, stem, shard_bytes):
        stop_at["count"] += 1
        if stop_at["count"] == 2 and what == "state.safetensors":
            raise full
        return original(tensors, folder, stem, shard_bytes)

    saving = Adapter.save

    def save(self, folder, **options):
        if find_checkpoint(tmp_path) and what == "adapter.safetensors":
            raise full
        return saving(self, folder, **options)

    dumps = json.dumps

    def dumping(value, **options):
        if find_checkpoint(tmp_path) and isinstance(value, dict) and "meter" in value and what == "state.json":
            raise full
        return dumps(value, **options)

    monkeypatch.setattr(checkpoints, "write_shards", writing)
    monkeypatch.setattr(Adapter, "save", save)
    monkeypatch.setattr(checkpoints.json, "dumps", dumping)
    with pytest.raises(
        DiskFullError, match=r"No space left for the checkpoint of step 4 .*; the last good one is kept"
    ):
        go(pool, tmp_path, config)
    kept(tmp_path, 2)


def test_a_full_disk_while_logging(pool, tmp_path, monkeypatch):
    def full(self, row):
        if row["step"] > 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(trainer.RunLog, "write", full)
    with pytest.raises(DiskFullError, match=r"No space left in .* at step 4. The checkpoint of step 2"):
        go(pool, tmp_path)
    kept(tmp_path, 2)


def test_killed_between_the_two_renames_the_older_one_serves(pool, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        with pytest.raises(StopError):
            go(pool, tmp_path)
    (tmp_path / "checkpoint").rename(tmp_path / "checkpoint.old")
    assert go(pool, tmp_path).finished
    assert not (tmp_path / "checkpoint.old").exists()


# -- logs ---------------------------------------------------------------------------------------------------------


def test_what_is_logged(pool, tmp_path):
    said = []
    go(pool, tmp_path, tiny_config(SEPARATE), say=said.append)
    rows = read_log(tmp_path / "log.csv")
    assert [row["step"] for row in rows] == ["2", "3", "4", "6"]
    assert [bool(row["right"]) for row in rows] == [False, True, False, True]
    assert [row["layers"] for row in rows] == ["1-4", "1-4", "1-3", "1-3"]
    last = {name: float(value) for name, value in rows[-1].items() if value and name != "layers"}
    assert last["right"] != last["wrong"] != last["none"]
    assert last["gate"] > 0
    assert last["minutes_left"] == 0
    assert last["tokens"] > float(rows[0]["tokens"]) > 100
    assert said[-1].startswith("step 6/6  loss ")


def test_tensorboard_and_plot(pool, tmp_path):
    pytest.importorskip("tensorboard")
    pytest.importorskip("matplotlib")
    config = tiny_config()
    train(config, tmp_path, base=tiny_training_base(), source=PoolSource(pool, config.objectives))
    assert list((tmp_path / "tensorboard").glob("events*"))
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_checkpoint_files_are_small_enough_to_carry(pool, tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "SHARD_BYTES", 20_000)
    go(pool, tmp_path)
    files = list((tmp_path / "checkpoint").rglob("*.safetensors"))
    assert len(files) > 4
    assert all(path.stat().st_size < 20_000 + 12_000 for path in files)
