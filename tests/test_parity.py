"""Parity with the authors' released code: float64 tensors that it produced on random weights (tests/golden).

Cases of other shapes are made by a path of the tests' own (tests/released_method.py). The checkpoints are loaded
through ``convert``, by their own parameter names.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import cosine_similarity
from transformers import AutoModelForCausalLM

from sharedllm_docs.architectures.registry import architecture_for
from sharedllm_docs.architectures.rope import rotate
from sharedllm_docs.documents.tree import ContextTree, RowLayout, RowPlace
from sharedllm_docs.errors import AdapterError
from sharedllm_docs.injection.decoder import InjectedDecoder, Injection, positions_of
from sharedllm_docs.injection.encoder import LowerEncoder
from sharedllm_docs.model.adapter import Adapter
from sharedllm_docs.model.convert import convert_checkpoint
from sharedllm_docs.retrieval.selection import descend, nodes_of, right_half
from tests.released_method import recomputed, write_case

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path.name for path in GOLDEN.iterdir())
TOLERANCE = {"rtol": 0, "atol": 1e-5}


def settings_of(name):
    """Settings of a golden case, or of one that the tests make: another shape than the golden ones in every figure."""
    if (GOLDEN / name / "config.json").exists():
        return json.loads((GOLDEN / name / "config.json").read_text())
    shape = {
        "num_hidden_layers": 5,
        "injection_layers": 3,
        "hidden_size": 32,
        "intermediate_size": 56,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 83,
        "rope_theta": 5000.0,
        "rms_norm_eps": 1e-06,
        "tree_depth": 4,
        "kept_per_node": 4,
        "chunk_tokens": 256,
        "num_chunks": 1,
    }
    return {"name": name} | shape | MADE[name]


MADE = {
    "made-query-selected": {"query_aware": True},
    "made-right-branch": {"query_aware": False},
    "made-injection-of-two-chunks": {"query_aware": None, "num_chunks": 2},
    "made-one-layer-of-three": {
        "query_aware": True,
        "num_hidden_layers": 3,
        "injection_layers": 1,
        "tree_depth": 2,
        "kept_per_node": 16,
        "chunk_tokens": 64,
        "num_key_value_heads": 4,
    },
}
ALL = [*CASES, *MADE]
SELECTING = [name for name in ALL if settings_of(name)["query_aware"] is not None]


class Case:
    """A case's files, its checkpoint converted and loaded; every figure is the case's own."""

    def __init__(self, source, folder):
        self.settings = json.loads((source / "config.json").read_text())
        self.tensors = load_file(source / "tensors.safetensors")
        model_folder, adapter_folder = convert_checkpoint(source, folder)
        self.model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float64)
        self.arch = architecture_for(self.model)
        self.adapter = Adapter.load(adapter_folder)
        self.profile = self.adapter.profile
        self.encoder = LowerEncoder(self.arch, self.profile)
        self.chunks = self.tensors["context_ids"].tolist()
        self.question = self.tensors["input_ids"][0].tolist()
        self.layers = range(self.settings["injection_layers"])

    @property
    def first(self):
        """How many tokens of each chunk were run alone, as the tensors' names say."""
        [name] = [name for name in self.tensors if name.startswith("lower_last_hidden_first_")]
        return int(name.rpartition("_")[2])

    def branch(self):
        """The nodes of the one chunk, chosen as the case says."""
        tree = ContextTree(self.profile, self.settings["chunk_tokens"])
        if not self.settings["query_aware"]:
            return tree, descend(tree, right_half)
        encoded = self.encoder.encode(self.chunks)[0]
        question = self.encoder.question_vector(self.question)
        vectors = dict(zip(tree.nodes, encoded.node_vectors, strict=True))
        return tree, descend(tree, lambda node: float(cosine_similarity(question, vectors[node], dim=0)))

    def rows(self):
        """The branch's nodes, and keys and values [rows, layers, KV, D] of what they keep, with their offsets."""
        tree, branch = self.branch()
        encoded = self.encoder.encode(self.chunks)[0]
        layout, nodes = RowLayout(tree), nodes_of(branch)
        rows = [row for node in nodes for row in layout.rows_of(node)]
        inside = [offset - node.start for node in nodes for offset in tree.kept(node)]
        return encoded.keys[rows], encoded.values[rows], inside


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory):
    made = tmp_path_factory.mktemp("cases")

    @cache
    def folder(name):
        return GOLDEN / name if name in CASES else write_case(made / name, settings_of(name))

    return folder


@pytest.fixture(params=ALL)
def case(request, folder_of, tmp_path):
    return Case(folder_of(request.param), tmp_path)


@pytest.fixture(params=SELECTING)
def selecting(request, folder_of, tmp_path):
    return Case(folder_of(request.param), tmp_path)


def test_all_cases_are_there():
    """At least those of the authors' code: a selection by the question, by the right half, and several chunks."""
    assert len(CASES) >= 4
    assert {settings_of(name)["query_aware"] for name in CASES} == {True, False, None}
    for name in CASES:
        assert settings_of(name)["name"] == name


def test_made_cases_differ_from_golden_ones_in_every_figure():
    """A figure that is written into a test instead of read from the case fails on one of them."""
    for key, value in settings_of("made-query-selected").items():
        if key not in ("query_aware", "num_chunks", "num_key_value_heads"):
            assert value not in {settings_of(name)[key] for name in CASES}, key


