"""What is wrong with a request or a setting is a sentence with the value and the bound, and says what to do."""

from __future__ import annotations

import json
import re

import pytest

pytest.importorskip("fastapi")

from starlette.testclient import TestClient

from sharedllm_docs import Index
from sharedllm_docs.errors import ConfigError, IndexNotFoundError
from sharedllm_docs.serving.desk import Desk
from sharedllm_docs.serving.http import failures
from sharedllm_docs.serving.http.app import create_app
from sharedllm_docs.serving.http.settings import Settings
from tests.serving_helpers import ALWAYS, new_index
from tests.tiny_text import tiny_document, tiny_llm

CHAT = {"model": "docs", "messages": [{"role": "user", "content": "What melts?"}]}
ASK = {"question": "What melts?"}
V1 = "/v1/chat/completions"
RAW = re.compile(r"Input should|Field required|should have|Value error|validation error|ctx|type=")


@pytest.fixture(scope="module")
def client():
    index = new_index("problems")
    settings = Settings.load(indexes={"docs": index.url}, max_answer_tokens=20)
    with TestClient(create_app(settings, Desk({"docs": index})), base_url="http://localhost") as made:
        yield made


@pytest.mark.parametrize(
    ("path", "body", "param", "message", "remedy"),
    [
        (V1, {**CHAT, "temperature": 2.5}, "temperature", "temperature=2.5 is above the most, 2", "2"),
        (V1, {**CHAT, "temperature": -1}, "temperature", "-1 is below the least, 0", "Give at least"),
        ("/v1/completions", {"model": "docs", "prompt": "x", "temperature": 9}, "temperature", "9 is above", "2"),
        (V1, {"model": "docs"}, "messages", "messages is missing.", "Add it."),
        (V1, {**CHAT, "stop": 5}, "stop", "stop=5 is not a text or a list.", "Give a text or a list."),
        (V1, {**CHAT, "stop": ["a", 5]}, "stop.1", "stop.1=5 is not a text.", "Give a text."),
        (V1, {**CHAT, "messages": []}, "messages", "messages=[] has fewer than 1 entries", "1 or more"),
        (V1, {**CHAT, "max_tokens": "ten"}, "max_tokens", "'ten' is not a whole number", "Give a whole"),
        (V1, {"model": "", "messages": CHAT["messages"]}, "model", "fewer than 1 char", "1 or more"),
        ("/v1/embeddings", {"model": "docs", "input": "", "encoding_format": 1}, "encoding_format", "float", "one"),
        ("/api/ask", {}, "question", "question is missing.", "Add it."),
        ("/api/ask", {**ASK, "colour": 1}, "colour", "no parameter or setting 'colour'", "Leave it out"),
        ("/api/ask", {**ASK, "style": "loud"}, "style", "='loud' is not one of 'short', 'sentence' or ", "these"),
        ("/api/ask", {**ASK, "max_citations": 0}, "max_citations", "=0 is below the least, 1", "at least 1"),
        ("/api/ask", {**ASK, "conversation": [{"role": "user"}]}, "conversation.0.content", "is missing", "Add it"),
        ("/api/search", {**ASK, "k": 51}, "k", "k=51 is above the most, 50", "at most 50"),
        ("/api/ask", b"{", None, "The body is not JSON", "Send a JSON object."),
        (V1, {**CHAT, "temperature": float("nan")}, "temperature", "=nan is not a finite number", "finite"),
        (V1, {**CHAT, "top_p": float("inf")}, "top_p", "=inf is not a finite number", "finite"),
        (V1, {**CHAT, "max_tokens": 0}, None, "max_tokens=0 is below the least, 1.", "at least 1"),
        (V1, {**CHAT, "max_completion_tokens": -3}, None, "max_completion_tokens=-3 is below", "at least 1"),
        (V1, {**CHAT, "max_completion_tokens": 21}, None, "max_completion_tokens=21 is more than the 20", "20"),
        (V1, b'{"model": "\xff"}', None, "The body is not UTF-8: byte 11 is 0xff.", "Send JSON in UTF-8."),
        pytest.param("/api/ask", b"[" * 200_000, None, "The body is nested too deeply.", "few", id="deep"),
        pytest.param(V1, b"9" * 5000, None, "a whole number of more than 4,300 digits", "shorter", id="long"),
        ("/api/ask", [], None, "The body=[] is not an object", "Give an object."),
    ],
)  # fmt: skip
def test_a_request_that_is_wrong_is_told_in_a_sentence(client, path, body, param, message, remedy):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = client.post(path, content=content, headers={"Content-Type": "application/json"})
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (400, param)
    assert message in error["message"]
    assert remedy in error["remedy"]
    assert error["message"].endswith(error["remedy"])
    assert not RAW.search(response.text)


