"""The parts of the process that stays: messages, folder, doors, settings, sessions, over an index without a model."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from sharedllm_docs import errors
from sharedllm_docs.cli.options import OutputOptions, StayOptions
from sharedllm_docs.cli.screen import Screen
from sharedllm_docs.cli.staying import Stay, most_memory, stay_of
from sharedllm_docs.cli.tenancy import Place
from sharedllm_docs.cli.units import parse_duration
from sharedllm_docs.documents.box import Box
from sharedllm_docs.documents.document import Issue
from sharedllm_docs.documents.readers.options import ReadOptions
from sharedllm_docs.errors import ConfigError, DocumentWarning, SharedLLMError, UnstoredRowsWarning
from sharedllm_docs.index.views import AddedDocument
from sharedllm_docs.serving.stay import client as client_module
from sharedllm_docs.serving.stay import door, overview, place, settings, wire
from sharedllm_docs.serving.stay.client import StayedIndex, StayedProcessError, find
from sharedllm_docs.serving.stay.door import Door, knock
from sharedllm_docs.serving.stay.place import NoPlaceError, check_private, runtime_folder
from sharedllm_docs.serving.stay.process import Process
from sharedllm_docs.serving.stay.settings import Settings
from sharedllm_docs.streams import Stream
from tests.cli_fakes import Progress, answer, document
from tests.waiting import PATIENCE

KEY = "0123456789abcdef"
ALL_ERRORS = [
    kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.SharedLLMError)
]


@pytest.fixture(autouse=True)
def runtime(monkeypatch):
    """A private folder of the test's own for sockets, whose paths must be short."""
    with tempfile.TemporaryDirectory(prefix="stay-") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        monkeypatch.setenv("SHAREDLLM_DOCS_CACHE", folder)  # where processes of the user may be
        yield runtime_folder()


@pytest.fixture(params=["unix", "loopback"])
def kind(request, monkeypatch):
    """Both kinds of doors; the second one is what Windows has."""
    if request.param == "unix" and not door.UNIX:
        pytest.skip("has no Unix sockets")
    monkeypatch.setattr(door, "UNIX", request.param == "unix")
    return request.param


# -- messages -------------------------------------------------------------------------------------------------------


def both_ends():
    return socket.socketpair()


def test_messages_arrive_as_they_were_sent():
    here, there = both_ends()
    sent = [{"call": "ask", "arguments": {"question": "é\ud800 ∀\n", "n": 1.5e-9}}, {}, {"piece": "x" * 300_000}]

    def send_all():
        for message in sent:
            wire.send(here, message)
        here.close()

    thread = threading.Thread(target=send_all)
    thread.start()
    assert [wire.receive(there) for _ in sent] == sent
    with pytest.raises(wire.GoneError):
        wire.receive(there)
    thread.join()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0",
        b"\0\0\0\5ab",
        b"\xff\xff\xff\xff" + b"x" * 10,
        b"\0\0\0\3abc",
        b"\0\0\0\2[]",
        b"\0\0\0\1\xff",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_bytes_that_are_no_message_end_the_connection(data):
    here, there = both_ends()
    here.sendall(data)
    here.close()
    with pytest.raises(wire.GoneError):
        wire.receive(there)


@pytest.mark.parametrize("kind", ALL_ERRORS)
def test_every_error_comes_back_as_it_was(kind):
    more = {"differences": {"dtype": ("bfloat16", None)}} if kind is errors.FingerprintMismatchError else {}
    more |= {"paths": ("shards/ab", "c")} if kind is errors.DamagedIndexError else {}
    error = kind("What happened.", remedy="What to do.", **more)
    made = wire.error_of(wire.error_message(error, str)["error"])
    assert type(made) is kind
    assert (made.message, made.remedy, str(made), made.exit_code, made.args) == (
        *(error.message, error.remedy, str(error), error.exit_code, error.args),
    )
    assert {name: getattr(made, name) for name in more} == more


