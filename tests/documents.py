"""Good and bad sample files, built in memory: small PDFs written by hand, so that every byte is known."""

from __future__ import annotations

import io
import zlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pypdf

R_INTRO = Path(__file__).parent.parent / "examples" / "R-intro.pdf"

PICTURE = "<picture>"  # a page of this one line is a picture without text
BLANK: tuple[str, ...] = ()

_FRUIT = (
    *("apple", "pear", "plum", "quince", "cherry", "grape"),
    *("melon", "lemon", "fig", "date", "olive", "almond"),
)


def make_pdf(
    pages: Sequence[Sequence[str]],
    *,
    outline: Sequence[tuple[str, int, int]] = (),
    info: Mapping[str, str] | None = None,
    labels: str = "",
    broken: Collection[int] = (),
    missing: Collection[int] = (),
    count: int | None = None,
    compress: bool = False,
) -> bytes:
    """A PDF of text lines.

    Args:
        pages: lines of each page. A line that starts with a grave accent is set in Courier, without the accent, and
            indented by position (not by space characters), as typesetting programs do.
        outline: (title, level, page number).
        info: metadata such as ``{"Title": "..."}``.
        labels: the inside of a /Nums array.
        broken: pages whose content stream is not what its filter says.
        missing: pages that the page tree names but that are not there.
        count: a forged page count.
        compress: deflate the content streams.
    """
    objects: dict[int, bytes] = {}
    first_page = 5
    kids = " ".join(f"{first_page + 2 * i} 0 R" for i in range(len(pages)))
    objects[2] = f"<< /Type /Pages /Kids [{kids}] /Count {len(pages) if count is None else count} >>".encode()
    objects[3] = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
    objects[4] = b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>"
    for number, lines in enumerate(pages, start=1):
        position = first_page + 2 * (number - 1)
        if number in missing:
            continue
        objects[position] = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {position + 1} 0 R "
            "/Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> >>"
        ).encode()
        objects[position + 1] = _stream(_content(lines), broken=number in broken, compress=compress)
    following = first_page + 2 * len(pages)
    outlines = _outline(outline, following, first_page)
    objects.update(outlines)
    extras = f"/Outlines {following} 0 R" if outline else ""
    extras += f" /PageLabels << /Nums [{labels}] >>" if labels else ""
    objects[1] = f"<< /Type /Catalog /Pages 2 0 R {extras} >>".encode()
    return _file(objects, info or {})


def drawn_pdf(
    contents: Sequence[str],
    *,
    page: str = "",
    catalog: str = "",
    extra: Mapping[int, bytes] | None = None,
    info: Mapping[str, str] | None = None,
) -> bytes:
    """A PDF of pages whose content streams are given, for what ``make_pdf`` cannot draw.

    Args:
        contents: content stream of each page; fonts are /F1 (Helvetica), /F2 (Courier)
            and /F3, whose exclamation mark is a fraction bar.
        page: further entries of every page's dictionary, such as a crop box.
        catalog: further entries of the catalogue.
        extra: further objects, by their numbers (from 100 on, to be safe).
        info: metadata.
    """
    kids = " ".join(f"{5 + 2 * i} 0 R" for i in range(len(contents)))
    objects: dict[int, bytes] = {
        1: f"<< /Type /Catalog /Pages 2 0 R {catalog} >>".encode(),
        2: f"<< /Type /Pages /Kids [{kids}] /Count {len(contents)} >>".encode(),
        3: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        4: b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>",
        98: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding << /Differences [33 /fraction] >> >>",
        **(extra or {}),
    }
    for number, content in enumerate(contents):
        objects[5 + 2 * number] = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {6 + 2 * number} 0 R "
            f"/Resources << /Font << /F1 3 0 R /F2 4 0 R /F3 98 0 R >> >> {page} >>"
        ).encode()
        objects[6 + 2 * number] = _stream(content.encode("cp1252"), broken=False, compress=False)
    return _file(objects, info or {})


def put(text: str, x: float = 72, y: float = 780, size: float = 10, more: str = "") -> str:
    """Content that prints ``text`` at a place; ``more`` holds operators before it, such as ``3 Tr``."""
    return f"q BT /F1 {size} Tf 1 0 0 1 {x} {y} Tm {more} ({text}) Tj ET Q\n"


SCAN = "q 595 0 0 842 0 0 cm BI /W 1 /H 1 /BPC 8 /CS /G ID z EI Q\n"


def _content(lines: Sequence[str]) -> bytes:
    if tuple(lines) == (PICTURE,):
        return b"q 200 0 0 200 72 500 cm BI /W 1 /H 1 /BPC 8 /CS /G ID \x80 EI Q"
    parts = []
    for row, line in enumerate(lines):
        code = line.startswith("`")
        text = line.lstrip("`")
        indent = (len(text) - len(text.lstrip(" "))) * 6 if code else 0
        escaped = text.lstrip(" ").replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        parts.append(f"BT /{'F2' if code else 'F1'} 10 Tf 1 0 0 1 {72 + indent} {780 - 14 * row} Tm ({escaped}) Tj ET")
    return "\n".join(parts).encode("cp1252")


