"""Settings of a run: reading, defaults, problems by name, the schedule."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharedllm_docs.errors import ConfigError
from sharedllm_docs.training.config import OptimiserSettings, TrainingConfig

FULL = """
[run]
steps = 40
batch = 2
[model]
name = "some/model"
[profile]
fusion = "joint"
front = "prompt"
positions = "token"
layers = [1, 15]
grains = [16, 8, 4]
[trained]
upper_rank = 8
targets = ["q_proj", "v_proj"]
[optimiser]
schedule = "linear"
[objectives]
teacher = "prefill"
[[stages]]
until = 0.25
layers = [1, 25]
grains = [[0, 0, 1], [4, 2, 1]]
[[stages]]
[data]
token_files = ["tokens/*.npz"]
"""


def test_a_file_is_read_whole(tmp_path):
    (tmp_path / "run.toml").write_text(FULL)
    config = TrainingConfig.read(tmp_path / "run.toml")
    assert config.token_files == (str(tmp_path / "tokens/*.npz"),)
    assert config.trained.targets == ("q_proj", "v_proj")
    assert config.profile.name == "sharedllm"
    assert [config.stage_at(step).until for step in (0, 9, 10, 39)] == [0.25, 0.25, 1.0, 1.0]
    first, last = (config.variants(stage) for stage in config.stages)
    assert [(p.layers, p.grains) for p in first] == [((1, 25), (0, 0, 1)), ((1, 25), (4, 2, 1))]
    assert [(p.layers, p.grains) for p in last] == [((1, 15), (16, 8, 4))]
    assert config.final_profile.layers == (1, 15)
    assert config.to_dict()["profile"]["layers"] == [1, 15]


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"runs": {}}, "unknown table 'runs'"),
        ({"run": {"step": 3}}, r"Invalid \[run\]: unknown setting 'step'"),
        ({"run": {"steps": 0, "batch": 0}}, "steps=0 must be at least 1. batch=0 must be at least 1"),
        ({"run": {"batch": 1.5}}, "batch=1.5 must be a whole number"),
        ({"run": {"batch": True}}, "batch=True must be a whole number"),
        ({"run": {"precision": "fp8"}}, "precision='fp8' is not one of 'auto', 'no', 'bf16'"),
        ({"run": 3}, "it must be a table, not 3"),
        ({"stages": {}}, "it must be a list"),
        ({"trained": {"upper_rank": -1}}, "upper_rank=-1 must be at least 0"),
        ({"trained": {"targets": ["lm_head"]}}, r"targets=\['lm_head'\] must be some of q_proj"),
        ({"trained": {"dropout": 2}}, "dropout=2 must lie in 0..1"),
        ({"optimiser": {"schedule": "step"}}, "schedule='step' is not one of 'cosine', 'linear', 'constant'"),
        ({"optimiser": {"learning_rate": math.nan}}, "learning_rate=nan must be a finite number"),
        ({"objectives": {"continuation": 0, "reconstruction": 0, "questions": 0}}, "all objectives have the share 0"),
        ({"objectives": {"teacher": "self"}}, "teacher='self' is not one of 'none', 'prefill', 'injection'"),
        ({"objectives": {"loss_weight": 0}}, "leaves nothing to learn from without a teacher"),
        ({"stages": [{"until": 0.5}]}, r"the stages end at \[0.5\]: the shares must rise and the last be 1"),
        ({"stages": [{"until": 0.5, "grains": [[3, 2, 1]]}, {}]}, "grain 3 does not divide"),
        ({"profile": {"encoding": "per_node"}}, "encoding='per_node' cannot be trained"),
        ({"profile": {"name": "prefix", "fusion": "joint"}}, "profile 'prefix' needs no training"),
        ({"profile": {"grain": 3}}, "unknown setting 'grain'"),
        ({"profile": {"fusion": "joint"}, "trained": {"upper_rank": 0}}, "fusion='joint' has no blocks to train"),
        ({"data": {"pack": []}}, "unknown setting 'pack'"),
        ({"data": {"packs": [], "token_files": []}}, "token_files is given twice"),
    ],
)
def test_what_is_wrong_is_named(tables, message):
    with pytest.raises(ConfigError, match=message):
        TrainingConfig.from_dict(tables)


def test_the_earlier_name_of_token_files_is_read():
    assert TrainingConfig.from_dict({"data": {"packs": ["a.npz"]}}).token_files == ("a.npz",)


@pytest.mark.parametrize("content", ["[run", None])
def test_a_file_that_is_no_toml(tmp_path, content):
    path = tmp_path / "run.toml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=r"run\.toml cannot be read: .* Give a TOML file"):
        TrainingConfig.read(path)


@given(
    st.sampled_from(["cosine", "linear", "constant"]),
    st.floats(0, 0.5),
    st.floats(0, 1),
    st.integers(2, 300),
)
def test_the_schedule_rises_then_never_rises_again(schedule, warmup, final, steps):
    settings = OptimiserSettings(schedule=schedule, warmup=warmup, final=final)
    factors = [settings.factor(step, steps) for step in range(steps)]
    rising = math.ceil(warmup * steps)
    assert factors[:rising] == sorted(factors[:rising])
    assert factors[rising:] == sorted(factors[rising:], reverse=True)
    assert all(0 < factor <= 1 for factor in factors[:rising])
    least = 1 if schedule == "constant" else final
    assert all(least - 1e-9 <= factor <= 1 for factor in factors[rising:])
