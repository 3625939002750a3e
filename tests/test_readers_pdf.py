"""The PDF reader on small PDFs made for the purpose: good, protected, damaged and forged ones."""

from __future__ import annotations

import io
import random
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import pypdfium2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.readers import ReadOptions, read_document
from sharedllm_docs.documents.readers.pdf.engine import EngineError
from sharedllm_docs.documents.readers.pdf.outline import find_title, fold_page
from sharedllm_docs.documents.readers.pdf.pdfium import PdfiumFile
from sharedllm_docs.documents.readers.pdf.pypdf_file import PypdfFile
from sharedllm_docs.documents.readers.pdf.salvage import salvage
from sharedllm_docs.errors import (
    DamagedDocumentError,
    DocumentError,
    DocumentTooLargeError,
    DocumentWarning,
    EmptyDocumentError,
    EncryptedDocumentError,
    PageRangeError,
    ScannedDocumentError,
    UnknownFormatError,
)

from .documents import BLANK, PICTURE, drawn_pdf, encrypt, make_pdf, packed, prose, put

THREE = [prose(1), prose(2), prose(3)]
FIVE = [prose(page) for page in range(1, 6)]


def read(pdf: bytes, name: str = "sample.pdf", **options: object) -> Document:
    return read_document(pdf, name=name, options=ReadOptions(**options))  # type: ignore[arg-type]


def codes(document: Document) -> list[tuple[str, int | None]]:
    return [(issue.code, issue.page) for issue in document.issues]


# -- what a good file gives


@pytest.mark.parametrize("engine", ["pdfium", "pypdf"])
@pytest.mark.parametrize("form", [bytes, packed], ids=["plain", "object-streams"])
def test_pages_text_and_labels(form: Callable[[bytes], bytes], engine: str) -> None:
    document = read(form(make_pdf(THREE, labels="0 << /S /r >> 1 << /S /D >>")), engine=engine)
    assert [page.text for page in document.pages] == ["\n".join(lines) for lines in THREE]
    assert [(page.number, page.label) for page in document.pages] == [(1, "i"), (2, "1"), (3, "2")]
    assert document.issues == ()
    assert document.reader == "pdf"
    assert document.reader_options == {"clean": "true", "engine": engine}


def test_metadata_and_hash() -> None:
    pdf = make_pdf(THREE, info={"Title": "A  Title", "Author": "N. N.", "Subject": ""})
    document = read(pdf)
    assert document.metadata == {"title": "A Title", "author": "N. N."}
    assert document.source_sha256 == read(pdf, name="other.pdf").source_sha256
    assert "pypdfium2-" in document.reader_version


def test_outline_becomes_sections_at_their_headings() -> None:
    pages = [
        ["Contents", "1 First steps", "2 Second thoughts"],
        ["A word on Second thoughts.", "1 First steps", "Some text.", "1.1 How to go on", "More text."],
        ["Appendix A Caf\u00e9 \u201cS\u201d", "The end, with no heading."],
    ]
    outline = [
        ("1 First steps", 1, 2),
        ("How to go on", 2, 2),
        ("Caf\u00e9 'S'", 1, 3),
        ("Nowhere", 2, 3),
    ]
    document = read(make_pdf(pages, outline=outline))
    found = [(s.title, s.level, s.page, document.text[s.char :].split("\n")[0]) for s in document.sections]
    assert sorted(found) == sorted(
        [
            ("1 First steps", 1, 2, "1 First steps"),
            ("How to go on", 2, 2, "1.1 How to go on"),
            ("Caf\u00e9 'S'", 1, 3, "Appendix A Caf\u00e9 \u201cS\u201d"),
            ("Nowhere", 2, 3, "Appendix A Caf\u00e9 \u201cS\u201d"),
        ]
    )
    assert all(document.page_at(s.char).number == s.page for s in document.sections)
    assert [s.char for s in document.sections] == sorted(s.char for s in document.sections)


