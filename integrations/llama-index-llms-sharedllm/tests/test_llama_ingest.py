"""What a LlamaIndex reader gives, fed to ``ingest``: stored as ``insert`` stores it."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from conftest import PAGES, page_documents
from llama_index.core import Document
from llama_index.core.readers.base import BaseReader
from sharedllm_docs import ConfigError, Index
from sharedllm_docs.distributed import ingest, ingestion
from sharedllm_docs.distributed.worker import Batch, Worker

from llama_index.llms.sharedllm import SharedLLMIndex, core_documents, join_pages


class Reader(BaseReader):
    """A reader of a file in pages, of a note, and of a blank file."""

    def load_data(self):
        note = Document(id_="note", text=PAGES[0] + " And more.", metadata={"year": 2024, "tags": ["a", "b"]})
        return [*join_pages(page_documents()), note, Document(id_="blank", text=" ")]


@pytest.fixture
def one_worker(monkeypatch, tiny):
    """In place of Ray: one worker in this process, whose index has the model of the tests."""
    opened = Index.open.__func__
    monkeypatch.setattr(
        Index, "open", classmethod(lambda cls, url, llm=None, **options: opened(cls, url, tiny, **options))
    )

    def run(pool, batches):
        worker = Worker(pool.settings)
        for batch in batches:
            yield from worker({"batch": [Batch(tuple(batch))]})["outcomes"]

    monkeypatch.setattr(ingestion._Pool, "run", run)
    monkeypatch.setattr(ingestion, "_cluster", lambda _address: nullcontext())


def stored(folder):
    """What is stored, by path, without dates and locks."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {
        name: path.read_bytes() for name, path in files.items() if path.name not in ("manifest.json", "writer.lock")
    }


def test_a_readers_documents_are_stored_as_by_insert(tmp_path, tiny, one_worker):
    one = SharedLLMIndex(Index.create(tmp_path / "one", tiny))
    for document in Reader().load_data()[:2]:
        one.insert(document)
    Index.create(tmp_path / "many", tiny)
    report = ingest(core_documents(Reader().load_data()), tmp_path / "many")
    assert [(file.name, file.status) for file in report.files] == [("birds.pdf", "done"), ("note", "done")]
    assert stored(tmp_path / "many") == stored(tmp_path / "one")
    many = SharedLLMIndex(Index.open(tmp_path / "many"))
    assert many.ref_doc_info["note"].metadata == {"year": 2024, "tags": ["a", "b"]}
    assert many.refresh_ref_docs(Reader().load_data()[:2]) == [False, False]
    assert ingest(core_documents(Reader().load_data()), tmp_path / "many").count("known") == 2


def test_what_cannot_be_kept_is_told_before_anything_is_read():
    with pytest.raises(ConfigError, match="cannot be kept"):
        core_documents([Document(id_="x", text="a", metadata={"set": {1}})])
