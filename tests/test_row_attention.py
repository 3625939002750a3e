"""Attention over many rows: products are the same attention as the fused kernel's, and taken where they are faster."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention

from sharedllm_docs.injection import row_attention
from sharedllm_docs.injection.row_attention import (
    LARGEST_SCORES,
    MANY_ROWS,
    MANY_ROWS_APART,
    attend_to_rows,
    by_products,
)

SIZE = 8


def tensors(batch, kv_heads, queries, rows, *, spare=0, dtype=torch.float64, seed=0):
    """Queries, keys, values; with ``spare`` the rows are the beginning of longer buffers, as in a row cache."""
    generator = torch.Generator().manual_seed(seed)
    shapes = (queries, rows + spare, rows + spare)
    made = [torch.randn(batch, kv_heads, n, SIZE, generator=generator).to(dtype) for n in shapes]
    return made[0], made[1][:, :, :rows], made[2][:, :, :rows]


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.inference_mode():
        yield


@pytest.fixture
def multiplies_bfloat16(monkeypatch):
    monkeypatch.setattr(row_attention, "_cpu_multiplies_bfloat16", lambda: True)


@given(
    batch=st.integers(1, 3),
    kv_heads=st.integers(1, 3),
    queries=st.integers(1, 4),
    rows=st.integers(1, 9),
    spare=st.integers(0, 2),
    masked=st.sampled_from(["no", "bool", "added"]),
    scale=st.sampled_from([0.1, 1.0]),
)
def test_products_are_the_same_attention(batch, kv_heads, queries, rows, spare, masked, scale):
    given_ = tensors(batch, kv_heads, queries, rows, spare=spare)
    seen = torch.rand(batch, 1, 1, rows, generator=torch.Generator().manual_seed(1)) > 0.5
    seen[..., 0] = True
    added = torch.zeros(seen.shape, dtype=torch.float64).masked_fill(~seen, -1e30)
    mask = {"no": None, "bool": seen, "added": added}[masked]
    with torch.inference_mode():
        ours = by_products(*given_, mask, scale)
    assert torch.allclose(ours, scaled_dot_product_attention(*given_, attn_mask=mask, scale=scale), atol=1e-12)


@pytest.mark.parametrize("spare", [0, 3])
@pytest.mark.parametrize("scale", [None, 0.3])
def test_in_bfloat16_as_near_as_rounding_allows(spare, scale, multiplies_bfloat16):
    given_ = tensors(1, 2, 3, MANY_ROWS_APART, spare=spare, dtype=torch.bfloat16)
    exact = scaled_dot_product_attention(*(t.double() for t in given_), scale=scale)
    error = (attend_to_rows(*given_, scale=scale).double() - exact).norm() / exact.norm()
    assert error < 0.02


@pytest.mark.parametrize(
    ("rows", "queries", "spare", "dtype", "pays"),
    [
        (MANY_ROWS, 3, 0, torch.bfloat16, True),
        (MANY_ROWS - 1, 3, 0, torch.bfloat16, False),
        (MANY_ROWS, 3, 1, torch.bfloat16, False),
        (MANY_ROWS_APART, 3, 1, torch.bfloat16, True),
        (MANY_ROWS, 3, 0, torch.float32, False),
        (MANY_ROWS, LARGEST_SCORES // MANY_ROWS // 2, 0, torch.bfloat16, True),
        (MANY_ROWS, LARGEST_SCORES // MANY_ROWS // 2 + 1, 0, torch.bfloat16, False),
    ],
)
def test_which_rows_are_read_by_products(rows, queries, spare, dtype, pays, monkeypatch, multiplies_bfloat16):
    calls = []
    monkeypatch.setattr(row_attention, "by_products", lambda *given_: calls.append(given_))
    attend_to_rows(*tensors(1, 2, queries, rows, spare=spare, dtype=dtype))
    assert bool(calls) is pays


def test_not_on_processors_without_instructions_for_it(monkeypatch):
    monkeypatch.setattr(row_attention, "_cpu_multiplies_bfloat16", lambda: False)
    monkeypatch.setattr(row_attention, "by_products", lambda *_: pytest.fail("by products"))
    attend_to_rows(*tensors(1, 1, 1, MANY_ROWS, dtype=torch.bfloat16))


def test_not_where_gradients_are_wanted(monkeypatch, multiplies_bfloat16):
    monkeypatch.setattr(row_attention, "by_products", lambda *_: pytest.fail("by products"))
    with torch.inference_mode(False), torch.enable_grad():
        attend_to_rows(*tensors(1, 1, 1, MANY_ROWS, dtype=torch.bfloat16))
