"""add, list, show, remove, verify and prune over a fake index."""

from __future__ import annotations

import pytest

from sharedllm_docs.config import Profile
from sharedllm_docs.documents.document import Issue
from sharedllm_docs.documents.readers import ReadOptions
from sharedllm_docs.errors import DocumentWarning, EmptyDocumentError, ScannedDocumentError
from sharedllm_docs.index.views import AddedDocument
from sharedllm_docs.store.catalog import Damage
from tests.cli_fakes import CHUNKS, document, installed
from tests.cli_run import good, json_of, run

INDEX = ".sharedllm-docs"


@pytest.fixture
def world(monkeypatch):
    return installed(monkeypatch)


@pytest.fixture
def filled(world):
    world.put(INDEX, document("R-intro.pdf"), document("Überblick mit Leerzeichen.md", issues=(Issue("a", "b"),)))
    return world


# -- add ----------------------------------------------------------------------------------------------------------


def test_add_tells_what_it_did_in_one_line(world):
    result = good("add", "papers/R-intro.pdf")
    assert result.stdout == (
        "Added R-intro.pdf: 113 pages, 72,413 tokens in 71 chunks, 1.2 GB; 70 chunks encoded, 1 reused in 1 min 35 s, "
        "761 tokens/s. The index has 1.2 GB.\n"
    )
    assert result.stderr == ""


def test_adding_again_says_that_it_is_there(world):
    good("add", "R-intro.pdf")
    again = good("add", "R-intro.pdf").stdout
    assert again == "Already there: R-intro.pdf: 113 pages, 72,413 tokens in 71 chunks, 1.2 GB.\n"


def test_add_makes_the_index_of_the_working_directory_and_the_options_reach_the_engine(world):
    good("add", "a b.pdf", "--name", "Ä b", "--force", "--wait", "2.5", "--pages", "1-20", "--engine", "pypdf", "--raw")
    assert set(world.indexes) == {INDEX}
    added = world.arguments("add")
    assert added.pop("options") == ReadOptions(pages="1-20", engine="pypdf", clean=False)
    assert added == {"source": "a b.pdf", "progress": None, "name": "Ä b", "force": True, "timeout": 2.5}


def test_nothing_is_passed_that_was_not_given(world):
    good("add", "a.pdf")
    assert world.arguments("add") == {"source": "a.pdf", "progress": None, "options": ReadOptions()}
    assert set(world.arguments("open_or_create")) == {"url", "report", "max_bytes"}


def test_metadata_reach_the_engine(world):
    good("add", "a.pdf", "--metadata", "year=2024", "--metadata", "kind = user manual")
    assert world.arguments("add")["metadata"] == {"year": "2024", "kind": "user manual"}


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (("year",), "--metadata='year' is not KEY=VALUE. Write it as --metadata year=2024."),
        (("a=1", "a=2"), "--metadata gives 'a' the values '1' and '2'. Give each key one value."),
    ],
)
def test_bad_metadata_are_refused_in_one_line(world, pairs, message):
    result = run("add", "a.pdf", *(word for pair in pairs for word in ("--metadata", pair)))
    assert (result.exit_code, result.stderr) == (2, f"Error: {message}\n")
    assert not world.indexes


@pytest.mark.parametrize(("updated", "end"), [(False, "1.2 GB.\n"), (True, "1.2 GB; metadata updated.\n")])
def test_a_document_that_is_there_says_whether_its_metadata_changed(world, updated, end):
    info = document("a.pdf", metadata={"year": "2024"})
    world.put(INDEX, info)
    world.indexes[INDEX].add = lambda *_a, **_k: AddedDocument(
        info, False, 0, 1, 0.0, 0.0, {}, metadata_updated=updated
    )
    printed = good("add", "a.pdf", "--metadata", "year=2024")
    assert (printed.stdout.startswith("Already there: a.pdf: "), printed.stdout.endswith(end)) == (True, True)
    assert printed.stderr == ""
    assert json_of("add", "a.pdf", "--metadata", "year=2024")["added"][0]["metadata_updated"] is updated


@pytest.mark.parametrize("option", ["--max-disk", "--budget-bytes"])
def test_the_disk_budget_goes_to_the_index_and_to_the_call(world, option):
    good("add", "a.pdf", option, "2GB")
    assert world.arguments("open_or_create")["max_bytes"] == 2_000_000_000
    assert world.arguments("add")["max_bytes"] == 2_000_000_000


