"""Reads members of .deb, .whl, .zip and .tar.gz files without unpacking them to the disk."""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from sharedllm_docs.errors import FetchError

_AR_MAGIC = b"!<arch>\n"
_AR_HEADER = 60


def members(path: Path, include: str, exclude: str = "") -> list[tuple[str, bytes]]:
    """The files whose whole name matches ``include`` and not ``exclude``, in natural order of their names.

    Gzipped members come out decompressed; names are matched and returned without ``.gz`` or ``.dz``.

    Raises:
        FetchError: the file is not an archive of a known form, or it is damaged.
    """
    wanted, unwanted = re.compile(include), re.compile(exclude or r"(?!)")
    found: dict[str, bytes] = {}
    try:
        for name, data in _files(path, wanted, unwanted):
            plain = _plain(name)
            found[plain] = gzip.decompress(data) if plain != name else data
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error) as broken:
        raise FetchError(
            f"{path.name} cannot be read as an archive: {broken}", remedy=f"Remove {path} and fetch it again."
        ) from broken
    return sorted(found.items(), key=lambda item: natural_key(item[0]))


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sorts ``ch2`` before ``ch10``."""
    parts = re.split(r"(\d+)", name)
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts]


def _plain(name: str) -> str:
    return name.removesuffix(".gz").removesuffix(".dz")


def _files(path: Path, wanted: re.Pattern[str], unwanted: re.Pattern[str]) -> Iterator[tuple[str, bytes]]:
    if path.suffix in {".whl", ".zip"}:
        yield from _zip_files(path, wanted, unwanted)
    elif path.suffix == ".deb":
        yield from _tar_files(_deb_data(path), wanted, unwanted)
    else:
        yield from _tar_files(path.read_bytes(), wanted, unwanted)


def _zip_files(path: Path, wanted: re.Pattern[str], unwanted: re.Pattern[str]) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if wanted.fullmatch(_plain(name)) and not unwanted.search(name):
                yield name, archive.read(name)


def _tar_files(data: bytes, wanted: re.Pattern[str], unwanted: re.Pattern[str]) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:*") as archive:
        for member in archive:
            name = member.name.removeprefix("./")
            # Links are left out: what they point to is a member of its own.
            if member.isreg() and wanted.fullmatch(_plain(name)) and not unwanted.search(name):
                file = archive.extractfile(member)
                if file is not None:
                    yield name, file.read()


def _deb_data(path: Path) -> bytes:
    """The data tarball of a .deb, which is an ``ar`` archive of three members."""
    raw = path.read_bytes()
    if not raw.startswith(_AR_MAGIC):
        raise FetchError(
            f"{path.name} is not a Debian package: it does not begin with {_AR_MAGIC!r}.",
            remedy=f"Remove {path} and fetch it again.",
        )
    at = len(_AR_MAGIC)
    while at + _AR_HEADER <= len(raw):
        name, size = raw[at : at + 16].decode("ascii").strip().rstrip("/"), int(raw[at + 48 : at + 58])
        at += _AR_HEADER
        if name.startswith("data.tar"):
            if name.endswith(".zst"):
                raise FetchError(
                    f"{path.name} is compressed with zstd, which tarfile does not read.",
                    remedy="Use a package of Debian, which compresses with xz.",
                )
            return raw[at : at + size]
        at += size + size % 2
    raise FetchError(f"{path.name} holds no data.tar.", remedy=f"Remove {path} and fetch it again.")
