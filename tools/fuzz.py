"""Feeds mutated files to the readers: the outcome must be a document or a typed error, within time and memory.

Seeds are small files of each format, made here, and those of a folder that you name. Each is changed in one of several
ways: bits, bytes, runs of bytes cut, repeated or swapped, numbers made huge, pieces of other seeds put in; for packed
formats also inside the archive, for PDF inside its streams. The file is read as anybody reads it, in a process of its
own, which this program watches: an exception that is no ``DocumentError``, or a warning that is no ``DocumentWarning``,
is a failure, as is more time than the limits allow. A crash of that process, too much time or memory of a page are
counted (``process_failures``): it is there for that. So are errors that no reader foresaw (``unforeseen``), which are
``DocumentError``s all the same; the first of each kind is kept, too.

    python tools/fuzz.py --formats pdf,docx --count 1000 --seed 7      # mutations of each format
    python tools/fuzz.py --seconds 600                                 # all formats, until the time is over
    python tools/fuzz.py --replay .cache/fuzz/pdf-7-123.pdf            # reads a kept file again, loudly

Failures are kept in ``--out`` (default ``.cache/fuzz``), named by format, seed and number. One line of JSON at the end.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import random
import re
import sys
import time
import traceback
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

# ruff: noqa: E402
from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.readers import ReadOptions, read_document
from sharedllm_docs.errors import DocumentError, DocumentWarning

PACKED = ("docx", "pptx", "xlsx", "epub", "zip")
PAGE_SECONDS, MAX_MEMORY = 10.0, 1 << 30
_SLOW = 3  # times the limit of a page and of what is around it, from which a file is a failure
_UNFORESEEN = re.compile(r"reader failed \((.*)\)")
_CRASHED = re.compile(r"it (?:crashed|took longer|took more)")
_TOKENS = (b"<<", b">>", b"obj", b"endobj", b"stream", b"/Kids", b"<w:p>", b"</w:p>", b"<table>", b"<div>", b"&#x41;")
_HUGE = (b"0", b"-1", b"65536", b"2147483647", b"4294967296", b"99999999999999999999", b"1e309")


# -- seeds


def text_seeds() -> dict[str, list[bytes]]:
    """Small files of the formats that are text."""
    table = "<table><tr><th colspan=2>Head<th>B</tr><tr><td rowspan=2>1<td>2<td>3</tr></table>"
    html = (
        "<!DOCTYPE html><html><head><title>Tide</title></head><body><h1>Tide</h1><p>High &amp; low<sup>2</sup>. "
        f"{table}"
        "<ol start=3 reversed><li>One<li>Two<ul><li>Three</ul></ol><pre>a  b</pre><math><mi>x</mi></math>"
        "<p style='display:none'>hidden</p><del>old</del></body></html>"
    )
    markdown = (
        "---\ntitle: Tide\ncontact: {phone: 12}\n---\n# Tide\n\n- one\n  - two\n\n> quoted\n\n| a | b |\n"
        "|---|---|\n| 1 | 2 |\n\n```py\nx = 1\n```\n\n[link](http://a.example) **bold** $x^2$ "
        "<b>html</b>\n\nTerm[^1]\n\n[^1]: note\n"
    )
    part = "--x\nContent-Type: text/html; charset=utf-8\n\n<p>Hello</p>\n"
    attached = (
        "--x\nContent-Disposition: attachment; filename*=utf-8''a%20b.csv\nContent-Transfer-Encoding: base64\n\nYSxi\n"
    )
    mail = (
        "From: =?utf-8?q?J=C3=B6rg?= <a@b.example>\nTo: c@d.example\nSubject: Tide\n"
        "Date: Mon, 1 Jan 2024 10:00:00 +0000\n"
        f'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="x"\n\n{part}{attached}--x--\n'
    )
    rtf = (
        r"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}{\b Tide}\par High \u233? low\'e9"
        r"\trowd\cellx100 1\cell 2\cell\row{\*\shppict{\pict\pngblip 89504e470d0a}}{\nonshppict{\pict\wmetafile8 01}}}"
    )
    drawing = (
        "<?xml version='1.0'?><!DOCTYPE svg [<!ENTITY tide 'Tide'>]><svg xmlns='http://www.w3.org/2000/svg'>"
        "<text y='1'>&tide;<tspan x='0' y='2'>High</tspan><tspan x='9' y='2'>low</tspan></text><switch><foreignObject>"
        "<p>Harbour</p></foreignObject><text>H</text></switch><image href='data:image/png;base64,iVBORw0K'/></svg>"
    )
    return {
        "html": [html.encode()],
        "markdown": [markdown.encode()],
        "text": ["First page.\n\fSecond päge.\n".encode(), "Grüße aus Köln. ".encode("utf-16")],
        "csv": [b'town,people,note\nOln,"1,200","a ""b"""\nBrel,80,\n', b"a;b\n1;2\n"],
        "rtf": [rtf.encode()],
        "svg": [drawing.encode(), gzip.compress(drawing.encode(), mtime=0)],
        "eml": [mail.encode()],
    }


