"""The OpenAI dialect, asked by the real ``openai`` client over a real port, and by frameworks' classes for it."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
import zlib
from dataclasses import asdict
from pathlib import Path

import httpx
import numpy as np
import pytest

pytest.importorskip("fastapi")
openai = pytest.importorskip("openai")

from sharedllm_docs.serving.desk import Desk  # noqa: E402
from sharedllm_docs.serving.http.app import create_app  # noqa: E402
from sharedllm_docs.serving.http.openai.requests import IGNORED, NEUTRAL, OWN  # noqa: E402
from sharedllm_docs.serving.http.settings import Settings  # noqa: E402
from tests.documents import make_pdf  # noqa: E402
from tests.serving_helpers import ALWAYS, QUESTIONS, Gate, new_index, running  # noqa: E402

ASKED = [{"role": "user", "content": QUESTIONS[0]}]


class Server:
    """A server with its desk and address."""

    def __init__(self, index, **settings):
        self.index = index
        self.settings = Settings.load(indexes={"docs": index.url}, **settings)
        self.desk = Desk({"docs": index}, max_running=4)
        self.app = create_app(self.settings, self.desk)
        self.address = ""

    @property
    def client(self):
        return openai.OpenAI(base_url=f"{self.address}/v1", api_key="none", max_retries=0)


@pytest.fixture(scope="module")
def server():
    made = Server(new_index("openai"), keep_alive_seconds=0.2, max_answer_tokens=300)
    with running(made.app) as made.address:
        yield made


@pytest.fixture(scope="module")
def client(server):
    return server.client


def ask(client, messages=ASKED, *, model="docs", tokens=12, **more):
    own = {**ALWAYS, **more.pop("own", {})}
    return client.chat.completions.create(model=model, messages=messages, max_tokens=tokens, extra_body=own, **more)


# -- whole answers ------------------------------------------------------------------------------------------------


def test_an_answer_is_that_of_the_index_with_its_sources(server, client):
    answer = ask(client, own={"budget": 30})
    alone = server.index.ask(QUESTIONS[0], **ALWAYS, max_new_tokens=12, budget=30)
    choice = answer.choices[0]
    assert choice.message.content == alone.text
    assert choice.message.role == "assistant"
    assert choice.finish_reason == ("length" if alone.finish_reason == "length" else "stop")
    assert answer.usage.completion_tokens == alone.counts.answer_tokens
    assert answer.usage.prompt_tokens == alone.counts.question_tokens + alone.counts.rows
    assert answer.usage.prompt_tokens_details.cached_tokens == alone.counts.rows
    assert answer.id.startswith("chatcmpl-")
    assert answer.object == "chat.completion"
    assert answer.model == "docs"
    sources = answer.model_extra["citations"]
    assert [(one["document"], one["page"], one["quote"]) for one in sources] == [
        (one.document, one.page, one.quote) for one in alone.citations
    ]
    assert set(sources[0]) >= {"document", "page", "label", "quote", "score", "url"}
    assert answer.model_extra["sharedllm"]["confidence"] == alone.confidence
    noted = choice.message.annotations
    assert [one.url_citation.url for one in noted] == [one["url"] for one in sources]
    assert noted[0].url_citation.title.startswith("pages.txt, page 1")
    assert noted[0].url_citation.end_index == len(alone.text)


def test_marks_are_where_annotations_point(server, client):
    answer = ask(client, tokens=60, own={"style": "full"})
    text, noted = answer.choices[0].message.content, answer.choices[0].message.annotations or []
    alone = server.index.ask(QUESTIONS[0], **ALWAYS, style="full", max_new_tokens=60)
    assert text == alone.text
    marks = re.findall(r"\[\d+\]", text)
    if marks:
        assert [text[one.url_citation.start_index : one.url_citation.end_index] for one in noted] == marks


def test_boxes_stand_in_citations_of_pdfs(server, client):
    server.index.add(make_pdf([["Owls hunt mice at night."], ["Moles dig under the lawn."]]), name="night.pdf")
    question = "What do moles dig under?"
    answer = ask(client, [{"role": "user", "content": question}], model="docs/night.pdf")
    alone = server.index.ask(question, documents=["night.pdf"], **ALWAYS, max_new_tokens=12)
    boxes = [one["boxes"] for one in answer.model_extra["citations"]]
    assert boxes == [[asdict(box) for box in one.boxes] for one in alone.citations]
    assert boxes[0][0]["page"] == 2
    server.index.remove("night.pdf")


def test_links_hold_the_view_that_the_page_reads(client):
    """As page/js/state.js unpacks them: deflated JSON after the #."""
    source = ask(client).model_extra["citations"][0]
    base, _, packed = source["url"].partition("#")
    shown = json.loads(zlib.decompress(base64.urlsafe_b64decode(packed + "=="), -zlib.MAX_WBITS))
    assert base.startswith("http://127.0.0.1:")
    assert shown["v"] == 1
    assert shown["x"] == "docs"
    assert shown["t"][0]["q"] == QUESTIONS[0]
    assert shown["t"][0]["i"][0][:3] == [source["document_key"], source["char_start"], source["char_end"]]
    assert shown["w"] == {"key": source["document_key"], "page": source["page"], "turn": 0, "citation": 0}


