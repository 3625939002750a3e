"""Finding the reader, the source of the bytes, the options; readers of others."""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
import sys
import unicodedata
import warnings
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharedllm_docs.documents.document import Document, Page
from sharedllm_docs.documents.readers import (
    Progress,
    Reader,
    ReadOptions,
    Source,
    make_document,
    parse_pages,
    read_document,
    reader_for,
    readers,
    register,
    registry,
    unregister,
)
from sharedllm_docs.documents.readers.ocr import engines
from sharedllm_docs.documents.readers.options import format_pages, select_pages
from sharedllm_docs.documents.readers.reasons import reason_of
from sharedllm_docs.errors import (
    ConfigError,
    DamagedDocumentError,
    DocumentError,
    DocumentNotFoundError,
    DocumentTooLargeError,
    DocumentWarning,
    PageRangeError,
    UnknownFormatError,
)

from .documents import make_pdf, prose

DOCS = (Path(__file__).parent.parent / "docs" / "documents.md").read_text("utf-8")


class ShoutReader:
    """A reader of another's making: one page, upper case."""

    name = "shout"
    version = "7"
    suffixes = (".shout", ".txt")
    takes = frozenset[str]()

    def sniff(self, head: bytes, name: str) -> bool:
        return head.startswith(b"!")

    def read(self, source: Source, options: ReadOptions, progress: Progress | None) -> Document:
        page = Page(1, source.read().decode().upper())
        return make_document(self, source, options, pages=[page], page_count=1, metadata={"loud": "yes"})


@pytest.fixture
def shout() -> Iterator[ShoutReader]:
    reader = ShoutReader()
    register(reader)
    yield reader
    unregister(reader)


# -- which reader


@pytest.mark.parametrize(
    ("name", "head", "reader"),
    [
        ("a.pdf", b"%PDF-1.7\n", "pdf"),
        ("A.PDF", b"junk\n%PDF-1.7\n", "pdf"),
        ("a.md", b"# Title", "markdown"),
        ("a.markdown", b"<html>", "markdown"),
        ("a.htm", b"just text", "html"),
        ("a.txt", b"<html>", "text"),
        ("README", b"read me", "text"),
        ("notes.rst", b"Title\n=====\n", "text"),
        ("page", b"\n<!-- c --><!DOCTYPE html><p>", "html"),
        ("download", b"%PDF-1.4", "pdf"),
    ],
)
def test_reader_for(name: str, head: bytes, reader: str) -> None:
    assert reader_for(name, head).name == reader


@pytest.mark.parametrize(
    ("name", "head", "message"),
    [
        (
            "a.pdf",
            b"hello",
            r'a\.pdf is named \.pdf but its bytes are not pdf \(it begins "hello"; they look like text\)',
        ),
        ("a.txt", b"%PDF-1.7", r"a\.txt is named \.txt but its bytes are not text .* they look like pdf"),
        ("a.odt", b"PK\x03\x04\x00", r"a\.odt: no reader takes this file .* Known endings: \.bmp \.csv \.docm \.docx"),
    ],
)
def test_no_reader(name: str, head: bytes, message: str) -> None:
    with pytest.raises(UnknownFormatError, match=message):
        reader_for(name, head)


def test_registered_reader_comes_first(shout: ShoutReader) -> None:
    assert readers()[0] is shout
    document = read_document(b"!hello", name="a.txt")
    assert (document.reader, document.reader_version, document.text) == ("shout", "7", "!HELLO")
    assert document.reader_options == {"clean": "true"}
    assert read_document(b"!hello", name="unknown").reader == "shout"
    with pytest.raises(UnknownFormatError, match=r"named \.txt but its bytes are not shout"):
        read_document(b"hello", name="a.txt")


def test_unregistered_reader_is_gone(shout: ShoutReader) -> None:
    unregister(shout)
    assert read_document(b"!hello", name="a.txt").reader == "text"
    with pytest.raises(ConfigError, match="The reader 'shout' is not registered"):
        unregister(shout)
    register(shout)


def test_what_is_no_reader_cannot_be_registered() -> None:
    with pytest.raises(ConfigError, match="is not a reader, it lacks one of name, version"):
        register("pdf")  # type: ignore[arg-type]


def test_built_in_readers_follow_the_protocol() -> None:
    assert [reader.name for reader in readers()] == [
        *("pdf", "docx", "pptx", "xlsx", "epub", "rtf", "picture", "mail", "svg", "html", "markdown", "csv", "text")
    ]
    for reader in readers():
        assert isinstance(reader, Reader)
        assert reader.version
        assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in reader.suffixes)


