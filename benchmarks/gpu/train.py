"""Training runs in windows of time: each call continues where the previous one stopped.

``python benchmarks/gpu/train.py PLAN.toml ... --out DIR --max-minutes 9`` trains the named runs one after another
into ``DIR/<name>``, writes ``DIR/summary.md`` after each, and stops with a checkpoint when the time is up. The table is
printed last. With ``--bring`` (or the variable ``OUT``) what the next window needs is bundled into a few files.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sharedllm_docs.errors import SharedLLMError
from sharedllm_docs.training.config import TrainingConfig, read_tables, replaced
from sharedllm_docs.training.logs import read_log

SUMMARY = "summary.md"
SHOWN = ("step", "loss", "right", "wrong", "none", "kl", "gate", "tokens", "tokens_per_second", "minutes")


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    top = argparse.ArgumentParser(description="Train the runs of a plan within a window of time.")
    top.add_argument("plans", type=Path, nargs="+", help="TOML files; common.toml beside them holds what they share")
    top.add_argument("--out", type=Path, default=Path("runs"), help="folder of the runs (default: runs)")
    top.add_argument("--start", type=Path, default=None, help="folder of earlier runs to continue, copied into --out")
    top.add_argument("--bring", type=Path, default=_folder("OUT"), help="folder for bundled results (default: $OUT)")
    top.add_argument(
        "--token-files", type=Path, default=Path(), help="folder that token files are named from (default: here)"
    )
    top.add_argument("--max-minutes", type=float, default=9.0, help="limit of this call, all runs together")
    top.add_argument("--device", default="auto", help="auto, cpu or cuda")
    top.add_argument("--set", action="append", default=[], metavar="TABLE.KEY=VALUE", help="replace a setting (TOML)")
    return top


def settings_of(plan: Path, changes: Sequence[str], token_files: Path) -> TrainingConfig:
    """A run's configuration: the common tables, the plan's own over them, then the replaced settings.

    Raises:
        ConfigError: a file or a setting is invalid.
    """
    common = plan.with_name("common.toml")
    tables: dict[str, Any] = read_tables(common) if common.is_file() else {}
    for name, table in read_tables(plan).items():
        tables[name] = {**tables.get(name, {}), **table} if isinstance(table, dict) else table
    return TrainingConfig.from_dict(replaced(tables, changes)).with_token_files_in(token_files)


def summary(out: Path) -> str:
    """A Markdown table of the latest measurements of every run below ``out``."""
    lines = ["| run | " + " | ".join(SHOWN) + " |", "| --- " * (len(SHOWN) + 1) + "|"]
    for log in sorted(out.glob("*/log.csv")):
        latest: dict[str, str] = {}
        for row in read_log(log):
            latest |= {name: value for name, value in row.items() if value}
        lines.append(f"| {log.parent.name} | " + " | ".join(latest.get(name, "") for name in SHOWN) + " |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Train; returns the exit status."""
    chosen = parser().parse_args(arguments)
    begun, statuses = time.monotonic(), [0]
    try:
        configs = {plan.stem: settings_of(plan, chosen.set, chosen.token_files) for plan in chosen.plans}
        chosen.out.mkdir(parents=True, exist_ok=True)
        left = chosen.max_minutes
        for name, config in configs.items():
            statuses.append(_train(name, config, chosen, left))
            left = chosen.max_minutes - (time.monotonic() - begun) / 60
            (chosen.out / SUMMARY).write_text(summary(chosen.out), encoding="utf-8")
        _bring(chosen)
        print(summary(chosen.out), end="")
    except SharedLLMError as failed:
        statuses.append(_fail(failed))
    return next(filter(None, statuses), 0)


def _train(name: str, config: TrainingConfig, chosen: argparse.Namespace, minutes: float) -> int:
    """Train one run while time is left; returns the exit status. An error ends this run, not the others."""
    from sharedllm_docs.training.start import start

    folder = chosen.out / name
    earlier = chosen.start / name if chosen.start else None
    if earlier and earlier.is_dir() and not folder.exists():
        shutil.copytree(earlier, folder)
    if minutes <= 0:
        print(f"{name}: no time left")
        return 0
    try:
        outcome = start(config, folder, device=chosen.device, max_minutes=minutes, say=_say)
    except SharedLLMError as failed:
        return _fail(failed, f"{name}: ")
    print(f"{name}: step {outcome.step} of {config.run.steps}, {outcome.adapter}", flush=True)
    return 0


def _bring(chosen: argparse.Namespace) -> None:
    """Bundle the results, if they are to be brought away."""
    if chosen.bring is None or not any(chosen.out.glob("*/log.csv")):
        return
    from bring import bundle

    for name in bundle(chosen.out, chosen.bring):
        print(f"left out, the bundle would be too large: {name}")


def _folder(variable: str) -> Path | None:
    return Path(os.environ[variable]) if os.environ.get(variable) else None


def _fail(error: SharedLLMError, before: str = "") -> int:
    print(f"error: {before}{error}", file=sys.stderr, flush=True)
    return error.exit_code


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
