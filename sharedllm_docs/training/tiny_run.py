"""The tiny run: a random model learns passkey retrieval, which proves that training teaches it to read injected rows.

A secret of a few tokens hides among fillers in a chunk, and the question only asks for the secret. The model, built
from a config with random weights, learns in minutes to repeat it from the rows alone. No tokenizer, no files.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sharedllm_docs.architectures.base import Architecture
from sharedllm_docs.architectures.registry import architecture_for
from sharedllm_docs.config import Profile
from sharedllm_docs.documents.tree import ContextTree, RowLayout
from sharedllm_docs.injection.decoder import InjectedDecoder, Injection, positions_of
from sharedllm_docs.injection.encoder import LowerEncoder
from sharedllm_docs.injection.prompt_prefix import front_state
from sharedllm_docs.model.adapter import Adapter
from sharedllm_docs.training.config import TrainingConfig
from sharedllm_docs.training.examples import Example, PlacedNode
from sharedllm_docs.training.trainer import TrainingBase, train

START, ASK, MARK = 0, 1, 2
FIRST_DIGIT, DIGITS = 3, 10
FIRST_FILLER = FIRST_DIGIT + DIGITS
VOCABULARY = 64
DEFAULTS: dict[str, Any] = {
    "profile": {"fusion": "joint", "front": "sink", "positions": "token", "layers": [1, 4], "chunk_tokens": 32,
                "depth": 2, "grains": [0, 1], "store_dtype": "float32"},
    "run": {"steps": 1200, "batch": 32, "log_every": 50, "save_every": 500, "probe_every": 250, "probe_examples": 64},
    "trained": {"upper_rank": 32, "lower_rank": 32, "alpha": 64.0,
                "targets": ["q_proj", "k_proj", "v_proj", "o_proj"]},
    "optimiser": {"learning_rate": 3e-3, "warmup": 0.05},
}  # fmt: skip


@dataclass(frozen=True)
class PasskeySource:
    """Examples: ``MARK`` and the secret's digits somewhere among fillers; ``ASK`` wants the digits.

    Attributes:
        digits: number of digits of the secret.
        chunks: maximum chunks of an example; the secret is in one of them.
    """

    digits: int = 3
    chunks: int = 1

    @property
    def digest(self) -> str:
        return f"passkey {self.digits} {self.chunks}"

    def draw(self, rng: random.Random, profile: Profile) -> Example:
        """Draw one example, with every leaf injected."""
        size = profile.chunk_tokens
        count = rng.randint(1, self.chunks)
        texts = [[rng.randrange(FIRST_FILLER, VOCABULARY) for _ in range(size)] for _ in range(count)]
        secret = [rng.randrange(FIRST_DIGIT, FIRST_FILLER) for _ in range(self.digits)]
        place = rng.randrange(size - self.digits)
        rng.choice(texts)[place : place + self.digits + 1] = [MARK, *secret]
        chunks = tuple(map(tuple, texts))
        plain = Example("passkey", profile, chunks, (), (ASK,), tuple(secret))
        return plain.whole(profile)

    def draw_group(self, rng: random.Random, profile: Profile) -> list[Example]:
        """Draw a group of one: secrets share no chunks."""
        return [self.draw(rng, profile)]

    def probe(self, rng: random.Random, profile: Profile) -> Example:
        """Draw another example: there are so many that hardly one is met twice."""
        return self.draw(rng, profile)


def tiny_llama(seed: int = 0) -> Any:
    """A random Llama of 4 layers and 64 dimensions."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=1024,
        initializer_range=0.1,
        tie_word_embeddings=False,
    )
    return LlamaForCausalLM(config).eval()


@dataclass(frozen=True)
class TinyResult:
    """Result of a tiny run.

    Attributes:
        accuracy: share of the secrets that are repeated entirely.
        closed_book: the same share without any rows.
        tried: number of secrets asked for.
    """

    accuracy: float
    closed_book: float
    tried: int


def train_tiny(
    folder: str | Path,
    *,
    settings: dict[str, Any] | None = None,
    max_minutes: float | None = None,
    tried: int = 200,
    say: Callable[[str], None] = lambda line: None,
) -> TinyResult:
    """Train a tiny random Llama on passkeys, save the adapter, load it, and measure it by the inference classes.

    Args:
        folder: the run's folder.
        settings: tables that replace those of ``DEFAULTS``.
        max_minutes: stop training before it has taken so many minutes.
        tried: number of secrets asked for afterwards.
        say: called with each line of the log.
    """
    config = TrainingConfig.from_dict(DEFAULTS | (settings or {}))
    model = tiny_llama(config.run.seed)
    base = TrainingBase(architecture_for(model), (START,), "tiny random Llama")
    source = PasskeySource()
    with _one_thread():
        outcome = train(config, folder, base=base, source=source, max_minutes=max_minutes, say=say, tensorboard=False)
        adapter = Adapter.load(outcome.adapter)
        fresh = architecture_for(tiny_llama(config.run.seed))
        profile = adapter.profile.resolve(fresh.num_layers)
        examples = [source.draw(random.Random(f"tried/{i}"), profile) for i in range(tried)]
        right = measure(fresh, adapter, examples)
        closed = measure(fresh, adapter, [example.without_rows() for example in examples])
    return TinyResult(right, closed, tried)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Context with one torch thread: matrices this small lose more than they gain by handing work to another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def measure(base: Architecture, adapter: Adapter, examples: list[Example]) -> float:
    """Share of examples whose whole target is generated greedily, through the classes that answer questions."""
    upper = base.twin(adapter.weights_of("upper", base))
    lower = base.twin(adapter.weights_of("lower", base))
    profile = adapter.profile.resolve(base.num_layers)
    joint = profile.fusion == "joint"
    blocks = {} if joint else adapter.blocks(base)
    encoder = LowerEncoder(lower, profile, {"prompt": (START,), "sink": (START,), "none": ()}[profile.front])
    hits = 0
    for example in examples:
        with InjectedDecoder(
            upper,
            profile,
            [_injection(encoder, example)],
            front=front_state(upper, (START,)) if joint else None,
            blocks=blocks,
            capacity=2 + len(example.before) + len(example.target),
        ) as decoder:
            said: list[int] = []
            logits = decoder.feed([example.before if joint else (START, *example.before)])
            while len(said) < len(example.target):
                said.append(int(logits[0].argmax()))
                logits = decoder.feed([said[-1:]])
        hits += tuple(said) == example.target
    return hits / len(examples)


def _injection(encoder: LowerEncoder, example: Example) -> Injection:
    arch, profile = encoder.arch, encoder.profile
    positions, query = positions_of(profile, example.places(), 1)
    shape = (len(profile.injection_layers), arch.kv_heads, 0, arch.head_dim)
    if not example.nodes:
        empty = torch.zeros(shape, dtype=arch.dtype)
        return Injection(empty, empty, torch.zeros(0, dtype=torch.long), query)
    encoded = encoder.encode(example.chunks)
    rows = [(node.chunk, list(_rows(profile, example, node))) for node in example.nodes]
    keys = torch.cat([encoded[chunk].keys[numbers] for chunk, numbers in rows])
    values = torch.cat([encoded[chunk].values[numbers] for chunk, numbers in rows])
    return Injection(keys.permute(1, 2, 0, 3), values.permute(1, 2, 0, 3), torch.tensor(positions), query)


def _rows(profile: Profile, example: Example, node: PlacedNode) -> tuple[int, ...]:
    return RowLayout(ContextTree(profile, len(example.chunks[node.chunk]))).rows_of(node.node, node.grain)
