"""The import graph: a stage knows only earlier stages, importing is light, and nothing runs at import."""

from __future__ import annotations

import ast
import json
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import sharedllm_docs

PACKAGE = "sharedllm_docs"
ROOT = Path(sharedllm_docs.__file__).parent
ANY_EARLIER = "any earlier stage"

# Rooms in the order of the data path, after the root's own modules. Each may import those named behind it.
ALLOWED: dict[str, str] = {
    "errors": "",
    "version": "",
    "cache": "",
    "quiet": "",
    "sizes": "",
    "checks": "errors",
    "config": "checks errors",
    "documents": "config errors",
    "architectures": "errors",
    "injection": "architectures config documents errors",
    "store": "cache config documents errors sizes",
    "retrieval": "checks config documents errors",
    "streams": "retrieval",
    "model": "architectures cache checks config documents errors injection quiet retrieval store streams",
    "index": "cache config documents errors injection model retrieval store streams",
    "distributed": "documents errors index store",
    "serving": ANY_EARLIER,
    "evaluation": ANY_EARLIER,
    "training": ANY_EARLIER,
    "cli": ANY_EARLIER,
    "__main__": "cli",
}
KNOW_ARCHITECTURES = {"injection", "model", "training"}
"""Rooms that know how a model is built; for all others a model is a ``SharedLLM``."""
LIGHT = (
    "errors",
    "cache",
    "quiet",
    "sizes",
    "checks",
    "config",
    "streams",
    "documents",
    "documents.readers",
    "documents.cleaning",
    "documents.tree",
    "store",
    "retrieval.searcher",
    "retrieval.confidence",
    "retrieval.evidence",
    "retrieval.signs",
    "retrieval.passages",
    "model.prompt",
    "model.messages",
    "model.zoo",
    "model.wheels",
    "model.embedder",
    "architectures.devices",
    "index.library",
    "index.views",
    "index.index",
    "serving.desk",
    "serving.resident",
    "cli.app",
)
HEAVY = ("torch", "transformers", "sentence_transformers", "bm25s", "gguf", "scipy", "pandas")
SERVE = {"fastapi", "starlette", "uvicorn", "pydantic_settings", "sse_starlette", "prometheus_client", "mcp"}
EXTRAS = {"accelerate", "peft", "tensorboard", "matplotlib", "tomli", "llama_index", "langchain_core", "flash_attn"}


@cache
def sources() -> dict[str, ast.Module]:
    """Module name (without the package's) -> its syntax tree."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def imported(nodes: Iterator[ast.AST]) -> Iterator[str]:
    """Full names of modules imported by these nodes; ``from a import b`` gives ``a.b`` where that is a module."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "the project imports absolutely"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full.removeprefix(f"{PACKAGE}.") in sources() else str(node.module)


def own(names: Iterator[str]) -> set[str]:
    """Of these the project's, without the package's name."""
    return {name.removeprefix(PACKAGE).removeprefix(".") for name in names if name.split(".")[0] == PACKAGE} - {""}


def stage_of(module: str) -> str:
    return module.split(".")[0]


def stage_imports() -> dict[str, dict[str, str]]:
    """Stage -> stages it imports anywhere (in functions and for types too) -> a module that does."""
    graph: dict[str, dict[str, str]] = {}
    for module, tree in sources().items():
        if not module:
            continue  # the package itself re-exports lazily
        wanted = graph.setdefault(stage_of(module), {})
        for target in own(imported(ast.walk(tree))):
            if stage_of(target) != stage_of(module):
                wanted[stage_of(target)] = module
    return graph


