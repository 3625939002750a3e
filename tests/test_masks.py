"""Masks against a plain loop."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sharedllm_docs.architectures.masks import for_attention, visible


@st.composite
def places(draw):
    """Query places, key places and which keys exist, for a small batch."""
    batch, queries, keys = draw(st.integers(1, 3)), draw(st.integers(1, 5)), draw(st.integers(1, 7))
    number = st.integers(0, 12)
    make = lambda width, kind: draw(  # noqa: E731 - two uses, no name needed elsewhere
        st.lists(st.lists(kind, min_size=width, max_size=width), min_size=batch, max_size=batch)
    )
    return make(queries, number), make(keys, number), make(keys, st.booleans())


@given(places(), st.none() | st.integers(1, 8), st.booleans())
def test_visible_equals_a_loop(made, window, padded):
    queries, keys, exists = made
    seen = visible(
        torch.tensor(queries),
        torch.tensor(keys),
        key_exists=torch.tensor(exists) if padded else None,
        window=window,
    )
    assert seen.shape == (len(queries), 1, len(queries[0]), len(keys[0]))
    assert seen.dtype == torch.bool
    for b, row in enumerate(queries):
        for q, query in enumerate(row):
            for k, key in enumerate(keys[b]):
                wanted = key <= query and (window is None or query - key < window)
                if padded:
                    wanted = (wanted and exists[b][k]) or key == query
                assert bool(seen[b, 0, q, k]) == wanted


def test_a_causal_mask_by_hand():
    place = torch.arange(3)[None]
    assert visible(place, place)[0, 0].tolist() == [[True, False, False], [True, True, False], [True, True, True]]
    assert visible(place, place, window=2)[0, 0, 2].tolist() == [False, True, True]


def test_no_row_is_empty_even_where_nothing_exists():
    place = torch.arange(4)[None]
    seen = visible(place, place, key_exists=torch.zeros(1, 4, dtype=torch.bool))
    assert torch.equal(seen[0, 0], torch.eye(4, dtype=torch.bool))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_eager_attention_gets_numbers_to_add(dtype):
    seen = torch.tensor([[[[True, False]]]])
    added = for_attention(seen, "eager", dtype)
    assert added.dtype == dtype
    assert added.flatten().tolist() == [0, torch.finfo(dtype).min]
    assert torch.softmax(torch.zeros(2, dtype=dtype) + added.flatten(), -1).tolist() == [1, 0]
    assert for_attention(seen, "sdpa", dtype) is seen
