"""ask and chat over a fake index: what is printed, what reaches the engine."""

from __future__ import annotations

import json
import sys
from dataclasses import fields

import pytest

from sharedllm_docs.cli.options import AnswerOptions, QuestionOptions, ScopeOption
from sharedllm_docs.documents.readers import ReadOptions
from sharedllm_docs.errors import DamagedIndexError, InterruptedIngestion, QuestionTooLongError
from sharedllm_docs.retrieval.answer import NOT_SAID, Counts, Timings
from sharedllm_docs.retrieval.query import AskOptions
from tests.cli_fakes import ANSWER, answer, citation, document, installed, not_found
from tests.cli_run import good, json_of, run

INDEX = ".sharedllm-docs"
QUESTION = "How is a vector reversed?"
EFFORT = (
    "confidence 0.93; first token after 0.42 s, all after 1.90 s; 71 chunks of 1 document searched; "
    "24 nodes injected (3,072 rows, 61.2 MB read); 31 tokens asked, 34 answered"
)


@pytest.fixture
def world(monkeypatch):
    made = installed(monkeypatch)
    made.put(INDEX, document("R-intro.pdf"), document("R-data.pdf"))
    return made


# -- what is printed ----------------------------------------------------------------------------------------------


def test_the_answer_is_followed_by_a_line_for_each_page_and_one_for_the_effort(world):
    assert good("ask", QUESTION).stdout.splitlines() == [
        ANSWER,
        "",
        '[1] R-intro.pdf, page 7 (2.1 Vectors and assignment): "rev(x) reverses the elements of x."',
        '[2] R-intro.pdf, page 12 (printed 6): "rev(x) reverses the elements of x."',
        "",
        EFFORT,
    ]


@pytest.mark.parametrize(
    ("documents", "alike", "line"),
    [
        (("a.pdf",), (), "From a.pdf."),
        (("a.pdf", "b.pdf"), (), "From a.pdf and b.pdf."),
        (
            ("a.pdf",),
            ("b.pdf",),
            "From a.pdf. The question fits b.pdf as well: name the one you mean, in the question or with --doc.",
        ),
        (
            ("a.pdf",),
            tuple(f"{letter}.pdf" for letter in "bcdefg"),
            "From a.pdf. The question fits b.pdf, c.pdf, d.pdf and 3 others as well: name the one you mean, "
            "in the question or with --doc.",
        ),
    ],
)
@pytest.mark.parametrize("options", [(), ("--stream",), ("--quiet",)])
def test_of_several_documents_the_answer_says_on_which_it_stands(world, documents, alike, line, options):
    several = Counts(3, 71, 24, 3072, 61_200_000, 31, 34)
    world.answered = lambda question: answer(question, counts=several, documents=documents, alike=alike)
    lines = good("ask", QUESTION, *options).stdout.splitlines()
    assert lines[:3] == [ANSWER, "", line]
    assert lines[3].startswith("[1] R-intro.pdf, page 7")
    assert (json_of("ask", QUESTION)["documents"], json_of("ask", QUESTION)["alike"]) == (list(documents), list(alike))


def test_of_one_document_nothing_is_said_of_others(world):
    world.answered = lambda question: answer(question, documents=("R-intro.pdf",))
    assert "From " not in good("ask", QUESTION).stdout


def test_quiet_leaves_out_the_effort(world):
    lines = good("ask", QUESTION, "--quiet").stdout.splitlines()
    assert lines[0] == ANSWER
    assert EFFORT not in lines
    assert lines[-1].startswith("[2] R-intro.pdf, page 12")


def test_an_answer_that_is_not_in_the_documents_succeeds_and_tells_the_relevance(world):
    world.answered = not_found
    printed = good("ask", QUESTION).stdout.splitlines()
    assert printed[3].startswith("[1] R-intro.pdf, page "), "a reader who doubts it sees where to look"
    assert [*printed[:3], *printed[-2:]] == [
        NOT_SAID,
        "",
        "Nearest passages:",
        "",
        "1.90 s; 71 chunks of 1 document searched; confidence 0.93, best passage's relevance 0.12",
    ]


