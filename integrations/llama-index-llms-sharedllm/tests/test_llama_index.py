"""SharedLLMIndex: documents from LlamaIndex and its readers, kept, changed, found again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import sharedllm_docs as core
from conftest import EASY, PAGES, page_documents
from llama_index.core import Document, SimpleDirectoryReader
from llama_index.core.schema import MediaResource, MetadataMode, QueryBundle

from llama_index.llms.sharedllm import SharedLLMIndex, join_pages
from llama_index.llms.sharedllm.nodes import cited_nodes

QUESTION = "Where does the heron stand?"


def keys(index):
    return {info.name: info.key for info in index.core.documents()}


# -- documents ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encode", ["background", "when-asked"])
def test_documents_can_be_asked_before_they_are_read(tmp_path, tiny, encode):
    whole = SharedLLMIndex.from_documents(page_documents(), persist_dir=tmp_path / "whole", llm=tiny)
    made = SharedLLMIndex.from_documents(page_documents(), persist_dir=tmp_path / "made", llm=tiny, encode=encode)
    made.insert(Document(id_="note", text="Tin is soft."), encode=encode)
    asyncio.run(made.ainsert(Document(id_="other", text="Tin is grey."), encode=encode))
    (tmp_path / "file.txt").write_text("Tin is old.")
    made.insert_file(tmp_path / "file.txt", encode=encode)
    ids = ["birds-1", "birds-2", "birds-3"]
    responses = [str(index.as_query_engine(ref_doc_ids=ids, **EASY).query(QUESTION)) for index in (whole, made)]
    assert responses[0] == responses[1]
    assert made.wait()
    left = made.unread_chunks
    assert set(left) == {*ids, "note", "other", "file.txt"}
    assert (left["note"] > 0) == (encode == "when-asked")
    assert made.read("note") == left["note"]
    assert made.read() == sum(left.values()) - left["note"]
    assert set(made.unread_chunks.values()) == {0}


def test_documents_keep_their_ids_and_metadata_and_survive_reloading(tmp_path, tiny):
    document = Document(
        id_="note", text="The heron stands in the river.", metadata={"year": 1900, "tags": ["bird"], "title": "Note"}
    )
    SharedLLMIndex.from_documents([document], persist_dir=tmp_path / "index", llm=tiny)
    loaded = SharedLLMIndex.load(tmp_path / "index", llm=tiny)
    assert loaded.ref_doc_info["note"].metadata == {"year": 1900, "tags": ["bird"], "title": "Note"}
    assert loaded.core.document("note").title == "Note"
    node = loaded.as_retriever(similarity_top_k=1).retrieve(QUESTION)[0].node
    assert (node.ref_doc_id, node.metadata["year"]) == ("note", 1900)
    assert node.source_node.hash == document.hash


def test_making_it_again_reads_nothing_again(tmp_path, tiny, monkeypatch):
    made = SharedLLMIndex.from_documents(page_documents(), persist_dir=tmp_path / "index", llm=tiny)
    before = keys(made)
    monkeypatch.setattr(core.Index, "add", lambda *a, **k: pytest.fail("read again"))
    again = SharedLLMIndex.from_documents(page_documents(), persist_dir=tmp_path / "index", llm=tiny)
    renamed = [Document(text=d.text, metadata=d.metadata) for d in page_documents()]  # new ids, as a reader draws them
    SharedLLMIndex.from_documents(renamed, persist_dir=tmp_path / "index", llm=tiny)
    assert keys(again) == before


def test_insert_update_delete(index):
    index.insert(Document(id_="new", text="Tin comes from the mines of Cornwall."))
    assert set(index.ref_doc_info) == {"birds-1", "birds-2", "birds-3", "new"}
    old = keys(index)["new"]
    index.update_ref_doc(Document(id_="new", text="Tin comes from Saxony."))
    assert keys(index)["new"] != old
    assert len(index.ref_doc_info) == 4
    found = index.as_retriever(ref_doc_ids=["new"]).retrieve("Where does tin come from?")
    assert "Saxony" in " ".join(node.text for node in found)
    with pytest.raises(core.ConfigError, match="delete_from_docstore=False"):
        index.delete_ref_doc("new", delete_from_docstore=False)
    index.delete_ref_doc("new", delete_from_docstore=True)
    assert "new" not in index.ref_doc_info
    assert index.prune() > 0
    with pytest.raises(core.DocumentNotFoundError, match="new"):
        index.delete_ref_doc("new")


def test_refresh_reads_only_what_changed(index, monkeypatch):
    first, second, third = page_documents()
    changed = Document(id_=second.id_, text="Copper is red.", metadata=second.metadata)
    relabelled = Document(id_=third.id_, text=third.text, metadata={**third.metadata, "note": "x"})
    fresh = Document(id_="new", text="Tin is soft.")
    before = keys(index)
    assert index.refresh_ref_docs([first, changed, relabelled, fresh]) == [False, True, True, True]
    after = keys(index)
    assert after["birds-1"] == before["birds-1"]
    assert set(after) == {"birds-1", "birds-2", "birds-3", "new"}
    assert index.ref_doc_info["birds-3"].metadata["note"] == "x"
    assert index.refresh_ref_docs([first, changed, relabelled, fresh]) == [False] * 4
    # the same content under another id is another document
    assert index.refresh_ref_docs([Document(id_="copy", text="Tin is soft.")]) == [True]


def test_async_forms(index):
    async def run():
        await index.ainsert(Document(id_="a", text="Tin is soft."))
        await index.aupdate_ref_doc(Document(id_="a", text="Tin is a metal."))
        assert await index.arefresh_ref_docs([Document(id_="a", text="Tin is a metal.")]) == [False]
        await index.adelete_ref_doc("a")

    asyncio.run(run())
    assert "a" not in index.ref_doc_info


def test_ingestion_does_not_block_the_event_loop(index, going_on):
    text = " ".join(PAGES * 12)
    _result, rounds = going_on(index.ainsert(Document(id_="long", text=text)))
    assert "long" in index.ref_doc_info
    assert rounds >= index.core.document("long").chunks > 1


def test_blank_documents_are_left_out_with_a_warning(tmp_path, tiny, caplog):
    made = SharedLLMIndex.from_documents(
        [Document(id_="blank", text=" \n"), *page_documents()], persist_dir=tmp_path / "i", llm=tiny
    )
    assert "blank" not in made.ref_doc_info
    assert "'blank' is blank and is left out" in caplog.text
    with pytest.raises(core.SharedLLMError, match="contains no text"):
        made.insert(Document(id_="blank", text=" "))


def test_what_cannot_be_kept_is_refused(index):
    with pytest.raises(core.ConfigError, match=r"metadata of 'odd' cannot be kept: .*not JSON serializable"):
        index.insert(Document(id_="odd", text="x", metadata={"when": object()}))
    with pytest.raises(core.ConfigError, match="'picture' has no text"):
        index.insert(Document(id_="picture", image_resource=MediaResource(url="https://example.org/a.png")))
    with pytest.raises(core.SharedLLMError, match="no index at"):
        SharedLLMIndex.load("nowhere")


def test_an_index_of_another_model_is_refused(index):
    from tests.tiny_text import tiny_llm

    with pytest.raises(core.SharedLLMError, match="weights is"):
        SharedLLMIndex.load(index.core.url, llm=tiny_llm(seed=1))


# -- readers and files --------------------------------------------------------------------------------------------


def test_documents_of_a_directory_reader(tmp_path, tiny):
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "heron.txt").write_text(PAGES[0])
    (folder / "copper.md").write_text(f"# Metals\n\n{PAGES[1]}")
    documents = SimpleDirectoryReader(str(folder), filename_as_id=True).load_data()
    made = SharedLLMIndex.from_documents(documents, persist_dir=tmp_path / "index", llm=tiny)
    best = made.as_retriever(similarity_top_k=1).retrieve(QUESTION)[0]
    assert best.metadata["file_name"] == "heron.txt"
    assert best.node.ref_doc_id.endswith("heron.txt")
    (folder / "heron.txt").write_text("The heron sleeps.")
    again = SimpleDirectoryReader(str(folder), filename_as_id=True).load_data()
    assert sorted(made.refresh_ref_docs(again)) == [False, True]


def test_pages_joined_into_one_document(tmp_path, tiny):
    other = Document(id_="other", text="Tin is soft.")
    joined = join_pages([*page_documents(), other])
    assert [document.id_ for document in joined] == ["birds.pdf", "other"]
    assert joined[0].metadata == {"file_path": "birds.pdf"}
    made = SharedLLMIndex.from_documents(joined, persist_dir=tmp_path / "index", llm=tiny)
    assert made.core.document("birds.pdf").pages == 3
    nodes = made.as_retriever(similarity_top_k=50).retrieve("A sonnet has fourteen lines")
    best = nodes[0].node
    assert (best.metadata["page"], best.metadata["page_label"], best.ref_doc_id) == (3, "3", "birds.pdf")
    # positions count in the text of the LlamaIndex document
    assert joined[0].text[best.start_char_idx : best.end_char_idx] == best.text


def test_a_file_read_by_the_projects_own_reader(index, tmp_path):
    path = tmp_path / "metals.md"
    path.write_text("# Tin\n\nTin comes from the mines of Cornwall.\n")
    assert index.insert_file(path) == "metals.md"
    node = index.as_retriever(ref_doc_ids=["metals.md"], similarity_top_k=1).retrieve("Where are the mines?")[0].node
    assert node.metadata["section"] == "Tin"
    assert index.insert_file(path, ref_doc_id="metals") == "metals"
    latin = tmp_path / "latin.txt"
    latin.write_bytes("Zinn heißt Blech.".encode("latin-1"))
    index.insert_file(latin, options=core.ReadOptions(encoding="latin-1"))
    found = index.as_retriever(ref_doc_ids=["latin.txt"], similarity_top_k=1).retrieve("Zinn?")[0].node
    assert "heiß" in found.text


# -- nodes --------------------------------------------------------------------------------------------------------


def test_nodes_have_page_span_score_and_source(index):
    nodes = index.as_retriever(similarity_top_k=3).retrieve(QUESTION)
    assert len(nodes) == 3
    assert [n.score for n in nodes] == sorted((n.score for n in nodes), reverse=True)
    assert all(0 <= n.score <= 1 for n in nodes)
    node = nodes[0].node
    assert (node.metadata["page"], node.metadata["page_label"], node.metadata["file_path"]) == (1, "1", "birds.pdf")
    assert PAGES[0][node.start_char_idx : node.end_char_idx] == node.text
    assert node.ref_doc_id == "birds-1"
    assert "page: " not in node.get_content(MetadataMode.LLM)  # added metadata is not for the model
    assert [n.node_id for n in index.as_retriever(similarity_top_k=3).retrieve(QUESTION)] == [n.node_id for n in nodes]


EXAMPLE = Path(__file__).parents[3] / "examples" / "R-intro.pdf"


def test_nodes_of_a_pdf_have_boxes_that_the_model_is_not_shown(index):
    index.insert_file(EXAMPLE, options=core.ReadOptions(pages="1-3"))
    found = index.as_retriever(ref_doc_ids=["R-intro.pdf"], similarity_top_k=2).retrieve(QUESTION)
    nodes = [one.node for one in found]
    answer = index.core.ask(QUESTION, documents=["R-intro.pdf"], min_confidence=0, relevance_floor=0, max_new_tokens=4)
    cited = cited_nodes(index.core, answer.citations or answer.nearest)
    for node in (*nodes, *(one.node for one in cited)):
        boxes = [core.Box(**box) for box in node.metadata["boxes"]]
        assert boxes
        inside = index.core.boxes("R-intro.pdf", node.start_char_idx, node.end_char_idx)
        assert {box.page for box in boxes} <= {box.page for box in inside} | {node.metadata["page"]}
        for mode in (MetadataMode.LLM, MetadataMode.EMBED):
            assert "boxes" not in node.get_content(mode)
    quoted = {citation.boxes for citation in answer.citations or answer.nearest}
    assert {tuple(core.Box(**box) for box in one.node.metadata["boxes"]) for one in cited} <= quoted


def test_retriever_async_and_refusals(index):
    retriever = index.as_retriever(similarity_top_k=2)
    assert [n.node_id for n in asyncio.run(retriever.aretrieve(QUESTION))] == [
        n.node_id for n in retriever.retrieve(QUESTION)
    ]
    with pytest.raises(core.ConfigError, match="k=0"):
        index.as_retriever(similarity_top_k=0).retrieve(QUESTION)
    with pytest.raises(core.ConfigError, match="has embedding, which cannot be honoured"):
        retriever.retrieve(QueryBundle(QUESTION, embedding=[0.0]))
    with pytest.raises(core.ConfigError, match="neither MetadataFilters nor a mapping"):
        index.as_retriever(filters=[])
    with pytest.raises(core.ConfigError, match=r"Give \['birds-1'\]"):
        index.as_retriever(ref_doc_ids="birds-1").retrieve(QUESTION)
    with pytest.raises(TypeError, match="node_ids"):
        index.as_retriever(node_ids=["a"])


def test_engines_refuse_another_model(index, tiny):
    from llama_index.core.llms import MockLLM

    with pytest.raises(core.ConfigError, match="llm cannot be honoured"):
        index.as_query_engine(llm=MockLLM(), **EASY)
    with pytest.raises(ValueError, match="response_mode"):
        index.as_query_engine(response_mode="compact")
