"""Fetching and reading packages: the cache, pinned hashes, missing tools, archives of each form."""

from __future__ import annotations

import gzip
import stat
from pathlib import Path

import pytest
from made_packages import make_deb, make_evaluation_wheel, make_wheel, tar_bytes
from sharedllm_docs_data.archives import members, natural_key
from sharedllm_docs_data.fetch import APT_INDEX, PYPI, Package, fetch, sha256_of

from sharedllm_docs.errors import FetchError


def tool(folder: Path, name: str, script: str) -> None:
    """A command of that name on the PATH, in the place of the real one."""
    path = folder / name
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")
    monkeypatch.setattr(
        "sharedllm_docs_data.fetch.shutil.which",
        lambda name: str(folder / name) if (folder / name).exists() else None,
    )
    return folder


def test_a_cached_debian_package_is_taken_with_its_version_and_hash(tmp_path: Path) -> None:
    path = make_deb(tmp_path / "debian" / "perl-doc" / "perl-doc_1%3a5.36-7_all.deb", {"a": "b"})

    found = fetch(Package("perl-doc"), tmp_path)

    assert (found.path, found.version, found.size) == (path, "1:5.36-7", path.stat().st_size)
    assert found.sha256 == sha256_of(path)


def test_another_hash_than_the_pinned_one_is_an_error(tmp_path: Path) -> None:
    make_wheel(tmp_path / "pypi" / "thing" / "thing-1.0-py3-none-any.whl", {"a": "b"})

    with pytest.raises(FetchError, match=r"SHA-256 [0-9a-f]{64}, but 00ff is pinned"):
        fetch(Package("thing", PYPI, "1.0", "00ff"), tmp_path)


def test_without_apt_the_error_says_what_to_do(tools: Path, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"there is no apt-get on this machine.*Run the build on Debian"):
        fetch(Package("anarchism"), tmp_path / "cache")
    with pytest.raises(FetchError, match="there is no apt-cache"):
        fetch(Package("available", APT_INDEX), tmp_path / "cache")


def test_apt_get_is_asked_for_a_debian_package(tools: Path, tmp_path: Path) -> None:
    tool(tools, "apt-get", 'echo "$@" > ${3}_1.2_all.deb\n')

    found = fetch(Package("anarchism"), tmp_path / "cache")

    assert found.path.read_text() == "download --quiet anarchism\n"
    assert found.version == "1.2"
    assert found.path.parent == tmp_path / "cache" / "debian" / "anarchism"


def test_what_apt_prints_about_all_packages_is_kept(tools: Path, tmp_path: Path) -> None:
    tool(tools, "apt-cache", 'echo "Package: a"\n')

    assert fetch(Package("available", APT_INDEX), tmp_path / "cache").path.read_text() == "Package: a\n"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'E: Unable to locate package' >&2; exit 100\n", "exit status 100: E: Unable to locate package"),
        ("exit 3\n", "exit status 3: no output"),
        ("exit 0\n", "left no file of anarchism"),
    ],
)
def test_a_failing_tool_is_reported_with_its_last_words(tools: Path, tmp_path: Path, script: str, message: str) -> None:
    tool(tools, "apt-get", script)

    with pytest.raises(FetchError, match=message):
        fetch(Package("anarchism"), tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.deb"))


def test_a_slow_tool_is_stopped(tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool(tools, "apt-get", "sleep 600\n")
    monkeypatch.setattr("sharedllm_docs_data.fetch._TIMEOUT_S", 0.2)

    with pytest.raises(FetchError, match="took more than"):
        fetch(Package("anarchism"), tmp_path / "cache")


@pytest.mark.parametrize("sdist", [False, True])
def test_pip_is_called_without_dependencies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sdist: bool) -> None:
    called: list[list[str]] = []

    def run(package: Package, command: list[str], folder: str) -> bytes:
        called.append(command)
        Path(folder, "thing-1.0.tar.gz" if sdist else "thing-1.0-py3-none-any.whl").write_bytes(b"x")
        return b""

    monkeypatch.setattr("sharedllm_docs_data.fetch._run", run)
    found = fetch(Package("thing", PYPI, "1.0", sdist=sdist), tmp_path)

    assert called[0][1:4] == ["-m", "pip", "download"]
    assert {"--no-deps", "thing==1.0", "--no-binary" if sdist else "--only-binary"} <= set(called[0])
    assert found.version == "1.0"


def test_members_are_chosen_decompressed_and_in_natural_order(tmp_path: Path) -> None:
    deb = make_deb(
        tmp_path / "a_1_all.deb",
        {"d/ch10.txt": "ten", "d/ch2.txt.gz": gzip.compress(b"two"), "d/no.png": "x", "d/skip.txt": "s"},
    )

    assert members(deb, r"d/.*\.txt", "skip") == [("d/ch2.txt", b"two"), ("d/ch10.txt", b"ten")]
    assert natural_key("a2") < natural_key("a10") < natural_key("b1")


def test_source_archives_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a-1.tar.gz"
    path.write_bytes(tar_bytes({"a-1/t.txt": b"text"}, "w:gz"))

    assert members(path, r".*\.txt") == [("a-1/t.txt", b"text")]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.deb", b"nothing", "is not a Debian package"),
        ("a.deb", b"!<arch>\n", "holds no data.tar"),
        ("a.deb", b"!<arch>\n" + f"{'data.tar.zst':<16}{0:<12}{0:<6}{0:<6}{0:<8}{4:<10}`\nabcd".encode(), "zstd"),
        ("a.whl", b"nothing", "cannot be read as an archive"),
        ("a.tar.gz", b"nothing", "cannot be read as an archive"),
    ],
)
def test_a_damaged_archive_is_an_error_with_its_name(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)

    with pytest.raises(FetchError, match=message):
        members(path, ".*")


def test_the_hand_made_packages_can_be_read(tmp_path: Path) -> None:
    deb = make_deb(tmp_path / "a_1_all.deb", {"usr/a.txt": "text"})
    wheel = make_evaluation_wheel(tmp_path / "a.whl")

    assert members(deb, ".*") == [("usr/a.txt", b"text")]
    assert len(members(wheel, ".*squad.*")) == 1
