"""Build sdist and wheel of every distribution of this repository: ``python tools/build_distributions.py --out dist``.

Each gets a folder of its own name. Prints ``distributions=[...]``, the names as JSON, which a workflow takes as an
output. Needs ``build``, and ``hatchling`` to read names and versions.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager

ROOT = Path(__file__).resolve().parents[1]


def folders() -> list[Path]:
    """Folders of all distributions, the core's first."""
    beside = [path.parent for group in ("packages", "integrations") for path in ROOT.glob(f"{group}/*/pyproject.toml")]
    return [ROOT, *sorted(beside)]


def metadata(folder: Path) -> ProjectMetadata[PluginManager]:
    """Name, version and requirements as the build will have them."""
    return ProjectMetadata(str(folder), PluginManager())


def check_tag(tag: str, found: list[ProjectMetadata[PluginManager]]) -> None:
    """Exit with a message unless a tag is ``v`` and the version of every distribution."""
    wrong = [f"{one.core.raw_name} {one.version}" for one in found if tag != f"v{one.version}"]
    if wrong:
        sys.exit(f"The tag {tag!r} is not the version of {', '.join(wrong)}. Set __version__, or tag another commit.")


def main() -> None:
    """Check the tag, build, print the names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--tag", help="git tag that the versions must agree with, v0.1.0")
    parser.add_argument("--check", action="store_true", help="build nothing")
    arguments = parser.parse_args()
    found = {folder: metadata(folder) for folder in folders()}
    if arguments.tag is not None:
        check_tag(arguments.tag, list(found.values()))
    for folder, one in found.items() if not arguments.check else ():
        out = arguments.out / one.core.raw_name
        command = [sys.executable, "-m", "build", "--outdir", str(out.resolve()), str(folder)]
        subprocess.run(command, check=True, stdout=sys.stderr)
    print(f"distributions={json.dumps([one.core.raw_name for one in found.values()])}")


if __name__ == "__main__":
    main()
