"""Options of models: which one is loaded, where it computes, and how documents are encoded with it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from sharedllm_docs.cli.options.declare import choices, given, option
from sharedllm_docs.cli.units import parse_layers
from sharedllm_docs.config import Keep, ProfileName, StoreDtype

DEFAULT_MODEL = "qwen2.5-coder-0.5b-instruct"
MODEL_HELP = "Embedded model, local folder or hub name."
_model = partial(option, panel="Model")


@dataclass(frozen=True)
class LoadingOptions:
    """Which model an index works with, and where it computes; the fields are keywords of ``Index.open``."""

    name_or_path: Annotated[
        str | None, _model("--model", "NAME", MODEL_HELP, f"the index's; {DEFAULT_MODEL} for a new one")
    ] = None
    adapter: Annotated[
        str | None,
        _model(
            "--adapter",
            "NAME",
            "Folder of a trained adapter, the name of one that comes with the package, or none.",
            "the index's; the embedded model's own for a new one",
        ),
    ] = None
    embedder: Annotated[
        str | None,
        _model(
            "--embedder",
            "NAME",
            "sentence-transformers folder or hub name.",
            "the index's; all-minilm-l6-v2 for a new one",
        ),
    ] = None
    dtype: Annotated[
        str | None,
        _model(
            "--dtype", "NAME", "Precision of the model: float32, bfloat16, float16.", "the index's, or by the device"
        ),
    ] = None
    device: Annotated[
        str | None, _model("--device", "NAME", "Where the model computes.", "cuda if there is one, else cpu")
    ] = None
    confidence: Annotated[
        str | None,
        _model(
            "--confidence",
            "FILE",
            "File of fit-confidence: when to decline.",
            "the model's own",
        ),
    ] = None


@dataclass(frozen=True)
class ComputeOptions:
    """Where a model computes that is measured by itself, without an index."""

    device: Annotated[
        str, _model("--device", "NAME", "Where the model computes: auto (cuda if there is one), cpu, cuda.")
    ] = "auto"
    dtype: Annotated[
        str, _model("--dtype", "NAME", "Precision of the model: auto (by the device), float32, bfloat16, float16.")
    ] = "auto"


_encoding = partial(option, panel="Encoding")


@dataclass(frozen=True)
class ProfileOptions:
    """How documents are encoded."""

    profile: Annotated[
        str | None,
        _encoding(
            "--profile", choices(ProfileName), "How keys and values reach the decoder.", "the adapter's, else prefix"
        ),
    ] = None
    layers: Annotated[
        str | None,
        _encoding("--layers", "A-B", "Layers that receive the rows, counted from 1; see calibrate.", "the profile's"),
    ] = None
    store_dtype: Annotated[
        str | None,
        _encoding("--store-dtype", choices(StoreDtype), "How keys and values are stored.", "the profile's"),
    ] = None

    grain: Annotated[
        int | None,
        _encoding(
            "--grain",
            "N",
            "Store one row for N tokens, the most important ones: smaller indexes.",
            "the profile's, 1",
        ),
    ] = None
    keep: Annotated[
        str | None,
        _encoding("--keep", choices(Keep), "Which tokens stand for their group.", "last; reread with --grain above 1"),
    ] = None

    def changes(self) -> dict[str, Any]:
        """Settings of the profile that were set, without its name and its grain.

        Raises:
            ConfigError: the layers are malformed.
        """
        changes = given(self)
        for name in ("profile", "grain"):
            changes.pop(name, None)
        if "layers" in changes:
            changes["layers"] = parse_layers(changes["layers"])
        return changes