@pytest.mark.parametrize(
    ("text", "title", "position"),
    [
        ("intro\n2 Long\ntitle here\nbody", "Long title here", 6),
        ("see Scope for more\n10.7 Scope\nThe", "Scope", 19),
        ("Scope of it\nScope\n", "Scope", 12),
        ("Scope of it\n", "Scope", 0),
        ("a word on Scope\n", "Scope", None),
        ("text", "...", None),
    ],
)
def test_find_title(text: str, title: str, position: int | None) -> None:
    assert find_title(fold_page(text), title) == position


def test_code_keeps_lines_and_indentation() -> None:
    page = ["Like this:", "`  def f(x):", "`      if x:", "`          return 1", "`      return 2", "And so on."]
    assert read(make_pdf([page])).text == "\n".join(
        ["Like this:", "def f(x):", "    if x:", "        return 1", "    return 2", "And so on."]
    )


def test_headers_and_page_numbers_are_cleaned_unless_told_otherwise() -> None:
    pdf = drawn_pdf(
        [
            put(f"Chapter {'AB'[i > 3]}: Words", y=810)
            + put(str(i), x=500, y=810)
            + "".join(put(line, y=700 - 14 * row) for row, line in enumerate(prose(i)))
            + put(str(i), x=300, y=30)
            for i in range(1, 7)
        ]
    )
    # a title is kept where it stands first
    first = {1: ["Chapter A: Words 1"], 4: ["Chapter B: Words 4"]}
    assert [page.text for page in read(pdf).pages] == ["\n".join(first.get(i, []) + prose(i)) for i in range(1, 7)]
    raw = read(pdf, clean=False)
    assert raw.pages[0].text.startswith("Chapter A: Words   1\n")
    assert raw.reader_options["clean"] == "false"


# -- pages


def test_page_range() -> None:
    document = read(make_pdf(FIVE, outline=[("One", 1, 1), ("Four", 1, 4)]), pages="5,1-2,4-")
    assert [page.number for page in document.pages] == [1, 2, 4, 5]
    assert [section.title for section in document.sections] == ["One", "Four"]
    assert document.reader_options["pages"] == "1-2,4-5"
    assert document.sections[1].char == document.page_starts[2]


def test_range_of_all_pages_is_no_option() -> None:
    assert read(make_pdf(FIVE), pages="1-").reader_options == read(make_pdf(FIVE)).reader_options


def test_page_outside_the_document() -> None:
    with pytest.raises(PageRangeError, match=r"Page 7 of the range '2-7' is outside the document, which has 5 page"):
        read(make_pdf(FIVE), pages="2-7")


def test_too_many_pages() -> None:
    with pytest.raises(DocumentTooLargeError, match=r"5 pages to read, the limit is 4\. Give a page range"):
        read(make_pdf(FIVE), max_pages=4)
    assert len(read(make_pdf(FIVE), max_pages=2, pages="4-5").pages) == 2


@pytest.mark.filterwarnings("ignore::sharedllm_docs.errors.DocumentWarning")
def test_forged_page_count_is_not_believed_for_long() -> None:
    with pytest.raises(DocumentTooLargeError, match="limit is 20,000"):
        read(make_pdf(THREE, count=1_000_000))
    assert len(read(make_pdf(THREE, count=1_000_000), pages="1-3").pages) == 3


def test_progress_counts_the_pages_to_read() -> None:
    seen: list[tuple[int, int]] = []
    read_document(make_pdf(FIVE), name="a.pdf", options=ReadOptions(pages="2-4"), progress=lambda *p: seen.append(p))
    assert seen == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.usefixtures("own_process")