def test_errors_of_others_keep_name_and_text():
    from sharedllm_docs.cli.failures import Failure

    for error in (ValueError("odd"), MemoryError(), OSError(5, "broken"), ZeroDivisionError("division by zero")):
        made = wire.error_of(wire.error_message(error, str)["error"])
        assert Failure.of(made) == Failure.of(error)
    assert type(wire.error_of(wire.error_message(KeyboardInterrupt(), str)["error"])) is KeyboardInterrupt

    class OwnError(SharedLLMError):
        exit_code = 42

    error = OwnError("a", remedy="b")
    assert Failure.of(wire.error_of(wire.error_message(error, str)["error"])) == Failure.of(error)


@pytest.mark.parametrize("warning", [DocumentWarning("page-failed", "Page 3."), UnstoredRowsWarning("a.pdf: no room")])
def test_warnings_come_back_as_they_were(warning):
    made = wire.warning_of(wire.warning_message(warning, str)["warning"])
    assert type(made) is type(warning)
    assert (str(made), getattr(made, "code", "")) == (str(warning), getattr(warning, "code", ""))


def test_results_come_back_as_they_were():
    import json

    def through(value):
        return json.loads(json.dumps(value))

    told = answer("Who?", draft="d", confidence=None)
    assert wire.answer_of(through(told.to_dict())) == told
    boxed = replace(told.citations[0], boxes=(Box(3, 1.5, 2.0, 30.25, 14.0), Box(4, 1.0, 2.0, 3.0, 4.0)))
    assert wire.answer_of(through(replace(told, citations=(boxed,)).to_dict())).citations == (boxed,)
    of_two = replace(told, documents=("a.pdf", "b.pdf"), alike=("c.pdf",), marks=((0, 3, 1),))
    assert wire.answer_of(through(of_two.to_dict())) == of_two
    info = document("a.pdf", issues=(Issue("x", "y", 3),), metadata={"year": "2024"}, unread_chunks=3)
    assert wire.document_of(through(asdict(info))) == info
    inner = AddedDocument(info, True, 1, 2, 0.5, 100.0, {"read": 0.25})
    added = replace(inner, replaced=("k",), attachments=(inner,), unread=(("n", "why"),), renamed_from="b.pdf")
    assert wire.added_of(through(asdict(added))) == added


# -- the folder -----------------------------------------------------------------------------------------------------


def test_the_folder_is_the_users_alone(runtime):
    assert runtime == Path(os.environ["XDG_RUNTIME_DIR"]) / "sharedllm-docs"
    assert stat.S_IMODE(runtime.stat().st_mode) == 0o700


@pytest.mark.skipif(os.name == "nt", reason="rights of Unix")
def test_a_folder_that_others_may_enter_is_refused(runtime, monkeypatch):
    runtime.chmod(0o750)
    with pytest.raises(NoPlaceError, match="has the mode 750: others may enter it"):
        runtime_folder()
    runtime.chmod(0o700)
    monkeypatch.setattr(place.os, "getuid", lambda: os.geteuid() + 1)
    with pytest.raises(NoPlaceError, match="belongs to user"):
        check_private(runtime)
    assert next(place.candidates()) != runtime, "nor is a runtime folder of another user, as sudo leaves it"


@pytest.mark.skipif(os.name == "nt", reason="rights of Unix")
def test_a_link_or_a_file_in_its_place_is_refused(runtime, tmp_path):
    runtime.rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    runtime.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NoPlaceError, match="is not a folder"):
        runtime_folder()
    runtime.unlink()
    runtime.write_text("")
    with pytest.raises(NoPlaceError, match="cannot be used"):
        runtime_folder()
    assert find(Settings.of("index", {})) is None


def test_without_a_runtime_folder_it_lies_in_the_cache(runtime, monkeypatch):
    cache = runtime.parent / "cache"
    monkeypatch.setenv("SHAREDLLM_DOCS_CACHE", str(cache))
    for missing in ("", "relative", str(runtime.parent / "not there")):
        monkeypatch.setenv("XDG_RUNTIME_DIR", missing)
        assert runtime_folder() == cache / "run"


