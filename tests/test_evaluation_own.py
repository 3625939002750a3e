"""Questions of one's own: rows of JSONL and CSV, what is refused and how it is told, and a run on the tiny model."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from sharedllm_docs.documents.readers import read_document
from sharedllm_docs.errors import DocumentNotFoundError, EvaluationError
from sharedllm_docs.evaluation import run as runner
from sharedllm_docs.evaluation.run import Request, Settings, evaluate
from sharedllm_docs.evaluation.run_file import read_lines
from sharedllm_docs.evaluation.systems.spec import parse_systems
from sharedllm_docs.evaluation.tasks.own.rows import load_own_questions
from sharedllm_docs.evaluation.tasks.own.task import OwnQuestions
from tests.cli_run import json_of
from tests.cli_run import run as command
from tests.documents import make_pdf
from tests.evaluation_helpers import Oracle, llm, prose

EXAMPLE = Path(__file__).parents[1] / "examples" / "questions.jsonl"
HERON, COPPER = "Where does the heron stand?", "Does copper melt?"
ROWS = [
    {"id": "heron", "file": "birds.pdf", "question": HERON, "answers": ["in the river", "river"], "pages": [1, 2]},
    {"id": "copper", "file": "ores.txt", "question": COPPER, "answers": "yes", "pages": [[1]], "kind": "yes-no"},
    {"question": "Who owns the mine?", "file": "ores.txt", "answers": []},
    {"question": "What stands in the river?", "answers": ["the heron"]},
]
CSV = """id,file,question,answers,pages,kind
heron,birds.pdf,Where does the heron stand?,in the river|river,1|2,
copper,ores.txt,Does copper melt?,yes,1,yes-no
,ores.txt,"Who owns
the mine?",,,
,,What stands in the river?,the heron,,
"""


@pytest.fixture
def files(tmp_path):
    made = [pdf(tmp_path / "birds.pdf", "The heron stands in the river.", "It eats fish."), tmp_path / "ores.txt"]
    made[1].write_text("Copper melts. " + prose(4), encoding="utf-8")
    return made


def jsonl(folder: Path, *rows: object) -> Path:
    path = folder / "mine.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return path


def pdf(path: Path, *pages: str) -> Path:
    path.write_bytes(make_pdf([[page] for page in pages]))
    return path


def csv_file(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "mine.csv"
    path.write_bytes(text.encode(encoding))
    return path


# -- rows ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_csv_and_json_lines_give_the_same_questions(tmp_path, separator, encoding):
    text = CSV.replace(",", separator).replace("\n", "\r\n")
    listed = load_own_questions(jsonl(tmp_path, *ROWS))
    tabled = load_own_questions(csv_file(tmp_path, text, encoding))
    assert [(q.answers, q.page_groups, q.kind, q.file) for q in tabled] == [
        (q.answers, q.page_groups, q.kind, q.file) for q in listed
    ]
    assert [q.id for q in listed] == ["heron", "copper", "line-3", "line-4"]
    # a cell of two lines: the next row begins a line later
    assert [q.line for q in tabled] == [2, 3, 4, 6]
    assert (listed[2].answers, listed[2].kind) == ((), "absent")


def test_pages_that_are_all_needed(tmp_path):
    [listed] = load_own_questions(jsonl(tmp_path, {"question": "Q?", "answers": ["a"], "pages": [[7], [8, 9]]}))
    [tabled] = load_own_questions(csv_file(tmp_path, "question,answers,pages\nQ?,a,7 & 8|9\n"))
    assert listed.page_groups == tabled.page_groups == ((7,), (8, 9))


def test_names_of_columns_as_people_write_them(tmp_path):
    row = {"Question": "Q?", "Answer": "a", "PAGE": 7, "Document": "x.pdf"}
    [listed] = load_own_questions(jsonl(tmp_path, row))
    [tabled] = load_own_questions(csv_file(tmp_path, "Question, Answer ,PAGE,Document\nQ?,a,7,x.pdf\n"))
    for one in (listed, tabled):
        assert (one.question, one.answers, one.page_groups, one.file) == ("Q?", ("a",), ((7,),), "x.pdf")


def test_a_folder_stands_for_the_documents_in_it(tmp_path):
    """The questions may lie among them, and what is no document is left out with a word."""
    folder = tmp_path / "reports"
    (folder / "old").mkdir(parents=True)
    (folder / "lease.txt").write_text("The rent is 900 euros.", encoding="utf-8")
    (folder / "old" / "map.md").write_text("# A map", encoding="utf-8")
    (folder / "sound.mp3").write_bytes(b"ID3\x04\x00\x00" + bytes(range(256)) * 8)
    (folder / "empty.txt").write_bytes(b"")
    questions = folder / "questions.csv"
    questions.write_text("question,answer,file\nWhat is the rent?,900 euros,lease.txt\nAnd here?,,\n", encoding="utf-8")
    told: list[str] = []
    own = OwnQuestions(questions, [folder], told.append)
    asked = {one.question: sorted(document.name for document in one.documents) for one in own.examples(None, 0)}
    assert asked == {"What is the rent?": ["lease.txt"], "And here?": ["lease.txt", "map.md"]}
    for name in ("sound.mp3", "empty.txt"):
        assert len([text for text in told if name in text and "left out" in text]) == 1


GOOD = {"question": "Q?", "answers": ["a"]}


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("{", "not JSON"),
        ("[1]", "'[1]' is not a JSON object. Write {"),
        ({"answers": ["a"]}, "no question. Add the field question"),
        ({"question": " ", "answers": ["a"]}, "no question"),
        ({"question": 7, "answers": ["a"]}, "question 7 is not text. Put it in quotes"),
        ({"question": "\ud800?", "answers": ["a"]}, "contains half a character"),
        ({**GOOD, "awnsers": "a"}, "unknown field 'awnsers'. Is 'answers' meant?"),
        ({**GOOD, "answer": "a"}, "one field twice among"),
        ({**GOOD, "xyz": "a"}, "unknown field 'xyz'. Known are id, file, question"),
        ({**GOOD, "answers": [7]}, "answers [7] are not a list of texts. Write the accepted answers as a list"),
        ({**GOOD, "answers": [""]}, "are not a list of texts"),
        ({**GOOD, "pages": "7"}, "pages '7' are not page numbers. Write [7]"),
        ({**GOOD, "pages": [0]}, "page 0 is not a page number. Count pages from 1"),
        ({**GOOD, "pages": [[True]]}, "page True is not a page number"),
        ({**GOOD, "pages": [[]]}, "are not page numbers"),
        ({"question": "Q?", "answers": [], "pages": [1]}, "pages, but no answers. Leave out pages"),
        ({**GOOD, "kind": "absent"}, "kind 'absent', but answers ['a']"),
        ({**GOOD, "kind": "yes-no"}, "the first answer is 'a'. Write yes or no first"),
        ({**GOOD, "id": ["x"]}, "id ['x'] is not text"),
        ({**GOOD, "id": "first"}, "id 'first' is also that of line 1. Give each its own"),
        (
            {**GOOD, "file": "gone.pdf"},
            "there is no file 'gone.pdf' (--files: birds.pdf, ores.txt). Name it with --files",
        ),
        ({**GOOD, "file": "birds.pdf", "pages": [3]}, "birds.pdf has no page 3: pages are 1 to 2"),
        ({**GOOD, "file": "x" * 5000}, "there is no file 'xxx"),
        (
            f'{{"question": "Q?", "id": {"7" * 5000}}}',
            "not a question: it holds a whole number of more than 4,300 digits",
        ),
        (f'{{"question": "Q?", "pages": {"9" * 4000}}}', "pages, but no answers"),
        ({**GOOD, "pages": [-(10**4000)]}, "is not a page number"),
        ("[" * 200_000 + "]" * 200_000, "not a question: it is nested too deeply"),
        ('{"question": ' + "[" * 500 + "]" * 500 + "}", "question [[[[[[[...]]]]]]] is not text"),
        ('{"question": "Q?", "answers": ' + "[" * 500 + "]" * 500 + "}", "are not a list of texts"),
        ({**GOOD, "pages": ["x" * 100_000]}, "are not page numbers"),
        ({**GOOD, "k" * 100_000: 1}, "unknown field 'kkk"),
        ({**GOOD, "pages": [1]}, "pages, but no file that they are pages of. Add the field file"),
    ],
)
def test_a_bad_row_is_told_by_its_line_with_what_to_do(tmp_path, files, row, told):
    path = jsonl(tmp_path, {**GOOD, "id": "first"}, "", row, GOOD)
    with pytest.raises(EvaluationError) as caught:
        OwnQuestions(path, files)
    assert f"{path} has 1 bad row. Line 3: " in str(caught.value)
    assert told in str(caught.value)
    assert len(str(caught.value)) < 700 + len(str(path)), "what is long is told in short"


def test_all_bad_rows_are_told_together(tmp_path, files):
    with pytest.raises(EvaluationError, match=r"has 3 bad rows. Line 1: .* Line 2: .* Line 3: "):
        OwnQuestions(jsonl(tmp_path, "{", {"question": ""}, {**GOOD, "pages": [0]}), files)
    with pytest.raises(EvaluationError, match=r"has 12 bad rows. .* Line 10: .* \.\.\. and 2 more"):
        OwnQuestions(jsonl(tmp_path, *["{"] * 12), files)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("question,awnsers\nQ?,a\n", "line 1 names the columns 'question', 'awnsers'; unknown: 'awnsers'"),
        ("question,answer,Answers\nQ?,a,b\n", "line 1 names the columns 'question', 'answers', 'answers'"),
        ("Where does the heron stand?,river\n", "line 1 names the columns"),
        ("id,answers\nx,a\n", "question is needed"),
        ("question,answers,answers\nQ?,a,b\n", "each once"),
        ("question,answers\nQ?,a,b\n", "Line 2: 3 cells for 2 columns. Put quotes around"),
        ("question,answers,pages\nQ?,a,seven\n", "Line 2: pages 'seven' are not page numbers. Write 7"),
        ('question,answers\n"Q?" x,a\n', "line 2 is not CSV"),
        ("question,answers,pages\nQ?,a," + "7" * 5000 + "\n", "77' are not page numbers. Write 7"),
        ("question,answers,pages\nQ?,a,1&" + "7" * 10 + "\n", "are not page numbers. Write 7"),
        ("question,answers\n", "contains no questions"),
        ("", "contains no questions"),
    ],
)
def test_bad_csv(tmp_path, text, told):
    with pytest.raises(EvaluationError) as caught:
        load_own_questions(csv_file(tmp_path, text))
    assert told in str(caught.value)


@pytest.mark.parametrize("cell", ["{}", '"{}"', '"{}'], ids=["bare", "quoted", "not closed"])
def test_a_cell_that_is_too_long_is_told_as_such(tmp_path, cell):
    path = csv_file(tmp_path, "question,answers\nQ?,a\n" + cell.format("long " * 50_000) + ",a\n")
    limit = csv.field_size_limit(131_072)
    try:
        with pytest.raises(
            EvaluationError, match=r"line 3 has a cell of more than 131,072 characters\. Close the quotes"
        ):
            load_own_questions(path)
    finally:
        csv.field_size_limit(limit)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.jsonl", f'{{"question": "Q?", "pages": {"7" * 5000}}}\n'),
        ("b.jsonl", "[" * 200_000 + "\n"),
        ("c.jsonl", '{"question": ' + "[" * 500 + "]" * 500 + "}\n"),
        ("d.csv", "question,pages\nQ?," + "7" * 5000 + "\n"),
        ("e.csv", 'question,answers\n"' + "long " * 50_000 + "\n"),
    ],
)
def test_the_command_refuses_what_it_cannot_read_like_any_bad_input(tmp_path, files, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    result = command("evaluate", str(path), "--files", *map(str, files), "--out", str(tmp_path / "out"))
    assert result.exit_code == EvaluationError.exit_code
    assert result.stderr.startswith("Error: ")
    assert "Unexpected" not in result.stderr


def test_files_that_cannot_be_read(tmp_path, files):
    with pytest.raises(EvaluationError, match=r"is not UTF-8: byte 0xe9 at .*CSV UTF-8"):
        load_own_questions(csv_file(tmp_path, "question,answers\nCafé?,a\n", "latin-1"))
    for missing in (tmp_path / "gone.jsonl", tmp_path / "gone.csv"):
        with pytest.raises(EvaluationError, match="cannot be read: No such file"):
            load_own_questions(missing)
    with pytest.raises(DocumentNotFoundError):
        OwnQuestions(jsonl(tmp_path, GOOD), [tmp_path / "gone.pdf"])
    with pytest.raises(EvaluationError, match=r"Line 1: no file, and --files gives no documents"):
        OwnQuestions(jsonl(tmp_path, GOOD), [])


def test_two_files_of_one_name(tmp_path, files):
    other = tmp_path / "old"
    other.mkdir()
    twin = pdf(other / "birds.pdf", "No heron.")
    row = {**GOOD, "file": "birds.pdf"}
    with pytest.raises(EvaluationError, match=r"file 'birds.pdf' may be .* or .*Write more of its path"):
        OwnQuestions(jsonl(tmp_path, row), [files[0], twin])
    [example] = OwnQuestions(jsonl(tmp_path, {**row, "file": "old/birds.pdf"}), [files[0], twin]).examples(None, 0)
    assert "No heron." in example.documents[0].text
    with pytest.raises(EvaluationError, match=r"two of the files are called 'birds.pdf'"):
        OwnQuestions(jsonl(tmp_path, GOOD), [files[0], twin])


# -- measuring ----------------------------------------------------------------------------------------------------


def test_examples(tmp_path, files):
    said: list[str] = []
    path = jsonl(tmp_path, *ROWS[:3])
    unused = pdf(tmp_path / "unused.pdf", "Nothing.")
    examples = {e.question: e for e in OwnQuestions(path, [*files, unused], said.append).examples(None, 0)}
    assert said == [f"{unused} is asked by no question."]
    assert [d.name for d in examples[HERON].documents] == ["birds.pdf"]
    assert (examples[HERON].page_groups, examples[HERON].answerable) == (((1, 2),), True)
    assert not examples["Who owns the mine?"].answerable
    everywhere = OwnQuestions(jsonl(tmp_path, ROWS[3]), files).examples(None, 0)
    assert [d.name for d in everywhere[0].documents] == ["birds.pdf", "ores.txt"]
    beside = OwnQuestions(jsonl(tmp_path, ROWS[0]), []).examples(None, 0)  # the file lies beside the questions
    assert beside[0].documents[0].name == "birds.pdf"


def test_an_edited_row_or_file_is_measured_again_and_the_others_are_not(tmp_path, files):
    def ids() -> set[str]:
        return {e.id for e in OwnQuestions(tmp_path / "mine.jsonl", files).examples(None, 0)}

    jsonl(tmp_path, *ROWS[:3])
    before = ids()
    jsonl(tmp_path, {**ROWS[0], "answers": ["a river"]}, *ROWS[1:3])
    assert {name.partition("-")[0] for name in before - ids()} == {"heron"}
    before = ids()
    files[1].write_text("Copper melts at last.", encoding="utf-8")
    assert {name.rpartition("-")[0] for name in before - ids()} == {"copper", "line-3"}


def test_scores_and_table(tmp_path, files):
    task = OwnQuestions(jsonl(tmp_path, *ROWS), files)
    oracle = Oracle("oracle", {HERON: "river", COPPER: "Yes, it does."}, pages=[2])
    results = {e.question: task.measure(oracle, e) for e in task.examples(None, 0)}
    assert results[HERON]["scores"] | {"f1": 1.0, "em": 1.0, "page@1": 1.0} == results[HERON]["scores"]
    assert results[COPPER]["scores"]["f1"] == 1.0  # by its first word
    assert results[COPPER]["scores"]["page@1"] == 0.0
    assert (results["Who owns the mine?"]["abstained"], results["Who owns the mine?"]["answerable"]) == (True, False)
    columns = {column.title: column.summary(list(results.values())) for column in task.columns}
    assert columns["abst. P"].value == 0.5  # the last one has an answer
    assert columns["abst. R"].value == 1.0


def test_a_run_on_the_tiny_model_and_again(tmp_path, files):
    task = OwnQuestions(jsonl(tmp_path, *ROWS), files)
    task.max_new_tokens = 4
    settings = Settings(tmp_path / "out", plots=False)
    outcome = evaluate(task, parse_systems("closed_book,prefix:budget=64"), llm(), settings)
    header, *rows = read_lines(outcome.file)
    assert outcome.file.name == "mine-results.jsonl"
    assert (header["task"], header["options"]) == ("mine-results", {"questions": "mine.jsonl"})
    assert len(rows) == 8
    assert "| `prefix:budget=64` | 4 |" in outcome.table
    again = evaluate(task, parse_systems("closed_book,prefix:budget=64"), llm(), settings)
    assert again.table == outcome.table
    assert len(read_lines(again.file)) == 9


def test_documents_stay_in_the_index_for_the_next_system(tmp_path, monkeypatch):
    many = [tmp_path / f"{number}.txt" for number in range(6)]
    for number, path in enumerate(many):
        path.write_text(f"Heron {number}. {prose(3, seed=number)}", encoding="utf-8")
    task = OwnQuestions(jsonl(tmp_path, *({**GOOD, "file": path.name} for path in many)), many)
    task.max_new_tokens = 2
    outcome = evaluate(task, parse_systems("prefix,prefix:budget=8"), llm(), Settings(tmp_path / "out", plots=False))
    assert outcome.complete
    [folder] = (tmp_path / "out" / "indexes").iterdir()
    assert len(list((folder / "documents").iterdir())) == 6


# -- the command --------------------------------------------------------------------------------------------------


@pytest.fixture
def started(monkeypatch):
    """Requests that the command made, in place of a run."""
    seen: list[Request] = []

    def start(request, _model, _settings, *, report):
        seen.append(request)
        return runner.Outcome(Path("rows.jsonl"), "", (), (), (), complete=True)

    monkeypatch.setattr(runner, "start", start)
    return seen


@pytest.mark.parametrize(
    "arguments",
    [
        ("mine.jsonl", "--files", "a.pdf", "b.pdf", "c.pdf"),
        ("mine.jsonl", "--files", "a.pdf", "--files", "b.pdf", "--files", "c.pdf"),
        ("mine.jsonl", "--systems", "prefix", "--files", "a.pdf", "b.pdf", "c.pdf", "--limit", "2"),
    ],
)
def test_files_as_a_shell_gives_them(started, arguments):
    assert command("evaluate", *arguments).exit_code == 0
    assert started[0].task == "mine.jsonl"
    assert started[0].files == (Path("a.pdf"), Path("b.pdf"), Path("c.pdf"))


@pytest.mark.parametrize(
    ("arguments", "told", "code"),
    [
        (("mine.jsonl", "a.pdf"), "a.pdf stands after the task. Put --files before the documents.", 2),
        (("pdfqa", "--files", "a.pdf"), "task 'pdfqa' has documents of its own", 7),
        (("mine.txt", "--files", "a.pdf"), "Task 'mine.txt' is unknown", 7),
        (("--files", "a.pdf", "b.pdf", "mine.jsonl"), "Task 'b.pdf' is unknown", 7),
        (("mine.jsonl", "--files", "a.pdf", "--lengths", "8K"), "is a questions file, which takes no lengths", 7),
        (("mine.jsonl", "--files", "a.pdf", "--pdf-dir", "x"), "takes no pdf_dirs", 7),
    ],
)
def test_arguments_that_do_not_go_together(started, arguments, told, code):
    error = json_of("evaluate", *arguments, exit_code=code)["error"]
    assert told in f"{error['message']} {error['remedy']}"
    assert not started


def test_a_bad_row_is_told_before_a_model_is_loaded(tmp_path, files, monkeypatch):
    def load(*_arguments, **_options):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(runner.SharedLLM, "from_pretrained", load)
    result = command("evaluate", str(jsonl(tmp_path, "{")), "--files", *map(str, files))
    assert result.exit_code == EvaluationError.exit_code
    assert "Line 1: not JSON" in result.stderr


# -- the example --------------------------------------------------------------------------------------------------


def test_the_committed_example_fits_its_document():
    task = OwnQuestions(EXAMPLE, [])
    document = read_document(EXAMPLE.with_name("R-intro.pdf"))
    text = {page.number: " ".join(page.text.split()).lower() for page in document.pages}
    examples = task.examples(None, 0)
    assert {e.kind for e in examples} == {"span", "number", "two-page", "yes-no", "absent"}
    for example in examples:
        if example.kind in ("span", "number"):  # the answer stands on each of its pages
            [pages] = example.page_groups
            assert all(any(a.lower() in text[page] for a in example.answers) for page in pages), example.id
