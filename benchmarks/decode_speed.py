"""Decode speed: `python benchmarks/decode_speed.py [--rows 16384] [--tokens 24] [--repeats 5] [--dtype auto]`.

Milliseconds a generated token with injected rows, through this package's own generation, against transformers' model
after a short prompt (greedy, its own cache), interleaved in one run; medians. Where steps go by weights in eight bits,
the same by the model's own weights, too. Beside them what reading the injected rows costs alone. Rows and
cross-attention blocks are random: speed does not depend on their values.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from sharedllm_docs import GenerationConfig, Profile, SharedLLM
from sharedllm_docs.architectures.base import Architecture
from sharedllm_docs.injection.cross_attention import CrossAttention
from sharedllm_docs.injection.decode_step import for_steps
from sharedllm_docs.injection.decoder import InjectedDecoder, Injection
from sharedllm_docs.injection.generate import finished, generate
from sharedllm_docs.injection.row_attention import attend_to_rows
from sharedllm_docs.model.adapter import Adapter

CLOCK = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
"""CPU seconds if one thread computes, so that a busy machine does not count; otherwise wall time."""
PROMPT = "Once upon a time there was a"


@dataclass(frozen=True)
class Setting:
    """A profile and a number of injected rows."""

    name: str
    profile: Profile
    rows: int


def settings(rows: int) -> list[Setting]:
    """The cases measured; ``prefix`` rows take positions, so they end at the model's window of 8,192."""
    return [
        Setting("sharedllm, layers 1-4", Profile.sharedllm(layers=(1, 4)), rows),
        Setting("sharedllm, layers 1-15", Profile.sharedllm(layers=(1, 15)), rows),
        Setting("prefix, layers 6-25", Profile.prefix(layers=(6, 25)), min(rows, 7680)),
        Setting("prefix, layers 6-25, 512 rows", Profile.prefix(layers=(6, 25)), 512),
    ]


def with_profile(base: SharedLLM, profile: Profile) -> SharedLLM:
    """The same model under another profile, with random blocks if the profile needs some."""
    resolved = profile.resolve(base.base.num_layers)
    adapter = None
    if resolved.fusion == "separate":
        weights = {
            f"layers.{layer}.cross_attn.{name}": tensor
            for layer in resolved.injection_layers
            for name, tensor in CrossAttention(base.base).state_dict().items()
        }
        adapter = Adapter(resolved, weights, {"untrained": True})
    return SharedLLM.from_model(
        base.base.model, base.tokenizer, profile=profile, adapter=adapter, embedder=base.embedder
    )