def test_what_the_documents_do_not_say(client):
    answer = client.chat.completions.create(model="docs", messages=ASKED, extra_body={"relevance_floor": 1.0})
    assert answer.choices[0].message.content == "The document does not say."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model_extra["citations"] == []
    assert answer.model_extra["sharedllm"]["found"] is False
    assert answer.model_extra["sharedllm"]["nearest"][0]["document"]


def test_models_are_indexes_documents_and_plain(server, client):
    names = [model.id for model in client.models.list()]
    assert names[:2] == ["plain", "docs"]
    assert sorted(names[2:]) == ["docs/crops/tea & rice.txt", "docs/pages.txt"]
    for name in names:
        assert client.models.retrieve(name).id == name
    rice = ask(client, [{"role": "user", "content": "Where is rice grown?"}], model="docs/crops/tea & rice.txt")
    assert {one["document"] for one in rice.model_extra["citations"]} == {"crops/tea & rice.txt"}
    pages = ask(client, [{"role": "user", "content": "Where is rice grown?"}], model="docs/pages.txt")
    assert {one["document"] for one in pages.model_extra["citations"]} == {"pages.txt"}
    alone = server.index.llm.chat([message(one) for one in ASKED], max_new_tokens=12)
    plain = client.chat.completions.create(model="plain", messages=ASKED, max_tokens=12)
    assert plain.choices[0].message.content == alone.text
    assert plain.usage.prompt_tokens == alone.prompt_tokens
    assert "citations" not in plain.model_extra


def message(one):
    from sharedllm_docs.model.messages import Message

    return Message(one["role"], one["content"])


@pytest.mark.parametrize("name", ["nope", "docs/nope.txt", "docs/", "../docs", "docs/../../etc/passwd", "memory://x"])
def test_unknown_models_are_not_found(client, name):
    with pytest.raises(openai.NotFoundError) as error:
        ask(client, model=name)
    assert error.value.body["remedy"]


def test_earlier_messages_and_system_messages_count(server, client):
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": QUESTIONS[2]},
        {"role": "assistant", "content": "Fourteen."},
        {"role": "user", "content": [{"type": "text", "text": QUESTIONS[3]}]},
    ]
    before = [message(one) for one in messages[:-1]]
    alone = server.index.ask(QUESTIONS[3], conversation=before, **ALWAYS, max_new_tokens=12)
    assert ask(client, messages).choices[0].message.content == alone.text
    messages[0]["role"] = "developer"
    assert ask(client, messages).choices[0].message.content == alone.text


def test_drawing_is_as_asked(server, client):
    drawn = {"temperature": 1.4, "top_p": 0.9, "seed": 5}
    alone = server.index.ask(QUESTIONS[0], **ALWAYS, **drawn, max_new_tokens=30)
    assert ask(client, tokens=30, **drawn).choices[0].message.content == alone.text
    whole = ask(client, tokens=40).choices[0].message.content
    stop = whole[5:8]
    assert ask(client, tokens=40, stop=stop).choices[0].message.content == whole[: whole.index(stop)].strip()
    assert ask(client, tokens=40, stop=[stop, "zzz"]).choices[0].message.content == whole[: whole.index(stop)].strip()
    others = {ask(client, tokens=30, temperature=2.0).choices[0].message.content for _ in range(4)}
    assert len(others) > 1  # without a seed each answer is another


def test_completions_answer_prompts(server, client):
    made = client.completions.create(model="docs", prompt=list(QUESTIONS[:3]), max_tokens=9, extra_body=ALWAYS)
    alone = [server.index.ask(question, **ALWAYS, max_new_tokens=9) for question in QUESTIONS[:3]]
    assert [choice.text for choice in made.choices] == [answer.text for answer in alone]
    assert [choice.index for choice in made.choices] == [0, 1, 2]
    assert made.usage.completion_tokens == sum(answer.counts.answer_tokens for answer in alone)
    assert [len(one["citations"]) for one in made.model_extra["sharedllm"]["choices"]] == [
        len(answer.citations) for answer in alone
    ]
    plain = client.completions.create(model="plain", prompt="Once upon", max_tokens=9)
    assert plain.choices[0].text == server.index.llm.complete("Once upon", max_new_tokens=9).text
    pieces = client.completions.create(model="plain", prompt="Once upon", max_tokens=9, stream=True)
    assert "".join(chunk.choices[0].text for chunk in pieces) == plain.choices[0].text


