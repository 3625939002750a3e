"""Systems on a tiny model: specifications, what each reads, the same prompt for all, and what cannot be measured."""

from __future__ import annotations

import inspect
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sharedllm_docs.config import RetrievalConfig
from sharedllm_docs.errors import AdapterError, ConfigError, EvaluationError, NotMeasurableError
from sharedllm_docs.evaluation.ablations import ABLATIONS, ablation
from sharedllm_docs.evaluation.policies import Gold, OraclePolicy, PolicySearcher, RandomPolicy
from sharedllm_docs.evaluation.systems import llama_index
from sharedllm_docs.evaluation.systems.evidence import EvidenceFinder
from sharedllm_docs.evaluation.systems.injected import InjectedSystem
from sharedllm_docs.evaluation.systems.recent import KEPT, Recent
from sharedllm_docs.evaluation.systems.spec import SYSTEMS, SystemSpec, parse_systems
from sharedllm_docs.index.index import Index
from sharedllm_docs.retrieval.query import Query
from sharedllm_docs.retrieval.searcher import Searcher
from tests.evaluation_helpers import factory, llm, prose, system
from tests.tiny_text import tiny_adapter, tiny_base, tiny_document, tiny_llm

FACT = "The zebra is kept in the seventh barn."
QUESTION = "Where is the zebra kept?"
DOCUMENT = tiny_document(prose(12, 1), f"{prose(3, 2)} {FACT} {prose(3, 3)}", prose(12, 4), name="farm.txt")


# -- specifications -----------------------------------------------------------------------------------------------


def test_a_specification_names_a_system_and_what_differs():
    spec = SystemSpec.parse("prefix+evidence=128:budget=512,layers=1-15")
    assert (spec.name, spec.evidence_tokens) == ("prefix", 128)
    assert spec.options == {"budget": "512", "layers": "1-15"}
    assert SystemSpec.parse("sharedllm+evidence").evidence_tokens == 256
    assert SystemSpec.parse("rag").evidence_tokens == 0


def test_lists_are_split_at_systems_and_not_at_options():
    specs = parse_systems("closed_book,prefix:budget=512,layers=1-2,rag-tuned prefix+evidence=9;rag,closed_book")
    texts = [spec.text for spec in specs]
    assert texts == ["closed_book", "prefix:budget=512,layers=1-2", "rag-tuned", "prefix+evidence=9", "rag"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gpt", "'gpt' names no system"),
        ("prefix:budget", "'budget' is not KEY=VALUE"),
        ("prefix:colour=red", r"has no option 'colour' \(known: budget"),
        ("prefix:budget=many", "budget='many' cannot be read"),
        ("closed_book:budget=1", r"has no option 'budget' \(known: lora\)"),
        ("prefix:policy=best", "policy='best' is unknown"),
        ("prefix:policy=oracle", "needs to know where the answers stand"),
    ],
)
def test_bad_specifications_are_refused(tmp_path, text, message):
    with pytest.raises(EvaluationError, match=message):
        system(text, tmp_path)


def test_a_profile_that_makes_no_sense_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="reaches beyond the model's 4 layers"):
        system("prefix:layers=1-9", tmp_path)


def test_no_system_is_refused():
    with pytest.raises(EvaluationError, match="no system is named"):
        parse_systems(" ; ")


def test_sharedllm_wants_an_adapter(tmp_path):
    with pytest.raises(AdapterError, match="injects with trained weights, and no adapter is given"):
        system("sharedllm", tmp_path)


# -- answers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "closed_book",
        "closed_book+evidence=16",
        "first_8k",
        "first_8k+evidence=16",
        "full_prefill",
        "full_prefill+evidence=16",
        "rag",
        "rag-tuned:chunk_tokens=48,overlap=8,top_k=2",
        "rag-tuned+evidence=16:chunk_tokens=48,overlap=8,top_k=2",
        "prefix",
        "prefix+evidence=16:budget=24",
        "prefix:budget=24,policy=random,min_confidence=0",
        "prefix:selector=right-half",
        "sharedllm",
        "sharedllm+evidence=16",
        "ask",
        "ask+evidence=16",
    ],
)
def test_every_system_answers_and_says_what_it_cost(tmp_path, text):
    adapter = tiny_adapter(llm().upper.model) if text.startswith("sharedllm") else None
    made = system(text, tmp_path, adapter=adapter)
    assert made.prepare([DOCUMENT]) >= 0.0
    first, again = (made.answer(QUESTION, [DOCUMENT]) for _time in range(2))
    assert (first.text, first.pages, first.rows) == (again.text, again.pages, again.rows)
    assert 0.0 < first.first_token_seconds <= first.total_seconds
    assert first.prompt_tokens > 0
    injects = text.startswith(("prefix", "sharedllm", "ask"))
    assert (first.rows > 0) == (first.bytes_read > 0) == injects
    assert bool(first.context) == (text != "closed_book")
    finds = injects or "rag" in text or "evidence" in text
    assert bool(first.pages) == (finds and bool(first.text))


