"""Weights in eight bits for the steps of decoding: one token at a time is bound by reading the weights.

Comes in: a model in bfloat16 on a processor. Goes out: within a block, its linear layers multiply by torch's
weight-only int8 kernel, one scale an output channel, which reads half of the bytes. The weights themselves stay, and
everything that is fed more than one token at a time (encoding, questions) goes by them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Literal

import torch
from torch import nn

from sharedllm_docs.architectures import Architecture
from sharedllm_docs.errors import ConfigError

StepWeightsName = Literal["auto", "int8", "model"]
STEP_WEIGHTS = ("auto", "int8", "model")
_LARGEST = 127


def is_faster(arch: Architecture) -> bool:
    """Whether torch has the kernel and it pays: in bfloat16 on a processor (docs/log.md, int8 for the steps)."""
    return arch.device.type == "cpu" and arch.dtype == torch.bfloat16 and hasattr(torch, "_weight_int8pack_mm")


def step_weights_for(name: str, arch: Architecture) -> StepWeights | None:
    """What decoding steps multiply by; None for the model's own weights.

    Args:
        name: ``auto`` (int8 where :func:`is_faster`), ``int8`` or ``model``.
        arch: that decodes.

    Raises:
        ConfigError: an unknown name, or ``int8`` where there is no kernel for it.
    """
    if name not in STEP_WEIGHTS:
        raise ConfigError(f"step_weights={name!r} is not one of {', '.join(STEP_WEIGHTS)}.", remedy="Use one of these.")
    if name == "model" or (name == "auto" and not is_faster(arch)):
        return None
    if not is_faster(arch):
        raise ConfigError(
            f"step_weights='int8' wants bfloat16 on a processor, and this model is {arch.dtype} on {arch.device}.",
            remedy="Use step_weights='auto', or dtype='bfloat16' with device='cpu'.",
        )
    return StepWeights(arch)


class StepWeights:
    """Codes and scales of a model's linear layers, made at first use (half of the model's bytes beside it).

    Args:
        arch: whose layers and output head; layers that are not plain ``nn.Linear`` are left alone.
    """

    def __init__(self, arch: Architecture) -> None:
        self._arch = arch

    @cached_property
    def _forwards(self) -> Mapping[nn.Linear, Callable[[torch.Tensor], torch.Tensor]]:
        found = [m for layer in self._arch.layers for m in layer.modules()]
        linear = [m for m in (*found, self._arch.model.lm_head) if type(m) is nn.Linear]
        return {module: partial(_multiplied, *quantised(module.weight), module.bias) for module in linear}

    @contextmanager
    def instead(self) -> Iterator[None]:
        """Within the block the layers multiply by the codes; their own ``forward`` is back whatever happens."""
        replaced = [(module, vars(module).get("forward")) for module in self._forwards]
        try:
            for module, forward in self._forwards.items():
                vars(module)["forward"] = forward
            yield
        finally:
            for module, own in replaced:
                vars(module).pop("forward", None)
                if own is not None:
                    vars(module)["forward"] = own


def quantised(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes int8 [O, I] and scales [O] in the weight's dtype: ``weight ≈ codes * scales``, one scale a row."""
    wide = weight.detach().float()
    scale = (wide.abs().amax(dim=1) / _LARGEST).to(weight.dtype)
    steps = wide / scale.float().masked_fill(scale == 0, 1.0)[:, None]
    return steps.round_().clamp_(-_LARGEST, _LARGEST).to(torch.int8), scale


def _multiplied(
    codes: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor | None, given: torch.Tensor
) -> torch.Tensor:
    flat = given.reshape(-1, given.shape[-1])
    product: torch.Tensor = torch._weight_int8pack_mm(flat, codes, scale)
    product = product.view(*given.shape[:-1], len(codes))
    return product if bias is None else product + bias
