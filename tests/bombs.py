"""Small files that unfold into large ones, nest without end, or claim what is not there."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable

from tests.documents import make_pdf, prose

_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_S = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def pdf_of(objects: dict[int, bytes], root: int = 1) -> bytes:
    """A PDF with these objects and a table of them."""
    out, places = bytearray(b"%PDF-1.7\n"), {}
    for number, body in objects.items():
        places[number] = len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 1\n0000000000 65535 f \n"
    for number, place in sorted(places.items()):
        out += b"%d 1\n%010d 00000 n \n" % (number, place)
    out += b"trailer\n<< /Size %d /Root %d 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (max(objects) + 1, root, start)
    return bytes(out)


FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
TEXT = b"BT /F1 10 Tf 72 700 Td (The silo holds forty tonnes of grain.) Tj ET"


def stream(content: bytes, more: bytes = b"", *, packed: bool = False) -> bytes:
    """A stream object."""
    if packed:
        content, more = zlib.compress(content, 9), more + b" /Filter /FlateDecode"
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(content), more, content)


def _page(parent: int, contents: int, resources: bytes = b"/Font << /F1 9 0 R >>") -> bytes:
    return b"<< /Type /Page /Parent %d 0 R /MediaBox [0 0 595 842] /Resources << %s >> /Contents %d 0 R >>" % (
        parent,
        resources,
        contents,
    )


def _one_page(content: bytes, resources: bytes = b"/Font << /F1 9 0 R >>", **more: bytes) -> bytes:
    objects = {
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
        3: _page(2, 4, resources),
        4: content,
        9: FONT,
        **{int(number[1:]): body for number, body in more.items()},
    }
    return pdf_of(objects)


def million_pages() -> bytes:
    """A page tree that names one page a million times."""
    kids = b" ".join([b"3 0 R"] * 1_000_000)
    return pdf_of(
        {
            1: b"<< /Type /Catalog /Pages 2 0 R >>",
            2: b"<< /Type /Pages /Count 1000000 /Kids [%s] >>" % kids,
            3: _page(2, 4),
            4: stream(TEXT),
            9: FONT,
        }
    )


def claimed_pages() -> bytes:
    """A page tree that claims two thousand million pages and has one."""
    return pdf_of(
        {
            1: b"<< /Type /Catalog /Pages 2 0 R >>",
            2: b"<< /Type /Pages /Count 2147483647 /Kids [3 0 R] >>",
            3: _page(2, 4),
            4: stream(TEXT),
            9: FONT,
        }
    )


def doubling_tree() -> bytes:
    """Each node of the page tree names the next one twice: 2 ** 30 pages in thirty objects."""
    objects = {1: b"<< /Type /Catalog /Pages 10 0 R >>", 3: _page(40, 4), 4: stream(TEXT), 9: FONT}
    for level in range(30):
        kid = 11 + level if level < 29 else 3
        objects[10 + level] = b"<< /Type /Pages /Count %d /Kids [%d 0 R %d 0 R] >>" % (1 << (30 - level), kid, kid)
    return pdf_of(objects)


def cyclic_tree() -> bytes:
    """A page tree that is its own child."""
    return pdf_of(
        {
            1: b"<< /Type /Catalog /Pages 2 0 R >>",
            2: b"<< /Type /Pages /Count 2 /Kids [2 0 R 3 0 R] >>",
            3: _page(2, 4),
            4: stream(TEXT),
            9: FONT,
        }
    )


def deep_tree(depth: int = 20_000) -> bytes:
    """A page below twenty thousand nodes."""
    objects = {1: b"<< /Type /Catalog /Pages 10 0 R >>", 3: _page(9 + depth, 4), 4: stream(TEXT), 9: FONT}
    for level in range(depth):
        kid = 11 + level if level < depth - 1 else 3
        objects[10 + level] = b"<< /Type /Pages /Count 1 /Kids [%d 0 R] >>" % kid
    return pdf_of(objects)


def recursive_form() -> bytes:
    """A form that draws itself."""
    form = stream(
        TEXT + b" /X1 Do",
        b"/Type /XObject /Subtype /Form /BBox [0 0 595 842] "
        b"/Resources << /XObject << /X1 5 0 R >> /Font << /F1 9 0 R >> >>",
    )
    return _one_page(stream(b"/X1 Do"), b"/Font << /F1 9 0 R >> /XObject << /X1 5 0 R >>", n5=form)


def doubling_forms(depth: int = 24) -> bytes:
    """Each form draws the next one twice: 2 ** 24 drawings."""
    objects = {}
    for level in range(depth):
        inside = b"/X1 Do /X1 Do" if level < depth - 1 else TEXT
        more = b"/XObject << /X1 %d 0 R >>" % (21 + level)
        objects[f"n{20 + level}"] = stream(
            inside,
            b"/Type /XObject /Subtype /Form /BBox [0 0 595 842] /Resources << /Font << /F1 9 0 R >> %s >>" % more,
        )
    return _one_page(stream(b"/X1 Do"), b"/Font << /F1 9 0 R >> /XObject << /X1 20 0 R >>", **objects)


def packed_stream(size: int = 1 << 30) -> bytes:
    """A content stream of a gigabyte of blanks, packed a thousand times."""
    packer = zlib.compressobj(9)
    block = b" " * (1 << 20)
    body = b"".join([packer.compress(TEXT), *(packer.compress(block) for _ in range(size >> 20)), packer.flush()])
    return _one_page(b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(body), body))


def packed_again(times: int = 12) -> bytes:
    """A stream packed twelve times over."""
    body = TEXT + b" " * 10_000_000
    for _ in range(times):
        body = zlib.compress(body, 9)
    filters = b"[" + b" /FlateDecode" * times + b" ]"
    return _one_page(b"<< /Length %d /Filter %s >>\nstream\n%s\nendstream" % (len(body), filters, body))


def outline(count: int = 100_000, *, nested: bool = False) -> bytes:
    """A hundred thousand entries of an outline, one after another or each inside the one before."""
    objects = {
        1: b"<< /Type /Catalog /Pages 2 0 R /Outlines 8 0 R >>",
        2: b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
        3: _page(2, 4),
        4: stream(TEXT),
        8: b"<< /Type /Outlines /First 10 0 R /Last %d 0 R /Count %d >>" % (9 + count, count),
        9: FONT,
    }
    for number in range(count):
        link = b"" if number == count - 1 else b"/%s %d 0 R" % (b"First" if nested else b"Next", 11 + number)
        objects[10 + number] = b"<< /Title (Entry %d) /Parent 8 0 R /Dest [3 0 R /Fit] %s >>" % (number, link)
    return pdf_of(objects)


def huge_page() -> bytes:
    """A page of a million points across, to be drawn."""
    return make_pdf([prose(1)]).replace(b"[0 0 595 842]", b"[0 0 1e7 1e7]")


def picture_of(width: int, height: int) -> bytes:
    """A PNG that claims these pixels and holds almost nothing."""
    import struct

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * min(width * height * 3, 50_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def many_frames(count: int = 3000) -> bytes:
    """A TIFF whose pages are one page, named again and again in a circle."""
    from PIL import Image

    out = io.BytesIO()
    images = [Image.new("1", (200, 200), 1) for _ in range(count)]
    images[0].save(out, "TIFF", save_all=True, append_images=images[1:])
    return out.getvalue()


def packed(parts: dict[str, bytes]) -> bytes:
    """A zip archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in parts.items():
            archive.writestr(name, body)
    return out.getvalue()