def _stream(content: bytes, *, broken: bool, compress: bool) -> bytes:
    if broken:
        return b"<< /Length 14 /Filter /FlateDecode >>\nstream\nnot deflate at\nendstream"
    data, extra = (zlib.compress(content), b" /Filter /FlateDecode") if compress else (content, b"")
    return b"<< /Length %d%s >>\nstream\n%s\nendstream" % (len(data), extra, data)


def _outline(entries: Sequence[tuple[str, int, int]], first: int, first_page: int) -> dict[int, bytes]:
    """The outline dictionary as object ``first`` and its items behind it."""
    if not entries:
        return {}
    numbers = [first + 1 + i for i in range(len(entries))]
    parents: list[int] = []
    for index, (_, level, _) in enumerate(entries):
        above = [i for i in range(index) if entries[i][1] == level - 1]
        parents.append(numbers[above[-1]] if above else first)

    def children(parent: int) -> list[int]:
        return [number for number, owner in zip(numbers, parents, strict=True) if owner == parent]

    def ends(parent: int) -> str:
        below = children(parent)
        return f"/First {below[0]} 0 R /Last {below[-1]} 0 R /Count {len(below)}" if below else ""

    objects = {first: f"<< /Type /Outlines {ends(first)} >>".encode()}
    for index, (title, _, page) in enumerate(entries):
        siblings = children(parents[index])
        place = siblings.index(numbers[index])
        links = f"/Prev {siblings[place - 1]} 0 R" if place else ""
        links += f" /Next {siblings[place + 1]} 0 R" if place + 1 < len(siblings) else ""
        coded = title.encode("utf-16").hex() if not title.isascii() else title.encode().hex()
        target = f"/Dest [{first_page + 2 * (page - 1)} 0 R /XYZ 0 800 0]"
        body = f"<< /Title <{coded}> /Parent {parents[index]} 0 R {target} {links} {ends(numbers[index])} >>"
        objects[numbers[index]] = body.encode()
    return objects


def _file(objects: Mapping[int, bytes], info: Mapping[str, str]) -> bytes:
    table = dict(objects)
    information = max(table) + 1
    table[information] = ("<< " + " ".join(f"/{key} ({value})" for key, value in info.items()) + " >>").encode()
    out, offsets = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"), {}
    for number, body in sorted(table.items()):
        offsets[number] = len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start, size = len(out), max(table) + 1
    out += b"xref\n0 %d\n0000000000 65535 f \n" % size
    for number in range(1, size):
        out += b"%010d 00000 n \n" % offsets[number] if number in offsets else b"0000000000 00000 f \n"
    out += b"trailer\n<< /Size %d /Root 1 0 R /Info %d 0 R >>\n" % (size, information)
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % start)


def encrypt(pdf: bytes, password: str, algorithm: str = "AES-256") -> bytes:
    """The same PDF, which opens with ``password`` only."""
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf))
    writer.encrypt(user_password=password, owner_password="owner " + password, algorithm=algorithm)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def packed(pdf: bytes) -> bytes:
    """The same PDF with its objects in compressed object streams and a cross-reference stream (PDF 1.5)."""
    reader = pypdf.PdfReader(io.BytesIO(pdf))
    numbers = [n for n in range(1, int(str(reader.trailer["/Size"]))) if b"\n%d 0 obj" % n in pdf]
    bodies = {n: pdf.split(b"\n%d 0 obj\n" % n, 1)[1].split(b"\nendobj", 1)[0] for n in numbers}
    plain = {n: body for n, body in bodies.items() if b"stream\n" in body}
    inner = {n: body for n, body in bodies.items() if n not in plain}
    places, joined = [], b""
    for number, body in inner.items():
        places.append(b"%d %d" % (number, len(joined)))
        joined += body + b"\n"
    head = b" ".join(places) + b"\n"
    content = zlib.compress(head + joined)
    out, table = bytearray(b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n"), {}
    for number, body in plain.items():
        table[number] = (1, len(out), 0)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    holder, index = max(numbers) + 1, max(numbers) + 2
    table.update({number: (2, holder, place) for place, number in enumerate(inner)})
    table[holder] = (1, len(out), 0)
    dictionary = b"<< /Type /ObjStm /N %d /First %d /Length %d /Filter /FlateDecode >>"
    out += b"%d 0 obj\n" % holder + dictionary % (len(inner), len(head), len(content))
    out += b"\nstream\n" + content + b"\nendstream\nendobj\n"
    start = len(out)
    table[index] = (1, start, 0)
    rows = b"".join(
        bytes([kind]) + first.to_bytes(4, "big") + second.to_bytes(2, "big")
        for kind, first, second in (table.get(n, (0, 0, 0)) for n in range(index + 1))
    )
    out += b"%d 0 obj\n<< /Type /XRef /Size %d /W [1 4 2] /Root 1 0 R /Length %d >>\nstream\n" % (
        index,
        index + 1,
        len(rows),
    )
    return bytes(out + rows + b"\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n" % start)


def prose(page: int, lines: int = 8) -> list[str]:
    """Lines of words that differ from page to page, so that none of them looks like a running header."""
    chosen = [(_FRUIT[(page * 5 + i) % 12], _FRUIT[(page + i * 7) % 12]) for i in range(lines)]
    return [f"The {one} of row {i} and page {page} is {other}." for i, (one, other) in enumerate(chosen)]
