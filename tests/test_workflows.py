"""What runs at a commit, a push and a release: commands that exist, in the project's environment, and known actions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[0].split())
each = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(path: Path) -> Iterator[dict[str, Any]]:
    for job in read(path)["jobs"].values():
        yield from job["steps"]


def test_all_are_there():
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "nightly.yml", "release.yml"]


def test_every_night_files_are_mutated_and_ingestion_is_killed_within_a_time_limit():
    workflow = read(ROOT / ".github/workflows/nightly.yml")
    assert workflow[True]["schedule"]  # YAML takes the key "on" for a truth value
    assert all(job["timeout-minutes"] for job in workflow["jobs"].values())
    called = [step["run"].split()[1] for step in steps(ROOT / ".github/workflows/nightly.yml") if "run" in step]
    assert called == ["fuzz", "faults"]
    assert set(called) <= TARGETS


@each
def test_actions_are_official_or_pypas_and_of_a_fixed_version(path):
    used = [step["uses"] for step in steps(path) if "uses" in step]
    assert used
    assert [name for name in used if not re.fullmatch(r"actions/[\w-]+@v\d+|pypa/[\w-]+@release/v\d+", name)] == []


@each
def test_only_publishing_may_ask_for_an_identity_and_nothing_may_write(path):
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        assert job.get("permissions", {}) == ({"id-token": "write"} if name == "publish" else {})


def test_continuous_integration_is_ci_run():
    assert [step["run"] for step in steps(ROOT / ".github/workflows/ci.yml") if "run" in step] == [".ci/run"]


def test_files_that_workflows_name_exist():
    text = "".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)
    assert all((ROOT / name).is_file() for name in re.findall(r"(?:tools/\w+\.py|constraints\.txt|\.ci/run)", text))
    for pattern in re.findall(r"hashFiles\('([^']+)'\)", text):
        assert list(ROOT.glob(pattern)), f"{pattern} names nothing"


def test_ci_run_calls_targets_that_exist():
    called = re.findall(r"^make (\w[\w-]*)$", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"env", "lint", "types", "site", "test"} <= set(called) <= TARGETS


def test_hooks_run_what_make_env_installed():
    (repository,) = read(ROOT / ".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        program, argument = hook["entry"].split()[:2]
        assert hook["language"] == "system"
        assert program.startswith(".venv/bin/") or (program == "make" and argument in TARGETS)
