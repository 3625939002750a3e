"""Turns a GGUF file into a model folder as transformers writes it: config, tokenizer, chat template, safetensors.

Weights go from one file to the other some rows at a time, on every core, so memory does not grow with the model.
transformers' own reader has all of them in float32 at once. The numbers are the same.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sharedllm_docs.errors import UnsupportedModelError
from sharedllm_docs.quiet import quiet_libraries

FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
_INTERLEAVED = ("llama", "mistral")
"""Families whose rotated rows llama.cpp keeps in another order."""
_VALUES_AT_ONCE = 1 << 22
_DTYPES = {"float32": (torch.float32, "F32"), "bfloat16": (torch.bfloat16, "BF16")}
_EMBEDDING, _HEAD = "token_embd.weight", "output.weight"


@dataclass(frozen=True)
class _Source:
    """A tensor of the GGUF file and how its rows are ordered.

    Attributes:
        tensor: as ``gguf.GGUFReader`` gives it.
        order: for each row of the result, its row in the file; None where they are the same.
    """

    tensor: Any
    order: NDArray[np.int64] | None = None

    @property
    def shape(self) -> list[int]:
        """Rows first; GGUF counts the other way round."""
        return [int(size) for size in reversed(self.tensor.shape)]

    def blocks(self, dtype: torch.dtype) -> Iterator[Callable[[], bytes]]:
        """Calls that give the values as bytes, each some rows; any thread may make them."""
        step = max(1, _VALUES_AT_ONCE // int(np.prod(self.shape[1:], dtype=np.int64)))
        for start in range(0, len(self.tensor.data), step):
            rows = slice(start, start + step) if self.order is None else self.order[start : start + step]
            yield partial(self._block, rows, dtype)

    def _block(self, rows: slice | NDArray[np.int64], dtype: torch.dtype) -> bytes:
        from gguf import dequantize

        values = np.array(dequantize(self.tensor.data[rows], self.tensor.tensor_type), dtype=np.float32)
        return torch.from_numpy(values).to(dtype).view(torch.uint8).numpy().tobytes()


def convert_gguf(
    file: Path, out: Path, *, dtype: str = "float32", tied: bool = False, end_tokens: Sequence[str] = ()
) -> None:
    """Write the model folder of a GGUF file.

    Args:
        file: the GGUF file; quantised weights are dequantised.
        out: folder to fill (created).
        dtype: of the weights written, ``float32`` or ``bfloat16``.
        tied: embedding and output head are one matrix in the original model. Where the file contains both, quantised
            apart, the finer copy is taken for both.
        end_tokens: tokens that end an answer; () for the one that the file names.

    Raises:
        UnsupportedModelError: the model is of another architecture, or the file lacks a weight.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    out.mkdir(parents=True, exist_ok=True)
    config = _config(file)
    with quiet_libraries():
        tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    tokenizer.save_pretrained(out)
    config.tie_word_embeddings = tied or config.tie_word_embeddings
    config.dtype = _DTYPES[dtype][0]
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=config.dtype)
    _write(_sources(file, model), out / "model.safetensors", dtype)
    if end_tokens:
        model.generation_config.eos_token_id = [tokenizer.convert_tokens_to_ids(token) for token in end_tokens]
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(out)
    model.generation_config.save_pretrained(out)


def left_out(file: Path) -> tuple[int, int]:
    """First byte of the file, and one past the last, that conversion as ``tied`` does not read.

    They contain the coarser copy of a matrix that is embedding and head; (0, 0) where the file has one copy.
    """
    from gguf import GGUFReader

    copies = [tensor for tensor in GGUFReader(file).tensors if tensor.name in (_EMBEDDING, _HEAD)]
    if len(copies) < 2:
        return 0, 0
    coarser = min(copies, key=lambda one: (one.n_bytes, one.name == _EMBEDDING))
    return int(coarser.data_offset), int(coarser.data_offset + coarser.n_bytes)