@pytest.mark.parametrize("name", CASES)
def test_the_independent_path_gives_the_golden_tensors(name):
    """So what it makes of other shapes is what the authors' code would have made."""
    golden, ours = load_file(GOLDEN / name / "tensors.safetensors"), recomputed(GOLDEN / name)
    assert golden.keys() == ours.keys()
    for key, expected in golden.items():
        torch.testing.assert_close(ours[key], expected, **TOLERANCE, msg=lambda said, key=key: f"{key}: {said}")


def test_encoding(case):
    """The first tokens of every chunk, run alone through the lower model."""
    first = case.first
    encoder = LowerEncoder(case.arch, case.profile)
    keys, values, _ = encoder.forward([chunk[:first] for chunk in case.chunks])
    cos, sin = case.arch.rotary(torch.arange(first)[None])
    for layer in case.layers:
        rotated = rotate(keys[:, :, layer].transpose(1, 2), cos[:, None], sin[:, None])
        torch.testing.assert_close(rotated, case.tensors[f"lower_keys_first_{first}.{layer}"], **TOLERANCE)
        torch.testing.assert_close(
            values[:, :, layer].transpose(1, 2), case.tensors[f"lower_values_first_{first}.{layer}"], **TOLERANCE
        )
    with torch.inference_mode():
        ids = torch.tensor(case.chunks)[:, :first]
        hidden = case.arch.run_layers(
            case.arch.embed(ids), case.layers, positions=torch.arange(first)[None], mask_for=lambda _layer: None
        )
    torch.testing.assert_close(case.arch.norm(hidden), case.tensors[f"lower_last_hidden_first_{first}"], **TOLERANCE)


def test_selection_and_kept_rows(selecting):
    """The injected keys (rotated inside their node) and values, in the released code's order of rows."""
    keys, values, inside = selecting.rows()
    cos, sin = selecting.arch.rotary(torch.tensor([inside]))
    for layer in selecting.layers:
        rotated = rotate(keys[:, layer].transpose(0, 1), cos, sin)
        torch.testing.assert_close(rotated, selecting.tensors[f"injected_keys.{layer}"][0], **TOLERANCE)
        torch.testing.assert_close(
            values[:, layer].transpose(0, 1), selecting.tensors[f"injected_values.{layer}"][0], **TOLERANCE
        )


def test_answer_from_own_encoding(selecting):
    """The whole path: encode, select, inject, logits, the next decoding step."""
    keys, values, inside = selecting.rows()
    positions, query_position = positions_of(selecting.profile, [RowPlace(0, offset) for offset in inside], 0)
    assert query_position == selecting.settings["num_chunks"] + 1
    keys, values = keys.permute(1, 2, 0, 3), values.permute(1, 2, 0, 3)
    check_logits(selecting, Injection(keys, values, torch.tensor(positions), query_position))


def test_injection_of_given_rows(case):
    """Given keys and values (any number of chunks): injection, logits, next step."""
    keys = torch.stack([case.tensors[f"injected_keys.{layer}"] for layer in case.layers])
    values = torch.stack([case.tensors[f"injected_values.{layer}"] for layer in case.layers])
    layers, chunks, heads, kept, _size = keys.shape
    flat = [t.permute(0, 2, 1, 3, 4).reshape(layers, heads, chunks * kept, -1) for t in (keys, values)]
    # given keys already carry the rotation inside their node: only the chunk's position is left to add
    positions, query_position = positions_of(
        case.profile, [RowPlace(chunk, 0) for chunk in range(chunks) for _ in range(kept)], 0
    )
    assert query_position == case.settings["num_chunks"] + 1
    check_logits(case, Injection(*flat, torch.tensor(positions), query_position))


def check_logits(case, injection):
    blocks, capacity = case.adapter.blocks(case.arch), len(case.question) + 1
    with InjectedDecoder(case.arch, case.profile, [injection], blocks=blocks, capacity=capacity) as decoder:
        logits = decoder.feed([case.question], all_logits=True)
        torch.testing.assert_close(logits, case.tensors["logits"], **TOLERANCE)
        assert int(logits[0, -1].argmax()) == int(case.tensors["next_id"])
        step = decoder.feed(case.tensors["next_id"].tolist())
        torch.testing.assert_close(step, case.tensors["next_logits"][:, 0], **TOLERANCE)


def test_convert_keeps_a_lower_model_that_differs(tmp_path):
    """An encoder with weights of its own comes back as the adapter's lower weights."""
    source = tmp_path / "source"
    source.mkdir()
    weights = load_file(GOLDEN / CASES[0] / "weights.safetensors")
    weights["encoder.layers.0.mlp.up_proj.weight"] += 1
    from safetensors.torch import save_file

    save_file(weights, source / "weights.safetensors")
    (source / "config.json").write_text((GOLDEN / CASES[0] / "config.json").read_text())
    _, adapter_folder = convert_checkpoint(source, tmp_path / "out")
    lower = Adapter.load(adapter_folder).lower_weights
    assert torch.equal(lower["model.layers.0.mlp.up_proj.weight"], weights["encoder.layers.0.mlp.up_proj.weight"])


@pytest.mark.parametrize("what", ["missing", "damaged", "ordinary"])
def test_convert_refuses(tmp_path, what):
    if what != "missing":
        (tmp_path / "config.json").write_text("{}")
    if what == "damaged":
        (tmp_path / "model.safetensors").write_bytes(b"x" * 40)
    if what == "ordinary":
        from safetensors.torch import save_file

        save_file({"model.norm.weight": torch.ones(3)}, tmp_path / "model.safetensors")
    message = {"missing": "holds no checkpoint", "damaged": "is damaged", "ordinary": "no cross_attn weights"}[what]
    with pytest.raises(AdapterError, match=message):
        convert_checkpoint(tmp_path, tmp_path / "out")
