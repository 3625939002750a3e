"""Tesseract, run as a program: where the extra ``ocr`` is missing and it is installed."""

from __future__ import annotations

import csv
import io
import statistics
import subprocess
from functools import cache
from typing import Any

from sharedllm_docs.documents.readers.ocr.recognised import Line, Recognised, Word, with_words
from sharedllm_docs.documents.traced import joined

_SECONDS = 120  # for one picture
_PROGRAM = "tesseract"


def _run(*arguments: str, picture: bytes = b"") -> str:
    """What the program prints; "" if it fails."""
    try:
        done = subprocess.run([_PROGRAM, *arguments], input=picture, capture_output=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""


@cache
def program_version() -> str:
    """The program's version, "" where it does not run."""
    words = _run("--version").split()
    return words[1] if len(words) > 1 else ""


@cache
def _languages() -> str:
    """All installed languages, English first."""
    names = [name for name in _run("--list-langs").split("\n")[1:] if name.strip() and name.strip() != "osd"]
    return "+".join(sorted(names, key=lambda name: (name != "eng", name))) or "eng"


class TesseractEngine:
    """The program with the languages that are installed.

    Args:
        name: with its version.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def recognise(self, picture: Any) -> Recognised:
        """See ``Engine``; the program turns pages by itself where its data for orientation are installed."""
        from PIL import Image

        file = io.BytesIO()
        Image.fromarray(picture).save(file, format="PNG")
        arguments = ("stdin", "stdout", "-l", _languages(), "--psm", "1", "tsv")
        table = _run(*arguments, picture=file.getvalue())
        if not table:  # no data for orientation
            table = _run(*arguments[:-2], "3", "tsv", picture=file.getvalue())
        return _read(table)


def _read(table: str) -> Recognised:
    """Lines from the program's table, in its order, which knows columns."""
    lines: dict[tuple[str, ...], list[Word]] = {}
    for row in csv.DictReader(io.StringIO(table), delimiter="\t", quoting=csv.QUOTE_NONE):
        text, confidence = (row.get("text") or "").strip(), float(row.get("conf") or -1)
        if not text or confidence < 0:
            continue
        left, top, width, height = (float(row[name]) for name in ("left", "top", "width", "height"))
        place = tuple(row[name] for name in ("block_num", "par_num", "line_num"))
        lines.setdefault(place, []).append(Word(text, (left, top, left + width, top + height), confidence / 100))
    made, parts, before = list[Line](), list[str](), None
    for place, words in lines.items():
        box = (
            min(w.box[0] for w in words),
            min(w.box[1] for w in words),
            max(w.box[2] for w in words),
            max(w.box[3] for w in words),
        )
        texts, first = [word.text for word in words], sum(len(line.words) for line in made)
        text = with_words(" ".join(texts), texts, first)
        made.append(Line(tuple(words), box, text, statistics.fmean(word.confidence for word in words)))
        parts += ["", text] if before not in (None, place[:2]) else [text]
        before = place[:2]
    return Recognised(tuple(made), joined("\n", parts), rows=tuple((line.box[1], line.box[3]) for line in made))
