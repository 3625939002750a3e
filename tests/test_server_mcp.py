"""MCP: asked by the official SDK's own client, over HTTP and over stdin and stdout."""

from __future__ import annotations

import asyncio
import base64
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("fastapi")
mcp = pytest.importorskip("mcp")

from mcp.client.client import Client  # noqa: E402

from sharedllm_docs import Index  # noqa: E402
from sharedllm_docs.errors import StoreError  # noqa: E402
from sharedllm_docs.serving.desk import Desk  # noqa: E402
from sharedllm_docs.serving.http.app import create_app  # noqa: E402
from sharedllm_docs.serving.http.own.uploads import CALLS  # noqa: E402
from sharedllm_docs.serving.http.settings import Settings  # noqa: E402
from sharedllm_docs.serving.http.tools import mcp_server  # noqa: E402
from tests.documents import make_pdf  # noqa: E402
from tests.serving_helpers import new_index, running  # noqa: E402
from tests.tiny_text import PAGES, tiny_document  # noqa: E402

QUESTION = "What does the heron wait for?"


def spoken(work, files=None, **settings):
    """Run ``work`` with a client of a server in this process."""
    index = new_index("mcp")

    async def go():
        desk = Desk({"docs": index})
        try:
            made = Settings.load(indexes={"docs": index.url}, **settings)
            async with Client(mcp_server(desk, made, files)) as client:
                return await work(client, index)
        finally:
            await desk.close()

    return asyncio.run(go())


def told(result):
    return " ".join(part.text for part in result.content)


def test_ask():
    async def work(client, index):
        names = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(names) == {"ask", "search", "list_documents", "add_document"}
        assert "pages and quotes" in names["ask"].description
        result = await client.call_tool("ask", {"question": QUESTION, "style": "sentence"})
        alone = index.ask(QUESTION, style="sentence")
        said = result.structured_content
        assert (said["answer"], said["found"], said["confidence"]) == (alone.text, alone.found, alone.confidence)
        shown = said["sources"] or said["nearest"]
        expected = alone.citations or alone.nearest
        assert [(one["document"], one["page"], one["quote"]) for one in shown] == [
            (one.document, one.page, one.quote) for one in expected
        ]
        page = await client.read_resource(shown[0]["resource"])
        assert page.contents[0].text == PAGES[0]

    spoken(work)


def test_search_list_and_pages():
    async def work(client, index):
        found = (await client.call_tool("search", {"question": "rice water", "k": 2})).structured_content["passages"]
        assert [one["quote"] for one in found] == [one.text for one in index.search("rice water", k=2)]
        assert found[0]["document"] == "crops/tea & rice.txt"
        listed = (await client.call_tool("list_documents", {})).structured_content["documents"]
        assert sorted(one["name"] for one in listed) == ["crops/tea & rice.txt", "pages.txt"]
        shown = (await client.list_resources()).resources
        assert sorted(one.name for one in shown) == ["crops/tea & rice.txt", "pages.txt"]
        (template,) = (await client.list_resource_templates()).resource_templates
        assert template.uri_template == "pages://{index}/{key}/{page}"
        pages = next(one for one in listed if one["name"] == "pages.txt")
        second = await client.read_resource(f"pages://docs/{pages['key']}/2")
        assert second.contents[0].text == PAGES[1]
        for wrong in (f"pages://docs/{pages['key']}/5", "pages://docs/nope/1", f"pages://nope/{pages['key']}/1"):
            with pytest.raises(Exception, match=r"has no page 5|no document|There is no index"):
                await client.read_resource(wrong)

    spoken(work)


def test_documents_are_added_by_their_text_or_bytes():
    async def work(client, index):
        added = await client.call_tool(
            "add_document", {"name": "../notes.md", "text": "# Notes\n\nOwls hunt at night."}
        )
        document = added.structured_content["document"]
        assert (document["name"], added.structured_content["new"]) == ("notes.md", True)
        pdf = base64.b64encode(make_pdf([["Moles dig under the lawn."]])).decode()
        added = await client.call_tool("add_document", {"name": "moles.pdf", "base64_bytes": pdf})
        assert added.structured_content["document"]["name"] == "moles.pdf"
        found = (await client.call_tool("search", {"question": "moles lawn", "k": 1})).structured_content["passages"]
        assert found[0]["document"] == "moles.pdf"
        index.wait(60)
        assert not index.document("moles.pdf").unread_chunks

    spoken(work)


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("ask", {"question": " "}, "is empty"),
        ("ask", {"question": QUESTION, "index": "nope"}, "There is no index 'nope'"),
        ("ask", {"question": QUESTION, "documents": ["nope.pdf"]}, "nope.pdf"),
        ("ask", {"question": QUESTION, "style": "loud"}, "short"),
        ("search", {"question": QUESTION, "k": 0}, "greater than or equal to 1"),
        ("add_document", {"name": "x.md"}, "Give one of text"),
        ("add_document", {"name": "x.md", "text": "a", "path": "b"}, "Give one of text"),
        ("add_document", {"name": "x.exe", "text": "a"}, "files ending in .exe are not taken"),
        ("add_document", {"name": "x.pdf", "base64_bytes": "§"}, "is not base64"),
        ("add_document", {"name": "x.pdf", "base64_bytes": "YWJj"}, "x.pdf"),
        ("add_document", {"name": "x.md", "path": "x.md"}, "reads no files by their path"),
        ("add_document", {"name": "x.md", "text": "a" * 2000}, "this server takes 1,000"),
    ],
)
def test_wrong_calls_are_answered_in_words(tool, arguments, says):
    async def work(client, index):
        result = await client.call_tool(tool, arguments)
        assert result.is_error
        assert says in told(result)
        assert index.url not in told(result)

    spoken(work, max_upload_bytes=1_000)


