"""What is measured side by side: one small file per peer, each run in a process, if need be an environment, of its own.

This table is all that the bench itself knows of them: importing it loads no library.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PeerSpec:
    """Where the class of a peer is, and what its process needs.

    Attributes:
        name: in records and tables.
        module, cls: the class.
        what: one line for the tables.
        persists: what was prepared lies on disk and is opened by the process that asks; else every process prepares.
        environment: requirements of an environment of its own; none: the project's.
        gguf: wants the model as a GGUF file.
    """

    name: str
    module: str
    cls: str
    what: str
    persists: bool = True
    environment: tuple[str, ...] = ()
    gguf: bool = False


PEERS: dict[str, PeerSpec] = {
    spec.name: spec
    for spec in (
        PeerSpec(
            "full_prefill",
            "full_prefill",
            "FullPrefill",
            "transformers, the whole document as prompt, up to the model's window; its cache is kept in memory",
            persists=False,
        ),
        PeerSpec(
            "streaming",
            "streaming",
            "Streaming",
            "transformers, the whole document through a sliding window with attention sinks, kept in memory",
            persists=False,
        ),
        PeerSpec(
            "rag",
            "rag",
            "StockRag",
            "LlamaIndex's VectorStoreIndex with its defaults, same model and embedder, persisted",
        ),
        PeerSpec(
            "llama_cpp",
            "llama_cpp_cache",
            "LlamaCppCache",
            "llama.cpp on the model's GGUF file, up to the window; the document's state is saved to disk and restored",
            environment=("llama-cpp-python==0.3.36",),
            gguf=True,
        ),
        PeerSpec(
            "flat_cache",
            "flat_cache",
            "FlatCache",
            "a flat cache of chunks in the manner of TurboRAG, of this project's parts: all layers, grain 1, no tree",
        ),
        PeerSpec("prefix", "prefix", "Prefix", "this project, training-free profile"),
        PeerSpec("sharedllm", "shipped", "Shipped", "this project, as installed: the model's shipped adapter"),
    )
}
UNTRAINED = PeerSpec(
    "untrained",
    "untrained",
    "Untrained",
    "this project, the paper's profile with untrained blocks: speed does not need trained weights",
)
"""Measured in the tables by M, beta and depth, and in the growth of one index."""
BY_NAME = PEERS | {UNTRAINED.name: UNTRAINED}
