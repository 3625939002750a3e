"""A GPU session, dry: the weights arrive in pieces, the call with the last one trains, an adapter comes back."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("accelerate")
pytest.importorskip("peft")

from sharedllm_docs.errors import DataError
from sharedllm_docs.model.adapter import Adapter
from sharedllm_docs.model.zoo import EMBEDDED
from sharedllm_docs.training.dataset import write_rows
from sharedllm_docs.training.trainer import Outcome
from tests.tiny_text import save_model
from tests.training_helpers import question_rows, text_rows

FOLDER = Path(__file__).parent.parent / "benchmarks" / "gpu"
sys.path.append(str(FOLDER))
spec = importlib.util.spec_from_file_location("gpu_session", FOLDER / "session.py")
session = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = session
spec.loader.exec_module(session)
import tokenize_data  # noqa: E402 - a neighbour of the script

NAME = "tiny"
TINY = [
    *("run.batch=2", "run.log_every=1", "run.save_every=2", "run.probe_every=1000", "run.probe_examples=2"),
    *("run.precision=no", "model.dtype=float32", "profile.chunk_tokens=128", "profile.layers=[1,3]"),
    *("trained.upper_rank=2", "objectives.group=2", "objectives.kinds={}", "objectives.max_fed=0"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A tiny model, its "weights" to carry, and a token file."""
    folder = tmp_path_factory.mktemp("session")
    save_model(folder / "model")
    write_rows(folder / "data" / "generated" / "key.jsonl.gz", question_rows())
    write_rows(folder / "data" / "long" / "made.jsonl.gz", text_rows())
    model = str(folder / "model")
    assert tokenize_data.main([str(folder / "data"), "--out", str(folder / "tokens"), "--model", model]) == 0
    (folder / "weights").write_bytes(bytes(range(256)) * 40)
    return folder


@pytest.fixture
def machine(made, tmp_path, monkeypatch):
    """The GPU machine: an embedded model whose weights have to arrive; the call's options."""
    monkeypatch.setenv("SHAREDLLM_DOCS_CACHE", str(tmp_path / "cache"))
    model = replace(EMBEDDED["qwen2.5-coder-0.5b-instruct"], name=NAME)
    monkeypatch.setitem(EMBEDDED, NAME, model)
    arrived = []

    def install(wanted, weights):
        arrived.append(weights.read_bytes())
        folder = tmp_path / "cache" / "models" / wanted.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tokenizer.json").write_text("made there")
        return folder

    monkeypatch.setattr(session, "install", install)
    sets = [f"--set={change}" for change in (*TINY, f"model.name={made / 'model'}")]
    where = ["--work", str(tmp_path / "work"), "--out", str(tmp_path / "runs"), "--bring", str(tmp_path / "back")]

    def call(uploads, *options):
        return session.main(["run", str(uploads), "--device", "cpu", *where, *sets, *options])

    call.arrived = arrived
    return call


def uploads_of(made, out, *, size=6000, extra=(), **options):
    return session.pack(made / "weights", NAME, [made / "tokens" / "questions.npz", *extra], out, size, **options)


def test_no_upload_is_larger_than_allowed(made, tmp_path):
    folders = uploads_of(made, tmp_path)
    assert len(folders) > 2
    for folder in folders:
        parts = [file for file in folder.iterdir() if file.name != session.CONTENTS]
        assert 0 < sum(file.stat().st_size for file in parts) <= 6000
    assert uploads_of(made, tmp_path, size=10**6) == [tmp_path / "upload-01"]
    assert [one.name for one in tmp_path.iterdir()] == ["upload-01"]  # earlier ones are gone


def test_the_last_piece_starts_training_and_an_adapter_comes_back(made, tmp_path, machine, capsys):
    *first, last = uploads_of(made, tmp_path / "carry")
    for left, folder in zip(range(len(first), 0, -1), first, strict=True):
        assert machine(folder) == session.NOT_YET
        assert int(capsys.readouterr().out.split()[0]) >= left
    assert machine(last, "--minutes", "3.1") == 0
    assert machine.arrived == [(made / "weights").read_bytes()]
    trained = Adapter.load(tmp_path / "runs" / "constant" / "checkpoint" / "adapter")
    assert trained.notes["step"] >= 1
    assert trained.prompt_start == "neutral"
    assert sorted(file.name.partition(".zip.")[0] for file in (tmp_path / "back").iterdir()) == ["logs", "runs"]


def test_bytes_that_conversion_does_not_read_are_not_carried(made, tmp_path, machine):
    hole = (1000, 5000)
    folders = uploads_of(made, tmp_path / "carry", hole=hole)
    carried = sum(part.stat().st_size for folder in folders for part in folder.glob("weights.*"))
    whole = (made / "weights").read_bytes()
    assert carried == len(whole) - 4000
    for folder in folders:
        machine(folder, "--minutes", "3.05")
    assert machine.arrived == [whole[:1000] + bytes(4000) + whole[5000:]]