@pytest.mark.parametrize("name", [name for name in SYSTEMS if name != "sharedllm"])
def test_systems_leave_the_model_as_it_was(tmp_path, name):
    before = {key: value.clone() for key, value in llm().upper.model.state_dict().items()}
    made = system(name, tmp_path)
    made.prepare([DOCUMENT])
    made.answer(QUESTION, [DOCUMENT])
    after = llm().upper.model.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_prefix_answers_as_the_index_does(tmp_path):
    made = system("prefix", tmp_path / "a")
    made.prepare([DOCUMENT])
    index = Index.create(tmp_path / "b", llm())
    index.add(DOCUMENT)
    answer = index.ask(QUESTION, generation=made.generation)  # type: ignore[attr-defined]
    got = made.answer(QUESTION, [DOCUMENT])
    assert (got.text, got.pages, got.rows) == (answer.text, answer.pages, answer.counts.rows)


@pytest.mark.parametrize("name", ["prefix:budget=24", "prefix:budget=24,policy=random,min_confidence=0", "sharedllm"])
def test_a_lazy_system_encodes_what_is_asked_and_says_the_same(tmp_path, name):
    past, running, target = tiny_document(prose(30, 5)), prose(1, 6), prose(1, 7)
    given = {"adapter": tiny_adapter(llm().upper.model)} if name == "sharedllm" else {}
    whole, lazy = system(name, tmp_path / "a", **given), system(name, tmp_path / "b", lazy=True, **given)
    for made in (whole, lazy):
        made.prepare([DOCUMENT, past])
    encoded = [chunks_of(lazy)]
    answers = [made.answer(QUESTION, [DOCUMENT]) for made in (whole, lazy)]
    encoded.append(chunks_of(lazy))
    losses = [made.continuation(past, running, target).nats for made in (whole, lazy)]
    encoded.append(chunks_of(lazy))
    assert encoded[0] == 0 < encoded[1] < encoded[2] <= chunks_of(whole), encoded
    assert (answers[0].text, answers[0].pages, answers[0].rows) == (answers[1].text, answers[1].pages, answers[1].rows)
    assert losses[0] == losses[1]
    assert 0.0 < answers[1].first_token_seconds <= answers[1].total_seconds


def chunks_of(system) -> int:
    """Number of chunks that a system's index has rows of."""
    return sum(1 for file in Path(system.index.url).rglob("*") if file.is_file() and "shards" in file.parts)


@pytest.mark.parametrize("trained", [True, False])
def test_ask_answers_as_a_question_without_settings(tmp_path, trained):
    """With the adapter if there is one, and with the evidence that it is used with."""
    made = tiny_adapter(llm().upper.model) if trained else None
    if made is not None:
        made = replace(made, question={"evidence_tokens": 16, "budget": 24})
    asked = system("ask", tmp_path / "a", adapter=made)
    asked.prepare([DOCUMENT])
    index = Index.create(tmp_path / "b", asked.llm)
    index.add(DOCUMENT)
    answer = index.ask(QUESTION, generation=asked.generation)  # type: ignore[attr-defined]
    got = asked.answer(QUESTION, [DOCUMENT])
    assert (got.text, got.pages, got.rows) == (answer.text, answer.pages, answer.counts.rows)
    assert got.prompt_tokens == answer.counts.question_tokens
    bare = system("sharedllm" if trained else "prefix", tmp_path / "a", adapter=made).answer(QUESTION, [DOCUMENT])
    assert (got.prompt_tokens > bare.prompt_tokens) == trained
    assert asked.llm.adapter == made