def test_a_streamed_answer_that_is_declined_afterwards_says_so(world):
    world.answered = lambda question: not_found(question, draft="Fourteen of them.", confidence=0.21)
    told = f"{NOT_SAID} (The words above are not borne out by the text: confidence 0.21.)"
    lines = good("ask", QUESTION, "--stream").stdout.splitlines()
    assert lines[:2] == ["Fourteen of them.", told]
    assert "Nearest passages:" in lines
    whole = good("ask", QUESTION, "--no-stream").stdout
    assert whole.startswith(f"{NOT_SAID}\n")
    assert "Fourteen" not in whole
    pieces = [json.loads(line) for line in good("ask", QUESTION, "--stream", "--json").stdout.splitlines()]
    assert (pieces[-1]["found"], pieces[-1]["text"], pieces[-1]["draft"]) == (False, NOT_SAID, "Fourteen of them.")


def test_an_answer_cut_at_the_limit_says_so(world):
    world.answered = lambda question: answer(question, finish_reason="length")
    assert good("ask", QUESTION).stdout.endswith("34 answered (cut at the limit)\n")


def test_a_document_cannot_drive_the_terminal(world):
    evil = "\x1b]0;title\x07\x1b[2J\x9b31m[bold]markup[/bold] :smile:"
    world.answered = lambda question: answer(question, text=evil, citations=(citation(quote=evil, section=evil),))
    printed = good("ask", QUESTION).stdout + good("ask", QUESTION, "--stream").stdout
    assert not [c for c in printed if ord(c) < 32 and c != "\n"]
    assert "\x9b" not in printed
    assert "[bold]markup[/bold] :smile:" in printed


def test_the_streamed_answer_reads_like_the_whole_one(world):
    assert good("ask", QUESTION, "--stream").stdout == good("ask", QUESTION, "--no-stream").stdout
    assert [name for name, _ in world.calls if name in ("ask", "stream")] == ["stream", "ask"]


def test_without_a_terminal_nothing_is_streamed(world):
    good("ask", QUESTION)
    assert "stream" not in [name for name, _ in world.calls]


def test_ask_json_is_the_answer_with_all_that_belongs_to_it(world):
    printed = json_of("ask", "Wie lautet Übung 7?")
    assert printed["question"] == "Wie lautet Übung 7?"
    assert printed["text"] == ANSWER
    assert [(one["page"], one["page_label"], one["document"]) for one in printed["citations"]] == [
        (7, "", "R-intro.pdf"),
        (12, "6", "R-intro.pdf"),
    ]
    assert printed["counts"]["rows"] == 3072
    assert printed["timings"]["first_token"] == 0.42


def test_streamed_json_is_pieces_and_then_the_answer(world):
    lines = [json.loads(line) for line in good("ask", QUESTION, "--json", "--stream").stdout.splitlines()]
    assert "".join(line["piece"] for line in lines[:-1]) == ANSWER == lines[-1]["text"]


def test_narrow_screens_hang_the_quotes(world):
    lines = good("ask", QUESTION, env={"COLUMNS": "32"}).stdout.splitlines()
    assert max(map(len, lines)) <= 32
    first = next(number for number, line in enumerate(lines) if line.startswith("[1] R-intro.pdf, page 7"))
    assert lines[first + 1].startswith("    ")


# -- what reaches the engine --------------------------------------------------------------------------------------


def test_nothing_is_passed_that_was_not_given(world):
    good("ask", QUESTION)
    assert world.arguments("ask") == {"question": QUESTION}
    assert set(world.arguments("open")) == {"url", "report"}


def test_question_options_reach_the_engine(world):
    options = ("--budget", "512", "--selector", "hidden-state", "--candidates", "3", "--evidence", "64")
    options += ("--floor", "0", "--min-confidence", "0.4", "--citations", "2")
    good("ask", QUESTION, *options, "--doc", "R-intro.pdf", "--doc", "R-data.pdf")
    assert world.arguments("ask") == {
        "question": QUESTION,
        "documents": ["R-intro.pdf", "R-data.pdf"],
        "budget": 512,
        "selector": "hidden-state",
        "candidates": 3,
        "min_confidence": 0.4,
        "evidence_tokens": 64,
        "relevance_floor": 0.0,
        "max_citations": 2,
    }


