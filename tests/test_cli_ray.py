"""``add --ray``: what is handed to the workers, and what is told of their files."""

from __future__ import annotations

from typing import Any

import pytest

from sharedllm_docs import distributed
from sharedllm_docs.distributed import FileReport, IngestReport
from tests.cli_fakes import installed
from tests.cli_run import good, json_of, run

FILES = (
    FileReport("in/a.pdf", "done", "a.pdf", "k" * 64, 3, 2500, 2.5),
    FileReport("in/b.pdf", "known", "b.pdf", "l" * 64, 1),
    FileReport("in/c.pdf", "failed", reason="c.pdf is empty."),
)


class Asked:
    """Stands in place of ``ingest``."""

    files = FILES

    def __call__(self, paths: Any, index: Any, **options: Any) -> IngestReport:
        self.paths, self.index, self.options = paths, index, options
        return IngestReport(self.files, 61.2)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    installed(monkeypatch)
    made = Asked()
    monkeypatch.setattr(distributed, "ingest", made)
    return made


def test_options_reach_the_workers(asked: Asked) -> None:
    asked.files = FILES[:2]
    result = good(
        "add", "in/*.pdf", "--ray-address", "auto", "--index", "s3://bucket/index", "--workers", "8", "-r",
        "--metadata", "year=2024", "--pages", "1-2", "--no-keep-source", "--report", "r.jsonl", "--model", "here",
    )  # fmt: skip
    assert result.stdout == "2 files: 1 done, 1 known, 0 skipped, 0 failed; 61 s.\n"
    assert (asked.paths, asked.index) == (["in/*.pdf"], "s3://bucket/index")
    options = asked.options.pop("options")
    assert options.pages == "1-2"
    assert asked.options == {
        "ray_address": "auto",
        "metadata": {"year": "2024"},
        "recursive": True,
        "workers": 8,
        "report": "r.jsonl",
        "progress": None,
        "keep_source": False,
        "model_options": {"name_or_path": "here"},
    }


def test_failures_are_named_and_give_the_exit_code(asked: Asked) -> None:
    result = run("add", "in", "--ray")
    assert result.exit_code == 3
    assert "3 files: 1 done, 1 known, 0 skipped, 1 failed" in result.stdout
    assert "in/c.pdf: c.pdf is empty." in result.stderr
    assert [file["status"] for file in json_of("add", "in", "--ray", exit_code=3)["files"]] == [
        "done",
        "known",
        "failed",
    ]


@pytest.mark.parametrize("option", [["--lazy"], ["--name", "x"], ["--force"], ["--keep-both"], ["--no-gitignore"]])
def test_what_workers_cannot_heed_is_refused(asked: Asked, option: list[str]) -> None:
    result = run("add", "in", "--ray", *option)
    assert result.exit_code == 2
    assert f"{option[0]} cannot apply with --ray" in result.stderr


def test_options_of_workers_need_ray(asked: Asked) -> None:
    result = run("add", "in", "--workers", "3")
    assert result.exit_code == 2
    assert "--workers is for Ray's workers, and there is no --ray" in result.stderr