def test_one_page_is_open_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    open_pages, most = set[int](), [0]
    get_page, close = pypdfium2.PdfDocument.get_page, pypdfium2.PdfPage.close

    def opened(self: object, index: int) -> object:
        page = get_page(self, index)
        open_pages.add(id(page))
        most[0] = max(most[0], len(open_pages))
        return page

    def closed(self: object, *args: object, **kwargs: object) -> None:
        open_pages.discard(id(self))
        close(self, *args, **kwargs)

    monkeypatch.setattr(pypdfium2.PdfDocument, "get_page", opened)
    monkeypatch.setattr(pypdfium2.PdfDocument, "__getitem__", opened)
    monkeypatch.setattr(pypdfium2.PdfPage, "close", closed)
    read(make_pdf(FIVE))
    assert most == [1]
    assert not open_pages


def test_threads_read_the_same_as_one() -> None:
    pdfs = [make_pdf(FIVE, outline=[("T", 1, n)]) for n in range(1, 5)]
    alone = [read(pdf) for pdf in pdfs]
    together: dict[int, Document] = {}
    threads = [
        threading.Thread(target=lambda i=i: together.update({i: read(pdfs[i % 4])}))  # type: ignore[misc]
        for i in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[i] for i in range(12)] == [alone[i % 4] for i in range(12)]


# -- passwords


@pytest.mark.parametrize("algorithm", ["AES-256", "AES-128", "RC4-128"])
@pytest.mark.parametrize("engine", ["pdfium", "pypdf"])
def test_passwords(algorithm: str, engine: str) -> None:
    pdf = encrypt(make_pdf(THREE), "se\u00e7ret", algorithm)
    with pytest.raises(EncryptedDocumentError, match=r"sample\.pdf is encrypted and needs a password"):
        read(pdf, engine=engine)
    with pytest.raises(EncryptedDocumentError, match=r"The password given for sample\.pdf is wrong"):
        read(pdf, engine=engine, password="other")
    document = read(pdf, engine=engine, password="se\u00e7ret")
    assert document.pages[2].text == "\n".join(THREE[2])
    assert "password" not in document.reader_options


def test_password_is_not_shown() -> None:
    assert "hush" not in repr(ReadOptions(password="hush"))


def test_file_with_an_owner_password_only_opens() -> None:
    assert len(read(encrypt(make_pdf(THREE), "")).pages) == 3


def test_old_password_error_is_not_blamed_on_the_next_file() -> None:
    with pytest.raises(EncryptedDocumentError):
        read(encrypt(make_pdf(THREE), "secret"))
    with pytest.raises(EmptyDocumentError, match=r"sample\.pdf has no pages"):
        read(make_pdf([]))


# -- nothing to read


@pytest.mark.parametrize(
    ("pdf", "error", "message"),
    [
        (b"", EmptyDocumentError, r"sample\.pdf is empty \(0 bytes\)"),
        (make_pdf([]), EmptyDocumentError, "has no pages"),
        (make_pdf([BLANK, BLANK]), EmptyDocumentError, r"all 2 page\(s\) read are blank"),
        (make_pdf([["-- . --"]]), EmptyDocumentError, "holds no words"),
        (make_pdf([(PICTURE,), (PICTURE,)]), ScannedDocumentError, r"none of the 2 page\(s\) read has a text layer"),
        (make_pdf(THREE, broken={1, 2, 3}), DamagedDocumentError, r"none of the 3 page\(s\) can be read; the first:"),
        (b"Dear reader,\n", UnknownFormatError, "named .pdf but its bytes are not pdf .* look like text"),
        (b"<html><p>404", UnknownFormatError, "named .pdf but its bytes are not pdf .* look like html"),
        (b"PK\x03\x04\0\0", UnknownFormatError, "named .pdf but its bytes are not pdf .* no reader knows them"),
        (b"%PDF-1.7\n" + bytes(range(256)) * 9, DamagedDocumentError, "not one page can be found"),
        (make_pdf(THREE)[:400], DamagedDocumentError, "not one page can be found"),
        (encrypt(make_pdf(THREE), "x")[:-400], DamagedDocumentError, "not one page can be found"),
    ],
)
@pytest.mark.parametrize("engine", ["pdfium", "pypdf"])
def test_unreadable(pdf: bytes, error: type[DocumentError], message: str, engine: str) -> None:
    with pytest.raises(error, match=message) as raised:
        read(pdf, engine=engine)
    assert raised.value.remedy