def test_generation_options_reach_the_engine(world):
    options = ("--max-tokens", "9", "--temperature", "0.7", "--top-p", "0.9", "--top-k", "40", "--seed", "-1")
    good("ask", QUESTION, *options, "--repetition-penalty", "1.1", "--stop", "END", "--stop", "###")
    assert world.arguments("ask") == {
        "question": QUESTION,
        "max_new_tokens": 9,
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 40,
        "repetition_penalty": 1.1,
        "stop": ["END", "###"],
        "seed": None,
    }


def test_every_question_option_is_a_keyword_of_the_engine_and_the_other_way_round():
    """What the engine learns to take, the command line offers; ``retrieval`` and ``generation`` are for Python."""
    groups = (ScopeOption, QuestionOptions, AnswerOptions)
    offered = {field.name for group in groups for field in fields(group)}
    assert offered == set(AskOptions.__annotations__) - {"retrieval", "generation"}


@pytest.mark.parametrize("command", ["ask", "chat"])
def test_where_is_a_filter_in_which_values_of_one_key_are_alternatives(world, command):
    pairs = ("year=2023", " year = 2024 ", "kind=manual", "year=2023", "formula=a=b")
    options = [word for pair in pairs for word in ("--where", pair)]
    good(command, *([QUESTION] if command == "ask" else []), *options, input=QUESTION)
    wanted = {"year": ["2023", "2024"], "kind": ["manual"], "formula": ["a=b"]}
    assert world.arguments("ask") == {"question": QUESTION, "where": wanted}


