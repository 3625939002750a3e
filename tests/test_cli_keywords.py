"""Messages of the command line name its options, not the keywords of Python that they set."""

from __future__ import annotations

import dataclasses
import re
import warnings

import pytest
from typer.main import get_command

from sharedllm_docs import GenerationConfig, RetrievalConfig
from sharedllm_docs.cli.app import app
from sharedllm_docs.cli.keywords import GROUPS, OTHER_NAMES, as_typed, options_by_keyword
from sharedllm_docs.cli.render import title_lines
from sharedllm_docs.config import Profile
from sharedllm_docs.documents.document import Issue
from sharedllm_docs.documents.readers import ReadOptions
from sharedllm_docs.errors import ConfigError, DiskBudgetError, DocumentTooLargeError, DocumentWarning
from tests.cli_fakes import document, installed
from tests.cli_run import good, json_of, run

COMMANDS = {name: get_command(app).commands[name] for name in ("add", "ask", "summarise", "chat", "list")}
OPTIONS = {
    option: parameter.name
    for command in COMMANDS.values()
    for parameter in command.params
    for option in (*parameter.opts, *parameter.secondary_opts)
}


@pytest.fixture
def world(monkeypatch):
    made = installed(monkeypatch)
    issue = Issue("encoding-guessed", "it was guessed as cp1252; give encoding= if that is wrong")
    made.put(".sharedllm-docs", document("R-intro.pdf", issues=(issue,)))
    return made


def test_every_keyword_of_the_table_has_an_option_that_the_program_knows():
    assert set(OTHER_NAMES) <= set(options_by_keyword())
    for keyword, (option, _metavar) in options_by_keyword().items():
        assert option in OPTIONS, keyword
        if keyword not in OTHER_NAMES:
            assert OPTIONS[option] == keyword
    declared = {field.name for group in GROUPS for field in dataclasses.fields(group)}
    assert declared <= set(options_by_keyword())


def test_every_setting_that_has_an_option_is_in_the_table():
    settings = {
        f.name for kind in (RetrievalConfig, GenerationConfig, ReadOptions, Profile) for f in dataclasses.fields(kind)
    }
    assert settings & set(OPTIONS.values()) <= set(options_by_keyword())


@pytest.mark.parametrize("keyword", sorted(options_by_keyword()))
def test_every_keyword_is_told_as_its_option(keyword):
    option = options_by_keyword()[keyword][0]
    assert as_typed(f"{keyword}=7.0 must lie in 0..1.") == f"{option} 7.0 must lie in 0..1."
    assert as_typed(f"give {keyword}= if that is wrong") == f"give {option} if that is wrong"
    assert as_typed(f"Leave {keyword} out.") == f"Leave {option} out."
    if "_" in keyword:
        assert as_typed(f"Raise {keyword}, or lower {keyword}.") == f"Raise {option}, or lower {option}."
    for own in (
        f"'{keyword}=3'",
        f'"{keyword} is it"',
        f"/a/{keyword}=3",
        f"{keyword}.txt",
        f"x.{keyword}",
        f"my_{keyword}=3",
    ):
        assert as_typed(f"What is {own}?") == f"What is {own}?"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("lower max_new_tokens or evidence_tokens.", "lower --max-tokens or --evidence."),
        ("where={'year': '1999'} (", "--where year=1999 ("),
        ("where={'a b': ['x', 'y']}", "--where 'a b=x' --where 'a b=y'"),
        ("with such metadata (metadata={...}).", "with such metadata (--metadata KEY=VALUE)."),
        ("Name it in documents=[...].", "Name it in --doc DOC."),
        ("documents=['a.txt', 'b c.txt']", "--doc a.txt --doc 'b c.txt'"),
        ("layers=(1, 40) reaches", "--layers 1-40 reaches"),
        ("grains=(1, 4, 16): the", "--grains 1/4/16: the"),
        ("Give adapter=FOLDER, or profile='prefix', which", "Give --adapter FOLDER, or --profile prefix, which"),
        ("keep_source=True, but; keep_source=False", "--keep-source, but; --no-keep-source"),
        ("ocr='auto' reads it", "--ocr auto reads it"),
        ("encode='when-asked', replace=False, clean=False", "--lazy, --keep-both, --raw"),
        ("depth=3 has no option", "depth=3 has no option"),
        ("Which documents, where names are kept?", "Which documents, where names are kept?"),
    ],
)  # fmt: skip
def test_values_are_told_as_they_are_typed(said, shown):
    assert as_typed(said) == shown


@pytest.mark.parametrize(
    ("words", "typed"),
    [
        (("--citations", "0"), "--citations 0"),
        (("--floor", "7"), "--floor 7.0"),
        (("--max-tokens", "0"), "--max-tokens 0"),
        (("--temperature", "-1"), "--temperature -1.0"),
        (("--evidence", "-1"), "--evidence -1"),
        (("--min-confidence", "2"), "--min-confidence 2.0"),
    ],
)
def test_what_was_typed_is_in_the_message(world, words, typed):
    settings = {OPTIONS[words[0]]: type_of(words[1])}
    kind = (
        RetrievalConfig
        if OPTIONS[words[0]] in {f.name for f in dataclasses.fields(RetrievalConfig)}
        else GenerationConfig
    )
    with pytest.raises(ConfigError) as refused:
        kind(**settings)
    world.fail("ask", refused.value)
    said = run("ask", "Why?", *words).stderr
    assert "--" in said
    assert words[0] in said
    assert not re.search(r"\w_\w", said)
    assert re.match(rf"Error: .*{re.escape(typed.removesuffix('.0'))}", said)


def type_of(text):
    return float(text) if text in ("7", "-1", "2") else int(text)


def test_sizes_of_files_and_of_indexes_have_their_own_options(world):
    world.fail("add", DocumentTooLargeError("It has 9 bytes.", remedy="Raise max_bytes to read it."))
    assert "Raise --max-bytes to read it." in run("add", "a.txt").stderr
    world.fail("add", DiskBudgetError("It has 9 bytes.", remedy="Raise max_bytes, remove documents and prune."))
    assert json_of("add", "a.txt", exit_code=5)["error"]["remedy"] == "Raise --max-disk, remove documents and prune."


def test_warnings_of_documents_name_options(world):
    def warn(_arguments):
        warnings.warn(DocumentWarning("encoding-guessed", "give encoding= if that is wrong"), stacklevel=1)

    world.on["add"] = warn
    assert good("add", "a.txt").stderr == "Warning: encoding-guessed: give --encoding if that is wrong\n"
    assert json_of("list")["documents"][0]["issues"][0]["message"].endswith("give --encoding if that is wrong")
    info = document("a.txt", issues=(Issue("encoding-guessed", "give encoding= if that is wrong"),))
    assert "warning: encoding-guessed: give --encoding if that is wrong" in list(title_lines(info))
