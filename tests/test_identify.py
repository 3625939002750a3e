"""A document that is in the index is found by its bytes and options, and not read again."""

from __future__ import annotations

import io

import pytest

from sharedllm_docs import Index, ReadOptions
from sharedllm_docs.documents.readers import read_document
from sharedllm_docs.documents.readers.identify import identify
from sharedllm_docs.errors import DocumentTooLargeError, EmptyDocumentError, UnknownFormatError
from tests.tiny_text import tiny_llm

TEXT = "\f".join(f"The heron of page {number} waits for fish." for number in range(1, 6))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "birds.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "options",
    [ReadOptions(), ReadOptions(clean=False), ReadOptions(encoding="UTF8"), ReadOptions(pages="2,1-3")],
)
@pytest.mark.parametrize("kind", ["path", "string", "bytes"])
def test_the_identity_is_that_of_the_document_read(file, options, kind):
    source = {"path": file, "string": str(file), "bytes": file.read_bytes()}[kind]
    name = "birds.txt" if kind == "bytes" else None
    found = identify(source, name=name, options=options)
    document = read_document(source, name=name, options=options)
    for field in ("name", "source_sha256", "reader", "reader_version", "reader_options"):
        assert getattr(found, field) == getattr(document, field), field


def test_what_only_reading_tells_has_no_identity(file, tmp_path):
    assert identify(file, name=None, options=ReadOptions(pages="2-")) is None
    assert identify(f"file://{file}", name=None, options=ReadOptions()) is None
    assert identify(io.BytesIO(b"text"), name="a.txt", options=ReadOptions()) is None
    locked = tmp_path / "locked.pdf"
    locked.write_bytes(b"%PDF-1.7\ntrailer << /Encrypt 5 0 R >>\n%%EOF\n")
    assert identify(locked, name=None, options=ReadOptions()) is None
    locked.write_bytes(locked.read_bytes().replace(b"/Encrypt", b"/Nothing"))
    assert identify(locked, name=None, options=ReadOptions()).reader == "pdf"


def test_a_known_file_is_not_read_and_an_edited_one_is(file, tmp_path, monkeypatch):
    index = Index.create(tmp_path / "index", tiny_llm())
    first = index.add(file)
    read = []
    monkeypatch.setattr(
        "sharedllm_docs.index.ingest.read_document", lambda *args, **kw: read.append(args) or read_document(*args, **kw)
    )
    again = index.add(file)
    assert (again.new, again.document) == (False, first.document)
    assert not read
    index.add(file, options=ReadOptions(pages="1-2"))
    file.write_text(TEXT + " And more.", encoding="utf-8")
    assert index.add(file).new
    assert len(read) == 2


def test_a_known_file_is_refused_as_before(file, tmp_path):
    index = Index.create(tmp_path / "index", tiny_llm())
    pages = index.add(file).document.pages
    assert pages == 5
    with pytest.raises(DocumentTooLargeError, match="the limit is 4"):
        index.add(file, options=ReadOptions(max_pages=pages - 1))
    with pytest.raises(DocumentTooLargeError, match="the limit is 10"):
        index.add(file, options=ReadOptions(max_bytes=10))
    file.rename(tmp_path / "birds.pdf")
    with pytest.raises(UnknownFormatError):
        index.add(tmp_path / "birds.pdf")
    (tmp_path / "empty.txt").write_bytes(b"")
    with pytest.raises(EmptyDocumentError):
        index.add(tmp_path / "empty.txt")
