"""What is wrong with a request or a setting is a sentence with the value and the bound, and says what to do."""

from __future__ import annotations

import json
import re

import pytest

pytest.importorskip("fastapi")

from starlette.testclient import TestClient

from sharedllm_docs.errors import ConfigError
from sharedllm_docs.serving.desk import Desk
from sharedllm_docs.serving.http.app import create_app
from sharedllm_docs.serving.http.settings import Settings
from tests.serving_helpers import ALWAYS, new_index

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
