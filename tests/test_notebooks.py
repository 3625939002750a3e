"""The notebooks as committed: whole, small, executed, and of names that exist; their runner names what fails."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MOST_BYTES = 300_000
WHOLE_PATH = re.compile(r"(?<![\w./:<~])(?:[A-Za-z]:\\|/[A-Za-z][\w.-]*/)\w")
ADDRESS = re.compile(r" at 0x[0-9a-f]+")
INTEGRATIONS = {
    "llama_index.llms.sharedllm": ROOT / "integrations/llama-index-llms-sharedllm/llama_index/llms/sharedllm",
    "langchain_sharedllm": ROOT / "integrations/langchain-sharedllm/langchain_sharedllm",
}
each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@cache
def read(path: Path) -> Any:
    return nbformat.read(path, as_version=nbformat.NO_CONVERT)


def code_cells(path: Path) -> list[Any]:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def parsed(source: str) -> ast.Module:
    """A cell's code; cells may await."""
    return compile(source, "cell", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def shows(source: str) -> bool:
    """Whether a cell prints or draws when it runs, by what stands outside of functions."""
    body = [node for node in parsed(source).body if not isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    called = {ast.unparse(node.func) for top in body for node in ast.walk(top) if isinstance(node, ast.Call)}
    return bool(called & {"print", "plt.show", "draw"})


def texts(cell: Any) -> Iterator[str]:
    """What a reader sees of a cell as text."""
    yield cell.source
    for output in cell.get("outputs", []):
        yield output.get("text", "")
        yield output.get("data", {}).get("text/plain", "")


def test_there_are_five_and_the_readme_names_them():
    listed = re.findall(r"^\| \[(\S+\.ipynb)\]", (FOLDER / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert [path.name for path in NOTEBOOKS] == listed
    assert len(listed) == 5


@each
def test_it_is_a_valid_notebook_that_opens_with_a_title(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert notebook.nbformat == 4
    assert notebook.metadata == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    assert notebook.cells[0].cell_type == "markdown"
    assert re.match(r"# \w", notebook.cells[0].source)
    assert path.stat().st_size < MOST_BYTES


@each
def test_every_cell_ran_in_order_and_what_prints_has_outputs(path):
    cells = code_cells(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    silent = [cell.source for cell in cells if shows(cell.source) and not cell.outputs]
    assert silent == []
    assert any(shows(cell.source) for cell in cells)


@each
def test_outputs_are_neither_errors_nor_warnings_nor_of_one_machine(path):
    for cell in read(path).cells:
        for output in cell.get("outputs", []):
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.text
        assert "execution" not in cell.metadata  # the times at which cells ran
        for text in texts(cell):
            assert not WHOLE_PATH.search(text), text
            assert not ADDRESS.search(text), text


@pytest.mark.parametrize("text", ["/home/me/x", 'open("/tmp/x")', "C:\\Users\\me", "see /usr/lib"])
def test_whole_paths_are_seen(text):
    assert WHOLE_PATH.search(text)


@pytest.mark.parametrize("text", ["../examples/R-intro.pdf", "https://a.org/b/c", "and/or/not", "4 / 2 / 1", "</a/b>"])
def test_other_slashes_are_no_whole_paths(text):
    assert not WHOLE_PATH.search(text)


# -- names ------------------------------------------------------------------------------------------------------------


def imports() -> list[tuple[str, str]]:
    """(module, name) of every import statement; name "" for a module itself."""
    found = set()
    for path in NOTEBOOKS:
        for cell in code_cells(path):
            for node in ast.walk(parsed(cell.source)):
                if isinstance(node, ast.Import):
                    found |= {(alias.name, "") for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    found |= {(node.module or "", alias.name) for alias in node.names}
    return sorted(found)


def exported(folder: Path) -> set[str]:
    """Names in ``__all__`` of a package that may not be installed here."""
    for node in parsed((folder / "__init__.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    raise AssertionError(f"{folder} has no __all__")


@pytest.mark.parametrize(("module", "name"), imports())
def test_imports_name_what_exists(module, name):
    if module in INTEGRATIONS:
        assert name in exported(INTEGRATIONS[module])
        return
    package = module.partition(".")[0]
    if package in ("langchain_core", "llama_index") and importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    assert not name or hasattr(importlib.import_module(module), name) or importlib.import_module(f"{module}.{name}")


# -- the runner -------------------------------------------------------------------------------------------------------


@cache
def runner() -> Any:
    spec = importlib.util.spec_from_file_location("notebooks_run", FOLDER / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def made(path: Path, *cells: str) -> Path:
    sources = [nbformat.v4.new_code_cell(source, id=f"cell-{n}") for n, source in enumerate(cells, 1)]
    nbformat.write(nbformat.v4.new_notebook(cells=sources), path)
    return path


@pytest.mark.parametrize("at_once", [1, 2])
def test_runner_writes_outputs_and_names_the_cell_that_fails(at_once, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    good = made(tmp_path / "good.ipynb", "import os\nprint(os.path.basename(os.getcwd()))")
    bad = made(tmp_path / "bad.ipynb", "x = 1", "y = x\ny / 0")
    before = bad.read_bytes()
    assert runner().main([str(bad), str(good), "--at-once", str(at_once)]) == 1
    said = capsys.readouterr()
    assert re.fullmatch(r"good\.ipynb: \d+ s\n", said.out)
    assert said.err.startswith("bad.ipynb, cell 2 failed: ZeroDivisionError: division by zero\n    y = x\n    y / 0\n")
    assert bad.read_bytes() == before
    outputs = json.loads(good.read_text(encoding="utf-8"))["cells"][0]["outputs"]
    assert "".join(outputs[0]["text"]) == "notebooks\n"


def test_runner_checks_without_writing(tmp_path, capsys):
    path = made(tmp_path / "one.ipynb", "print(1)")
    before = path.read_bytes()
    assert runner().main(["--check", str(path)]) == 0
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["one.ipynb"]
    assert capsys.readouterr().out.startswith("one.ipynb: ")


def test_runner_refuses_what_is_no_notebook(tmp_path, capsys):
    (tmp_path / "x.ipynb").write_text("no JSON", encoding="utf-8")
    assert runner().main([str(tmp_path / "x.ipynb")]) == 1
    assert "x.ipynb cannot be read as a notebook" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        runner().main(["there-is-none.ipynb"])
    assert "there is no notebook 'there-is-none.ipynb'" in capsys.readouterr().err
