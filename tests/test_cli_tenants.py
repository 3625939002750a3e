"""Tenants from the command line and in the server's settings: over the real engine, and every wrong use."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from sharedllm_docs import Index, SharedLLM, tenant_names
from sharedllm_docs.cli import serve_command
from sharedllm_docs.cli.tenancy import TENANT_VARIABLE, salt_of
from sharedllm_docs.config import SALT_VARIABLE
from sharedllm_docs.errors import ConfigError, TenantError
from sharedllm_docs.store import IndexStore
from sharedllm_docs.store.tenants import MAX_SALT_FILE, salt_in_file
from tests.cli_fakes import World, document, installed
from tests.cli_run import good, in_terminal, json_of, run, without_escapes
from tests.store_helpers import fingerprint_of, tiny_profile
from tests.tiny_text import PAGES, tiny_document

SALT, OTHER = "the salt of one, 16 bytes", "the salt of two, 16 bytes"
QUESTION = "What does the heron wait for?"


@pytest.fixture(autouse=True)
def no_salt_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own_process: None) -> None:
    for name in (SALT_VARIABLE, TENANT_VARIABLE, "SHAREDLLM_DOCS_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SHAREDLLM_DOCS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A file with the salt of the tenant one."""
    path = tmp_path / "one.salt"
    path.write_text(f"{SALT}\n", encoding="ascii")
    return str(path)


@pytest.fixture
def place(tmp_path: Path) -> str:
    """A place with two tenants, without documents."""
    for name, salt in (("one", SALT), ("two", OTHER)):
        IndexStore.create(tmp_path / "place", fingerprint_of(tiny_profile()), tenant=name, salt=salt)
    return str(tmp_path / "place")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = installed(monkeypatch)
    made.put("place", document("R-intro.pdf"))
    return made


# -- the whole way -------------------------------------------------------------------------------------------------