@pytest.mark.skipif(os.name == "nt", reason="paths of Unix sockets")
def test_a_path_that_is_too_long_for_a_socket_is_not_taken(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / ("x" * 90)))
    (tmp_path / ("x" * 90)).mkdir(mode=0o700)
    monkeypatch.setenv("SHAREDLLM_DOCS_CACHE", str(tmp_path / ("y" * 90)))
    monkeypatch.setattr(tempfile, "gettempdir", lambda: "/short")
    assert next(place.candidates()) == Path(f"/short/sharedllm-docs-{os.getuid()}")


# -- doors ----------------------------------------------------------------------------------------------------------


def welcomed(made):
    """The connection that a door takes next, waiting in a thread of its own."""
    taken = []
    thread = threading.Thread(target=lambda: taken.append(made.take()()))
    thread.start()
    return taken, thread


def test_a_door_connects_both_sides(kind, runtime):
    with contextlib.closing(Door(runtime, KEY)) as made:
        assert os.name == "nt" or stat.S_IMODE(made.path.stat().st_mode) == 0o600
        taken, thread = welcomed(made)
        with knock(runtime, KEY) as here:
            thread.join(PATIENCE)
            with taken[0] as there:
                wire.send(here, {"a": 1})
                assert wire.receive(there) == {"a": 1}
    assert not made.path.exists()
    assert knock(runtime, KEY) is None


def test_a_stale_door_is_no_error(kind, runtime):
    first = Door(runtime, KEY)
    first._socket.close()  # as a process leaves it that is killed
    assert first.path.exists()
    assert knock(runtime, KEY) is None
    with contextlib.closing(Door(runtime, KEY)) as second:
        taken, thread = welcomed(second)
        with knock(runtime, KEY):
            thread.join(PATIENCE)
        assert taken[0] is not None
        taken[0].close()


def test_a_process_that_says_nothing_is_as_good_as_none(kind, runtime, monkeypatch):
    monkeypatch.setattr(client_module, "PATIENCE", 0.2)
    monkeypatch.setattr(client_module, "runtime_folder", lambda: runtime)
    settings = Settings.of("index", {})
    with contextlib.closing(Door(runtime, settings.key)) as made:
        taken, thread = welcomed(made)
        assert find(settings) is None
        thread.join(PATIENCE)
        taken[0].close()


def test_the_note_of_a_living_process_stays(runtime):
    about = runtime / (KEY + place.ABOUT)
    about.write_text(json.dumps({"pid": os.getpid()}), encoding="ascii")
    overview._forget(about)
    assert about.exists() == (os.name != "nt")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    about.write_text(json.dumps({"pid": gone.pid}), encoding="ascii")
    overview._forget(about)
    assert not about.exists()


def test_a_file_in_the_doors_place_is_no_door(kind, runtime):
    for name in (KEY + place.SOCKET, KEY + place.TOKEN):
        (runtime / name).write_text("nonsense")
    assert knock(runtime, KEY) is None


@pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="the system does not tell who is there")
def test_another_users_connection_is_closed(runtime, monkeypatch):
    with contextlib.closing(Door(runtime, KEY)) as made:
        knocking = socket.socket(socket.AF_UNIX)
        knocking.connect(str(made.path))
        monkeypatch.setattr(door.os, "getuid", lambda: os.geteuid() + 1)
        assert made.take()() is None
        assert knocking.recv(1) == b""
        knocking.close()
        monkeypatch.undo()


@pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="the system does not tell who is there")
def test_another_users_process_is_not_asked(runtime, monkeypatch):
    with contextlib.closing(Door(runtime, KEY)):
        monkeypatch.setattr(door, "_peer_user", lambda _connection: os.getuid() + 1)
        assert knock(runtime, KEY) is None


