"""Versions of a file in an index, files inside files, many files at once, and folders that are watched."""

from __future__ import annotations

import io
import threading
import warnings
import zipfile
from email.message import EmailMessage
from pathlib import Path

import pytest

from sharedllm_docs import Index
from sharedllm_docs.documents.document import Document
from sharedllm_docs.errors import ConfigError, DocumentWarning
from sharedllm_docs.index.folders import watch
from tests.documents import make_pdf, prose

FARES = "The ferry fare is {} crowns. Children travel free of charge on all days."


@pytest.fixture
def index(llm, tmp_path: Path) -> Index:
    return Index.create(tmp_path / "index", llm)


def names(index: Index) -> list[str]:
    return sorted(info.name for info in index.documents())


def test_new_bytes_under_the_same_name_replace_the_old_ones(index: Index, tmp_path: Path) -> None:
    file = tmp_path / "fares.txt"
    file.write_text(FARES.format(12))
    old = index.add(file)
    file.write_text(FARES.format(15))
    new = index.add(file)
    assert new.replaced == (old.document.key,)
    assert [info.key for info in index.documents()] == [new.document.key]
    assert index.add(file).replaced == ()


def test_both_versions_on_request(index: Index, tmp_path: Path) -> None:
    file = tmp_path / "fares.txt"
    file.write_text(FARES.format(12))
    index.add(file)
    file.write_text(FARES.format(15))
    assert index.add(file, replace=False).replaced == ()
    assert names(index) == ["fares.txt", "fares.txt"]


def test_parts_of_one_file_stand_beside_each_other_until_it_changes(index: Index, tmp_path: Path) -> None:
    file = tmp_path / "a.pdf"
    file.write_bytes(make_pdf([prose(1), prose(2), prose(3)]))
    index.add(file, pages="1")
    index.add(file, pages="2-3")
    assert len(index.documents()) == 2
    file.write_bytes(make_pdf([prose(4), prose(5)]))
    assert len(index.add(file).replaced) == 2


def test_the_same_bytes_under_a_new_name_get_the_name(index: Index, tmp_path: Path) -> None:
    first, second = tmp_path / "scan0001.txt", tmp_path / "barn-survey.txt"
    for file in (first, second):
        file.write_text(FARES.format(31))
    index.add(first)
    added = index.add(second)
    assert (added.new, added.renamed_from, added.document.name) == (False, "scan0001.txt", "barn-survey.txt")
    assert names(index) == ["barn-survey.txt"]
    assert index.document("barn-survey.txt").key == added.document.key
    answer = index.ask("What is the ferry fare?", relevance_floor=0.0)
    assert {passage.document for passage in answer.citations or answer.nearest} == {"barn-survey.txt"}
    assert Index.open(index.url, index.llm).document("barn-survey.txt").name == "barn-survey.txt"


