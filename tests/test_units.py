"""The unit of work: encoded by many, in any order, without a lock, the bytes are those of one process."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from sharedllm_docs import Index, SharedLLM
from sharedllm_docs.distributed import EncodedChunks, commit_document, count_chunks, encode_chunks
from sharedllm_docs.errors import ChunksMissingError, ConfigError, DiskBudgetError, IndexLockedError, StoreError
from sharedllm_docs.store import files as files_module
from sharedllm_docs.store.files import TEMP_PREFIX
from sharedllm_docs.store.opening import open_files
from sharedllm_docs.store.shard import encode_shard
from sharedllm_docs.store.writer import IndexWriter
from tests.s3_server import BUCKET, KEYS, S3Server, at_random, need_s3
from tests.tiny_text import PAGES, tiny_document, tiny_llm, tiny_profile

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "distributed" / "workers.py"
TEXTS = [" ".join(random.Random(seed).choices(" ".join(PAGES).split(), k=150)) for seed in range(4)]


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    need_s3()
    running = S3Server()
    yield running
    running.close()


@pytest.fixture(params=["local", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the workers' index is."""
    if request.param == "local":
        return str(tmp_path / "workers")
    server = request.getfixturevalue("server")
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": server.url, "SHAREDLLM_DOCS_CACHE": str(tmp_path / "c")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sharedllm_docs.store.s3_requests.LONGEST_PAUSE", 0.01)
    return f"s3://{BUCKET}/{uuid4().hex}"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "long.txt"
    path.write_text("\n\n".join(TEXTS), encoding="utf-8")
    return path


@pytest.fixture
def alone(tmp_path: Path, llm: SharedLLM, source: Path) -> Index:
    """The index that one process makes of the source."""
    index = Index.create(tmp_path / "alone", llm)
    index.add(source)
    return index


def content(url: str) -> dict[str, Any]:
    """Path -> bytes of everything in an index; of manifests all but the time at which they were written."""
    files, found = open_files(url), dict[str, Any]()
    for folder in ("documents", "shards", "sources"):
        for path in files.sizes(folder):
            found[path] = files.read(path)
            if path.endswith("manifest.json"):
                found[path] = {**json.loads(found[path]), "created": "", "sha256": ""}
                found[path] = {key: value for key, value in found[path].items() if key != "digest"}
    return found


def ranges(count: int, size: int) -> list[tuple[int, int]]:
    return [(start, min(start + size, count)) for start in range(0, count, size)]


def test_bytes_equal_those_of_one_process(place: str, alone: Index, llm: SharedLLM, source: Path) -> None:
    Index.create(place, llm)
    count = count_chunks(source, Index.open(place, llm))
    assert count > 8
    order = ranges(count, 3)
    random.Random(1).shuffle(order)
    encoded = [encode_chunks(source, Index.open(place, llm), one) for one in order]
    assert sum(one.encoded for one in encoded) == count
    assert Index.open(place, llm).documents() == []
    added = commit_document(source, Index.open(place, llm), encoded)
    assert added.new
    assert (added.chunks_encoded, added.chunks_reused) == (0, count)
    assert content(place) == content(str(alone.url))
    assert Index.open(place, llm).verify().ok


@pytest.fixture
def ranked() -> SharedLLM:
    """Its profile chooses the rows of a node by the attention they receive."""
    return tiny_llm(profile=tiny_profile(keep="reread", grains=(0, 0, 4)))


def ask(index: Index) -> tuple[Any, ...]:
    answer = index.ask("Where did the heron stand?", grains=(4, 16), min_confidence=0, max_new_tokens=2)
    return answer.text, answer.counts.grains, answer.counts.rows


def test_where_rows_are_chosen_by_attention_workers_write_the_ranks(
    place: str, ranked: SharedLLM, source: Path, tmp_path: Path
) -> None:
    alone = Index.create(tmp_path / "alone", ranked)
    alone.add(source)
    Index.create(place, ranked)
    count = count_chunks(source, Index.open(place, ranked))
    encoded = [encode_chunks(source, Index.open(place, ranked), one) for one in ranges(count, 3)]
    commit_document(source, Index.open(place, ranked), encoded)
    assert content(place) == content(str(alone.url))
    index = Index.open(place, ranked)
    assert index.verify().ok
    assert ask(index) == ask(alone)


