"""The released code's method once more, in plain float64 torch and out of nothing of this package.

It recomputes the golden tensors from their weights, which shows that it is right, and makes further cases of other
shapes in the same files: what the tests of parity need beside the four that the authors' code produced.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import silu

Settings = dict[str, Any]
Tensors = dict[str, torch.Tensor]
QUESTION_TOKENS = 11


class ReleasedMethod:
    """A model with cross-attention in its lower layers.

    Args:
        settings: a case's ``config.json``.
        weights: by the released code's names.
    """

    def __init__(self, settings: Settings, weights: Tensors) -> None:
        self.settings, self.weights = settings, weights
        self.heads, self.kv = settings["num_attention_heads"], settings["num_key_value_heads"]
        self.size = settings["hidden_size"] // self.heads

    # -- pieces of a decoder ----------------------------------------------------------------------------------------

    def linear(self, name: str, given: torch.Tensor) -> torch.Tensor:
        return given @ self.weights[f"{name}.weight"].T

    def norm(self, name: str, given: torch.Tensor) -> torch.Tensor:
        mean = given.square().mean(-1, keepdim=True) + self.settings["rms_norm_eps"]
        return given / mean.sqrt() * self.weights[f"{name}.weight"]

    def split(self, given: torch.Tensor) -> torch.Tensor:
        """[heads, tokens, size] of [tokens, heads * size]."""
        return given.unflatten(-1, (-1, self.size)).transpose(0, 1)

    def rotated(self, given: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Pairs (i, i + size / 2) turned by ``position * theta^(-2 i / size)``."""
        half = self.size // 2
        speeds = self.settings["rope_theta"] ** (-torch.arange(half, dtype=torch.float64) / half)
        angle = positions.double()[:, None] * speeds
        a, b = given[..., :half], given[..., half:]
        return torch.cat((a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()), -1)

    def attended(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, causal: bool) -> torch.Tensor:
        """[tokens, heads * size]; ``key`` and ``value`` [kv, rows, size]."""
        key, value = (t.repeat_interleave(self.heads // self.kv, 0) for t in (key, value))
        scores = torch.einsum("hqd,hrd->hqr", query, key) / self.size**0.5
        if causal:
            later = torch.ones(scores.shape[1:], dtype=torch.bool).triu(1)
            scores = scores.masked_fill(later, -torch.inf)
        return torch.einsum("hqr,hrd->qhd", scores.softmax(-1), value).flatten(1)

    def layer(self, name: str, hidden: torch.Tensor, cross: Any = None) -> tuple[torch.Tensor, ...]:
        """(hidden afterwards, rotated keys, values)."""
        positions = torch.arange(len(hidden))
        normed = self.norm(f"{name}.input_layernorm", hidden)
        query, key, value = (self.split(self.linear(f"{name}.self_attn.{x}_proj", normed)) for x in "qkv")
        query, key = self.rotated(query, positions), self.rotated(key, positions)
        mixed = self.attended(query, key, value, causal=True)
        hidden = hidden + self.linear(f"{name}.self_attn.o_proj", mixed)
        if cross is not None:
            hidden = hidden + cross(f"{name}.cross_attn", hidden)
        normed = self.norm(f"{name}.post_attention_layernorm", hidden)
        gate = silu(self.linear(f"{name}.mlp.gate_proj", normed)) * self.linear(f"{name}.mlp.up_proj", normed)
        return hidden + self.linear(f"{name}.mlp.down_proj", gate), key, value

    # -- the method -------------------------------------------------------------------------------------------------

    def encoded(self, ids: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor], torch.Tensor, torch.Tensor]:
        """Keys and values of every lower layer, the normed hidden state after the last and after the first of them."""
        hidden, keys, values, states = self.weights["encoder.embed_tokens.weight"][ids], [], [], []
        for layer in range(self.settings["injection_layers"]):
            hidden, key, value = self.layer(f"encoder.layers.{layer}", hidden)
            keys.append(key)
            values.append(value)
            states.append(hidden)
        return keys, values, self.norm("encoder.norm", states[-1]), self.norm("encoder.norm", states[0])

    def branch(self, chunk: torch.Tensor, question: torch.Tensor) -> list[torch.Tensor]:
        """Token ids of the kept nodes: the two leaves, then the halves left behind, from deep to shallow."""
        asked = self.layer("model.layers.0", self.weights["model.embed_tokens.weight"][question])[0]
        asked = self.norm("model.norm", asked)[-1]
        left_behind: list[torch.Tensor] = []
        for _level in range(self.settings["tree_depth"] - 1):
            halves = chunk.chunk(2)
            near = [torch.cosine_similarity(asked, self.encoded(half)[3][-1], dim=0) for half in halves]
            right = not self.settings["query_aware"] or bool(near[1] > near[0])
            left_behind.insert(0, halves[not right])
            chunk = halves[right]
        return [*chunk.chunk(2), *left_behind]

    def injected(self, nodes: list[torch.Tensor]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Keys and values [kv, kept, size] of every lower layer: so many of each node, at a uniform stride."""
        kept: list[list[tuple[torch.Tensor, torch.Tensor]]] = [[] for _ in range(self.settings["injection_layers"])]
        for node in nodes:
            step = len(node) // self.settings["kept_per_node"]
            keys, values, *_ = self.encoded(node)
            for layer, pair in enumerate(zip(keys, values, strict=True)):
                kept[layer].append((pair[0][:, ::step], pair[1][:, ::step]))
        keys, values = ([torch.cat([pair[i] for pair in layer], 1) for layer in kept] for i in (0, 1))
        return keys, values

    def logits(self, ids: torch.Tensor, keys: list[torch.Tensor], values: list[torch.Tensor]) -> torch.Tensor:
        """[tokens, vocabulary] over injected keys and values [chunks, kv, kept, size] of each lower layer."""
        hidden = self.weights["model.embed_tokens.weight"][ids]
        for layer in range(self.settings["num_hidden_layers"]):
            cross = self.reading(keys[layer], values[layer]) if layer < self.settings["injection_layers"] else None
            hidden = self.layer(f"model.layers.{layer}", hidden, cross)[0]
        return self.linear("lm_head", self.norm("model.norm", hidden))

    def reading(self, keys: torch.Tensor, values: torch.Tensor) -> Any:
        """Cross-attention to the rows: keys at their chunk's number, the question behind the last one."""
        chunks, _, kept, _ = keys.shape
        keys, values = (t.transpose(0, 1).flatten(1, 2) for t in (keys, values))
        keys = self.rotated(keys, torch.arange(chunks).repeat_interleave(kept))

        def read(name: str, hidden: torch.Tensor) -> torch.Tensor:
            query = self.split(self.linear(f"{name}.q_proj", self.norm(f"{name}.layernorm", hidden)))
            query = self.rotated(query, torch.full((len(hidden),), chunks + 1))
            return self.linear(f"{name}.o_proj", self.attended(query, keys, values, causal=False))

        return read

    def tensors(self, chunks: torch.Tensor, question: torch.Tensor, given: Tensors | None = None) -> Tensors:
        """All tensors of a case; ``given`` injected keys and values stand in for those of several chunks."""
        layers, half = range(self.settings["injection_layers"]), chunks.shape[1] // 2
        made = {"context_ids": chunks, "input_ids": question[None]}
        first = [self.encoded(chunk[:half]) for chunk in chunks]
        for layer in layers:
            made[f"lower_keys_first_{half}.{layer}"] = torch.stack([one[0][layer] for one in first])
            made[f"lower_values_first_{half}.{layer}"] = torch.stack([one[1][layer] for one in first])
        made[f"lower_last_hidden_first_{half}"] = torch.stack([one[2] for one in first])
        if given is None:
            rows = self.injected(self.branch(chunks[0], question))
            given = {f"injected_keys.{layer}": rows[0][layer][None] for layer in layers}
            given |= {f"injected_values.{layer}": rows[1][layer][None] for layer in layers}
        keys, values = ([given[f"injected_{x}.{layer}"] for layer in layers] for x in ("keys", "values"))
        made |= given
        logits = self.logits(question, keys, values)
        following = logits[-1].argmax()
        step = self.logits(torch.cat((question, following[None])), keys, values)[-1]
        return made | {"logits": logits[None], "next_id": following.view(1, 1), "next_logits": step.view(1, 1, -1)}


def recomputed(folder: Path) -> Tensors:
    """The tensors of a case by this path, from its settings, weights, chunks and question."""
    settings = json.loads((folder / "config.json").read_text())
    tensors = load_file(folder / "tensors.safetensors")
    method = ReleasedMethod(settings, load_file(folder / "weights.safetensors"))
    given = {name: t for name, t in tensors.items() if name.startswith("injected_")}
    return method.tensors(
        tensors["context_ids"], tensors["input_ids"][0], given if settings["query_aware"] is None else None
    )


def random_weights(settings: Settings) -> Tensors:
    """Random weights whose lower model is the upper one's first layers."""
    hidden, inner, vocabulary = settings["hidden_size"], settings["intermediate_size"], settings["vocab_size"]
    narrow = hidden // settings["num_attention_heads"] * settings["num_key_value_heads"]
    shapes = {f"self_attn.{x}_proj": (narrow if x in "kv" else hidden, hidden) for x in "qkvo"}
    shapes |= {f"mlp.{x}_proj": (inner, hidden) for x in ("gate", "up")} | {"mlp.down_proj": (hidden, inner)}
    shapes |= dict.fromkeys(("input_layernorm", "post_attention_layernorm"), (hidden,))
    cross = {f"cross_attn.{x}_proj": (hidden, hidden) for x in "qo"} | {"cross_attn.layernorm": (hidden,)}
    wanted = {"model.embed_tokens": (vocabulary, hidden), "model.norm": (hidden,), "lm_head": (vocabulary, hidden)}
    for layer in range(settings["num_hidden_layers"]):
        more = cross if layer < settings["injection_layers"] else {}
        wanted |= {f"model.layers.{layer}.{name}": shape for name, shape in (shapes | more).items()}
    random = torch.Generator().manual_seed(sum(settings["name"].encode()))
    made = {
        f"{name}.weight": torch.randn(shape, generator=random, dtype=torch.float64) * 0.2 + (len(shape) == 1)
        for name, shape in wanted.items()
    }
    lower = tuple(f"model.layers.{layer}." for layer in range(settings["injection_layers"]))
    same = (*lower, "model.embed_tokens", "model.norm")
    copies = {n.replace("model.", "encoder.", 1): t.clone() for n, t in made.items() if n.startswith(same)}
    return made | {name: t for name, t in copies.items() if ".cross_attn." not in name}


def write_case(folder: Path, settings: Settings) -> Path:
    """A further case in the golden ones' files."""
    folder.mkdir(parents=True)
    weights, chunks = random_weights(settings), settings["num_chunks"]
    random = torch.Generator().manual_seed(1)
    ids = torch.randint(settings["vocab_size"], (chunks, settings["chunk_tokens"]), generator=random)
    question = torch.randint(settings["vocab_size"], (QUESTION_TOKENS,), generator=random)
    given = None
    if settings["query_aware"] is None:
        size = settings["hidden_size"] // settings["num_attention_heads"]
        shape = (chunks, settings["num_key_value_heads"], 2 * settings["kept_per_node"], size)
        names = [f"injected_{x}.{i}" for i in range(settings["injection_layers"]) for x in ("keys", "values")]
        given = {name: torch.randn(shape, generator=random, dtype=torch.float64) for name in names}
    tensors = ReleasedMethod(settings, weights).tensors(ids, question, given)
    save_file(weights, folder / "weights.safetensors")
    save_file({name: t.contiguous() for name, t in tensors.items()}, folder / "tensors.safetensors")
    (folder / "config.json").write_text(json.dumps(settings))
    return folder