def at_import(tree: ast.Module) -> Iterator[ast.AST]:
    """Nodes that run when a module is imported: not those in functions, nor those for type checkers."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        typing_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if typing_only or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        yield node
        waiting.extend(ast.iter_child_nodes(node))


# -- the graph ----------------------------------------------------------------------------------------------------


def test_the_map_names_every_stage_and_only_earlier_ones():
    assert set(ALLOWED) == {stage_of(module) for module in sources()} - {""}
    seen: set[str] = set()
    for stage, allowed in ALLOWED.items():
        if allowed != ANY_EARLIER:
            assert set(allowed.split()) <= seen, f"{stage} may import a later stage"
        seen.add(stage)


@pytest.mark.parametrize("stage", ALLOWED)
def test_a_stage_imports_only_what_the_map_allows(stage):
    allowed = ALLOWED[stage]
    order = list(ALLOWED)
    permitted = set(order[: order.index(stage)] if allowed == ANY_EARLIER else allowed.split())
    found = stage_imports()[stage]
    assert set(found) <= permitted, {name: module for name, module in found.items() if name not in permitted}


def test_the_map_allows_nothing_that_is_not_used():
    """What is no longer imported leaves the map, so that it stays a picture of the code."""
    graph = stage_imports()
    unused = {
        stage: sorted(set(allowed.split()) - set(graph[stage]))
        for stage, allowed in ALLOWED.items()
        if allowed != ANY_EARLIER and not set(allowed.split()) <= set(graph[stage])
    }
    assert unused == {}


def test_the_core_does_not_know_the_distributions_beside_it():
    """They are found by entry points, or import the core themselves."""
    inits = [path for group in ("packages", "integrations") for path in ROOT.parent.glob(f"{group}/*/*/__init__.py")]
    beside = {path.parent.name for path in inits} - {"tests"}
    assert "sharedllm_docs_data" in beside
    for module, tree in sources().items():
        named = [*imported(ast.walk(tree)), *map(text_like_a_module, ast.walk(tree))]
        assert not {name.split(".")[0] for name in named} & beside, module


def text_like_a_module(node: ast.AST) -> str:
    """A string constant that could be the name of a module, as ``import_module`` takes it; else empty."""
    text = node.value if isinstance(node, ast.Constant) else None
    return text if isinstance(text, str) and text.replace(".", "_").isidentifier() else ""


def test_few_stages_know_model_architectures():
    graph = stage_imports()
    assert {stage for stage, wanted in graph.items() if "architectures" in wanted} <= KNOW_ARCHITECTURES


def test_no_module_imports_itself_in_a_circle():
    """Within the stages too; a package counts as importing what its ``__init__`` does."""
    graph = {name: own(imported(at_import(tree))) - {name} for name, tree in sources().items() if name}
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("room", ["store", "index"])
def test_no_two_modules_know_each_other(room):
    """Not even by imports in functions or for types."""
    graph = {
        name: {target for target in own(imported(ast.walk(tree))) if stage_of(target) == room} - {name, room}
        for name, tree in sources().items()
        if stage_of(name) == room and name != room
    }
    assert len(graph) > 4
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


# -- what importing does ------------------------------------------------------------------------------------------


def python(code: str) -> str:
    """Output of a fresh interpreter."""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT.parent, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def loaded_after(*modules: str) -> set[str]:
    lines = "\n".join(f"import {module}" for module in modules)
    return set(
        json.loads(python(f"{lines}\nimport sys, json\nprint(json.dumps([n.split('.')[0] for n in sys.modules]))"))
    )


def test_importing_the_package_is_cheap():
    heavy = {*HEAVY, "numpy", "pypdf", "pypdfium2", "bs4", "typer", "rich", "fsspec", "jinja2"}
    assert not loaded_after(PACKAGE) & heavy


def test_the_stages_without_arithmetic_load_no_torch():
    assert not loaded_after(*(f"{PACKAGE}.{name}" for name in LIGHT)) & set(HEAVY)


IMPORT_ALL = """
import importlib, json, sys
touched = []
def hook(event, args):
    if event in ("socket.__new__", "socket.connect", "socket.getaddrinfo", "socket.bind"):
        touched.append([event, repr(args)])
import torch, transformers
from transformers.models.llama import modeling_llama
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
def state():
    classes = (torch.nn.Module, torch.Tensor, transformers.PreTrainedModel, modeling_llama.LlamaAttention)
    return [id(v) for c in classes for v in vars(c).values()], sorted(ALL_ATTENTION_FUNCTIONS.keys())
before = state()
sys.addaudithook(hook)
failed = {}
for name in json.loads(sys.argv[1]):
    try:
        importlib.import_module(name)
    except ImportError as error:
        failed[name] = (error.name or str(error)).split(".")[0]
print(json.dumps({"touched": touched, "failed": failed, "patched": before != state()}))
"""


@pytest.fixture(scope="module")
def everything_imported():
    names = [m.name for m in pkgutil.walk_packages([str(ROOT)], f"{PACKAGE}.") if not m.name.endswith("__main__")]
    assert len(names) > 60
    code = IMPORT_ALL.replace("sys.argv[1]", repr(json.dumps(names)))
    return json.loads(python(code).splitlines()[-1])


def test_every_module_imports(everything_imported):
    """Training and the server may want their extras; all else imports with the plain dependencies."""
    extras = {f"{PACKAGE}.training": EXTRAS, f"{PACKAGE}.serving.http": SERVE}
    wrong = {
        module: missing
        for module, missing in everything_imported["failed"].items()
        if not any(module.startswith(room) and missing in extra for room, extra in extras.items())
    }
    assert wrong == {}


def test_nothing_reaches_the_network_at_import(everything_imported):
    assert everything_imported["touched"] == []


def test_nothing_is_patched_at_import(everything_imported):
    assert not everything_imported["patched"]


# -- what must not be there ---------------------------------------------------------------------------------------

PICKLING = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "jsonpickle"}


def test_no_pickle():
    for module, tree in sources().items():
        assert not {name.split(".")[0] for name in imported(ast.walk(tree))} & PICKLING, module
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("torch.load", "torch.save", "pd.read_pickle", "pandas.read_pickle"), module
                allowed = [ast.unparse(k.value) for k in node.keywords if k.arg == "allow_pickle"]
                assert allowed in ([], ["False"]), module


# -- the package's own names --------------------------------------------------------------------------------------


def test_every_exported_name_is_there():
    for name in sharedllm_docs.__all__:
        assert getattr(sharedllm_docs, name) is not None
    assert dir(sharedllm_docs) == sorted(sharedllm_docs.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'sharedllm_docs' has no attribute 'Document2'"):
        _ = sharedllm_docs.Document2
