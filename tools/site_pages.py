"""Hook of the documentation site: pages that stand outside of docs/, and links between all of them.

Files are written for a code host, where a link is a path from the file that it stands in. Here the README and others
become pages of the site without a copy in docs/; a link to a page leads to the page, any other link to a file of the
repository leads to the file at ``repo_url`` (mkdocs.yml). A link to nothing is left for mkdocs to complain of.
"""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
DOCS = "docs"
BRANCH = os.environ.get("REPOSITORY_BRANCH", "main")
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "integrations/llama-index-llms-sharedllm/README.md": "integrations/llama-index.md",
    "integrations/langchain-sharedllm/README.md": "integrations/langchain.md",
    "notebooks/README.md": "notebooks.md",
    "packages/sharedllm-docs-data/README.md": "data-package.md",
}
"""File of the repository -> page of the site, for pages that do not stand in docs/."""
SOURCES = {page: source for source, page in PAGES.items()}

_CODE = re.compile(r"^(?P<fence>```+|~~~+).*?^(?P=fence)[ \t]*$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?P<before>\]\()(?P<target>[^)\s]+)(?=\)|\s+[\"'])")
_REFERENCE = re.compile(r"\]\[(?P<name>[^\]\n]+)\]")
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|#|/", re.IGNORECASE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that stand outside of docs/."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Make the links of a page lead to pages, or to files of the repository."""
    return for_site(markdown, page.file.src_uri, str(config.repo_url))


def for_site(markdown: str, page: str, repository: str) -> str:
    """The text with its links rewritten; what stands in code stays.

    Args:
        markdown: of the page.
        page: its path in the site.
        repository: address at the code host.
    """

    def rewritten(text: str) -> str:
        text = _REFERENCE.sub(lambda match: _reference(match, markdown), text)
        return _LINK.sub(lambda match: match["before"] + address(match["target"], page, repository), text)

    pieces, done = [], 0
    for code in _CODE.finditer(markdown):
        pieces += [rewritten(markdown[done : code.start()]), code.group()]
        done = code.end()
    return "".join([*pieces, rewritten(markdown[done:])])


def _reference(match: re.Match[str], markdown: str) -> str:
    """``[a][b]`` is a link where b is defined or a name of the package; elsewhere (option syntax) it is text."""
    name = match["name"]
    is_link = f"\n[{name}]:" in markdown or name.startswith("sharedllm_docs.")
    return match.group() if is_link else f"]\\[{name}]"


def address(target: str, page: str, repository: str) -> str:
    """Where a link of a page leads on the site.

    Args:
        target: as written, a path from the page's source.
        page: path in the site of the page that it stands on.
        repository: address at the code host.
    """
    if _ELSEWHERE.match(target):
        return target
    path, mark, anchor = target.partition("#")
    file = posixpath.normpath(posixpath.join(posixpath.dirname(source_of(page)), path))
    if file in PAGES or file.startswith(f"{DOCS}/"):
        to = PAGES.get(file, file.removeprefix(f"{DOCS}/"))
        return posixpath.relpath(to, posixpath.dirname(page) or ".") + mark + anchor
    if file.startswith("..") or not (ROOT / file).exists():
        return target
    kind = "tree" if (ROOT / file).is_dir() else "blob"
    return f"{repository.rstrip('/')}/{kind}/{BRANCH}/{file}{mark}{anchor}"


def source_of(page: str) -> str:
    """File of the repository that a page of the site is made of."""
    return SOURCES.get(page, f"{DOCS}/{page}")
