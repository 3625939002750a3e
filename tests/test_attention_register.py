"""Attention functions in transformers' register: each has a name of its own, and training and answers take turns."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from transformers import AttentionInterface

import sharedllm_docs
from sharedllm_docs import GenerationConfig, Index, RetrievalConfig
from sharedllm_docs.architectures.attention import register_attention
from sharedllm_docs.injection.grouped_heads import GROUPED_HEADS
from tests.tiny_text import tiny_document, tiny_llm

ROOT = Path(sharedllm_docs.__file__).parent
REGISTERS = {"AttentionInterface", "AttentionMaskInterface", "ALL_ATTENTION_FUNCTIONS", "ALL_MASK_ATTENTION_FUNCTIONS"}
OWN = register_attention.__name__


def registered_names(tree: ast.Module) -> Iterator[ast.expr]:
    """The expressions that name what ``register_attention`` is called for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == OWN:
            yield node.args[0] if node.args else next(k.value for k in node.keywords if k.arg == "name")


def named_registers(tree: ast.Module) -> set[str]:
    """The registers of transformers that a module names, whatever it does with them."""
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    return names & REGISTERS


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), ast.parse(path.read_text(encoding="utf-8"))


def test_one_module_alone_touches_transformers_registers():
    assert [name for name, tree in modules() if named_registers(tree)] == [register_attention.__module__]


def test_no_two_places_register_one_name():
    found = [
        eval(ast.unparse(name), vars(importlib.import_module(module)))
        for module, tree in modules()
        for name in registered_names(tree)
    ]
    assert GROUPED_HEADS in found
    assert len(found) == len(set(found)) >= 2


def test_the_search_sees_every_way_to_register():
    calls = "register_attention('a', f)\narchitectures.register_attention(name='b', function=f)"
    assert [ast.unparse(name) for name in registered_names(ast.parse(calls))] == ["'a'", "'b'"]
    for line in (
        "from transformers import AttentionInterface as A",
        "transformers.AttentionMaskInterface.register('a', f)",
        "ALL_ATTENTION_FUNCTIONS['a'] = f",
        "masking_utils.ALL_MASK_ATTENTION_FUNCTIONS.register('a', f)",
    ):
        assert named_registers(ast.parse(line)), line


@pytest.fixture
def fresh(monkeypatch):
    """A register as a new process has it: without this package's functions."""
    own = {name: f for name, f in AttentionInterface._global_mapping.items() if not name.startswith("sharedllm_docs")}
    monkeypatch.setattr(AttentionInterface, "_global_mapping", own)


def test_a_name_is_taken_once(fresh):
    def first(): ...

    def second(): ...

    register_attention("sharedllm_docs_of_a_test", first)
    register_attention("sharedllm_docs_of_a_test", first)
    for name in ("sharedllm_docs_of_a_test", "sdpa"):
        with pytest.raises(ValueError, match=rf"{name}' is .*, so it cannot be .*second too\. Register it by another"):
            register_attention(name, second)
    assert AttentionInterface()["sharedllm_docs_of_a_test"] is first


@pytest.mark.parametrize("order", ["ask train ask train", "train ask train ask"])
def test_training_and_answers_take_turns_in_one_process(order, fresh, tmp_path, monkeypatch):
    """Packed sequences here, grouped heads there: neither is computed by the other's function, in whatever order."""
    pytest.importorskip("peft")
    from sharedllm_docs.training import packing
    from tests.test_training_packing import ALONE, drawn, trainee
    from tests.training_helpers import tiny_config, tiny_pool

    def indexed(name, **changes):
        index = Index.create(tmp_path / name, tiny_llm(**changes))
        index.add(tiny_document("The heron stands in the river and waits.", "Copper melts later than tin does."))
        return index

    index = indexed("index")
    config = tiny_config(stages=[{}], **ALONE)
    examples = drawn(config, tiny_pool(tmp_path / "packs"))
    widths: list[int] = []
    attend = packing._attend

    def noted(module, query, *given, **options):
        widths.append(query.shape[2])
        return attend(module, query, *given, **options)

    monkeypatch.setattr(packing, "_attend", noted)

    def ask(index):
        settings, short = RetrievalConfig(relevance_floor=0, budget=64), GenerationConfig(max_new_tokens=8)
        return index.ask("Where does the heron stand?", retrieval=settings, generation=short).text

    def train(packed=True):
        made = trainee(replace(config, run=replace(config.run, packing=packed)))
        return [round(float(loss), 3) for loss in made(examples).by_example]

    expected = {"ask": ask(indexed("eager", attention="eager")), "train": train(packed=False)}
    assert not widths  # so far no function of the package's own was called
    for turn in order.split():
        before = len(widths)
        assert (ask(index) if turn == "ask" else train()) == expected[turn], turn
        assert (len(widths) > before) is (turn == "train"), turn
    assert set(AttentionInterface()) >= {GROUPED_HEADS, packing.PACKED_SEQUENCES}
