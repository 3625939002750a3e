"""``torch.compile`` for what works on each token alone: the norms and MLPs of both halves' layers.

Attention keeps its kernels: there hooks record keys, and rows of many shapes meet. The rest differs from pass to pass
only in the number of tokens, which is marked dynamic, so each kind of module is compiled once, not once per shape or
layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import nn

from sharedllm_docs.architectures.base import Architecture

BACKEND = "inductor"


class CompiledParts:
    """The compiled modules of some models, until they are restored.

    Args:
        models: models whose layers' norms and MLPs are compiled; a module that several share is compiled once.
        backend: backend of ``torch.compile``.
    """

    def __init__(self, models: Iterable[Architecture], *, backend: str = BACKEND) -> None:
        self.modules = list({id(part): part for arch in models for part in token_wise(arch)}.values())
        for module in self.modules:
            module.compile(backend=backend, dynamic=True)

    def restore(self) -> None:
        """Let all modules run uncompiled again."""
        for module in self.modules:
            module._compiled_call_impl = None
        self.modules = []


def token_wise(arch: Architecture) -> Iterator[nn.Module]:
    """Norms and MLP of every layer."""
    for layer in arch.layers:
        for name in ("input_layernorm", "post_attention_layernorm", "mlp"):
            yield getattr(layer, name)


def wanted(setting: Any, device: torch.device) -> bool:
    """Whether ``run.compile`` asks for compiling on a device."""
    return device.type == "cuda" if setting == "auto" else bool(setting)


def reason_of(error: BaseException) -> str:
    """The error in one line."""
    return " ".join(str(error).strip().splitlines()[:2]) or type(error).__name__


def or_without(parts: CompiledParts | None, work: Callable[[], Any], say: Callable[[str], None]) -> Any:
    """Do the work; if compiling fails, restore the modules, say so, and do it again without.

    The work must change nothing before it is complete, like a forward pass.
    """
    if parts is None:
        return work()
    from torch._dynamo.exc import TorchDynamoException

    try:
        return work()
    except (TorchDynamoException, ImportError) as error:
        parts.restore()
        say(f"torch.compile failed, going on without: {reason_of(error)}")
        return work()
