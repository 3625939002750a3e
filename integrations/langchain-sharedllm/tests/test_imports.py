"""Only the core's public names are used, and importing is cheap enough: no model library is asked for."""

from __future__ import annotations

import ast
import importlib.metadata
from pathlib import Path

import langchain_sharedllm
import pytest

import sharedllm_docs

FILES = sorted(Path(langchain_sharedllm.__file__).parent.glob("*.py"))


def imported(path: Path) -> list[tuple[str, str]]:
    """(module, name) of everything that a file imports, wherever it stands in it."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(node.module or "", alias.name) for alias in node.names]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_of_the_core_only_exported_names_are_imported(path):
    of_core = [(module, name) for module, name in imported(path) if module.partition(".")[0] == "sharedllm_docs"]
    assert all(module == "sharedllm_docs" and name in sharedllm_docs.__all__ for module, name in of_core), of_core


def test_the_check_sees_every_file_and_the_core_is_used():
    assert len(FILES) >= 9
    assert any(module == "sharedllm_docs" for path in FILES for module, _name in imported(path))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_other_packages_than_those_declared(path):
    roots = {module.partition(".")[0] for module, _name in imported(path)}
    allowed = {"sharedllm_docs", "langchain_core", "langchain_sharedllm", "pydantic", "typing_extensions"}
    import sys

    assert roots <= allowed | set(sys.stdlib_module_names)


def test_versions_are_the_core_s():
    assert langchain_sharedllm.__version__ == sharedllm_docs.__version__
    assert importlib.metadata.version("langchain-sharedllm") == sharedllm_docs.__version__


def test_every_exported_name_is_there():
    assert all(hasattr(langchain_sharedllm, name) for name in langchain_sharedllm.__all__)