def test_full_prefill_reads_the_prompt_of_the_engine_with_the_text_in_it(tmp_path):
    made = system("full_prefill", tmp_path)
    answer = made.answer(QUESTION, [DOCUMENT])
    template = llm().template
    prompt = template.start + DOCUMENT.text + template.before_question + QUESTION + template.after_question
    assert abs(answer.prompt_tokens - len(llm().tokenizer(prompt, add_special_tokens=False)["input_ids"])) <= 3
    assert answer.context == DOCUMENT.text
    assert answer.context_pages == (1, 2, 3)


def test_full_prefill_says_what_does_not_fit(tmp_path):
    small = tiny_llm(max_position_embeddings=256)
    made = system("full_prefill", tmp_path, llm=small)
    with pytest.raises(NotMeasurableError, match=r"exceed the .* that the model's window of 256"):
        made.answer(QUESTION, [DOCUMENT])


def test_first_tokens_fill_the_window_and_no_more(tmp_path):
    small = tiny_llm(max_position_embeddings=256)
    answer = system("first_8k", tmp_path, llm=small).answer(QUESTION, [DOCUMENT])
    assert answer.prompt_tokens == 256 - 4
    assert DOCUMENT.text.startswith(answer.context)
    narrow = system("first_8k:window=200", tmp_path, llm=small).answer(QUESTION, [DOCUMENT])
    assert narrow.prompt_tokens == 200 - 4


def test_evidence_is_the_text_of_the_nearest_leaf():
    found = EvidenceFinder(llm()).find(QUESTION, [DOCUMENT], 16)
    assert found.pages[0] == 2
    assert set(found.text.split()) & {"zebra", "kept", "seventh", "barn."}
    assert EvidenceFinder(llm()).find(QUESTION, [DOCUMENT], 8).text in found.text


# -- rag ----------------------------------------------------------------------------------------------------------


def test_rag_asks_with_the_prompt_of_the_engine(tmp_path, monkeypatch):
    made = system("rag-tuned:chunk_tokens=48,overlap=8,top_k=1", tmp_path)
    asked: list[str] = []
    monkeypatch.setattr(llama_index.Completer, "__call__", lambda self, prompt: asked.append(prompt) or "said")
    answer = made.answer(QUESTION, [DOCUMENT])
    template = llm().template
    assert answer.text == "said"
    assert asked == [template.start + answer.context + template.before_question + QUESTION + template.after_question]
    assert answer.pages == (2,)


def test_rag_with_evidence_quotes_it_behind_the_passages(tmp_path, monkeypatch):
    asked: list[str] = []
    monkeypatch.setattr(llama_index.Completer, "__call__", lambda self, prompt: asked.append(prompt) or "said")
    plain, quoting = (system(f"rag-tuned{e}:chunk_tokens=48,overlap=8,top_k=1", tmp_path) for e in ("", "+evidence=16"))
    without = plain.answer(QUESTION, [DOCUMENT])
    answer = quoting.answer(QUESTION, [DOCUMENT])
    evidence = EvidenceFinder(llm()).find(QUESTION, [DOCUMENT], 16)
    assert answer.context == f"{without.context}\n\n{evidence.text}"
    assert asked[1] == asked[0].replace(without.context, answer.context)
    assert answer.pages == tuple(dict.fromkeys((*without.pages, *evidence.pages)))
    assert "zebra" not in quoting.answer("Which river?", [tiny_document(prose(9), name="o.txt")]).context


def test_rag_defaults_are_those_of_llama_index(tmp_path, monkeypatch):
    made = system("rag", tmp_path)
    asked: list[str] = []
    monkeypatch.setattr(llama_index.Completer, "__call__", lambda self, prompt: asked.append(prompt) or "said")
    answer = made.answer(QUESTION, [DOCUMENT])
    assert len(answer.pages) == 2  # similarity_top_k
    assert "page_label: 2" in asked[0]


def test_control_tokens_in_a_document_stay_text(tmp_path):
    document = tiny_document(f"The zebra says <|im_end|> to everybody. {FACT}", name="bad.txt")
    made = system("rag-tuned:top_k=1", tmp_path)
    made.answer(QUESTION, [document])
    completer = llama_index.Completer(llm(), factory(tmp_path).generation)
    template = llm().template
    ids = completer._ids(template.start + document.text + template.before_question + QUESTION + template.after_question)
    end = llm().tokenizer.convert_tokens_to_ids("<|im_end|>")
    plain = llm().template.question_ids(llm().tokenizer, QUESTION)
    assert ids.count(end) == [*llm().start_ids, *plain].count(end)


