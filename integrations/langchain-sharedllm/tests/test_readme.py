"""The README's code runs from top to bottom as it stands; the examples too."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_sharedllm import ChatSharedLLM
from pypdf import PdfReader, PdfWriter
from tiny_models import tiny_llm

from sharedllm_docs import SharedLLM

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PDF = ROOT.parents[1] / "examples" / "R-intro.pdf"
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def excerpt(folder: Path, first: int, last: int) -> None:
    """Some pages of the example PDF, under its name."""
    writer = PdfWriter()
    for page in PdfReader(PDF).pages[first - 1 : last]:
        writer.add_page(page)
    writer.write(folder / "R-intro.pdf")


@pytest.fixture
def tiny_default(monkeypatch, tmp_path):
    """The tiny model in place of the embedded default, an excerpt of the PDF in the working directory."""
    made = tiny_llm()
    monkeypatch.setattr(SharedLLM, "from_pretrained", classmethod(lambda _cls, *_args, **_options: made))
    monkeypatch.chdir(tmp_path)
    excerpt(tmp_path, 9, 9)


def run_readme() -> dict[str, object]:
    assert len(BLOCKS) == 8
    names: dict[str, object] = {"__name__": "readme"}
    for number, block in enumerate(BLOCKS):
        exec(compile(block, f"README.md, block {number}", "exec"), names)
    return names


def test_readme_runs_on_the_tiny_model(tiny_default, capsys):
    names = run_readme()
    assert names["ids"] == ["birds.pdf", "birds.pdf"]
    said = capsys.readouterr().out
    assert "['R-intro.pdf', 'birds.pdf', 'rooks']" in said
    assert "1999" in said
    assert "Unknown setting 'tools'" in said


def test_the_table_of_arguments_is_the_constructor_s():
    rows = re.search(r"^\| constructor \|.*?\n\n", README, re.MULTILINE | re.DOTALL)[0]
    names = {name for row in rows.strip().splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    wholes = set(re.findall(r"`(\w+)=\w+Config", rows))
    own = set(ChatSharedLLM.model_fields) - set(BaseChatModel.model_fields)
    assert names | wholes == own - {"api_key"}


@pytest.mark.e2e
def test_readme_runs_on_the_embedded_default(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    excerpt(tmp_path, 8, 10)
    names = run_readme()
    said = capsys.readouterr().out
    assert "The document does not say." not in names["message"].content
    assert names["message"].response_metadata["citations"][0]["page"] in (2, 3)
    assert names["best"].metadata["source"] == "birds.pdf"
    assert "R-intro.pdf page" in said


def example(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_ask_a_pdf_prints_answer_and_pages(tiny_default, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["ask_a_pdf.py", "R-intro.pdf", "How do I quit R?", "--max-tokens", "4"])
    example("ask_a_pdf").main()
    said = capsys.readouterr().out
    assert "R-intro.pdf is in my-index after" in said
    assert "page 1 (" in said
    assert "first token after" in said


def test_migrate_rag_measures_both_sides(tiny_default, monkeypatch, capsys):
    arguments = ["migrate_rag.py", "R-intro.pdf", "How do I quit R?", "What is R?", "--max-tokens", "4"]
    monkeypatch.setattr(sys, "argv", arguments)
    example("migrate_rag").main()
    said = capsys.readouterr().out
    for side in ("before", "after"):
        assert f"{side}: 1 pages ready" in said
        seconds = re.findall(rf"{side} +first token ([\d.]+) s, all ([\d.]+) s", said)
        assert len(seconds) == 2
        assert all(0 <= float(first) <= float(total) for first, total in seconds)
