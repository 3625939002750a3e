"""A tiny fast tokenizer, a deterministic embedder and a whole tiny SharedLLM around a random model, all offline."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from sharedllm_docs.architectures.registry import architecture_for
from sharedllm_docs.config import Profile
from sharedllm_docs.documents.document import PAGE_SEPARATOR, Document, Page, Section
from sharedllm_docs.injection.cross_attention import CrossAttention
from sharedllm_docs.model.adapter import Adapter
from sharedllm_docs.model.embedder import Embedder
from sharedllm_docs.model.shared_llm import SharedLLM
from tests.tiny import tiny_model

PAGES = (
    "The heron stands in the river and waits for fish.",
    "Copper melts at a higher temperature than tin does.",
    "A sonnet has fourteen lines, most often in iambic pentameter.",
    "The lighthouse keeper writes the weather into a blue book every evening at nine.",
)
"""Pages of different words, for questions that belong to one of them."""
SPECIAL = ("<s>", "<|im_start|>", "<|im_end|>")
BOS, START, END = range(len(SPECIAL))
MERGES = (
    "Ġ t,Ġ a,h e,i n,r e,o n,Ġt he,e r,Ġ s,a t,Ġ w,Ġ o,e n,Ġ c,i t,i s,a n,o r,e s,Ġ b,e d,Ġ f,in g,Ġ p,o u,Ġa n,"
    "a l,a r,Ġt o,Ġ m,Ġo f,Ġ in,Ġ d,Ġ h,Ġan d,i c,a s,l e,Ġt h,i on,o m"
)

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""A template with a system role."""
REFUSES_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + CHATML
)
"""A template that raises when it meets a system role."""
DROPS_SYSTEM = (
    "{% for message in messages %}{% if message['role'] != 'system' %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""A template that leaves a system message out without a word."""


def _backend() -> Tokenizer:
    merges = [(left, right) for left, right in (pair.split(" ") for pair in MERGES.split(","))]
    names = [*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet()), *("".join(pair) for pair in merges)]
    tokenizer = Tokenizer(models.BPE(vocab={name: i for i, name in enumerate(names)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in SPECIAL])
    return tokenizer


def tiny_tokenizer(chat_template: str | None = CHATML) -> PreTrainedTokenizerFast:
    """Byte-level BPE, 300 ids, every text representable; None leaves it without a chat template."""
    return PreTrainedTokenizerFast(
        tokenizer_object=_backend(),
        bos_token="<s>",
        eos_token="<|im_end|>",
        pad_token="<s>",
        chat_template=chat_template,
        clean_up_tokenization_spaces=False,
    )


class HashEmbedder(Embedder):
    """Unit vectors of hashed bags of words: texts that share words are near, without any model.

    Args:
        salt: another salt gives other vectors and another digest.
    """

    SIZE = 256

    def __init__(self, salt: str = "") -> None:
        super().__init__("hash-embedder")
        self.salt = salt

    @property
    def digest(self) -> str:
        return hashlib.sha256(f"hash-embedder {self.SIZE} {self.salt}".encode()).hexdigest()

    @property
    def size(self) -> int:
        return self.SIZE

    def token_vectors(self, texts: Sequence[str]) -> list[NDArray[np.float32]] | None:
        return [self.encode(text.split()) for text in texts]

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = np.zeros((len(texts), self.SIZE), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.lower()) or ["\N{NULL}"]:
                place = hashlib.sha256((self.salt + word).encode()).digest()
                vectors[row, int.from_bytes(place[:4], "big") % self.SIZE] += 1
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def tiny_profile(**changes: Any) -> Profile:
    """The ``prefix`` profile with chunks of 64 tokens, eight leaves of 8, stored as float32."""
    return Profile.prefix(**({"chunk_tokens": 64, "store_dtype": "float32"} | changes))


def tiny_sharedllm_profile(**changes: Any) -> Profile:
    """The ``sharedllm`` profile with chunks of 64 tokens and grains 4, 2, 1, in the lower two layers."""
    settings: dict[str, Any] = {"chunk_tokens": 64, "grains": (4, 2, 1), "layers": (1, 2), "store_dtype": "float32"}
    return Profile.sharedllm(**(settings | changes))


def tiny_base(family: str = "llama", *, dtype: torch.dtype = torch.float32, seed: int = 0, **changes: Any) -> Any:
    """A random model whose vocabulary is the tiny tokenizer's."""
    return tiny_model(family, dtype=dtype, seed=seed, **({"vocab_size": len(tiny_tokenizer())} | changes))


def tiny_adapter(model: Any, profile: Profile | None = None, *, seed: int = 0, lower: bool = False) -> Adapter:
    """An adapter of random cross-attention blocks for ``model``; ``lower`` adds lower weights of its own."""
    arch = architecture_for(model)
    profile = (profile or tiny_sharedllm_profile()).resolve(arch.num_layers)
    torch.manual_seed(seed)
    weights = {
        f"layers.{layer}.cross_attn.{name}": tensor.detach().clone()
        for layer in profile.injection_layers
        for name, tensor in CrossAttention(arch).to(arch.dtype).state_dict().items()
    }
    if lower:
        name = "model.layers.0.mlp.up_proj.weight"
        weights[f"lower.{name}"] = model.state_dict()[name] * 2
    return Adapter(profile, weights, {"base": "tiny"})


def tiny_llm(
    family: str = "llama",
    *,
    profile: Profile | None = None,
    adapter: Adapter | bool = False,
    chat_template: str | None = CHATML,
    embedder: Embedder | None = None,
    dtype: torch.dtype = torch.float32,
    step_weights: str = "auto",
    seed: int = 0,
    **changes: Any,
) -> SharedLLM:
    """A SharedLLM around a random model of a family.

    Args:
        family: of tests.tiny.
        profile: ``tiny_profile`` by default, or the adapter's.
        adapter: one to use, or True for a random one of the ``sharedllm`` profile.
        chat_template: of the tokenizer.
        embedder: ``HashEmbedder`` by default.
        dtype: of the model.
        step_weights: as SharedLLM takes them.
        seed: of its weights.
        changes: of the model's config.
    """
    model = tiny_base(family, dtype=dtype, seed=seed, **changes)
    if adapter is True:
        adapter = tiny_adapter(model, profile)
    loaded = adapter or None
    return SharedLLM.from_model(
        model,
        tiny_tokenizer(chat_template),
        adapter=loaded,
        profile=profile or (None if loaded else tiny_profile()),
        embedder=embedder or HashEmbedder(),
        step_weights=step_weights,
        name=f"tiny-{family}",
    )


def save_model(folder: Path, family: str = "llama", *, chat_template: str | None = CHATML, **changes: Any) -> Path:
    """A model folder (weights and tokenizer) as ``SharedLLM.from_pretrained`` takes it."""
    tiny_base(family, **changes).save_pretrained(folder)
    tiny_tokenizer(chat_template).save_pretrained(folder)
    return folder


def save_embedder(folder: Path, *, seed: int = 0, size: int = 32) -> Path:
    """A sentence-transformers folder of random token vectors, averaged: for what loads an embedder by its path."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    weights = np.random.default_rng(seed).standard_normal((len(tiny_tokenizer()), size)).astype(np.float32)
    SentenceTransformer(modules=[StaticEmbedding(_backend(), embedding_weights=weights)], device="cpu").save(
        str(folder)
    )
    return folder


def tiny_document(*texts: str, name: str = "tiny.txt", sections: tuple[Section, ...] = (), **changes: Any) -> Document:
    """A document with one page a text, numbered from 1; its source digest follows from the texts."""
    digest = hashlib.sha256(PAGE_SEPARATOR.join(texts).encode("utf-8", "surrogatepass")).hexdigest()
    pages = tuple(Page(number, text) for number, text in enumerate(texts, start=1))
    return Document(name, digest, "text", "1", pages, sections, **changes)
