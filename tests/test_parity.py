"""Parity with the authors' released code: float64 tensors that it produced on random weights (tests/golden).

The checkpoints are loaded through ``convert``, by their own parameter names.
"""

from __future__ import annotations

import json
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

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path.name for path in GOLDEN.iterdir())
SELECTING = [case for case in CASES if case.startswith(("single", "mha"))]
TOLERANCE = {"rtol": 0, "atol": 1e-5}


class Case:
    def __init__(self, name, folder):
        self.settings = json.loads((GOLDEN / name / "config.json").read_text())
        self.tensors = load_file(GOLDEN / name / "tensors.safetensors")
        model_folder, adapter_folder = convert_checkpoint(GOLDEN / name, folder)
        self.model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float64)
        self.arch = architecture_for(self.model)
        self.adapter = Adapter.load(adapter_folder)
        self.profile = self.adapter.profile
        self.encoder = LowerEncoder(self.arch, self.profile)
        self.chunks = self.tensors["context_ids"].tolist()
        self.question = self.tensors["input_ids"][0].tolist()

    def branch(self):
        """The nodes of the one chunk, chosen as the case says."""
        tree = ContextTree(self.profile, 128)
        if not self.settings["query_aware"]:
            return tree, descend(tree, right_half)
        encoded = self.encoder.encode(self.chunks)[0]
        question = self.encoder.question_vector(self.question)
        vectors = dict(zip(tree.nodes, encoded.node_vectors, strict=True))
        return tree, descend(tree, lambda node: float(cosine_similarity(question, vectors[node], dim=0)))


@pytest.fixture(params=CASES)
def case(request, tmp_path):
    return Case(request.param, tmp_path)


@pytest.fixture(params=SELECTING)
def selecting(request, tmp_path):
    return Case(request.param, tmp_path)


def test_all_four_cases_are_there():
    assert len(CASES) == 4
    assert len(SELECTING) == 3


def test_encoding(case):
    """The first half of every chunk, run alone through the lower model."""
    encoder = LowerEncoder(case.arch, case.profile)
    keys, values, _ = encoder.forward([chunk[:64] for chunk in case.chunks])
    cos, sin = case.arch.rotary(torch.arange(64)[None])
    for layer in range(case.settings["injection_layers"]):
        rotated = rotate(keys[:, :, layer].transpose(1, 2), cos[:, None], sin[:, None])
        torch.testing.assert_close(rotated, case.tensors[f"lower_keys_first_64.{layer}"], **TOLERANCE)
        torch.testing.assert_close(
            values[:, :, layer].transpose(1, 2), case.tensors[f"lower_values_first_64.{layer}"], **TOLERANCE
        )
    with torch.inference_mode():
        ids = torch.tensor(case.chunks)[:, :64]
        hidden = case.arch.run_layers(
            case.arch.embed(ids), range(2), positions=torch.arange(64)[None], mask_for=lambda _layer: None
        )
    torch.testing.assert_close(case.arch.norm(hidden), case.tensors["lower_last_hidden_first_64"], **TOLERANCE)


def test_selection_and_kept_rows(selecting):
    """The injected keys (rotated inside their node) and values, in the released code's order of rows."""
    tree, branch = selecting.branch()
    encoded = selecting.encoder.encode(selecting.chunks)[0]
    layout = RowLayout(tree)
    rows = [row for node in nodes_of(branch) for row in layout.rows_of(node)]
    inside = [offset - node.start for node in nodes_of(branch) for offset in tree.kept(node)]
    cos, sin = selecting.arch.rotary(torch.tensor([inside]))
    for layer in range(2):
        rotated = rotate(encoded.keys[rows, layer].transpose(0, 1), cos, sin)
        torch.testing.assert_close(rotated, selecting.tensors[f"injected_keys.{layer}"][0], **TOLERANCE)
        torch.testing.assert_close(
            encoded.values[rows, layer].transpose(0, 1), selecting.tensors[f"injected_values.{layer}"][0], **TOLERANCE
        )


def test_answer_from_own_encoding(selecting):
    """The whole path: encode, select, inject, logits, the next decoding step."""
    tree, branch = selecting.branch()
    encoded = selecting.encoder.encode(selecting.chunks)[0]
    layout = RowLayout(tree)
    rows = [row for node in nodes_of(branch) for row in layout.rows_of(node)]
    places = [RowPlace(0, o - node.start) for node in nodes_of(branch) for o in tree.kept(node)]
    positions, query_position = positions_of(selecting.profile, places, 0)
    assert query_position == 2
    keys, values = encoded.keys[rows].permute(1, 2, 0, 3), encoded.values[rows].permute(1, 2, 0, 3)
    check_logits(selecting, Injection(keys, values, torch.tensor(positions), query_position))


def test_injection_of_given_rows(case):
    """Given keys and values (any number of chunks): injection, logits, next step."""
    keys = torch.stack([case.tensors[f"injected_keys.{layer}"] for layer in range(2)])
    values = torch.stack([case.tensors[f"injected_values.{layer}"] for layer in range(2)])
    chunks, kept = keys.shape[1], keys.shape[3]
    flat = [t.permute(0, 2, 1, 3, 4).reshape(2, t.shape[2], chunks * kept, -1) for t in (keys, values)]
    # given keys already carry the rotation inside their node: only the chunk's position is left to add
    positions, query_position = positions_of(
        case.profile, [RowPlace(chunk, 0) for chunk in range(chunks) for _ in range(kept)], 0
    )
    assert query_position == chunks + 1
    check_logits(case, Injection(*flat, torch.tensor(positions), query_position))


def check_logits(case, injection):
    blocks = case.adapter.blocks(case.arch)
    with InjectedDecoder(case.arch, case.profile, [injection], blocks=blocks, capacity=12) as decoder:
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
