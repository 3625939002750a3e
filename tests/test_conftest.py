"""What the other tests stand on: workers of one thread, reproducible examples, fakes like what they replace."""

from __future__ import annotations

import os
from dataclasses import fields

import pytest
from hypothesis import settings

import sharedllm_docs
from tests import cli_fakes


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="one process may take all CPU cores")
def test_a_worker_and_what_it_starts_have_one_thread():
    import torch

    assert torch.get_num_threads() == 1
    assert os.environ["OMP_NUM_THREADS"] == "1"


def test_no_example_has_a_deadline_and_continuous_integration_draws_the_same():
    assert settings.default.deadline is None
    assert settings.get_profile("ci").deadline is None
    assert settings.get_profile("ci").derandomize


def test_the_progress_of_the_fake_index_is_like_the_real():
    assert cli_fakes.Progress._fields == tuple(field.name for field in fields(sharedllm_docs.Progress))
