"""Long text: duplicates, contamination, splits by document, and what is dropped."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_packages import MANUAL, PROSE, make_deb, text_row
from sharedllm_docs_data.cleaning.dedup import Contamination, Deduplicator, shingles
from sharedllm_docs_data.cleaning.markup import clean_plain
from sharedllm_docs_data.cleaning.pages import Doc, each
from sharedllm_docs_data.fetch import Package, fetch
from sharedllm_docs_data.long_text import text_rows
from sharedllm_docs_data.sources import TEXT_SOURCES
from sharedllm_docs_data.sources.source import TextSource, by_bible_book, by_folder, by_play, by_stem

from sharedllm_docs.errors import ReservedDataError
from sharedllm_docs.training.dataset import SPLITS, TextRow, read_text_rows, split_of, write_rows

FOREIGN = "Das ist ein ganz gewöhnlicher deutscher Satz ohne ein einziges Wort der anderen Sprache darin. " * 5


def source(**changes: object) -> TextSource:
    """A source of plain text files."""
    fields = {
        "name": "books",
        "package": Package("books"),
        "licence": "GPL-2",
        "include": r"d/.*\.txt",
        "clean": each(clean_plain),
        "what": "books",
        **changes,
    }
    return TextSource(**fields)  # type: ignore[arg-type]


def build(
    tmp_path: Path, files: dict[str, str], judged: str = "", **changes: object
) -> tuple[list[TextRow], Counter[str]]:
    """The rows of a package with these files, and what was dropped."""
    make_deb(tmp_path / "debian" / "books" / "books_1_all.deb", {f"d/{name}.txt": text for name, text in files.items()})
    dropped: Counter[str] = Counter()
    limit = changes.pop("limit", None)
    rows = text_rows(
        source(**changes), fetch(Package("books"), tmp_path), Deduplicator(), Contamination([judged]), dropped, limit
    )  # type: ignore[arg-type]
    return rows, +dropped


def test_documents_come_out_once_with_the_reasons_of_the_others(tmp_path: Path) -> None:
    files = {"a": PROSE, "b": PROSE.replace("Brennick", "brennick"), "c": MANUAL, "d": "Too short.", "e": FOREIGN}

    rows, dropped = build(tmp_path, files)

    assert [row.id for row in rows] == ["books:d/a.txt", "books:d/c.txt"]
    assert rows[0].text == PROSE
    assert dropped == {"duplicate": 1, "short": 1, "not-english-prose": 1}


def test_a_document_that_evaluation_reads_is_dropped(tmp_path: Path) -> None:
    rows, dropped = build(tmp_path, {"a": PROSE, "c": MANUAL}, judged=" ".join(PROSE.split()[20:40]))

    assert [row.id for row in rows] == ["books:d/c.txt"]
    assert dropped == {"shares-text-with-evaluation": 1}


def test_a_known_paragraph_is_dropped_and_the_rest_kept(tmp_path: Path) -> None:
    own = " ".join(f"It was the case that number {number} had to be used." for number in range(60))

    rows, dropped = build(tmp_path, {"a": PROSE, "b": f"{own}\n\n{PROSE}\n\n{MANUAL}"})

    assert PROSE not in rows[1].text
    assert rows[1].text == f"{own}\n\n{MANUAL}"
    assert dropped == {"known-paragraph": 1}


def test_the_limit_ends_a_source(tmp_path: Path) -> None:
    assert len(build(tmp_path, {"a": PROSE, "c": MANUAL}, limit=1)[0]) == 1


def test_a_reserved_manual_among_the_files_stops_the_build(tmp_path: Path) -> None:
    with pytest.raises(ReservedDataError, match="kept for judging"):
        build(tmp_path, {"r-doc-pdf/R-exts": PROSE})


def test_documents_of_a_group_share_a_split_and_stand_together(tmp_path: Path) -> None:
    files = {
        f"{folder}/{name}": f"{name} {folder} {letter} " + text.replace("the", letter)
        for letter, (folder, name, text) in zip(
            "xyzw",
            [("p", "b", PROSE), ("q", "a", MANUAL), ("p", "a", MANUAL[::-1]), ("q", "c", PROSE[::-1])],
            strict=True,
        )
    }

    rows, _ = build(tmp_path, files, group=by_folder)

    groups = [row.group for row in rows]
    assert groups == sorted(groups)
    assert all(row.split == split_of(f"books/{row.group}") for row in rows)


def test_editions_and_translations_fall_into_one_split() -> None:
    assert by_play(Doc("t/anthonie_and_cleopatra_gut_f.txt", "", "")) == by_play(
        Doc("t/antony_and_cleopatra_gut.txt", "", "")
    )
    assert by_bible_book(Doc("ot.bzs#0", "Gen", "")) == ":bible/Gen"
    assert by_stem(Doc("h/sql-alterdatabase.html", "", "")) == by_stem(Doc("h/sql-abort.html", "", "")) == "h/sql"
    assert by_stem(Doc("g/scipy.stats.norm.html", "", "")) == "g/scipy.stats"


@given(st.text(min_size=1))
def test_a_split_depends_on_the_key_alone(key: str) -> None:
    assert split_of(key) == split_of(key)
    assert split_of(key) in SPLITS


def test_splits_have_the_shares_that_are_asked_for() -> None:
    counts = Counter(split_of(str(number), valid=10, test=20) for number in range(4000))

    assert counts["test"] == pytest.approx(800, rel=0.15)
    assert counts["valid"] == pytest.approx(400, rel=0.2)


def test_written_rows_are_read_back_and_equal_to_the_byte(tmp_path: Path) -> None:
    rows = [text_row(PROSE), text_row("Ünïcode “quoted”\n\nnew", name="b")]

    assert write_rows(tmp_path / "a.jsonl.gz", rows) == 2
    write_rows(tmp_path / "b.jsonl.gz", iter(rows))

    assert list(read_text_rows(tmp_path / "a.jsonl.gz")) == rows
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()
    assert not list(tmp_path.glob("*.partial"))


def test_a_file_that_was_not_finished_does_not_stand_under_its_name(tmp_path: Path) -> None:
    def broken() -> object:
        yield text_row(PROSE)
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        write_rows(tmp_path / "a.jsonl.gz", broken())  # type: ignore[arg-type]
    assert not (tmp_path / "a.jsonl.gz").exists()


@given(st.lists(st.sampled_from(["alpha", "beta", "gamma", "delta", "epsilon", "zeta"]), min_size=8, max_size=40))
def test_shingles_look_at_words_only(words: list[str]) -> None:
    assert shingles(" ".join(words)).tolist() == shingles(", ".join(words).upper() + "!").tolist()
    assert len(shingles(" ".join(words))) == len(words) - 7


def test_nearly_equal_documents_are_duplicates_and_others_are_not() -> None:
    seen = Deduplicator()
    long = " ".join(f"word{number} and" for number in range(600))

    assert not seen.is_duplicate(long)
    assert seen.is_duplicate(long.replace("word7 ", "other "))
    assert not seen.is_duplicate(" ".join(f"thing{number} or" for number in range(600)))


def test_contamination_wants_a_run_of_words() -> None:
    judged = Contamination(["one two three four five six seven eight nine ten eleven twelve thirteen"])

    assert "Zero one two three four five six seven eight nine ten eleven twelve." in judged
    assert "one two three four five six - seven nine ten eleven twelve thirteen" not in judged
    assert "anything" not in Contamination([])


def test_the_source_table_is_sound() -> None:
    assert len({entry.name for entry in TEXT_SOURCES}) == len(TEXT_SOURCES)
    assert all(entry.licence and entry.what and 0 <= entry.prose <= 5 for entry in TEXT_SOURCES)
    assert all(
        entry.package.sha256 and entry.package.version for entry in TEXT_SOURCES if entry.package.origin == "pypi"
    )
