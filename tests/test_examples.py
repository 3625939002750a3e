"""The examples run from the command line as they stand: short, on the public interface alone, to a cited page."""

from __future__ import annotations

import ast
import re
import runpy
import sys
from pathlib import Path

import pytest

import sharedllm_docs
from sharedllm_docs import Index, SharedLLM
from tests.cli_run import process
from tests.documents import make_pdf

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
MOST_LINES = 30
QUESTION = "Where does the heron stand?"
HERON = "The heron stands in the river. Where does the heron stand? In the river.\n"
COPPER = "Copper melts at a higher temperature than tin does.\n"
each = pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)


@pytest.fixture
def tiny_default(saved, monkeypatch, tmp_path):
    """The tiny model and embedder in place of the embedded ones; an empty working directory."""
    model, embedder = saved / "model", saved / "embedder"
    load = SharedLLM.from_pretrained

    def from_pretrained(_cls, name_or_path=None, **options):
        return load(
            name_or_path or model, **(options | {"embedder": str(embedder), "device": "cpu", "dtype": "float32"})
        )

    monkeypatch.setattr(SharedLLM, "from_pretrained", classmethod(from_pretrained))
    monkeypatch.chdir(tmp_path)
    return model


def run(name: str, *arguments: str | Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_there_are_three():
    assert [path.name for path in SCRIPTS] == ["ask_a_folder.py", "ask_a_pdf.py", "own_model.py"]


@each
def test_it_is_short_and_uses_the_public_interface_alone(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < MOST_LINES
    used = [node for node in ast.walk(ast.parse(text)) if isinstance(node, (ast.Import, ast.ImportFrom))]
    modules = {node.module if isinstance(node, ast.ImportFrom) else node.names[0].name for node in used}
    assert modules <= {"argparse", "sys", "pathlib", "sharedllm_docs"}
    (core,) = (node for node in used if isinstance(node, ast.ImportFrom) and node.module == "sharedllm_docs")
    assert {name.name for name in core.names} <= set(sharedllm_docs.__all__)


@each
def test_it_says_how_it_is_called(path):
    result = process(str(path), "--help")
    assert result.returncode == 0, result.stderr
    assert f"python {path.name}" in " ".join(result.stdout.split())


@pytest.mark.parametrize("name", ["ask_a_pdf.py", "ask_a_folder.py"])
def test_what_is_asked_by_default_is_there(name):
    """The example PDF and the documentation, whatever the working directory."""
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    default = {"ask_a_pdf.py": EXAMPLES / "R-intro.pdf", "ask_a_folder.py": EXAMPLES.parent / "docs"}[name]
    assert default.exists()
    assert "Path(__file__)" in text


def test_ask_a_pdf_streams_an_answer_and_cites_and_reads_once(tiny_default, tmp_path, monkeypatch, capsys):
    (tmp_path / "birds.md").write_text(HERON, encoding="utf-8")
    run("ask_a_pdf.py", "birds.md", QUESTION, monkeypatch=monkeypatch)
    first = capsys.readouterr().out
    assert re.search(r'^birds\.md, page 1: ".*heron.*"$', first, re.MULTILINE)
    (document,) = Index.open(".index/ask_a_pdf").documents()
    run("ask_a_pdf.py", "birds.md", QUESTION, monkeypatch=monkeypatch)
    assert capsys.readouterr().out.splitlines()[-1] == first.splitlines()[-1]
    assert Index.open(".index/ask_a_pdf").documents() == [document]


def test_ask_a_folder_reads_all_leaves_out_what_it_cannot_read_and_answers_each(
    tiny_default, tmp_path, monkeypatch, capsys
):
    folder = tmp_path / "files"
    folder.mkdir()
    for name, text in {"birds.md": HERON, "empty.txt": "", "metals.txt": COPPER}.items():
        (folder / name).write_text(text, encoding="utf-8")
    questions = (QUESTION, "Copper melts at a higher temperature than tin does?")
    run("ask_a_folder.py", folder, *questions, "--index", "all", monkeypatch=monkeypatch)
    said = capsys.readouterr().out
    assert "birds.md: read, 1 pages\nempty.txt is left out: empty.txt " in said
    assert all(f"\n\n{question}\n" in said for question in questions)
    of_birds, of_metals = said.split(f"\n{questions[1]}\n")
    assert '\nbirds.md, page 1: "' in of_birds
    assert '\nmetals.txt, page 1: "' in of_metals
    (folder / "metals.txt").write_text(COPPER * 2, encoding="utf-8")
    run("ask_a_folder.py", folder, *questions, "--index", "all", monkeypatch=monkeypatch)
    assert "birds.md: there already, 1 pages" in capsys.readouterr().out
    assert [info.name for info in Index.open("all").documents()] == ["birds.md", "metals.txt"]


def test_own_model_by_its_folder(tiny_default, tmp_path, monkeypatch, capsys):
    (tmp_path / "birds.md").write_text(HERON, encoding="utf-8")
    run("own_model.py", tiny_default, "birds.md", QUESTION, monkeypatch=monkeypatch)
    said = capsys.readouterr().out
    assert f"{tiny_default}: float32 on cpu, a window of 4096 tokens" in said
    assert '\nbirds.md, page 1: "' in said
    assert Index.open(".index/model").settings["model"] == str(tiny_default)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("ask_a_pdf.py", ["none.pdf"]), ("own_model.py", ["no/such/folder", "none.pdf"])],
)
def test_what_goes_wrong_is_one_line(name, arguments, tiny_default, monkeypatch):
    with pytest.raises(SystemExit) as stopped:
        run(name, *arguments, monkeypatch=monkeypatch)
    assert isinstance(stopped.value.code, str)
    assert arguments[0] in stopped.value.code
    assert "\n" not in stopped.value.code


def test_the_page_on_python_runs_from_top_to_bottom(tiny_default, tmp_path, capsys):
    page = (EXAMPLES.parent / "docs" / "python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 16
    (tmp_path / "report.pdf").write_bytes(make_pdf([[HERON.strip()], [COPPER.strip()]]))
    names: dict[str, object] = {}
    said = ""
    for number, block in enumerate(blocks, start=1):
        exec(compile(block, f"docs/python.md, block {number}", "exec"), names)
        printed = capsys.readouterr().out
        assert printed.strip() or "print(" not in block, f"block {number} prints nothing"
        if "citation.boxes" in block:
            assert re.search(r"heron.*\nBox\(page=1, left=", printed)
        said += printed
    # oldest first, by whole seconds: both orders occur
    assert re.search(r"\['report(, first page', 'report\.pdf|\.pdf', 'report, first page)'\]", said)
    assert re.search(r"^report(\.pdf|, first page) 1 .*heron", said, re.MULTILINE)
    assert "absent.pdf" in said


@pytest.mark.e2e
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_it_runs_on_the_embedded_default(path, tmp_path):
    """As a user would, in a process of its own, over a file of one page."""
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "birds.md").write_text(HERON, encoding="utf-8")
    model = ["smollm2-135m-instruct"] if path.stem == "own_model" else []
    source = folder if path.stem == "ask_a_folder" else folder / "birds.md"
    result = process(str(path), *model, str(source), QUESTION, "--index", str(tmp_path / "index"))
    assert result.returncode == 0, result.stderr
    assert re.search(r'^birds\.md, page 1: ".*heron.*"$', result.stdout, re.MULTILINE), result.stdout