def test_size_limits_and_encoding_reach_the_reader(world):
    limits = ("--max-bytes", "1MB", "--max-pages", "7", "--encoding", "latin-1", "--password", "geheim")
    good("add", "a.txt", *limits, "--keep-running-lines")
    expected = ReadOptions(
        max_bytes=1_000_000, max_pages=7, encoding="latin-1", password="geheim", keep_running_lines=True
    )
    assert world.arguments("add")["options"] == expected


def test_a_password_can_be_read_from_stdin(world):
    good("add", "a.pdf", "--password", "-", input="ge heim\nrest")
    assert world.arguments("add")["options"].password == "ge heim"


def test_model_options_reach_the_engine_under_its_own_names(world):
    options = ("--model", "m", "--adapter", "d", "--embedder", "e", "--dtype", "float32", "--device", "cpu")
    good("add", "a.pdf", *options)
    opened = world.arguments("open_or_create")
    names = ("name_or_path", "adapter", "embedder", "dtype", "device")
    assert {name: opened[name] for name in names} == dict(zip(names, options[1::2], strict=True))
    assert "profile" not in opened


@pytest.mark.parametrize(
    ("options", "profile"),
    [
        (("--profile", "sharedllm"), "sharedllm"),
        (("--store-dtype", "float16"), Profile.prefix(store_dtype="float16")),
        (("--layers", "6-25"), Profile.prefix(layers=(6, 25))),
        (("--profile", "sharedllm", "--layers", "1-15"), Profile.sharedllm(layers=(1, 15))),
    ],
)
def test_the_profile_is_a_name_or_changed_settings(world, options, profile, monkeypatch, tmp_path):
    monkeypatch.setattr("sharedllm_docs.model.adapter.SHIPPED", tmp_path)  # no adapter of its own
    monkeypatch.chdir(tmp_path)  # nor an index that `make ask` left here, whose profile would count
    good("add", "a.pdf", *options)
    assert world.arguments("open_or_create")["profile"] == profile


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--layers", "6:25"), "--layers='6:25' is not a range of layers."),
        (("--layers", "9-2"), "--layers 9-2 must be (first, last)"),
        (("--store-dtype", "int3"), "--store-dtype int3 is not one of"),
        (("--profile", "magic", "--layers", "1-2"), "Profile 'magic' is unknown"),
        (("--max-disk", "much"), "--max-disk='much' is not a size."),
        (("--max-bytes", "0"), "--max-bytes='0' is not a size."),
        (("--engine", "acrobat"), "engine is 'acrobat'"),
        (("--encoding", "klingon"), "encoding 'klingon' is not a text encoding"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_added(world, options, message):
    result = run("add", "a.pdf", *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not world.indexes


def test_a_bad_page_range_has_the_exit_code_of_documents(world):
    result = run("add", "a.pdf", "--pages", "7-3")
    assert result.exit_code == 3
    assert "The page range '7-3' is not ascending" in result.stderr


def test_one_name_fits_one_file(world):
    result = run("add", "a.pdf", "b.pdf", "--name", "both")
    assert result.exit_code == 2
    assert result.stderr == "Error: --name fits one file, 2 were given. Add them one by one.\n"


def _refuse_second(arguments):
    if arguments["source"] == "scan.pdf":
        raise ScannedDocumentError("scan.pdf has no text layer.", remedy="Run OCR first.")


def test_one_bad_file_does_not_stop_the_others(world):
    world.on["add"] = _refuse_second
    result = run("add", "a.pdf", "scan.pdf", "c.pdf")
    assert result.exit_code == 3
    assert [line.split(":")[0] for line in result.stdout.splitlines()] == ["Added a.pdf", "Added c.pdf"]
    assert result.stderr == "Error: scan.pdf has no text layer. Run OCR first.\n"


def test_add_json(world):
    world.on["add"] = _refuse_second
    printed = json_of("add", "a.pdf", "scan.pdf", "c.pdf", exit_code=3)
    assert [one["source"] for one in printed["added"]] == ["a.pdf", "c.pdf"]
    assert printed["failed"] == [
        {
            "source": "scan.pdf",
            "error": {
                "type": "ScannedDocumentError",
                "message": "scan.pdf has no text layer.",
                "remedy": "Run OCR first.",
                "exit_code": 3,
            },
        }
    ]
    first = printed["added"][0]
    assert (first["new"], first["chunks_encoded"], first["document"]["tokens"]) == (True, 70, 72_413)


def test_the_error_of_a_single_file_is_the_whole_json(world):
    world.fail("add", EmptyDocumentError("a.pdf is empty.", remedy="Give another."))
    assert json_of("add", "a.pdf", exit_code=3)["error"]["type"] == "EmptyDocumentError"


def test_warnings_about_documents_are_one_line_each_and_other_warnings_none(world):
    def warn(_arguments):
        import warnings

        warnings.warn(DocumentWarning("page-failed", "page 9 of\na.pdf \x1b[31mcould not be read"), stacklevel=1)
        warnings.warn("a library has something to say", stacklevel=1)

    world.on["add"] = warn
    assert good("add", "a.pdf").stderr == "Warning: page-failed: page 9 of a.pdf could not be read\n"
    assert good("add", "a.pdf", "--quiet").stderr == ""


# -- estimate -----------------------------------------------------------------------------------------------------


def test_an_estimate_leaves_no_index_behind(world, tmp_path):
    result = good("add", "a.pdf", "b.pdf", "--estimate", "--index", str(tmp_path / "index"))
    assert [line.split(" (")[0] for line in result.stdout.splitlines()] == [
        "a.pdf: 72,413 tokens in 71 chunks would take 1.0 MB",
        "b.pdf: 72,413 tokens in 71 chunks would take 1.0 MB",
    ]
    assert "rows 1.0 MB, " in result.stdout
    assert [name for name, _ in world.calls] == ["open", "open_or_create", "estimate", "estimate"]
    assert str(tmp_path) not in world.arguments("open_or_create")["url"]
    assert not list(tmp_path.iterdir())


def test_an_estimate_uses_the_index_that_is_there(filled):
    printed = json_of("add", "a.pdf", "--estimate")
    (one,) = printed["estimates"]
    assert (one["source"], one["tokens"], one["chunks"], one["total_bytes"]) == ("a.pdf", 72_413, 71, 1_020_000)
    assert sum(one["parts"].values()) == one["total_bytes"]
    assert [name for name, _ in filled.calls] == ["open", "estimate"]


def test_options_that_an_estimate_would_ignore_are_refused(world):
    result = run("add", "a.pdf", "--estimate", "--force", "--max-disk", "1GB")
    assert result.exit_code == 2
    assert "--estimate adds nothing: --force, --max-disk cannot apply." in result.stderr


# -- where the index is -------------------------------------------------------------------------------------------


def test_the_environment_names_the_index_and_the_option_overrides_it(world):
    world.put("from env", document("env.txt"))
    world.put("from option", document("option.txt"))
    env = {"SHAREDLLM_DOCS_INDEX": "from env"}
    assert "env.txt" in good("list", env=env).stdout
    assert "option.txt" in good("list", "--index", "from option", env=env).stdout


def test_no_index_is_one_line_and_exit_code_5(world):
    result = run("list")
    assert result.exit_code == 5
    assert result.stderr == "Error: There is no index at .sharedllm-docs. Add a document first.\n"


# -- list and remove ----------------------------------------------------------------------------------------------


def test_list_names_every_document_with_its_counts(filled):
    lines = good("list").stdout.splitlines()
    assert lines[0].split() == ["Document", "Key", "Pages", "Tokens", "Chunks", "Size", "Added", "Warnings"]
    assert lines[1].split() == ["R-intro.pdf", "522d696e74", "113", "72,413", "71", "1.2", "GB", "2025-03-01"]
    assert lines[2].startswith("Überblick mit Leerzeichen.md")
    assert lines[2].endswith(" 1")
    assert lines[3] == "2 documents in .sharedllm-docs, 2.5 GB"


def test_list_of_nothing_says_how_to_add(world):
    world.put(INDEX)
    expected = "The index .sharedllm-docs contains no documents. Add one with `sharedllm-docs add FILE`.\n"
    assert good("list").stdout == expected


def test_list_json(filled):
    printed = json_of("list")
    assert (printed["index"], printed["bytes"]) == (INDEX, 2_469_135_780)
    second = printed["documents"][1]
    assert second["name"] == "Überblick mit Leerzeichen.md"
    assert second["issues"] == [{"code": "a", "message": "b", "page": None}]


def test_list_shows_the_documents_that_a_filter_leaves(filled):
    filled.put(INDEX, document("new.pdf", metadata={"year": "2024"}), document("old.pdf", metadata={"year": "1999"}))
    lines = good("list", "--where", "year=2023", "--where", "year=2024").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == ["new.pdf"]
    assert lines[-1] == "1 of 2 documents in .sharedllm-docs, 2.5 GB"
    assert [info["metadata"] for info in json_of("list", "--where", "year=1999")["documents"]] == [{"year": "1999"}]
    assert (
        good("list", "--where", "author=x").stdout
        == "No document in .sharedllm-docs has this metadata (keys there: year).\n"
    )


def test_a_narrow_screen_gets_lines_instead_of_a_table(filled):
    lines = good("list", env={"COLUMNS": "60"}).stdout.splitlines()
    assert lines[:2] == ["R-intro.pdf", "  522d696e74: 113 pages, 72,413 tokens, 1.2 GB"]
    assert max(map(len, lines)) <= 60


def test_a_long_name_is_folded_and_nothing_of_it_lost(filled):
    name = "a-very-long-name-" * 5 + ".pdf"
    filled.put(INDEX, document(name))
    lines = good("list", env={"COLUMNS": "80"}).stdout.splitlines()
    assert max(map(len, lines)) <= 80
    width = lines[0].index("Key")
    assert "".join(line[:width].strip() for line in lines[1:-1]) == name


def test_remove(filled):
    result = good("remove", "R-intro.pdf", "c39c62657262")
    assert result.stdout.splitlines() == [
        "Removed R-intro.pdf (113 pages, 1.2 GB).",
        "Removed Überblick mit Leerzeichen.md (113 pages, 1.2 GB).",
    ]
    assert "prune" in result.stderr
    assert not filled.indexes[INDEX].infos


def test_remove_knows_all_documents_before_the_first_goes(filled):
    result = run("remove", "R-intro.pdf", "unknown.pdf")
    assert result.exit_code == 3
    assert result.stderr == "Error: The index has no document 'unknown.pdf'. `list` shows what it has.\n"
    assert len(filled.indexes[INDEX].infos) == 2


def test_remove_json(filled):
    assert [info["name"] for info in json_of("remove", "R-intro.pdf")["removed"]] == ["R-intro.pdf"]


# -- show ---------------------------------------------------------------------------------------------------------


def test_show_draws_one_line_a_chunk(filled):
    lines = good("show", "R-intro.pdf").stdout.splitlines()
    assert lines[0] == "R-intro.pdf - An Introduction to R"
    assert "113 pages, 72,413 tokens, 71 chunks, 1.2 GB" in lines
    assert "warning: page-failed (page 9): No text." in lines
    chunks = [line for line in lines if "chunk " in line and "tokens" in line]
    assert len(chunks) == CHUNKS
    assert chunks[7] == "├── chunk  7  pages 8-9    1,024 tokens  7 Section"
    assert chunks[-1] == "└── chunk 79  pages 80-81  1,024 tokens  79 Section"
    assert len(lines) < CHUNKS + 10


def test_show_tells_the_metadata_on_one_line(filled, monkeypatch):
    monkeypatch.setattr(
        "tests.cli_fakes.document", lambda name, **more: document(name, metadata={"a": "1", "b": "2\n3"})
    )
    assert "metadata: a=1, b=2 3" in good("show", "R-intro.pdf").stdout.splitlines()


def test_show_opens_the_chunks_that_a_question_selects(filled):
    lines = good("show", "R-intro.pdf", "--question", "What is a factor?").stdout.splitlines()
    start = next(number for number, line in enumerate(lines) if "chunk  3" in line)
    # below the half of which nothing was taken nothing is drawn
    assert lines[start : start + 6] == [
        "├── chunk  3  pages 4-5    1,024 tokens   0.25  3 Section",
        "│   ├── left    tokens 3,072-3,584  pages 7-8  0.50  words of node 1.0",
        "│   └── split   tokens 3,584-4,096  pages 7-8  0.50  words of node 1.1",
        "│       ├── taken   tokens 3,584-3,840  pages 7-8  256 rows at grain 1  0.50  words of node 2.2",
        "│       └── coarse  tokens 3,840-4,096  pages 7-8  256 rows at grain 1  0.50  words of node 2.3",
        "├── chunk  4  pages 5-6    1,024 tokens   0.25  4 Section",
    ]
    assert lines[-1] == "2 of 80 chunks selected, 4 nodes injected (1,024 rows): pages 4-5, pages 41-42."
    assert len(lines) < CHUNKS + 20


def test_show_opens_chunks_by_number_or_all(filled):
    one = good("show", "R-intro.pdf", "--chunk", "3").stdout
    assert one.count("words of node") == 6
    assert good("show", "R-intro.pdf", "--all").stdout.count("words of node") == 6 * CHUNKS


def test_show_of_an_unknown_chunk_names_the_bounds(filled):
    result = run("show", "R-intro.pdf", "--chunk", "80")
    assert result.exit_code == 2
    assert "--chunk 80 is not in R-intro.pdf, which has 80 chunks. The first is 0, the last 79." in result.stderr


def test_show_keeps_a_line_a_chunk_on_a_narrow_screen(filled):
    lines = good("show", "R-intro.pdf", "--question", "What?", env={"COLUMNS": "30"}).stdout.splitlines()
    assert max(map(len, lines)) <= 30
    assert sum("chunk " in line and "──" in line for line in lines) == CHUNKS


def test_show_refuses_question_options_without_a_question(filled):
    result = run("show", "R-intro.pdf", "--budget", "9")
    assert result.exit_code == 2
    assert "--budget tells how a question is answered, and there is no --question." in result.stderr


@pytest.mark.parametrize("option", ["--min-confidence", "--floor", "--citations"])
def test_show_takes_no_option_that_would_change_nothing(filled, option):
    result = run("show", "R-intro.pdf", "--question", "What?", option, "1")
    assert result.exit_code == 2
    assert option in result.stderr


def test_show_hands_over_the_question_settings(filled):
    good("show", "R-intro.pdf", "--question", "What?", "--selector", "hidden-state", "--candidates", "3")
    asked = {"reference": "R-intro.pdf", "question": "What?", "selector": "hidden-state", "candidates": 3}
    assert filled.arguments("tree") == asked


def test_show_json(filled):
    printed = json_of("show", "R-intro.pdf", "--question", "What?")
    assert printed["question"] == "What?"
    assert [chunk["index"] for chunk in printed["chunks"] if chunk["selected"]] == [3, 40]
    taken = [node for node in printed["chunks"][3]["nodes"] if node["state"] == "taken"]
    assert [(node["level"], node["index"], node["rows"]) for node in taken] == [(2, 2, 256)]


# -- documents that are not wholly read ---------------------------------------------------------------------------


@pytest.fixture
def half_read(world):
    """An index with one document of 71 chunks, 60 of which are not read yet, and one that is wholly read."""
    world.put(INDEX, document("new.pdf", unread_chunks=60), document("old.pdf"))
    return world


def test_add_can_leave_chunks_to_be_read_later(world):
    world.on["add"] = lambda _: None
    good("add", "new.pdf", "--lazy")
    assert world.arguments("add")["encode"] == "when-asked"
    good("add", "new.pdf")
    assert "encode" not in world.arguments("add")


def test_lists_say_how_far_a_document_is(half_read):
    lines = good("list").stdout.splitlines()
    assert "11 of 71" in lines[1]
    assert " of 71" not in lines[2]
    assert [info["unread_chunks"] for info in json_of("list")["documents"]] == [60, 0]


def test_read_reads_the_rest_of_all_documents_or_of_those_named(half_read):
    assert good("read").stdout.splitlines() == [
        "new.pdf: 71 of 71 chunks read, 1.2 GB.",
        "old.pdf: 71 of 71 chunks read, 1.2 GB.",
    ]
    assert [arguments["reference"] for name, arguments in half_read.calls if name == "read"] == [
        document("new.pdf").key
    ]
    assert json_of("read", "old.pdf")["documents"][0]["chunks_encoded"] == 0
    assert run("read", "unknown.pdf").exit_code == 3


def test_ctrl_c_while_reading_on_says_how_to_resume(half_read):
    half_read.fail("read", KeyboardInterrupt())
    result = run("read")
    assert result.exit_code == 130
    assert "Run the same command again to resume." in result.stderr


# -- verify and prune ---------------------------------------------------------------------------------------------


def test_verify_of_a_sound_index(filled):
    assert good("verify").stdout == "42 files (2.0 MB) checked: all sound.\n"
    assert filled.arguments("verify") == {"reference": None}


def test_verify_names_every_damaged_file_and_the_remedy(filled):
    filled.damage = [Damage("shards/ab.safetensors", "its checksum does not match"), Damage("shards/cd", "missing")]
    result = run("verify", "R-intro.pdf")
    assert result.exit_code == 5
    assert result.stdout.splitlines() == [
        "damaged: shards/ab.safetensors: its checksum does not match",
        "damaged: shards/cd: missing",
    ]
    assert result.stderr == ("Error: 42 files (2.0 MB) checked: 2 damaged. Run `sharedllm-docs verify --repair`.\n")


def test_verify_repairs(filled):
    filled.damage = [Damage("shards/ab.safetensors", "missing")]
    result = good("verify", "--repair")
    assert result.stdout.splitlines() == [
        "damaged: shards/ab.safetensors: missing",
        "1 chunk encoded again.",
        "42 files (2.0 MB) checked: all sound.",
    ]


def test_verify_tells_what_repair_cannot_mend(filled):
    filled.damage = [Damage("documents/x/manifest.json", "missing")]
    result = run("verify", "--repair")
    assert result.exit_code == 5
    assert "remove the document and add its file" in result.stderr


def test_repair_does_nothing_to_a_sound_index(filled):
    good("verify", "--repair")
    assert "repair" not in [name for name, _ in filled.calls]


def test_verify_json(filled):
    filled.damage = [Damage("shards/ab.safetensors", "missing")]
    printed = json_of("verify", exit_code=5)
    assert (printed["ok"], printed["damaged"]) == (False, ["shards/ab.safetensors: missing"])
    printed = json_of("verify", "--repair")
    assert (printed["ok"], printed["repaired"], printed["damaged"]) == (True, 1, [])


def test_prune(filled):
    assert good("prune").stdout == "Freed 12.3 MB; the index has 2.5 GB.\n"
    assert json_of("prune")["freed_bytes"] == 12_345_678


# -- with the engine itself, and a tiny model ------------------------------------------------------------------------


@pytest.fixture
def two_files(tmp_path):
    """The path of a real index of ``a.txt`` and ``b.txt``, and the keys of both."""
    from sharedllm_docs import Index
    from tests.evaluation_helpers import prose
    from tests.tiny_text import tiny_llm

    index = Index.create(tmp_path / "index", tiny_llm())
    for name, sentences in (("a.txt", 20), ("b.txt", 30)):
        (tmp_path / name).write_text(prose(sentences), encoding="utf-8")
    added = [index.add(tmp_path / name, metadata={"year": "1", "kind": "x"}) for name in ("a.txt", "b.txt")]
    return tmp_path / "index", *(done.document.key for done in added)


def test_adding_a_file_again_gives_it_the_metadata_named_now(two_files):
    url, _first, _second = two_files
    again = ("add", str(url.parent / "a.txt"), "--index", str(url), "--metadata", "year=2")
    assert good(*again).stdout.endswith("; metadata updated.\n")
    assert not good(*again).stdout.endswith("; metadata updated.\n"), "the second time nothing changes"
    listed = json_of("list", "--index", str(url))["documents"]
    assert [(info["name"], info["metadata"]) for info in listed] == [
        ("a.txt", {"year": "2", "kind": "x"}),
        ("b.txt", {"year": "1", "kind": "x"}),
    ]


@pytest.mark.parametrize("legible", [False, True])
def test_a_document_whose_manifest_is_damaged_is_removed(two_files, legible):
    url, key, other = two_files
    manifest = url / "documents" / key / "manifest.json"
    data = manifest.read_bytes()
    manifest.write_bytes(data.replace(b'"reader":"', b'"reader":"?') if legible else data[:100])
    assert run("list", "--index", str(url)).exit_code == 5
    removed = good("remove", "a.txt" if legible else key[:8], "--index", str(url))
    assert removed.stdout == f"Removed {'a.txt' if legible else key[:12]}, whose manifest was damaged.\n"
    assert [info["key"] for info in json_of("list", "--index", str(url))["documents"]] == [other]