def without_ranks(url: str, llm: SharedLLM, source: Path, monkeypatch: pytest.MonkeyPatch) -> list[EncodedChunks]:
    """Encode as a worker of an earlier version did, which left the ranks out."""
    with monkeypatch.context() as patched:
        patched.setattr("sharedllm_docs.store.lockless.encode_shard", lambda *given: encode_shard(*given[:-1]))
        return [encode_chunks(source, Index.open(url, llm))]


def commit_unchecked(url: str, llm: SharedLLM, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commit shards without ranks, as an earlier version did."""
    encoded = without_ranks(url, llm, source, monkeypatch)
    with monkeypatch.context() as patched:
        patched.setattr(IndexWriter, "_as_ranked", lambda *_: True)
        commit_document(source, Index.open(url, llm), encoded)


def test_shards_without_ranks_are_not_committed(
    place: str, ranked: SharedLLM, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Index.create(place, ranked)
    encoded = without_ranks(place, ranked, source, monkeypatch)
    for given in (encoded, []):
        with pytest.raises(ChunksMissingError) as raised:
            commit_document(source, Index.open(place, ranked), given)
        assert raised.value.chunks == tuple(range(encoded[0].total))
    again = encode_chunks(source, Index.open(place, ranked))
    assert again.replaced == again.encoded == again.total
    commit_document(source, Index.open(place, ranked), [again])
    assert Index.open(place, ranked).verify().ok


@pytest.mark.parametrize("how", ["repair", "force", "workers"])
def test_shards_without_ranks_are_damage_that_can_be_mended(
    how: str, place: str, ranked: SharedLLM, source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Index.create(place, ranked)
    commit_unchecked(place, ranked, source, monkeypatch)
    index = Index.open(place, ranked)
    count = index.documents()[0].chunks
    damaged = index.verify().damaged
    assert len(damaged) == count
    assert all("it holds the ranks of 0 tokens instead of" in one.reason for one in damaged)
    if how == "repair":
        assert index.repair() == count
    elif how == "force":
        assert index.add(source, force=True).chunks_encoded == count
    else:
        commit_document(source, index, [encode_chunks(source, index)])
    alone = Index.create(tmp_path / "alone", ranked)
    alone.add(source)
    mended = Index.open(place, ranked)
    assert mended.verify().ok
    assert mended.repair() == 0
    assert ask(mended) == ask(alone)


def test_results_of_workers_may_be_left_out(place: str, alone: Index, llm: SharedLLM, source: Path) -> None:
    index = Index.create(place, llm)
    encode_chunks(source, index)
    commit_document(source, Index.open(place, llm))
    assert content(place) == content(str(alone.url))


def test_a_second_run_writes_nothing(place: str, llm: SharedLLM, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = Index.create(place, llm)
    first = encode_chunks(source, index)
    commit_document(source, index, [first])
    kind = type(open_files(place))
    for name in ("write", "create", "remove"):

        def refuse(_self: Any, path: str, *_rest: Any) -> None:
            if not path.endswith("writer.lock"):
                raise AssertionError(f"{path} was written")

        monkeypatch.setattr(kind, name, refuse)
    again = encode_chunks(source, Index.open(place, llm))
    assert again == replace(first, encoded=0, tokens=0)
    added = commit_document(source, Index.open(place, llm), [again])
    assert not added.new


def test_encoding_takes_no_lock_and_committing_does(place: str, llm: SharedLLM, source: Path) -> None:
    index = Index.create(place, llm)
    with Index.open(place, llm)._store.writer():
        encoded = encode_chunks(source, index)
        assert encoded.encoded == encoded.total
        with pytest.raises(IndexLockedError):
            commit_document(source, index, [encoded], timeout=0)
    assert commit_document(source, index, [encoded]).new


def test_what_is_missing_is_named(place: str, llm: SharedLLM, source: Path) -> None:
    index = Index.create(place, llm)
    encoded = encode_chunks(source, index, (0, 3))
    with pytest.raises(ChunksMissingError, match=r"of long\.txt are not encoded \(the first is number 3\)") as raised:
        commit_document(source, index, [encoded])
    assert raised.value.chunks == tuple(range(3, encoded.total))
    rest = encode_chunks(source, index, (3, encoded.total))
    index._store.prune(grace=0)
    with pytest.raises(ChunksMissingError) as raised:
        commit_document(source, index, [encoded, rest])
    assert len(raised.value.chunks) == encoded.total, "pruned before it was committed: found out, not committed"
    assert index.documents() == []
    commit_document(source, index, [encode_chunks(source, index)])
    assert index.verify().ok


def test_with_a_grace_prune_takes_nothing_from_workers(place: str, llm: SharedLLM, source: Path) -> None:
    index = Index.create(place, llm)
    encoded = encode_chunks(source, index)
    assert index._store.prune(grace=3600).files == 0
    assert commit_document(source, index, [encoded]).new


@pytest.mark.parametrize("takes", ["folder", "file"])
@pytest.mark.parametrize("times", [2, 1000])
def test_a_prune_that_takes_what_a_worker_is_writing(
    takes: str, times: int, tmp_path: Path, llm: SharedLLM, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder, still empty, before the file is in it; or the file that has not its name yet."""
    index = Index.create(tmp_path / "index", llm)
    make, write, taken = files_module._make_folder, files_module._write_all, list[Path]()

    def make_folder(folder: Path) -> None:
        make(folder)
        if takes == "folder" and folder.parent.name == "shards" and len(taken) < times:
            taken.append(folder)
            folder.rmdir()

    def write_all(file: Any, buffers: Any) -> None:
        write(file, buffers)
        if takes == "file" and "shards" in file.name and len(taken) < times:
            taken.append(Path(file.name))
            Path(file.name).unlink()

    monkeypatch.setattr(files_module, "_make_folder", make_folder)
    monkeypatch.setattr(files_module, "_write_all", write_all)
    if times == 1000:
        with pytest.raises(StoreError, match=r"Writing shards/.* failed"):
            encode_chunks(source, index)
        return
    commit_document(source, index, [encode_chunks(source, index)])
    assert len(taken) == times
    assert index.verify().ok
    assert not [path for path in (tmp_path / "index" / "shards").rglob("*") if path.name.startswith(TEMP_PREFIX)]


def test_workers_that_do_the_same_at_once_disturb_nobody(
    place: str, alone: Index, llm: SharedLLM, source: Path
) -> None:
    Index.create(place, llm)
    with ThreadPoolExecutor(4) as pool:
        works = [pool.submit(encode_chunks, source, Index.open(place, llm)) for _ in range(4)]
        encoded = [work.result() for work in works]
        commits = [pool.submit(commit_document, source, Index.open(place, llm), encoded) for _ in range(4)]
        added = [commit.result() for commit in commits]
    assert len({one.document.key for one in added}) == 1
    assert content(place) == content(str(alone.url))


def test_a_damaged_shard_is_encoded_again_and_every_manifest_mended(place: str, llm: SharedLLM, source: Path) -> None:
    index = Index.create(place, llm)
    record = index._store.get(index.add(source).document.key)
    path = record.chunks[1].path
    files = open_files(place)
    files.write(path, [files.read(path)[:-1] + b"\x07"])
    copy = source.with_name("copy.md")
    copy.write_text(source.read_text(encoding="utf-8") + "\n\nAnd more.", encoding="utf-8")
    encoded = encode_chunks(copy, index)
    assert encoded.replaced == 1
    commit_document(copy, index, [encoded])
    assert index.verify().ok
    assert len(index.documents()) == 2


def test_documents_in_memory_metadata_and_older_versions(place: str, llm: SharedLLM, source: Path) -> None:
    index = Index.create(place, llm)
    document = tiny_document(*TEXTS, name="letter")
    encoded = encode_chunks(document, index)
    added = commit_document(document, index, [encoded], metadata={"year": "2024"})
    assert added.document.metadata == {"year": "2024"}
    older = commit_document(source, index, [encode_chunks(source, index)], name="report").document
    source.write_text(TEXTS[0], encoding="utf-8")
    newer = commit_document(source, index, [encode_chunks(source, index)], name="report", keep_source=True)
    assert newer.replaced == (older.key,)
    assert newer.document.source == "kept"
    assert [one.name for one in index.documents()] == ["letter", "report"]


def test_what_does_not_belong_together_is_refused(tmp_path: Path, llm: SharedLLM, source: Path) -> None:
    index = Index.create(tmp_path / "index", llm)
    encoded = encode_chunks(source, index, (0, 2))
    with pytest.raises(ConfigError, match="are not those of tiny"):
        commit_document(tiny_document(*TEXTS), index, [encoded])
    wrong: list[Any] = [(2, 2), (-1, 3), (0, 10_000), (1.5, 2), 5, (0, 1, 2), (0,), (), (True, 2), (0, True), "ab"]
    for chunks in [*wrong, (0, None), (0.0, 1), {0, 1}, {0: 1, 1: 2}, 10**400, (0, 10**400)]:
        with pytest.raises(ConfigError, match="is not a range of the"):
            encode_chunks(source, index, chunks)
    with pytest.raises(ConfigError, match="attachments"):
        encode_chunks(source, index, attachments=True)
    small = Index.create(tmp_path / "small", llm, max_bytes=20_000)
    with pytest.raises(DiskBudgetError):
        encode_chunks(source, small)
    assert open_files(tmp_path / "small").sizes("shards") == {}


def test_arguments_of_other_types_are_refused(tmp_path: Path, llm: SharedLLM, source: Path) -> None:
    index = Index.create(tmp_path / "index", llm)
    part = encode_chunks(source, index)
    wrong: list[Any] = [part, None, 3, "ab", b"ab", [None], [part, 1], ["x"], {"a": part}, [[part]]]
    for encoded in wrong:
        with pytest.raises(ConfigError, match="is not a list of what encode_chunks returned"):
            commit_document(source, index, encoded)
    none: list[Any] = [None, 3, 1.5, True, [source], object(), {"a": 1}]
    for no_source in none:
        for call in (encode_chunks, commit_document, count_chunks, lambda given, _index: index.add(given)):
            with pytest.raises(ConfigError, match="is no document"):
                call(no_source, index)
    with source.open(encoding="utf-8") as text, pytest.raises(ConfigError, match="gives str, not bytes"):
        encode_chunks(text, index)  # type: ignore[arg-type]
    graces: list[Any] = ["2h", True, [1], -1, float("nan"), b"1", {}, -(10**400)]
    for grace in graces:
        with pytest.raises(ConfigError, match="must be a number of seconds"):
            index.prune(grace=grace)
    assert commit_document(source, index, (one for one in [part])).new


def test_results_can_be_sent_between_processes(tmp_path: Path, llm: SharedLLM, source: Path) -> None:
    import pickle

    encoded = encode_chunks(source, Index.create(tmp_path / "index", llm), (0, 2))
    assert isinstance(pickle.loads(pickle.dumps(encoded)), EncodedChunks)
    assert pickle.loads(pickle.dumps(encoded)) == encoded


def test_with_faults_workers_lose_nothing(
    server: S3Server, alone: Index, llm: SharedLLM, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": server.url, "SHAREDLLM_DOCS_CACHE": str(tmp_path / "c")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sharedllm_docs.store.s3_requests.LONGEST_PAUSE", 0.01)
    url = f"s3://{BUCKET}/{uuid4().hex}"
    with server.failing(at_random(3, 0.2, ("503", "500", "cut", "lost", "reset"))):
        Index.create(url, llm)
        with ThreadPoolExecutor(3) as pool:
            works = [pool.submit(encode_chunks, source, Index.open(url, llm), one) for one in ((0, 5), (3, 9), (0, 9))]
            encoded = [work.result() for work in works]
        whole = encode_chunks(source, Index.open(url, llm))
        commit_document(source, Index.open(url, llm), [*encoded, whole])
    assert content(url) == content(str(alone.url))


def run_example(*arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), *map(str, arguments)],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return done.stdout


def test_the_example_drives_processes(saved: Path, tmp_path: Path, source: Path) -> None:
    model: dict[str, Any] = {"name_or_path": str(saved / "model"), "embedder": str(saved / "embedder")}
    Index.open_or_create(tmp_path / "one", **model).add(source)
    Index.open_or_create(tmp_path / "many", **model)
    assert "long.txt" in run_example("all", tmp_path / "many", source, "--workers", 2, "--size", 4)
    assert content(str(tmp_path / "many")) == content(str(tmp_path / "one"))