@pytest.mark.parametrize("pair", ["year", "=2024", "year=", " = ", ""])
@pytest.mark.parametrize("command", ["ask", "chat", "list"])
def test_what_is_no_filter_is_refused_in_one_line(world, command, pair):
    result = run(command, *([QUESTION] if command == "ask" else []), "--where", pair)
    assert result.exit_code == 2
    assert result.stderr == f"Error: --where={pair!r} is not KEY=VALUE. Write it as --where year=2024.\n"
    assert not world.calls


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--budget", "0"), "--budget 0 must be at least 1 row."),
        (("--floor", "2"), "--floor 2.0 must lie in 0..1."),
        (("--selector", "luck"), "--selector luck is not one of 'embedding', 'hidden-state', 'right-half'."),
        (("--temperature", "-1"), "--temperature -1.0 must not be negative."),
        (("--top-p", "0"), "--top-p 0.0 must lie in (0, 1]."),
        (("--stop", ""), "stop strings must not be empty."),
        (("--budget", "many"), "Invalid value for '--budget'"),
    ],
)
def test_bad_settings_are_refused_before_the_index_is_opened(world, options, message):
    result = run("ask", QUESTION, *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not world.calls


def test_the_question_can_come_from_stdin(world):
    good("ask", "-", input="How is\na vector reversed?\n")
    assert world.arguments("ask")["question"] == "How is\na vector reversed?\n"


def test_bytes_of_the_command_line_that_are_no_text_do_not_reach_the_tokenizer(world):
    good("ask", "caf\udce9?")
    assert world.arguments("ask")["question"] == "caf??"


def test_an_empty_question(world):
    result = run("ask", "  ")
    assert result.exit_code == 6
    assert result.stderr == "Error: The question ' ' is empty. Ask something.\n"


def test_an_unknown_document(world):
    result = run("ask", QUESTION, "--doc", "other.pdf")
    assert result.exit_code == 3
    assert "The index has no document 'other.pdf'." in result.stderr


# -- ask --file ---------------------------------------------------------------------------------------------------


def test_ask_a_file_adds_it_first_and_asks_only_it(world):
    good("ask", QUESTION, "--file", "my papers/R lang.pdf", "--pages", "1-9", "--index", "new index")
    assert [name for name, _ in world.calls] == ["open_or_create", "add", "ask", "read"]
    assert world.arguments("add")["encode"] == "when-asked"
    assert world.arguments("add")["source"] == "my papers/R lang.pdf"
    assert world.arguments("add")["options"] == ReadOptions(pages="1-9")
    assert world.arguments("ask")["documents"] == [document("R lang.pdf").key]
    assert list(world.indexes) == [INDEX, "new index"]


def test_the_rest_of_a_file_is_read_after_the_answer_is_printed(world):
    printed = []

    def flushed(_arguments):
        sys.stdout.flush()
        printed.append(sys.stdout.buffer.getvalue().decode())

    world.on["read"] = flushed
    good("ask", QUESTION, "--file", "a.pdf", "--file", "b.pdf", "--file", "a.pdf")
    assert all(ANSWER in text for text in printed)
    read = [arguments["reference"] for name, arguments in world.calls if name == "read"]
    assert read == [document("a.pdf").key, document("b.pdf").key]
    good("ask", QUESTION, "--file", "a.pdf")
    assert [name for name, _ in world.calls].count("read") == 2, "nothing is left to be read"


def test_no_read_on_leaves_the_rest_unread(world):
    good("ask", QUESTION, "--file", "a.pdf", "--no-read-on")
    assert "read" not in [name for name, _ in world.calls]
    assert [info.unread_chunks for info in world.indexes[INDEX].documents()][-1] == 71


INTERRUPTS = [KeyboardInterrupt(), InterruptedIngestion("Interrupted: 9 of 71 chunks.", remedy="Again.")]


@pytest.mark.parametrize("options", [(), ("--stream",), ("--json",), ("--quiet",)])
@pytest.mark.parametrize("interrupt", INTERRUPTS, ids=["here", "of the engine"])
def test_ctrl_c_while_the_rest_is_read_is_no_failure_of_the_answer(world, interrupt, options):
    world.fail("read", interrupt)
    result = run("ask", QUESTION, "--file", "a.pdf", "--file", "b.pdf", *options)
    assert result.exit_code == 0
    assert ANSWER.split()[0] in result.stdout
    assert '"error"' not in result.stdout
    assert "Error" not in result.stderr
    assert "Interrupted" not in result.stderr
    assert [name for name, _ in world.calls].count("read") == 1, "the other file is not read either"
    if "--quiet" not in options:
        assert "Stopped reading a.pdf, b.pdf; what was read is kept in .sharedllm-docs." in result.stderr
        assert "`sharedllm-docs read` reads the rest." in result.stderr


@pytest.mark.parametrize("interrupt", INTERRUPTS, ids=["here", "of the engine"])
def test_ctrl_c_before_the_answer_is_told_as_such(world, interrupt):
    world.fail("ask", interrupt)
    result = run("ask", QUESTION, "--file", "a.pdf")
    assert result.exit_code == 130
    assert result.stderr.startswith("Error: Interrupted")


def test_before_the_rest_is_read_it_says_so_and_how_to_stop(world):
    told = good("ask", QUESTION, "--file", "a.pdf", "--file", "R-data.pdf").stderr
    assert told.count("Reading the rest") == 1, "R-data.pdf is wholly read"
    assert "for later questions: 71 of 71 chunks of a.pdf. Ctrl-C stops it, --no-read-on omits it" in told
    for silent in (("--quiet",), ("--json",), ("--no-read-on",)):
        assert "Reading the rest" not in good("ask", QUESTION, "--file", "new.pdf", *silent).stderr


def test_an_answer_says_what_was_encoded_for_it(world):
    counts, timings = Counts(1, 71, 24, 3072, 61_200_000, 31, 34, chunks_encoded=4), Timings(0.1, 0, 0, 6.0, 4.2)
    world.answered = lambda question: answer(question, counts=counts, timings=timings)
    assert "71 chunks of 1 document searched, 4 encoded for it in 4.20 s;" in good("ask", QUESTION).stdout


def test_files_join_the_documents_named(world):
    good("ask", QUESTION, "--doc", "R-data.pdf", "--file", "a.pdf", "--file", "b.pdf")
    assert world.arguments("ask")["documents"] == ["R-data.pdf", document("a.pdf").key, document("b.pdf").key]


def test_reading_options_without_a_file_are_refused(world):
    result = run("ask", QUESTION, "--pages", "1-9", "--max-pages", "9")
    assert result.exit_code == 2
    assert "--max-pages, --pages tells how a file is read, and there is no --file." in result.stderr


# -- chat ---------------------------------------------------------------------------------------------------------


def test_chat_answers_line_by_line_until_the_end(world):
    result = good("chat", "--doc", "R-data.pdf", input="First?\n\n  Second?  \n")
    asked = [arguments for name, arguments in world.calls if name == "ask"]
    assert [one["question"] for one in asked] == ["First?", "Second?"]
    assert asked[0]["documents"] == ["R-data.pdf"]
    assert result.stdout.count(ANSWER) == 2
    assert result.stdout.count("R-intro.pdf, page 7, page 12\n") == 2
    assert [name for name, _ in world.calls].count("open") == 1


def test_chat_quits(world):
    good("chat", input="First?\n/quit\nSecond?\n")
    assert [name for name, _ in world.calls if name == "ask"] == ["ask"]


def test_chat_commands(world):
    printed = good("chat", "-q", input="/sources\n/docs\nFirst?\n/sources\n/help\n").stdout.splitlines()
    assert printed[0] == "No answer yet."
    assert printed[2].startswith("R-intro.pdf ")
    assert '[1] R-intro.pdf, page 7 (2.1 Vectors and assignment): "rev(x) reverses the elements of x."' in printed
    assert printed[-1].startswith("/quit ")


def test_chat_without_passages_has_no_sources(world):
    world.answered = not_found
    printed = good("chat", input="First?\n/sources\n").stdout
    assert "The last answer is based on no passage. Nearest to the question:\n[1] R-intro.pdf, page " in printed


def test_chat_goes_on_after_a_bad_question_or_command(world):
    def refuse(arguments):
        if arguments["question"] == "Long?":
            raise QuestionTooLongError("9,000 tokens, the window has 8,192.", remedy="Ask less.")

    world.on["ask"] = refuse
    result = good("chat", input="Long?\n/what\nShort?\n")
    assert result.stderr.splitlines() == [
        "Error: 9,000 tokens, the window has 8,192. Ask less.",
        "Error: There is no command '/what'. Known: /docs, /sources, /help, /quit.",
    ]
    assert ANSWER in result.stdout


def test_chat_ends_at_damage(world):
    world.fail("ask", DamagedIndexError("shards/ab is damaged.", remedy="Run verify."))
    result = run("chat", input="First?\nSecond?\n")
    assert result.exit_code == 5
    assert result.stderr == "Error: shards/ab is damaged. Run verify.\n"


def test_chat_json_is_a_line_for_each_turn(world):
    world.on["ask"] = lambda arguments: None
    typed = "First?\n/docs\n/sources\n/help\n/what\n"
    lines = [json.loads(line) for line in good("chat", "--json", input=typed).stdout.splitlines()]
    assert lines[0]["text"] == ANSWER
    assert [info["name"] for info in lines[1]["documents"]] == ["R-intro.pdf", "R-data.pdf"]
    assert [one["page"] for one in lines[2]["citations"]] == [7, 12]
    assert len(lines[3]["help"]) == 4
    assert lines[4]["error"]["exit_code"] == 6


def test_chat_can_stream(world):
    assert ANSWER in good("chat", "--stream", input="First?\n").stdout
    assert "stream" in [name for name, _ in world.calls]


def test_a_quote_over_a_page_break_names_both_pages():
    from sharedllm_docs.cli.render import place

    assert place(citation(7, last_page=8, section="")) == "R-intro.pdf, pages 7-8"
    assert place(citation(7, section="", page_label="1")) == "R-intro.pdf, page 7 (printed 1)"
