"""Training runs in windows of time: each call goes on where the one before it stopped.

``python benchmarks/gpu/train.py PLAN.toml ... --out DIR --max-minutes 9`` trains the named runs one after another
into ``DIR/<name>``, writes ``DIR/summary.md`` after each, and stops with a checkpoint when the time is up.
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
from sharedllm_docs.training.config import TrainingConfig, read_tables
from sharedllm_docs.training.logs import read_log
from sharedllm_docs.training.overrides import replaced

SHOWN = ("step", "loss", "right", "wrong", "none", "kl", "gate", "tokens", "tokens_per_second", "minutes")


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    top = argparse.ArgumentParser(description="Train the runs of a plan within a window of time.")
    top.add_argument("plans", type=Path, nargs="+", help="TOML files; common.toml beside them holds what they share")
    top.add_argument("--out", type=Path, default=None, help="folder of the runs (default: $OUT, else runs)")
    top.add_argument("--start", type=Path, default=None, help="folder of earlier runs to go on with, copied into --out")
    top.add_argument("--packs", type=Path, default=Path(), help="folder that packs are named from (default: here)")
    top.add_argument("--max-minutes", type=float, default=9.0, help="of this call, all runs together")
    top.add_argument("--device", default="auto", help="auto, cpu or cuda")
    top.add_argument("--set", action="append", default=[], metavar="TABLE.KEY=VALUE", help="replace a setting (TOML)")
    return top


def settings_of(plan: Path, changes: Sequence[str], packs: Path) -> TrainingConfig:
    """A run's configuration: the plan's common tables, its own over them, then what was replaced.

    Raises:
        ConfigError: a file or a setting is invalid.
    """
    common = plan.with_name("common.toml")
    tables: dict[str, Any] = read_tables(common) if common.is_file() else {}
    for name, table in read_tables(plan).items():
        tables[name] = {**tables.get(name, {}), **table} if isinstance(table, dict) else table
    return TrainingConfig.from_dict(replaced(tables, changes)).with_packs_in(packs)


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
    out = chosen.out or Path(os.environ.get("OUT", "runs"))
    try:
        _train(chosen, out)
    except SharedLLMError as failed:
        print(f"error: {failed}", file=sys.stderr)
        return failed.exit_code
    finally:
        if out.is_dir():
            (out / "summary.md").write_text(summary(out), encoding="utf-8")
    return 0


def _train(chosen: argparse.Namespace, out: Path) -> None:
    from sharedllm_docs.training.start import start

    begun = time.monotonic()
    configs = {plan.stem: settings_of(plan, chosen.set, chosen.packs) for plan in chosen.plans}
    out.mkdir(parents=True, exist_ok=True)
    for name, config in configs.items():
        earlier = chosen.start / name if chosen.start else None
        if earlier and earlier.is_dir() and not (out / name).exists():
            shutil.copytree(earlier, out / name)
        left = chosen.max_minutes - (time.monotonic() - begun) / 60
        if left <= 0:
            print(f"{name}: no time left")
            continue
        outcome = start(config, out / name, device=chosen.device, max_minutes=left, say=_say)
        print(f"{name}: step {outcome.step} of {config.run.steps}, {outcome.adapter}", flush=True)
        (out / "summary.md").write_text(summary(out), encoding="utf-8")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
