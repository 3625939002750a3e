"""The models that read a question and decode its answer on a CPU: twins of the decoder over the same weights.

Their attention processes heads that share keys together (``grouped_heads``). A step of one token is limited by memory
bandwidth, so in bfloat16 the linear layers multiply by 8-bit weights. The decoder itself is not changed, and encoding
uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import nn

from sharedllm_docs.architectures.attention import register_attention
from sharedllm_docs.architectures.base import Architecture
from sharedllm_docs.errors import ConfigError
from sharedllm_docs.injection.grouped_heads import GROUPED_HEADS, grouped_attention

STEP_WEIGHTS = ("auto", "int8", "model")
_USUAL = "sdpa"
_LARGEST = 127
_PART = 4096
"""Rows of a weight matrix that are converted to float32 at once, which bounds memory for large output heads."""


Kept = Callable[[Callable[[], Mapping[str, torch.Tensor]]], Mapping[str, torch.Tensor]]
"""Gives the tensors that a function computes, by name."""


def check_step_weights(name: str, arch: Architecture) -> None:
    """Raise ConfigError for an unknown name, and for ``int8`` where torch has no kernel for it."""
    if name not in STEP_WEIGHTS:
        raise ConfigError(f"step_weights={name!r} is not one of {', '.join(STEP_WEIGHTS)}.", remedy="Use one of these.")
    if name == "int8" and not _eight_bits_pay(arch):
        raise ConfigError(
            f"step_weights='int8' needs bfloat16 on the CPU; this model is {arch.dtype} on {arch.device}.",
            remedy="Use step_weights='auto', or dtype='bfloat16' with device='cpu'.",
        )


def for_steps(arch: Architecture, step_weights: str = "auto", kept: Kept = lambda compute: compute()) -> Architecture:
    """The model for single-token steps: a twin of the decoder, or the decoder itself where a twin gains nothing.

    Args:
        arch: the decoder.
        step_weights: ``auto`` (``int8`` in bfloat16 on the CPU), ``int8`` or ``model``.
        kept: gives the codes that its argument computes, perhaps from an earlier time.

    Raises:
        ConfigError: see ``check_step_weights``.
    """
    check_step_weights(step_weights, arch)
    grouped = arch.config._attn_implementation == _USUAL and arch.num_heads > arch.kv_heads
    codes = step_weights != "model" and _eight_bits_pay(arch)
    # accelerate's hooks are tied to the original modules; a twin would lack them
    if arch.device.type != "cpu" or not (grouped or codes) or any(hasattr(m, "_hf_hook") for m in arch.model.modules()):
        return arch
    steps = arch.twin()
    steps.decoder.rotary_emb = arch.decoder.rotary_emb  # some rotary modules remember the longest text
    if grouped:
        register_attention(GROUPED_HEADS, grouped_attention)
        steps.config._attn_implementation = GROUPED_HEADS
    if codes:
        linears = _linears(steps)
        found = kept(lambda: _all_codes(linears))
        for name, linear in linears.items():
            vars(linear)["forward"] = partial(_product, found[f"{name}.codes"], found[f"{name}.scales"], linear.bias)
    return steps


def for_questions(arch: Architecture) -> Architecture:
    """The model for a question's tokens: a twin that attends sooner in bfloat16, where its bits are the decoder's own.

    In float32 some are not, as a product's sums depend on how many rows are multiplied at once.
    """
    return for_steps(arch, "model") if arch.dtype == torch.bfloat16 else arch


def _linears(arch: Architecture) -> dict[str, nn.Linear]:
    """The linear layers of the model's layers, and its output head, by name."""
    layers = {f"layers.{n}.{name}": one for n, layer in enumerate(arch.layers) for name, one in layer.named_modules()}
    every = {**layers, "lm_head": arch.model.lm_head}
    return {name: module for name, module in every.items() if type(module) is nn.Linear}


def _all_codes(linears: Mapping[str, nn.Linear]) -> dict[str, torch.Tensor]:
    made = {}
    for name, linear in linears.items():
        made[f"{name}.codes"], made[f"{name}.scales"] = quantised(linear.weight)
    return made


def _eight_bits_pay(arch: Architecture) -> bool:
    """Whether eight-bit weights are faster: not in float32 (docs/log.md, steps of decoding). The kernel is private."""
    return arch.device.type == "cpu" and arch.dtype == torch.bfloat16 and hasattr(torch, "_weight_int8pack_mm")


def quantised(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes int8 [O, I] and scales [O] in the weight's dtype: ``weight ≈ codes * scales``, one scale per row."""
    parts = [_quantised_part(part) for part in torch.split(weight.detach(), _PART)]
    return torch.cat([codes for codes, _scale in parts]), torch.cat([scale for _codes, scale in parts])


def _quantised_part(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    wide = weight.to(torch.float32, copy=True)
    scale = (wide.abs().amax(dim=1) / _LARGEST).to(weight.dtype)
    steps = wide.div_(scale.float().masked_fill_(scale == 0, 1.0)[:, None])
    return steps.round_().clamp_(-_LARGEST, _LARGEST).to(torch.int8), scale


def _product(codes: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor | None, given: torch.Tensor) -> torch.Tensor:
    flat = given.reshape(-1, given.shape[-1])
    product: torch.Tensor = torch._weight_int8pack_mm(flat, codes, scale)
    product = product.view(*given.shape[:-1], len(codes))
    return product if bias is None else product + bias
