"""What the tests share: a random model of four layers with its tokenizer, a random embedder, pages. All offline."""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from langchain_core.documents import Document
from langchain_core.messages import AIMessageChunk
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from sharedllm_docs import Profile, RetrievalConfig, SharedLLM

SPECIAL = ("<s>", "<|im_start|>", "<|im_end|>")
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PAGES = (
    "The heron stands in the river and waits for fish.",
    "Copper melts at a higher temperature than tin does.",
    "A sonnet has fourteen lines, most often in iambic pentameter.",
    "The lighthouse keeper writes the weather into a blue book every evening at nine.",
)
ALWAYS = RetrievalConfig(relevance_floor=0, budget=128)
"""The random embedder's cosines mean nothing: every question is answered."""
CONFIG = {
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 4,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 2048,
    "initializer_range": 0.2,
    "tie_word_embeddings": False,
}


def pages(source: str, texts: Sequence[str] = PAGES) -> list[Document]:
    """Loaded pages of a file."""
    return [
        Document(page_content=text, metadata={"source": source, "page": number, "author": "Ada", "year": 1999})
        for number, text in enumerate(texts)
    ]


def backend() -> Tokenizer:
    """One token a byte: every text has its ids."""
    names = [*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE(vocab={name: place for place, name in enumerate(names)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in SPECIAL])
    return tokenizer


def save_model(folder: Path, *, seed: int = 0) -> Path:
    """A model folder as ``from_pretrained`` takes it."""
    names = {"bos_token": "<s>", "eos_token": "<|im_end|>", "pad_token": "<s>", "chat_template": CHATML}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend(), clean_up_tokenization_spaces=False, **names)
    torch.manual_seed(seed)
    LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **CONFIG)).eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_embedder(folder: Path) -> Path:
    """Averages of random vectors, one a word of ``PAGES``: texts that share words are near."""
    words = sorted({word for page in PAGES for word in re.findall(r"\w+", page.lower())})
    tokenizer = Tokenizer(models.WordLevel({"?": 0, **{word: i for i, word in enumerate(words, 1)}}, unk_token="?"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    vectors = np.random.default_rng(0).standard_normal((len(words) + 1, 64)).astype(np.float32)
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=vectors)], device="cpu").save(str(folder))
    return folder


@cache
def model_folder() -> Path:
    """Folder with ``model`` and ``embedder`` below it, there until the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="tiny-models-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    save_model(folder / "model")
    save_embedder(folder / "embedder")
    return folder


@cache
def tiny_llm() -> SharedLLM:
    """One tiny model for all tests."""
    profile = Profile.prefix(chunk_tokens=64, store_dtype="float32")
    folder = model_folder()
    return SharedLLM.from_pretrained(
        folder / "model", profile=profile, dtype="float32", embedder=str(folder / "embedder")
    )


def whole(stream) -> AIMessageChunk:
    """All chunks of a stream, added up."""
    pieces = list(stream)
    full = pieces[0]
    for piece in pieces[1:]:
        full = full + piece
    return full
