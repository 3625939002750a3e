"""How often the cited pages hold the answer, by language: `python benchmarks/language_hits.py --handbook DIR`.

DIR is the folder `html` of Debian's package debian-handbook (`apt-get download debian-handbook`, then `dpkg-deb -x`),
a manual with translations under GPL-2+ or CC-BY-SA-3.0. Its sections become pages of some 2,000 characters; of the
twenty questions a language (`language_questions.json`) each is about one paragraph, and its page is the right one.
Selection and citation only, no answers are generated. Paragraphs that nobody has translated stay in English.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

from sharedllm_docs import RetrievalConfig, SharedLLM
from sharedllm_docs.documents.document import Document
from sharedllm_docs.evaluation.systems.evidence import EvidenceFinder
from sharedllm_docs.retrieval.cite import cite
from sharedllm_docs.retrieval.query import Query
from sharedllm_docs.retrieval.searcher import Searcher

FOLDERS = {
    "de": "de-DE",
    "fr": "fr-FR",
    "es": "es-ES",
    "ru": "ru-RU",
    "ar": "ar-MA",
    "ja": "ja-JP",
    "zh": "zh-CN",
}
PAGE = 2000  # characters


def paragraphs(file: Path) -> list[str]:
    """Text of each paragraph of a section."""
    from bs4 import BeautifulSoup

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # XHTML, read as HTML
        soup = BeautifulSoup(file.read_text("utf-8"), "html.parser")
    return [" ".join(one.get_text(" ").split()) for one in soup.find_all("div", "para")]


def manual(folder: Path, files: list[str]) -> tuple[Document, dict[tuple[str, int], int]]:
    """The sections as one document, and the page of each paragraph."""
    pages, places = [""], {}
    for name in files:
        for number, text in enumerate(paragraphs(folder / f"{name}.html")):
            if len(pages[-1]) + len(text) > PAGE:
                pages.append("")
            pages[-1] += f"{text}\n\n"
            places[name, number] = len(pages)
    return Document.from_text(name=folder.name, pages=pages), places


def hits(
    llm: SharedLLM, folder: Path, asked: dict[str, Any], language: str, budget: int
) -> tuple[list[int], list[float]]:
    """The rank of the right page for each question (0: not among the cited), and the relevance of the best passage."""
    document, places = manual(folder, asked["files"])
    finder = EvidenceFinder(llm)
    searcher = Searcher(finder.prepare([document]), llm.profile)
    ranks, relevances = [], []
    for one in asked["questions"]:
        question = one[language]
        selection = searcher.select(Query(question), llm.embedder.encode([question])[0], budget)
        cited = list(dict.fromkeys(citation.page for citation in cite(selection, question, "", 50)))
        page = places[one["file"], one["paragraph"]]
        ranks.append(cited.index(page) + 1 if page in cited else 0)
        relevances.append(selection.relevance)
    return ranks, relevances


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--handbook", type=Path, required=True)
    parser.add_argument("--budget", type=int, default=1024)
    parser.add_argument("--languages", nargs="+", default=list(FOLDERS))
    arguments = parser.parse_args()
    asked = json.loads((Path(__file__).parent / "language_questions.json").read_text("utf-8"))
    llm = SharedLLM.from_pretrained()
    floor = RetrievalConfig().relevance_floor
    for language in arguments.languages:
        ranks, relevances = hits(llm, arguments.handbook / FOLDERS[language], asked, language, arguments.budget)
        at = {k: sum(0 < rank <= k for rank in ranks) / len(ranks) for k in (1, 5)}
        missed = [number for number, rank in enumerate(ranks) if not 0 < rank <= 5]
        print(
            f"{language}: page@1 {at[1]:.2f}, page@5 {at[5]:.2f}, missed {missed}, lowest relevance "
            f"{min(relevances):.2f}, below the floor {sum(value < floor for value in relevances)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