@pytest.mark.parametrize("said", [{"nonce": "a", "proof": "b"}, {"nonce": "a"}, {"proof": 3}, {}])
def test_a_client_that_does_not_know_the_token_is_turned_away(runtime, monkeypatch, said):
    monkeypatch.setattr(door, "UNIX", False)
    with contextlib.closing(Door(runtime, KEY)) as made:
        taken, thread = welcomed(made)
        port, _token = made.path.read_text().split()
        with socket.create_connection(("127.0.0.1", int(port))) as knocking:
            assert set(wire.receive(knocking)) == {"nonce"}
            wire.send(knocking, said)
            thread.join(PATIENCE)
            assert taken == [None]


def test_a_process_that_does_not_know_the_token_is_not_asked(runtime, monkeypatch):
    """The port may have gone to another program since; it must not learn the token either."""
    monkeypatch.setattr(door, "UNIX", False)
    with contextlib.closing(Door(runtime, KEY)) as made:
        token, heard = made._token, []
        made._token = b"another"
        monkeypatch.setattr(door, "_known_to", lambda connection, _token: impostor(connection, heard))
        _taken, thread = welcomed(made)
        assert knock(runtime, KEY) is None
        thread.join(PATIENCE)
        assert token.hex() not in str(heard)


def impostor(connection, heard):
    wire.send(connection, {"nonce": "0"})
    heard.append(wire.receive(connection))
    wire.send(connection, {"proof": heard[0]["proof"]})
    return True


# -- settings -------------------------------------------------------------------------------------------------------


def test_the_same_settings_have_the_same_process(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "index")
    (tmp_path / "index").mkdir()
    spellings = ("index", "./index", "index/", str(tmp_path / "index"), f"file://{tmp_path}/index", "link")
    assert len({Settings.of(url, {"dtype": "float32"}).key for url in spellings}) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SHAREDLLM_DOCS_CACHE", "/elsewhere"),
        ("OMP_NUM_THREADS", "3"),
        ("HF_HUB_OFFLINE", "1"),
        ("CUDA_VISIBLE_DEVICES", ""),
        ("PYTHONPATH", "/elsewhere"),
    ],
)
def test_another_environment_has_another_process(monkeypatch, name, value):
    before = Settings.of("index", {}).key
    monkeypatch.setenv(name, value)
    assert Settings.of("index", {}).key != before


@pytest.mark.parametrize("name", ["TERM", "COLUMNS", "SHAREDLLM_DOCS_STAY", "SHAREDLLM_DOCS_INDEX", "PWD"])
def test_what_answers_do_not_depend_on_has_not(monkeypatch, name):
    before = Settings.of("/index", {}).key
    monkeypatch.setenv(name, "another")
    assert Settings.of("/index", {}).key == before


def test_other_options_another_user_version_or_file_has_another_process(monkeypatch, tmp_path):
    from sharedllm_docs.config import Profile

    monkeypatch.chdir(tmp_path)
    made = {Settings.of("index", {}).key, Settings.of("other", {}).key}
    made |= {Settings.of("index", {name: "x"}).key for name in ("name_or_path", "adapter", "device", "dtype")}
    made |= {Settings.of("index", {"profile": one}).key for one in ("prefix", Profile.prefix(), Profile.sharedllm())}
    monkeypatch.setattr(settings, "__version__", "0")
    made.add(Settings.of("index", {}).key)
    monkeypatch.setattr(settings.os, "getuid", lambda: -1)
    made.add(Settings.of("index", {}).key)
    package = tmp_path / "package"
    (package / "sub").mkdir(parents=True)
    (package / "sub" / "a.py").write_text("a = 1")
    monkeypatch.setattr(settings.sharedllm_docs, "__file__", str(package / "__init__.py"))
    made.add(Settings.of("index", {}).key)
    (package / "sub" / "a.py").write_text("a = 10")
    made.add(Settings.of("index", {}).key)
    before = os.umask(0o027)
    os.umask(0o077 if before == 0o027 else 0o027)
    made.add(Settings.of("index", {}).key)
    os.umask(before)
    assert len(made) == 14