def packed_seeds() -> dict[str, list[bytes]]:
    """Small office files and books, where the libraries that write them are there."""
    from tests.test_readers_office import samples

    found: dict[str, list[bytes]] = {}
    for name, data in dict(samples()).items():
        found.setdefault(name.rpartition(".")[2], []).append(data)
    found["epub"] = [_book()]
    return {kind: found[kind] for kind in PACKED if kind in found}


def _book() -> bytes:
    out = io.BytesIO()
    chapter = "<html xmlns='http://www.w3.org/1999/xhtml'><body><h1>Tide</h1><p>High and low.</p></body></html>"
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("mimetype", "application/epub+zip")
        book.writestr(
            "META-INF/container.xml",
            "<container xmlns='urn:oasis:names:tc:opendocument:xmlns:container'><rootfiles><rootfile full-path='a.opf' "
            "media-type='application/oebps-package+xml'/></rootfiles></container>",
        )
        book.writestr(
            "a.opf",
            "<package xmlns='http://www.idpf.org/2007/opf' version='3.0'><metadata/><manifest>"
            "<item id='c' href='c.xhtml' media-type='application/xhtml+xml'/></manifest>"
            "<spine><itemref idref='c'/></spine></package>",
        )
        book.writestr("c.xhtml", chapter)
    return out.getvalue()


def pdf_seeds() -> list[bytes]:
    """Small PDF files: with an outline, with fields, with object streams, with a picture, encrypted."""
    from tests.documents import PICTURE, encrypt, make_pdf, packed, prose

    pages = [prose(1), prose(2), (PICTURE,)]
    plain = make_pdf(pages, outline=[("One", 1, 1), ("Two", 2, 2)], labels="<< /Nums [0 << /S /r >>] >>")
    return [plain, packed(plain), make_pdf(pages, info={"Title": "T"}), encrypt(plain, "")]


def picture_seeds() -> list[bytes]:
    """The same small picture of text in every format that is read."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (160, 40), "white")
    ImageDraw.Draw(image).text((8, 12), "High tide 4850", fill="black")
    found = []
    for kind in ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF"):
        out = io.BytesIO()
        image.save(out, kind)
        found.append(out.getvalue())
    return found


_PICTURE_SUFFIX = {
    b"\x89PNG": "png",
    b"\xff\xd8\xff": "jpg",
    b"II*\0": "tif",
    b"BM": "bmp",
    b"RIFF": "webp",
    b"GIF8": "gif",
}


def seeds(formats: Sequence[str], folder: Path | None) -> dict[str, list[bytes]]:
    """Seeds by format; those of a folder join the ones made here by their suffix."""
    made = {**text_seeds(), **packed_seeds(), "pdf": pdf_seeds(), "picture": picture_seeds()}
    found = {kind: list(made[kind]) for kind in (formats or sorted(made)) if kind in made}
    names = {"md": "markdown", "txt": "text", "htm": "html"}
    for path in sorted(folder.rglob("*")) if folder else []:
        kind = names.get(path.suffix[1:].lower(), path.suffix[1:].lower())
        if path.is_file() and kind in found and path.stat().st_size < 300_000:
            found[kind].append(path.read_bytes())
    return found


# -- mutations


def mutate(data: bytes, kind: str, others: Sequence[bytes], chance: random.Random) -> bytes:
    """The file, changed in one to four places, in its packed parts where it has any."""
    if kind in PACKED and chance.random() < 0.8:
        return _inside_archive(data, others, chance)
    if kind == "pdf" and chance.random() < 0.5:
        data = _inside_streams(data, others, chance)
    for _ in range(chance.randint(1, 4)):
        data = _changed(data, others, chance)
    return data


def _changed(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    if not data:
        return bytes(chance.randrange(256) for _ in range(8))
    at = chance.randrange(len(data))
    length = min(len(data) - at, 1 << chance.randrange(0, 10))
    how = chance.randrange(9)
    out = bytearray(data)
    if how == 0:
        out[at] ^= 1 << chance.randrange(8)
    elif how == 1:
        out[at : at + length] = bytes(chance.randrange(256) for _ in range(length))
    elif how == 2:
        del out[at : at + length]
    elif how == 3:
        out[at:at] = bytes(out[at : at + length]) * chance.choice((1, 2, 50))
    elif how == 4:
        return data[:at]
    elif how == 5:
        out[at:at] = chance.choice(_TOKENS)
    elif how == 6:
        other = chance.choice(others)
        start = chance.randrange(len(other) or 1)
        out[at : at + length] = other[start : start + chance.randint(1, 400)]
    else:
        numbers = list(re.finditer(rb"\d+", data[:200_000]))
        if numbers:
            number = chance.choice(numbers)
            out[number.start() : number.end()] = chance.choice(_HUGE)
    return bytes(out)


def _inside_archive(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """One member is changed, renamed, left out or stands twice; the archive itself is whole."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    except Exception:  # a seed that was cut: changed as bytes
        return _changed(data, others, chance)
    at = chance.randrange(len(parts))
    name, content = parts[at]
    how = chance.randrange(10)
    if how == 0:
        del parts[at]
    elif how == 1:
        parts.append((name, content))
    elif how == 2:
        parts[at] = (chance.choice(("../x.xml", "/etc/passwd", name.upper(), name + "x")), content)
    elif how == 3:
        parts[at] = (name, chance.choice(parts)[1])
    else:
        for _ in range(chance.randint(1, 4)):
            content = _changed(content, [content, *(part for _name, part in parts)], chance)
        parts[at] = (name, content)
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")  # of names that stand twice
        for path, content in parts:
            entry = zipfile.ZipInfo(path)  # of one date, whenever it is made
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return out.getvalue()


