"""Measures the README's figures: `python benchmarks/readme_figures.py [first-token|ingestion|size|memory]`.

Every timing is a ratio whose two sides are measured in one run, interleaved; medians. Results are printed and kept as
JSON in benchmarks/results/.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from sharedllm_docs import GenerationConfig, Index, Profile, ReadOptions, SharedLLM
from sharedllm_docs.documents.document import Document, Page
from sharedllm_docs.documents.readers import read_document
from sharedllm_docs.evaluation.memory import high_water_mark
from sharedllm_docs.injection.cross_attention import CrossAttention
from sharedllm_docs.model.adapter import Adapter

ROOT = Path(__file__).resolve().parent.parent
PDF = ROOT / "examples" / "R-intro.pdf"
RESULTS = Path(__file__).resolve().parent / "results"
QUESTIONS = (
    "How do I quit R?",
    "What does the function tapply do?",
    "Which operator is used for assignment?",
    "How are missing values represented?",
    "What is an array?",
    "How can I read a data frame from a file?",
    "Which function draws a histogram?",
    "What does the hat symbol mean in a model formula?",
    "How do I write a loop?",
    "What is lexical scoping?",
)
ONE_TOKEN = GenerationConfig(max_new_tokens=1)


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def machine() -> dict[str, object]:
    """The machine that the figures were measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def first_token() -> dict[str, object]:
    """Time to the first token: stored index, prefill of 8,000 tokens, prefill of the selected text as a prompt."""
    with tempfile.TemporaryDirectory() as folder:
        index = Index.create(folder, SharedLLM.from_pretrained(profile="prefix"))
        index.add(PDF)
        llm = index.llm
        ids = llm.tokenizer(read_document(PDF).text, verbose=False)["input_ids"]
        index.ask("Is everything loaded?", generation=ONE_TOKEN)
        sides: dict[str, list[float]] = {"stored index": [], "prefill of 8,000 tokens": [], "same text as prompt": []}
        for number, question in enumerate(QUESTIONS):
            answer = index.ask(question, generation=ONE_TOKEN)
            sides["stored index"].append(answer.timings.first_token)
            prompt = _selected_prompt(index, question)
            sides["same text as prompt"].append(seconds(lambda prompt=prompt: _prefill(llm, prompt)))
            if number % 4 == 0:
                sides["prefill of 8,000 tokens"].append(seconds(lambda: _prefill(llm, ids[:8000])))
    medians = {name: statistics.median(times) for name, times in sides.items()}
    ours = medians["stored index"]
    return {
        "median seconds": medians,
        "spread": {name: [min(times), max(times)] for name, times in sides.items()},
        "rows injected": answer.counts.rows,
        "(a) prefill of 8,000 tokens / stored index": medians["prefill of 8,000 tokens"] / ours,
        "(b) same text as prompt / stored index": medians["same text as prompt"] / ours,
    }


def _selected_prompt(index: Index, question: str) -> list[int]:
    """Time to the first token with the tokens whose rows are injected as an ordinary prompt."""
    llm = index.llm
    selection = index.select(question, generation=ONE_TOKEN)
    tokens: list[int] = []
    for node in selection.nodes:
        document = selection.documents[node.document]
        start = document.trees[node.chunk].chunk.start
        tokens.extend(document.tokens.ids[start + node.node.start : start + node.node.end].tolist())
    return [*llm.start_ids, *tokens, *llm.template.question_ids(llm.tokenizer, question)]


@torch.inference_mode()
def _prefill(llm: SharedLLM, ids: list[int]) -> int:
    """An ordinary forward pass of transformers to the first token."""
    out = llm.upper.model(torch.tensor([ids]), logits_to_keep=1)
    return int(out.logits[0, -1].argmax())


def ingestion() -> dict[str, object]:
    """Tokens per second of the whole ingestion, against the bare forward pass over the same chunks."""
    llm = SharedLLM.from_pretrained(profile="prefix")
    llm.embedder.encode(["loaded"])
    ids = llm.tokenizer(read_document(PDF).text, verbose=False)["input_ids"]
    chunks = [ids[start : start + 1024] for start in range(0, len(ids), 1024)]

    @torch.inference_mode()
    def bare() -> None:
        """transformers' own forward pass, ended after the last layer that is stored."""
        config = llm.upper.decoder.config
        layers, config.num_hidden_layers = config.num_hidden_layers, llm.profile.injection_layers.stop
        try:
            for chunk in chunks:
                llm.upper.decoder(torch.tensor([chunk]), use_cache=False)
        finally:
            config.num_hidden_layers = layers

    bare_rates, our_rates, parts = [], [], {}
    for _repeat in range(2):
        bare_rates.append(len(ids) / seconds(bare))
        with tempfile.TemporaryDirectory() as folder:
            index = Index.create(folder, llm)
            added = index.add(PDF)
        our_rates.append(added.document.tokens / added.seconds)
        parts = added.stage_seconds
    ours, theirs = statistics.median(our_rates), statistics.median(bare_rates)
    return {
        "ingestion tokens/s": ours,
        "bare forward tokens/s": theirs,
        "ratio": ours / theirs,
        "spread of ratio": sorted(o / b for o, b in zip(our_rates, bare_rates, strict=True)),
        "seconds by stage (last repeat)": parts,
    }