def test_a_relative_name_of_a_model_counts_from_its_folder(tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / name / "model").mkdir(parents=True)
    keys = set()
    for name in ("a", "b"):
        monkeypatch.chdir(tmp_path / name)
        made = Settings.of("/index", {"name_or_path": "model"})
        assert made.folder == str(tmp_path / name)
        keys.add(made.key)
        assert Settings.of("/index", {"name_or_path": "hub/name"}).folder == ""
    assert len(keys) == 2


# -- what the options say -------------------------------------------------------------------------------------------


def test_lengths_of_time():
    told = {"90": 90, "90s": 90, "10m": 600, "1.5h": 5400, "2 H": 7200, "1d": 86400, "0": 0}
    assert {text: parse_duration(text, "--stay") for text in told} == told
    for text in ("", "m", "-1m", "10 minutes", "1e9"):
        with pytest.raises(ConfigError, match="is not a length of time"):
            parse_duration(text, "--stay")
    assert parse_duration("999999d", "--grace") == 999_999 * 86_400
    for text in ("9999999999999999d", "1000000d", "1000000", "999999.5h", "9" * 5000):
        with pytest.raises(ConfigError, match=r"is too long: .* s, m, h or d may be 999999 at most\. Use .* 999999d"):
            parse_duration(text, "--grace")


def chosen(monkeypatch, *, stay=None, no_stay=False, debug=False, variable=None, terminal=False):
    monkeypatch.delenv("SHAREDLLM_DOCS_STAY", raising=False)
    if variable is not None:
        monkeypatch.setenv("SHAREDLLM_DOCS_STAY", variable)
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal, raising=False)
    return stay_of(StayOptions(stay, no_stay), Screen(OutputOptions(debug=debug)), Place())


def test_whether_a_process_is_used_and_started(monkeypatch):
    assert chosen(monkeypatch) == Stay(start=False, seconds=None)
    assert chosen(monkeypatch, terminal=True) == Stay(start=True, seconds=None)
    assert chosen(monkeypatch, stay="2h") == Stay(start=True, seconds=7200)
    assert chosen(monkeypatch, variable="30s") == Stay(start=True, seconds=30)
    assert chosen(monkeypatch, variable="0", stay="1m") == Stay(start=True, seconds=60)
    for off in (
        {"stay": "0"},
        {"no_stay": True},
        {"variable": "0"},
        {"debug": True},
        {"variable": "1h", "debug": True},
    ):
        assert chosen(monkeypatch, terminal=True, **off) is None
    with pytest.raises(ConfigError, match="exclude each other"):
        chosen(monkeypatch, stay="1m", no_stay=True)
    with pytest.raises(ConfigError, match="SHAREDLLM_DOCS_STAY='soon' is not a length of time"):
        chosen(monkeypatch, variable="soon")


def test_the_bound_of_memory(monkeypatch):
    monkeypatch.setenv("SHAREDLLM_DOCS_STAY_MEMORY", "3GB")
    assert most_memory() == 3_000_000_000
    monkeypatch.setenv("SHAREDLLM_DOCS_STAY_MEMORY", "much")
    with pytest.raises(ConfigError, match="SHAREDLLM_DOCS_STAY_MEMORY='much' is not a size"):
        most_memory()
    monkeypatch.delenv("SHAREDLLM_DOCS_STAY_MEMORY")
    assert most_memory() > 1 << 20


# -- process and client ---------------------------------------------------------------------------------------------


