"""Finds the files that a user names: files, folders, patterns (globs), zip archives, URLs.

Folders honour ``.gitignore``; links are followed once, so that loops end. Everything that is skipped is reported.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sharedllm_docs.documents.readers.archives import is_archive, members
from sharedllm_docs.documents.readers.collected import Found, Skipped
from sharedllm_docs.documents.readers.source import find_path
from sharedllm_docs.errors import DocumentNotFoundError

_MAGIC = re.compile(r"[*?\[]")
_LOCK_FILE = re.compile(r"~\$.*\.(?:doc|xls|ppt|dot|xlt)\w?\Z|\.~lock\..*#\Z", re.IGNORECASE)
_MAX_FILES = 1_000_000
_MAX_DEPTH = 100


def collect(
    sources: Sequence[str | Path], *, recursive: bool = False, ignored: bool = False, max_bytes: int = 1 << 30
) -> Iterator[Found | Skipped | DocumentNotFoundError]:
    """The files to read, one after another.

    Args:
        sources: paths of files or folders, patterns such as ``reports/**/*.pdf``, zip archives, or URLs.
        recursive: whether folders inside folders are searched.
        ignored: whether to read files that a ``.gitignore`` names as well.
        max_bytes: maximum size of a member of an archive.

    Yields:
        files, what is skipped, and an error for each source that names nothing.
    """
    names = names_of(sources)
    for source in sources:
        text = os.fspath(source)
        if "://" in text:
            yield Found(names[text], text, named=True)
            continue
        path = find_path(text)
        if path.is_dir():
            yield from _Folder(path, recursive, ignored, max_bytes).files()
        elif not os.path.lexists(path) and _MAGIC.search(text):
            yield from _matching(text, recursive, ignored, max_bytes)
        else:  # also a missing file: reading it raises the error
            yield from _file(path, names[text], max_bytes, named=True, text=text)


def names_of(sources: Sequence[str | Path]) -> dict[str, str]:
    """Names for files that are named by themselves: the last part, or the whole path where two would be the same."""
    texts = [os.fspath(source) for source in sources]
    places: dict[str, set[str]] = {}
    for text in texts:
        places.setdefault(_last(text), set()).add(text if "://" in text else os.path.realpath(text))
    whole = {last for last, found in places.items() if len(found) > 1}
    return {
        text: re.sub(r"^(?:\.{0,2}/)+", "", text.replace("\\", "/")) if _last(text) in whole else _last(text)
        for text in texts
    }


def _last(text: str) -> str:
    return text.split("?")[0].rstrip("/").replace("\\", "/").rpartition("/")[2] or text


def _file(path: Path, name: str, max_bytes: int, *, named: bool, text: str = "") -> Iterator[Found | Skipped]:
    """The file (``text``: as the user named it), or the entries of an archive."""
    head = b""
    if path.is_file():  # if it cannot be opened, reading raises the error; a pipe must not be waited for
        with contextlib.suppress(OSError), path.open("rb") as file:
            head = file.read(4)
    if is_archive(path.name, head):
        yield from members(path, name, max_bytes=max_bytes)
    else:
        yield Found(name, text or path, named)


def _matching(
    pattern: str, recursive: bool, ignored: bool, max_bytes: int
) -> Iterator[Found | Skipped | DocumentNotFoundError]:
    """The files that match a pattern, named by their path after its fixed part."""
    found = False
    fixed = Path(_MAGIC.split(pattern, maxsplit=1)[0].rpartition("/")[0])
    for text in sorted(glob.iglob(pattern, recursive=True)):
        path = Path(text)
        found = True
        if path.is_dir():
            if recursive and not pattern.endswith("**"):
                yield from _Folder(path, recursive, ignored, max_bytes).files()
            continue
        if path.exists() and not path.is_file():
            yield Skipped(_below(path, fixed), "it is no file")
            continue
        yield from _file(path, _below(path, fixed), max_bytes, named=False)
    if not found:
        yield DocumentNotFoundError(f"No file matches {pattern}.", remedy="Check the pattern.")


def _below(path: Path, folder: Path) -> str:
    try:
        return path.relative_to(folder).as_posix()
    except ValueError:
        return path.name


@dataclass
class _Folder:
    """A folder to search.

    Attributes:
        root: the folder.
        recursive: whether to go into folders.
        ignored: whether to read what ``.gitignore`` names.
        max_bytes: of a member of an archive.
        seen: real paths of the folders on the way down.
    """

    root: Path
    recursive: bool
    ignored: bool
    max_bytes: int
    seen: set[str] = field(default_factory=set)
    count: int = 0

    def files(self) -> Iterator[Found | Skipped]:
        name = self.root.resolve().name if self.root.name in ("", ".", "..") else self.root.name
        prefix = "" if self.root.name in ("", ".", "..") else f"{name}/"
        rules = [] if self.ignored else _rules_above(self.root)
        yield from self._walk(self.root, prefix, rules, 0)

    def _walk(self, folder: Path, prefix: str, rules: list[_Rules], depth: int) -> Iterator[Found | Skipped]:
        real = os.path.realpath(folder)
        if real in self.seen or depth > _MAX_DEPTH:
            yield Skipped(str(folder), "it is a link to a folder that is read already")
            return
        self.seen.add(real)
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            yield Skipped(str(folder), f"it cannot be opened: {error.strerror}")
            return
        own = [] if self.ignored else _rules_of(folder)
        rules = [*rules, *own]
        for entry in entries:
            yield from self._entry(Path(entry.path), f"{prefix}{entry.name}", rules, depth)

    def _entry(self, path: Path, name: str, rules: list[_Rules], depth: int) -> Iterator[Found | Skipped]:
        is_folder = path.is_dir()
        reason = _passed_over(path, is_folder) or (
            "a .gitignore names it" if _is_ignored(path, is_folder, rules) else ""
        )
        if reason:
            yield Skipped(name, reason)
        elif is_folder and not self.recursive:
            yield Skipped(name, "it is a folder; --recursive reads it too")
        elif is_folder:
            yield from self._walk(path, f"{name}/", rules, depth + 1)
        elif not path.exists():
            yield Skipped(name, "it is a link to nothing")
        elif not path.is_file():
            yield Skipped(name, "it is no file")
        else:
            self.count += 1
            if self.count > _MAX_FILES:
                return
            yield from _file(path, name, self.max_bytes, named=False)


def _passed_over(path: Path, is_folder: bool) -> str:
    if path.name.startswith("."):
        return "it is hidden"
    if is_folder and (path / "index.json").is_file() and (path / "documents").is_dir():
        return "it is an index"
    if _LOCK_FILE.match(path.name):
        return "an office program has put it there to lock another"
    return ""


@dataclass(frozen=True)
class _Rules:
    """A ``.gitignore`` and the folder it is for."""

    folder: Path
    lines: tuple[str, ...]


def _rules_of(folder: Path) -> list[_Rules]:
    try:
        lines = (folder / ".gitignore").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [_Rules(folder, tuple(lines))]


def _rules_above(folder: Path) -> list[_Rules]:
    """The rules of the folders above, up to the root of the repository."""
    rules: list[_Rules] = []
    at = Path(os.path.abspath(folder))
    if (at / ".git").exists():
        return []
    for parent in at.parents:
        rules = [*_rules_of(parent), *rules]
        if (parent / ".git").exists():
            return rules
    return []


def _is_ignored(path: Path, is_folder: bool, rules: Sequence[_Rules]) -> bool:
    """Whether the last rule that speaks of the path ignores it."""
    from pathspec import GitIgnoreSpec

    verdict = False
    for one in rules:
        relative = os.path.relpath(os.path.abspath(path), os.path.abspath(one.folder)).replace(os.sep, "/")
        spec = _spec(GitIgnoreSpec, one.lines)
        found = spec.check_file(relative + ("/" if is_folder else ""))
        if found.include is not None:
            verdict = bool(found.include)
    return verdict


_specs: dict[tuple[str, ...], object] = {}


def _spec(kind: type, lines: tuple[str, ...]):  # type: ignore[no-untyped-def]
    if lines not in _specs:
        _specs[lines] = kind.from_lines(lines)  # type: ignore[attr-defined]
    return _specs[lines]