def replaced(data: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    """The archive with one member changed."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    return packed({**parts, name: change(parts[name])})


LAUGHS = b"""<!DOCTYPE lolz [<!ENTITY a "ha">%s]>""" % b"".join(
    b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(12)
)
"""Billion laughs: the last of its entities stands for 10 ** 12 words."""


def quoted_mail(depth: int = 1000) -> bytes:
    """An e-mail in an e-mail, a thousand deep."""
    inner = b"From: a@b.example\nSubject: innermost\n\nThe silo holds forty tonnes.\n"
    for _ in range(depth):
        inner = b"From: a@b.example\nSubject: outer\nMIME-Version: 1.0\nContent-Type: message/rfc822\n\n" + inner
    return inner


def nested_parts(depth: int = 1000) -> bytes:
    """Parts in parts, a thousand deep."""
    head = b"From: a@b.example\nSubject: parts\nMIME-Version: 1.0\n"
    body = b"Content-Type: text/plain\n\nThe silo holds forty tonnes.\n"
    for level in range(depth):
        body = b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n%s\n--b%d--\n' % (level, level, body, level)
    return head + body


def nested_zip(depth: int = 12) -> bytes:
    """An archive in an archive in an archive."""
    data = packed({"a.txt": b"The silo."})
    for level in range(depth):
        data = packed({f"{level}.zip": data})
    return data


def doubling_zip(depth: int = 5, wide: int = 16) -> bytes:
    """Sixteen archives in each archive, five deep, of ten megabytes of blanks."""
    data = packed({"a.txt": b" " * 10_000_000})
    for _ in range(depth):
        data = packed({f"{number}.zip": data for number in range(wide)})
    return data
