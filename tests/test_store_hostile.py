"""Index folders made to harm: refused by a typed error, nothing read outside, nothing executed, memory bounded.

Each is consistent in itself: seals and checksums fit, as in a folder that somebody else made.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sharedllm_docs import Index
from sharedllm_docs.errors import DamagedIndexError, SharedLLMError, StoreError
from sharedllm_docs.store import IndexStore
from sharedllm_docs.store.canonical import canonical_bytes, seal, strict_json
from sharedllm_docs.store.shard import encode_shard
from sharedllm_docs.store.tensorfile import decode_tensors, encode_tensors
from tests.fault_worker import ALWAYS, QUESTION, SHORT
from tests.tiny_text import tiny_document, tiny_llm

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links and limits are those of POSIX systems")

Change = Callable[[Path], None]
DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of one document, made by the tiny model."""
    folder = tmp_path_factory.mktemp("hostile") / "index"
    Index.create(folder, tiny_llm()).add(
        tiny_document("The heron stands in the river.", "It waits for fish.", name="0.txt")
    )
    return folder


@pytest.fixture
def index(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "index"))


def manifest_of(folder: Path) -> Path:
    return next(folder.glob("documents/*/manifest.json"))


def forge(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a sealed file and seal it again."""
    values = json.loads(path.read_bytes())
    del values["digest"]
    change(values)
    path.write_bytes(seal(values))


def put_beside(folder: Path, role: str, data: bytes) -> None:
    """Another file beside the manifest, with the checksum that fits."""
    path = manifest_of(folder)
    name = json.loads(path.read_bytes())["files"][role]["name"]
    (path.parent / name).write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    forge(path, lambda values: values["files"][role].update(bytes=len(data), sha256=digest))


def beside(folder: Path, role: str) -> bytes:
    path = manifest_of(folder)
    return (path.parent / json.loads(path.read_bytes())["files"][role]["name"]).read_bytes()


def forge_text(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    values = json.loads(beside(folder, "text"))
    change(values)
    put_beside(folder, "text", canonical_bytes(values))


def forge_arrays(folder: Path, role: str, change: Callable[[dict[str, Any]], Any]) -> None:
    arrays = {name: array.copy() for name, array in decode_tensors(beside(folder, role)).items()}
    change(arrays)
    put_beside(folder, role, encode_tensors(arrays))


def put_shard(folder: Path, data: bytes, **fields: Any) -> None:
    """Another shard for the first chunk, with the checksums that fit."""
    path = manifest_of(folder)
    chunk = json.loads(path.read_bytes())["chunks"][0]
    head = fields.pop("head_bytes", 8 + struct.unpack("<Q", data[:8])[0])
    (folder / "shards" / chunk["key"][:2] / f"{chunk['key']}.safetensors").write_bytes(data)
    values = {
        "bytes": len(data),
        "head_bytes": head,
        "head_sha256": hashlib.sha256(data[:head]).hexdigest(),
        "sha256": hashlib.sha256(data).hexdigest(),
        **fields,
    }
    forge(path, lambda manifest: manifest["chunks"][0].update(values))


def forged_head(
    folder: Path, change: Callable[[dict[str, Any]], Any], entries: Callable[[dict[str, Any]], Any]
) -> bytes:
    """The first shard with another description and another safetensors header."""
    chunk = json.loads(manifest_of(folder).read_bytes())["chunks"][0]
    data = (folder / "shards" / chunk["key"][:2] / f"{chunk['key']}.safetensors").read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    description = json.loads(header["__metadata__"]["sharedllm-docs"])
    del description["digest"]
    change(description)
    header["__metadata__"]["sharedllm-docs"] = seal(description).decode()
    entries(header)
    text = canonical_bytes(header)
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data[8 + size :]


def same(_: Any) -> None:
    """Leave it as it is."""


def rows_with(folder: Path, number: float) -> None:
    """Rows that hold a number which is none."""
    chunk = json.loads(manifest_of(folder).read_bytes())["chunks"][0]
    record = IndexStore.open(folder).documents()[0].chunks[0]
    rows = IndexStore.open(folder).gather([(record, range(record.rows))], torch.float32, layout="rows_first")
    path = folder / record.path
    header = json.loads(path.read_bytes()[8 : 8 + struct.unpack("<Q", path.read_bytes()[:8])[0]])
    blocks = [(b["start"], b["end"]) for b in json.loads(header["__metadata__"]["sharedllm-docs"])["blocks"]]
    dtype = IndexStore.open(folder).fingerprint.store_dtype
    good = encode_shard(chunk["key"], dtype, rows.keys, rows.values, blocks)
    data = bytearray(b"".join(good.buffers))
    spec = next(one for one in good.head.specs if one.dtype in ("F16", "F32", "BF16"))
    place = good.head.starts[spec.name]
    pattern = {"F16": 0x7E00, "F32": 0x7FC00000, "BF16": 0x7FC0}[spec.dtype]
    width = spec.numpy_dtype.itemsize
    data[place : place + width] = pattern.to_bytes(width, "little")
    description = json.loads(header["__metadata__"]["sharedllm-docs"])
    del description["digest"]
    for block in description["blocks"]:
        for one in good.head.blocked_specs:
            start, end = good.head.byte_range(one, block["start"], block["end"])
            block["sha256"][one.name] = hashlib.sha256(data[start:end]).hexdigest()
    fixed = bytes(data[len(good.head.header) : good.head.head_bytes])
    description["fixed_sha256"] = hashlib.sha256(fixed).hexdigest()
    header["__metadata__"]["sharedllm-docs"] = seal(description).decode()
    text = canonical_bytes(header)
    text += b" " * (-len(text) % 8)
    body = bytes(data[len(good.head.header) :])
    whole = struct.pack("<Q", len(text)) + text + body
    put_shard(folder, whole, head_bytes=8 + len(text) + len(fixed))


def huge(path: Path, size: int) -> None:
    """A file of that size that takes no room on the disk."""
    with path.open("r+b") as file:
        file.truncate(size)


def huge_beside(folder: Path, role: str) -> None:
    """A gigabyte beside the manifest, which says so."""
    path = manifest_of(folder)
    name = json.loads(path.read_bytes())["files"][role]["name"]
    huge(path.parent / name, 1 << 30)
    forge(path, lambda values: values["files"][role].update(bytes=1 << 30))


def linked(path: Path, target: Path) -> None:
    """A link in the place of a file or folder."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    path.symlink_to(target)


def secret(folder: Path) -> Path:
    """A file outside the index."""
    path = folder.parent / "secret"
    path.write_text("The secret is 4850.")
    return path


def elsewhere(folder: Path, name: str) -> Path:
    """A part of the index, moved outside."""
    return Path(shutil.move(folder / name, folder.parent / f"outside-{name.replace('/', '-')}"))


ATTACKS: dict[str, Change] = {
    # paths
    "a file name with ..": lambda f: forge(manifest_of(f), lambda v: v["files"]["text"].update(name="../../secret")),
    "an absolute file name": lambda f: forge(manifest_of(f), lambda v: v["files"]["text"].update(name="/etc/passwd")),
    "a file name with a zero": lambda f: forge(manifest_of(f), lambda v: v["files"]["text"].update(name="a\0b")),
    "a drive": lambda f: forge(manifest_of(f), lambda v: v["files"]["text"].update(name="C:secret")),
    "a very long file name": lambda f: forge(manifest_of(f), lambda v: v["files"]["text"].update(name="a" * 5000)),
    "a chunk named ..": lambda f: forge(manifest_of(f), lambda v: v["chunks"][0].update(key="../../../../etc/passwd")),
    # links
    "a linked index.json": lambda f: linked(f / "index.json", elsewhere_copy(f, "index.json")),
    "a linked manifest": lambda f: linked(manifest_of(f), elsewhere_copy(f, str(manifest_of(f).relative_to(f)))),
    "linked shards": lambda f: (f / "shards").symlink_to(elsewhere(f, "shards")),
    "linked documents": lambda f: (f / "documents").symlink_to(elsewhere(f, "documents")),
    "a linked text": lambda f: linked(text_of(f), secret(f)),
    "a manifest that is a device": lambda f: linked(manifest_of(f), Path("/dev/zero")),
    "an index.json that is a device": lambda f: linked(f / "index.json", Path("/dev/zero")),
    "a pipe": lambda f: (text_of(f).unlink(), os.mkfifo(text_of(f)))[1],
    "a link in a circle": lambda f: linked(text_of(f), text_of(f)),
    # sizes
    "a gigabyte of index.json": lambda f: huge(f / "index.json", 1 << 30),
    "a gigabyte of manifest": lambda f: huge(manifest_of(f), 1 << 30),
    "a gigabyte of text": lambda f: huge_beside(f, "text"),
    "a file larger than its manifest says": lambda f: huge(text_of(f), 8 << 30),
    "a shard larger than its manifest says": lambda f: huge(
        f / IndexStore.open(f).documents()[0].chunks[0].path, 1 << 40
    ),
    "a header of 2**63 bytes": lambda f: put_beside(f, "vectors", struct.pack("<Q", 1 << 63) + b"{}"),
    "a shard's header of 2**62 bytes": lambda f: put_shard(f, struct.pack("<Q", 1 << 62) + b"{}      ", head_bytes=16),
    "chunks of 2**60 tokens": lambda f: forge(
        manifest_of(f), lambda v: (v["chunks"][-1].update(end=1 << 60), v["counts"].update(tokens=1 << 60))
    ),
    "10**30 rows": lambda f: forge(manifest_of(f), lambda v: v["chunks"][0].update(rows=10**30)),
    "a shard of 2**50 bytes": lambda f: forge(manifest_of(f), lambda v: v["chunks"][0].update(bytes=1 << 50)),
    "a head of 2**40 bytes": lambda f: forge(manifest_of(f), lambda v: v["chunks"][0].update(head_bytes=1 << 40)),
    # shapes and dtypes
    "a shape whose product overflows": lambda f: put_shard(
        f, forged_head(f, lambda d: d.update(shape=[1 << 32, 1 << 32, 1, 1]), same)
    ),
    "a shape with a zero": lambda f: put_shard(f, forged_head(f, lambda d: d.update(shape=[1 << 60, 0, 1, 1]), same)),
    "a shape below zero": lambda f: put_shard(f, forged_head(f, lambda d: d.update(shape=[-1, -1, 8, 8]), same)),
    "a shape of words": lambda f: put_shard(f, forged_head(f, lambda d: d.update(shape=["a", 1, 1, 1]), same)),
    "a shape of one number": lambda f: put_shard(f, forged_head(f, lambda d: d.update(shape=[8]), same)),
    "a format that there is none of": lambda f: put_shard(f, forged_head(f, lambda d: d.update(dtype="object"), same)),
    "blocks that overlap": lambda f: put_shard(
        f, forged_head(f, lambda d: d.update(blocks=[{"start": 0, "end": 1 << 60, "sha256": {}}] * 2), same)
    ),
    "a description without fields": lambda f: put_shard(
        f, forged_head(f, lambda d: d.clear() or d.update(schema=1), same)
    ),
    "a safetensors header of another dtype": lambda f: put_shard(
        f, forged_head(f, same, lambda h: next(v for k, v in h.items() if k != "__metadata__").update(dtype="F64"))
    ),
    "vectors of another dtype": lambda f: forge_arrays(
        f, "vectors", lambda a: a.update(leaf_embeddings=a["leaf_embeddings"].astype(np.float64))
    ),
    "vectors of integers": lambda f: forge_arrays(
        f, "vectors", lambda a: a.update(leaf_embeddings=a["leaf_embeddings"].astype(np.int32))
    ),
    "vectors of one axis": lambda f: forge_arrays(
        f, "vectors", lambda a: a.update(leaf_embeddings=a["leaf_embeddings"].reshape(-1))
    ),
    "too few vectors": lambda f: forge_arrays(
        f, "vectors", lambda a: a.update(leaf_embeddings=a["leaf_embeddings"][:0])
    ),
    "no vectors": lambda f: forge_arrays(f, "vectors", lambda a: a.pop("leaf_embeddings")),
    "vectors that are no numbers": lambda f: forge_arrays(f, "vectors", lambda a: a["leaf_embeddings"].fill(np.nan)),
    "vectors without end": lambda f: forge_arrays(f, "vectors", lambda a: a["leaf_embeddings"].fill(np.inf)),
    "tokens of another dtype": lambda f: forge_arrays(f, "tokens", lambda a: a.update(ids=a["ids"].astype(np.float32))),
    "fewer tokens than there are": lambda f: forge_arrays(f, "tokens", lambda a: a.update(ids=a["ids"][:3])),
    "tokens below zero": lambda f: forge_arrays(f, "tokens", lambda a: a["ids"].fill(-5)),
    "other arrays than tokens": lambda f: forge_arrays(f, "tokens", lambda a: a.update(more=a["ids"])),
    "arrays beyond the file": lambda f: put_beside(
        f,
        "vectors",
        header({"leaf_embeddings": {"dtype": "F32", "shape": [1 << 40, 1 << 40], "data_offsets": [0, 1 << 82]}}),
    ),
    "arrays before the file": lambda f: put_beside(
        f, "vectors", header({"leaf_embeddings": {"dtype": "F32", "shape": [1], "data_offsets": [-8, -4]}})
    ),
    "an array without a shape": lambda f: put_beside(f, "vectors", header({"leaf_embeddings": {"dtype": "F32"}})),
    "an array that is a word": lambda f: put_beside(f, "vectors", header({"leaf_embeddings": "word"})),
    "rows that are no numbers": lambda f: rows_with(f, float("nan")),
    # JSON
    "a deep index.json": lambda f: (f / "index.json").write_bytes(DEEP) and None,
    "a deep manifest": lambda f: manifest_of(f).write_bytes(DEEP) and None,
    "a deep text": lambda f: put_beside(f, "text", DEEP),
    "a deep header": lambda f: put_beside(f, "vectors", struct.pack("<Q", len(DEEP)) + DEEP),
    "a deep description": lambda f: put_shard(
        f, forged_head(f, same, lambda h: h.update(__metadata__={"sharedllm-docs": DEEP.decode()}))
    ),
    "a name twice": lambda f: put_beside(f, "text", beside(f, "text").replace(b'{"pages"', b'{"schema":9,"pages"', 1)),
    "a name twice in a manifest": lambda f: (
        manifest_of(f).write_bytes(manifest_of(f).read_bytes().replace(b'"name":', b'"name":"other","name":', 1))
        and None
    ),
    "NaN in a text": lambda f: put_beside(f, "text", beside(f, "text").replace(b'"number":1', b'"number":NaN', 1)),
    "a text that is a list": lambda f: put_beside(f, "text", b"[]"),
    "a text that is no JSON": lambda f: put_beside(f, "text", b"\xff\xfe{"),
    "a page that is a word": lambda f: forge_text(f, lambda v: v.update(pages=["word"] * len(v["pages"]))),
    "a page number that is a word": lambda f: forge_text(f, lambda v: v["pages"][0].update(number="one")),
    "a page text that is a number": lambda f: forge_text(f, lambda v: v["pages"][0].update(text=5)),
    "a page with another field": lambda f: forge_text(f, lambda v: v["pages"][0].update(run="rm")),
    "more pages than there are": lambda f: forge_text(f, lambda v: v["pages"].extend(v["pages"])),
    "sections that are numbers": lambda f: forge_text(f, lambda v: v.update(sections=[5])),
    "repeats that are words": lambda f: forge_text(f, lambda v: v["pages"][0].update(repeats=[["a", "b"]])),
    "issues that are words": lambda f: forge(manifest_of(f), lambda v: v.update(issues=["word"])),
    "issues of another kind": lambda f: forge(
        manifest_of(f), lambda v: v.update(issues=[{"code": 1, "message": [], "page": {}}])
    ),
    "files that are a list": lambda f: forge(manifest_of(f), lambda v: v.update(files=[])),
    "chunks that are a word": lambda f: forge(manifest_of(f), lambda v: v.update(chunks="abc")),
    "chunks that overlap": lambda f: forge(manifest_of(f), lambda v: v.update(chunks=v["chunks"] * 2)),
    "no chunks": lambda f: forge(manifest_of(f), lambda v: v.update(chunks=[])),
    "no schema": lambda f: forge(manifest_of(f), lambda v: v.pop("schema")),
    "schema true": lambda f: forge(manifest_of(f), lambda v: v.update(schema=True)),
    "schema 1 without its fields": lambda f: forge(manifest_of(f), lambda v: v.update(schema=1)),
    "settings that are a word": lambda f: forge(f / "index.json", lambda v: v.update(settings="word")),
    "no settings": lambda f: forge(f / "index.json", lambda v: v.update(settings={})),
    "a profile of 2**40 tokens": lambda f: forge(
        f / "index.json", lambda v: v["settings"]["profile"].update(chunk_tokens=1 << 40)
    ),
    "a profile of words": lambda f: forge(f / "index.json", lambda v: v["settings"].update(profile={"depth": "deep"})),
    "a fingerprint that is a list": lambda f: forge(f / "index.json", lambda v: v.update(fingerprint=[])),
    "a fingerprint of other types": lambda f: forge(
        f / "index.json", lambda v: v["fingerprint"].update(layers=5, grains=None)
    ),
    "a budget that is a word": lambda f: forge(f / "index.json", lambda v: v.update(max_bytes="much")),
}


def header(entries: dict[str, Any]) -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text


def text_of(folder: Path) -> Path:
    path = manifest_of(folder)
    return path.parent / json.loads(path.read_bytes())["files"]["text"]["name"]


def elsewhere_copy(folder: Path, name: str) -> Path:
    """A copy of a file of the index, outside."""
    target = folder.parent / "outside"
    shutil.copy(folder / name, target)
    return target


def use(folder: Path) -> None:
    """All that is done with an index: listing, verifying, asking, reading on, taking out."""
    index = Index.open(folder, tiny_llm())
    index.documents()
    report = index.verify()
    index.ask(QUESTION, retrieval=ALWAYS, generation=SHORT)
    if not report.ok:
        raise DamagedIndexError(f"Damaged: {report.damaged}.", paths=tuple(one.path for one in report.damaged))


def limited(work: Callable[[], None], more: int) -> tuple[str, str]:
    """What ``work`` raises in a forked child whose address space may grow by ``more`` bytes; "" for nothing."""
    given, taken = os.pipe()
    child = os.fork()
    if not child:
        try:
            torch.set_num_threads(1)
            pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
            if pages:
                bound = pages * resource.getpagesize() + more
                resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
            try:
                work()
                found = ("", "")
            except SharedLLMError as error:
                found = ("typed", f"{type(error).__name__}: {error}")
            except BaseException as error:
                found = (type(error).__name__, repr(error))
            os.write(taken, "\0".join(found).encode()[:4000])
        finally:
            os._exit(0)
    os.close(taken)
    with os.fdopen(given, "rb") as answers:
        kind, _, message = answers.read().decode().partition("\0")
    os.waitpid(child, 0)
    return kind, message


@pytest.fixture(scope="module", autouse=True)
def loaded(whole: Path) -> None:
    """What the children need is loaded before they are forked."""
    use(whole)


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_hostile_index_is_refused(attack: str, index: Path) -> None:
    ATTACKS[attack](index)
    kind, message = limited(lambda: use(index), 512 << 20)
    assert kind == "typed", message
    assert "4850" not in message


def test_the_whole_index_is_answered_from_within_the_same_limit(whole: Path) -> None:
    assert limited(lambda: use(whole), 512 << 20) == ("", "")


@pytest.mark.parametrize("place", ["writer.lock", "documents", "shards"])
def test_nothing_is_written_behind_a_link(place: str, index: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    if place == "writer.lock":
        outside.write_text("not to be touched")
        (index / place).unlink(missing_ok=True)
    else:
        shutil.rmtree(index / place)
        outside.mkdir()
    (index / place).symlink_to(outside)
    with pytest.raises(StoreError, match="symbolic link"):
        Index.open(index, tiny_llm()).add(tiny_document("Another text altogether.", name="1.txt"))
    assert outside.read_text() == "not to be touched" if outside.is_file() else not list(outside.iterdir())


def test_links_that_stay_inside_are_followed(index: Path) -> None:
    """As some backup programs and deduplicating file systems leave them."""
    path = index / IndexStore.open(index).documents()[0].chunks[0].path
    kept = path.with_name("kept.safetensors")
    path.rename(kept)
    path.symlink_to(kept.name)
    use(index)


def test_an_index_that_is_a_link_itself_is_opened(index: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(index, target_is_directory=True)
    use(tmp_path / "link")


def test_a_recorded_model_cannot_bring_arguments_of_its_own(index: Path) -> None:
    """Only what ``from_pretrained`` is called with by this project: nothing that would run code of a model folder."""
    source = {"name_or_path": "x", "trust_remote_code": "yes"}
    forge(index / "index.json", lambda values: values["settings"].update(source=source))
    with pytest.raises(DamagedIndexError, match="trust_remote_code"):
        Index.open(index).ask(QUESTION)


def test_a_token_that_the_model_does_not_know_is_not_encoded(index: Path) -> None:
    """A chunk that is not read yet is encoded when it is asked for."""

    def unread(values: dict[str, Any]) -> None:
        for chunk in values["chunks"]:
            chunk.update(bytes=0, head_bytes=0, head_sha256="", sha256="")

    forge_arrays(index, "tokens", lambda arrays: arrays["ids"].fill(1_000_000))
    forge(manifest_of(index), unread)
    shutil.rmtree(index / "shards")
    with pytest.raises(DamagedIndexError, match="it holds the token 1000000, the model knows"):
        use(index)


@pytest.mark.parametrize("data", [DEEP, b'{"a":1,"a":2}', b"NaN", b"[Infinity]", b"\xff", b'{"a":{"b":1,"b":1}}'])
def test_json_from_anybody_is_strict(data: bytes) -> None:
    assert _fails(data) == "ValueError"
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(_fails(data)))  # with a small stack of its own
    thread.start()
    thread.join()
    assert found == ["ValueError"]


def _fails(data: bytes) -> str:
    try:
        strict_json(data)
    except ValueError:
        return "ValueError"
    return ""