def random_injection(llm: SharedLLM, rows: int) -> Injection:
    """Rows of a document that does not exist."""
    arch, layers = llm.upper, len(llm.profile.injection_layers)
    shape = (layers, arch.kv_heads, rows, arch.head_dim)
    keys, values = torch.randn(shape, dtype=arch.dtype), torch.randn(shape, dtype=arch.dtype)
    front = len(llm.start_ids) if llm.profile.fusion == "joint" else 0
    if llm.profile.positions == "token":
        return Injection(keys, values, torch.arange(front, front + rows), front + rows)
    chunks = -(-rows // 128)
    return Injection(keys, values, torch.arange(rows) // 128, chunks)


class TimedDecoder:
    """A decoder that records by ``CLOCK`` when each pass began."""

    def __init__(self, decoder: InjectedDecoder) -> None:
        self.decoder = decoder
        self.begun: list[float] = []

    def feed(self, sequences: Sequence[Sequence[int]], *, all_logits: bool = False) -> torch.Tensor:
        self.begun.append(CLOCK())
        return self.decoder.feed(sequences, all_logits=all_logits)


def injected_milliseconds(llm: SharedLLM, rows: int, tokens: int, steps: Architecture) -> float:
    """Time per token of an answer after injected rows: everything between two tokens."""
    ids = llm.tokenizer(PROMPT)["input_ids"]
    injection = random_injection(llm, rows)
    with InjectedDecoder(
        llm.upper,
        llm.profile,
        [injection],
        front=llm.front,
        blocks=llm.blocks,
        capacity=len(ids) + tokens,
        steps=lambda: steps,
    ) as decoder:
        timed = TimedDecoder(decoder)
        asked = GenerationConfig(max_new_tokens=tokens)
        finished(generate(timed, [ids], llm.tokenizer, asked, frozenset()))
        return (CLOCK() - timed.begun[1]) / (tokens - 1) * 1e3  # the prompt's pass is not counted


@torch.inference_mode()
def plain_milliseconds(llm: SharedLLM, tokens: int) -> float:
    """Time per token of transformers' model after the same prompt alone."""
    model = llm.base.model
    out = model(torch.tensor([llm.tokenizer(PROMPT)["input_ids"]]), use_cache=True)
    begun = CLOCK()
    for _step in range(tokens - 1):
        token = out.logits[:, -1].argmax(-1, keepdim=True)
        out = model(token, past_key_values=out.past_key_values, use_cache=True)
    return (CLOCK() - begun) / (tokens - 1) * 1e3


@torch.inference_mode()
def kernel_milliseconds(llm: SharedLLM, rows: int) -> float:
    """Time of the attention of one token over the rows of all injection layers, and nothing else."""
    arch, layers = llm.upper, len(llm.profile.injection_layers)
    shape = (1, arch.kv_heads, rows, arch.head_dim)
    pairs = [(torch.randn(shape, dtype=arch.dtype), torch.randn(shape, dtype=arch.dtype)) for _layer in range(layers)]
    query = torch.randn(1, arch.kv_heads, arch.num_heads // arch.kv_heads, arch.head_dim, dtype=arch.dtype)
    begun = CLOCK()
    for keys, values in pairs:
        attend_to_rows(query, keys, values)
    return (CLOCK() - begun) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=16384)
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--dtype", default="auto", help="as from_pretrained takes it")
    options = parser.parse_args()
    base = SharedLLM.from_pretrained(profile="prefix", adapter="none", dtype=options.dtype)
    for setting in settings(options.rows):
        llm = with_profile(base, setting.profile)
        own = for_steps(llm.upper, "model")
        sides: dict[str, Callable[[], float]] = {
            "injected": lambda llm=llm, rows=setting.rows: injected_milliseconds(llm, rows, options.tokens, llm.steps),
            "injected, model's weights": lambda llm=llm, rows=setting.rows, own=own: injected_milliseconds(
                llm, rows, options.tokens, own
            ),
            "plain": lambda llm=llm: plain_milliseconds(llm, options.tokens),
            "kernel": lambda llm=llm, rows=setting.rows: kernel_milliseconds(llm, rows),
        }
        if llm.dtype != "bfloat16" or llm.device.type != "cpu":  # steps go by the model's weights anyway
            del sides["injected, model's weights"]
        times: dict[str, list[float]] = {name: [] for name in sides}
        for _repeat in range(options.repeats):
            for name, measure in sides.items():
                times[name].append(measure())
        print(json.dumps(report(setting, llm.dtype, times)), flush=True)


def report(setting: Setting, dtype: str, times: dict[str, list[float]]) -> dict[str, object]:
    """One line of figures."""
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {
        "setting": setting.name,
        "rows": setting.rows,
        "dtype": dtype,
        "threads": torch.get_num_threads(),
        "ms a token": medians,
        "spread": {name: [min(values), max(values)] for name, values in times.items()},
        "injected / plain": medians["injected"] / medians["plain"],
        **{
            f"{name} / plain": median / medians["plain"]
            for name, median in medians.items()
            if name.startswith("injected,")
        },
        "(plain + kernel) / plain": 1 + medians["kernel"] / medians["plain"],
        "injected / (plain + kernel)": medians["injected"] / (medians["plain"] + medians["kernel"]),
    }


if __name__ == "__main__":
    main()
