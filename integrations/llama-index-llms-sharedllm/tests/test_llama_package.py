"""The distribution itself: what it imports of sharedllm-docs, its version, its types."""

from __future__ import annotations

import ast
from importlib.metadata import requires, version
from pathlib import Path

import sharedllm_docs

import llama_index.llms.sharedllm as package

FOLDER = Path(package.__file__).parent
PROJECT = FOLDER.parents[2]
MODULES = sorted(FOLDER.glob("*.py"))
PYTHON = [*MODULES, *sorted((PROJECT / "examples").glob("*.py"))]


def imports(path: Path) -> list[tuple[str, str]]:
    """(module, name) of everything a file imports, at its top or inside functions."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(str(node.module), alias.name) for alias in node.names]
    return found


def test_only_the_public_interface_of_the_core_is_used():
    assert len(MODULES) > 8
    used = set()
    for path in PYTHON:
        for module, name in imports(path):
            if module.split(".")[0] == "sharedllm_docs":
                assert module == "sharedllm_docs", f"{path.name} imports {module}"
                used |= {name} - {""}
        tree = ast.parse(path.read_text(encoding="utf-8"))
        attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
        used |= {node.attr for node in attributes if isinstance(node.value, ast.Name) and node.value.id == "core"}
    assert used
    assert used <= set(sharedllm_docs.__all__)


def test_no_private_names_of_the_core_are_used():
    """Attributes that begin with an underscore are the object's own."""
    for path in PYTHON:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
                assert isinstance(node.value, ast.Name), f"{path.name}: {ast.unparse(node)}"
                assert node.value.id in ("self", "index"), f"{path.name}: {ast.unparse(node)}"


def test_version_is_the_cores_and_the_namespace_is_shared():
    assert package.__version__ == version("llama-index-llms-sharedllm") == sharedllm_docs.__version__
    assert any(need.startswith("sharedllm-docs<0.2,>=0.1") for need in requires("llama-index-llms-sharedllm"))
    assert not (FOLDER.parent / "__init__.py").exists()
    assert not (FOLDER.parents[1] / "__init__.py").exists()


def test_it_is_typed_and_exports_what_it_names():
    assert (FOLDER / "py.typed").exists()
    assert all(getattr(package, name) for name in package.__all__)
