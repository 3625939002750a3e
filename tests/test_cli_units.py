"""Numbers as they are typed and shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharedllm_docs.cli.units import (
    count_text,
    pages_text,
    parse_layers,
    parse_metadata,
    parse_size,
    parse_where,
    seconds_text,
)
from sharedllm_docs.errors import ConfigError
from sharedllm_docs.sizes import size_text


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1000000", 1_000_000),
        ("500MB", 500_000_000),
        ("500 mb", 500_000_000),
        ("1.5GiB", 1_610_612_736),
        ("2G", 2_000_000_000),
        ("3KiB", 3072),
        ("1TB", 10**12),
        ("7 B", 7),
    ],
)
def test_sizes_are_read_as_people_write_them(text, size):
    assert parse_size(text, "--max-disk") == size


@pytest.mark.parametrize("text", ["", "many", "-5MB", "5XB", "0", "0.1", "1e9", "5 MB more", "iB"])
def test_a_malformed_size_names_option_and_value(text):
    with pytest.raises(ConfigError, match=r"--max-disk='.*' is not a size\. Write it as 500MB"):
        parse_size(text, "--max-disk")


@given(st.integers(1, 10**15))
def test_a_number_of_bytes_is_itself(size):
    assert parse_size(str(size), "--max-disk") == size


@pytest.mark.parametrize(("text", "layers"), [("6-25", (6, 25)), (" 1 - 30 ", (1, 30)), ("4", (4, 4))])
def test_layers(text, layers):
    assert parse_layers(text) == layers


@pytest.mark.parametrize("text", ["", "6-", "-6", "a-b", "1,5", "6-25-30"])
def test_malformed_layers_say_how_to_write_them(text):
    with pytest.raises(ConfigError, match=r"--layers='.*' is not a range of layers\. Write it as 6-25"):
        parse_layers(text)


@given(st.dictionaries(st.from_regex(r"[a-z]+", fullmatch=True), st.from_regex(r"[a-z=0-9]+", fullmatch=True)))
def test_metadata_are_read_as_they_are_written(metadata):
    pairs = [f"{key}={value}" for key, value in metadata.items()]
    assert parse_metadata(pairs, "--metadata") == metadata
    assert parse_where([*pairs, *pairs], "--where") == {key: [value] for key, value in metadata.items()}


@pytest.mark.parametrize("pair", ["year", "year=", "=2024", " = "])
@pytest.mark.parametrize("read", [parse_metadata, parse_where])
def test_what_is_no_pair_names_option_and_value(read, pair):
    with pytest.raises(ConfigError, match=f"--x='{pair}' is not KEY=VALUE. Write it as --x year=2024"):
        read([pair], "--x")


@given(st.integers(0, 10**15))
def test_a_size_is_shown_in_a_unit_that_fits(size):
    number, unit = size_text(size).split()
    value = float(number.replace(",", ""))
    factor = {"bytes": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}[unit]
    assert abs(value * factor - size) <= 0.06 * factor
    assert unit == "bytes" or value >= 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.423, "0.42 s"), (9.994, "9.99 s"), (12.34, "12.3 s"), (250.2, "4 min 10 s"), (3900, "1 h 05 min")],
)
def test_seconds(seconds, text):
    assert seconds_text(seconds) == text


def test_counts_and_pages():
    assert [count_text(1, "page"), count_text(1024, "token")] == ["1 page", "1,024 tokens"]
    assert [pages_text(7, 7), pages_text(7, 9)] == ["page 7", "pages 7-9"]