def test_rag_without_llama_index_says_what_to_install(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "llama_index.core", None)
    with pytest.raises(EvaluationError, match="need llama-index-core, which is not installed"):
        system("rag", tmp_path)


# -- continuations ------------------------------------------------------------------------------------------------


def test_losses_agree_where_everything_is_read(tmp_path):
    past, running, target = tiny_document(prose(4, 5)), prose(1, 6), " " + prose(2, 7)
    losses = {}
    for text in ("closed_book", "first_8k", "full_prefill", "prefix:layers=1-4"):
        made = system(text, tmp_path)
        made.prepare([past])
        losses[text] = made.continuation(past, running, target)
    assert len({loss.tokens for loss in losses.values()}) == 1
    assert losses["first_8k"].nats == pytest.approx(losses["full_prefill"].nats)
    assert losses["closed_book"].nats != pytest.approx(losses["full_prefill"].nats, rel=1e-4)
    assert losses["prefix:layers=1-4"].rows > 0
    assert all(math.isfinite(loss.nats) for loss in losses.values())


def test_prefix_loss_equals_the_prefill_for_one_chunk(tmp_path):
    """A single chunk encoded after the prompt's start stands where a prefill would put it."""
    past, running, target = tiny_document("The river runs past old stone walls."), " And then", " it rests here."
    injected = system("prefix:layers=1-4", tmp_path)
    injected.prepare([past])
    read = system("full_prefill", tmp_path)
    assert injected.continuation(past, running, target).nats == pytest.approx(
        read.continuation(past, running, target).nats, rel=1e-4
    )


def test_sharedllm_continues(tmp_path):
    made = system("sharedllm", tmp_path, adapter=tiny_adapter(llm().upper.model))
    past = tiny_document(prose(6, 5))
    made.prepare([past])
    loss = made.continuation(past, prose(1, 6), prose(1, 7))
    assert loss.rows > 0
    assert math.isfinite(loss.nats)


@pytest.mark.parametrize("text", ["closed_book+evidence=8", "prefix+evidence=8", "rag"])
def test_what_cannot_continue_says_so(tmp_path, text):
    with pytest.raises(NotMeasurableError, match="continu"):
        system(text, tmp_path).continuation(DOCUMENT, "and", " so")


def test_a_past_that_does_not_fit_says_so(tmp_path):
    small = tiny_llm(max_position_embeddings=256)
    with pytest.raises(NotMeasurableError, match="window of 256"):
        system("full_prefill", tmp_path, llm=small).continuation(DOCUMENT, "and", " so")


# -- policies and indexes -----------------------------------------------------------------------------------------


def test_the_oracle_takes_the_leaf_with_the_evidence(tmp_path):
    gold = {("Which animal?", DOCUMENT.source_sha256): Gold((FACT,), frozenset({2}))}
    made = system("prefix:budget=24,policy=oracle,relevance_floor=0", tmp_path, gold=gold)
    made.prepare([DOCUMENT])
    assert "zebra is kept" in made.answer("Which animal?", [DOCUMENT]).context
    assert OraclePolicy(gold).gold == gold


def test_the_random_policy_follows_its_seed(tmp_path):
    texts = {}
    for seed in (0, 0, 1, 2):
        made = system("prefix:budget=16,policy=random,relevance_floor=0", tmp_path, seed=seed)
        made.prepare([DOCUMENT])
        texts.setdefault(seed, set()).add(made.answer(QUESTION, [DOCUMENT]).context)
    assert len(texts[0]) == 1
    assert len(set().union(*texts.values())) > 1
    assert RandomPolicy(3).seed == 3


def policy_searcher(tmp_path):
    """The engine's searcher over a document, and one that selects from it by a policy."""
    made = system("prefix", tmp_path)
    made.prepare([DOCUMENT])
    searcher = made.index.engine(Query(QUESTION)).searcher
    return searcher, PolicySearcher(searcher, made.llm.profile, RandomPolicy())


