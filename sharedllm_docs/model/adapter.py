"""Adapters: trained weights beside an unchanged base model, as a folder of safetensors and JSON.

``adapter_config.json`` contains the profile that the weights were trained for; ``adapter*.safetensors`` (one file or
shards) contains ``layers.{i}.cross_attn.{q_proj,o_proj,layernorm}.weight`` (and ``gate``), ``lower.*`` weights where
the lower model differs from the base model, and low-rank changes of either half's weights:
``{upper,lower}.lora.{name}.A`` [rank, in] and ``.B`` [out, rank], where the half's weight ``name`` is the base model's
plus B A.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from sharedllm_docs.architectures.base import Architecture
from sharedllm_docs.checks import json_of
from sharedllm_docs.config import Profile, PromptStart, RetrievalConfig
from sharedllm_docs.errors import AdapterError
from sharedllm_docs.injection.cross_attention import CrossAttention
from sharedllm_docs.model.digests import NO_FILES, Snapshot

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter.safetensors"
LOWER = "lower."
LORA = {"upper": "upper.lora.", "lower": "lower.lora."}
SHARD_BYTES = 14 * 2**20
_SHARD = re.compile(r"(.+)-\d{5}-of-(\d{5})\.safetensors")
Half = Literal["upper", "lower"]
QUESTION_DEFAULTS = frozenset(("budget", "evidence_tokens"))
SHIPPED = Path(__file__).parents[1] / "adapters"
"""Adapters of embedded models that ship with the package, one folder each."""


@dataclass(frozen=True)
class Adapter:
    """Trained weights and the profile they belong to.

    Attributes:
        profile: the profile that the weights were trained for.
        weights: tensors by name; the module's docstring lists the names.
        notes: free-form notes kept in the config (base model, training run).
        question: default ``budget`` and ``evidence_tokens`` of questions, as trained for or measured best. They are not
            part of the digest, because no stored number depends on them.
        prompt_start: wording of the prompt's start that the weights were trained with; files that do not say so come
            from versions that had only ``instructed``.
    """

    profile: Profile
    weights: Mapping[str, torch.Tensor]
    notes: Mapping[str, Any] = field(default_factory=dict)
    question: Mapping[str, int] = field(default_factory=dict)
    prompt_start: PromptStart = "neutral"
    _files: Snapshot = field(default=NO_FILES, compare=False, repr=False)

    def __post_init__(self) -> None:
        unknown = sorted(set(self.question) - QUESTION_DEFAULTS)
        if unknown:
            raise AdapterError(
                f"The adapter's question settings hold {unknown[0]!r} (known: {', '.join(sorted(QUESTION_DEFAULTS))}).",
                remedy="Leave it out of adapter_config.json.",
            )
        if self.prompt_start not in get_args(PromptStart):
            raise AdapterError(
                f"The adapter's prompt_start is {self.prompt_start!r} (known: {', '.join(get_args(PromptStart))}).",
                remedy="Correct it in adapter_config.json.",
            )
        RetrievalConfig(budget=self.question.get("budget"), evidence_tokens=self.question.get("evidence_tokens"))

    def files_unchanged(self) -> bool:
        """Whether the files that it was read from are as they were."""
        return self._files.unchanged()

    @cached_property
    def digest(self) -> str:
        """SHA-256 over profile and weights, however they are spread over files."""
        hasher = hashlib.sha256(json.dumps(self.profile.to_dict(), sort_keys=True).encode())
        for name in sorted(self.weights):
            tensor = self.weights[name].detach().cpu().contiguous()
            hasher.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
            hasher.update(tensor.view(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
        return hasher.hexdigest()

    @property
    def changes_rows(self) -> bool:
        """Whether documents are encoded with weights of the adapter; otherwise their rows are the base model's."""
        return any(name.startswith(LOWER) for name in self.weights)

    def changes(self, half: Half) -> bool:
        """Whether a half differs from the base model."""
        prefixes = (LORA[half], LOWER) if half == "lower" else (LORA[half],)
        return any(name.startswith(prefixes) for name in self.weights)

    @property
    def lower_weights(self) -> dict[str, torch.Tensor]:
        """Full weights of the lower model, by the base model's names; empty if it uses the base model's."""
        return {
            name[len(LOWER) :]: tensor
            for name, tensor in self.weights.items()
            if name.startswith(LOWER) and not name.startswith(LORA["lower"])
        }

    def low_rank(self, half: Half) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        """Low-rank changes of a half: (A [rank, in], B [out, rank]) by the base model's weight name.

        Raises:
            AdapterError: A or B is missing.
        """
        parts = {n[len(LORA[half]) :]: t for n, t in self.weights.items() if n.startswith(LORA[half])}
        names = sorted({name.rpartition(".")[0] for name in parts})
        odd = sorted({f"{name}.{letter}" for name in names for letter in "AB"} ^ set(parts))
        if odd:
            raise AdapterError(
                f"The adapter's low-rank change {LORA[half]}{odd[0]} is missing or has no counterpart.",
                remedy="Fetch or convert it again.",
            )
        return {name: (parts[f"{name}.A"], parts[f"{name}.B"]) for name in names}

    def weights_of(self, half: Half, base: Architecture) -> dict[str, torch.Tensor]:
        """The weights in which a half differs from the base model, by the base model's names.

        Raises:
            AdapterError: a weight is unknown to the base model, or of another shape.
        """
        own = dict(base.model.named_parameters())
        changed = self.lower_weights if half == "lower" else {}
        shapes: dict[str, tuple[int, ...]] = {name: tuple(tensor.shape) for name, tensor in changed.items()}
        low_rank = self.low_rank(half)
        shapes |= {name: (b.shape[0], a.shape[1]) for name, (a, b) in low_rank.items()}
        unfit = sorted(name for name, shape in shapes.items() if name not in own or tuple(own[name].shape) != shape)
        if unfit:
            raise AdapterError(
                f"The adapter's {half} weights do not fit the model: {unfit[0]} is unknown to it or of another shape.",
                remedy="Use the adapter with the base model it was trained for.",
            )
        for name, (a, b) in low_rank.items():
            start = changed.get(name, own[name].detach())
            wide = torch.promote_types(start.dtype, torch.float32)
            # the sum goes into the memory of the product: the same bits as W + B A without another matrix of that
            # size. Each weight is narrowed at once, or all of them would be held in float32 at the same time
            changed[name] = (b.to(start.device, wide) @ a.to(start.device, wide)).add_(start).to(own[name].dtype)
        return changed

    def blocks(self, arch: Architecture) -> dict[int, CrossAttention]:
        """The cross-attention blocks, on the model's device and in its dtype.

        Raises:
            AdapterError: a weight is missing, unknown or of another shape than the model's.
        """
        made: dict[int, CrossAttention] = {}
        layers = self.profile.resolve(arch.num_layers).injection_layers
        known = (LOWER, *LORA.values(), *(f"layers.{layer}.cross_attn." for layer in layers))
        unknown = sorted(name for name in self.weights if not name.startswith(known))
        if unknown:
            raise AdapterError(
                f"The adapter holds {unknown[0]}, which layers {layers.start + 1}..{layers.stop} have no place for.",
                remedy="Use the profile and the weights of the same training run.",
            )
        for layer in layers:
            prefix = f"layers.{layer}.cross_attn."
            weights = {n[len(prefix) :]: t for n, t in self.weights.items() if n.startswith(prefix)}
            block = CrossAttention(arch, gated="gate" in weights)
            try:
                block.load_state_dict(weights)
            except RuntimeError as error:
                raise AdapterError(
                    f"The adapter does not fit layer {layer + 1} of the model: {str(error).splitlines()[-1].strip()}",
                    remedy="Use the adapter with the base model it was trained for.",
                ) from error
            made[layer] = block.to(arch.device, arch.dtype).eval()
        return made

    def save(self, folder: str | Path, *, shard_bytes: int = SHARD_BYTES) -> Path:
        """Write the adapter into ``folder`` (created), in files of at most ``shard_bytes`` of tensors.

        Adapter files that are already there are replaced.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        settings = {
            "profile": self.profile.to_dict(),
            "notes": dict(self.notes),
            "question": dict(self.question),
            "prompt_start": self.prompt_start,
        }
        (folder / CONFIG_FILE).write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        write_shards(self.weights, folder, Path(WEIGHTS_FILE).stem, shard_bytes)
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> Adapter:
        """Read an adapter from a folder, or by the name of one that ships with the package.

        Raises:
            AdapterError: there is no adapter, or its files are damaged.
        """
        folder = adapter_folder(folder)
        config, files = folder / CONFIG_FILE, sorted(folder.glob("adapter*.safetensors"))
        if not config.is_file() or not files:
            raise AdapterError(
                f"{folder} holds no adapter ({CONFIG_FILE} and adapter*.safetensors).",
                remedy=f"Give the folder that training or convert wrote, or one of {', '.join(shipped_names())}.",
            )
        if missing := _missing_shards({file.name for file in files}):
            raise AdapterError(f"The adapter in {folder} lacks {missing[0]}.", remedy="Fetch or convert it again.")
        state = Snapshot.of(folder, CONFIG_FILE, "adapter*.safetensors")
        try:
            settings = json_of(config.read_text(encoding="utf-8"))
            weights = {name: tensor for file in files for name, tensor in load_file(file).items()}
            return cls(
                Profile.from_dict(settings["profile"]),
                weights,
                settings.get("notes", {}),
                settings.get("question", {}),
                settings.get("prompt_start", "instructed"),
                state,
            )
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise AdapterError(
                f"The adapter in {folder} is damaged: {error}", remedy="Fetch or convert it again."
            ) from error


def shipped_adapter(name: str) -> Path | None:
    """Folder of the shipped adapter with this name; None if there is none.

    The adapter of an embedded model has the model's name.
    """
    folder = SHIPPED / name
    return folder if (folder / CONFIG_FILE).is_file() else None


def shipped_names() -> list[str]:
    """Names of the adapters that ship with the package."""
    return sorted(path.parent.name for path in SHIPPED.glob(f"*/{CONFIG_FILE}"))


def adapter_folder(name_or_path: str | Path) -> Path:
    """The given folder if it exists, otherwise the folder of the shipped adapter with this name."""
    folder = Path(name_or_path)
    return folder if folder.exists() else shipped_adapter(str(name_or_path)) or folder


def _missing_shards(names: set[str]) -> list[str]:
    """Missing shards of a numbered set."""
    found = [match for name in names if (match := _SHARD.fullmatch(name))]
    wanted = {f"{m[1]}-{number:05d}-of-{m[2]}.safetensors" for m in found for number in range(1, int(m[2]) + 1)}
    return sorted(wanted - names)


def write_shards(tensors: Mapping[str, torch.Tensor], folder: Path, stem: str, shard_bytes: int) -> list[Path]:
    """Write tensors as ``stem.safetensors``, or as numbered shards if they exceed ``shard_bytes``.

    Tensors are never split; one that is larger than that gets a shard of its own. Older files of the stem are removed.
    """
    shards: list[dict[str, torch.Tensor]] = [{}]
    size = 0
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        if shards[-1] and size + tensor.nbytes > shard_bytes:
            shards.append({})
            size = 0
        shards[-1][name] = tensor
        size += tensor.nbytes
    numbered = [f"{stem}-{number:05d}-of-{len(shards):05d}" for number in range(1, len(shards) + 1)]
    files = [folder / f"{name}.safetensors" for name in (numbered if len(shards) > 1 else [stem])]
    for old in set(folder.glob(f"{stem}*.safetensors")) - set(files):
        old.unlink()
    for file, shard in zip(files, shards, strict=True):
        save_file(shard, file)
    return files
