"""Three question servers over one index in a bucket: what one of them adds, all know at the very next question."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

pytest.importorskip("fastapi")

from sharedllm_docs import Index
from tests.s3_server import BUCKET, KEYS, S3Server, need_s3
from tests.tiny_text import PAGES, tiny_document

SERVERS = 3
QUESTION = "What is the quokka fed with?"
ADDED = "The quokka is fed with clover in the morning and with acorns at night."

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bucket() -> Iterator[S3Server]:
    need_s3()
    server = S3Server()
    yield server
    server.close()


@pytest.fixture(scope="module")
def environment(bucket: S3Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {
        **os.environ,
        **KEYS,
        "AWS_ENDPOINT_URL": bucket.url,
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONPATH": os.pathsep.join(sys.path),
        "SHAREDLLM_DOCS_CACHE": str(tmp_path_factory.mktemp("cache")),
    }


@pytest.fixture(scope="module")
def url(environment: dict[str, str], saved: Path) -> str:
    """An index with one document, in the bucket."""
    place = f"s3://{BUCKET}/{uuid4().hex}/handbook"
    with pytest.MonkeyPatch.context() as patch:
        for name in (*KEYS, "AWS_ENDPOINT_URL", "SHAREDLLM_DOCS_CACHE"):
            patch.setenv(name, environment[name])
        index = Index.open_or_create(
            place, name_or_path=saved / "model", embedder=str(saved / "embedder"), adapter="none", dtype="float32"
        )
        index.add(tiny_document(*PAGES, name="pages.txt"))
        index.close()
    return place


@pytest.fixture(scope="module")
def servers(url: str, environment: dict[str, str]) -> Iterator[list[httpx.Client]]:
    """A client of each of the processes, all of which have answered a question, so that each knows the index."""
    command = [sys.executable, "-m", "sharedllm_docs", "serve", "--index", url, "--port", "0", "--json"]
    with ExitStack() as stack:
        running = [
            stack.enter_context(
                subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
            )
            for _ in range(SERVERS)
        ]
        for process in running:
            stack.callback(process.kill)
        told = [process.stdout.readline() for process in running if process.stdout is not None]
        clients = [
            stack.enter_context(httpx.Client(base_url=json.loads(line)["address"], timeout=300)) for line in told
        ]
        assert all(asked(client)["documents"] == {"pages.txt"} for client in clients)
        yield clients


def asked(client: httpx.Client) -> dict[str, object]:
    """Which documents a server lists, and which it searches for the question."""
    found = client.post("/api/search", json={"question": QUESTION, "k": 50}).raise_for_status().json()
    listed = client.get("/api/documents").raise_for_status().json()
    return {
        "documents": {one["name"] for one in listed["documents"]},
        "searched": {passage["document"] for passage in found},
        "best": found[0]["document"],
    }


def added(client: httpx.Client, name: str, text: str) -> str:
    """Add a document by a server, and wait until it says that it is there; its key."""
    sent = client.post("/api/documents", files={"file": (name, text.encode())}, data={"wait": "true"})
    return str(sent.raise_for_status().json()["document"])


def test_what_one_server_adds_or_removes_is_what_all_answer_from(servers: list[httpx.Client]) -> None:
    """By the very next question: each asks for the generation first, so the bound is a question, not a time."""
    for number, writer in enumerate(servers):
        name = f"quokka-{number}.txt"
        key = added(writer, name, f"{ADDED} Its number is {number}.")
        for client in servers:
            seen = asked(client)
            assert seen["documents"] == seen["searched"] == {"pages.txt", name}
            assert seen["best"] == name
        answers = [
            client.post("/api/ask", json={"question": QUESTION, "min_confidence": 0, "max_new_tokens": 6}).json()
            for client in servers
        ]
        assert len({answer["text"] for answer in answers}) == 1
        assert all(answer["citations"][0]["document"] == name for answer in answers)
        servers[(number + 1) % SERVERS].delete(f"/api/documents/{key}").raise_for_status()
        for client in servers:
            assert asked(client)["searched"] == {"pages.txt"}
