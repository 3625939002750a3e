"""Options for adding files: how they are found and read, by which workers, and how they enter the index."""

from __future__ import annotations

import getpass
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from sharedllm_docs.cli.options.declare import given, option
from sharedllm_docs.cli.units import parse_metadata, parse_size

if TYPE_CHECKING:
    from sharedllm_docs.documents.readers.options import ReadOptions

_reading = partial(option, panel="Reading the file")


@dataclass(frozen=True)
class ReadingOptions:
    """How a file is read."""

    password: Annotated[str | None, _reading("--password", "TEXT", "Password of an encrypted PDF; - asks for it.")] = (
        None
    )
    pages: Annotated[str | None, _reading("--pages", "RANGE", 'Read only these pages, e.g. "1-20,35,50-".')] = None
    engine: Annotated[
        str | None,
        _reading("--engine", "[pdfium|pypdf]", "Library that extracts the text of PDF pages.", "pdfium"),
    ] = None
    encoding: Annotated[str | None, _reading("--encoding", "NAME", "Encoding of a text file.", "detected")] = None
    max_pages: Annotated[int | None, _reading("--max-pages", "N", "Refuse documents with more pages.")] = None
    max_bytes: Annotated[str | None, _reading("--max-bytes", "SIZE", "Refuse larger files.")] = None
    keep_running_lines: Annotated[
        bool, _reading("--keep-running-lines", None, "Keep headers, footers and page numbers in the text.")
    ] = False
    ocr: Annotated[
        str | None,
        _reading(
            "--ocr",
            "[auto|off|force]",
            "Recognise text in pictures: where it is the only text, never, always.",
            "auto",
        ),
    ] = None
    attachments: Annotated[
        bool, _reading("--attachments", None, "Also read files embedded in a PDF or attached to an e-mail.")
    ] = False
    process: Annotated[
        str | None,
        _reading("--process", "[separate|own]", "Read in a separate process, or in this one.", "separate"),
    ] = None
    page_seconds: Annotated[
        float | None, _reading("--page-seconds", "N", "Maximum processor time for a page, in seconds.", "120")
    ] = None
    max_memory: Annotated[
        str | None, _reading("--max-memory", "SIZE", "Maximum memory of the process that reads files.", "3 GiB")
    ] = None
    raw: Annotated[bool, _reading("--raw", None, "Keep headers, footers and hyphens as they are.")] = False

    def read_options(self) -> ReadOptions:
        """Options of the readers.

        Raises:
            ConfigError, PageRangeError: an option is malformed.
        """
        from sharedllm_docs.documents.readers.options import ReadOptions

        changes = given(self)
        if changes.pop("raw", False):
            changes["clean"] = False
        if "max_bytes" in changes:
            changes["max_bytes"] = parse_size(changes["max_bytes"], "--max-bytes")
        if "max_memory" in changes:
            changes["max_memory"] = parse_size(changes["max_memory"], "--max-memory")
        if changes.get("password") == "-":
            changes["password"] = _ask_password()
        return ReadOptions(**changes)


def _ask_password() -> str:
    """A password typed without echo on a terminal, otherwise the first line of stdin."""
    return getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")


@dataclass(frozen=True)
class AddingOptions:
    """How files enter the index."""

    name: Annotated[str | None, option("--name", "NAME", "Name of the document in the index.", "the file's")] = None
    metadata: Annotated[
        list[str] | None,
        option(
            "--metadata",
            "KEY=VALUE",
            "Keep this with the document, for --where; may be repeated. Also set for documents already there.",
        ),
    ] = None
    max_disk: Annotated[
        str | None, option("--max-disk --budget-bytes", "SIZE", "Maximum size of the index on disk, e.g. 2GB.")
    ] = None
    keep_both: Annotated[
        bool, option("--keep-both", None, "Keep the older version of a file of the same name, instead of replacing it.")
    ] = False
    force: Annotated[bool, option("--force", None, "Read and encode the file again even if the index has it.")] = False
    timeout: Annotated[
        float | None, option("--wait", "SECONDS", "Maximum wait for another process that writes.", "60")
    ] = None
    lazy: Annotated[
        bool, option("--lazy", None, "Store only text and vectors now; rows are encoded when a question needs them.")
    ] = False

    def keywords(self) -> dict[str, Any]:
        """Keyword arguments of ``Index.add`` that were set.

        Raises:
            ConfigError: the size or the metadata are malformed.
        """
        keywords = given(self)
        if keywords.pop("lazy", False):
            keywords["encode"] = "when-asked"
        if "max_disk" in keywords:
            keywords["max_bytes"] = parse_size(keywords.pop("max_disk"), "--max-disk")
        if keywords.pop("keep_both", False):
            keywords["replace"] = False
        if "metadata" in keywords:
            keywords["metadata"] = parse_metadata(keywords["metadata"], "--metadata")
        return keywords


KeepOption = Annotated[
    bool | None,
    option(
        "--keep-source/--no-keep-source",
        None,
        "Keep the file in the index, to draw its pages later.",
        "PDF files",
    ),
]


def keeping(keep_source: bool | None) -> dict[str, bool]:
    """The keyword of ``Index.add`` for ``KeepOption``, if it was set."""
    return {} if keep_source is None else {"keep_source": keep_source}


@dataclass(frozen=True)
class FolderOptions:
    """How folders are searched."""

    recursive: Annotated[bool, option("--recursive -r", None, "Also read folders inside folders.")] = False
    no_gitignore: Annotated[bool, option("--no-gitignore", None, "Also read files that a .gitignore names.")] = False


@dataclass(frozen=True)
class ClusterOptions:
    """Where files are read by many workers."""

    ray: Annotated[bool, option("--ray", None, "Read with Ray: on this machine, or the cluster of --ray-address.")] = (
        False
    )
    ray_address: Annotated[
        str | None, option("--ray-address", "ADDRESS", "Ray cluster, e.g. auto or ray://head:10001; implies --ray.")
    ] = None
    workers: Annotated[
        int | None, option("--workers", "N", "Maximum number of Ray workers.", "what the cluster has room for")
    ] = None
    report: Annotated[
        str | None, option("--report", "FILE", "With Ray: add a line of JSON for every file as soon as it is done.")
    ] = None