def test_wheels_can_be_imported_from_the_first_upload_on(made, tmp_path, machine, monkeypatch):
    wheel = tmp_path / "carried_module-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("carried_module.py", "HERE = True\n")
    monkeypatch.setattr(sys, "path", [*sys.path])
    tokens = made / "tokens" / "questions.npz"
    first, *_ = session.pack(made / "weights", NAME, [wheel, tokens], tmp_path / "carry", 6000)
    assert machine(first) == session.NOT_YET
    assert importlib.import_module("carried_module").HERE


def test_the_tokenizer_that_made_the_tokens_comes_along(made, tmp_path, machine):
    archive = session.tokenizer_of(made / "model", tmp_path / session.TOKENIZER)
    for folder in uploads_of(made, tmp_path / "carry", size=10**7, extra=[archive]):
        machine(folder, "--minutes", "3.05")
    found = tmp_path / "cache" / "models" / NAME / "tokenizer.json"
    assert found.read_bytes() == (made / "model" / "tokenizer.json").read_bytes()


def test_a_call_ends_before_its_own_limit(tmp_path):
    now = [1000.0]
    one = session.Session(tmp_path / "work", 15.0, call_minutes=10.0, clock=lambda: now[0])
    one.begin()
    assert one.left() == 10 - session.END_MINUTES
    now[0] += 240
    assert one.left() == 6 - session.END_MINUTES
    later = session.Session(tmp_path / "work", 15.0, call_minutes=10.0, clock=lambda: now[0])
    assert later.left() == 15 - session.START_MINUTES - 4 - session.END_MINUTES


def test_a_later_session_goes_on_from_the_adapter_of_the_last(made, tmp_path, machine, monkeypatch):
    from sharedllm_docs.training import start

    folders = uploads_of(made, tmp_path / "carry")
    for folder in folders:
        machine(folder, "--minutes", "3.05")
    adapter = tmp_path / "runs" / "constant" / "checkpoint" / "adapter"
    begun = []

    def record(config, folder, **_options):
        begun.append(config)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "log.csv").write_text("step\n1\n")
        return Outcome(1, True, adapter)

    monkeypatch.setattr(start, "start", record)
    again = uploads_of(made, tmp_path / "again", size=10**7, extra=[adapter])
    options = ["--work", str(tmp_path / "other"), "--out", str(tmp_path / "more")]
    assert machine(again[0], *options) == 0
    assert Path(begun[0].trained.start_from) == tmp_path / "other" / "joined"
    assert Adapter.load(begun[0].trained.start_from).digest == Adapter.load(adapter).digest


def test_the_time_is_shared_out_to_the_end(tmp_path, monkeypatch):
    """Four fifths at a constant rate; then as many steps as fit, with a falling one."""
    from sharedllm_docs.training import start

    now = [1000.0]
    planned, rates = [], []

    def run(config, folder, *, max_minutes, **_options):
        steps = min(config.run.steps, int(max_minutes * 60 / 2))  # two seconds each
        now[0] += 2 * steps
        planned.append((config.optimiser.schedule, steps, config.run.seed, str(config.trained.start_from)))
        rates.append([config.optimiser.factor(step, config.run.steps) for step in range(steps)])
        return Outcome(steps, True, folder / "adapter")

    monkeypatch.setattr(start, "start", run)
    one = session.Session(tmp_path / "work", 15.0, clock=lambda: now[0])
    one.begin()
    assert one.left() == 15 - session.START_MINUTES - session.END_MINUTES
    now[0] += 120
    one.begin()  # a later call does not begin again
    assert one.left() == 10
    config = session.settings_of(session.PLAN, [], tmp_path)
    session.train(one, config, tmp_path / "runs", "cpu")
    assert planned == [("constant", 240, 0, ""), ("linear", 54, 1, str(tmp_path / "runs" / "constant" / "adapter"))]
    assert 0 <= one.left() < 0.5
    constant, falling = rates
    assert constant[session.WARM_STEPS - 1 :] == [1.0] * (240 - session.WARM_STEPS + 1)
    assert constant[0] == 1 / session.WARM_STEPS
    assert falling[5] > 0.9
    assert falling[-1] < 0.1


def test_a_folder_without_an_upload_is_refused(tmp_path, machine, capsys):
    assert machine(tmp_path) == DataError.exit_code
    assert f"{tmp_path} holds no upload. Carry a folder that `pack` wrote." in capsys.readouterr().err