def test_readers_of_installed_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    good = EntryPoint("shout", f"{__name__}:ShoutReader", registry.ENTRY_POINT_GROUP)
    bad = EntryPoint("lost", "no_such_module:Reader", registry.ENTRY_POINT_GROUP)
    found = {registry.ENTRY_POINT_GROUP: [good, bad]}
    monkeypatch.setattr(registry, "_plugins", None)
    monkeypatch.setattr(registry, "entry_points", lambda group: found[group])
    with pytest.warns(DocumentWarning, match=r"reader-unavailable: the reader 'lost' .* cannot be loaded"):
        assert reader_for("a.shout", b"!x").name == "shout"
    assert reader_for("a.shout", b"!x").name == "shout"


def test_importing_the_readers_loads_no_heavy_library() -> None:
    code = (
        "import sys, sharedllm_docs.documents.readers; "
        "heavy = {'pypdf', 'pypdfium2', 'bs4', 'torch', 'transformers', 'yaml',"
        " 'markdown_it', 'charset_normalizer', 'fsspec'} & set(sys.modules); sys.exit(' '.join(heavy) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0


# -- where the bytes come from


def test_every_source_gives_the_same_document(tmp_path: Path) -> None:
    data = make_pdf([prose(1), prose(2)])
    path = tmp_path / "fruit.pdf"
    path.write_bytes(data)
    with fsspec.open("memory://readers/fruit.pdf", "wb") as remote:
        remote.write(data)
    with path.open("rb") as file:
        documents = [
            read_document(path),
            read_document(str(path)),
            read_document(file),
            read_document(data, name="fruit.pdf"),
            read_document(io.BytesIO(data), name="fruit.pdf"),
            read_document("memory://readers/fruit.pdf"),
            read_document(f"file://{path}"),
        ]
    assert all(document == documents[0] for document in documents)
    assert documents[0].name == "fruit.pdf"
    assert documents[0].source_sha256 == hashlib.sha256(data).hexdigest()
    assert read_document(path, name="Other name.pdf").name == "Other name.pdf"
    assert read_document(data).name == "document"


def test_remote_copy_goes_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with fsspec.open("memory://readers/bad.pdf", "wb") as remote:
        remote.write(b"%PDF-1.4 nothing")
    with pytest.raises(DamagedDocumentError, match=r"bad\.pdf is truncated or corrupt"):
        read_document("memory://readers/bad.pdf")
    assert list(tmp_path.iterdir()) == []


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(DocumentNotFoundError, match=r"There is no file .*absent\.pdf\. Check the path"):
        read_document(tmp_path / "absent.pdf")
    with pytest.raises(FileNotFoundError, match="is a folder, not a file"):
        read_document(tmp_path)
    with pytest.raises(DocumentNotFoundError, match="There is nothing at memory://readers/absent"):
        read_document("memory://readers/absent.pdf")
    with pytest.raises(DocumentError, match=r"nowhere://x\.pdf cannot be fetched: Protocol not known"):
        read_document("nowhere://x.pdf")
    with pytest.raises(DocumentNotFoundError, match="There is no file"):
        read_document(tmp_path / ("x" * 50) / "a.pdf")


@pytest.mark.parametrize("kind", ["path", "bytes", "file", "url"])
def test_too_many_bytes(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"word " * 100)
    made = {"path": lambda: path, "bytes": path.read_bytes, "file": lambda: path.open("rb"), "url": path.as_uri}
    source, again = made[kind](), made[kind]()
    with pytest.raises(DocumentTooLargeError, match=r"500 bytes or more, the limit is 499\. Raise max_bytes"):
        read_document(source, name="a.txt", options=ReadOptions(max_bytes=499))  # type: ignore[arg-type]
    assert read_document(again, name="a.txt", options=ReadOptions(max_bytes=500)).text  # type: ignore[arg-type]
    for opened in (source, again):
        getattr(opened, "close", bool)()


def test_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(make_pdf([prose(1)]))

    def change(done: int, total: int) -> None:
        path.write_bytes(path.read_bytes() + b"\n% more\n")

    with pytest.raises(DamagedDocumentError, match=r"a\.pdf changed while it was read"):
        read_document(path, progress=change)


# -- options


@pytest.mark.parametrize(
    ("pages", "spans"),
    [
        ("3", ((3, 3),)),
        ("1-20,35", ((1, 20), (35, 35))),
        (" 2 - 4 , 50- ", ((2, 4), (50, None))),
    ],
)
def test_page_ranges(pages: str, spans: tuple[tuple[int, int | None], ...]) -> None:
    assert parse_pages(pages) == spans


@pytest.mark.parametrize("pages", ["", "a", "1,,2", "1-2-3", "-3", "1;2", "1.5", "99999999999"])
def test_malformed_page_ranges(pages: str) -> None:
    with pytest.raises(PageRangeError, match=r"The page range .* is malformed at"):
        ReadOptions(pages=pages)


@pytest.mark.parametrize("pages", ["0", "0-3", "5-2"])
def test_page_ranges_that_do_not_ascend(pages: str) -> None:
    with pytest.raises(PageRangeError, match="is not ascending from page 1 at"):
        ReadOptions(pages=pages)


@given(st.sets(st.integers(1, 60), min_size=1))
def test_page_ranges_round_trip(numbers: set[int]) -> None:
    ordered = tuple(sorted(numbers))
    assert select_pages(format_pages(ordered), 60) == ordered
    assert select_pages(",".join(str(n) for n in reversed(ordered)), 60) == ordered


def test_all_invalid_options_are_named_together() -> None:
    with pytest.raises(ConfigError) as raised:
        ReadOptions(engine="word", encoding="hex", max_pages=0, max_bytes=0)  # type: ignore[arg-type]
    for part in (
        "engine is 'word', not one of",
        "encoding 'hex' is not a text encoding",
        "max_pages is 0",
        "max_bytes is 0",
    ):
        assert part in str(raised.value)


# -- the documentation


def test_every_issue_code_is_documented() -> None:
    readers_folder = Path(registry.__file__).parent
    sources = "\n".join(path.read_text("utf-8") for path in readers_folder.rglob("*.py"))
    codes = set(re.findall(r'(?:Issue|DocumentWarning)\(\s*"([a-z-]+)"', sources))
    assert len(codes) > 10
    assert {code for code in codes if f"| `{code}`" not in DOCS} == set()


def test_the_documented_reader_works() -> None:
    (example,) = re.findall(r"```python\n(from sharedllm_docs\.documents\.document import.*?)```", DOCS, re.DOTALL)
    exec(compile(example, "docs/documents.md", "exec"), {})
    try:
        document = read_document(b"1\n00:00 --> 00:01\nHello", name="film.srt")
        assert (document.reader, document.text) == ("subtitles", "1\n00:00 --> 00:01\nHello")
    finally:
        unregister(readers()[0])


@pytest.mark.parametrize("name", ["~notes.txt", "~$fares.txt", "~", "~root.txt"])
def test_files_whose_names_begin_with_a_tilde(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / name).write_text("The toll bridge.")
    monkeypatch.chdir(tmp_path)
    for source in (name, f"./{name}", Path(name), tmp_path / name):
        assert read_document(source, name="a.txt").text == "The toll bridge."
    assert read_document(f"./{name}").name == name


def test_a_home_folder_is_found_and_an_unknown_user_is_a_missing_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text("at home")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert read_document("~/a.txt").text == "at home"
    for missing in ("~nobody-of-that-name/a.txt", "~missing.txt"):
        with pytest.raises(DocumentNotFoundError, match="There is no file ~"):
            read_document(missing)


@pytest.mark.parametrize("stored", ["NFC", "NFD"])
@pytest.mark.parametrize("typed", ["NFC", "NFD"])
def test_names_in_either_form_of_unicode(stored: str, typed: str, tmp_path: Path) -> None:
    name = "\u00dcbersicht Gr\u00f6\u00dfe.txt"
    (tmp_path / unicodedata.normalize(stored, name)).write_text("The silo.")  # type: ignore[arg-type]
    document = read_document(tmp_path / unicodedata.normalize(typed, name))  # type: ignore[arg-type]
    assert document.name == name


@pytest.mark.usefixtures("own_process")
@pytest.mark.parametrize("error", [RecursionError("too deep"), KeyError("x"), ValueError("odd\n value"), OSError()])
def test_whatever_a_reader_raises_is_a_document_error(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*given: object) -> Document:
        raise error

    monkeypatch.setattr("sharedllm_docs.documents.readers.text.TextReader.read", failing)
    with pytest.raises(DamagedDocumentError, match=rf"a\.txt cannot be read: the text reader .*{type(error).__name__}"):
        read_document(b"some text", name="a.txt")


def test_what_progress_raises_comes_through() -> None:
    def stop(done: int, total: int) -> None:
        raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        read_document(b"some text", name="a.txt", progress=stop)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.exe", b"MZabc"),
        ("tool", b"\x7fELF\x02"),
        ("song.mp3", b"ID3 words"),
        ("notes.dat", b"SQLite format 3"),
        ("font.woff", b"wOFFabc"),
        ("bundle", b"PK\x03\x04ab"),
        *(
            (f"a{ending}", b"\xd0\xcf")
            for ending in (".msg", ".doc", ".xls", ".ppt", ".pst", ".vsd", ".pub", "", ".xyz")
        ),
        *(
            (f"a{ending}", b"ab")
            for ending in (".msg", ".xls", ".odt", ".mp4", ".heic", ".emf", ".zip", ".mobi", ".one")
        ),
        *(("a.msg", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"[:length]) for length in (1, 3, 5, 8)),
        ("a", b"\x89P"),
        ("a", b"\xff\xd8"),
        ("a", b"PK\x03"),
        ("a", b"\x1f\x8b"),
        ("a.svgz.gz", b"\x1f\x8b\x08"),
    ],
)
def test_files_that_are_no_documents_are_refused_by_name_however_small(name: str, data: bytes) -> None:
    with pytest.raises(UnknownFormatError, match=rf"^{re.escape(name)}: no reader takes this file"):
        read_document(data, name=name)


@pytest.mark.parametrize("name", ["notes", "notes.log", "MZ.cfg", "a.json"])
def test_text_of_an_unknown_name_is_read(name: str) -> None:
    assert read_document(b"MZ is the first word here.", name=name).text == "MZ is the first word here."


@pytest.mark.parametrize("ending", [".txt", ".md", ".csv", ".html", ".eml"])
@pytest.mark.parametrize(
    "data", [b"\xd0\xcf", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b" words" * 90, b"\x89PN", b"\x1f\x8b"]
)
def test_bytes_of_other_formats_are_no_text_under_any_name(ending: str, data: bytes) -> None:
    with pytest.raises(UnknownFormatError):
        read_document(data, name=f"a{ending}")


@pytest.mark.parametrize("text", ["PK", "GIF89a is a format.", "II", "\u00d0", "\u0420\u041f", "\u00ff\u00d8 a"])
def test_short_texts_are_read(text: str) -> None:
    assert read_document(text.encode(), name="a.md").text == text


@pytest.mark.parametrize("ending", [".doc", ".xls", ".msg", ".key", ".dot", ".zip"])
def test_writing_under_the_name_of_another_format_is_read(ending: str) -> None:
    text = "The ferry to Oln sails at noon on Mondays."
    assert read_document(text.encode(), name=f"a{ending}").text == text


@pytest.mark.parametrize(
    "ending", [".pdf", ".docx", ".xlsx", ".pptx", ".epub", ".rtf", ".png", ".tif", ".svg", ".svgz"]
)
@pytest.mark.parametrize("data", [b"\xd0\xcf", b"PK", b"ab", b"\x89P", b"II", b"\x1f\x8b"])
def test_two_bytes_of_a_binary_format_are_no_text(ending: str, data: bytes) -> None:
    with pytest.raises(UnknownFormatError):
        read_document(data, name=f"a{ending}")


_BEGINNINGS = {
    "a.tif": b"II*\0\x08\0\0\0",
    "b.tif": b"MM\0*\0\0\0\x08\0\x01",
    "a.png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "a.jpg": b"\xff\xd8\xff\xe0\0\x10JFIF",
    "a.gif": b"GIF89a",
    "a.bmp": b"BM\0\0",
    "a.webp": b"RIFF\0\0\0\0WEBP",
    "a.pdf": b"%PDF-1.7\n",
    "a.docx": b"PK\x03\x04",
    "a.xlsx": b"PK\x03\x04",
    "a.pptx": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    "a.epub": b"PK\x03\x04\0\0mimetypeapplication/epub+zip",
    "a.rtf": b"{\\rtf",
    "a.eml": b"From: a\nTo: b\n",
    "a.html": b"<html>\xff\xfe",
    "a.csv": b'a,"b',
    "a.svg": b"<svg",
}


@pytest.mark.ocr
@pytest.mark.parametrize("more", [b"", b"\0" * 40, bytes(range(256)) * 4], ids=["cut", "zeros", "bytes"])
@pytest.mark.parametrize("name", list(_BEGINNINGS))
def test_errors_and_issues_show_no_insides_of_a_program(
    name: str, more: bytes, own_process: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "engine_name", lambda: "fake-1")
    monkeypatch.setattr(engines, "engine", lambda: None)
    said = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            said += [issue.message for issue in read_document(_BEGINNINGS[name] + more, name=name).issues]
        except DocumentError as error:
            said.append(str(error))
    assert not [one for one in said if re.search(r" at 0x|<_io\.|<class |\bobject at\b|BytesIO", one)]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("cannot identify image file <_io.BytesIO object at 0x7f01>"), "cannot identify image file"),
        (ValueError("<PIL.TiffImagePlugin.TiffImageFile image mode=L at 0x7F01> is\n odd."), "is odd"),
        (TypeError("no <class 'numpy.ndarray'> here"), "no numpy.ndarray here"),
        (ValueError("<_io.BufferedReader name='a'>"), "ValueError"),
        (KeyError(), "KeyError"),
        (ValueError("5 < 7 and 9 > 3"), "5 < 7 and 9 > 3"),
    ],
)
def test_a_reason_is_one_line_in_words(error: Exception, reason: str) -> None:
    assert reason_of(error) == reason
