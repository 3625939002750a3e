"""What a LangChain loader gives, fed to ``ingest``: stored as ``add_documents`` stores it."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document
from langchain_sharedllm import SharedLLMIndex, UnsupportedMetadataError, core_documents
from tiny_models import pages

from sharedllm_docs import Index, SharedLLM
from sharedllm_docs.distributed import ingest, ingestion
from sharedllm_docs.distributed.worker import Batch, Worker


class Loader(BaseLoader):
    """A loader of two files, one of them in pages."""

    def lazy_load(self):
        yield from pages("birds.pdf")
        yield Document(page_content="Copper melts at a high heat.", metadata={"source": "metals.txt", "year": 2024})


@pytest.fixture
def one_worker(monkeypatch, llm):
    """In place of Ray: one worker in this process, whose index has the model of the tests."""
    opened = Index.open.__func__
    monkeypatch.setattr(
        Index, "open", classmethod(lambda cls, url, model=None, **options: opened(cls, url, llm, **options))
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


def test_a_loaders_documents_are_stored_as_by_add_documents(tmp_path, llm, one_worker):
    assert isinstance(llm, SharedLLM)
    SharedLLMIndex(tmp_path / "one", llm=llm).add_documents(Loader().load())
    Index.create(tmp_path / "many", llm)
    report = ingest(core_documents(Loader().lazy_load()), tmp_path / "many")
    assert [(file.name, file.status) for file in report.files] == [("birds.pdf", "done"), ("metals.txt", "done")]
    assert stored(tmp_path / "many") == stored(tmp_path / "one")
    many = SharedLLMIndex(tmp_path / "many", llm=llm)
    assert many.ids == ["birds.pdf", "metals.txt"]
    found = many.as_retriever(k=1).invoke("copper")[0]
    assert (found.metadata["source"], found.metadata["year"]) == ("metals.txt", 2024)
    again = ingest(core_documents(Loader().load()), tmp_path / "many")
    assert again.count("known") == 2


def test_what_cannot_be_kept_is_told_before_anything_is_read():
    with pytest.raises(UnsupportedMetadataError, match="cannot be kept"):
        core_documents([Document(page_content="a", id="x", metadata={"set": {1}})])
