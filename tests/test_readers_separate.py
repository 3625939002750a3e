"""Reading in a process of its own: the same documents, and nothing that a file does there takes the caller down."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sharedllm_docs.documents.box import Box
from sharedllm_docs.documents.document import Document, Issue
from sharedllm_docs.documents.page_image import PageImage
from sharedllm_docs.documents.readers import ReadOptions, read_document, register, running_lines
from sharedllm_docs.documents.readers import unregister as take_back
from sharedllm_docs.documents.readers.base import make_document
from sharedllm_docs.documents.readers.embedded import embedded_files
from sharedllm_docs.documents.readers.ocr import engines
from sharedllm_docs.documents.readers.options import reading_options
from sharedllm_docs.documents.readers.separate import drawing, pool, process, reading
from sharedllm_docs.documents.readers.separate.drawing import page_drawn
from sharedllm_docs.documents.readers.separate.plain import from_plain, to_plain
from sharedllm_docs.documents.readers.separate.pool import POOL
from sharedllm_docs.documents.readers.steps import page_once, step
from sharedllm_docs.errors import (
    ConfigError,
    DamagedDocumentError,
    DocumentError,
    DocumentTooLargeError,
    DocumentWarning,
    EncryptedDocumentError,
    PageRangeError,
)
from tests.bombs import doubling_forms
from tests.documents import BLANK, R_INTRO, drawn_pdf, encrypt, make_pdf, prose
from tests.waiting import PATIENCE, until

ROOT = Path(__file__).parents[1]
PAGES = [prose(number) for number in range(1, 6)]
SCAN = "q 595 0 0 842 0 0 cm BI /W 1 /H 1 /BPC 8 /CS /G ID a EI Q "
Break = Callable[..., None]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the faults are those of POSIX systems")


def read(data: bytes, name: str = "sample.pdf", **options: Any) -> Document:
    return read_document(data, name=name, options=ReadOptions(process="separate", **options))


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[Break]:
    """Makes a part of the process that reads fail: ``broken("pdfium", "segfault", "2,4")``."""

    def breaking(place: str, how: str, pages: str = "") -> None:
        POOL.end()
        start = process._START.replace("main()", f"put({place!r}, {how!r}, {pages!r}); main()")
        monkeypatch.setattr(
            process,
            "_START",
            start.replace("from sharedllm", "from tests.failing_engines import put; from sharedllm", 1),
        )

    yield breaking
    POOL.end()


def told(document: Document, code: str) -> list[Issue]:
    return [issue for issue in document.issues if issue.code == code]


# -- the same documents


def samples() -> Iterator[tuple[str, bytes]]:
    yield "a.pdf", make_pdf(PAGES, outline=[("One", 1, 1), ("Two", 1, 3)], labels="<< /Nums [0 << /S /r >>] >>")
    yield "blank.pdf", make_pdf([PAGES[0], BLANK])
    yield "intro.pdf", R_INTRO.read_bytes()
    yield (
        "a.html",
        b"<title>T</title><h1>Silo</h1><p>The silo holds 40 tonnes.<table><tr><th>A<th>B<tr><td>1<td>2</table>",
    )
    yield "a.md", b"---\nauthor: Ann\n---\n# Silo\n\nThe silo holds 40 tonnes.\n"
    yield "a.txt", "Grüße aus Köln.\fZweite Seite.".encode("cp1252")
    yield "a.csv", b"town,people\nOln,120\nBrel,80\n"
    yield "a.rtf", rb"{\rtf1\ansi The silo holds 40 tonnes.\par}"
    yield "a.eml", b"From: a@b.example\nSubject: Silo\n\nThe silo holds 40 tonnes.\n"


@pytest.mark.filterwarnings("ignore::sharedllm_docs.errors.DocumentWarning")
@pytest.mark.parametrize(("name", "data"), list(samples()), ids=[name for name, _ in samples()])
def test_a_document_is_the_same_in_either_process(name: str, data: bytes) -> None:
    own = read_document(data, name=name, options=ReadOptions(process="own"))
    apart = read(data, name)
    assert apart == own
    assert placed(apart) == placed(own)


def placed(document: Document) -> dict[str, list[int]] | None:
    """Where the text stands, which does not count when documents are compared."""
    places = document.places
    return None if places is None else {name: column.tolist() for name, column in places.to_arrays().items()}


def test_a_path_is_read_as_bytes_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = make_pdf(PAGES)
    (tmp_path / "sample.pdf").write_bytes(data)
    assert read_document(tmp_path / "sample.pdf") == read(data)
    monkeypatch.chdir(tmp_path)  # the process was started elsewhere
    assert read_document("sample.pdf") == read(data)


def test_errors_and_warnings_are_the_same() -> None:
    pdf = encrypt(make_pdf(PAGES), "secret")
    with pytest.raises(EncryptedDocumentError, match=r"needs a password\. Give its password\."):
        read(pdf)
    assert read(pdf, password="secret").text == read(make_pdf(PAGES)).text
    with pytest.raises(PageRangeError, match="Page 9 of the range"):
        read(make_pdf(PAGES), pages="9")
    with pytest.warns(DocumentWarning, match="no-text-on-page"):
        read(drawn_pdf([SCAN, "BT /F1 10 Tf 72 700 Td (The silo holds forty tonnes of grain.) Tj ET"]))


def test_lines_and_words_and_embedded_files_come_back() -> None:
    footed = make_pdf([["My Book", *prose(n)] for n in range(1, 9)])
    lines = running_lines(footed, name="a.pdf", options=ReadOptions(process="separate"))
    assert lines == running_lines(footed, name="a.pdf", options=ReadOptions(process="own"))
    assert lines
    mail = (
        b"From: a@b.example\nSubject: S\nMIME-Version: 1.0\n"
        b"Content-Type: multipart/mixed; boundary=x\n\n--x\n\nHello.\n"
        b'--x\nContent-Type: text/csv\nContent-Disposition: attachment; filename="t.csv"\n\na,b\n1,2\n--x--\n'
    )
    found = embedded_files(mail, name="a.eml", options=ReadOptions(process="separate"))
    assert [(one.name, one.data) for one in found] == [("a.eml/t.csv", b"a,b\n1,2")]


def test_progress_is_told_page_by_page() -> None:
    seen: list[tuple[int, int]] = []
    read_document(
        make_pdf(PAGES),
        name="a.pdf",
        options=ReadOptions(process="separate"),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(number, 5) for number in range(1, 6)]


def test_what_progress_raises_comes_through_and_the_next_document_is_read() -> None:
    def stop(done: int, total: int) -> None:
        raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        read_document(make_pdf(PAGES), name="a.pdf", options=ReadOptions(process="separate"), progress=stop)
    assert len(read(make_pdf(PAGES)).pages) == 5


# -- faults of one page

FAULTS = ["segfault", "be_killed", "leave", "loop", "sleep", "grow_slowly", "grow_at_once", "fill_the_pipe"]
REASONS = {
    "segfault": r"it crashed \(SIGSEGV\)",
    "be_killed": r"it crashed \(SIGKILL\)",
    "leave": r"it crashed \(exit code 7\)",
    "loop": r"it took longer than 1 s",
    "sleep": r"it took longer than 1 s",
    "grow_slowly": r"it took more than 300 MiB of memory",
    "grow_at_once": r"it took more than 300 MiB of memory",
    "fill_the_pipe": r"sent what is no answer|it crashed|it took longer",
}
SMALL: dict[str, Any] = {"page_seconds": 1, "max_memory": 300 << 20}


@pytest.mark.filterwarnings("ignore::sharedllm_docs.errors.DocumentWarning")
@pytest.mark.parametrize("how", FAULTS)
def test_a_page_at_which_pdfium_fails_is_read_by_the_other_library(how: str, broken: Break) -> None:
    whole = read(make_pdf(PAGES))
    broken("pdfium", how, "2")
    document = read(make_pdf(PAGES), **SMALL)
    assert [page.number for page in document.pages] == [1, 2, 3, 4, 5]
    for number in (1, 3, 4, 5):
        assert document.pages[number - 1] == whole.pages[number - 1]
    start = document.page_starts[0]
    assert document.places is not None
    assert whole.places is not None
    assert document.places.boxes(start, start + 200) == whole.places.boxes(start, start + 200) != ()
    assert "page 2" in document.pages[1].text
    [issue] = told(document, "page-fallback")
    assert issue.page == 2
    assert re.search(rf"read by pypdf \(pdfium: .*(?:{REASONS[how]})", issue.message), issue.message


@pytest.mark.filterwarnings("ignore::sharedllm_docs.errors.DocumentWarning")
def test_a_page_at_which_both_libraries_fail_is_left_empty_and_told(broken: Break) -> None:
    broken("pdfium", "segfault", "2")
    broken("pypdf", "be_killed", "2")
    document = read(make_pdf(PAGES), **SMALL)
    assert [bool(page.text) for page in document.pages] == [True, False, True, True, True]
    [issue] = told(document, "page-failed")
    assert issue.page == 2
    assert "pdfium: it crashed (SIGSEGV); pypdf: it crashed (SIGKILL)" in issue.message


@pytest.mark.filterwarnings("ignore::sharedllm_docs.errors.DocumentWarning")
def test_what_stands_around_the_text_of_a_page_may_fail(broken: Break) -> None:
    whole = read(make_pdf(PAGES, outline=[("One", 1, 1)]))
    broken("fields", "segfault", "3")
    broken("outline", "loop")
    document = read(make_pdf(PAGES, outline=[("One", 1, 1)]), **SMALL)
    assert document.pages == whole.pages
    assert whole.sections
    assert document.sections == ()
    messages = {issue.page: issue.message for issue in told(document, "structure-failed")}
    assert messages[3] == "the form fields and notes of the page cannot be read: it crashed (SIGSEGV)"
    assert messages[None] == "the outline cannot be read: it took longer than 1 s"


@pytest.mark.filterwarnings("ignore::sharedllm_docs.errors.DocumentWarning")
@pytest.mark.parametrize(("failing", "other"), [("pdfium", "pypdf"), ("pypdf", "pdfium")])
def test_a_file_that_one_library_cannot_open_is_read_by_the_other(failing: str, other: str, broken: Break) -> None:
    broken(f"{failing} opening", "segfault")
    document = read(make_pdf(PAGES))
    assert ["page 4" in page.text for page in document.pages] == [False, False, False, True, False]
    if failing == "pdfium":
        assert told(document, "engine-fallback")[0].message.startswith("pypdf read the text, since pdfium cannot")
    else:
        assert told(document, "structure-failed")


def test_a_file_that_no_library_opens_is_damaged(broken: Break) -> None:
    broken("pdfium opening", "segfault")
    broken("pypdf opening", "segfault")
    with pytest.raises(DamagedDocumentError, match=r"PDFium: it crashed \(SIGSEGV\); pypdf: it crashed"):
        read(make_pdf(PAGES))


@pytest.mark.filterwarnings("ignore::sharedllm_docs.errors.DocumentWarning")
def test_an_engine_that_fails_on_many_pages_is_given_up(broken: Break) -> None:
    """Otherwise a hostile file of a thousand pages would take a thousand times the limit."""
    pages = [prose(number) for number in range(1, 9)]
    broken("pdfium", "loop")
    document = read(make_pdf(pages), **SMALL)
    assert all(f"page {number}" in page.text for number, page in enumerate(document.pages, 1))
    reasons = [issue.message for issue in told(document, "page-fallback")]
    assert len(reasons) == 8
    assert sum("not tried again" in reason for reason in reasons) == 5


@pytest.mark.filterwarnings("ignore::sharedllm_docs.errors.DocumentWarning")
@pytest.mark.parametrize("place", ["ocr", "pdfium drawing"])
@pytest.mark.parametrize("how", ["segfault", "loop", "grow_slowly"])
def test_a_picture_at_which_recognition_fails_is_told(
    place: str, how: str, broken: Break, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "engine_name", lambda: "fake-1")
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    broken("ocr", "leave", "99") if place != "ocr" else None
    broken(place, how, "" if place == "ocr" else "2")
    pdf = drawn_pdf(["BT /F1 10 Tf 72 700 Td (The silo holds forty tonnes of grain.) Tj ET", SCAN])
    document = read(pdf, **SMALL)
    assert "forty tonnes" in document.pages[0].text
    assert document.pages[1].text == ""
    assert [issue.page for issue in told(document, "recognition-failed")] == [2]
    assert told(document, "no-text-on-page")


# -- faults of whole documents


@pytest.mark.parametrize(
    ("how", "error", "match"),
    [
        ("segfault", DamagedDocumentError, r"the process that did it failed, it crashed \(SIGSEGV\)\."),
        (
            "loop",
            DocumentTooLargeError,
            r"within the limits: it took longer than 2 s\. Split it, or raise page_seconds",
        ),
        ("sleep", DocumentTooLargeError, r"within the limits: it took longer than 2 s"),
        ("grow_slowly", DocumentTooLargeError, r"more than 300 MiB of memory\. Split it, or raise max_memory"),
        ("grow_at_once", DocumentTooLargeError, r"more than 300 MiB of memory"),
        ("fill_the_pipe", DamagedDocumentError, r"sent what is no answer"),
    ],
)
def test_a_document_that_makes_its_reader_fail_is_an_error(
    how: str, error: type[Exception], match: str, broken: Break
) -> None:
    broken("html", how)
    with pytest.raises(error, match=match):
        read(b"<p>The silo holds 40 tonnes.", "a.html", **SMALL)
    assert read(b"The silo holds 40 tonnes.", "a.txt").text == "The silo holds 40 tonnes."


def test_a_process_that_was_killed_while_it_waited_is_replaced() -> None:
    read(b"The silo.", "a.txt")
    waiting = POOL._waiting[-1]._process
    os.kill(waiting.pid, signal.SIGKILL)
    waiting.wait()
    assert read(b"The silo.", "a.txt").text == "The silo."


def test_one_process_serves_many_documents_and_threads_have_their_own() -> None:
    POOL.end()
    for number in range(5):
        read(b"The silo %d." % number, "a.txt")
    assert len(POOL._waiting) == 1
    texts: list[str] = []
    threads = [
        threading.Thread(target=lambda n=n: texts.append(read(make_pdf(PAGES[n : n + 1])).text)) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(texts) == sorted(read(make_pdf(PAGES[n : n + 1])).text for n in range(4))
    assert len(POOL._waiting) <= pool._KEPT


def test_a_forked_child_starts_its_own() -> None:
    read(b"The silo.", "a.txt")
    given, taken = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(taken, read(b"The heron.", "a.txt").text.encode())
            POOL.end()
        finally:
            os._exit(0)
    os.close(taken)
    with os.fdopen(given, "rb") as answers:
        assert answers.read() == b"The heron."
    os.waitpid(child, 0)
    assert read(b"The silo.", "a.txt").text == "The silo."


SCRIPT = """
import sharedllm_docs.documents.readers as readers
print(readers.read_document(b"The silo.", name="a.txt").text)
"""


@pytest.mark.parametrize("how", ["standard input", "a file without a main guard", "a thread", "another folder"])
def test_any_script_may_read(how: str, tmp_path: Path) -> None:
    """And nothing is left behind when it ends, nor printed to the terminal."""
    script = SCRIPT
    if how == "a thread":
        body = SCRIPT.replace("\n", "\n    ")
        script = f"import threading\ndef run():{body}\nt = threading.Thread(target=run)\nt.start()\n"
    (tmp_path / "script.py").write_text(script)
    (tmp_path / "json.py").write_text("raise SystemExit('not this one')")
    asked = [sys.executable, "-"] if how == "standard input" else [sys.executable, str(tmp_path / "script.py")]
    if how != "another folder":
        (tmp_path / "json.py").unlink()
    else:  # a module of that name in the working directory is not the standard library's
        asked = [sys.executable, "-P" if sys.version_info >= (3, 11) else "-s", "-c", script]
    done = subprocess.run(
        asked,
        input=script,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SHAREDLLM_DOCS_PROCESS": "separate"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("The silo.\n", "", 0)


def test_the_process_ends_with_the_one_that_started_it(tmp_path: Path) -> None:
    """Even when that one is killed while a page hangs."""
    script = tmp_path / "hang.py"
    script.write_text(
        "import sys\nfrom sharedllm_docs.documents.readers import read_document\n"
        "from sharedllm_docs.documents.readers.separate import process\n"
        "place = 'from tests.failing_engines import put; from sharedllm'\n"
        "process._START = process._START.replace('main()', \"put('html', 'sleep', ''); main()\")"
        ".replace('from sharedllm', place, 1)\n"
        "listen = process.ReadingProcess.ask\n"
        "def ask(self, *given):\n    listen(self, *given)\n    print(self._process.pid, flush=True)\n"
        "process.ReadingProcess.ask = ask\n"
        "read_document(b'<p>x', name='a.html')\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SHAREDLLM_DOCS_PROCESS": "separate"}
    caller = subprocess.Popen([sys.executable, str(script)], env=environment, stdout=subprocess.PIPE, text=True)
    assert caller.stdout is not None
    pid = int(caller.stdout.readline())
    caller.kill()
    caller.communicate()
    deadline = time.monotonic() + PATIENCE
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for the process where Linux lists it")
@pytest.mark.parametrize("ends", ["killed", "by itself"])
def test_a_process_that_ends_while_nobody_asks_is_no_zombie(ends: str) -> None:
    made = process.ReadingProcess()
    number = made._process.pid
    if ends == "killed":
        os.kill(number, signal.SIGKILL)
    else:
        made._stdin.close()
    until(lambda: not Path(f"/proc/{number}").exists())
    made.end()


def test_ctrl_c_while_a_process_starts_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else knows of it yet."""
    started: list[subprocess.Popen[bytes]] = []

    def interrupted(self: process.ReadingProcess, paths: list[str]) -> bool:
        started.append(self._process)
        raise KeyboardInterrupt

    POOL.end()
    monkeypatch.setattr(process.ReadingProcess, "_starts", interrupted)
    with pytest.raises(KeyboardInterrupt):
        read(b"The silo.", "a.txt")
    assert started[0].returncode is not None
    monkeypatch.undo()
    assert read(b"The silo.", "a.txt").text == "The silo."


