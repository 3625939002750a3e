"""What the README and the examples show runs: on a tiny model, and end to end on the embedded default."""

from __future__ import annotations

import re
import runpy
import sys
from functools import partial
from pathlib import Path

import pytest
import sharedllm_docs as core
from conftest import PAGES, ROOT
from llama_index.core import Settings
from llama_index.core.llms.llm import LLM
from llama_index.core.vector_stores import FilterOperator

PROJECT = Path(__file__).parents[1]
INHERITED = set(LLM.model_fields)
"""Fields that every LLM of LlamaIndex has."""
BLOCKS = re.findall(r"^```python\n(.*?)^```", (PROJECT / "README.md").read_text(encoding="utf-8"), re.M | re.S)


@pytest.fixture
def notes(tmp_path, monkeypatch):
    """The README's folder of notes, in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    Path("notes").mkdir()
    Path("notes/heron.txt").write_text(PAGES[0])
    Path("notes/copper.md").write_text(f"# Metals\n\n{PAGES[1]}\n")
    Path("notes/sonnet.txt").write_text(PAGES[2])


@pytest.fixture
def tiny_default(tmp_path_factory, monkeypatch):
    """A tiny random model in the place of the embedded default."""
    from tests.tiny_text import save_embedder, save_model

    folder = tmp_path_factory.mktemp("default")
    real = core.SharedLLM.from_pretrained
    # its tokens are bytes and pairs of them, so that LlamaIndex, which counts by another tokenizer, packs too much
    model = save_model(folder / "model", max_position_embeddings=32768)
    embedder = save_embedder(folder / "embedder")

    def from_pretrained(name_or_path=None, **options):
        options["embedder"] = options.get("embedder") or embedder
        return real(name_or_path or model, **options)

    monkeypatch.setattr(core.SharedLLM, "from_pretrained", from_pretrained)


def run_readme() -> dict:
    """All blocks, one after another, as a reader would paste them."""
    names: dict = {}
    for block in BLOCKS:
        exec(compile(block, "README.md", "exec"), names)
    return names


def run_example(name: str, *arguments: str, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    runpy.run_path(str(PROJECT / "examples" / name), run_name="__main__")


@pytest.mark.usefixtures("notes", "tiny_default")
def test_the_readme_runs(capsys):
    assert len(BLOCKS) == 5
    names = run_readme()
    assert set(names["index"].ref_doc_info) == {
        str(Path(f"notes/{n}").resolve()) for n in ("heron.txt", "copper.md", "sonnet.txt")
    }
    assert "3 passages" in capsys.readouterr().out


def test_the_table_of_the_readme_names_what_is_there():
    from llama_index.llms.sharedllm import SharedLLM, SharedLLMIndex

    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    for name in ("insert", "update_ref_doc", "refresh_ref_docs", "delete_ref_doc", "prune", "load", "insert_file"):
        assert f"{name}" in text
        assert callable(getattr(SharedLLMIndex, name))
    rows = re.search(r"^\| settings \|.*?\n\n", text, re.M | re.S)[0]
    assert (
        set(re.findall(r"`(\w+)[`=]", rows)) == {*SharedLLM.model_fields, "llm", "index", "max_new_tokens"} - INHERITED
    )


def test_the_table_of_operators_names_all_of_them():
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    rows = re.search(r"^\| operator \|.*?\n\n", text, re.M | re.S)[0]
    named = {name for row in rows.strip().splitlines()[2:] for name in re.findall(r"`([^`]+)`", row.split("|")[1])}
    assert named == {operator.value for operator in FilterOperator}


@pytest.mark.usefixtures("notes", "tiny_default")
@pytest.mark.parametrize("stream", [(), ("--stream",)])
def test_ask_a_pdf(stream, monkeypatch, capsys):
    example = partial(run_example, "ask_a_pdf.py", "notes/copper.md", "Which metal melts?", "--index", "index")
    example(*stream, monkeypatch=monkeypatch)
    example(*stream, monkeypatch=monkeypatch)
    assert capsys.readouterr().out.count("copper.md is in the index after") == 2


@pytest.mark.usefixtures("notes", "tiny_default")
def test_migrate_rag_runs_both_sides(monkeypatch, capsys):
    monkeypatch.setattr("llama_index.core.Settings._llm", None)
    run_example(
        "migrate_rag.py", str(ROOT / "examples/R-intro.pdf"), "What is R?", "--pages", "4", monkeypatch=monkeypatch
    )
    out = capsys.readouterr().out
    assert len(re.findall(r"(plain RAG|sharedllm) +first token +\d+\.\d+ s, total +\d+\.\d+ s: ", out)) == 2
    assert Settings._llm is None


@pytest.mark.e2e
@pytest.mark.usefixtures("notes")
def test_the_readme_runs_on_the_embedded_default(capsys):
    names = run_readme()
    best = names["answer"].raw["citations"][0]
    assert (Path(best.document).name, best.page) == ("heron.txt", 1)
    assert "river" in names["answer"].message.content.lower()


@pytest.mark.e2e
def test_a_question_to_a_pdf_cites_its_page(tmp_path):
    from llama_index.core import Document
    from pypdf import PdfReader

    from llama_index.llms.sharedllm import SharedLLMIndex, join_pages

    pages = [page.extract_text() for page in PdfReader(ROOT / "examples/R-intro.pdf").pages[12:16]]
    documents = [
        Document(text=text, metadata={"file_path": "R-intro.pdf", "page_label": str(number)})
        for number, text in enumerate(pages, start=1)
    ]
    index = SharedLLMIndex.from_documents(join_pages(documents), persist_dir=tmp_path / "index")
    response = index.as_query_engine(max_tokens=24).query("Which function sorts a vector?")
    assert any("sort(x)" in node.text for node in response.source_nodes[:2])
    again = SharedLLMIndex.load(tmp_path / "index").as_query_engine(max_tokens=24)
    assert str(again.query("Which function sorts a vector?")) == str(response)