# -- streams ------------------------------------------------------------------------------------------------------


def test_a_stream_is_the_answer_in_pieces(server, client):
    chunks = list(ask(client, tokens=25, stream=True, stream_options={"include_usage": True}))
    alone = server.index.stream(QUESTIONS[0], **ALWAYS, max_new_tokens=25)
    pieces = list(alone)
    assert [chunk.choices[0].delta.content for chunk in chunks[:-2]] == pieces
    assert chunks[0].choices[0].delta.role == "assistant"
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk.id for chunk in chunks}) == 1
    ended, usage = chunks[-2:]
    assert ended.choices[0].finish_reason == ("length" if alone.result.finish_reason == "length" else "stop")
    assert [one["quote"] for one in ended.model_extra["citations"]] == [one.quote for one in alone.result.citations]
    assert len(ended.choices[0].delta.annotations) == len(alone.result.citations)
    assert usage.choices == []
    assert usage.usage.completion_tokens == alone.result.counts.answer_tokens
    assert usage.model_extra["citations"] == ended.model_extra["citations"]
    assert all(chunk.usage is None for chunk in chunks[:-1])


def events(response):
    return [line.removeprefix("data: ") for line in response.iter_lines() if line.startswith("data: ")]


def test_the_bytes_of_a_stream(server):
    body = {"model": "docs", "messages": ASKED, "stream": True, "max_tokens": 5, **ALWAYS}
    with httpx.stream("POST", f"{server.address}/v1/chat/completions", json=body) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-store"
        found = events(response)
    assert found[-1] == "[DONE]"
    assert all(json.loads(one)["object"] == "chat.completion.chunk" for one in found[:-1])
    assert not any("usage" in json.loads(one) for one in found[:-1])


