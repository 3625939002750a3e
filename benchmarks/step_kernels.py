"""What a step of decoding is made of: `python benchmarks/step_kernels.py [--dtype bfloat16] [--repeats 100]`.

Microseconds of torch's operations for one token, by shapes of the embedded default: attention over rows by grouped
heads, by heads laid out as tokens, and by two products; products with the weights as they are and in eight bits. Each
is given other memory at every call, as layers give it, so that caches do not flatter it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.nn.functional import linear, scaled_dot_product_attention

from sharedllm_docs.injection.decode_step import quantised
from sharedllm_docs.injection.row_attention import by_products

HEADS, KV_HEADS, SIZE = 9, 3, 64
ROWS = (64, 700, 2_048, 4_096, 16_384)
SHAPES = ((576, 576), (192, 576), (1_536, 576), (576, 1_536), (49_152, 576))
TOKENS = (1, 8, 24)
BYTES = 150_000_000
"""Bytes of memory that the calls of a measurement go through in turn."""


def microseconds(call: Callable[..., Any], arguments: list[tuple[Any, ...]], repeats: int) -> float:
    """Seconds of a call, with its arguments taken in turn."""
    turns: Iterator[tuple[Any, ...]] = itertools.cycle(arguments)
    for _warming in range(3):
        call(*next(turns))
    begun = time.perf_counter()
    for _repeat in range(repeats):
        call(*next(turns))
    return (time.perf_counter() - begun) / repeats * 1e6


def attention(dtype: torch.dtype, rows: int, repeats: int) -> dict[str, float]:
    """Attention of one token over ``rows`` rows of a layer."""
    shape = (1, KV_HEADS, rows, SIZE)
    copies = max(1, BYTES // (2 * KV_HEADS * rows * SIZE * dtype.itemsize))
    layers = [(torch.randn(shape, dtype=dtype), torch.randn(shape, dtype=dtype)) for _layer in range(min(copies, 40))]
    query = torch.randn(1, HEADS, 1, SIZE, dtype=dtype)
    grouped = query.reshape(1, KV_HEADS, -1, SIZE)
    return {
        "grouped": microseconds(
            lambda k, v: scaled_dot_product_attention(query, k, v, enable_gqa=True), layers, repeats
        ),
        "packed": microseconds(lambda k, v: scaled_dot_product_attention(grouped, k, v), layers, repeats),
        "products": microseconds(lambda k, v: by_products(grouped, k, v, None, SIZE**-0.5), layers, repeats),
        "products, rows apart": microseconds(
            lambda k, v: by_products(grouped, k, v, None, SIZE**-0.5), [apart(*layer) for layer in layers], repeats
        ),
    }


def apart(*rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The same rows at the start of longer buffers, which leave room for the tokens of an answer."""
    return tuple(torch.cat([tensor, tensor[:, :, :1]], dim=2)[:, :, :-1] for tensor in rows)


def product(dtype: torch.dtype, shape: tuple[int, int], tokens: int, repeats: int) -> dict[str, float]:
    """Products of ``tokens`` tokens with a weight of this shape, as it is and in eight bits."""
    copies = max(1, BYTES // (shape[0] * shape[1] * dtype.itemsize))
    weights = [torch.randn(shape, dtype=dtype) for _copy in range(min(copies, 40))]
    given = torch.randn(tokens, shape[1], dtype=dtype)
    codes = [quantised(weight) for weight in weights]
    return {
        "weights": microseconds(lambda w: linear(given, w), [(w,) for w in weights], repeats),
        "int8": microseconds(lambda c, s: torch._weight_int8pack_mm(given, c, s), codes, repeats),
    }


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float32"])
    parser.add_argument("--repeats", type=int, default=100)
    options = parser.parse_args()
    dtype: torch.dtype = getattr(torch, options.dtype)
    about = {"dtype": options.dtype, "threads": torch.get_num_threads()}
    for rows in ROWS:
        print(json.dumps(about | {"rows": rows} | attention(dtype, rows, options.repeats)), flush=True)
    for tokens, shape in itertools.product(TOKENS, SHAPES):
        found = product(dtype, shape, tokens, options.repeats)
        print(json.dumps(about | {"tokens": tokens, "weight": list(shape)} | found), flush=True)


if __name__ == "__main__":
    main()