def test_a_tenant_from_its_making_to_its_proven_end(saved: Path, tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("\n\n".join(PAGES), encoding="utf-8")
    model = ("--model", str(saved / "model"), "--embedder", str(saved / "embedder"), "--device", "cpu")
    made = json_of(
        "tenants", "create", "acme", "--index", "shared", "--new-salt", "acme.salt", "--max-disk", "2GB",
        "--max-documents", "1", *model,
    )  # fmt: skip
    assert made == {
        "tenant": "acme",
        "index": "shared/tenants/acme",
        "salt_file": "acme.salt",
        "max_bytes": 2_000_000_000,
        "max_documents": 1,
    }
    salt = (tmp_path / "acme.salt").read_text().strip()
    assert len(salt) == 64
    if sys.platform != "win32":
        assert stat.S_IMODE((tmp_path / "acme.salt").stat().st_mode) == 0o600
    whose = ("--index", "shared", "--tenant", "acme", "--salt-file", "acme.salt")
    assert "Added note.txt" in good("add", str(note), *whose, "--layers", "1-4").stdout  # its profile is looked up
    other = tmp_path / "other.txt"
    other.write_text("Copper melts at a higher temperature than tin does.", encoding="utf-8")
    refused = run("add", str(other), *whose)
    assert refused.exit_code == 5
    assert "holds 1 documents of at most 1" in refused.stderr
    assert "sharedllm-docs tenants limit" in refused.stderr
    answer = json_of("ask", QUESTION, *whose, "--floor", "0", "--min-confidence", "0", "--max-tokens", "4")
    assert answer["citations"][0]["document"] == "note.txt"
    for command in (("list",), ("verify",), ("prune",), ("show", "note.txt"), ("read",)):
        good(*command, *whose)
        assert run(*command, "--index", "shared", "--tenant", "acme", env={SALT_VARIABLE: OTHER}).exit_code == 5
    shown = json_of("tenants", "show", "acme", "--index", "shared", env={SALT_VARIABLE: salt})
    assert (shown["documents"], shown["max_documents"], shown["tenant"]) == (1, 1, "acme")
    assert shown["bytes"] > 0
    assert run("remove", "note.txt", *whose).exit_code == 0
    deleted = json_of("tenants", "delete", "acme", "--yes", "--index", "shared", "--salt-file", "acme.salt")
    assert deleted["left"] == 0
    assert deleted["files"] > 2
    assert not [path for path in (tmp_path / "shared").rglob("*") if path.is_file()]
    assert json_of("tenants", "list", "--index", "shared")["tenants"] == []


def test_quotas_are_changed_one_by_one_and_lifted(place: str, file: str) -> None:
    whose = ("one", "--index", place, "--salt-file", file)

    def bounds(*given: str) -> tuple[Any, Any]:
        told = json_of("tenants", "limit", *whose, *given)
        store = IndexStore.open(place, tenant="one", salt=SALT)
        assert (told["max_bytes"], told["max_documents"]) == (store.max_bytes, store.max_documents)
        return store.max_bytes, store.max_documents

    assert bounds("--max-disk", "1.5GiB") == (3 << 29, None)
    assert bounds("--max-documents", "20") == (3 << 29, 20)
    assert bounds("--max-disk", "none") == (None, 20)
    assert bounds("--max-disk", "10", "--max-documents", "none") == (10, None)
    assert IndexStore.open(place, tenant="two", salt=OTHER).max_bytes is None
    told = good("tenants", "limit", *whose, "--max-documents", "1")
    assert told.stdout.startswith("one: 0 documents, 0 tokens, ")
    assert "at most 10 bytes, at most 1 document." in told.stdout
    assert "There are more bytes than the quota allows" in told.stderr


def test_the_place_lists_its_tenants_and_nothing_where_there_are_none(place: str, tmp_path: Path) -> None:
    assert good("tenants", "list", "--index", place).stdout == "one\ntwo\n"
    assert "No tenant has an index at elsewhere." in good("tenants", "list", "--index", "elsewhere").stdout
    assert not (tmp_path / "elsewhere").exists()
    assert "create" in good("tenants").stdout


# -- where the salt comes from -------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_file_has_the_salt_that_the_variable_has(
    place: str, tmp_path: Path, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "salt"
    path.write_bytes(f"{SALT}{end}".encode())
    good("tenants", "show", "one", "--index", place, "--salt-file", str(path))
    good("tenants", "show", "one", "--index", place, env={SALT_VARIABLE: SALT})
    monkeypatch.setenv(SALT_VARIABLE, OTHER)  # the file goes before the variable
    good("tenants", "show", "one", "--index", place, "--salt-file", str(path))


def test_a_salt_is_read_from_stdin_before_the_question(world: World) -> None:
    good("ask", "-", "--tenant", "one", "--salt-file", "-", "--index", "place", input=f"{SALT}\nWhat is it?")
    assert world.arguments("open")["salt"] == SALT.encode()
    assert world.arguments("ask")["question"] == "What is it?"


def test_a_salt_is_asked_for_without_echo() -> None:
    text = without_escapes(
        in_terminal(
            "list", "--tenant", "one", keys=[f"{SALT}\n"], prompt="Salt of the tenant one: ", env={SALT_VARIABLE: ""}
        )
    )
    assert "R-intro.pdf" in text
    assert SALT not in text


def test_the_tenant_reaches_the_engine_from_every_command(world: World, file: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text", encoding="utf-8")
    commands: list[tuple[str, ...]] = [
        ("add", "a.txt"),
        ("add", "a.txt", "--estimate"),
        ("ask", QUESTION),
        ("ask", QUESTION, "--file", "a.txt"),
        ("chat",),
        ("list",),
        ("show", "R-intro.pdf"),
        ("read",),
        ("verify",),
        ("remove", "R-intro.pdf"),
        ("prune",),
    ]
    for command in commands:
        for given, env in (
            (("--tenant", "one", "--salt-file", file), {}),
            ((), {TENANT_VARIABLE: "one", SALT_VARIABLE: SALT}),
        ):
            world.calls.clear()
            world.put("place", document("R-intro.pdf"))
            good(*command, "--index", "place", *given, env=env, input="")
            opened = next(arguments for name, arguments in world.calls if name.startswith("open"))
            assert (opened["url"], opened["tenant"]) == ("place", "one"), command
            assert opened.get("salt") == (SALT.encode() if given else None), command


def test_without_a_tenant_nothing_changes(world: World) -> None:
    good("list", "--index", "place", env={SALT_VARIABLE: SALT})
    assert not {"tenant", "salt"} & set(world.arguments("open"))


def test_ray_workers_are_given_the_salt(world: World, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from sharedllm_docs import distributed

    seen: dict[str, Any] = {}

    def ingest(paths: Any, index: Any, **options: Any) -> distributed.IngestReport:
        seen.update(options, index=index)
        return distributed.IngestReport((), 1.0)

    monkeypatch.setattr(distributed, "ingest", ingest)
    good("add", "in", "--ray", "--index", "place", "--tenant", "one", "--salt-file", file)
    assert seen["salt"] == SALT.encode()
    good("add", "in", "--ray", "--index", "place")
    assert "salt" in seen  # of the call before
    seen.clear()
    good("add", "in", "--ray", "--index", "place")
    assert "salt" not in seen


def test_no_process_stays_for_a_tenant(world: World, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def stayed(*_arguments: Any, **_options: Any) -> Any:
        raise AssertionError("a process that stays was asked for")

    monkeypatch.setattr("sharedllm_docs.cli.backend.stayed", stayed)
    whose = ("--index", "place", "--tenant", "one", "--salt-file", file)
    good("ask", QUESTION, *whose, env={"SHAREDLLM_DOCS_STAY": "10m"})
    good("ask", QUESTION, *whose, "--stay", "0")
    refused = run("ask", QUESTION, *whose, "--stay", "10m")
    assert refused.exit_code == 2
    assert "--stay cannot apply with --tenant" in refused.stderr


# -- wrong uses ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("list", "--tenant", "Acme & Sons"), "--tenant 'Acme & Sons' is no name of a tenant"),
        (("list", "--tenant", "../two"), "--tenant ../two is no name of a tenant"),
        (("list", "--tenant", ""), "is no name of a tenant"),
        (("list", "--tenant", "one"), "A tenant needs a salt, and none is given. Give one (--salt-file, or SHARED"),
        (("list", "--tenant", "one", "--salt", SALT), "--salt would show the secret to everyone"),
        (("list", f"--salt={SALT}"), "Use --salt-file FILE (- asks for the salt), or set SHAREDLLM_DOCS_SALT."),
        (("ask", "Why?", "--salt", SALT), "--salt would show the secret"),
        (("tenants", "create", "new", "--salt", SALT), "--salt would show the secret"),
        (("tenants", "delete", "one", "--yes", "--salt", SALT), "--salt would show the secret"),
        (("list", "--tenant", "one", "--salt-file", "none.salt"), "cannot be read from none.salt: No such file"),
        (("list", "--tenant", "one", "--salt-file", "."), "cannot be read from .: Is a directory"),
        (("list", "--tenant", "one", "--salt-file", "short"), "The salt has 5 bytes, fewer than 16."),
        (("list", "--tenant", "one", "--salt-file", "empty"), "The salt has 0 bytes, fewer than 16."),
        (("list", "--tenant", "one", "--salt-file", "long"), "long has more than 4,096 bytes: it is no salt."),
        (("list", "--tenant", "one", "--salt-file", "-"), "The salt has 0 bytes"),
        (("tenants", "create", "new", "--new-salt", "short"), "No salt can be kept in short: File exists."),
        (("tenants", "create", "new", "--new-salt", "no/where"), "No salt can be kept in no/where: No such file"),
        (
            ("tenants", "create", "new", "--new-salt", "x", "--salt-file", "short"),
            "--new-salt draws the salt itself. Leave out --new-salt or --salt-file.",
        ),
        (("tenants", "create", "New"), "--tenant New is no name of a tenant"),
        (("tenants", "create", "new"), "A tenant needs a salt, and none is given."),
        (("tenants", "create", "new", "--max-disk", "0"), "--max-disk='0' is not a size"),
        (("tenants", "create", "new", "--max-documents", "0"), "--max-documents='0' is no number of documents"),
        (("tenants", "limit", "one"), "No quota is given. Give --max-disk SIZE, --max-documents N, or both."),
        (("tenants", "limit", "one", "--max-documents", "-3"), "'-3' is no number of documents. Give 1 or more, or"),
        (("tenants", "limit", "one", "--max-documents", "many"), "'many' is no number of documents"),
        (("tenants", "limit", "one", "--max-documents", "1e9"), "'1e9' is no number of documents"),
        (("tenants", "show", "one"), "A tenant needs a salt, and none is given."),
        (("tenants", "delete", "one", "--salt-file", "one.salt"), "Nobody can be asked whether to delete"),
        (("tenants", "delete", "one"), "A tenant needs a salt, and none is given."),
        (("tenants", "delete", "one", "--yes", "--salt-file", "none.salt"), "cannot be read from none.salt"),
    ],
)
def test_wrong_uses_are_told_and_nothing_is_changed(
    place: str, file: str, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    (tmp_path / "short").write_text("short\n")
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "long").write_text("x" * (MAX_SALT_FILE + 1))
    before = sorted(path for path in tmp_path.rglob("*"))
    result = run(*arguments, "--index", place, input="")
    assert result.exit_code == 2, result.stderr
    assert message in result.stderr
    assert SALT not in result.stderr + result.stdout
    assert "Traceback" not in result.stderr
    assert tenant_names(place) == ["one", "two"]
    assert sorted(path for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize("command", ["show", "limit", "delete"])
def test_another_salt_and_an_unknown_tenant_are_refused(place: str, file: str, command: str) -> None:
    more = {"limit": ("--max-documents", "3"), "delete": ("--yes",)}.get(command, ())
    wrong = json_of("tenants", command, "two", "--index", place, "--salt-file", file, *more, exit_code=5)
    assert wrong["error"]["type"] == TenantError.__name__
    assert "--salt-file" in wrong["error"]["remedy"]
    unknown = json_of("tenants", command, "three", "--index", place, "--salt-file", file, *more, exit_code=5)
    assert "There is no tenant 'three' at" in unknown["error"]["message"]
    assert IndexStore.open(place, tenant="two", salt=OTHER).max_documents is None


def test_a_tenant_that_is_there_is_not_made_again_and_its_salt_stays(place: str, tmp_path: Path) -> None:
    result = run("tenants", "create", "one", "--index", place, "--new-salt", "again.salt")
    assert result.exit_code == 5
    assert "There is a tenant 'one' at" in result.stderr
    assert not (tmp_path / "again.salt").exists()
    assert IndexStore.open(place, tenant="one", salt=SALT).tenant == "one"


def test_a_salt_that_was_drawn_for_nothing_is_not_left_behind(place: str, tmp_path: Path) -> None:
    result = run(
        "tenants", "create", "new", "--index", place, "--new-salt", "new.salt", "--model", str(tmp_path / "none")
    )
    assert result.exit_code != 0
    assert not (tmp_path / "new.salt").exists()
    assert tenant_names(place) == ["one", "two"]


def test_an_index_of_no_tenant_takes_no_salt(tmp_path: Path, file: str) -> None:
    IndexStore.create(tmp_path / "plain", fingerprint_of(tiny_profile()))
    result = run("list", "--index", "plain", "--salt-file", file)
    assert result.exit_code == 2
    assert "belongs to no tenant. Leave the salt out, or name the tenant (--tenant NAME)." in result.stderr


def test_a_tenants_own_place_needs_the_salt_alone(place: str, file: str) -> None:
    good("list", "--index", f"{place}/tenants/one", "--salt-file", file)
    assert run("list", "--index", f"{place}/tenants/one").exit_code == 2
    assert run("list", "--index", f"{place}/tenants/two", "--salt-file", file).exit_code == 5


def test_deletion_is_confirmed_by_the_tenants_name(place: str, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sharedllm_docs.cli.tenant_commands.sys", _Terminal())
    whose = ("one", "--index", place, "--salt-file", file)
    refused = run("tenants", "delete", *whose, input="two\n")
    assert refused.exit_code == 2
    assert "That is not one: nothing is deleted." in refused.stderr
    assert tenant_names(place) == ["one", "two"]
    told = good("tenants", "delete", *whose, input="one\n").stdout
    assert "Type the tenant's name to go on: " in told
    assert "was listed again afterwards: nothing is left." in told
    assert tenant_names(place) == ["two"]


class _Terminal:
    """In place of ``sys``: somebody types."""

    class stdin:  # noqa: N801
        @staticmethod
        def isatty() -> bool:
            return True


def test_binary_salts_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "salt").write_bytes(b"\x00\xff binary \n salt\n\n")
    assert salt_in_file(tmp_path / "salt") == b"\x00\xff binary \n salt"
    with pytest.raises(ConfigError, match="cannot be read from"):
        salt_in_file("a\0b")


def test_nobody_is_asked_where_the_environment_has_a_salt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sharedllm_docs.cli.tenancy.sys", _Terminal())
    asked: list[str] = []

    def getpass(prompt: str) -> str:
        asked.append(prompt)
        return SALT

    monkeypatch.setattr("sharedllm_docs.cli.tenancy.getpass.getpass", getpass)
    assert salt_of(None, None) is None
    assert salt_of("one", None, ask=False) is None
    assert salt_of("one", None) == SALT.encode()
    monkeypatch.setenv(SALT_VARIABLE, OTHER)
    assert salt_of("one", None) is None
    assert salt_of("one", "-") == SALT.encode()
    assert asked == ["Salt of the tenant one: "] * 2


# -- the server ----------------------------------------------------------------------------------------------------


def settings(*given: str, config: str = "", tmp_path: Path | None = None, **own: Any) -> Any:
    file = None
    if config and tmp_path is not None:
        file = tmp_path / "serve.toml"
        file.write_text(config, encoding="utf-8")
    return serve_command.settings_of(list(given), file, **own)


def test_the_server_opens_a_tenants_index_by_option_variable_or_file(
    tmp_path: Path, llm: SharedLLM, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fastapi")
    from sharedllm_docs.serving.http.app import open_desk

    for name, salt in (("one", SALT), ("two", OTHER)):
        Index.create(tmp_path / "place", llm, tenant=name, salt=salt).add(tiny_document(*PAGES, name=f"{name}.txt"))

    def served(made: Any, salt: bytes | None = None) -> tuple[str, list[str]]:
        desk = open_desk(made, salt)
        ((name, index),) = desk._indexes.items()
        reopened = index.reopened()  # as where another index has taken its place
        assert [one.name for one in reopened.documents()] == [one.name for one in index.documents()]
        return name, [one.name for one in index.documents()]

    assert served(settings("place", tenant="one", salt_file=file)) == ("place", ["one.txt"])
    assert served(settings("docs=place", tenant="two"), OTHER.encode()) == ("docs", ["two.txt"])
    config = f"tenant = 'one'\nsalt_file = {json.dumps(file)}\n"
    assert served(settings("place", config=config, tmp_path=tmp_path)) == ("place", ["one.txt"])
    monkeypatch.setenv("SHAREDLLM_DOCS_SERVE_TENANT", "two")
    monkeypatch.setenv(SALT_VARIABLE, OTHER)
    assert served(settings("place")) == ("place", ["two.txt"])
    assert served(settings("place", tenant="one", salt_file=file)) == ("place", ["one.txt"])
    for wrong in (settings("place", tenant="one"), settings("place", salt_file=file)):
        with pytest.raises(TenantError):
            open_desk(wrong)


@pytest.mark.parametrize(
    ("arguments", "config", "message"),
    [
        (("--tenant", "One"), "", "tenant: 'One' is no name of a tenant: 1 to 63"),
        (("--tenant", "one"), "", "A tenant needs a salt, and none is given."),
        (("--tenant", "one", "--salt", SALT), "", "--salt would show the secret"),
        (("--tenant", "one", "--salt-file", "none"), "", "cannot be read from none"),
        (("--tenant", "three", "--salt-file", "one.salt"), "", "There is no tenant 'three'"),
        (("--tenant", "two", "--salt-file", "one.salt"), "", "The salt is not the one"),
        ((), f"tenant = 'one'\nsalt = '{SALT}'\n", "they hold no salt; name a file with it (--salt-file), or set"),
        ((), "tenant = 7\n", "--tenant 7 is not a text"),
        (("--salt-file", "one.salt"), "", "There is no index at"),
    ],
)
def test_wrong_settings_of_the_server_are_told(
    place: str, file: str, tmp_path: Path, arguments: tuple[str, ...], config: str, message: str
) -> None:
    pytest.importorskip("fastapi")
    (tmp_path / "serve.toml").write_text(config, encoding="utf-8")
    result = run("serve", "--index", place, "--config", "serve.toml", *arguments, input="")
    assert result.exit_code in (2, 5)
    assert message in result.stderr
    assert SALT not in result.stderr
    assert "Traceback" not in result.stderr


def test_mcp_asks_for_no_salt_on_stdin(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fastapi")
    result = run("mcp", "--index", place, "--tenant", "one", "--salt-file", "-", input=SALT)
    assert result.exit_code == 2
    assert "MCP uses stdin itself" in result.stderr
    assert run("mcp", "--index", place, "--tenant", "one", input="").exit_code == 2


def test_the_server_tells_nothing_of_a_tenants_place(
    tmp_path: Path, llm: SharedLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fastapi")
    from fastapi.testclient import TestClient

    from sharedllm_docs.serving.http.app import create_app

    place = tmp_path / "shared place"
    Index.create(place, llm, tenant="one", salt=SALT).add(tiny_document(*PAGES))
    made = settings(f"docs={place}", tenant="one", allowed_hosts=("testserver",))
    with TestClient(create_app(made, salt=SALT.encode())) as client:
        assert "docs" in [one["id"] for one in client.get("/v1/models").json()["data"]]
        (place / "tenants" / "one").rename(tmp_path / "away")
        answer = client.get("/v1/models")
        told = client.post(
            "/v1/chat/completions", json={"model": "docs", "messages": [{"role": "user", "content": "?"}]}
        )
        for response in (answer, told):
            assert "shared place" not in response.text
            assert SALT not in response.text
