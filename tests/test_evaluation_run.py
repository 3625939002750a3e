"""The runner: rows, resuming, the table, plots, the command line; and the analysis of misses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from sharedllm_docs.cli import evaluate_command
from sharedllm_docs.cli.failures import EXIT_UNFINISHED
from sharedllm_docs.config import Profile
from sharedllm_docs.errors import AdapterError, EvaluationError
from sharedllm_docs.evaluation import misses as analysis
from sharedllm_docs.evaluation import run as runner
from sharedllm_docs.evaluation.ablations import ABLATIONS
from sharedllm_docs.evaluation.memory import high_water_mark
from sharedllm_docs.evaluation.plots import can_plot
from sharedllm_docs.evaluation.run import ModelRequest, Outcome, Request, Settings, evaluate, start
from sharedllm_docs.evaluation.run_file import RunFile, read_lines
from sharedllm_docs.evaluation.systems.spec import parse_systems
from sharedllm_docs.evaluation.table import lines_of, markdown
from sharedllm_docs.evaluation.tasks.needles.task import Needles
from sharedllm_docs.evaluation.tasks.passkey.task import Passkey
from sharedllm_docs.evaluation.tasks.perplexity.task import Perplexity
from sharedllm_docs.evaluation.tasks.registry import TASKS
from sharedllm_docs.model.adapter import Adapter
from tests.cli_run import json_of, process
from tests.cli_run import run as command
from tests.evaluation_helpers import llm, options
from tests.tiny_text import tiny_adapter, tiny_llm

DONE = Outcome(Path("rows.jsonl"), "", (), (), (), complete=True)
HEADER = {"task": "passkey", "seed": 0}


def passkey(folder: Path, *lengths: int) -> Passkey:
    task = Passkey(options(folder, *(lengths or (128, 256))))
    object.__setattr__(task, "max_new_tokens", 4)
    return task


def measured(folder: Path, systems: str, limit: int = 2, **changes: Any) -> Outcome:
    settings = Settings(**({"out": folder / "out", "limit": limit, "plots": False} | changes))
    return evaluate(passkey(folder), parse_systems(systems), llm(), settings)


# -- running ------------------------------------------------------------------------------------------------------


def test_a_run_leaves_rows_a_table_and_a_summary(tmp_path):
    outcome = measured(tmp_path, "closed_book,prefix:budget=32")
    header, *rows = read_lines(outcome.file)
    assert outcome.complete
    assert (header["task"], header["seed"], header["model"]) == ("passkey", 0, "tiny-llama")
    assert [row["system"] for row in rows] == ["closed_book"] * 4 + ["prefix:budget=32"] * 4
    assert all(row["peak_bytes"] is None or row["peak_bytes"] > 2**20 for row in rows)
    assert {"em", "f1", "contains", "page@1", "page@5", "shown@5"} == set(rows[0]["scores"])
    page = (tmp_path / "out" / "passkey.md").read_text()
    assert page.endswith(outcome.table)
    assert "| system | length | n | exact match |" in outcome.table
    assert "| `prefix:budget=32` | 128 | 2 |" in outcome.table
    summary = json.loads((tmp_path / "out" / "passkey.json").read_text())
    assert [line["n"] for line in summary] == [2, 2, 2, 2]


def test_a_stopped_run_goes_on_and_measures_nothing_twice(tmp_path, monkeypatch):
    seen: list[str] = []
    original = runner._measure

    def counted(task: Any, system: Any, example: Any) -> dict[str, Any]:
        if len(seen) == 3:
            raise KeyboardInterrupt
        seen.append(example.id)
        return original(task, system, example)

    monkeypatch.setattr(runner, "_measure", counted)
    with pytest.raises(KeyboardInterrupt):
        measured(tmp_path, "closed_book,rag-tuned:chunk_tokens=48")
    rows = (tmp_path / "out" / "passkey.jsonl").read_text()
    with (tmp_path / "out" / "passkey.jsonl").open("a") as file:
        file.write('{"system": "closed_book", "id": "cut o')  # the machine went down while a row was written
    seen.append("so that it does not stop again")
    outcome = measured(tmp_path, "closed_book,rag-tuned:chunk_tokens=48")
    assert outcome.complete
    assert outcome.file.read_text().startswith(rows)
    assert len(read_lines(outcome.file)) == 1 + 8
    assert len(seen) == 4 + 5


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path):
    whole = measured(tmp_path, "closed_book,prefix")
    parts = [measured(tmp_path, part, limit, out=tmp_path / "parts") for part, limit in (("prefix", 1), ("prefix", 2))]
    last = measured(tmp_path, "closed_book,prefix", out=tmp_path / "parts")
    assert len(parts[0].lines) == 2

    def answers(outcome: Outcome) -> set[tuple[Any, ...]]:
        return {(r["system"], r["id"], r["text"], tuple(r["pages"])) for r in read_lines(outcome.file)[1:]}

    assert answers(whole) == answers(last)


def test_time_runs_out_cleanly(tmp_path):
    said: list[str] = []
    settings = Settings(tmp_path / "out", 2, max_minutes=1e-9, plots=False)
    outcome = evaluate(passkey(tmp_path), parse_systems("closed_book"), llm(), settings, report=said.append)
    assert not outcome.complete
    assert said == ["Stopped after 1e-09 minutes; the same command goes on from here."]
    with pytest.raises(EvaluationError, match="max_minutes is 0, not above 0"):
        Settings(tmp_path, max_minutes=0)


def test_rows_of_another_seed_are_not_mixed(tmp_path):
    measured(tmp_path, "closed_book", 1)
    with pytest.raises(EvaluationError, match="was measured with seed=0, now it is 1"):
        measured(tmp_path, "closed_book", 1, seed=1)


def test_what_does_not_fit_is_named_in_the_table(tmp_path):
    small = tiny_llm(max_position_embeddings=300)
    settings = Settings(tmp_path / "out", 1, plots=False)
    outcome = evaluate(passkey(tmp_path, 64, 512), parse_systems("full_prefill"), small, settings)
    assert [(line.length, line.measured, line.skipped) for line in outcome.lines] == [(64, 1, 0), (512, 0, 1)]
    assert "- `full_prefill` at 512: 1 not measured. " in outcome.table
    assert "window of 300" in outcome.table


def test_nothing_is_measured_when_a_system_cannot_be_made(tmp_path):
    with pytest.raises(AdapterError, match="no adapter is given"):
        measured(tmp_path, "closed_book,sharedllm")
    assert not (tmp_path / "out" / "passkey.jsonl").exists()


def test_sharedllm_and_the_oracle_run(tmp_path):
    settings = Settings(tmp_path / "out", 1, plots=False)
    specs = parse_systems("sharedllm,sharedllm:policy=oracle,prefix:policy=random")
    adapter = tiny_adapter(llm().upper.model)
    outcome = evaluate(passkey(tmp_path), specs, llm(), settings, adapter=adapter)
    assert [line.measured for line in outcome.lines] == [1] * 6
    header, *rows = read_lines(outcome.file)
    assert "adapter" not in header
    assert [row.get("adapter") for row in rows] == [adapter.digest] * 4 + [None] * 2
    other = tiny_adapter(llm().upper.model, seed=1)
    evaluate(passkey(tmp_path), parse_systems("prefix:policy=random"), llm(), settings, adapter=other)
    with pytest.raises(EvaluationError, match="was measured with adapter="):
        evaluate(passkey(tmp_path), specs, llm(), settings, adapter=other)


def test_text_systems_can_have_the_adapters_change_of_the_model(tmp_path):
    """The same prompt, another answer: nothing but the weights differs; without an adapter it is refused."""
    base = llm()
    name = "model.layers.0.mlp.down_proj.weight"
    rows, columns = base.upper.model.state_dict()[name].shape
    torch.manual_seed(0)
    change = {f"upper.lora.{name}.A": torch.randn(2, columns), f"upper.lora.{name}.B": torch.randn(rows, 2)}
    profile = Profile.sharedllm(fusion="joint", front="prompt", positions="token", grains=(0, 0, 1), layers=(1, 2))
    tuned = Adapter(profile, change)
    settings = Settings(tmp_path / "out", 2, plots=False)
    specs = parse_systems("closed_book,closed_book:lora=yes,rag-tuned:lora=yes")
    outcome = evaluate(passkey(tmp_path), specs, base, settings, adapter=tuned)
    rows = read_lines(outcome.file)[1:]
    plain, changed, rag = ([r["text"] for r in rows if r["system"] == spec.text] for spec in specs)
    assert len(plain) == len(changed) == len(rag) == 4
    assert plain != changed
    assert {r.get("adapter") for r in rows} == {None, tuned.digest}
    with pytest.raises(AdapterError, match="wants an adapter with low-rank changes"):
        evaluate(passkey(tmp_path), specs, base, settings, adapter=tiny_adapter(base.upper.model))
    with pytest.raises(EvaluationError, match="lora='perhaps' cannot be read"):
        measured(tmp_path, "closed_book:lora=perhaps")


def test_needles_and_perplexity_run(tmp_path):
    settings = Settings(tmp_path / "out", 1, plots=False)
    needles = evaluate(Needles(options(tmp_path, 1024, page=256)), parse_systems("prefix:budget=64"), llm(), settings)
    assert needles.lines[0].measured == 5
    assert "variable-tracking" in needles.table
    perplexity = evaluate(
        Perplexity(options(tmp_path, 64, 128)), parse_systems("closed_book,prefix,rag"), llm(), settings
    )
    assert "| `prefix` | 128 | 1 |" in perplexity.table
    assert "continues no text" in perplexity.table
    assert "| MiB read |" in perplexity.table


@pytest.mark.skipif(not can_plot(), reason="matplotlib is optional")
def test_plots_are_png_files(tmp_path):
    outcome = measured(tmp_path, "closed_book,prefix:budget=16,prefix:budget=32", plots=True)
    names = ["passkey-by-length.png", "passkey-by-budget.png", "passkey-against-time.png"]
    assert [path.name for path in outcome.plots] == names
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in outcome.plots)


def test_without_matplotlib_the_run_says_so(tmp_path, monkeypatch):
    said: list[str] = []
    monkeypatch.setattr(runner, "can_plot", lambda: False)
    evaluate(passkey(tmp_path), parse_systems("closed_book"), llm(), Settings(tmp_path / "out", 1), report=said.append)
    assert said[-1] == "No plots: matplotlib is not installed. Install it: pip install 'sharedllm-docs[train]'."


# -- the file of a run --------------------------------------------------------------------------------------------


def test_a_damaged_line_is_named(tmp_path):
    path = tmp_path / "run.jsonl"
    file = RunFile(path, HEADER)
    file.add({"system": "a", "id": "1"})
    path.write_text(path.read_text().replace('"a"', '"a') + '{"system": "b", "id": "1"}\n')
    with pytest.raises(EvaluationError, match=r"run\.jsonl line 2 is damaged"):
        RunFile(path, HEADER)


def test_a_missing_run_is_refused(tmp_path):
    with pytest.raises(EvaluationError, match="no run file at"):
        read_lines(tmp_path / "none.jsonl")


def test_rows_are_found_by_system_and_example(tmp_path):
    file = RunFile(tmp_path / "run.jsonl", HEADER)
    for system in ("b", "a"):
        for number in ("1", "2"):
            file.add({"system": system, "id": number})
    again = RunFile(tmp_path / "run.jsonl", HEADER)
    assert ("a", "2") in again
    assert ("a", "3") not in again
    assert again.chosen(["a", "b"], ["2"]) == [{"system": "a", "id": "2"}, {"system": "b", "id": "2"}]


def test_high_water_mark():
    assert high_water_mark("Name:\tx\nVmHWM:\t  2048 kB\nThreads:\t1\n") == 2048 * 1024
    assert high_water_mark("Name:\tx\n") is None


def test_the_table_leaves_out_columns_without_values(tmp_path):
    task = passkey(tmp_path)
    rows = [{"system": "x", "length": None, "id": "1", "scores": {"f1": 0.25}, "total_seconds": 2.0}]
    text = markdown(lines_of(rows, task.columns), task.columns)
    assert text == "| system | n | F1 | total s |\n| --- | --- | --- | --- |\n| `x` | 1 | 0.25 | 2.00 |\n"


# -- misses -------------------------------------------------------------------------------------------------------


def miss(**changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "system": "prefix",
        "id": "q",
        "question": "What?",
        "text": "that",
        "answers": ["this"],
        "answerable": True,
        "abstained": False,
        "pages": [3],
        "page_groups": [[7]],
        "rows": 10,
        "prompt_tokens": 5,
        "scores": {"f1": 0.0, "contains": 0.0},
        "context": {"page": True, "evidence": 1.0, "answer": True},
    }
    return row | changes


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"scores": {"f1": 0.5}}, None),
        ({"scores": {"recall": 1.0}}, None),
        ({"skipped": "too long"}, None),
        ({"answerable": False, "abstained": True}, None),
        ({"answerable": False}, "invented"),
        ({"abstained": True, "rows": 0, "prompt_tokens": 0}, "floor"),
        ({"context": {"page": False, "evidence": 0.0, "answer": False}}, "selection"),
        ({"abstained": True, "context": {"page": False, "evidence": 0.0, "answer": False}}, "selection"),
        ({"context": {"page": True, "evidence": 0.6, "answer": False}}, "cut"),
        ({"abstained": True}, "abstained"),
        ({"scores": {"f1": 0.2, "contains": 1.0}}, "worded"),
        ({}, "misread"),
    ],
)
def test_every_miss_has_a_cause(changes, cause):
    assert analysis.cause_of(miss(**changes)) == cause


def test_the_report_counts_causes_and_shows_examples():
    rows = [miss(), miss(id="r", abstained=True), miss(scores={"f1": 1.0})]
    text = analysis.report(rows, examples=1)
    assert "| `prefix` | 3 | 2 | 0 | 0 | 0 | 1 | 0 | 1 | 0 |" in text
    assert "### `prefix`, misread\n\n- q: What?\n  said: that\n  wanted: this (pages [[7]], cited [3])" in text
    with pytest.raises(EvaluationError, match="holds no answered questions"):
        analysis.report([{"system": "a", "skipped": "why"}])


def test_the_report_of_a_run(tmp_path, capsys):
    outcome = measured(tmp_path, "closed_book,prefix:budget=16", 1)
    assert analysis.main([str(outcome.file), "--system", "prefix:budget=16"]) == 0
    printed = capsys.readouterr().out
    assert "| `prefix:budget=16` | 2 |" in printed
    assert "closed_book" not in printed
    assert analysis.main([str(tmp_path / "none.jsonl")]) == EvaluationError.exit_code
    assert "no run file at" in capsys.readouterr().err


# -- the command line ---------------------------------------------------------------------------------------------


@pytest.fixture
def tiny_command(tmp_path, monkeypatch):
    """Arguments of ``evaluate passkey`` over the tiny model, with its text and a folder."""
    from sharedllm_docs.model.shared_llm import SharedLLM

    options(tmp_path)  # writes the text
    monkeypatch.setattr(SharedLLM, "from_pretrained", lambda *a, **k: llm())
    monkeypatch.setattr(Passkey, "max_new_tokens", 4)
    text = ["--text", str(tmp_path / "prose.txt"), "--out", str(tmp_path / "out"), "--no-plots"]
    return lambda *arguments: ["evaluate", "passkey", *arguments, *text]


def test_the_command_prints_the_table(tmp_path, tiny_command):
    asked = tiny_command("--systems", "closed_book,prefix:budget=32", "--limit", "1", "--lengths", "128,192")
    printed = command(*asked)
    assert printed.exit_code == 0
    assert printed.stdout == (tmp_path / "out" / "passkey.md").read_text().partition("\n\n| ")[2].join(["| ", ""])
    assert "4/4 prefix:budget=32" in printed.stderr
    again = json_of(*asked)
    assert again["complete"]
    assert again["file"] == str(tmp_path / "out" / "passkey.jsonl")
    assert [(line["system"], line["length"]) for line in again["lines"]] == [
        ("closed_book", 128),
        ("prefix:budget=32", 128),
        ("closed_book", 192),
        ("prefix:budget=32", 192),
    ]


def test_the_command_runs_an_ablation(tiny_command):
    printed = command(*tiny_command("--ablation", "place", "--limit", "1", "--lengths", "128"))
    assert printed.exit_code == 0
    assert printed.stdout.count("| `prefix:layers=") == 3


@pytest.mark.parametrize(
    ("asked", "used"),
    [
        ([], "qwen2.5-coder-0.5b-instruct"),  # the embedded model's own
        (["--adapter", "FOLDER"], "FOLDER"),
        (["--adapter", "none"], None),
        (["--model", "FOLDER"], None),
    ],
)
def test_without_a_list_the_usual_systems_are_measured(tmp_path, monkeypatch, tiny_command, asked, used):
    measured: list[str] = []
    adapters: list[Adapter | None] = []

    def evaluate(_task: Any, specs: Any, *_rest: Any, adapter: Adapter | None, **_options: Any) -> Any:
        measured.extend(spec.text for spec in specs)
        adapters.append(adapter)
        return DONE

    monkeypatch.setattr(runner, "evaluate", evaluate)
    folder = tiny_adapter(llm().upper.model).save(tmp_path / "adapter")
    arguments = [str(folder) if argument == "FOLDER" else argument for argument in asked]
    assert command(*tiny_command(*arguments)).exit_code == 0
    usual = ["closed_book", "first_8k", "full_prefill", "rag", "rag-tuned", "prefix", "prefix+evidence"]
    assert measured == [*usual, *(["sharedllm", "sharedllm+evidence"] if used else [])]
    wanted = Adapter.load(folder if used == "FOLDER" else used).digest if used else None
    assert [adapter.digest if adapter else None for adapter in adapters] == [wanted]


@pytest.mark.parametrize("adapter", ["auto", "none"])
def test_own_questions_are_asked_as_a_user_asks_them(tmp_path, monkeypatch, tiny_command, adapter):
    """Nothing slow, and nothing that needs a further package, unless it is asked for."""
    measured: list[str] = []

    def evaluate(_task: Any, specs: Any, *_rest: Any, **_options: Any) -> Any:
        measured.extend(spec.text for spec in specs)
        return DONE

    monkeypatch.setattr(runner, "evaluate", evaluate)
    questions, asked = tmp_path / "questions.csv", tmp_path / "lease.txt"
    questions.write_text("Question,Answer\nWhat is the rent?,900 euros\n", encoding="utf-8")
    asked.write_text("The rent is 900 euros.", encoding="utf-8")
    start(Request(str(questions), files=(asked,)), ModelRequest(adapter=adapter), Settings(tmp_path))
    assert measured == ["ask"]


def test_the_command_tells_errors_in_one_line(tmp_path, tiny_command):
    wrong = command(*tiny_command("--systems", "gpt"))
    assert (wrong.exit_code, wrong.stdout) == (EvaluationError.exit_code, "")
    assert wrong.stderr.startswith("Error: 'gpt' names no system")
    error = json_of("evaluate", "chess", "--out", str(tmp_path), exit_code=EvaluationError.exit_code)["error"]
    assert error["message"].startswith("Task 'chess' is unknown (known: pdfqa, ")


def test_a_command_whose_time_ran_out_says_so(tiny_command):
    asked = tiny_command("--systems", "closed_book", "--limit", "1", "--lengths", "128", "--max-minutes", "1e-9")
    stopped = command(*asked)
    assert stopped.exit_code == EXIT_UNFINISHED
    assert "the same command goes on from here" in stopped.stderr
    assert not json_of(*asked, exit_code=EXIT_UNFINISHED)["complete"]


def test_ctrl_c_says_what_is_kept(tmp_path, monkeypatch, tiny_command):
    def stopped(*_arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "_measure", stopped)
    result = command(*tiny_command("--systems", "closed_book", "--limit", "1", "--lengths", "128"))
    assert result.exit_code == 130
    assert f"Interrupted; the results so far are kept in {tmp_path / 'out'}. Run the same" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ablation", "depth", "--systems", "prefix"], "--ablation names the systems itself."),
        (["--of", "prefix"], "--of names the system of an ablation. Add --ablation"),
    ],
)
def test_options_that_exclude_each_other_are_refused(arguments, message):
    result = command("evaluate", "passkey", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_rag_without_llama_index_is_one_line(monkeypatch, tiny_command):
    import sys

    monkeypatch.setitem(sys.modules, "llama_index.core", None)
    result = command(*tiny_command("--systems", "rag", "--limit", "1", "--lengths", "128"))
    assert result.exit_code == EvaluationError.exit_code
    assert result.stderr.splitlines()[-1].endswith("Install it: pip install 'sharedllm-docs[llama-index]'.")


def test_the_command_knows_every_task_and_ablation():
    assert tuple(TASKS) == evaluate_command.TASK_NAMES
    assert tuple(ABLATIONS) == evaluate_command.ABLATION_NAMES


def test_the_module_is_the_command():
    result = process("-m", "sharedllm_docs.evaluation", "--help")
    assert result.stdout.startswith("Usage: sharedllm-docs evaluate ")


@pytest.mark.e2e
def test_the_default_model_is_led_to_the_page_of_a_pass_key(tmp_path):
    """The page is found and an answer is given; whether it is right is the model's matter, not the harness's."""
    pdf = Path(__file__).parent.parent / "examples" / "R-intro.pdf"
    asked = ["passkey", "--systems", "full_prefill,prefix,rag-tuned", "--limit", "1", "--lengths", "2K"]
    assert command("evaluate", *asked, "--text", str(pdf), "--out", str(tmp_path), "--no-plots").exit_code == 0
    rows = read_lines(tmp_path / "passkey.jsonl")[1:]
    assert [row["system"] for row in rows] == ["full_prefill", "prefix", "rag-tuned"]
    assert all(row["text"] for row in rows)
    assert [row["scores"]["page@1"] for row in rows] == [0.0, 1.0, 1.0]