@pytest.mark.parametrize("what", ["a text", "a picture"])
def test_it_is_read_where_the_working_directory_has_been_removed(what: str, tmp_path: Path) -> None:
    """An empty entry of ``sys.path``, as ``python -c`` has it, then stands for no folder."""
    (tmp_path / "gone").mkdir()
    (tmp_path / "a.pdf").write_bytes(make_pdf(PAGES))
    script = "import os; os.rmdir(os.getcwd())\n" + SCRIPT
    if what == "a picture":
        script += (
            "from sharedllm_docs.documents.readers.separate.drawing import page_drawn\n"
            f"with open({str(tmp_path / 'a.pdf')!r}, 'rb') as file:\n"
            "    print(page_drawn(file, 'a.pdf', 1, 1.0, readers.ReadOptions()).width)\n"
        )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path / "gone",
        env={**os.environ, "PYTHONPATH": str(ROOT), "SHAREDLLM_DOCS_PROCESS": "separate"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout == ("The silo.\n" if what == "a text" else "The silo.\n595\n")


# -- pictures of pages


def drawn(data: bytes, number: int, **options: Any) -> PageImage:
    given = ReadOptions(**{"process": "separate", **options})
    return page_drawn(io.BytesIO(data), "sample.pdf", number, 1.0, given)


def test_a_picture_is_the_same_in_either_process(tmp_path: Path) -> None:
    data = make_pdf(PAGES)
    own = drawn(data, 2, process="own")
    assert drawn(data, 2) == own
    (tmp_path / "a.pdf").write_bytes(data)
    with (tmp_path / "a.pdf").open("rb") as file:
        assert page_drawn(file, "a.pdf", 2, 1.0, ReadOptions(process="separate")) == own
    assert min(own.rgb) < 100 < max(own.rgb)


def test_errors_of_pictures_are_the_same() -> None:
    with pytest.raises(PageRangeError, match=r"has 5 page\(s\), there is no page 6"):
        drawn(make_pdf(PAGES), 6)
    with pytest.raises(ConfigError, match="Choose another scale"):
        page_drawn(io.BytesIO(make_pdf(PAGES)), "a.pdf", 1, 1e6, ReadOptions(process="separate"))
    locked = encrypt(make_pdf(PAGES), "secret")
    with pytest.raises(EncryptedDocumentError, match="needs a password"):
        drawn(locked, 1)
    assert drawn(locked, 1, password="secret") == drawn(make_pdf(PAGES), 1)
    with pytest.raises(DamagedDocumentError, match=r"Page 1 of sample\.pdf cannot be drawn"):
        drawn(b"%PDF-1.7 and no more", 1)


@pytest.mark.parametrize("how", FAULTS)
def test_a_page_at_which_drawing_fails_is_an_error_and_others_are_drawn(how: str, broken: Break) -> None:
    data = make_pdf(PAGES)
    broken("picture", how, "2")
    error = (
        DamagedDocumentError if how in ("segfault", "be_killed", "leave", "fill_the_pipe") else DocumentTooLargeError
    )
    with pytest.raises(error, match=rf"Page 2 of sample\.pdf cannot be drawn.*(?:{REASONS[how]}).*\. \w+") as caught:
        drawn(data, 2, **SMALL)
    if error is DocumentTooLargeError:
        assert re.search("raise (page_seconds|max_memory)", str(caught.value))
    assert drawn(data, 3, **SMALL) == drawn(data, 3, process="own")


@pytest.mark.parametrize(
    ("limits", "match"),
    [
        ({"page_seconds": 1, "max_memory": 8 << 30}, "took longer than 1 s"),
        ({"max_memory": 200 << 20}, "took more than 200 MiB of memory|it crashed"),
    ],
    ids=["time", "memory"],
)
def test_a_page_of_forms_that_double_stays_within_the_limits(limits: dict[str, Any], match: str) -> None:
    """A few kilobytes that ask for 2 ** 40 drawings."""
    with pytest.raises((DocumentTooLargeError, DamagedDocumentError), match=match):
        drawn(doubling_forms(40), 1, **limits)
    assert drawn(make_pdf(PAGES), 1).width == 595


def test_no_more_than_two_pictures_are_drawn_at_once() -> None:
    """Each may take the whole memory limit."""
    slots = drawing._SLOTS.free
    with slots, slots, pytest.raises(DocumentError, match=r"other pages took all of 0\.1 s, and 2 are drawn at once"):
        drawn(make_pdf(PAGES), 1, page_seconds=0.1)
    assert drawn(make_pdf(PAGES), 1).width == 595


@pytest.mark.parametrize(
    "answer",
    [{}, {"width": 0}, {"width": 3}, {"rotation": 45}, {"shown": [0.0, 0.0, 1.0]}, {"shown": [0.0, 0.0, 1.0, 1e999]}],
    ids=str,
)
def test_what_is_no_picture_is_refused(answer: dict[str, Any]) -> None:
    whole = {"width": 2, "height": 1, "rotation": 90, "shown": [0.0, 0.0, 1.0, 1.0]}
    assert drawing._picture((whole, [bytes(6)]), "a.pdf", 1, 1.0).pixels(Box(1, 0, 0, 1, 1)) == (0, 0, 2, 1)
    with pytest.raises(DamagedDocumentError, match="sent what is no"):
        drawing._picture(({**whole, **answer} if answer else {}, [bytes(6)]), "a.pdf", 1, 1.0)


# -- settings


def test_it_can_be_read_in_the_own_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*given: object, **named: object) -> None:
        raise PermissionError("no processes here")

    POOL.end()
    monkeypatch.setattr(subprocess, "Popen", refused)
    with pytest.raises(DocumentError, match=r"No process can be started that reads: no processes here\. Read in this"):
        read(b"The silo.", "a.txt")
    options = reading_options(None, {"process": "own"})
    assert read_document(b"The silo.", name="a.txt", options=options).text == "The silo."
    monkeypatch.setenv("SHAREDLLM_DOCS_PROCESS", "own")
    assert read_document(b"The silo.", name="a.txt").text == "The silo."
    monkeypatch.setenv("SHAREDLLM_DOCS_PROCESS", "none")
    with pytest.raises(ConfigError, match="SHAREDLLM_DOCS_PROCESS is 'none', not 'separate' or 'own'"):
        read_document(b"The silo.", name="a.txt")


