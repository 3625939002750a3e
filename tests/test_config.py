"""Settings: every bad value is named, several together, and settings survive the way through JSON."""

from __future__ import annotations

import json
import re
from dataclasses import FrozenInstanceError, fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharedllm_docs.config import GenerationConfig, Profile, RetrievalConfig
from sharedllm_docs.errors import ConfigError
from tests.strategies import profiles

BAD_PROFILES = [
    ({"name": "suffix"}, "name='suffix' is not one of 'prefix', 'sharedllm'."),
    ({"keep": "middle"}, "keep='middle' is not one of 'last', 'first', 'repeat', 'reread', 'following', 'expected'."),
    ({"encoding": "two_pass"}, "encoding='two_pass' is not one of 'one_pass', 'per_node'."),
    ({"fusion": "late"}, "fusion='late' is not one of 'joint', 'separate'."),
    ({"positions": "page"}, "positions='page' is not one of 'token', 'chunk', 'chunk+token'."),
    ({"front": "all"}, "front='all' is not one of 'prompt', 'sink', 'none'."),
    (
        {"store_dtype": "int2"},
        "store_dtype='int2' is not one of 'float32', 'float16', 'bfloat16', 'int8', 'int4', 'float64'.",
    ),
    ({"name": []}, "name=[] is not one of"),
    ({"depth": 0}, "depth=0 must lie in 1..16."),
    ({"depth": 17}, "depth=17 must lie in 1..16."),
    ({"depth": "3"}, "depth='3' must be a whole number."),
    ({"depth": True, "grains": (1,)}, "depth=True must be a whole number."),
    ({"chunk_tokens": 1020}, "chunk_tokens=1020 must be a positive multiple of 2**depth=8."),
    ({"chunk_tokens": 0}, "chunk_tokens=0 must be a positive multiple"),
    ({"chunk_tokens": -8}, "chunk_tokens=-8 must be a positive multiple"),
    ({"chunk_tokens": 64.0}, "chunk_tokens=64.0 must be a whole number."),
    ({"grains": (1,)}, "grains=(1,) must have one entry per level (depth=3)."),
    ({"grains": (0, 0, 0)}, "grains=(0, 0, 0) must not be negative and the last must be at least 1."),
    ({"grains": (0, -1, 1)}, "grains=(0, -1, 1) must not be negative"),
    ({"grains": [0, 0, 1]}, "grains=[0, 0, 1] must be a tuple of whole numbers."),
    ({"grains": (0, 0, 1.0)}, "grains=(0, 0, 1.0) must be a tuple of whole numbers."),
    ({"grains": (0, 3, 1)}, "grain 3 does not divide the 256 tokens of a level-2 node."),
    ({"grains": (0, 2, 4)}, "grain 2 is not a multiple of the finest grain 4."),
    ({"layers": (0, 3)}, "layers=(0, 3) must be (first, last) with 1 <= first <= last."),
    ({"layers": (3, 2)}, "layers=(3, 2) must be (first, last) with 1 <= first <= last."),
    ({"layers": (1,)}, "layers=(1,) must be a tuple (first, last) of whole numbers, or None."),
    ({"layers": 4}, "layers=4 must be a tuple (first, last) of whole numbers, or None."),
    ({"encoding": "per_node"}, "encoding='per_node' runs every node alone: front must be 'none', not 'prompt'."),
    ({"name": "sharedllm", "fusion": "separate"}, "fusion='separate' takes no front: front must be 'none'"),
    ({"fusion": "separate", "front": "none"}, "profile 'prefix' needs fusion='joint'."),
    (
        {"keep": "reread", "encoding": "per_node"},
        "keep='reread' ranks the tokens of a chunk: encoding must be 'one_pass'.",
    ),
    ({"keep": "reread", "grains": (0, 2, 4)}, "grain 2 is finer than the stored grain 4."),
    ({"query_offset": -1}, "query_offset=-1 must not be negative."),
    ({"query_offset": None}, "query_offset=None must be a whole number."),
]
BAD_QUESTIONS = [
    ({"budget": 0}, "budget=0 must be at least 1 row."),
    ({"budget": "many"}, "budget='many' must be a whole number."),
    ({"selector": "random"}, "selector='random' is not one of 'embedding', 'hidden-state', 'right-half'."),
    ({"candidates": 0}, "candidates=0 must be at least 1."),
    ({"candidates": 2.5}, "candidates=2.5 must be a whole number."),
    ({"evidence_tokens": -1}, "evidence_tokens=-1 must not be negative."),
    ({"relevance_floor": 1.01}, "relevance_floor=1.01 must lie in 0..1."),
    ({"relevance_floor": -0.1}, "relevance_floor=-0.1 must lie in 0..1."),
    ({"relevance_floor": float("nan")}, "relevance_floor=nan must be a finite number."),
    ({"max_citations": 0}, "max_citations=0 must be at least 1."),
    ({"min_confidence": 1.01}, "min_confidence=1.01 must lie in 0..1."),
    ({"min_confidence": "high"}, "min_confidence='high' must be a finite number."),
    ({"grains": (1, 0)}, "grains=(1, 0) must be whole numbers above 0, at least one."),
]
BAD_GENERATIONS = [
    ({"max_new_tokens": 0}, "max_new_tokens=0 must be at least 1."),
    ({"max_new_tokens": 1.5}, "max_new_tokens=1.5 must be a whole number."),
    ({"temperature": -0.1}, "temperature=-0.1 must not be negative."),
    ({"temperature": float("inf")}, "temperature=inf must be a finite number."),
    ({"temperature": float("nan")}, "temperature=nan must be a finite number."),
    ({"top_p": 0}, "top_p=0 must lie in (0, 1]."),
    ({"top_p": 1.5}, "top_p=1.5 must lie in (0, 1]."),
    ({"top_k": -1}, "top_k=-1 must not be negative."),
    ({"temperature": 1e-300}, "temperature=1e-300 must be 0, or lie in 0.001..1000."),
    ({"temperature": 10**400}, "temperature has more than 300 digits."),
    ({"max_new_tokens": 10**5000}, "max_new_tokens has more than 300 digits."),
    ({"repetition_penalty": 0}, "repetition_penalty=0 must lie in 0.001..1000."),
    ({"repetition_penalty": 1e30}, "repetition_penalty=1e+30 must lie in 0.001..1000."),
    ({"stop": ("end", "")}, "stop strings must not be empty."),
    ({"stop": "end"}, "stop='end' must be a tuple of strings."),
    ({"stop": (1,)}, "stop=(1,) must be a tuple of strings."),
    ({"seed": -1}, "seed=-1 must lie in 0..2**63-1."),
    ({"seed": 2**63}, f"seed={2**63} must lie in 0..2**63-1."),
    ({"seed": "0"}, "seed='0' must be a whole number."),
]