# -- something to read


def test_page_that_fails_is_reported_and_the_rest_kept() -> None:
    with pytest.warns(DocumentWarning, match=r"page-failed: sample\.pdf: the page cannot be read and is left empty"):
        document = read(make_pdf(THREE, broken={2}))
    assert [page.text for page in document.pages] == ["\n".join(THREE[0]), "", "\n".join(THREE[2])]
    assert codes(document) == [("page-failed", 2)]


@pytest.mark.parametrize("engine", ["pdfium", "pypdf"])
def test_page_that_is_not_there_does_not_shift_the_others(engine: str) -> None:
    with pytest.warns(DocumentWarning):
        document = read(make_pdf(THREE, missing={2}, outline=[("X", 1, 3)]), engine=engine)
    assert [page.text for page in document.pages] == ["\n".join(THREE[0]), "", "\n".join(THREE[2])]
    assert ("page-failed", 2) in codes(document)
    assert ("structure-failed", None) in codes(document)
    assert document.sections == ()


def test_pictures_among_the_pages() -> None:
    pdf = make_pdf([prose(1), (PICTURE,), BLANK, (PICTURE,)])
    with pytest.warns(DocumentWarning, match=r"no-text-on-page: .* \(2 such pages: 2,4\)") as caught:
        document = read(pdf)
    assert len(caught) == 1
    assert codes(document) == [("no-text-on-page", 2), ("blank-page", 3), ("no-text-on-page", 4)]


@pytest.mark.usefixtures("own_process")
def test_page_where_pdfium_fails_is_read_by_pypdf(monkeypatch: pytest.MonkeyPatch) -> None:
    text = PdfiumFile.text

    def failing(self: PdfiumFile, index: int, *fields: object) -> object:
        if index == 1:
            raise EngineError("no luck")
        return text(self, index, *fields)  # type: ignore[arg-type]

    monkeypatch.setattr(PdfiumFile, "text", failing)
    with pytest.warns(DocumentWarning, match=r"page-fallback: .* read by pypdf \(pdfium: no luck\)"):
        document = read(make_pdf(THREE))
    assert [page.text for page in document.pages] == ["\n".join(lines) for lines in THREE]
    assert codes(document) == [("page-fallback", 2)]