def test_words_not_borne_out_are_followed_by_saying_so(client):
    chunks = list(ask(client, stream=True, own={"min_confidence": 1.0, "relevance_floor": 0.0}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    details = chunks[-1].model_extra["sharedllm"]
    assert details["found"] is False
    if details["draft"]:
        assert "The document does not say. (The words above are not borne out by the text: confidence" in text


def test_errors_before_the_first_word_have_their_status(client):
    with pytest.raises(openai.BadRequestError, match="exceeds the model's window"):
        ask(client, [{"role": "user", "content": "why " * 5000}], stream=True)
    with pytest.raises(openai.NotFoundError):
        ask(client, own={"documents": ["nope.txt"]}, stream=True)


def test_errors_later_are_events(server, client, monkeypatch):
    from sharedllm_docs.injection.running import RunningBatch

    inner = RunningBatch.feed

    def broken(self, tokens):
        return inner(self, tokens) if server.desk.tally.steps % 10 else 1 / 0

    server.desk.tally.steps = 1
    monkeypatch.setattr(RunningBatch, "feed", broken)
    body = {"model": "docs", "messages": ASKED, "stream": True, "max_tokens": 50, **ALWAYS}
    with httpx.stream("POST", f"{server.address}/v1/chat/completions", json=body) as response:
        found = events(response)
    assert found[-1] == "[DONE]"
    assert json.loads(found[-2])["error"]["message"] == "The server failed at this request; its log says why."
    server.desk.tally.steps = 1
    with pytest.raises(openai.APIError, match="its log says why"):
        list(ask(client, tokens=50, stream=True))


@pytest.fixture
def gated():
    """A server whose model's steps a test lets through one by one."""
    made = Server(new_index("gated"), keep_alive_seconds=0.05)
    gate = Gate(made.desk)
    with running(made.app) as made.address:
        yield made, gate
        gate.open()


def test_signs_of_life_while_nothing_is_said(gated):
    server, gate = gated
    body = {"model": "docs", "messages": ASKED, "stream": True, "max_tokens": 50, **ALWAYS}
    with httpx.stream("POST", f"{server.address}/v1/chat/completions", json=body, timeout=60) as response:
        lines = response.iter_lines()
        assert any(line.startswith(": keep-alive") for line in lines)
        gate.open()
        assert any(line == "data: [DONE]" for line in lines)


@pytest.mark.parametrize("stream", [True, False])
def test_the_model_stops_when_the_client_goes(gated, stream):
    server, gate = gated
    body = {"model": "docs", "messages": ASKED, "stream": stream, "max_tokens": 100, **ALWAYS}

    async def go():
        async with httpx.AsyncClient() as client:
            asking = asyncio.ensure_future(client.post(f"{server.address}/v1/chat/completions", json=body))
            gate.let(3)
            await asyncio.to_thread(gate.wait_for, 3)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    asyncio.run(go())
    tally, desk = server.desk.tally, server.desk
    for _ in range(2000):  # one step more at most is let through at a time, until the server has noticed
        if desk.running == 0:
            break
        time.sleep(0.01)
        if any(job.cancelled for lane in desk._batches._lanes.values() for job in lane.jobs):
            gate.open()
    assert desk.running == 0
    assert tally.answered == 0
    assert tally.cancelled == 1
    assert tally.steps <= 3


# -- refused and ignored ------------------------------------------------------------------------------------------

REFUSED = [
    {"n": 2},
    {"response_format": {"type": "json_object"}},
    {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}},
    {"tools": [{"type": "function", "function": {"name": "x"}}]},
    {"tool_choice": "required"},
    {"logprobs": True},
    {"logit_bias": {"5": 1}},
    {"presence_penalty": 0.5},
    {"frequency_penalty": -0.5},
    {"modalities": ["audio"]},
    {"web_search_options": {}},
    {"colour": "red"},
    {"retrieval": {}},
]


@pytest.mark.parametrize("more", REFUSED, ids=lambda more: next(iter(more)))
def test_what_cannot_be_honoured_is_refused_by_name(server, more):
    body = {"model": "docs", "messages": ASKED, **more}
    response = httpx.post(f"{server.address}/v1/chat/completions", json=body)
    error = response.json()["error"]
    assert response.status_code == 400
    assert error["param"] == next(iter(more))
    assert repr(error["param"]) in error["message"]


def test_values_that_ask_for_nothing_are_taken(server):
    neutral = {name: values[0] for name, values in NEUTRAL.items() if values}
    body = {"model": "docs", "messages": ASKED, "max_tokens": 2, **neutral, **dict.fromkeys(IGNORED, "x"), **ALWAYS}
    assert httpx.post(f"{server.address}/v1/chat/completions", json=body).status_code == 200
    nothing = dict.fromkeys(NEUTRAL)
    body = {"model": "docs", "messages": ASKED, "max_tokens": 2, **nothing, **ALWAYS}
    assert httpx.post(f"{server.address}/v1/chat/completions", json=body).status_code == 200


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ([], "has fewer than 1 entries"),
        ([{"role": "user", "content": "  "}], "is empty"),
        ([{"role": "assistant", "content": "Yes."}], "The last message is of the role 'assistant'"),
        ([{"role": "wizard", "content": "Who?"}, *ASKED], "The role 'wizard' is unknown"),
        ([{"role": "tool", "content": "x", "tool_call_id": "1"}, *ASKED], "this server calls no tools"),
        (
            [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x/y.png"}}]}],
            "fetches nothing from addresses",
        ),
        ([{"role": "user", "content": 7}], "content"),
    ],
)
def test_messages_that_cannot_be_taken(server, messages, says):
    response = httpx.post(f"{server.address}/v1/chat/completions", json={"model": "docs", "messages": messages})
    assert response.status_code == 400
    assert says in response.json()["error"]["message"]


def test_too_much_is_refused(server):
    long = {"model": "docs", "messages": ASKED * 201}
    response = httpx.post(f"{server.address}/v1/chat/completions", json=long)
    assert response.status_code == 413
    assert "201 messages; this server takes 200" in response.json()["error"]["message"]
    response = httpx.post(
        f"{server.address}/v1/chat/completions", json={"model": "docs", "messages": ASKED, "max_tokens": 301}
    )
    assert response.status_code == 400
    assert "max_tokens=301 is more than the 300" in response.json()["error"]["message"]


def test_busy(server):
    """429 with Retry-After, which the client's own retries heed."""
    index = new_index("busy")
    settings = Settings.load(indexes={"docs": index.url})
    desk = Desk({"docs": index}, max_running=1, max_waiting=1)
    gate = Gate(desk)
    body = {"model": "docs", "messages": ASKED, "max_tokens": 5, **ALWAYS}
    with running(create_app(settings, desk)) as address:

        async def go():
            async with httpx.AsyncClient(timeout=60) as client:
                asked = [
                    asyncio.ensure_future(client.post(f"{address}/v1/chat/completions", json=body)) for _ in range(12)
                ]
                done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
                refused = next(iter(done)).result()
                gate.open()
                return refused, await asyncio.gather(*asked)

        refused, responses = asyncio.run(go())
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["error"]["type"] == "BusyError"
    assert {response.status_code for response in responses} == {200, 429}


