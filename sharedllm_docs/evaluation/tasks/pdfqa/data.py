"""The three manuals, from given folders, the cache, or Debian's package, of which nothing is installed.

Run as ``python -m sharedllm_docs.evaluation.tasks.pdfqa.data`` to fetch them before going offline.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from sharedllm_docs.cache import cache_dir
from sharedllm_docs.errors import EvaluationError, SharedLLMError
from sharedllm_docs.model.digests import file_sha256

PACKAGE = "r-doc-pdf"
SHA256 = {
    "R-intro.pdf": "337ccd0b490b1e66f7e783b45f4588d0599730b4206c0c051edfe1419c568c51",
    "R-lang.pdf": "4a6120ba505021d7c208078b575fe3f5d5dc91636dcf17de8a4208adda90d7dc",
    "R-data.pdf": "9381a39ffeb8545a745c2618ba955b4ae4e10b9c8373cd5bc1984fff8318f8ca",
}
_FOLDER = "./usr/share/R/doc/manual/"
_TIMEOUT_S = 600


def data_dir() -> Path:
    """Where fetched manuals are kept."""
    return cache_dir() / "evaluation" / "pdfqa"


def find_pdf(name: str, pdf_dirs: Sequence[Path], report: Callable[[str], None]) -> Path:
    """Path of the PDF in one of the folders or the cache; if it is in none, it is fetched into the cache.

    Raises:
        EvaluationError: a manual that is kept for judging, one of another edition, or one that cannot be fetched.
    """
    if name not in SHA256:
        raise EvaluationError(
            f"{name!r} is none of {', '.join(SHA256)}; the package's other manuals are kept for judging.",
            remedy="Ask about one of these.",
        )
    for folder in (*pdf_dirs, data_dir()):
        if (folder / name).is_file():
            return _checked(folder / name)
    report(f"Fetching the manuals from Debian's package {PACKAGE} (once)")
    fetch()
    return _checked(data_dir() / name)


def fetch() -> None:
    """Download the package and keep the three manuals.

    Raises:
        EvaluationError: no ``apt-get`` or ``dpkg-deb``, or the download failed.
    """
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise EvaluationError(
                f"The manuals come from Debian's package {PACKAGE}, and there is no {tool} on this machine.",
                remedy="Name a folder that holds R-intro.pdf, R-lang.pdf and R-data.pdf with --pdf-dir.",
            )
    with tempfile.TemporaryDirectory() as scratch:
        _run(["apt-get", "download", "--quiet", PACKAGE], scratch)
        [package] = sorted(Path(scratch).glob("*.deb"))[:1] or [Path(scratch, f"{PACKAGE}.deb")]
        unpack(_run(["dpkg-deb", "--fsys-tarfile", str(package)], scratch), data_dir())


def unpack(tar: bytes, folder: Path) -> None:
    """Write the three manuals of the package's tar file, and no other file, into a folder.

    Raises:
        EvaluationError: one of them is not in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        for name in SHA256:
            try:
                file = archive.extractfile(_FOLDER + name)
            except KeyError:
                file = None
            if file is None:
                raise EvaluationError(f"The package holds no {_FOLDER}{name}.", remedy="Use --pdf-dir instead.")
            part = folder / f".{name}.{os.getpid()}"  # another process may be fetching, or reading what is there
            part.write_bytes(file.read())
            part.replace(folder / name)


def _checked(path: Path) -> Path:
    found = file_sha256(path)
    if found != SHA256[path.name]:
        raise EvaluationError(
            f"{path} has the SHA-256 {found}, not {SHA256[path.name]}: another edition breaks pages elsewhere.",
            remedy=f"Use the edition of {PACKAGE} 4.2.2.20221110-2, or leave this folder out of --pdf-dir.",
        )
    return path


def _run(command: list[str], folder: str) -> bytes:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as stopped:
        raise EvaluationError(
            f"{command[0]} took more than {_TIMEOUT_S} seconds.", remedy="Check the network, or use --pdf-dir."
        ) from stopped
    if done.returncode:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines() or ["no output"]
        raise EvaluationError(
            f"{' '.join(command[:2])} failed with exit status {done.returncode}: {said[-1]}",
            remedy="Check the network and run apt-get update, or name a folder with the PDFs with --pdf-dir.",
        )
    return done.stdout


def main() -> int:
    """Fetch what is missing and print the paths; returns the exit code."""
    try:
        for name in SHA256:
            print(find_pdf(name, (), print))
    except SharedLLMError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
