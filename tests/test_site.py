"""The documentation site: the reference has every exported name, links work on it as on a code host."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

import sharedllm_docs

ROOT = Path(__file__).parents[1]
API = sorted((ROOT / "docs" / "api").glob("*.md"))
HOST = "https://host.example/project"
ROLE = re.compile(r":\w+:`")


def tool(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGES = tool("site_pages")


# -- the reference ----------------------------------------------------------------------------------------------------


def test_the_reference_has_every_exported_name_once():
    shown = [
        name for path in API for name in re.findall(r"^::: sharedllm_docs\.(\w+)$", path.read_text(), re.MULTILINE)
    ]
    assert sorted(shown) == sorted(set(sharedllm_docs.__all__) - {"__version__"})


@pytest.mark.parametrize("name", sorted(set(sharedllm_docs.__all__) - {"__version__"}))
def test_every_exported_name_has_a_docstring(name):
    assert (getattr(sharedllm_docs, name).__doc__ or "").strip()


@pytest.mark.parametrize("name", sorted(set(sharedllm_docs.__all__) - {"__version__"}))
def test_docstrings_are_markdown_and_hold_no_sphinx_roles(name):
    """The reference would show them as they are written."""
    shown = getattr(sharedllm_docs, name)
    parts = [shown, *(vars(shown).values() if isinstance(shown, type) else ())]
    assert [part for part in parts if ROLE.search(str(getattr(part, "__doc__", "") or ""))] == []


def test_a_role_is_seen():
    assert ROLE.search("See :meth:`~sharedllm_docs.Index.ask`.")


# -- links ------------------------------------------------------------------------------------------------------------


def test_pages_from_elsewhere_exist_and_take_no_page_of_docs():
    for source, page in PAGES.PAGES.items():
        assert (ROOT / source).is_file()
        assert not (ROOT / "docs" / page).exists()
    assert len(PAGES.SOURCES) == len(PAGES.PAGES)


@pytest.mark.parametrize(
    ("target", "page", "address"),
    [
        ("docs/cli.md", "index.md", "cli.md"),
        ("docs/cli.md#ask", "index.md", "cli.md#ask"),
        ("CONTRIBUTING.md", "index.md", "contributing.md"),
        ("notebooks/README.md", "index.md", "notebooks.md"),
        ("format.md", "architecture.md", "format.md"),
        ("figures/a.png", "results.md", "figures/a.png"),
        ("../README.md#figures", "results.md", "index.md#figures"),
        ("../documents.md", "api/documents.md", "../documents.md"),
        ("../../README.md", "integrations/langchain.md", "../index.md"),
        ("../../docs/cli.md", "integrations/langchain.md", "../cli.md"),
        ("../pyproject.toml", "results.md", f"{HOST}/blob/main/pyproject.toml"),
        ("../benchmarks", "results.md", f"{HOST}/tree/main/benchmarks"),
        ("../benchmarks/gpu/README.md#x", "results.md", f"{HOST}/blob/main/benchmarks/gpu/README.md#x"),
        ("01_ask_a_pdf.ipynb", "notebooks.md", f"{HOST}/blob/main/notebooks/01_ask_a_pdf.ipynb"),
        ("there/is/none.md", "index.md", "there/is/none.md"),
        ("../../outside.md", "results.md", "../../outside.md"),
        ("https://a.example/b.md", "results.md", "https://a.example/b.md"),
        ("#here", "results.md", "#here"),
    ],
)
def test_links_lead_to_pages_or_to_the_code_host(target, page, address):
    assert PAGES.address(target, page, HOST) == address


def test_a_page_missing_from_docs_stays_missing_for_mkdocs_to_name():
    assert PAGES.address("docs/none.md", "index.md", HOST) == "none.md"


def test_links_are_rewritten_in_text_and_images_and_not_in_code():
    text = "[a](docs/cli.md) ![b](LICENSE 'title')\n`[c](LICENSE)`\n```\n[d](LICENSE)\n```\n[e](LICENSE)\n"
    link = f"{HOST}/blob/main/LICENSE"
    assert PAGES.for_site(text, "index.md", HOST) == (
        f"[a](cli.md) ![b]({link} 'title')\n`[c](LICENSE)`\n```\n[d](LICENSE)\n```\n[e]({link})\n"
    )


def test_option_syntax_is_no_reference():
    text = "NAME[+e][:KEY] [a][b] [Index][sharedllm_docs.Index]\n\n[b]: https://b.example\n"
    assert PAGES.for_site(text, "cli.md", HOST) == text.replace("][:KEY]", "]\\[:KEY]")


def test_every_relative_link_of_every_page_leads_to_a_file():
    """On a code host as well: mkdocs checks the site's own pages alone."""
    sources = [*(ROOT / "docs").rglob("*.md"), *(ROOT / source for source in PAGES.PAGES)]
    dead = []
    for source in sources:
        text = PAGES._CODE.sub("", source.read_text(encoding="utf-8"))
        for match in PAGES._LINK.finditer(text):
            target = match["target"].partition("#")[0]
            if not PAGES._ELSEWHERE.match(match["target"]) and not (source.parent / target).exists():
                dead.append((str(source.relative_to(ROOT)), target))
    assert len(sources) > 20
    assert dead == []
