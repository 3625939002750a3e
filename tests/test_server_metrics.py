"""Health, readiness and numbers."""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path

import httpx
import pytest

pytest.importorskip("fastapi")

from sharedllm_docs import Index
from sharedllm_docs.errors import ModelUnavailableError
from sharedllm_docs.serving.desk import Desk
from sharedllm_docs.serving.http.app import create_app
from sharedllm_docs.serving.http.settings import Settings
from tests.serving_helpers import ALWAYS, QUESTIONS, Gate, new_index, running, until
from tests.tiny_text import tiny_llm
from tests.waiting import until as wait_until


def value(text, name, **labels):
    found = {
        line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if not line.startswith("#")
    }
    inside = ",".join(f'{key}="{one}"' for key, one in labels.items())
    return found.get(f"{name}{{{inside}}}" if labels else name)


@pytest.fixture(scope="module")
def server():
    index = new_index("metrics")
    desk = Desk({"docs": index}, max_running=1, max_waiting=1)
    with running(create_app(Settings.load(indexes={"docs": index.url}), desk)) as address:
        yield address, index, desk


def test_numbers_are_those_of_the_answers(server):
    address, index, _desk = server
    body = {"model": "docs", "max_tokens": 6, **ALWAYS}
    asked = [{**body, "messages": [{"role": "user", "content": question}]} for question in QUESTIONS[:3]]
    asked += [{**asked[0], "relevance_floor": 1.0}, {**body, "messages": []}, {**asked[0], "documents": ["nope"]}]
    statuses = [httpx.post(f"{address}/v1/chat/completions", json=one, timeout=60).status_code for one in asked]
    plain = {"model": "plain", "prompt": "Once", "max_tokens": 4}
    statuses.append(httpx.post(f"{address}/v1/completions", json=plain, timeout=60).status_code)
    assert statuses == [200, 200, 200, 200, 400, 404, 200]
    response = httpx.get(f"{address}/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    text = response.text
    alone = [index.ask(question, **ALWAYS, max_new_tokens=6) for question in QUESTIONS[:3]]
    assert value(text, "sharedllm_docs_questions_total", index="docs", outcome="answered") == sum(
        a.found for a in alone
    )
    assert value(text, "sharedllm_docs_questions_total", index="docs", outcome="declined") == 1 + sum(
        not a.found for a in alone
    )
    assert value(text, "sharedllm_docs_questions_total", index="", outcome="completed") == 1
    assert value(text, "sharedllm_docs_rows_read_total", index="docs") == sum(a.counts.rows for a in alone)
    assert value(text, "sharedllm_docs_bytes_read_total", index="docs") == sum(a.counts.bytes_read for a in alone)
    assert value(text, "sharedllm_docs_first_token_seconds_count", index="docs") == 4
    assert value(text, "sharedllm_docs_cache_hits_total", index="docs") == 3
    assert value(text, "sharedllm_docs_cache_misses_total", index="docs") == 0
    assert value(text, "sharedllm_docs_failed_total") == 1
    assert value(text, "sharedllm_docs_queue_waiting") == 0
    assert value(text, "sharedllm_docs_running") == 0
    assert value(text, "sharedllm_docs_asked_total") == 6
    assert value(text, "process_resident_memory_bytes") > 0
    assert not re.search("heron|pages.txt", text)  # no question and no document is told


def test_the_line_is_told(server):
    address, _index, desk = server

    async def go():
        gate = Gate(desk)
        body = {"model": "docs", "messages": [{"role": "user", "content": QUESTIONS[0]}], "max_tokens": 9, **ALWAYS}
        async with httpx.AsyncClient(timeout=60) as client:
            first = asyncio.ensure_future(client.post(f"{address}/v1/chat/completions", json=body))
            await until(lambda: desk.running == 1)
            second = asyncio.ensure_future(client.post(f"{address}/v1/chat/completions", json=body))
            await until(lambda: desk.waiting == 1)
            text = (await client.get(f"{address}/metrics")).text
            gate.open()
            await asyncio.gather(first, second)
        return text

    text = asyncio.run(go())
    assert value(text, "sharedllm_docs_running") == 1
    assert value(text, "sharedllm_docs_queue_waiting") == 1


def test_it_is_ready_once_its_models_are(server):
    address, _index, _desk = server
    assert httpx.get(f"{address}/health").json() == {"status": "ok"}

    async def warm():
        async with httpx.AsyncClient() as client:
            for _ in range(6000):
                if (found := await client.get(f"{address}/ready")).status_code == 200:
                    return found.json()
                await asyncio.sleep(0.01)
        raise AssertionError("it was never ready")

    assert asyncio.run(warm()) == {"status": "ready"}


def test_a_model_that_cannot_be_loaded_is_told(monkeypatch):
    index = new_index("not-ready")

    def missing(self):
        raise ModelUnavailableError(f"No weights for {self.url}.")

    monkeypatch.setattr(Index, "llm", property(missing))
    with running(create_app(Settings.load(indexes={"docs": index.url}), Desk({"docs": index}))) as address:

        async def failed():
            async with httpx.AsyncClient() as client:
                for _ in range(6000):
                    found = await client.get(f"{address}/ready")
                    if found.json()["status"] != "loading":
                        return found
                    await asyncio.sleep(0.01)
            raise AssertionError("it went on loading")

        found = asyncio.run(failed())
    assert found.status_code == 503
    assert found.json()["status"] == "failed"
    assert found.json()["error"]["message"] == "No weights for docs."


@pytest.mark.parametrize("harm", ["moved", "damaged", "a file"])
def test_it_is_not_ready_while_an_index_is_away(tmp_path, harm):
    index, other = Index.create(tmp_path / "docs", tiny_llm()), new_index("ready-beside")
    place, aside = Path(index.url), tmp_path / "aside"
    desk = Desk({"docs": index, "beside": other})
    with running(create_app(Settings.load(indexes={"docs": index.url, "beside": other.url}), desk)) as address:

        def status():
            return httpx.get(f"{address}/ready", timeout=60)

        wait_until(lambda: status().status_code == 200)
        place.rename(aside)
        if harm == "damaged":
            place.mkdir()
            (place / "index.json").write_text("{")
        elif harm == "a file":
            place.write_text("no index")
        away = status()
        assert (away.status_code, away.json()["status"]) == (503, "away")
        assert index.url not in away.text
        assert away.json()["error"]["message"].startswith("index.json is damaged" if harm == "damaged" else "")
        assert httpx.get(f"{address}/health").status_code == 200
        if harm == "damaged":
            shutil.rmtree(place)
        elif harm == "a file":
            place.unlink()
        aside.rename(place)
        assert status().json() == {"status": "ready"}