def test_a_new_name_takes_the_place_of_what_had_it(index: Index, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(FARES.format(1))
    (tmp_path / "b.txt").write_text(FARES.format(2))
    index.add(tmp_path / "a.txt")
    other = index.add(tmp_path / "b.txt")
    added = index.add(tmp_path / "a.txt", name="b.txt")
    assert (added.renamed_from, added.replaced) == ("a.txt", (other.document.key,))
    assert names(index) == ["b.txt"]


def test_documents_in_memory_and_nameless_bytes_replace_nothing(index: Index) -> None:
    for fare in (1, 2):
        index.add(FARES.format(fare).encode())
        index.add(Document.from_text(FARES.format(fare), name="memory"))
    assert names(index) == ["document", "document", "memory", "memory"]


# -- files inside files


def mail(fare: int, *files: str) -> bytes:
    message = EmailMessage()
    message["From"], message["Subject"] = "ann@example.org", "Fares"
    message.set_content("The fares are attached to this letter.")
    for number, file in enumerate(files):
        message.add_attachment(FARES.format(fare + number).encode(), maintype="text", subtype="plain", filename=file)
    return bytes(message)


@pytest.mark.filterwarnings("ignore::sharedllm_docs.errors.DocumentWarning")
def test_attached_files_are_documents_of_their_own(index: Index) -> None:
    added = index.add(mail(12, "fares.txt", "more.bin"), name="fares.eml", attachments=True)
    assert [one.document.name for one in added.attachments] == ["fares.eml/fares.txt", "fares.eml/more.bin"]
    assert names(index) == ["fares.eml", "fares.eml/fares.txt", "fares.eml/more.bin"]
    newer = index.add(mail(15, "fares.txt"), name="fares.eml", attachments=True)
    assert len(newer.replaced) == 1
    assert names(index) == ["fares.eml", "fares.eml/fares.txt"]


@pytest.mark.filterwarnings("ignore::sharedllm_docs.errors.DocumentWarning")
def test_an_embedded_pdf_is_read_on_request_and_cited_by_its_own_page(index: Index) -> None:
    import pypdf

    writer = pypdf.PdfWriter(clone_from=io.BytesIO(make_pdf([prose(1)])))
    writer.add_attachment("tides.pdf", make_pdf([prose(2), ["High water is 6.2 metres at noon.", *prose(3)]]))
    writer.add_attachment("broken.pdf", b"%PDF-1.7 not one")
    file = io.BytesIO()
    writer.write(file)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        plain = index.add(file.getvalue(), name="cover.pdf")
    assert any("'tides.pdf'" in str(one.message) for one in told if one.category is DocumentWarning)
    assert plain.attachments == ()
    added = index.add(file.getvalue(), name="cover.pdf", attachments=True)
    assert not added.new
    assert [(one.document.name, one.document.pages) for one in added.attachments] == [("cover.pdf/tides.pdf", 2)]
    assert [name for name, _ in added.unread] == ["cover.pdf/broken.pdf"]


# -- many files


def test_one_bad_file_does_not_stop_the_others(index: Index, tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_text(FARES.format(1))
    (folder / "b.pdf").write_bytes(b"%PDF-1.7 broken")
    (folder / "c.bin").write_bytes(b"\0\1\2")
    (folder / "empty.txt").write_bytes(b"")
    (folder / "d.txt").write_text(FARES.format(1))
    (folder / "deep" / "a.txt").write_text(FARES.format(2))
    with zipfile.ZipFile(folder / "z.zip", "w") as archive:
        archive.writestr("inside.txt", FARES.format(3))
        archive.writestr("../out.txt", "x")
    seen = []
    files = index.add_all([folder, tmp_path / "nowhere.txt"], recursive=True, each=seen.append)
    assert [one.document.name for one in files.added] == [
        *("reports/a.txt", "reports/deep/a.txt", "reports/z.zip/inside.txt"),
    ]
    assert seen == list(files.added)
    assert dict(files.skipped)["reports/d.txt"] == "it is the same as reports/a.txt"
    assert [name for name, _ in files.failed] == ["reports/b.pdf", "nowhere.txt"]
    assert [name for name, _ in files.skipped] == [
        "reports/c.bin",
        "reports/d.txt",
        "reports/empty.txt",
        "reports/z.zip/../out.txt",
    ]


def test_add_all_takes_no_name(index: Index, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="name= fits one document"):
        index.add_all([tmp_path], name="x")


# -- watching


def test_a_watched_folder_and_its_index_agree(index: Index, tmp_path: Path) -> None:
    pytest.importorskip("watchfiles")
    folder = tmp_path / "reports"
    folder.mkdir()
    (folder / "a.txt").write_text(FARES.format(1))
    stop, states = threading.Event(), []
    steps = [
        lambda: (folder / "b.txt").write_text(FARES.format(2)),
        lambda: (folder / "a.txt").unlink(),
        stop.set,
    ]
    wanted = [["reports/a.txt"], ["reports/a.txt", "reports/b.txt"], ["reports/b.txt"]]

    def told(_files: object, _gone: tuple[str, ...]) -> None:
        states.append(names(index))
        if states[-1] == wanted[len(wanted) - len(steps)]:
            steps.pop(0)()

    watch(index, [folder], recursive=True, ignored=False, told=told, stop=stop)
    assert states[-1] == ["reports/b.txt"]
    assert not steps


def test_only_folders_are_watched(index: Index, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a folder"):
        watch(index, [tmp_path / "nowhere"], recursive=True, ignored=False, told=lambda *_: None)