def _inside_streams(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """One stream of a PDF is unpacked, changed and packed again; its length is made to fit or left wrong."""
    found = list(re.finditer(rb"/Length (\d+)([^>]*)>>\s*stream\r?\n", data))
    if not found:
        return data
    head = chance.choice(found)
    length = int(head[1])
    body = data[head.end() : head.end() + length]
    try:
        plain, packed = zlib.decompress(body), True
    except zlib.error:
        plain, packed = body, False
    for _ in range(chance.randint(1, 3)):
        plain = _changed(plain, others, chance)
    body = zlib.compress(plain) if packed else plain
    written = len(body) if chance.random() < 0.8 else length
    start, end = head.span(1)
    return data[:start] + b"%d" % written + data[end : head.end()] + body + data[head.end() + length :]


# -- running


@dataclass
class Outcome:
    """What became of the files of one format."""

    files: int = 0
    documents: int = 0
    told: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    unforeseen: Counter[str] = field(default_factory=Counter)
    process_failures: int = 0
    slowest: float = 0.0
    failures: list[str] = field(default_factory=list)
    keep: str = ""

    def to_json(self) -> dict[str, Any]:
        values = {name: value for name, value in vars(self).items() if name != "keep"}
        return {**values, "slowest": round(self.slowest, 2)}


class Failure(Exception):  # noqa: N818 - what this program looks for
    """The readers did what they must not do."""


def name_of(kind: str, data: bytes, number: str) -> str:
    """A file name whose suffix claims the format."""
    suffix = (
        next((s for head, s in _PICTURE_SUFFIX.items() if data.startswith(head)), "png") if kind == "picture" else kind
    )
    return f"{number}.{ {'markdown': 'md', 'text': 'txt'}.get(suffix, suffix) }"


OPTIONS = ReadOptions(process="separate", page_seconds=PAGE_SECONDS, max_memory=MAX_MEMORY, max_pages=200)


def recognise_nothing() -> None:
    """Pictures are decoded and drawn as always, and a stand-in recognises the same line in each: OCR takes seconds."""
    from sharedllm_docs.documents.readers.ocr import engines
    from sharedllm_docs.documents.readers.separate import process

    engines.only("fake-1")
    start = "from tests.failing_engines import pretend; from sharedllm"
    process._START = process._START.replace("from sharedllm", start, 1).replace("main()", "pretend(); main()")


def try_file(data: bytes, name: str, outcome: Outcome) -> None:
    """Read one file and count what became of it. Raises Failure."""
    outcome.files += 1
    began = time.monotonic()
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            document = read_document(data, name=name, options=OPTIONS)
    except DocumentError as error:
        outcome.errors[type(error).__name__] += 1
        outcome.process_failures += bool(_CRASHED.search(error.message))
        if "no answer" in error.message:
            raise Failure(error.message) from error
        unforeseen = _UNFORESEEN.search(error.message)
        if unforeseen:  # an error of the right kind all the same, that says less than it could
            what = re.sub(r"\d+", "N", unforeseen[1])[:80]
            outcome.unforeseen[what] += 1
            if outcome.unforeseen[what] == 1:
                outcome.keep = what
    except BaseException as error:
        raise Failure(f"{type(error).__name__}: {error}\n{traceback.format_exc()}") from error
    else:
        _check(document, caught)
        outcome.documents += 1
        outcome.told += bool(document.issues)
        outcome.process_failures += any(_CRASHED.search(issue.message) for issue in document.issues)
    seconds = time.monotonic() - began
    outcome.slowest = max(outcome.slowest, seconds)
    if seconds > _SLOW * PAGE_SECONDS * 5:
        raise Failure(f"it took {seconds:.0f} s")


def _check(document: Document, caught: Sequence[warnings.WarningMessage]) -> None:
    foreign = [one for one in caught if not isinstance(one.message, DocumentWarning)]
    if foreign:
        raise Failure(f"a warning of another kind: {foreign[0].message}")
    if [page.number for page in document.pages] != sorted({page.number for page in document.pages}):
        raise Failure("page numbers do not ascend")
    length = len(document.text)
    if any(not 0 <= section.char <= length for section in document.sections):
        raise Failure("a section lies outside the text")
    for page in document.pages:
        if any(not 0 <= start <= end <= len(page.text) for start, end in page.repeats):
            raise Failure("repeated text lies outside its page")


def numbers(count: int | None, until: float) -> Iterator[int]:
    """0, 1, …, until there are enough or the time is over."""
    number = 0
    while (count is None or number < count) and time.monotonic() < until:
        yield number
        number += 1


def run(
    formats: Sequence[str],
    *,
    count: int | None,
    seconds: float,
    seed: int,
    out: Path,
    folder: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Outcome]:
    """Mutations of each format in turn; ``count`` of each, or as many as ``seconds`` allow."""
    found = seeds(formats, folder)
    outcomes = {kind: Outcome() for kind in found}
    until = time.monotonic() + seconds
    for number in numbers(count, until):
        for kind, given in found.items():
            chance = random.Random(f"{kind} {seed} {number}")
            data = mutate(chance.choice(given), kind, given, chance)
            name = name_of(kind, data, f"{kind}-{seed}-{number}")
            outcome = outcomes[kind]
            try:
                try_file(data, name, outcome)
            except Failure as failure:
                outcome.failures.append(name)
                outcome.keep = str(failure)
            if outcome.keep:
                out.mkdir(parents=True, exist_ok=True)
                (out / name).write_bytes(data)
                say(f"{name}: {outcome.keep}")
                outcome.keep = ""
        if number and number % 100 == 0:
            say(f"{number} of each; failures: {sum(len(one.failures) for one in outcomes.values())}")
    return outcomes


def replay(paths: Sequence[Path]) -> bool:
    """Read kept files again and say what becomes of them; whether all is well."""
    well = True
    for path in paths:
        outcome = Outcome()
        try:
            try_file(path.read_bytes(), path.name, outcome)
            print(f"{path.name}: {json.dumps(outcome.to_json())}")
        except Failure as failure:
            well = False
            print(f"{path.name}: {failure}")
    return well


def main() -> None:
    """Fuzz or replay; exits with 1 where something failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--formats", default="", help="comma-separated; all of them by default")
    parser.add_argument("--count", type=int, help="files of each format")
    parser.add_argument("--seconds", type=float, default=600.0, help="time in all, where no count is given")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=Path, help="folder with more seeds")
    parser.add_argument("--ocr", action="store_true", help="recognise pictures with the engine that is installed")
    parser.add_argument("--out", type=Path, default=Path(".cache/fuzz"))
    parser.add_argument("--replay", type=Path, nargs="+")
    given = parser.parse_args()
    if not given.ocr:
        recognise_nothing()
    if given.replay:
        sys.exit(0 if replay(given.replay) else 1)
    outcomes = run(
        [one for one in given.formats.split(",") if one],
        count=given.count,
        seconds=given.seconds if given.count is None else 1e9,
        seed=given.seed,
        out=given.out,
        folder=given.seeds,
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    print(json.dumps({"seed": given.seed, **{kind: one.to_json() for kind, one in outcomes.items()}}))
    sys.exit(1 if any(one.failures for one in outcomes.values()) else 0)


if __name__ == "__main__":
    main()