@pytest.mark.usefixtures("own_process")
def test_file_that_pdfium_cannot_open_is_read_by_pypdf(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(self: PdfiumFile, *args: object) -> None:
        raise EngineError("cannot open")

    monkeypatch.setattr(PdfiumFile, "__init__", failing)
    with pytest.warns(DocumentWarning, match="engine-fallback: .* pypdf read the text, since pdfium cannot"):
        document = read(make_pdf(THREE))
    assert codes(document) == [("engine-fallback", None)]


@pytest.mark.usefixtures("own_process")
def test_lost_structure_leaves_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(self: PypdfFile) -> object:
        raise EngineError("cyclic")

    monkeypatch.setattr(PypdfFile, "outline", failing)
    with pytest.warns(DocumentWarning, match="structure-failed: .* the outline cannot be read: cyclic"):
        document = read(make_pdf(THREE, info={"Title": "T"}))
    assert document.metadata == {"title": "T"}
    assert len(document.pages) == 3


@pytest.mark.parametrize("form", [bytes, packed], ids=["plain", "object-streams"])
@pytest.mark.parametrize("engine", ["pdfium", "pypdf"])
def test_file_without_its_end_is_salvaged(form: Callable[[bytes], bytes], engine: str) -> None:
    pdf = form(make_pdf(FIVE, compress=True))
    with pytest.warns(DocumentWarning, match=r"salvaged: .* searching the rest found 5 page\(s\)"):
        document = read(pdf[: pdf.rindex(b"startxref") - 60], engine=engine)
    assert [page.text for page in document.pages] == ["\n".join(lines) for lines in FIVE]


def test_pages_before_the_cut_are_kept() -> None:
    pdf = make_pdf(FIVE)
    with pytest.warns(DocumentWarning) as caught:
        document = read(pdf[: pdf.index(b"row 3 and page 3")])
    assert {"salvaged", "page-failed"} <= {w.message.code for w in caught if isinstance(w.message, DocumentWarning)}
    assert [page.text for page in document.pages][:2] == ["\n".join(FIVE[0]), "\n".join(FIVE[1])]
    assert [page.text for page in document.pages][3:] == ["", ""]
    assert {("page-failed", 4), ("page-failed", 5)} <= set(codes(document))


def test_salvage_makes_a_page_tree_where_none_is_left() -> None:
    pdf = make_pdf(THREE).replace(b"/Type /Catalog", b"/Type /Nothing").replace(b"/Type /Pages", b"/Type /Leaves")
    rebuilt = salvage(pdf[: pdf.rindex(b"xref")])
    assert rebuilt is not None
    document = pypdfium2.PdfDocument(rebuilt)
    assert len(document) == 3
    document.close()
    assert salvage(b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\n") is None


def test_missing_end_mark_is_reported() -> None:
    pdf = make_pdf(THREE, outline=[("Pears", 1, 2)])
    with pytest.warns(DocumentWarning, match="truncated: .* the end mark is missing"):
        document = read(pdf[: pdf.rindex(b"%%EOF")])
    assert [page.text for page in document.pages] == ["\n".join(lines) for lines in THREE]
    assert [section.title for section in document.sections] == ["Pears"]


def test_damaged_object_table_is_repaired_and_reported() -> None:
    pdf = make_pdf(THREE)
    start = pdf.rindex(b"startxref\n") + len(b"startxref\n")
    with pytest.warns(DocumentWarning, match="repaired: .* structure is damaged and was repaired"):
        document = read(pdf[:start] + b"17" + pdf[start + 2 :])
    assert [page.text for page in document.pages] == ["\n".join(lines) for lines in THREE]


def test_pypdf_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.warns(DocumentWarning):
        read(make_pdf(THREE, broken={2})[:-30])
    assert capfd.readouterr() == ("", "")


def test_files_are_closed(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(make_pdf(THREE))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        for engine in ("pdfium", "pypdf"):
            read_document(path, options=ReadOptions(engine=engine))  # type: ignore[arg-type]
    path.write_bytes(make_pdf(FIVE))
    assert len(read_document(path).pages) == 5
    assert len(read_document(io.BytesIO(path.read_bytes()), name="b.pdf").pages) == 5


# -- anything at all


@pytest.mark.filterwarnings("ignore::sharedllm_docs.errors.DocumentWarning")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32), st.sampled_from(["plain", "packed", "encrypted"]), st.sampled_from(["pdfium", "pypdf"]))
def test_damage_never_ends_in_an_untyped_error(seed: int, form: str, engine: str) -> None:
    pdf = make_pdf(THREE, outline=[("A", 1, 1), ("B", 2, 2)], labels="0 << /S /r >>", info={"Title": "T"})
    data = bytearray({"plain": pdf, "packed": packed(pdf), "encrypted": encrypt(pdf, "")}[form])
    chance = random.Random(seed)
    for _ in range(chance.choice([1, 3, 10, 50])):
        position = chance.randrange(len(data))
        kind = chance.random()
        if kind < 0.6:
            data[position] = chance.randrange(256)
        elif kind < 0.8:
            del data[position : position + chance.randrange(1, 60)]
        else:
            data[position:position] = data[:200][: chance.randrange(200)]
    try:
        document = read(bytes(data), engine=engine)
    except DocumentError:
        return  # anything else fails the test
    assert any(page.text for page in document.pages)
