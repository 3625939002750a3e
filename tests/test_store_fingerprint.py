"""Every field of the fingerprint counts, and a mismatch is refused by name."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from sharedllm_docs.config import Profile
from sharedllm_docs.errors import ConfigError, FingerprintMismatchError, SchemaError
from sharedllm_docs.store import Fingerprint, IndexStore, chunk_key
from sharedllm_docs.store.fingerprint import check
from sharedllm_docs.store.keys import front_digest
from tests.store_helpers import fingerprint_of, tiny_profile

OTHER: dict[str, Any] = {
    "weights": "x" * 64,
    "adapter": "a" * 64,
    "tokenizer": "u" * 64,
    "rope": {"theta": 5e5, "scaling": {"rope_type": "linear", "factor": 2.0}},
    "dtype": "bfloat16",
    "quantisation": "Q4_1",
    "layers": (1, 1),
    "chunk_tokens": 64,
    "depth": 3,
    "grains": (0, 2),
    "keep": "first",
    "encoding": "per_node",
    "profile": "sharedllm",
    "front": "0" * 64,
    "store_dtype": "int8",
    "embedder": "e" * 64,
    "schema": 2,
    "salt": "5" * 64,
}
FIELDS = [field.name for field in fields(Fingerprint)]


def test_the_changes_below_cover_every_field() -> None:
    assert sorted(OTHER) == sorted(FIELDS)


# a tenant's salt is compared apart (tests/test_tenants.py): models and their settings have none
@pytest.mark.parametrize("field", [field for field in FIELDS if field != "salt"])
def test_a_field_changed_alone_is_refused_by_name(field: str, tmp_path: Path) -> None:
    stored = fingerprint_of(tiny_profile())
    wanted = replace(stored, **{field: OTHER[field]})
    IndexStore.create(tmp_path / "index", stored)
    with pytest.raises(FingerprintMismatchError, match=rf"settings: {field} is .* in the index, .* now\.") as caught:
        IndexStore.open(tmp_path / "index", wanted)
    was, is_now = caught.value.differences[field]
    assert list(caught.value.differences) == [field]
    assert was == stored.to_dict()[field]
    assert is_now == wanted.to_dict()[field]
    assert "new folder" in caught.value.remedy


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_changed_alone_changes_digest_and_chunk_keys(field: str) -> None:
    stored = fingerprint_of(tiny_profile())
    changed = replace(stored, **{field: OTHER[field]})
    assert stored.digest() != changed.digest()
    assert chunk_key(stored.digest(), [1, 2]) != chunk_key(changed.digest(), [1, 2])


def test_all_differences_are_named_together() -> None:
    stored = fingerprint_of(tiny_profile())
    with pytest.raises(
        FingerprintMismatchError, match=r"dtype is 'float32' .*; keep is 'last' in the index, 'first' now"
    ):
        stored.check(replace(stored, dtype="bfloat16", keep="first"))


def test_equal_fingerprints_pass_and_a_missing_field_counts_as_a_difference() -> None:
    stored = fingerprint_of(tiny_profile())
    stored.check(fingerprint_of(tiny_profile()))
    without = {name: value for name, value in stored.to_dict().items() if name != "rope"}
    with pytest.raises(FingerprintMismatchError, match=r"rope is '\(absent\)' in the index"):
        check(without, stored.to_dict())


def test_it_survives_the_disk(tmp_path: Path) -> None:
    stored = fingerprint_of(tiny_profile(), rope={"scaling": {"factor": 8.0, "list": [1, 2]}}, adapter="a")
    IndexStore.create(tmp_path / "index", stored)
    read = IndexStore.open(tmp_path / "index", stored).fingerprint
    assert read == stored
    assert read.digest() == stored.digest()


def test_unknown_fields_are_a_schema_error() -> None:
    values = fingerprint_of(tiny_profile()).to_dict()
    with pytest.raises(SchemaError, match=r"other fields than this version's: sparsity\."):
        Fingerprint.from_dict({**values, "sparsity": 1})


def test_it_follows_the_profile() -> None:
    profile = Profile.sharedllm(store_dtype="int8").resolve(30)
    made = fingerprint_of(profile, front_ids=[7])
    assert (made.layers, made.grains, made.profile, made.store_dtype) == ((1, 15), (16, 8, 4), "sharedllm", "int8")
    assert made.front == front_digest([7])
    with pytest.raises(ConfigError, match="not resolved"):
        fingerprint_of(Profile.sharedllm())


def test_what_a_question_may_choose_is_left_out() -> None:
    token, chunk = (fingerprint_of(tiny_profile(positions=p, fusion="joint")) for p in ("token", "chunk"))
    assert token == chunk