@pytest.mark.parametrize(("changes", "message"), BAD_PROFILES)
def test_bad_profile_is_named(changes, message):
    with pytest.raises(ConfigError, match=f"^Invalid profile .*{re.escape(message)}"):
        Profile(**changes)


@pytest.mark.parametrize(("changes", "message"), BAD_QUESTIONS)
def test_bad_question_settings_are_named(changes, message):
    with pytest.raises(ConfigError, match=f"^Invalid question settings: {re.escape(message)}"):
        RetrievalConfig(**changes)


@pytest.mark.parametrize(("changes", "message"), BAD_GENERATIONS)
def test_bad_generation_settings_are_named(changes, message):
    with pytest.raises(ConfigError, match=f"^Invalid generation settings: {re.escape(message)}"):
        GenerationConfig(**changes)


def test_every_setting_is_tested_with_a_bad_value():
    for cls, table in (
        (Profile, BAD_PROFILES),
        (RetrievalConfig, BAD_QUESTIONS),
        (GenerationConfig, BAD_GENERATIONS),
    ):
        assert {f.name for f in fields(cls)} == {name for changes, _message in table for name in changes}


def test_problems_are_reported_together():
    with pytest.raises(ConfigError) as caught:
        Profile(keep="middle", chunk_tokens=100, layers=(5, 2), query_offset=-3)
    for part in ("keep='middle'", "chunk_tokens=100", "layers=(5, 2)", "query_offset=-3"):
        assert part in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        GenerationConfig(max_new_tokens=0, top_p=2.0, stop=("",))
    assert str(caught.value).count("must") == 3
    with pytest.raises(ConfigError) as caught:
        RetrievalConfig(selector="best", budget="all")
    assert "selector='best'" in str(caught.value)
    assert "budget='all'" in str(caught.value)


