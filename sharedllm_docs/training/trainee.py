"""The model in training: two halves over one frozen base model, each with its own LoRA, and cross-attention blocks.

Gives losses with gradients, and an ``Adapter`` at any time. The base model itself is never changed; its weights are
shared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from sharedllm_docs.architectures.base import Architecture
from sharedllm_docs.config import Profile
from sharedllm_docs.errors import AdapterError
from sharedllm_docs.injection.cross_attention import CrossAttention
from sharedllm_docs.model.adapter import LORA, Adapter, Half
from sharedllm_docs.training.config import TrainingConfig
from sharedllm_docs.training.examples import Batch, Example, collate, prefilled
from sharedllm_docs.training.forward import predict


@dataclass(frozen=True)
class Losses:
    """Losses of one batch.

    Attributes:
        total: scalar to minimise, with gradients.
        by_example: [B] mean loss per predicted token.
        divergence: mean KL from the teacher per predicted token, or None without a teacher.
    """

    total: torch.Tensor
    by_example: torch.Tensor
    divergence: torch.Tensor | None


class Trainee(nn.Module):
    """The trainable model.

    Args:
        base: the base model; its parameters are frozen.
        config: the run's configuration.
        start_ids: token ids of the prompt's start.
        front_ids: token ids that precede each chunk while it is encoded.
    """

    def __init__(
        self, base: Architecture, config: TrainingConfig, *, start_ids: Sequence[int], front_ids: Sequence[int]
    ) -> None:
        super().__init__()
        self.config = config
        self.start_ids, self.front_ids = tuple(start_ids), tuple(front_ids)
        base.model.requires_grad_(False)
        trained = config.trained
        profiles = [v.resolve(base.num_layers) for stage in config.stages for v in config.variants(stage)]
        self.profile = config.final_profile.resolve(base.num_layers)
        deepest = max(profile.injection_layers.stop for profile in profiles)
        # kept out of the module tree: only what is trained belongs to this module
        self._halves: dict[str, Architecture] = {
            "base": base,
            "upper": _with_lora(base, config, trained.upper_rank, base.num_layers),
            "lower": _with_lora(base, config, trained.lower_rank, deepest),
        }
        self.upper_lora = _lora_parameters(self._halves["upper"])
        self.lower_lora = _lora_parameters(self._halves["lower"])
        self.blocks = nn.ModuleDict()
        if self.profile.fusion == "separate":
            for layer in sorted({layer for profile in profiles for layer in profile.injection_layers}):
                self.blocks[str(layer)] = _new_block(base, layer, trained.gate_init)

    def train(self, mode: bool = True) -> Trainee:
        """Switch LoRA's dropout; the base model itself stays as it is."""
        super().train(mode)
        for name in ("upper", "lower"):
            if self._halves[name] is not self._halves["base"]:
                self._halves[name].model.train(mode)
        return self

    @property
    def num_layers(self) -> int:
        """Layers of the base model."""
        return self._halves["base"].num_layers

    def halves(self) -> tuple[Architecture, Architecture]:
        """The upper and the lower model; the base model itself for a half without changes."""
        return self._halves["upper"], self._halves["lower"]

    # -- computing ----------------------------------------------------------------------------------------------------

    def forward(self, examples: Sequence[Example]) -> Losses:
        """Losses of examples whose profiles have the same layers."""
        batch = collate(examples, self.start_ids)
        logits = _wide(self.logits(batch, examples[0].profile))
        targets = batch.targets.to(logits.device)
        loss = cross_entropy(logits, targets, reduction="none")
        by_example = _mean_by(batch.target_example.to(logits.device), loss, len(examples))
        settings = self.config.objectives
        total = settings.loss_weight * by_example.mean()
        divergence = None
        if settings.teacher != "none" and torch.is_grad_enabled():
            taught = _wide(self._teacher_logits(examples))
            each = kl_div(log_softmax(logits, -1), log_softmax(taught, -1), reduction="none", log_target=True).sum(-1)
            divergence = _mean_by(batch.target_example.to(logits.device), each, len(examples)).mean()
            total = total + settings.kl_weight * divergence
        return Losses(total, by_example.detach(), None if divergence is None else divergence.detach())

    def logits(self, batch: Batch, profile: Profile) -> torch.Tensor:
        """Logits [N, V] of the batch's targets, with gradients."""
        profile = profile.resolve(self._halves["base"].num_layers)
        return predict(
            batch,
            profile,
            lower=self._halves["lower"],
            upper=self._halves["upper"],
            blocks={layer: self.blocks[str(layer)] for layer in profile.injection_layers} if self.blocks else {},  # type: ignore[misc]
            start_ids=self.start_ids,
            front_ids=self.front_ids,
            train_lower=bool(self.lower_lora),
            packing=self.config.run.packing,
        )

    @torch.no_grad()
    def _teacher_logits(self, examples: Sequence[Example]) -> torch.Tensor:
        """Logits of the same targets by the base model, which has the whole text before them."""
        base = self._halves["base"]
        profile = _teacher_profile(examples[0].profile).resolve(base.num_layers)
        if self.config.objectives.teacher == "prefill":
            batch = prefilled([replace(e, profile=profile) for e in examples], self.start_ids)
        else:
            batch = collate([e.whole(profile) for e in examples], self.start_ids)
        return predict(
            batch,
            profile,
            lower=base,
            upper=base,
            blocks={},
            start_ids=self.start_ids,
            front_ids=self.front_ids or self.start_ids,
            packing=self.config.run.packing,
        )

    # -- weights ------------------------------------------------------------------------------------------------------

    def groups(self) -> list[dict[str, Any]]:
        """Parameter groups for an optimiser, with their learning rates; empty groups are left out."""
        rates = self.config.optimiser
        blocks = dict(self.blocks.named_parameters())
        sets = (
            ([*self.upper_lora.values(), *self.lower_lora.values()], rates.learning_rate),
            ([p for n, p in blocks.items() if not n.endswith("gate")], rates.block_learning_rate),
            ([p for n, p in blocks.items() if n.endswith("gate")], rates.gate_learning_rate),
        )
        made = []
        for parameters, rate in sets:
            for wide in (True, False):
                chosen = [p for p in parameters if (p.ndim > 1) is wide]
                decay = rates.weight_decay if wide else 0.0
                if chosen:
                    made.append({"params": chosen, "lr": rate, "base_lr": rate, "weight_decay": decay})
        return made

    def adapter(self, notes: Mapping[str, Any] | None = None) -> Adapter:
        """The trained weights as an adapter of the final profile."""
        weights: dict[str, torch.Tensor] = {}
        for layer in self.profile.injection_layers:
            if str(layer) in self.blocks:
                state = self.blocks[str(layer)].state_dict()
                weights |= {f"layers.{layer}.cross_attn.{name}": tensor.clone() for name, tensor in state.items()}
        for half, rank in self._ranks():
            for name, (a, b) in self._pairs(half):
                weights[f"{LORA[half]}{name}.A"] = a.detach().clone()
                weights[f"{LORA[half]}{name}.B"] = b.detach() * (self.config.trained.alpha / rank)
        return Adapter(self.profile, weights, dict(notes or {}), self._question())

    def _question(self) -> dict[str, int]:
        """Question settings that match training; empty if that had no fixed number of leaves."""
        profile, asked = self.profile, self.config.objectives
        if asked.group == 1 or any(profile.grains[:-1]):
            return {}
        leaf = profile.chunk_tokens >> profile.depth
        return {"budget": asked.leaves * leaf // profile.stored_grain}

    @torch.no_grad()
    def start_from(self, adapter: Adapter) -> None:
        """Begin with an adapter's weights; what it does not contain stays as it is.

        Raises:
            AdapterError: its low-rank changes have other ranks or places.
        """
        given_blocks = adapter.blocks(self._halves["base"]) if self.blocks else {}
        for layer, block in given_blocks.items():
            if str(layer) in self.blocks:
                self.blocks[str(layer)].load_state_dict(block.state_dict(), strict=False)
        for half, rank in (("upper", self.config.trained.upper_rank), ("lower", self.config.trained.lower_rank)):
            given = adapter.low_rank(half)  # type: ignore[arg-type]
            pairs = dict(self._pairs(half)) if rank else {}  # type: ignore[arg-type]
            unfit = sorted(n for n, (a, _) in given.items() if n not in pairs or pairs[n][0].shape != a.shape)
            if unfit:
                raise AdapterError(
                    f"The adapter's {half} change of {unfit[0]} has no place in this training.",
                    remedy=f"Use the same {half}_rank and targets.",
                )
            for name, (a, b) in given.items():
                pairs[name][0].copy_(a)
                pairs[name][1].copy_(b / (self.config.trained.alpha / rank))

    def trained_state(self) -> dict[str, torch.Tensor]:
        """Every trained parameter by its name in this module."""
        return dict(self.named_trained())

    def named_trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Trained parameters in order of their names, which are stable from run to run."""
        yield from sorted(self.named_parameters())

    def _ranks(self) -> Iterator[tuple[Half, int]]:
        if self.upper_lora:
            yield "upper", self.config.trained.upper_rank
        if self.lower_lora:
            yield "lower", self.config.trained.lower_rank

    def _pairs(self, half: Half) -> Iterator[tuple[str, tuple[torch.Tensor, torch.Tensor]]]:
        """Base weight name -> (A, B) as peft stores them."""
        for path, module in self._halves[half].model.named_modules():
            if hasattr(module, "lora_A"):
                yield f"{path}.weight", (module.lora_A["default"].weight, module.lora_B["default"].weight)


def _with_lora(base: Architecture, config: TrainingConfig, rank: int, layers: int) -> Architecture:
    """A twin of the base model with LoRA in its first ``layers`` layers; the base model itself for rank 0."""
    if not rank:
        return base
    twin = base.twin()
    trained = config.trained
    settings = LoraConfig(
        r=rank,
        lora_alpha=trained.alpha,
        lora_dropout=trained.dropout,
        target_modules=list(trained.targets),
        layers_to_transform=list(range(layers)),
        layers_pattern="layers",
    )
    inject_adapter_in_model(settings, twin.model)
    for parameter in _lora_parameters(twin).values():
        parameter.data = parameter.data.to(torch.promote_types(parameter.dtype, torch.float32))
    return twin


def _lora_parameters(arch: Architecture) -> nn.ParameterDict:
    found = {n.replace(".", "/"): p for n, p in arch.model.named_parameters() if "lora_" in n}
    return nn.ParameterDict(found)


def _new_block(base: Architecture, layer: int, gate: float) -> CrossAttention:
    """A block that begins as the layer's own self-attention: its q_proj, o_proj and input norm, scaled by a gate."""
    block = CrossAttention(base, gated=True)
    own = base.layers[layer]
    weights = {
        "q_proj.weight": own.self_attn.q_proj.weight,  # type: ignore[union-attr]
        "o_proj.weight": own.self_attn.o_proj.weight,  # type: ignore[union-attr]
        "layernorm.weight": own.input_layernorm.weight,  # type: ignore[union-attr]
        "gate": torch.tensor(gate),
    }
    block.load_state_dict({name: tensor.detach() for name, tensor in weights.items()})  # type: ignore[union-attr,operator]
    return block.to(base.device, torch.promote_types(base.dtype, torch.float32))


def _teacher_profile(profile: Profile) -> Profile:
    """Full depth, grain 1, for the same chunks."""
    grains = (0,) * (profile.depth - 1) + (1,)
    front = "prompt" if profile.front == "none" else profile.front
    return Profile.prefix(chunk_tokens=profile.chunk_tokens, depth=profile.depth, grains=grains, front=front)


def _wide(logits: torch.Tensor) -> torch.Tensor:
    """Logits in float32 at least."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def _mean_by(owner: torch.Tensor, values: torch.Tensor, size: int) -> torch.Tensor:
    """[size] mean of the values of each owner."""
    sums = torch.zeros(size, dtype=values.dtype, device=values.device).index_add(0, owner, values)
    return sums / torch.bincount(owner, minlength=size).clamp(min=1)
