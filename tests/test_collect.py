"""Files of what a user names: folders, patterns, archives; what is skipped and why; hostile archives."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pytest

from sharedllm_docs.documents.readers import archives
from sharedllm_docs.documents.readers.collect import collect
from sharedllm_docs.documents.readers.collected import Found, Skipped
from sharedllm_docs.errors import DamagedDocumentError, DocumentNotFoundError, DocumentTooLargeError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "reports"
    for name in (
        "a.txt",
        "b.md",
        "2024/c.txt",
        "2024/deep/d.txt",
        ".hidden.txt",
        ".git/config",
        "build/e.txt",
        "x.log",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"text of {name}")
    (root / ".gitignore").write_text("build/\n*.log\n!2024/keep.log\n")
    (root / "2024" / "keep.log").write_text("kept")
    (root / "2024" / ".gitignore").write_text("deep/d.txt\n")
    return root


def search(*sources: object, **options: object) -> tuple[dict[str, object], dict[str, str], list[object]]:
    """(name -> source) of what is found, (name -> reason) of what is skipped, and the errors."""
    found, skipped, failed = {}, {}, []
    for one in collect([str(source) for source in sources], **options):  # type: ignore[arg-type]
        if isinstance(one, Found):
            found[one.name] = one.source
        elif isinstance(one, Skipped):
            skipped[one.name] = one.reason
        else:
            failed.append(one)
    return found, skipped, failed


def test_a_folder_is_read_flat_and_its_folders_are_told(folder: Path) -> None:
    found, skipped, _ = search(folder)
    assert sorted(found) == ["reports/a.txt", "reports/b.md"]
    assert skipped["reports/2024"] == "it is a folder; --recursive reads it too"
    assert skipped["reports/x.log"] == "a .gitignore names it"
    assert skipped["reports/.hidden.txt"] == "it is hidden"


def test_folders_inside_folders_with_their_own_gitignore(folder: Path) -> None:
    found, skipped, _ = search(folder, recursive=True)
    assert sorted(found) == ["reports/2024/c.txt", "reports/2024/keep.log", "reports/a.txt", "reports/b.md"]
    assert skipped["reports/2024/deep/d.txt"] == skipped["reports/build"] == "a .gitignore names it"


def test_ignored_files_on_request(folder: Path) -> None:
    found, _, _ = search(folder, recursive=True, ignored=True)
    assert {"reports/build/e.txt", "reports/x.log", "reports/2024/deep/d.txt"} <= set(found)


def test_a_gitignore_above_counts_up_to_the_repository(folder: Path) -> None:
    (folder.parent / ".gitignore").write_text("*.md\n")
    assert "reports/b.md" in search(folder)[0]  # the repository begins at the folder itself
    (folder / ".gitignore").write_text("c.txt\n")
    assert search(folder / "2024")[1]["2024/c.txt"] == "a .gitignore names it"


def test_links_that_lead_round_in_circles_end(folder: Path) -> None:
    (folder / "2024" / "up").symlink_to(folder, target_is_directory=True)
    (folder / "again.txt").symlink_to(folder / "a.txt")
    (folder / "nowhere.txt").symlink_to(folder / "gone.txt")
    found, skipped, _ = search(folder, recursive=True)
    assert "reports/again.txt" in found
    assert skipped["reports/nowhere.txt"] == "it is a link to nothing"
    assert "it is a link to a folder that is read already" in skipped.values()


def test_patterns(folder: Path) -> None:
    assert sorted(search(folder / "*.txt")[0]) == ["a.txt"]
    assert sorted(search(folder / "**" / "*.txt")[0]) == ["2024/c.txt", "2024/deep/d.txt", "a.txt", "build/e.txt"]
    assert isinstance(search(folder / "*.pdf")[2][0], DocumentNotFoundError)


def test_a_name_with_brackets_that_exists_is_no_pattern(tmp_path: Path) -> None:
    (tmp_path / "a[1].txt").write_text("x")
    assert list(search(tmp_path / "a[1].txt")[0]) == ["a[1].txt"]


def test_two_files_of_one_name_keep_their_folders_in_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "2024" / "a.txt").write_text("another")
    monkeypatch.chdir(folder)
    assert list(search("a.txt", "2024/a.txt")[0]) == ["a.txt", "2024/a.txt"]
    assert list(search("a.txt", "./a.txt")[0]) == ["a.txt"]


def test_office_lock_files_are_skipped_in_folders_and_read_when_named(folder: Path) -> None:
    lock = folder / "~$report.docx"
    lock.write_bytes(b"lock")
    assert "to lock another" in search(folder)[1]["reports/~$report.docx"]
    assert list(search(lock)[0]) == ["~$report.docx"]


def test_a_folder_that_cannot_be_opened_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def scandir(path: object) -> object:
        if str(path).endswith("2024"):
            raise PermissionError(13, "Permission denied")
        return real(path)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "scandir", scandir)
    assert "cannot be opened" in search(folder, recursive=True)[1][str(folder / "2024")]


# -- archives


def packed(*entries: tuple[str, bytes], compress: bool = True) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return file.getvalue()


def members(data: bytes, max_bytes: int = 1 << 20) -> tuple[dict[str, object], dict[str, str]]:
    found = list(archives.members(data, "a.zip", max_bytes=max_bytes))
    return (
        {one.name: one.source for one in found if isinstance(one, Found)},
        {one.name: one.reason for one in found if isinstance(one, Skipped)},
    )


def test_members_are_found_with_the_archives_name(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(packed(("x/one.txt", b"1"), ("two.txt", b"2"), ("__MACOSX/two.txt", b"3")))
    assert search(tmp_path / "a.zip")[0] == {"a.zip/two.txt": b"2", "a.zip/x/one.txt": b"1"}
    assert sorted(search(tmp_path)[0]) == [f"{tmp_path.name}/a.zip/two.txt", f"{tmp_path.name}/a.zip/x/one.txt"]


@pytest.mark.parametrize("name", ["../evil.txt", "/etc/evil.txt", "x/../../evil.txt", "..\\evil.txt", "C:/evil.txt"])
def test_names_that_lead_out_are_skipped(name: str) -> None:
    found, skipped = members(packed((name, b"x"), ("good.txt", b"y")))
    assert list(found) == ["a.zip/good.txt"]
    assert "its name leads out of the archive" in skipped.values()
    assert not any("//" in one for one in skipped)


def test_links_and_large_members_are_skipped() -> None:
    link = zipfile.ZipInfo("link.txt")
    link.external_attr = 0o120777 << 16
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("large.txt", b"x" * 2000)
    found, skipped = members(file.getvalue(), max_bytes=1000)
    assert not found
    assert skipped["a.zip/link.txt"] == "it is a link"
    assert "2,000 bytes, the limit is 1,000" in skipped["a.zip/large.txt"]


def test_archives_inside_archives_end() -> None:
    data = packed(("inner.txt", b"core"))
    for _ in range(3):
        data = packed(("nested.zip", data), ("beside.txt", b"x"))
    found, skipped = members(data)
    assert len(found) == 3
    assert list(skipped.values()) == ["archives are opened 2 deep at most"]


def test_bombs_are_refused_as_a_whole() -> None:
    with pytest.raises(DocumentTooLargeError, match="times its size"):
        members(packed(("bomb.txt", b"\0" * (60 << 20))))


def test_too_many_entries_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from sharedllm_docs.documents.readers import packed as limits

    monkeypatch.setattr(limits, "MAX_ENTRIES", 5)
    with pytest.raises(DocumentTooLargeError, match="6 entries, the limit is 5"):
        members(packed(*((f"{n}.txt", b"x") for n in range(6))))


def test_all_members_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_TOTAL", 2500)
    found, skipped = members(packed(*((f"{n}.txt", os.urandom(1000)) for n in range(4))))
    assert len(found) == 2
    assert len(skipped) == 2


def test_a_damaged_member_does_not_stop_the_others() -> None:
    data = bytearray(packed(("a.txt", b"x" * 1000), ("b.txt", b"y" * 1000), compress=False))
    data[data.index(b"x" * 100) + 5] ^= 0xFF
    found, skipped = members(bytes(data))
    assert list(found) == ["a.zip/b.txt"]
    assert "damaged" in skipped["a.zip/a.txt"]


def test_a_cut_off_archive_is_damaged() -> None:
    with pytest.raises(DamagedDocumentError, match="not a complete zip archive"):
        members(packed(("a.txt", b"x" * 1000), compress=False)[:900])
