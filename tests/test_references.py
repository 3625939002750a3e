"""What code and tests refer to is in the repository, so that a reader can look it up."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("sharedllm_docs", "packages", "tests", "integrations", "benchmarks")
OWN = {Path(__file__), Path(__file__).with_name("test_site.py")}  # tests of links that lead nowhere
FILES = sorted({path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")} - OWN)
ELSEWHERE = re.compile(r"\bdesign(?:[:,]|'s\b)|\b(?:the|our|see) design\b", re.IGNORECASE)
"""A document that is not given out."""
PAGE = re.compile(r"\b(?:docs/[\w-]+\.md|tests/[\w-]+\.py|[A-Z]{5,}\.md)\b")


MARKERS = re.compile("|".join((7 * "<" + " ", 7 * ">" + " ", r"^={7}\r?$", r"\|{7} ")), re.MULTILINE)
"""What a merge leaves where two changes conflict; assembled here so that this file holds none."""


def cited(text):
    """What a text refers to that is not there."""
    pages = {match[0] for match in PAGE.finditer(text) if not (ROOT / match[0]).is_file()}
    return pages | {match[0] for match in ELSEWHERE.finditer(text)}


def test_everything_cited_is_there():
    assert len(FILES) > 300
    wrong = {str(path.relative_to(ROOT)): cited(path.read_text(encoding="utf-8")) for path in FILES}
    assert {name: found for name, found in wrong.items() if found} == {}


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("(paper, section 3.2; design: question)", {"design:"}),
        ('(design, "What was measured")', {"design,"}),
        ("Letters as in the design. See docs/nothing.md", {"the design", "docs/nothing.md"}),
        ("Design: one document", {"Design:"}),
        ("docs/log.md and CONTRIBUTING.md, by design", set()),
    ],
)
def test_the_search_finds_what_is_not_there(text, missing):
    assert cited(text) == missing


def tracked_texts():
    """Path and text of every tracked file that is text."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in filter(None, listed.stdout.decode().split("\0")):
        path = ROOT / name
        if path.is_file() and b"\0" not in (data := path.read_bytes()):
            yield name, data.decode("utf-8", "replace")


def test_no_tracked_file_holds_conflict_markers():
    texts = dict(tracked_texts())
    assert len(texts) > 400
    assert {name: MARKERS.search(text)[0] for name, text in texts.items() if MARKERS.search(text)} == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a\n" + 7 * "<" + " HEAD\nb", True),
        ("words before " + 7 * "<" + " HEAD", True),
        ("the end." + 7 * ">" + " branch\n", True),
        ("a\n" + 7 * "=" + "\nb", True),
        (7 * "|" + " 1a2b3c", True),
        (">>> 1 << 7\n======  ====\n=======  ==\n| a ||", False),
        ("Heading\n" + 20 * "=", False),
    ],
)
def test_conflict_markers_are_found_anywhere_in_a_line(text, found):
    assert bool(MARKERS.search(text)) is found