def _config(file: Path) -> Any:
    from transformers import AutoConfig

    try:
        with quiet_libraries():
            config = AutoConfig.from_pretrained(file.parent, gguf_file=file.name)
        if config.model_type not in FAMILIES:
            raise ValueError(f"the family {config.model_type!r} is unknown")
    except ValueError as error:  # transformers' own is one, too
        raise UnsupportedModelError(
            f"The GGUF file {file.name} cannot be converted: {str(error).rstrip('.')} (known: {', '.join(FAMILIES)}).",
            remedy="Use the model's folder in transformers' format.",
        ) from error
    return config


def _sources(file: Path, model: Any) -> dict[str, _Source]:
    """Where each weight of the model comes from, by the model's names."""
    from gguf import MODEL_ARCH_NAMES, GGUFReader, get_tensor_name_map

    reader = GGUFReader(file)
    architecture = reader.fields["general.architecture"].contents()
    kind = next(kind for kind, name in MODEL_ARCH_NAMES.items() if name == architecture)
    names = get_tensor_name_map(kind, model.config.num_hidden_layers)
    there = {tensor.name: tensor for tensor in reader.tensors}
    tied = model.config.tie_word_embeddings
    if tied and _HEAD in there:
        there[_EMBEDDING] = max(there[_EMBEDDING], there[_HEAD], key=lambda one: one.n_bytes)
    sources = {}
    for name, wanted in model.state_dict().items():
        if tied and name == "lm_head.weight":
            continue
        stem, _, suffix = name.rpartition(".")
        found = f"{names.get_name(stem)}.{suffix}"
        if found not in there:
            raise UnsupportedModelError(
                f"The GGUF file lacks the weight {found} ({name}).", remedy="Use a file of the whole model."
            )
        source = _Source(there[found])
        if source.shape != list(wanted.shape):  # a setting that transformers does not take from the file
            raise UnsupportedModelError(
                f"The GGUF file's weight {found} has the shape {source.shape}, its config asks for "
                f"{list(wanted.shape)}.",
                remedy="Use the model's folder in transformers' format.",
            )
        heads = _interleaved_heads(found, model.config)
        sources[name] = replace(source, order=_row_order(there[found], heads)) if heads else source
    return sources


def _interleaved_heads(name: str, config: Any) -> int:
    """Heads of a weight whose rows llama.cpp keeps in the order of interleaved rotation; 0 for other weights."""
    if config.model_type not in _INTERLEAVED:
        return 0
    if ".attn_q." in name:
        return int(config.num_attention_heads)
    return int(config.num_key_value_heads) if ".attn_k." in name else 0


def _row_order(tensor: Any, heads: int) -> NDArray[np.int64]:
    """Undoes what llama.cpp's ``convert_hf_to_gguf.py`` does (``permute``): pairs of rows become halves again."""
    order = np.arange(len(tensor.data)).reshape(heads, -1, 2)
    return order.swapaxes(1, 2).reshape(-1)


def _write(sources: dict[str, _Source], file: Path, dtype: str) -> None:
    """A safetensors file: the length of the header, the header, the tensors in its order."""
    kind, code = _DTYPES[dtype]
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, source in sorted(sources.items()):
        begin, end = end, end + int(np.prod(source.shape)) * kind.itemsize
        header[name] = {"dtype": code, "shape": source.shape, "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with file.open("wb") as sink:
        sink.write(len(text).to_bytes(8, "little") + text)
        blocks = (block for _, source in sorted(sources.items()) for block in source.blocks(kind))
        for values in _made_ahead(blocks, os.cpu_count() or 1):
            sink.write(values)


def _made_ahead(calls: Iterable[Callable[[], bytes]], workers: int) -> Iterator[bytes]:
    """What the calls return, in order; as many as there are workers are made while one is taken."""
    waiting: deque[Future[bytes]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for call in calls:
            waiting.append(pool.submit(call))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
