"""Calibration on a tiny model: what it tries, what it finds, what it costs, and its command."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace

import pytest

from sharedllm_docs.cli import backend
from sharedllm_docs.config import Profile
from sharedllm_docs.errors import ConfigError, EmptyDocumentError, QuestionError
from sharedllm_docs.evaluation import calibrate as module
from sharedllm_docs.evaluation.calibrate import Calibration, OwnQuestion, calibrate_layers, read_questions
from tests.cli_fakes import installed
from tests.cli_run import good, json_of, run
from tests.evaluation_helpers import prose
from tests.tiny_text import save_model, tiny_document, tiny_llm, tiny_sharedllm_profile

FACT = "The zebra is kept in the seventh barn behind the old mill by the river."
DOCUMENT = tiny_document(prose(30, 1), f"{prose(5, 2)} {FACT} {prose(5, 3)}", name="farm.txt")
ASKED = OwnQuestion("Where is the zebra kept?", "in the seventh barn", FACT)


@pytest.fixture(scope="module")
def llm():
    return tiny_llm()


def losses_by(monkeypatch, rule):
    """Losses as the rule tells, in place of the model's."""
    monkeypatch.setattr(
        module, "_loss", lambda _llm, chosen, layers: rule(layers) if chosen[0].keys.shape[2] else rule(None)
    )


def test_layers_are_left_out_from_both_ends_while_the_loss_stays_near(llm, monkeypatch):
    """Layers 2 and 3 are read; the others cost nothing to leave out."""

    def rule(layers):
        return 5.0 if layers is None else 1.0 if layers[0] <= 2 and layers[1] >= 3 else 3.0

    losses_by(monkeypatch, rule)
    told = []
    found = calibrate_layers(llm, DOCUMENT, samples=2, report=lambda *one: told.append(one))
    assert found.layers == (2, 3)
    assert (found.loss, found.loss_all, found.loss_none, found.samples, found.num_layers) == (1.0, 1.0, 5.0, 2, 4)
    assert told == list(found.tried.items())
    assert list(found.tried) == [(1, 4), (2, 4), (3, 4), (2, 3), (2, 2)]
    assert 1.8 < found.bytes_per_token_all / found.bytes_per_token < 2  # half the rows, and heads of shards


@pytest.mark.parametrize(("tolerance", "layers"), [(0.0, (1, 4)), (0.3, (2, 4)), (0.6, (3, 4))])
def test_the_tolerance_is_a_share_of_what_rows_gain(llm, monkeypatch, tolerance, layers):
    losses_by(monkeypatch, lambda one: 2.0 if one is None else 1.0 + 0.25 * (one[0] - 1) + 0.7 * (4 - one[1]))
    assert calibrate_layers(llm, DOCUMENT, samples=1, tolerance=tolerance).layers == layers


@pytest.mark.parametrize("questions", [(), (ASKED,)])
def test_measured_for_real_it_repeats_itself(llm, questions):
    found = calibrate_layers(llm, DOCUMENT, samples=3, questions=questions)
    assert found == calibrate_layers(llm, DOCUMENT, samples=3, questions=questions)
    assert found.samples == (1 if questions else 3)
    assert found.tried[1, 4] == found.loss_all > 0
    assert found.loss_none != found.loss_all
    assert found.tried[found.layers] == found.loss


def test_what_cannot_be_calibrated(llm):
    with pytest.raises(ConfigError, match="cannot be calibrated"):
        calibrate_layers(tiny_llm(adapter=True, profile=tiny_sharedllm_profile()), DOCUMENT)
    with pytest.raises(ConfigError, match=r"samples=0 must be at least 1\. tolerance=2 must lie in 0 \.\. 1\."):
        calibrate_layers(llm, DOCUMENT, samples=0, tolerance=2)
    with pytest.raises(EmptyDocumentError, match="no sentence of 10 to 40 words"):
        calibrate_layers(llm, tiny_document("Too short."))
    with pytest.raises(QuestionError, match=r"farm\.txt does not contain 'a lion', which answers 'Who\?'\. Give"):
        calibrate_layers(llm, DOCUMENT, questions=[OwnQuestion("Who?", "a lion")])