def test_config_error_is_a_value_error_with_a_remedy():
    with pytest.raises(ValueError, match=r"Correct these settings\.$") as caught:
        Profile(depth=0)
    assert caught.value.exit_code == 2
    assert caught.value.remedy == "Correct these settings."


def test_settings_are_frozen():
    with pytest.raises(FrozenInstanceError):
        Profile().depth = 2


@given(profiles())
def test_profile_survives_json(profile):
    assert Profile.from_dict(json.loads(json.dumps(profile.to_dict()))) == profile


@given(profiles(), st.integers(1, 100))
def test_resolving_fixes_the_layers_once(profile, num_layers):
    if profile.layers is not None and profile.layers[1] > num_layers:
        with pytest.raises(ConfigError, match=f"reaches beyond the model's {num_layers} layers.*1..{num_layers}"):
            profile.resolve(num_layers)
        return
    resolved = profile.resolve(num_layers)
    assert resolved.resolve(num_layers) is resolved
    assert 0 <= resolved.injection_layers.start < resolved.injection_layers.stop <= num_layers


def test_default_layers():
    assert Profile.prefix().resolve(30).layers == (1, 30)
    assert Profile.sharedllm().resolve(30).layers == (1, 15)
    assert Profile.sharedllm().resolve(1).layers == (1, 1)
    assert Profile.prefix(layers=(6, 25)).resolve(30).injection_layers == range(5, 25)


def test_injection_layers_want_a_resolved_profile():
    with pytest.raises(ConfigError, match=r"layers are not resolved. Call Profile.resolve"):
        _ = Profile().injection_layers


def test_the_two_profiles():
    prefix, paper = Profile.prefix(), Profile.sharedllm()
    assert (prefix.name, prefix.fusion, prefix.stored_grain, prefix.front) == ("prefix", "joint", 1, "prompt")
    assert (paper.name, paper.fusion, paper.grains, paper.front) == ("sharedllm", "separate", (16, 8, 4), "none")
    assert Profile.sharedllm(chunk_tokens=512, grains=(8, 4, 2)).stored_grain == 2


@pytest.mark.parametrize("make", [Profile.prefix, Profile.sharedllm, lambda **v: Profile.from_dict(v)])
def test_unknown_settings_are_named_with_the_known_ones(make):
    with pytest.raises(ConfigError) as caught:
        make(grain=4, chunks=8)
    for part in ("unknown setting 'grain' (known: chunk_tokens, depth,", "unknown setting 'chunks'"):
        assert part in str(caught.value)


@pytest.mark.parametrize("values", [{"layers": 3}, {"layers": [1]}, {"grains": "abc"}, {"depth": None}])
def test_from_dict_refuses_other_types(values):
    (name,) = values
    with pytest.raises(ConfigError, match=f"{name}=.* must be"):
        Profile.from_dict(values)


def test_whole_numbers_do_for_fractions():
    settings = GenerationConfig(temperature=1, top_p=1, repetition_penalty=2, seed=None)
    assert settings.temperature == 1
    assert RetrievalConfig(relevance_floor=0, budget=None).relevance_floor == 0