def test_a_program_packed_into_one_file_reads_in_its_own_process_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(reading, "_can_start", reading._can_start.__wrapped__)
    with pytest.warns(DocumentWarning, match="read-in-own-process: there is no Python to start a process with"):
        assert read(b"The silo.", "a.txt").text == "The silo."


@pytest.mark.parametrize(
    "wrong", [{"process": "elsewhere"}, {"page_seconds": 0}, {"page_seconds": "long"}, {"max_memory": 0}], ids=str
)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        ReadOptions(**wrong)


def test_a_registered_reader_stays_in_the_process_that_registered_it() -> None:
    class Here:
        name, version, suffixes, takes = "here", "1", (".here",), frozenset[str]()

        def sniff(self, head: bytes, name: str) -> bool:
            return name.endswith(".here")

        def read(self, source: Any, options: Any, progress: Any) -> Document:
            from sharedllm_docs.documents.document import Page

            return make_document(self, source, options, pages=[Page(1, f"process {os.getpid()}")], page_count=1)

    reader = Here()
    register(reader)
    try:
        assert read(b"x", "a.here").text == f"process {os.getpid()}"
    finally:
        take_back(reader)


# -- what goes between


def test_what_comes_back_is_checked() -> None:
    document = read(make_pdf(PAGES))
    assert from_plain(Document, to_plain(document)) == document
    wrong: Any
    for wrong in (
        [],
        {"name": 1},
        {**to_plain(document), "pages": [{"number": "1", "text": "x"}]},
        {**to_plain(document), "other": 1},
        {**to_plain(document), "metadata": {"a": 1}},
        {**to_plain(document), "pages": [{"number": 1, "text": "x", "repeats": [[1, 2, 3]]}]},
    ):
        with pytest.raises((ValueError, TypeError)):
            from_plain(Document, wrong)


def test_steps_are_nothing_where_nobody_watches() -> None:
    with step("anything", 1):
        assert page_once(1, str, lambda: "made") == "made"