@pytest.mark.parametrize("path", ["/api/documents/x/place?start=-1&end=2", "/api/documents/x/text?at=x"])
def test_so_is_an_address(client, path):
    error = client.get(path).json()["error"]
    assert error["remedy"]
    assert not RAW.search(error["message"])


def test_long_values_are_cut(client):
    error = client.post("/api/search", json={"question": "a", "k": "x" * 5000}).json()["error"]
    assert len(error["message"]) < 200


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"port": 70000}, r"port=70000 is above the most, 65535\. Give at most 65535"),
        ({"max_running": "many"}, r"max_running='many' is not a whole number\. Give a whole number"),
        ({"colour": 1}, r"no parameter or setting 'colour'\. Leave it out"),
        ({"api_keys": ("a-secret-key-that-is-long",)}, "api_keys: an entry is not a hash"),
    ],
)
def test_so_are_settings_and_no_key_is_told(wrong, message):
    with pytest.raises(ConfigError, match=message) as raised:
        Settings.load(indexes={"docs": "x"}, **wrong)
    assert raised.value.remedy
    assert "a-secret-key" not in str(raised.value)


@pytest.mark.parametrize("style", ["short", "sentence", "full"])
def test_no_answer_is_longer_than_the_server_gives(client, style):
    """Whether the request names a number or none, in each dialect."""
    own = client.post("/api/ask", json={**ASK, "style": style, "min_confidence": 0.0})
    chat = client.post("/v1/chat/completions", json={**CHAT, "style": style, **ALWAYS})
    assert own.json()["counts"]["answer_tokens"] <= 20
    assert chat.json()["usage"]["completion_tokens"] <= 20
    more = client.post("/api/ask", json={**ASK, "style": style, "max_new_tokens": 21})
    assert more.status_code == 413
    assert "max_new_tokens=21 is above this server's 20" in more.json()["error"]["message"]
    assert client.get("/api/limits").json()["answer_tokens"] == 20


def test_more_prompts_than_may_wait_are_not_asked_to_come_again(client):
    response = client.post("/v1/completions", json={"model": "plain", "prompt": ["x"] * 129})
    assert response.status_code == 413
    assert "129 prompts; this server takes 128. Send fewer." in response.json()["error"]["message"]


ROUTES = [
    ("POST", V1, CHAT),
    ("POST", V1, {**CHAT, "stream": True}),
    ("POST", "/v1/completions", {"model": "plain", "prompt": "x"}),
    ("POST", "/v1/embeddings", {"model": "docs", "input": "x"}),
    ("GET", "/v1/models", None),
    ("GET", "/v1/models/docs", None),
    ("POST", "/api/ask", ASK),
    ("POST", "/api/search", ASK),
    ("GET", "/api/documents", None),
]


@pytest.mark.parametrize("place", ["nothing", "a file"])
def test_an_index_that_is_away_is_told_and_logged_in_one_line(tmp_path, caplog, place):
    url = tmp_path / "index"
    index = Index.create(url, tiny_llm())
    index.add(tiny_document("The heron stands in the river. " * 10, name="a.txt"))
    settings = Settings.load(indexes={"docs": str(url)})
    with TestClient(create_app(settings, Desk({"docs": index})), base_url="http://localhost") as client:
        url.rename(tmp_path / "elsewhere")
        if place == "a file":
            url.write_text("no index")
        for method, path, body in ROUTES * 2:
            response = client.request(method, path, json=body)
            assert (response.status_code, response.json()["error"]["type"]) == (503, "IndexNotFoundError"), path
            assert str(tmp_path) not in response.text
        url.unlink(missing_ok=True)
        (tmp_path / "elsewhere").rename(url)
        assert client.get("/api/documents").status_code == 200
    (line,) = (one for one in caplog.records if one.name == failures.__name__)
    assert line.exc_info is None
    assert "\n" not in line.getMessage()


def test_the_same_failure_is_logged_again_after_a_while(caplog):
    now = [0.0]
    seldom = failures.SeldomLog(lambda: now[0])
    for second, said in ((0, "a"), (1, "a"), (2, "b"), (59, "a"), (60, "a"), (61, "a")):
        now[0] = second
        seldom.tell(IndexNotFoundError(said, remedy="Look."), "GET /x")
    assert [one.getMessage() for one in caplog.records] == [f"GET /x failed: {said} Look." for said in "aba"]
