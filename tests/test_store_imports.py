"""Listing and verifying need neither torch nor a model: they stay quick on the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.store_helpers import GOLDEN

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "transformers", "sentence_transformers", "fsspec", "diskcache", "safetensors")


def run(code: str, *arguments: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_importing_the_store_loads_nothing_heavy() -> None:
    assert run(f"import sharedllm_docs.store, sys; print([m for m in {HEAVY!r} if m in sys.modules])") == "[]"


def test_listing_verifying_and_removing_work_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from sharedllm_docs.store import IndexStore\n"
        "import shutil; shutil.copytree(sys.argv[1], sys.argv[2])\n"
        "store = IndexStore.open(sys.argv[2])\n"
        "first = store.documents()[0]\n"
        "print(first.name, store.verify().ok, store.damaged_chunks(first), store.tokens(first).ids[0])\n"
        "print(len(store.documents()), store.document(first).name, sorted(store.vectors(first)))\n"
        "store.remove(first.key); print(store.prune().files)"
    )
    lines = run(code, str(GOLDEN / "int8"), str(tmp_path / "index")).splitlines()
    assert lines == ["first.txt True () 4729", "4 first.txt ['leaf_embeddings', 'node_vectors']", "1"]