def test_what_nobody_foresaw_is_not_told(monkeypatch):
    async def work(client, index):
        monkeypatch.setattr(Index, "documents", lambda self: 1 / 0)
        result = await client.call_tool("list_documents", {})
        assert result.is_error
        assert "its log says why" in told(result)
        assert "division" not in told(result)

    spoken(work)


def test_paths_stay_inside_the_folder(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "bats.md").write_text("Bats sleep upside down.")
    (tmp_path / "secret.md").write_text("The secret.")
    (folder / "link.md").symlink_to(tmp_path / "secret.md")

    async def work(client, index):
        added = await client.call_tool("add_document", {"name": "bats.md", "path": "bats.md"})
        assert added.structured_content["new"]
        for path in ("../secret.md", str(tmp_path / "secret.md"), "link.md", "."):
            result = await client.call_tool("add_document", {"name": "secret.md", "path": path})
            assert result.is_error, path
            assert "leads out of the folder" in told(result) or "There is no file" in told(result)

    spoken(work, files=folder)


def test_a_server_that_takes_no_documents_has_no_such_tool():
    async def work(client, index):
        assert {tool.name for tool in (await client.list_tools()).tools} == {"ask", "search", "list_documents"}

    spoken(work, docs=False)


def test_over_http():
    index = new_index("mcp-http")
    settings = Settings.load(indexes={"docs": index.url})
    with running(create_app(settings, Desk({"docs": index}))) as address:

        async def work():
            async with Client(f"{address}/mcp") as client:
                listed = await client.call_tool("list_documents", {})
                answer = await client.call_tool("ask", {"question": QUESTION})
                return listed.structured_content["documents"], answer.structured_content

        listed, answer = asyncio.run(work())
    assert len(listed) == 2
    assert answer["answer"] == index.ask(QUESTION).text


@pytest.mark.slow
def test_over_stdin_and_stdout(tmp_path, saved):
    """The command as a program starts it: nothing but the protocol on its stdout."""
    from mcp.client.stdio import StdioServerParameters, stdio_client

    url = str(tmp_path / "index")
    index = Index.open_or_create(
        url, name_or_path=saved / "model", embedder=str(saved / "embedder"), adapter="none", dtype="float32"
    )
    index.add(tiny_document(*PAGES, name="pages.txt"))
    command = [sys.executable, "-m", "sharedllm_docs"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    parameters = StdioServerParameters(
        command=command[0], args=[*command[1:], "mcp", "--index", f"docs={url}"], env=environment
    )

    async def work():
        async with Client(stdio_client(parameters)) as client:
            return (await client.call_tool("ask", {"question": QUESTION})).structured_content

    assert asyncio.run(work())["answer"] == index.ask(QUESTION).text


def test_what_takes_long_keeps_no_short_call_waiting(monkeypatch):
    """Whatever is added, searched or embedded: lists need a thread of the event loop's own, here the only one."""
    free = threading.Event()

    async def work(client, index):
        monkeypatch.setattr(Index, "add", lambda *_, **__: free.wait(60))
        monkeypatch.setattr(Index, "search", lambda *_, **__: free.wait(60) and ())
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        long = [asyncio.ensure_future(client.call_tool("search", {"question": "tea"})) for _ in range(3)]
        adds = [client.call_tool("add_document", {"name": f"{i}.txt", "text": "Tea."}) for i in range(CALLS + 1)]
        long += map(asyncio.ensure_future, adds)
        done, _ = await asyncio.wait(long, return_when=asyncio.FIRST_COMPLETED)  # the one too many
        assert "wait to be read" in told(done.pop().result())
        assert (await client.call_tool("list_documents", {})).structured_content["documents"]
        free.set()
        await asyncio.wait(long)

    spoken(work)


def test_pages_tell_no_folder(monkeypatch):
    async def work(client, index):
        def fail(*_):
            raise StoreError(f"{index.url}/text.json is damaged.")

        monkeypatch.setattr(Index, "contents", fail)
        with pytest.raises(Exception, match=r"docs/text\.json is damaged") as error:
            await client.read_resource("pages://docs/x/1")
        assert index.url not in str(error.value)

    spoken(work)