class FakeIndex:
    """An index that answers word by word, when it is let."""

    def __init__(self) -> None:
        self.begun, self.go, self.stopped = threading.Event(), threading.Event(), threading.Event()
        self.go.set()
        self.words = ["One", " two", " three"]
        self.raised: BaseException | None = None
        self.closed = False

    def is_current(self):
        return True

    def close(self):
        self.closed = True

    def stream(self, question, **options):
        def pieces():
            try:
                for place, word in enumerate(self.words):
                    if place:
                        self.begun.set()
                        assert self.go.wait(PATIENCE)
                    if self.raised:
                        raise self.raised
                    yield word
            except GeneratorExit:
                self.stopped.set()
                raise
            return answer(question, text="".join(self.words))

        return Stream(pieces())

    stream_summary = stream

    def warn_again(self):
        pass

    def documents(self):
        return [document("a.pdf")]

    def document(self, reference):
        return document(reference)

    def size(self):
        return 7

    def read(self, reference, progress):
        for done in range(1000):
            self.begun.set()
            try:
                progress(Progress("encode", done, 1000, "tokens"))
            except KeyboardInterrupt as interrupt:
                raise errors.InterruptedIngestion(f"Interrupted: {reference}", remedy="Again.") from interrupt
            if done == 2:
                assert self.go.wait(PATIENCE)
        return 3

    def add(self, source, options, progress, **others):
        assert others == {"encode": "when-asked", "metadata": {"a": "b"}}
        if self.raised:
            raise self.raised
        raise errors.DocumentNotFoundError(
            f"There is no file {source!r}, {source}.", remedy=f"Look for {options.pages}."
        )


@pytest.fixture
def index():
    return FakeIndex()


@pytest.fixture
def processes_here(runtime, index, kind):
    """Starts processes in threads; all have ended when the test has."""
    started = []

    def start(url="ix", *, keep_seconds=None, opened=None):
        made = Process(runtime, Settings.of(url, {}).key, url, {}, keep_seconds=keep_seconds, max_memory=None)
        made.resident._opened = opened or (lambda _create: index)
        said, listening = [], threading.Event()

        def ready(word):
            said.append(word)
            listening.set()

        thread = threading.Thread(target=made.run, args=(ready,))
        thread.start()
        assert listening.wait(PATIENCE)
        started.append((made, thread))
        made.said, made.thread = said[0], thread
        return made

    yield start
    index.go.set()
    for made, thread in started:
        made.end("the test is over")
        thread.join(PATIENCE)
        assert not thread.is_alive()


def client(url="ix", *, alone=None, connect=None, reports=None, meanwhile=lambda: None):
    def refused():
        raise AssertionError("opened alone")

    return StayedIndex(
        url,
        connect or (lambda: find(Settings.of(url, {}))),
        alone or refused,
        create=False,
        keep_seconds=None,
        report=(reports if reports is not None else []).append,
        meanwhile=meanwhile,
    )


def test_a_client_gets_what_the_index_gives(processes_here, index):
    made = processes_here()
    asking = client()
    stream = asking.stream("Who?")
    assert list(stream) == ["One", " two", " three"]
    assert stream.result == asking.ask("Who?") == answer("Who?", text="One two three")
    assert asking.summarise("a.pdf").text == "".join(asking.stream_summary("a.pdf"))
    assert asking.documents() == [document("a.pdf")]
    assert asking.document("b.pdf") == document("b.pdf")
    assert asking.size() == 7
    steps = []
    assert asking.read("a.pdf", progress=steps.append) == 3
    assert steps[1] == Progress("encode", 1, 1000, "tokens")
    assert made.resident.counters.questions == 4


def test_the_question_is_on_its_way_before_the_command_gets_ready_to_print(processes_here, index):
    made, order = processes_here(), []

    def meanwhile():
        while not made.resident.counters.questions:
            time.sleep(0.001)
        order.append("ready to print")

    asking = client(meanwhile=meanwhile)
    assert asking.ask("Who?").text == "One two three"
    assert asking.ask("Who?").text == "One two three"
    assert order == ["ready to print"], "once"


