"""Which adapter and profile the command line asks for: none, one by folder, or the embedded model's own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sharedllm_docs import Index
from sharedllm_docs.cli import backend
from sharedllm_docs.cli.options import DEFAULT_MODEL, LoadingOptions, ProfileOptions
from sharedllm_docs.config import Profile
from tests.tiny_text import tiny_adapter, tiny_base, tiny_sharedllm_profile
from tests.tiny_text import tiny_llm as _llm


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """The embedded default's own adapter is a tiny one."""
    adapter = tiny_adapter(tiny_base())
    adapter.save(tmp_path / DEFAULT_MODEL)
    monkeypatch.setattr("sharedllm_docs.model.adapter.SHIPPED", tmp_path)
    return adapter


def options(model=None, profile=None):
    return backend._options(LoadingOptions(**(model or {})), ProfileOptions(**(profile or {})), "no-index-here")


def test_nothing_asked_for_leaves_all_to_the_model(shipped):
    assert options() == {}
    assert options({"adapter": "none"}) == {"adapter": "none"}
    assert options(profile={"profile": "prefix"}) == {"profile": "prefix"}


def test_a_changed_setting_starts_from_the_profile_that_the_model_will_have(shipped):
    changed = options(profile={"store_dtype": "float32"})["profile"]
    assert changed == replace(shipped.profile, store_dtype="float32")
    plain = Profile.prefix(store_dtype="float32")
    assert options({"adapter": "none"}, {"store_dtype": "float32"})["profile"] == plain
    assert options(profile={"profile": "prefix", "store_dtype": "float32"})["profile"] == plain
    assert options({"name_or_path": "elsewhere"}, {"store_dtype": "float32"})["profile"] == plain


def test_a_folder_of_a_model_is_not_taken_for_its_adapter(shipped, tmp_path):
    shipped.save(tmp_path / "model")
    asked = options({"name_or_path": str(tmp_path / "model")}, {"store_dtype": "float32"})
    assert asked["profile"].name == "prefix"


def test_of_an_index_that_exists_the_recorded_profile_is_changed(shipped, tmp_path):
    llm = _llm()
    Index.create(tmp_path / "index", llm)
    asked = backend._options(LoadingOptions(), ProfileOptions(store_dtype="float32"), str(tmp_path / "index"))
    assert asked["profile"] == replace(llm.profile, store_dtype="float32")
    named = ProfileOptions(profile="sharedllm", store_dtype="float32")
    other = backend._options(LoadingOptions(), named, str(tmp_path / "index"))["profile"]
    assert other == replace(shipped.profile, store_dtype="float32")


def test_an_adapter_by_folder_brings_its_profile(tmp_path):
    own = tiny_adapter(_llm().base.model, tiny_sharedllm_profile())
    own.save(tmp_path / "own")
    asked = options({"adapter": str(tmp_path / "own")}, {"store_dtype": "float32"})
    assert asked["profile"] == replace(own.profile, store_dtype="float32")
