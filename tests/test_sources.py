"""Sources and boxes in an index: kept, found, shared, checked, taken out; and documents that earlier versions read."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

from sharedllm_docs import Box, BoxesMissingError, Index, SourceMissingError
from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.page_image import MAX_PIXELS
from sharedllm_docs.documents.readers import read_document
from sharedllm_docs.errors import (
    ConfigError,
    DamagedIndexError,
    DiskBudgetError,
    DocumentError,
    DocumentNotFoundError,
    EncryptedDocumentError,
    PageRangeError,
)
from sharedllm_docs.model.shared_llm import SharedLLM
from sharedllm_docs.store.canonical import seal, unseal
from sharedllm_docs.store.tensorfile import encode_tensors
from tests.documents import drawn_pdf, encrypt, make_pdf, prose, put

PDF = make_pdf([prose(1, 20), prose(2, 20)])
QUESTION = "Which fruit is named in row 3 of page 2?"


@pytest.fixture
def pond(tmp_path: Path) -> Path:
    path = tmp_path / "pond.pdf"
    path.write_bytes(PDF)
    return path


@pytest.fixture
def index(tmp_path: Path, llm: SharedLLM) -> Index:
    return Index.create(tmp_path / "index", llm)


def sources(index: Index) -> dict[str, bytes]:
    folder = Path(str(index.url))
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted((folder / "sources").rglob("*"))
        if path.is_file()
    }


def manifest(index: Index, name: str) -> Path:
    return Path(str(index.url)) / "documents" / index.find_key(name) / "manifest.json"


def rewrite(index: Index, name: str, **changes: Any) -> None:
    path = manifest(index, name)
    path.write_bytes(seal({**unseal(path.read_bytes()), **changes}))


def as_schema_3(index: Index, name: str) -> None:
    """The document as an earlier version wrote it: no boxes, no source."""
    path = manifest(index, name)
    fields = unseal(path.read_bytes())
    path.with_name(fields["files"].pop("boxes")["name"]).unlink()
    del fields["source_bytes"], fields["source_path"]
    path.write_bytes(seal({**fields, "schema": 3}))
    head = path.parents[2] / "index.json"
    head.write_bytes(seal({**unseal(head.read_bytes()), "schema": 3}))
    shutil.rmtree(path.parents[2] / "sources")


# -- boxes ---------------------------------------------------------------------------------------------------------


def test_every_citation_has_boxes_on_its_pages(index: Index, pond: Path, llm: SharedLLM) -> None:
    index.add(pond)
    answer = index.ask(QUESTION, min_confidence=0)
    places = answer.citations or answer.nearest
    assert places
    for citation in places:
        assert citation.boxes == index.boxes("pond.pdf", citation.char_start, citation.char_end)
        assert {box.page for box in citation.boxes} == set(range(citation.page, citation.last_page + 1))
    (passage, *_) = index.search(QUESTION)
    assert passage.boxes == index.boxes("pond.pdf", passage.char_start, passage.char_end)
    said = json.loads(json.dumps(answer.to_dict()))
    for kind in ("citations", "nearest"):
        for record, citation in zip(said[kind], getattr(answer, kind), strict=True):
            assert record["boxes"] == [asdict(box) for box in citation.boxes]
    again = Index.open(index.url, llm).ask(QUESTION, min_confidence=0)
    assert (again.citations, again.nearest) == (answer.citations, answer.nearest)


def test_boxes_come_from_the_document_that_was_read(index: Index, pond: Path) -> None:
    index.add(pond)
    document = read_document(pond)
    assert document.places is not None
    text = document.text
    for start in range(0, len(text), 97):
        end = min(len(text), start + 60)
        assert index.boxes("pond.pdf", start, end) == document.places.boxes(start, end)
    assert index.boxes("pond.pdf", 5, 5) == ()
    assert index.document("pond.pdf").boxes


@pytest.mark.parametrize(("start", "end"), [(-1, 4), (4, 3), (0, 10**6)])
def test_characters_outside_the_document_are_refused(index: Index, pond: Path, start: int, end: int) -> None:
    index.add(pond)
    with pytest.raises(ConfigError, match=rf"\[{start}, {end}\).*pond\.pdf, which has"):
        index.boxes("pond.pdf", start, end)


def test_formats_without_pages_have_no_boxes(index: Index) -> None:
    index.add(b"# Ponds\n\nThe north pond holds 12 fish. " * 9, name="ponds.md")
    assert not index.document("ponds.md").boxes
    with pytest.raises(BoxesMissingError, match=r"format is 'markdown'.*Only the formats pdf"):
        index.boxes("ponds.md", 0, 4)
    answer = index.ask("How many fish?", min_confidence=0)
    assert all(citation.boxes == () for citation in (*answer.citations, *answer.nearest))


def test_a_document_of_an_earlier_version_gets_boxes_and_source_without_encoding(
    index: Index, pond: Path, llm: SharedLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = index.add(pond).document
    boxes = index.boxes("pond.pdf", 0, 40)
    as_schema_3(index, "pond.pdf")
    old = Index.open(index.url, llm)
    assert (old.document("pond.pdf").boxes, old.document("pond.pdf").source) == (False, "")
    answer = old.ask(QUESTION, min_confidence=0)
    assert all(citation.boxes == () for citation in (*answer.citations, *answer.nearest))
    with pytest.raises(BoxesMissingError, match=r"an earlier version read it.*Add the same file again: nothing"):
        old.boxes("pond.pdf", 0, 40)
    with pytest.raises(SourceMissingError, match=r"keeps no source.*keep_source=True"):
        old.page_image("pond.pdf", 1)
    for part in ("encoder", "embedder"):
        monkeypatch.setattr(type(getattr(llm, part)), "encode", lambda *_a, **_k: pytest.fail("encoded anew"))
    added = old.add(pond)
    assert (added.new, added.chunks_encoded) == (False, 0)
    assert added.document.key == first.key
    assert (added.document.boxes, added.document.source) == (True, "kept")
    assert old.boxes("pond.pdf", 0, 40) == boxes
    assert old.page_image("pond.pdf", 1, scale=1).width == 595
    assert old.verify().ok


def test_text_that_is_read_otherwise_now_is_added_anew(index: Index, pond: Path, llm: SharedLLM) -> None:
    """Boxes are never put beside a text that they were not measured for."""
    index.add(pond)
    as_schema_3(index, "pond.pdf")
    path = manifest(index, "pond.pdf")
    fields = unseal(path.read_bytes())
    text = path.with_name(fields["files"]["text"]["name"])
    changed = text.read_bytes().replace(b"row 3", b"row E")
    text.write_bytes(changed)
    fields["files"]["text"] |= {"sha256": hashlib.sha256(changed).hexdigest(), "bytes": len(changed)}
    path.write_bytes(seal(fields))
    old = Index.open(index.url, llm)
    added = old.add(pond)
    assert (added.new, added.chunks_encoded) == (True, 0)
    assert added.document.boxes
    start = read_document(pond).text.index("row 3")
    assert len(old.boxes("pond.pdf", start, start + 5)) == 1
    fields = unseal(path.read_bytes())
    assert b"row E" not in path.with_name(fields["files"]["text"]["name"]).read_bytes()
    assert old.verify().ok


def test_damaged_boxes_are_named(index: Index, pond: Path, llm: SharedLLM) -> None:
    index.add(pond)
    (path,) = manifest(index, "pond.pdf").parent.glob("boxes-*")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert [Path(damage.path).name for damage in index.verify().damaged] == [path.name]
    with pytest.raises(DamagedIndexError, match=path.name):
        Index.open(index.url, llm).boxes("pond.pdf", 0, 4)
    index.add(pond, force=True)
    assert index.verify().ok


def test_a_boxes_file_that_is_none_is_named(index: Index, pond: Path, llm: SharedLLM) -> None:
    """Checksums fit, the content does not: a file that somebody made up."""
    index.add(pond)
    (path,) = manifest(index, "pond.pdf").parent.glob("boxes-*")
    data = encode_tensors({"gap": np.zeros(3, dtype=np.int32)})
    path.write_bytes(data)
    fields = unseal(manifest(index, "pond.pdf").read_bytes())
    fields["files"]["boxes"] |= {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    rewrite(index, "pond.pdf", files=fields["files"])
    with pytest.raises(DamagedIndexError, match=r"'length' is missing"):
        Index.open(index.url, llm).boxes("pond.pdf", 0, 4)


# -- sources -------------------------------------------------------------------------------------------------------


def test_pdf_files_are_kept_and_others_are_not(index: Index, pond: Path, tmp_path: Path) -> None:
    info = index.add(pond).document
    assert info.source == "kept"
    assert list(sources(index).values()) == [PDF]
    text = tmp_path / "pond.txt"
    text.write_text("The north pond holds twelve fish.")
    assert index.add(text).document.source == "path"
    assert len(sources(index)) == 1
    assert index.add(text, keep_source=True).document.source == "kept"
    assert len(sources(index)) == 2
    with index.open_source("pond.txt") as file:
        assert file.read() == text.read_bytes()
    assert info.bytes > len(PDF), "counted in the size of the document"
    assert index.verify().ok


@pytest.mark.parametrize("form", ["path", "bytes", "stream", "url"])
def test_sources_of_every_form_are_kept(form: str, index: Index, pond: Path) -> None:
    given: Any = str(pond)
    if form == "bytes":
        given = PDF
    elif form == "stream":
        given = io.BytesIO(PDF)
    elif form == "url":
        fsspec.filesystem("memory").pipe_file("/box/pond.pdf", PDF)
        given = "memory://box/pond.pdf"
    info = index.add(given, name="pond.pdf").document
    assert info.source == "kept"
    assert list(sources(index).values()) == [PDF]
    index.remove("pond.pdf")
    assert index.add(given if form != "stream" else io.BytesIO(PDF), name="pond.pdf", keep_source=False).new
    assert index.document("pond.pdf").source == ("path" if form == "path" else "")


def test_documents_of_the_same_bytes_share_a_source(index: Index, pond: Path) -> None:
    index.add(pond, name="whole", replace=False)
    index.add(pond, name="half", pages="1", replace=False)
    assert len(sources(index)) == 1
    index.remove("half")
    assert len(sources(index)) == 1
    with index.open_source("whole") as file:
        assert file.read() == PDF
    index.remove("whole")
    assert sources(index) == {}


def test_prune_takes_sources_of_no_document(index: Index, pond: Path) -> None:
    index.add(pond)
    left_over = Path(str(index.url)) / "sources" / "ab" / ("ab" * 32)
    left_over.parent.mkdir()
    left_over.write_bytes(b"interrupted")
    assert index.prune() == len(b"interrupted")
    assert list(sources(index).values()) == [PDF]
    assert index.verify().ok


def test_a_newer_version_of_a_file_takes_the_older_ones_source_along(index: Index, pond: Path) -> None:
    index.add(pond)
    pond.write_bytes(make_pdf([prose(3, 20)]))
    index.add(pond)
    assert list(sources(index).values()) == [pond.read_bytes()]


def test_what_is_not_kept_is_found_by_path_and_digest(index: Index, pond: Path) -> None:
    info = index.add(pond, keep_source=False).document
    assert info.source == "path"
    assert sources(index) == {}
    assert index.page_image("pond.pdf", 1, scale=1).height == 842
    pond.write_bytes(make_pdf([prose(3)]))
    with pytest.raises(SourceMissingError, match=r"has other content now.*put the old one back"):
        index.page_image("pond.pdf", 1)
    pond.unlink()
    with pytest.raises(SourceMissingError, match=r"not kept, and is not at .*pond\.pdf any more.*keep_source=True"):
        index.open_source("pond.pdf")
    elsewhere = pond.with_name("moved.pdf")
    elsewhere.write_bytes(PDF)
    index.add(elsewhere, name="pond.pdf", keep_source=False)
    assert index.page_image("pond.pdf", 1, scale=1).height == 842, "the new path is noted"
    assert index.add(elsewhere, name="pond.pdf").document.source == "kept"
    elsewhere.unlink()
    assert index.page_image("pond.pdf", 1, scale=1).height == 842


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")
def test_a_pipe_or_device_where_the_file_was_is_never_waited_for(index: Index, pond: Path) -> None:
    index.add(pond, keep_source=False)
    pond.unlink()
    for make in (lambda: os.mkfifo(pond), lambda: pond.symlink_to("/dev/zero"), pond.mkdir):
        make()
        with pytest.raises(SourceMissingError, match="not kept, and is not at"):
            index.open_source("pond.pdf")
        pond.rmdir() if pond.is_dir() else pond.unlink()


@pytest.mark.parametrize("damage", ["flipped", "missing"])
def test_a_damaged_source_is_named_and_mended(damage: str, index: Index, pond: Path) -> None:
    index.add(pond)
    (name,) = sources(index)
    path = Path(str(index.url)) / name
    if damage == "flipped":
        data = bytearray(PDF)
        data[100] ^= 4
        path.write_bytes(data)
    else:
        path.unlink()
    assert [found.path for found in index.verify().damaged] == [name]
    with pytest.raises(DamagedIndexError, match=r"sources/.*Add the file again"):
        index.page_image("pond.pdf", 1)
    assert index.ask(QUESTION, min_confidence=0).text, "questions do not need it"
    added = index.add(pond)
    assert (added.new, added.chunks_encoded) == (False, 0)
    assert index.verify().ok


def test_the_estimate_and_the_budget_count_boxes_and_source(index: Index, pond: Path, llm: SharedLLM) -> None:
    estimate, without = index.estimate(pond), index.estimate(pond, keep_source=False)
    assert estimate.parts()["source"] == len(PDF)
    assert estimate.total - without.total == len(PDF)
    before = index.size()
    index.add(pond)
    taken = index.size() - before
    assert abs(taken - estimate.total) < 0.1 * estimate.total
    (boxes,) = manifest(index, "pond.pdf").parent.glob("boxes-*")
    assert estimate.parts()["boxes"] == boxes.stat().st_size
    small = Index.create(Path(str(index.url)).with_name("small"), llm, max_bytes=taken - len(PDF) // 2 + 2000)
    with pytest.raises(DiskBudgetError):
        small.add(pond)
    assert small.documents() == []
    assert small.add(pond, keep_source=False).new


def test_what_has_no_file_cannot_be_kept(index: Index) -> None:
    document = Document.from_text("The pond is deep.", name="note")
    with pytest.raises(ConfigError, match=r"keep_source=True, but note is a Document"):
        index.add(document, keep_source=True)
    with pytest.raises(ConfigError, match=r"keep_source='yes'"):
        index.add(document, keep_source="yes")  # type: ignore[arg-type]
    assert index.add(document).document.source == ""
    with pytest.raises(SourceMissingError):
        index.open_source("note")


def test_a_file_that_changes_while_it_is_read_is_not_kept(
    index: Index, pond: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sharedllm_docs.index.sources as module
    from sharedllm_docs.errors import DamagedDocumentError

    monkeypatch.setattr(module.Kept, "data", lambda _self: b"something else")
    with pytest.raises(DamagedDocumentError, match=r"pond\.pdf changed while it was read"):
        index.add(pond)
    assert index.documents() == []


def test_a_forged_manifest_names_no_file_outside_the_index(index: Index, pond: Path) -> None:
    """``source_sha256`` is part of a path."""
    from sharedllm_docs.store.keys import document_key

    index.add(pond)
    path = manifest(index, "pond.pdf")
    fields = unseal(path.read_bytes())
    fields["source_sha256"] = "../../../../etc/hostname"
    fields["key"] = document_key(
        fields["fingerprint"],
        source_sha256=fields["source_sha256"],
        reader=fields["reader"],
        reader_version=fields["reader_version"],
        reader_options=fields["reader_options"],
    )
    forged = path.parents[1] / fields["key"]
    shutil.copytree(path.parent, forged)
    (forged / "manifest.json").write_bytes(seal(fields))
    with pytest.raises(DamagedIndexError, match="names no source file"):
        index.open_source(fields["key"])


# -- pages ---------------------------------------------------------------------------------------------------------


def test_a_page_is_drawn_as_viewers_show_it(index: Index) -> None:
    pdf = drawn_pdf([put("Cropped and turned", 100, 600)], page="/CropBox [40 400 555 700] /Rotate 90")
    index.add(pdf, name="turned.pdf")
    image = index.page_image("turned.pdf", 1, scale=2)
    assert (image.width, image.height, image.rotation) == (600, 1030, 90)
    assert image.shown == (40, 400, 555, 700)
    (box,) = index.boxes("turned.pdf", 0, len("Cropped and turned"))
    x0, y0, x1, y1 = image.pixels(box)
    assert x1 - x0 == pytest.approx(2 * box.height)
    assert y1 - y0 == pytest.approx(2 * box.width)
    assert image.png()[:8] == b"\x89PNG\r\n\x1a\n"
    opened = pytest.importorskip("PIL.Image").open(io.BytesIO(image.png())).convert("RGB")
    assert opened.size == (image.width, image.height)
    assert opened.tobytes() == image.rgb


def test_filled_fields_are_drawn(index: Index) -> None:
    widget = (
        b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (boat) /V (Tern) /Rect [100 600 300 630] "
        b"/DA (/Helv 20 Tf 0 g) /F 4 >>"
    )
    pdf = drawn_pdf(
        [put("Boat", 40, 610)],
        page="/Annots [100 0 R]",
        catalog="/AcroForm << /Fields [100 0 R] /DR << /Font << /Helv 3 0 R >> >> /NeedAppearances true >>",
        extra={100: widget},
    )
    index.add(pdf, name="form.pdf")
    assert index.page_image("form.pdf", 1).width == 1190


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf"), 1000, "2", True])
def test_pictures_of_no_or_too_many_pixels_are_refused(scale: Any, index: Index, pond: Path) -> None:
    index.add(pond, encode="when-asked")
    with pytest.raises(ConfigError, match=rf"{MAX_PIXELS:,}|not a number"):
        index.page_image("pond.pdf", 1, scale=scale)


def test_pages_that_are_not_there_are_refused(index: Index, pond: Path) -> None:
    index.add(pond, encode="when-asked")
    for page in (0, 3, -1):
        with pytest.raises(PageRangeError, match=r"pond\.pdf has 2 page\(s\), there is no page"):
            index.page_image("pond.pdf", page)
    with pytest.raises(DocumentNotFoundError):
        index.page_image("other.pdf", 1)


def test_pages_of_other_formats_are_not_drawn(index: Index) -> None:
    index.add(b"The pond is deep and cold.", name="note.txt", keep_source=True)
    with pytest.raises(DocumentError, match=r"note\.txt cannot be drawn: its format is 'text'"):
        index.page_image("note.txt", 1)


def test_encrypted_files_want_their_password_again(index: Index) -> None:
    index.add(encrypt(PDF, "tern"), name="locked.pdf", password="tern")
    with pytest.raises(EncryptedDocumentError, match="needs a password"):
        index.page_image("locked.pdf", 1)
    with pytest.raises(EncryptedDocumentError, match="wrong"):
        index.page_image("locked.pdf", 1, password="gull")
    assert index.page_image("locked.pdf", 1, scale=1, password="tern").width == 595
    answer = index.ask(QUESTION, min_confidence=0)
    assert all(citation.boxes for citation in (*answer.citations, *answer.nearest))


def test_boxes_are_ordered_and_have_sizes() -> None:
    box = Box(1, 10, 20, 30.5, 26)
    assert (box.width, box.height) == (20.5, 6)
    assert sorted([Box(2, 0, 0, 1, 1), box]) == [box, Box(2, 0, 0, 1, 1)]
