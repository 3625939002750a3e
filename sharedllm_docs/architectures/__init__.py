"""Model families: everything that depends on how a Hugging Face decoder is built stands in this folder."""

from sharedllm_docs.architectures.attention import register_attention
from sharedllm_docs.architectures.base import Architecture, KeyValueStore, Mask, MaskFor
from sharedllm_docs.architectures.registry import architecture_for, supported_families
from sharedllm_docs.architectures.rope import rotate

__all__ = [
    "Architecture",
    "KeyValueStore",
    "Mask",
    "MaskFor",
    "architecture_for",
    "register_attention",
    "rotate",
    "supported_families",
]