def test_names_are_those_that_the_client_wrote(processes_here, index, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    processes_here()
    with pytest.raises(errors.DocumentNotFoundError) as raised:
        client().add("it's a/b.pdf", options=ReadOptions(pages="1-3"), encode="when-asked", metadata={"a": "b"})
    assert raised.value.message == """There is no file "it's a/b.pdf", it's a/b.pdf."""
    assert raised.value.remedy == "Look for 1-3."
    index.raised = errors.StoreError(f"The index at {os.path.realpath('ix')} is odd.")
    with pytest.raises(errors.StoreError, match="The index at ix is odd"):
        client().ask("Who?")


def test_errors_are_those_of_the_index_and_the_connection_lives_on(processes_here, index):
    processes_here()
    asking = client()
    index.raised = errors.QuestionTooLongError("9,000 tokens", remedy="Ask less.")
    with pytest.raises(errors.QuestionTooLongError, match="9,000 tokens Ask less"):
        asking.ask("Who?")
    index.raised = None
    assert asking.ask("Who?").text == "One two three"


def test_sentences_and_warnings_reach_the_client_they_are_for(processes_here, index, recwarn):
    import warnings

    from sharedllm_docs.serving.stay.session import report

    def opened(_create):
        report("Fetching the model")
        warnings.warn(DocumentWarning("page-failed", "Page 3."), stacklevel=2)
        warnings.warn(UserWarning("of a library"), stacklevel=2)
        return index

    processes_here(opened=opened)
    reports = []
    client(reports=reports)
    assert reports == ["Fetching the model"]
    report("Nobody works here")
    # this process is both: what the session tells is warned of again, in the main thread
    assert [str(one.message) for one in recwarn if isinstance(one.message, DocumentWarning)] in (
        ["page-failed: Page 3."],
        [],
    )


def test_a_client_that_leaves_stops_the_model_and_the_process_lives(processes_here, index):
    processes_here()
    asking = client()
    index.go.clear()
    pieces = asking._pieces("ask", {"question": "Who?", "options": {}, "stream": True}, None, sent=False)
    assert next(pieces) == "One"
    with pytest.raises(KeyboardInterrupt):
        pieces.throw(KeyboardInterrupt())
    index.go.set()
    assert index.stopped.wait(PATIENCE)
    assert client().ask("Who?").text == "One two three", "its turn comes when the other's is over"
    assert asking.ask("And who?").text == "One two three", "the next question of the same client connects again"


def test_an_answer_that_nobody_took_is_not_taken_for_the_next_one(processes_here, index):
    processes_here()
    asking = client()
    asking.stream("Who?")  # left before its first piece, as by Ctrl-C at that moment
    index.words = ["Other", " words"]
    assert asking.ask("And who?").text == "Other words"
    assert asking.size() == 7


def test_ctrl_c_while_it_reads_on_keeps_what_the_process_says(processes_here, index):
    processes_here()
    asking = client()
    index.go.clear()

    def interrupt(step):
        if step.done == 2:
            import signal

            signal.raise_signal(signal.SIGINT)
            index.go.set()

    with pytest.raises(errors.InterruptedIngestion, match="Interrupted: a"):
        asking.read("a.pdf", progress=interrupt)
    assert asking.ask("Who?").text == "One two three", "on the same connection"


def test_a_second_ctrl_c_leaves_at_once(processes_here, index):
    import signal

    processes_here()
    asking = client()
    index.go.clear()

    def interrupt(step):
        if step.done == 1:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        asking.read("a.pdf", progress=interrupt)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    index.go.set()


def test_two_clients_take_turns(processes_here, index):
    made = processes_here()
    index.go.clear()
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(client().ask("Who?").text)) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert index.begun.wait(PATIENCE)
    index.go.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert answers == ["One two three"] * 3
    assert made.resident.counters.questions == 3


def test_of_two_processes_started_at_once_one_stays(processes_here):
    first, second = processes_here(), processes_here()
    assert (first.said, second.said) == ("ready", "taken")
    second.thread.join(PATIENCE)
    assert not second.thread.is_alive()
    assert client().size() == 7


def test_it_leaves_when_idle_and_takes_its_files_with_it(processes_here, runtime, index):
    made = processes_here(keep_seconds=0)
    made.thread.join(PATIENCE)
    assert index.closed is False, "it was never opened"
    assert {file.suffix for file in runtime.iterdir()} <= {place.LOCK}
    assert find(Settings.of("ix", {})) is None


