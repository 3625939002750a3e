"""Row formats: error bounds, edge cases, agreement with torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from sharedllm_docs.errors import ConfigError, StoreError
from sharedllm_docs.store.formats import FORMATS, row_format
from sharedllm_docs.store.quantise import (
    as_array,
    from_bfloat16,
    level_channels,
    quantise_channels,
    quantise_tokens,
    to_bfloat16,
)

EPS = float(np.finfo(np.float32).eps)
TINY = 1e-42  # float32 itself has no more digits down there
NUMBERS = st.floats(-1e4, 1e4, width=32)
ROWS = arrays(np.float32, st.tuples(st.integers(1, 6), st.just(2), st.just(1), st.integers(1, 5)), elements=NUMBERS)


def unpacked(dtype: str, keys: NDArray[np.float32], values: NDArray[np.float32], out: torch.dtype) -> list[NDArray]:  # type: ignore[type-arg]
    packed = FORMATS[dtype].pack(keys, values)
    stored = {
        name: torch.from_numpy(array.view(np.int16) if dtype == "bfloat16" else array) for name, array in packed.items()
    }
    if dtype == "bfloat16":
        stored = {name: tensor.view(torch.bfloat16) for name, tensor in stored.items()}
    results = [torch.empty(keys.shape, dtype=out), torch.empty(values.shape, dtype=out)]
    FORMATS[dtype].unpack_into(stored, *results)
    return [result.double().numpy() for result in results]


@settings(max_examples=200)
@given(ROWS)
def test_keys_in_eight_bits_are_within_half_a_step_of_their_channel(x: NDArray[np.float32]) -> None:
    codes, scale, offset = quantise_channels(x)
    back = codes.astype(np.float64) * scale + offset
    # half a step, and the rounding of the float32 offset and quotient themselves
    bound = scale.astype(np.float64) / 2 + 4 * EPS * np.abs(x).max(axis=0) + 256 * EPS * scale + TINY
    assert (np.abs(back - x) <= bound).all()
    assert (scale <= (x.max(axis=0).astype(np.float64) - x.min(axis=0)) / 255 * (1 + 4 * EPS) + TINY).all()


@settings(max_examples=200)
@given(ROWS)
def test_values_in_eight_bits_are_within_half_a_step_of_their_token(x: NDArray[np.float32]) -> None:
    codes, scale = quantise_tokens(x)
    back = codes.astype(np.float64) * scale.astype(np.float64)[..., None]
    assert (np.abs(back - x) <= scale.astype(np.float64)[..., None] * (0.5 + 128 * EPS) + TINY).all()
    exact = np.abs(x).max(axis=-1).astype(np.float64) / 127
    assert (scale.astype(np.float64) <= exact * (1 + 2**-10) + 2**-24).all(), "no wider than float16 needs"


@settings(max_examples=50)
@given(ROWS)
def test_unpacking_gives_what_the_formula_says(x: NDArray[np.float32]) -> None:
    keys, values = unpacked("int8", x, x[::-1].copy(), torch.float64)
    codes, scale, offset = quantise_channels(x)
    np.testing.assert_array_equal(keys, codes.astype(np.float64) * scale + offset)
    codes, token_scale = quantise_tokens(x[::-1])
    np.testing.assert_array_equal(values, codes * token_scale.astype(np.float64)[..., None])


EVEN_ROWS = arrays(np.float32, st.tuples(st.integers(1, 6), st.just(2), st.just(1), st.just(6)), elements=NUMBERS)


@settings(max_examples=200)
@given(EVEN_ROWS)
def test_four_bits_are_within_half_a_step_of_their_token(x: NDArray[np.float32]) -> None:
    keys, values = unpacked("int4", x, x[::-1].copy(), torch.float64)
    packed = FORMATS["int4"].pack(x, x[::-1].copy())
    assert packed["keys"].shape == packed["values"].shape == (*x.shape[:-1], 3), "two codes a byte"
    half_step = packed["value_scale"].astype(np.float64)[..., None] / 2
    assert (np.abs(values - x[::-1]) <= half_step * (1 + 16 * EPS) + TINY).all()
    level, spread, offset = level_channels(x)
    half_step = packed["key_scale"].astype(np.float64)[..., None] / 2 * spread
    rounding = 8 * EPS * (np.abs(x).max(axis=0) + np.abs(offset) + np.abs(level) * spread)
    assert (np.abs(keys - x) <= half_step * (1 + 16 * EPS) + rounding + TINY).all()


def test_levelled_channels_have_mean_0_and_deviation_1() -> None:
    x = np.random.default_rng(3).normal(size=(500, 2, 3, 8)).astype(np.float32) * 40 + 7
    level, spread, offset = level_channels(x)
    np.testing.assert_allclose(level.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(level.std(0), 1, atol=1e-5)
    np.testing.assert_allclose(level * spread + offset, x, rtol=1e-4, atol=1e-3)


def test_four_bits_of_keys_survive_channels_of_very_different_range() -> None:
    """As real keys have: by scales of tokens alone the small channels would all become 0."""
    x = np.random.default_rng(4).normal(size=(64, 1, 1, 64)).astype(np.float32)
    x[..., 5] = x[..., 5] * 50 + 300
    keys, _values = unpacked("int4", x, x, torch.float32)
    small = [d for d in range(64) if d != 5]
    error = np.linalg.norm((keys - x)[..., small]) / np.linalg.norm(x[..., small])
    assert error < 0.13


def test_heads_of_odd_size_have_no_four_bit_form() -> None:
    with pytest.raises(ConfigError, match=r"heads have 5 dimensions\. Use store_dtype='int8'"):
        row_format("int4").specs((2, 1, 1, 5))


@pytest.mark.parametrize("dtype", ["int8", "int4"])
def test_constant_channels_are_exact(dtype: str) -> None:
    x = np.full((5, 1, 1, 3), 0.1, dtype=np.float32) * np.array([1, 0, -7e3], dtype=np.float32)
    x = np.concatenate((x, -x), axis=-1)
    keys, values = unpacked(dtype, x, np.zeros_like(x), torch.float32)
    np.testing.assert_array_equal(keys, x)
    np.testing.assert_array_equal(values, 0)


def test_extremes_of_float32_do_not_overflow() -> None:
    x = np.array([-3e38, 0, 3e38], dtype=np.float32).reshape(3, 1, 1, 1)
    _codes, scale, offset = quantise_channels(x)
    assert np.isfinite([scale.item(), offset.item()]).all()


def test_float16_scales_cost_next_to_nothing_against_float32_scales() -> None:
    x = np.random.default_rng(0).normal(size=(256, 4, 3, 64)).astype(np.float32)
    codes, scale = quantise_tokens(x)
    error = np.sqrt(np.mean((codes * scale.astype(np.float32)[..., None] - x) ** 2))
    exact = np.abs(x).max(axis=-1, keepdims=True) / 127
    reference = np.sqrt(np.mean((np.rint(x / exact) * exact - x) ** 2))
    assert error / reference < 1.002


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_floating_formats_round_as_torch_does(dtype: str) -> None:
    x = np.random.default_rng(1).normal(size=(7, 2, 3, 8)).astype(np.float32)
    keys, values = unpacked(dtype, x, -x, torch.float64)
    wanted = torch.from_numpy(x).to(getattr(torch, dtype)).double().numpy()
    np.testing.assert_array_equal(keys, wanted)
    np.testing.assert_array_equal(values, -wanted)


@given(arrays(np.float32, 8, elements=st.floats(-(2.0**127), 2.0**127, width=32)))
def test_bfloat16_bits_equal_torch_s(x: NDArray[np.float32]) -> None:
    wanted = torch.from_numpy(x).to(torch.bfloat16)
    np.testing.assert_array_equal(to_bfloat16(x), wanted.view(torch.int16).numpy().view(np.uint16))
    np.testing.assert_array_equal(from_bfloat16(to_bfloat16(x)), wanted.float().numpy())


@pytest.mark.parametrize(
    ("dtype", "value", "message"),
    [
        ("float16", 70000.0, "reach 70000, more than float16 can hold"),
        ("bfloat16", 3.4e38, "more than bfloat16 can hold"),
        ("int8", 9e6, r"values reach 9e\+06, more than int8 with float16 scales"),
        ("int4", 5e5, r"values reach 500000, more than int4 with float16 scales can hold \(4.6e\+05\)"),
        ("int4", float("nan"), "hold infinite or undefined numbers"),
        ("int8", float("nan"), "hold infinite or undefined numbers"),
        ("float32", float("inf"), "hold infinite or undefined numbers"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(dtype: str, value: float, message: str) -> None:
    x = np.full((2, 1, 1, 4), value, dtype=np.float32)
    with pytest.raises(StoreError, match=message):
        row_format(dtype).pack(x, x)


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ConfigError, match="store_dtype='int2' is not one of float64"):
        row_format("int2")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_rows_come_from_any_tensor(dtype: torch.dtype) -> None:
    tensor = torch.arange(24).reshape(1, 2, 3, 4).permute(0, 2, 1, 3).to(dtype).requires_grad_()
    array = as_array(tensor)
    assert array.flags.c_contiguous
    np.testing.assert_array_equal(array, tensor.detach().double().numpy())
