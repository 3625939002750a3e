"""The server's own API, /api: documents, places, questions, trees; without a browser."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("httpx", reason="needs httpx")

from starlette.testclient import TestClient

from sharedllm_docs import Index, SharedLLM
from sharedllm_docs.documents.readers.separate import drawing
from sharedllm_docs.documents.readers.separate.process import Died
from sharedllm_docs.documents.readers.separate.reading import answered_once
from sharedllm_docs.errors import ModelUnavailableError
from sharedllm_docs.serving.desk import Desk
from sharedllm_docs.serving.http.app import create_app
from sharedllm_docs.serving.http.own.documents import shown_name
from sharedllm_docs.serving.http.own.progress import Pace
from sharedllm_docs.serving.http.own.sources import Sources, wanted_part
from sharedllm_docs.serving.http.settings import Settings
from tests.documents import PICTURE, encrypt, make_pdf
from tests.tiny_text import PAGES
from tests.waiting import until

BIRDS = "\n\n".join(PAGES)
PDF = make_pdf([[line] for line in PAGES])


@pytest.fixture
def index(llm: SharedLLM, tmp_path: Path) -> Index:
    return Index.create(tmp_path / "index", llm)


def client_of(index: Index, **settings: Any) -> TestClient:
    made = Settings.load(indexes={"docs": str(index.url)}, **settings)
    return TestClient(create_app(made, Desk({"docs": index})), base_url="http://localhost")


@pytest.fixture
def client(index: Index) -> Iterator[TestClient]:
    with client_of(index) as made:
        yield made


def send(client: TestClient, name: str, data: bytes, **form: Any) -> Any:
    return client.post("/api/documents", files={"file": (name, data)}, data={"wait": "true", **form})


def added(client: TestClient, name: str = "birds.pdf", data: bytes = PDF) -> str:
    """The key of a document that was just uploaded."""
    response = send(client, name, data)
    assert response.status_code == 201, response.text
    key: str = response.json()["document"]
    return key


# -- documents ------------------------------------------------------------------------------------------------------


def test_an_upload_can_be_asked_and_is_listed_until_it_is_read(client: TestClient, index: Index) -> None:
    key = added(client)
    index.wait()
    listed = client.get("/api/documents").json()
    (document,) = listed["documents"]
    assert (document["key"], document["name"], document["pages"]) == (key, "birds.pdf", 4)
    assert (document["unread_chunks"], document["pages_read"]) == (0, 4)
    assert document["source"]
    (upload,) = listed["uploads"]
    assert (upload["state"], upload["document"]) == ("done", key)
    assert client.get(f"/api/documents/{key[:8]}").json()["key"] == key


def test_without_waiting_the_upload_tells_its_progress(client: TestClient) -> None:
    begun = client.post("/api/documents", files={"file": ("birds.txt", BIRDS.encode())})
    assert begun.status_code == 202
    name = begun.json()["id"]
    until(lambda: client.get(f"/api/uploads/{name}").json()["state"] == "done")
    assert len(client.get("/api/documents").json()["documents"]) == 1


def test_the_same_file_again_is_told_and_a_new_version_replaces_the_old_one(client: TestClient) -> None:
    key = added(client, "birds.txt", BIRDS.encode())
    again = send(client, "birds.txt", BIRDS.encode())
    assert (again.status_code, again.json()["new"], again.json()["document"]) == (200, False, key)
    newer = send(client, "birds.txt", b"The heron has left.").json()
    assert (newer["new"], newer["replaced"]) == (True, 1)
    both = send(client, "birds.txt", b"The heron is back.", replace="false").json()
    assert both["replaced"] == 0
    assert len(client.get("/api/documents").json()["documents"]) == 2


@pytest.mark.parametrize(
    ("name", "data", "status", "kind"),
    [
        ("a.pdf", encrypt(PDF, "open sesame"), 422, "EncryptedDocumentError"),
        ("a.pdf", make_pdf([[PICTURE]]), 422, "ScannedDocumentError"),
        ("a.pdf", PDF[:120], 422, "DamagedDocumentError"),
        ("a.pdf", b"not a pdf at all", 415, "UnknownFormatError"),
        ("a.txt", b"", 422, "EmptyDocumentError"),
        ("a.txt", b" \n ", 422, "EmptyDocumentError"),
        ("a.exe", b"MZ", 415, "UnknownFormatError"),
        ("noending", b"text", 415, "UnknownFormatError"),
    ],
)
def test_what_cannot_be_read_is_told_in_a_sentence(
    client: TestClient, name: str, data: bytes, status: int, kind: str
) -> None:
    response = send(client, name, data)
    error = response.json()["error"]
    assert (response.status_code, error["type"]) == (status, kind), error
    assert error["message"].endswith(".")
    assert client.get("/api/documents").json()["documents"] == []


def test_a_file_that_fails_later_keeps_its_reason(client: TestClient) -> None:
    begun = client.post("/api/documents", files={"file": ("a.pdf", encrypt(PDF, "sesame"))}).json()
    until(lambda: client.get(f"/api/uploads/{begun['id']}").json()["state"] == "failed")
    assert client.get(f"/api/uploads/{begun['id']}").json()["error"]["type"] == "EncryptedDocumentError"
    assert client.delete(f"/api/uploads/{begun['id']}").status_code == 200
    assert client.get(f"/api/uploads/{begun['id']}").status_code == 404


def test_the_password_opens_an_encrypted_file_and_is_not_kept(client: TestClient, tmp_path: Path) -> None:
    response = send(client, "a.pdf", encrypt(PDF, "open sesame"), password="open sesame")
    assert response.status_code == 201
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and b"open sesame" in path.read_bytes()]
    assert not kept
    key = response.json()["document"]
    assert client.get(f"/api/documents/{key}/pages/1.png").json()["error"]["type"] == "EncryptedDocumentError"
    drawn = client.get(f"/api/documents/{key}/pages/1.png", headers={"Document-Password": "open sesame"})
    assert drawn.content.startswith(b"\x89PNG")


def test_too_many_bytes_or_pages_are_refused_with_the_bound(index: Index) -> None:
    with client_of(index, max_upload_bytes=1_000, max_upload_pages=3) as client:
        large = send(client, "a.txt", b"word " * 400)
        assert (large.status_code, "1,000" in large.json()["error"]["message"]) == (413, True)
    with client_of(index, max_upload_pages=3) as client:
        long = send(client, "a.pdf", PDF)
        assert (long.status_code, long.json()["error"]["type"]) == (413, "DocumentTooLargeError")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("../../etc/passwd.txt", "passwd.txt"),
        ("C:\\Users\\me\\report.pdf", "report.pdf"),
        ("a\x00b\n.txt", "a b .txt"),
        ("<script>alert(1)</script>.pdf", "script>.pdf"),
        ("x" * 500 + ".pdf", "x" * 196 + ".pdf"),
        ("\u202eexe.pdf", "exe.pdf"),
    ],
)
def test_a_file_name_is_only_ever_shown(given: str, shown: str) -> None:
    assert shown_name(given) == shown


def test_a_name_that_is_a_path_reads_no_other_file(client: TestClient, tmp_path: Path) -> None:
    before = sorted(path for path in tmp_path.rglob("*") if "index" not in path.parts)
    key = added(client, "../../../escape.txt", BIRDS.encode())
    assert client.get(f"/api/documents/{key}").json()["name"] == "escape.txt"
    assert sorted(path for path in tmp_path.rglob("*") if "index" not in path.parts) == before


def test_a_deleted_document_is_gone_from_list_source_and_questions(client: TestClient) -> None:
    key = added(client)
    assert client.get(f"/api/documents/{key}/source").content == PDF
    assert client.delete(f"/api/documents/{key}").json()["key"] == key
    assert client.get("/api/documents").json()["documents"] == []
    for path in ("", "/source", "/pages/1.png", "/text", "/place?start=0&end=5"):
        assert client.get(f"/api/documents/{key}{path}").status_code == 404, path
    assert client.post("/api/ask", json={"question": "Where is the heron?"}).status_code == 404


def test_a_server_of_what_is_there_takes_and_deletes_nothing(index: Index) -> None:
    index.add(PDF, name="birds.pdf")
    with client_of(index, docs=False) as client:
        key = client.get("/api/documents").json()["documents"][0]["key"]
        assert send(client, "a.txt", b"text").status_code == 403
        assert client.delete(f"/api/documents/{key}").status_code == 403
        assert client.get("/api/limits").json()["writable"] is False
        assert client.get(f"/api/documents/{key}").status_code == 200


def test_an_upload_that_is_taken_back_is_not_added(client: TestClient, index: Index) -> None:
    going, go = threading.Event(), threading.Event()
    add = index.add

    def slow(*args: Any, progress: Any, **options: Any) -> Any:
        going.set()
        go.wait(30)
        return add(*args, progress=progress, **options)

    index.add = slow  # type: ignore[method-assign]
    first = client.post("/api/documents", files={"file": ("first.txt", BIRDS.encode())}).json()
    second = client.post("/api/documents", files={"file": ("second.txt", b"Copper and tin.")}).json()
    going.wait(30)
    assert client.get(f"/api/uploads/{second['id']}").json()["state"] == "waiting"
    for one in (first, second):
        assert client.delete(f"/api/uploads/{one['id']}").status_code == 200
    go.set()
    assert send(client, "third.txt", b"The keeper writes into a blue book.").status_code == 201
    assert [one["name"] for one in client.get("/api/documents").json()["documents"]] == ["third.txt"]


def test_only_so_many_files_wait(client: TestClient, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    from sharedllm_docs.serving.http.own import uploads

    monkeypatch.setattr(uploads, "WAITING", 2)
    going, go = threading.Event(), threading.Event()
    monkeypatch.setattr(index, "add", lambda *_given, **_options: (going.set(), go.wait(60)))
    for number in range(3):  # one is read, two wait
        sent = client.post("/api/documents", files={"file": (f"{number}.txt", b"The heron waits.")})
        assert sent.status_code == 202
        assert going.wait(60)
    refused = client.post("/api/documents", files={"file": ("3.txt", b"The heron waits.")})
    assert (refused.status_code, refused.json()["error"]["type"]) == (429, "BusyError")
    assert int(refused.headers["retry-after"]) > 0
    go.set()


def test_a_server_reads_on_where_the_last_one_stopped(llm: SharedLLM, tmp_path: Path) -> None:
    Index.create(tmp_path / "index", llm).add(BIRDS.encode(), name="birds.txt", encode="when-asked")
    index = Index.open(tmp_path / "index", llm)
    assert index.document("birds.txt").unread_chunks
    with client_of(index) as client:
        until(lambda: not client.get("/api/documents").json()["documents"][0]["unread_chunks"])


def test_an_index_is_reached_by_its_name_alone(client: TestClient, index: Index) -> None:
    assert client.get("/api/documents?index=docs").status_code == 200
    for name in ("other", "../index", str(index.url)):
        response = client.get("/api/documents", params={"index": name})
        assert response.status_code == 404
        assert response.json()["error"]["type"] == "UnknownIndexError"
    assert [one["name"] for one in client.get("/api/indexes").json()] == ["docs"]


# -- places ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "part"),
    [
        (None, None),
        ("bytes=0-9", (0, 10)),
        ("bytes=90-", (90, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-1000", (0, 100)),
        ("bytes=50-1000", (50, 100)),
        ("bytes=0-1,5-6", None),
        ("pages=1-2", None),
        ("bytes=-", None),
        ("bytes=9-3", None),
        pytest.param("bytes=0-" + "9" * 5_000, (0, 100), id="far-end"),
        pytest.param("bytes=-" + "9" * 5_000, (0, 100), id="far-last"),
        pytest.param("bytes=" + "0" * 5_000 + "5-7", (5, 8), id="zeros"),
    ],
)
def test_range_headers(header: str | None, part: tuple[int, int] | None) -> None:
    assert wanted_part(header, 100) == part


def test_the_source_comes_whole_and_in_parts(client: TestClient) -> None:
    key = added(client)
    whole = client.get(f"/api/documents/{key}/source")
    assert (whole.status_code, whole.content, whole.headers["content-type"]) == (200, PDF, "application/pdf")
    assert whole.headers["accept-ranges"] == "bytes"
    part = client.get(f"/api/documents/{key}/source", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, PDF[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(PDF)}"
    beyond = client.get(f"/api/documents/{key}/source", headers={"Range": f"bytes={len(PDF)}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(PDF)}")


def test_an_html_file_is_handed_out_to_be_saved_and_shown_as_text(llm: SharedLLM, tmp_path: Path) -> None:
    index = Index.create(tmp_path / "index", llm)
    page = b"<html><body><p>Copper &lt;script&gt;alert(1)&lt;/script&gt; melts.</p></body></html>"
    index.add(page, name="a.html", keep_source=True)
    with client_of(index) as client:
        key = client.get("/api/documents").json()["documents"][0]["key"]
        source = client.get(f"/api/documents/{key}/source")
        assert source.headers["content-type"] == "application/octet-stream"
        assert source.headers["content-disposition"].startswith("attachment")
        assert source.headers["x-content-type-options"] == "nosniff"
        text = client.get(f"/api/documents/{key}/text")
        assert text.headers["content-type"] == "application/json"
        assert "<script>alert(1)</script>" in text.json()["text"]


def test_sources_are_checked_once_and_only_a_few_stay_open(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [index.add(make_pdf([[f"Page of book {n}"]]), name=f"{n}.pdf").document.key for n in range(10)]
    opened = []
    really = index.open_source
    monkeypatch.setattr(index, "open_source", lambda key: opened.append(key) or really(key))
    sources = Sources(lambda: index)
    for key in [*keys, *keys[-3:]]:
        file = sources.get(key)
        assert b"".join(file.part(0, 4)) == b"%PDF"
    assert opened == keys
    sources.get(keys[0])
    assert opened == [*keys, keys[0]]


def test_a_place_has_its_words_and_boxes_again(client: TestClient) -> None:
    key = added(client)
    answer = client.post("/api/ask", json={"question": "Where does the heron stand?", "min_confidence": 0}).json()
    citation = answer["citations"][0]
    query = {"start": citation["char_start"], "end": citation["char_end"]}
    place = client.get(f"/api/documents/{key}/place", params=query).json()
    for name in ("quote", "page", "last_page", "place", "boxes", "document", "section"):
        assert place[name] == citation[name], name
    for wrong in ({"start": 5, "end": 5}, {"start": 0, "end": 10_000_000}, {"start": 9, "end": 2}):
        assert client.get(f"/api/documents/{key}/place", params=wrong).status_code == 400


def test_text_comes_in_whole_lines_around_a_place(client: TestClient) -> None:
    lines = [f"Line {number} of the long book." for number in range(2_000)]
    key = added(client, "long.txt", "\n".join(lines).encode())
    whole = client.get(f"/api/documents/{key}/text").json()
    assert (whole["start"], whole["text"].splitlines()[0]) == (0, lines[0])
    middle = client.get(f"/api/documents/{key}/text", params={"at": 20_000}).json()
    assert middle["start"] < 20_000 < middle["end"] < middle["total"]
    assert all(line in lines for line in middle["text"].splitlines() if line)
    end = client.get(f"/api/documents/{key}/text", params={"at": 10**9}).json()
    assert end["end"] == end["total"]


def test_pages_are_drawn(client: TestClient) -> None:
    key = added(client)
    small = client.get(f"/api/documents/{key}/pages/2.png", params={"scale": 0.5})
    assert small.content.startswith(b"\x89PNG")
    assert client.get(f"/api/documents/{key}/pages/2").json() == {"page": 2, "rotation": 0, "shown": [0, 0, 595, 842]}
    for wrong in ("99.png", "99", "0.png"):
        assert client.get(f"/api/documents/{key}/pages/{wrong}").status_code in (400, 422), wrong
    assert client.get(f"/api/documents/{key}/pages/1.png", params={"scale": 1e9}).status_code == 400


@pytest.mark.parametrize(("how", "status"), [("crash", 422), ("time", 413), ("memory", 413)])
def test_a_page_that_cannot_be_drawn_is_an_error_and_others_are_drawn(
    how: Any, status: int, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = added(client)
    tried = []

    def dying(source: Any, options: Any, request: Any) -> Any:
        tried.append((request["page"], request["scale"]))
        if request["page"] == 2:
            raise Died(("read", None), how, "it went wrong")
        return answered_once(source, options, request)

    monkeypatch.setenv("SHAREDLLM_DOCS_PROCESS", "separate")
    monkeypatch.setattr(drawing, "answered_once", dying)
    for path in ("2", "2.png"):
        answer = client.get(f"/api/documents/{key}/pages/{path}")
        assert answer.status_code == status
        assert "Page 2 of birds.pdf cannot be drawn" in answer.json()["error"]["message"]
    assert client.get(f"/api/documents/{key}/pages/1.png").content.startswith(b"\x89PNG")
    assert client.get(f"/api/documents/{key[:12]}/pages/2.png", params={"scale": 4}).status_code == status
    assert tried == [(2, 0.1), (1, 2.0)], "what failed is not tried again at this scale or a larger one"
    client.get(f"/api/documents/{key}/pages/2.png", params={"scale": 0.05})
    assert tried[2:] == [(2, 0.05)]
    other = added(client, "birds.pdf", make_pdf([[line] for line in reversed(PAGES)]))
    assert client.get(f"/api/documents/{other}/pages/2.png").status_code == status
    assert tried[3:] == [(2, 2.0)], "another file is"


# -- questions ------------------------------------------------------------------------------------------------------


def events_of(text: str) -> list[tuple[str, Any]]:
    blocks = [block.split("\n") for block in text.split("\n\n") if block.startswith("event:")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


def test_a_stream_gives_sources_then_pieces_then_the_whole(client: TestClient) -> None:
    added(client)
    body = {"question": "Where does the heron stand?", "min_confidence": 0}
    response = client.post("/api/ask", json={**body, "stream": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    events = events_of(response.text)
    names = [name for name, _data in events]
    assert names[0] == "sources"
    assert names[-1] == "answer"
    assert set(names[1:-1]) == {"piece"}
    whole = events[-1][1]
    assert "".join(data["text"] for name, data in events if name == "piece").strip() == whole["text"]
    assert events[0][1]["citations"][0]["document"] == "birds.pdf"
    plain = client.post("/api/ask", json=body).json()
    for name in ("text", "citations", "found", "confidence", "counts"):
        if name != "counts":
            assert plain[name] == whole[name]
        else:
            assert plain[name]["rows"] == whole[name]["rows"] > 0


def test_a_question_that_fails_is_told_before_and_within_a_stream(client: TestClient) -> None:
    empty = client.post("/api/ask", json={"question": "Where?"})
    assert (empty.status_code, empty.json()["error"]["type"]) == (404, "DocumentNotFoundError")
    added(client)
    for wrong in ({"question": ""}, {"question": "Why?", "style": "loud"}, {"question": "Why?", "budgets": 3}, {}):
        assert client.post("/api/ask", json=wrong).status_code == 400, wrong
    assert client.post("/api/ask", json={"question": " ", "stream": True}).status_code == 400
    missing = {"question": "Why?", "documents": ["nowhere.txt"], "stream": True}
    ((name, data),) = events_of(client.post("/api/ask", json=missing).text)
    assert (name, data["error"]["type"]) == ("error", "DocumentNotFoundError")
    long = client.post("/api/ask", json={"question": "Why?", "max_new_tokens": 10**6})
    assert long.status_code == 413


@pytest.mark.parametrize("asked", ["contract-a.txt", "one/contract-a.txt", "Contract-A", "two/contrct-a.txt"])
def test_a_document_that_is_not_there_is_answered_with_the_nearest_names(client, index, asked) -> None:
    index.add(b"The Client pays 900 euros per month.", name="two/contract-a.txt")
    question = {"question": "Who pays?", "documents": [asked]}
    told = "Did you mean 'two/contract-a.txt'?"
    answer = client.post("/api/ask", json=question)
    assert answer.status_code == 404
    assert told in answer.json()["error"]["remedy"]
    assert told in answer.json()["error"]["message"]
    ((name, data),) = events_of(client.post("/api/ask", json={**question, "stream": True}).text)
    assert name == "error"
    assert told in data["error"]["message"]


def test_earlier_turns_are_heeded(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    added(client)
    seen = []
    desk = client.app.state.desk  # type: ignore[attr-defined]
    really = desk.stream
    monkeypatch.setattr(desk, "stream", lambda *given, **rest: seen.append(rest) or really(*given, **rest))
    turns = [{"role": "user", "content": "Who writes?"}, {"role": "assistant", "content": "The keeper."}]
    body = {"question": "At what time?", "conversation": turns, "min_confidence": 0}
    assert client.post("/api/ask", json=body).status_code == 200
    assert [(one.role, one.content) for one in seen[0]["conversation"]] == [tuple(turn.values()) for turn in turns]
    assert client.post("/api/ask", json={**body, "conversation": [{"role": "boss", "content": ""}]}).status_code == 400


def test_declined_answers_have_the_nearest_passages(client: TestClient) -> None:
    added(client)
    answer = client.post("/api/ask", json={"question": "Where does the heron stand?", "min_confidence": 1.0}).json()
    assert answer["found"] is False
    assert answer["citations"] == []
    assert answer["nearest"]


def test_search_finds_passages_of_the_chosen_documents(client: TestClient) -> None:
    added(client)
    key = added(client, "metals.txt", b"Copper melts at a higher temperature than tin does.")
    found = client.post("/api/search", json={"question": "copper", "k": 2, "documents": [key]}).json()
    assert {one["document"] for one in found} == {"metals.txt"}


def test_the_tree_shows_what_the_answer_used(client: TestClient) -> None:
    birds = added(client)
    metals = added(client, "metals.txt", ("Copper melts. " * 200).encode())
    question = {"question": "Where does the heron stand?", "min_confidence": 0}
    answer = client.post("/api/ask", json=question).json()
    trees = {
        key: client.post(f"/api/documents/{key}/tree", json={"question": question["question"]}).json()["chunks"]
        for key in (birds, metals)
    }
    rows = sum(chunk["rows"] for chunks in trees.values() for chunk in chunks)
    assert rows == answer["counts"]["rows"]
    cited = answer["citations"][0]
    assert trees[cited["document_key"]][cited["chunk"]]["selected"]
    alone = client.post(f"/api/documents/{birds}/tree", json={}).json()
    assert not any(chunk["selected"] for chunk in alone["chunks"])
    chunk = client.post(f"/api/documents/{birds}/tree/0", json={"question": question["question"]}).json()
    assert chunk["rows"] == sum(node["rows"] for node in chunk["nodes"] if node["state"] in ("taken", "coarse"))
    assert client.post(f"/api/documents/{birds}/tree/99", json={}).status_code == 400
    other = {"question": "Where?", "documents": [metals]}
    assert client.post(f"/api/documents/{birds}/tree", json=other).status_code == 400


# -- the whole ------------------------------------------------------------------------------------------------------


def test_every_route_is_in_the_openapi_document(client: TestClient) -> None:
    told = client.get("/openapi.json").json()
    paths = set(told["paths"])
    for path in ("/api/documents", "/api/ask", "/api/documents/{key}/source", "/api/documents/{key}/tree/{chunk}"):
        assert path in paths
    assert not any(path.startswith("/page") for path in paths)
    for path, verbs in told["paths"].items():
        for verb, about in verbs.items():
            assert about.get("description"), (verb, path)


def test_the_page_needs_no_key_and_documents_do(index: Index) -> None:
    from sharedllm_docs.serving.http.keys import hashed

    with client_of(index, api_keys=(hashed("a key of the house"),)) as client:
        for path in ("/", "/docs", "/page/style.css", "/page/vendor/pdf.min.mjs", "/page/vendor/cmaps/H.bcmap"):
            assert client.get(path).status_code == 200, path
        assert client.get("/api/documents").status_code == 401
        assert client.get("/api/documents", headers={"Authorization": "Bearer a key of the house"}).status_code == 200


@pytest.mark.parametrize(
    "name", ["../files.py", "files.py", "..%2f..%2fapp.py", "vendor/../../app.py", "", "vendor/LICENSE"]
)
def test_only_files_of_the_page_are_sent(client: TestClient, name: str) -> None:
    assert client.get(f"/page/{name}").status_code == 404


def test_files_of_the_page_are_asked_for_again_and_not_sent_twice(client: TestClient) -> None:
    first = client.get("/page/js/main.js")
    assert first.headers["content-type"].startswith("text/javascript")
    again = client.get("/page/js/main.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    policy = client.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


def test_the_time_left_follows_the_pace() -> None:
    pace = Pace()
    assert pace.seconds_left(0) is None
    for second in range(5):
        pace.note(100 * second, 1000, second)
    assert pace.seconds_left(4) == pytest.approx(6)
    assert pace.seconds_left(6) == pytest.approx(4)
    for second in range(5, 200):
        pace.note(400 + second, 1000, second)
    assert pace.seconds_left(199) == pytest.approx(1000 - 599, rel=0.01)
    pace.note(1000, 1000, 300)
    assert (pace.seconds_left(300), pace.share) == (0, 1)


# -- what the owner's folders are called ------------------------------------------------------------------------------


def test_a_missing_file_is_told_without_its_place(llm: SharedLLM, tmp_path: Path) -> None:
    index = Index.create(tmp_path / "index", llm)
    home = tmp_path / "private-home"
    home.mkdir()
    file = home / "contract.txt"
    file.write_bytes(BIRDS.encode())
    key = index.add(file).document.key
    for change in (lambda: file.write_bytes(b"another"), file.unlink):
        change()
        with client_of(index) as client:
            response = client.get(f"/api/documents/{key}/source")
            assert response.status_code == 409
            assert "private-home" not in response.text
            assert str(tmp_path) not in response.text


@pytest.mark.parametrize("many", [0, 1001, 10**30])
def test_the_number_of_citations_has_bounds(client: TestClient, many: int) -> None:
    response = client.post("/api/ask", json={"question": "Where is the heron?", "max_citations": many})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "max_citations")


def test_a_models_folder_is_told_by_its_last_part(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = "/srv/private-home/mine"
    made = {**index.settings, "model": folder, "source": {"name_or_path": folder, "embedder": "/srv/private-home/e"}}
    monkeypatch.setattr(Index, "settings", made)

    async def fail(desk: Desk) -> None:
        raise ModelUnavailableError(f"{folder}/config.json and /srv/private-home/e are not there.", remedy=folder)

    monkeypatch.setattr(Desk, "warm", fail)
    with client_of(index) as client:
        assert client.get("/api/indexes").json()[0]["model"] == "mine"
        until(lambda: client.get("/ready").json()["status"] == "failed")
        error = client.get("/ready").json()["error"]
    assert error["message"].startswith("mine/config.json and e are not there.")
    assert error["remedy"] == "mine"


def test_an_index_that_was_moved_away_is_no_empty_one(index: Index, tmp_path: Path) -> None:
    with client_of(index) as client:
        key = added(client)
        index.wait()  # what is still being read would be written where the index was
        (tmp_path / "index").rename(tmp_path / "elsewhere")
        asked = {"question": "What does the heron wait for?"}
        chat = {"model": "docs", "messages": [{"role": "user", "content": "What?"}]}
        for path, body in (
            ("/api/documents", None),
            ("/api/indexes", None),
            (f"/api/documents/{key}", None),
            (f"/api/documents/{key}/source", None),
            ("/v1/models", None),
            ("/v1/models/docs", None),
            ("/api/ask", asked),
            ("/api/search", asked),
            (f"/api/documents/{key}/tree", asked),
            ("/v1/chat/completions", chat),
            ("/v1/embeddings", {"model": "docs", "input": "heron"}),
        ):
            response = client.get(path) if body is None else client.post(path, json=body)
            assert response.status_code == 503, path
            assert response.json()["error"]["type"] == "IndexNotFoundError", path
            assert "docs" in response.json()["error"]["message"], path
            assert str(tmp_path) not in response.text
        (tmp_path / "elsewhere").rename(tmp_path / "index")
        assert [one["key"] for one in client.get("/api/documents").json()["documents"]] == [key]


def test_what_another_process_adds_is_listed_and_asked(index: Index, llm: SharedLLM, tmp_path: Path) -> None:
    with client_of(index) as client:
        added(client)
        Index.open(tmp_path / "index", llm).add(b"Basalt is a dark rock.", name="rocks.txt")
        assert [one["name"] for one in client.get("/api/documents").json()["documents"]] == ["birds.pdf", "rocks.txt"]
        models = [one["id"] for one in client.get("/v1/models").json()["data"]]
        assert "docs/rocks.txt" in models
        found = client.post("/api/search", json={"question": "Is basalt a dark rock?", "k": 1}).json()
        assert found[0]["document"] == "rocks.txt"


def test_an_index_that_is_made_anew_meanwhile_is_served_and_read_on(
    index: Index, llm: SharedLLM, tmp_path: Path
) -> None:
    with client_of(index) as client:
        old = added(client)
        index.wait()
        shutil.rmtree(tmp_path / "index")
        new = Index.create(tmp_path / "index", llm, max_bytes=1 << 40)
        new.add(b"Basalt is a dark rock.", name="rocks.txt", encode="when-asked")
        assert [one["name"] for one in client.get("/api/documents").json()["documents"]] == ["rocks.txt"]
        until(lambda: not client.get("/api/documents").json()["documents"][0]["unread_chunks"])
        assert client.get(f"/api/documents/{old}").status_code == 404
        assert client.get(f"/api/documents/{old}/source").status_code == 404
        assert added(client) == old