def test_questions_are_read(tmp_path):
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps(vars(ASKED)) + '\n\n{"question": "Who?", "answer": "The zebra"}\n')
    assert read_questions(path) == [ASKED, OwnQuestion("Who?", "The zebra")]
    for text, message in (
        ("", "contains no questions"),
        ("nonsense", "Line 1 of .* is not a question"),
        ('{"question": "Who?"}', "Line 1 of .* is not a question"),
        ('{"question": "Who?", "answer": 3}', "Line 1 of .* is not a question"),
        ("[1]", "Line 1 of .* is not a question"),
        ('{"question": " ", "answer": "x"}', "Line 1 of .* is not a question"),
    ):
        path.write_text(text)
        with pytest.raises(QuestionError, match=message):
            read_questions(path)
    with pytest.raises(QuestionError, match="cannot be read"):
        read_questions(tmp_path / "none.jsonl")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calibrate")
    save_model(folder / "model", seed=7)  # random weights to which rows are of some use
    (folder / "farm.txt").write_text(DOCUMENT.text)
    (folder / "q.jsonl").write_text(json.dumps(vars(ASKED)))
    return folder


def test_the_command_says_which_layers_and_what_they_cost(files):
    asked = ("calibrate", str(files / "model"), "--file", str(files / "farm.txt"), "--samples", "2")
    record = json_of(*asked)
    printed = good(*asked)
    assert f"Loss per token on 2 sentences: {record['loss']['found']:.3f} " in printed.stdout
    assert "Rows in layers 1 to 4: loss " in printed.stderr
    assert record["tried"][0] == {"layers": [1, 4], "loss": record["loss"]["all"]}
    asks = json_of(*asked, "--questions", str(files / "q.jsonl"))
    assert asks["samples"] == 1
    assert asks["loss"]["all"] != record["loss"]["all"]


FOUND = Calibration((6, 25), 30, 0.3, 0.25, 3.75, {(1, 30): 0.25, (6, 25): 0.3}, 24, 2100.4, 3200.0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {},
            [
                "The model reads its context in layers 6 to 25 of 30.",
                "An index of these layers takes 2,100 bytes per token instead of 3,200, 34% less.",
                "Loss per token on 24 sentences: 0.300 with rows in these layers, 0.250 with rows in all layers, 3.750 "
                "without rows.",
                "For a new index:",
                "  sharedllm-docs add FILE --model 'a model' --profile prefix --layers 6-25",
            ],
        ),
        (
            {"layers": (1, 30)},
            [
                "All 30 layers are needed: leaving out the first or the last loses over 2% of the gain.",
                "Leave --layers out, or allow a larger loss with --tolerance.",
                "Loss per token on 24 sentences: 0.250 with rows in all layers, 3.750 without rows.",
            ],
        ),
        (
            {"loss_none": 0.2, "samples": 1},
            [
                "Loss per token on 1 sentence: 0.250 with rows in all layers, 0.200 without rows. The rows do not help "
                "here, so no layers can be distinguished.",
                "Try another document of prose (--file), your own questions (--questions) or another model.",
            ],
        ),
    ],
)
def test_the_command_says_what_to_do_with_what_it_found(monkeypatch, changes, said):
    monkeypatch.setattr(backend, "calibrate", lambda *_a, **_k: replace(FOUND, **changes))
    assert good("calibrate", "a model", "--file", "x").stdout.splitlines() == said
    command = said[-1].strip() if "add FILE" in said[-1] else ""
    assert json_of("calibrate", "a model", "--file", "x")["command"] == command


def test_the_options_it_recommends_give_the_layers_found(monkeypatch, tmp_path):
    """The command that is printed is one that ``add`` understands."""
    monkeypatch.setattr(backend, "calibrate", lambda *_a, **_k: FOUND)
    monkeypatch.chdir(tmp_path)
    command = shlex.split(json_of("calibrate", "--file", "x")["command"])
    world = installed(monkeypatch)
    good(*command[1:])
    assert world.arguments("open_or_create")["profile"] == Profile.prefix(layers=(6, 25))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--questions", "none.jsonl"), "The questions in none.jsonl cannot be read"),
        (("--file", "none.pdf"), "none.pdf"),
        (("--samples", "0"), "samples=0 must be at least 1."),
    ],
)
def test_errors_are_a_line(files, more, message):
    refused = run("calibrate", str(files / "model"), "--file", str(files / "farm.txt"), "--quiet", *more)
    assert refused.exit_code != 0
    assert refused.stderr.count("\n") == 1
    assert message in refused.stderr


def test_without_the_example_a_file_is_wanted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused = run("calibrate")
    assert refused.stderr == (
        f"Error: There is no examples/R-intro.pdf in the working directory {tmp_path}. "
        "Name a document of prose with --file, or run this in a clone of the project.\n"
    )


def test_sentences_and_rows_of_all_layers_are_measured_with_the_profile_of_the_model(llm):
    """The profile's own layers do not matter."""
    narrow = tiny_llm(profile=replace(llm.profile, layers=(2, 3)))
    ours, theirs = (calibrate_layers(one, DOCUMENT, samples=2) for one in (llm, narrow))
    assert ours == theirs