def test_the_docs_name_every_parameter():
    text = (Path(__file__).parents[1] / "docs" / "server.md").read_text(encoding="utf-8")
    for name in (*NEUTRAL, *IGNORED, *OWN):
        assert f"`{name}`" in text, name


# -- vectors ------------------------------------------------------------------------------------------------------


def test_embeddings(server, client):
    texts = ["The heron.", "Tin melts."]
    expected = server.index.llm.embedder.encode(texts)
    for encoding in ("float", "base64"):
        made = client.embeddings.create(model="docs", input=texts, encoding_format=encoding)
        found = [
            np.frombuffer(base64.b64decode(one.embedding), "<f4") if isinstance(one.embedding, str) else one.embedding
            for one in made.data
        ]
        assert np.allclose(found, expected)
    assert made.usage.prompt_tokens == sum(map(server.index.llm.count_tokens, texts))
    assert len(client.embeddings.create(model="plain", input="one text").data) == 1
    for wrong in ({"input": []}, {"input": [""]}, {"input": [[1, 2]]}, {"input": "x", "dimensions": 3}):
        with pytest.raises(openai.BadRequestError):
            client.embeddings.create(model="docs", **wrong)


def test_rerank(server):
    texts = ["Tin melts.", "A heron waits for fish.", "Herons."]
    body = {"model": "docs", "query": "heron fish", "documents": [texts[0], {"text": texts[1]}, texts[2]], "top_n": 2}
    made = httpx.post(f"{server.address}/v1/rerank", json=body).json()
    assert made["results"][0]["index"] == 1
    assert len(made["results"]) == 2
    assert made["results"][0]["document"] == {"text": texts[1]}
    scores = [one["relevance_score"] for one in made["results"]]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert httpx.post(f"{server.address}/v1/rerank", json={**body, "query": " "}).status_code == 400
    assert httpx.post(f"{server.address}/v1/rerank", json={**body, "colour": 1}).json()["error"]["param"] == "colour"


# -- frameworks ---------------------------------------------------------------------------------------------------


def test_langchain(server):
    langchain = pytest.importorskip("langchain_openai")
    alone = server.index.ask(QUESTIONS[0], **ALWAYS, max_new_tokens=12).text
    shared = {"base_url": f"{server.address}/v1", "api_key": "none", "max_retries": 0}
    chat = langchain.ChatOpenAI(model="docs", max_tokens=12, extra_body=ALWAYS, **shared)
    answer = chat.invoke(QUESTIONS[0])
    assert answer.content == alone or answer.text == alone
    assert answer.usage_metadata["output_tokens"] >= 1
    streamed = "".join(chunk.text for chunk in chat.stream(QUESTIONS[0]))
    assert streamed.strip() == alone
    plain = langchain.OpenAI(model="docs", max_tokens=12, temperature=0, extra_body=ALWAYS, **shared)
    assert plain.invoke(QUESTIONS[0]) == alone
    assert plain.generate(list(QUESTIONS[:2])).generations[0][0].text == alone
    vectors = langchain.OpenAIEmbeddings(model="docs", check_embedding_ctx_length=False, **shared)
    assert len(vectors.embed_query("heron")) == server.index.llm.embedder.size


def test_llama_index(server):
    like = pytest.importorskip("llama_index.llms.openai_like")
    embeddings = pytest.importorskip("llama_index.embeddings.openai_like")
    from llama_index.core.llms import ChatMessage

    alone = server.index.ask(QUESTIONS[0], **ALWAYS, max_new_tokens=12).text
    shared = {"api_base": f"{server.address}/v1", "api_key": "none", "max_retries": 0}
    for is_chat in (True, False):
        llm = like.OpenAILike(
            model="docs",
            is_chat_model=is_chat,
            max_tokens=12,
            temperature=0.0,
            additional_kwargs={"extra_body": ALWAYS},
            **shared,
        )
        assert llm.complete(QUESTIONS[0]).text == alone
        assert [piece.text for piece in llm.stream_complete(QUESTIONS[0])][-1].strip() == alone
        assert llm.chat([ChatMessage(role="user", content=QUESTIONS[0])]).message.content or is_chat
    model = embeddings.OpenAILikeEmbedding(model_name="docs", **shared)
    assert len(model.get_text_embedding("heron")) == server.index.llm.embedder.size
