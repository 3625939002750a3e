"""Answers of questions about cells of tables, against the limit of the same reader on plain text.

Usage: ``python benchmarks/table_answers.py FOLDER [--limit N]``, where FOLDER holds the PDF files that
``table_cells.jsonl`` names, with ``NAME-str.xml`` of the ICDAR 2013 table competition beside them. Questions whose cell
the ground truth names are asked twice: of the whole document, with default settings; and of the row of the cell under
the heads of its table, given as plain text. The second is what the model can do when it is given the right row.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import table_structure

from sharedllm_docs import Index, SharedLLM
from sharedllm_docs.config import GenerationConfig
from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.terms import terms
from sharedllm_docs.evaluation.metrics import contains_answer, token_f1
from sharedllm_docs.evaluation.systems.text import FullPrefill

QUESTIONS = Path(__file__).with_name("table_cells.jsonl")
_HEADS = 3  # rows above the first one with figures, at most


def gold_row(path: Path, page: int, question: str, answers: list[str]) -> str | None:
    """The heads of a table and the row that holds an answer, a line each; None where the ground truth has none."""
    best: tuple[int, str] | None = None
    wanted = {table_structure.normalised(answer) for answer in answers}
    for region in ET.parse(path).getroot().iter("region"):
        if int(region.get("page", 1)) != page:
            continue
        rows: dict[int, list[tuple[int, str]]] = {}
        for cell in region.iter("cell"):
            text = " ".join((cell.findtext("content") or "").split())
            rows.setdefault(int(cell.get("start-row", 0)), []).append((int(cell.get("start-col", 0)), text))
        lines = {row: [text for _, text in sorted(cells) if text] for row, cells in rows.items()}
        for row, cells in lines.items():
            if wanted & {table_structure.normalised(text) for text in cells}:
                shared = len(set(terms(question)) & set(terms(" ".join(cells))))
                heads = [" | ".join(lines[n]) for n in sorted(lines) if n < min(row, _HEADS)]
                if best is None or shared > best[0]:
                    best = shared, "\n".join([*heads, " | ".join(cells)])
    return best[1] if best else None


def answered(index: Index, question: dict[str, Any]) -> str:
    return index.ask(question["question"], documents=[question["file"]]).text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=int, default=None, help="ask only so many questions")
    arguments = parser.parse_args()
    llm = SharedLLM.from_pretrained()
    reader = FullPrefill("row", llm, GenerationConfig())
    asked = right = limit = 0
    f1 = limit_f1 = 0.0
    with tempfile.TemporaryDirectory() as folder:
        index = Index.open_or_create(folder, llm)
        for line in QUESTIONS.read_text(encoding="utf-8").splitlines()[: arguments.limit]:
            question = json.loads(line)
            path = arguments.folder / question["file"]
            truth = path.with_name(f"{path.stem}-str.xml")
            if not truth.is_file():
                continue
            row = gold_row(truth, question["page"], question["question"], question["answers"])
            if row is None:
                print(f"{question['id']}: the ground truth has no such cell", flush=True)
                continue
            index.add(path, encode="when-asked")
            given = reader.answer(question["question"], [Document.from_text(row, name="row")]).text
            found = answered(index, question)
            asked += 1
            right += bool(contains_answer(found, question["answers"]))
            limit += bool(contains_answer(given, question["answers"]))
            f1 += token_f1(found, question["answers"])
            limit_f1 += token_f1(given, question["answers"])
            print(f"{question['id']}: {question['answers'][0]!r}, {found!r:.80}, row {given!r:.80}", flush=True)
            scores = f"F1 {f1 / asked:.3f}, {limit_f1 / asked:.3f}"
            print(f"  {asked}: {right} right of the document, {limit} of the row; {scores}", flush=True)


if __name__ == "__main__":
    main()
