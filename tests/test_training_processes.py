"""Several processes: the gradient of a step is the mean over all of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("accelerate")
pytest.importorskip("peft")

from sharedllm_docs.training.checkpoints import find_checkpoint, load_state
from sharedllm_docs.training.logs import read_log

ROOT = Path(__file__).parent.parent


def step(out, batch, *launcher):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *launcher, str(ROOT / "tests" / "training_process.py"), str(out), str(batch)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return load_state(find_checkpoint(out)).tensors


@pytest.mark.slow
def test_two_processes_of_two_examples_are_one_of_four(tmp_path):
    alone = step(tmp_path / "one", 4)
    shared = step(tmp_path / "two", 2, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    assert {path.name for path in (tmp_path / "two").glob("packs-*")} == {"packs-0", "packs-1"}
    moments = [name for name in alone if name.endswith("exp_avg")]
    assert len(moments) > 50
    for name in moments:
        torch.testing.assert_close(shared[name], alone[name], rtol=1e-4, atol=1e-6, msg=name)
    norms = [float(read_log(tmp_path / name / "log.csv")[0]["gradient_norm"]) for name in ("one", "two")]
    assert norms[0] == pytest.approx(norms[1], rel=1e-4)