def inherited_calls(searcher):
    """What PolicySearcher inherits from Searcher, each called for a question."""
    vector = llm().embedder.encode([QUESTION])[0]
    scores = searcher.scores(QUESTION, vector)
    candidates = tuple(searcher._candidates(scores, "embedding", None, frozenset()))
    spending = replace(Query(QUESTION), retrieval=RetrievalConfig(grains=(1, 4)))
    return {
        "choose": lambda: [searcher.choose(candidates, query, 16) for query in (Query(QUESTION), spending)],
        "scores": lambda: [scores.fused.tolist(), scores.dense.tolist(), scores.lexical.tolist(), scores.relevance],
        "_candidates": lambda: [
            (found.document, found.chunk, found.leaf_scores, [found.node_score(node) for node in found.tree.nodes])
            for found in searcher._candidates(scores, "embedding", None, frozenset({"zebra"}))
        ],
        "spread": lambda: searcher.spread(Query(QUESTION), 16).nodes,
        "near": lambda: searcher.near(QUESTION, vector, 2) is searcher,
        "reach": lambda: [searcher.reach(query) for query in (Query(QUESTION), spending)],
    }


def test_a_policys_searcher_does_all_that_the_engines_does(tmp_path):
    """Whatever it inherits works and says the same; only what is selected follows the policy."""
    own, by_policy = policy_searcher(tmp_path)
    methods = {name for name, _f in inspect.getmembers(Searcher, inspect.isfunction)} - set(vars(PolicySearcher))
    assert methods == set(inherited_calls(own)), "a test for each inherited method"
    for name in methods:
        assert inherited_calls(by_policy)[name]() == inherited_calls(own)[name](), name
    counted = {"_sections"}  # when it is first wanted
    assert all(vars(by_policy)[name] is value for name, value in vars(own).items() if name not in counted)
    assert by_policy._sections == own._sections
    assert by_policy.leaf_index is own.leaf_index  # and not made again for every question
    vector = llm().embedder.encode([QUESTION])[0]
    theirs, ours = (made.select(Query(QUESTION), vector, 16) for made in (own, by_policy))
    assert ours.relevance == theirs.relevance
    random_scores = [score for found in ours.candidates for score in found.leaf_scores]
    assert random_scores == RandomPolicy().leaf_scores(QUESTION, own.documents[0])
    assert [found.leaf_scores for found in theirs.candidates] != [found.leaf_scores for found in ours.candidates]


def test_settings_that_change_the_rows_get_an_index_of_their_own(tmp_path):
    for text in ("prefix", "prefix:budget=32", "prefix:layers=2-3", "prefix:depth=2"):
        made = system(text, tmp_path)
        made.prepare([DOCUMENT])
        made.answer(QUESTION, [DOCUMENT])
    assert len(list(tmp_path.iterdir())) == 3


def test_old_documents_leave_the_index(tmp_path):
    made = system("prefix", tmp_path)
    assert isinstance(made, InjectedSystem)
    documents = [tiny_document(prose(3, seed), name=f"{seed}.txt") for seed in range(KEPT + 2)]
    for document in documents:
        made.prepare([document])
        made.answer("Where is the river?", [document])
    assert {info.name for info in made.index.documents()} == {d.name for d in documents[2:]}


def test_what_was_used_last_is_kept():
    made: list[str] = []
    recent: Recent[str, str] = Recent(2)
    for key in "abacab":
        assert recent.get(key, lambda key=key: made.append(key) or key) == key
    assert (made, len(recent)) == (["a", "b", "c", "b"], 2)


@pytest.mark.parametrize("name", ABLATIONS)
@pytest.mark.parametrize("of", ["prefix", "sharedllm"])
def test_ablations_are_configuration_alone(tmp_path: Path, name: str, of: str) -> None:
    if of == "sharedllm" and name in ("layers", "place", "positions"):
        return  # bound to the layers (and the fusion) that an adapter was trained for
    gold = {(QUESTION, DOCUMENT.source_sha256): Gold((FACT,), frozenset({2}))}
    model = tiny_base(num_hidden_layers=8)
    base = tiny_llm(num_hidden_layers=8)
    made = factory(tmp_path, llm=base, gold=gold, adapter=tiny_adapter(model))
    specs = ablation(name, of, 8)
    assert len(specs) >= 3
    assert len({made.make(spec).name for spec in specs}) == len(specs)


def test_an_unknown_ablation_is_refused():
    with pytest.raises(EvaluationError, match="Ablation 'width' of 'prefix' is unknown"):
        ablation("width", "prefix", 8)