def test_told_to_stop_it_finishes_the_answer_in_hand(processes_here, index, runtime):
    made = processes_here()
    asking = client()
    index.go.clear()
    told = []
    thread = threading.Thread(target=lambda: told.append(asking.ask("Who?").text))
    thread.start()
    assert index.begun.wait(PATIENCE)
    (one,) = overview.running()
    assert (one.url, one.status["in_hand"], one.pid) == ("ix", 1, os.getpid())
    assert one.stop()
    while find(Settings.of("ix", {})) is not None:
        time.sleep(0.01)
    index.go.set()
    thread.join(PATIENCE)
    made.thread.join(PATIENCE)
    assert told == ["One two three"]
    assert index.closed
    assert overview.running() == []


def test_a_process_ended_before_anything_is_shown_leaves_the_question_to_the_client(processes_here, index):
    made = processes_here()
    alone = FakeIndex()
    alone.words = ["Alone"]
    asking = client(alone=lambda: alone)
    index.go.clear()
    told = []
    thread = threading.Thread(target=lambda: told.append(asking.ask("Who?").text))
    thread.start()
    assert index.begun.wait(PATIENCE)
    made.end("it was sent SIGTERM")
    index.go.set()
    thread.join(PATIENCE)
    assert told == ["Alone"]
    made.thread.join(PATIENCE)


def test_a_process_ended_in_the_midst_of_a_shown_answer_is_told_in_one_sentence(processes_here, index):
    made = processes_here()
    asking = client()
    index.go.clear()
    stream = asking.stream("Who?")
    assert next(stream) == "One"
    assert index.begun.wait(PATIENCE)
    made.end("it was sent SIGTERM")
    index.go.set()
    with pytest.raises(StayedProcessError, match="ended in the middle of this answer"):
        list(stream)
    made.thread.join(PATIENCE)


@pytest.mark.parametrize("shown", [False, True])
def test_a_crash_of_the_process_is_no_crash_of_the_client(runtime, shown):
    """The connection breaks as it does when the process is killed: without a word."""
    tries = []

    def connect():
        here, there = both_ends()

        def die():
            with there:
                wire.receive(there)
                wire.send(there, {"result": None})
                wire.receive(there)
                if shown:
                    wire.send(there, {"piece": "One"})

        tries.append(threading.Thread(target=die))
        tries[-1].start()
        return here

    alone = FakeIndex()
    asking = client(connect=connect, alone=lambda: alone)
    stream = asking.stream("Who?")
    if shown:
        with pytest.raises(StayedProcessError):
            list(stream)
    else:
        assert "".join(stream) == "One two three"
        assert asking.size() == 7, "from then on alone"
    assert len(tries) == (1 if shown else 2), "a new process is tried once"
    for thread in tries:
        thread.join(PATIENCE)


def test_a_process_that_leaves_just_now_is_followed_by_another(processes_here, index):
    first = processes_here()
    first.resident.leave("its time had come")
    alone = FakeIndex()
    assert client(alone=lambda: alone).size() == 7
    first.thread.join(PATIENCE)
    second = processes_here()
    assert second.said == "ready"
    assert client().size() == 7


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_nonsense_at_the_door_harms_nobody(processes_here, runtime):
    processes_here()
    key = Settings.of("ix", {}).key
    for request in ({"call": "nothing", "arguments": {}}, {"call": "ask"}, {"odd": 1}, {"call": "ask", "arguments": 3}):
        with knock(runtime, key) as knocking:
            wire.send(knocking, request)
            knocking.shutdown(socket.SHUT_WR)
            with contextlib.suppress(wire.GoneError):
                assert "error" in wire.receive(knocking)
    assert client().size() == 7


def test_a_note_of_a_dead_process_is_taken_away(runtime):
    (runtime / (KEY + place.ABOUT)).write_text("{}")
    assert overview.running() == []
    assert not (runtime / (KEY + place.ABOUT)).exists()
