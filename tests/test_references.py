"""What code and tests refer to is in the repository, so that a reader can look it up."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("sharedllm_docs", "packages", "tests", "integrations", "benchmarks")
OWN = {Path(__file__), Path(__file__).with_name("test_site.py")}  # tests of links that lead nowhere
FILES = sorted({path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")} - OWN)
ELSEWHERE = re.compile(r"\bdesign(?:[:,]|'s\b)|\b(?:the|our|see) design\b", re.IGNORECASE)
"""A document that is not given out."""
PAGE = re.compile(r"\b(?:docs/[\w-]+\.md|tests/[\w-]+\.py|[A-Z]{5,}\.md)\b")


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