def size() -> dict[str, object]:
    """Bytes per token on disk, for each profile and dtype, against the estimate made before encoding."""
    llm = SharedLLM.from_pretrained(profile="prefix")
    rows = []
    for name, dtype in [(n, d) for n in ("prefix", "sharedllm") for d in ("int4", "int8", "bfloat16", "float32")]:
        profile = replace(llm.profile, store_dtype=dtype) if name == "prefix" else Profile.sharedllm(store_dtype=dtype)
        adapter = _untrained(llm, profile) if name == "sharedllm" else None
        made = SharedLLM.from_model(
            llm.upper.model, llm.tokenizer, profile=profile, adapter=adapter, embedder=llm.embedder, name=llm.name
        )
        with tempfile.TemporaryDirectory() as folder:
            index = Index.create(folder, made)
            options = ReadOptions(pages="1-20")
            estimate = index.estimate(PDF, options=options).total
            document = index.add(PDF, options=options).document
            rows.append(
                {
                    "profile": name,
                    "dtype": dtype,
                    "bytes a token": document.bytes / document.tokens,
                    "real / estimate": document.bytes / estimate,
                }
            )
    return {"pages": "1-20", "rows": rows}


def _untrained(llm: SharedLLM, profile: Profile) -> Adapter:
    """Blocks with random weights, which suffice to measure sizes."""
    resolved = profile.resolve(llm.upper.num_layers)
    weights = {
        f"layers.{layer}.cross_attn.{name}": tensor
        for layer in resolved.injection_layers
        for name, tensor in CrossAttention(llm.upper).state_dict().items()
    }
    return Adapter(resolved, weights, {"untrained": True})


def memory() -> dict[str, object]:
    """Peak memory of processes that ingest and that ask, for R-intro and a document five times as long."""
    peaks: dict[str, dict[str, float]] = {}
    for name, times in (("R-intro", 1), ("five times R-intro", 5)):
        with tempfile.TemporaryDirectory() as folder:
            peaks[name] = {what: _peak_of_child(what, folder, times) for what in ("load", "ingest", "ask")}
    return {"peak MB": peaks}


def _peak_of_child(what: str, folder: str, times: int) -> float:
    command = [sys.executable, __file__, f"child-{what}", "--folder", folder, "--times", str(times)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def _child(what: str, folder: str, times: int) -> None:
    """Ingest or ask in this process and print its peak resident memory in MB."""
    if what == "child-ask":
        index = Index.open(folder)
        for question in QUESTIONS:
            index.ask(question, generation=ONE_TOKEN)
    else:
        index = Index.open_or_create(f"{folder}/{what}" if what == "child-load" else folder)
        index.llm.embedder.encode(["loaded"])
        if what == "child-ingest":
            index.add(_repeated(times))
    # not getrusage: a child begins with the peak of the process that started it, which has measured other things
    print((high_water_mark(Path("/proc/self/status").read_text()) or 0) / 1e6)


def _repeated(times: int) -> Document:
    """R-intro repeated ``times`` times, each time from another page on, so that no two chunks are alike."""
    document = read_document(PDF)
    texts = [page.text for turn in range(times) for page in (*document.pages[turn:], *document.pages[:turn])]
    pages = tuple(Page(number, text) for number, text in enumerate(texts, start=1))
    return Document(f"R-intro-{times}", f"{times:064d}", "text", "figures", pages)


FIGURES = {"first-token": first_token, "ingestion": ingestion, "size": size, "memory": memory}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    children = [f"child-{what}" for what in ("load", "ingest", "ask")]
    parser.add_argument("figures", nargs="*", choices=[*FIGURES, *children, []], default=[])
    parser.add_argument("--folder", default="")
    parser.add_argument("--times", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.figures and arguments.figures[0] in children:
        _child(arguments.figures[0], arguments.folder, arguments.times)
        return
    RESULTS.mkdir(exist_ok=True)
    for name in arguments.figures or FIGURES:
        result = {"figure": name, "machine": machine(), **FIGURES[name]()}
        text = json.dumps(result, indent=2)
        (RESULTS / f"readme-{name}.json").write_text(text + "\n", encoding="utf-8")
        print(text, flush=True)


if __name__ == "__main__":
    main()
