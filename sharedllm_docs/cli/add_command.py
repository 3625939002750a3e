"""``add``: read files into the index, or say how much disk space they would take."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sharedllm_docs.cli import backend
from sharedllm_docs.cli.failures import Failure, resumable_encoding
from sharedllm_docs.cli.options import (
    AddingOptions,
    ClusterOptions,
    FolderOptions,
    KeepOption,
    LoadingOptions,
    OutputOptions,
    ProfileOptions,
    ReadingOptions,
    flags,
    flattened,
    given,
    keeping,
    refuse_without,
)
from sharedllm_docs.cli.progress import bars
from sharedllm_docs.cli.records import added_record, estimate_record
from sharedllm_docs.cli.screen import Screen, one_line, opened
from sharedllm_docs.cli.tenancy import Place
from sharedllm_docs.documents.names import shown_name
from sharedllm_docs.errors import ConfigError, DocumentError, SharedLLMError

if TYPE_CHECKING:
    from sharedllm_docs.index.index import Index
    from sharedllm_docs.index.views import AddedDocument


_SHOWN = 20  # skipped files that are named on the screen

_FILES_HELP = (
    "Files (PDF, Word, PowerPoint, Excel, CSV, RTF, EPUB, e-mail, HTML, Markdown, text, pictures of text), folders, "
    'patterns ("reports/**/*.pdf"), zip archives or URLs.'
)


@flattened
def add(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help=_FILES_HELP)],
    location: Place,
    adding: AddingOptions,
    folders: FolderOptions,
    reading: ReadingOptions,
    model: LoadingOptions,
    profile: ProfileOptions,
    cluster: ClusterOptions,
    output: OutputOptions,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Only say how much disk space the files would take, and add nothing.")
    ] = False,
    keep_source: KeepOption = None,
) -> None:
    """Read files into the index, once.

    A file that is in the index already is not read again; the values given by --metadata are added to its own. Of an
    edited file, only the chunks that changed are encoded again, and the new version replaces the older one (--keep-both
    keeps both). If the same content is there under another name, it is given the new name.

    A file in a folder is named by its path inside that folder. Files that a .gitignore names, hidden files and files of
    unknown formats are skipped, and listed.

    With --lazy, questions can be asked within seconds; each encodes the chunks that it needs, once. `add` without
    --lazy, or `read`, reads the rest. The answers are the same.

    Ctrl-C keeps what was encoded: the same command resumes there.

    With --ray, many workers read the files (docs/scale.md). They must reach files and index under the same names. The
    same command resumes, whatever was killed.

    A file that cannot be read does not stop the others; the exit code is that of the first such file. Files found in
    folders, by patterns or in archives that are not documents (of an unknown format, or empty) are skipped, and listed.
    """
    with opened(output) as screen:
        if estimate:
            if given(adding):
                raise ConfigError(f"--estimate adds nothing: {flags(adding)} cannot apply.", remedy="Leave it out.")
            options = reading.read_options()
            with backend.index_for_estimates(location, screen.report, model, profile) as index:
                _estimate_all(
                    screen,
                    index,
                    _only_files(files, folders, options.max_bytes),
                    options=options,
                    **keeping(keep_source),
                )
            return
        if cluster.ray or cluster.ray_address is not None:
            from sharedllm_docs.cli.ray_adding import add_with_ray

            index = backend.open_or_create(location, screen.report, model, profile)
            loaded = backend.model_options(location, model, profile)
            options = reading.read_options()
            others = {**keeping(keep_source), **({"salt": location.salt} if location.salt else {})}
            add_with_ray(
                screen, index.url, files, folders, adding, cluster, model_options=loaded, options=options, **others
            )
            return
        refuse_without(cluster, "--ray", why="is for Ray's workers")
        if adding.name is not None and (len(files) > 1 or os.path.isdir(files[0])):
            raise ConfigError(f"--name fits one file, {_several(files)} given.", remedy="Add them one by one.")
        settings = {"options": reading.read_options(), **adding.keywords(), **keeping(keep_source)}
        with resumable_encoding(location.url):
            limit = settings.get("max_bytes")  # kept with a new index, and holds for this call in any
            index = backend.open_or_create(location, screen.report, model, profile, max_bytes=limit)
            _add_all(screen, index, files, folders, settings)


def _several(files: list[str]) -> str:
    return f"{len(files)} were" if len(files) > 1 else "a folder was"


def _only_files(files: list[str], folders: FolderOptions, max_bytes: int) -> list[str]:
    """The paths of the files to be read; members of archives have none."""
    from sharedllm_docs.documents.readers.collected import Found
    from sharedllm_docs.index.folders import found_files

    found: list[str] = []
    for one in found_files(files, recursive=folders.recursive, ignored=folders.no_gitignore, max_bytes=max_bytes):
        if isinstance(one, tuple):
            raise one[1]
        if isinstance(one, Found) and not isinstance(one.source, bytes):
            found.append(str(one.source))
    return found


class _Report:
    """What became of each file: shown at once, or kept for the one JSON object at the end."""

    def __init__(self, screen: Screen, index: Index) -> None:
        self.screen, self.index = screen, index
        self.added: list[dict[str, Any]] = []
        self.skipped: list[tuple[str, str]] = []
        self.failures: list[tuple[str, Failure]] = []

    def done(self, file: str, added: AddedDocument) -> None:
        self.added.append(added_record(file, added))
        if not self.screen.json:
            from sharedllm_docs.cli.render import added_line

            self.screen.print(one_line(added_line(added, index_bytes=self.index.size())))
        for inside in added.attachments:
            self.done(inside.document.name, inside)
        for name, reason in added.unread:
            self.skip(name, reason)

    def skip(self, name: str, reason: str) -> None:
        self.skipped.append((name, reason))

    def fail(self, file: str, error: SharedLLMError) -> None:
        self.failures.append((file, Failure.of(error) if self.screen.json else self.screen.fail(error)))

    def close(self) -> None:
        if self.screen.json:
            failed = [{"source": file, **failure.to_dict()} for file, failure in self.failures]
            skipped = [{"source": name, "reason": reason} for name, reason in self.skipped]
            told = {"skipped": skipped} if skipped else {}
            self.screen.emit({"index": self.index.url, "added": self.added, "failed": failed, **told})
        elif self.skipped:
            self._tell_skipped()
        if self.failures:
            raise typer.Exit(self.failures[0][1].exit_code)

    def _tell_skipped(self) -> None:
        self.screen.note(f"Skipped {len(self.skipped):,}:")
        for name, reason in self.skipped[:_SHOWN]:
            self.screen.note(f"  {shown_name(name)}: {reason}")
        if len(self.skipped) > _SHOWN:
            self.screen.note(f"  and {len(self.skipped) - _SHOWN:,} more; --json lists all.")


def _add_all(screen: Screen, index: Index, files: list[str], folders: FolderOptions, settings: dict[str, Any]) -> None:
    from sharedllm_docs.documents.readers.collected import Skipped
    from sharedllm_docs.index.folders import NO_DOCUMENTS, found_files

    report = _Report(screen, index)
    alone = len(files) == 1
    limit = settings["options"].max_bytes
    for found in found_files(files, recursive=folders.recursive, ignored=folders.no_gitignore, max_bytes=limit):
        if isinstance(found, Skipped):
            report.skip(found.name, found.reason)
            continue
        if isinstance(found, tuple):
            if alone:
                raise found[1]
            report.fail(*found)
            continue
        keywords = settings
        if not found.named or found.name != os.path.basename(str(found.source)):
            keywords = {"name": found.name, **settings}
        source = found.source if isinstance(found.source, bytes) else str(found.source)
        try:
            done = add_file(screen, index, source, **keywords)
        except DocumentError as error:
            if found.named and alone:
                raise
            if isinstance(error, NO_DOCUMENTS) and not found.named:
                report.skip(found.name, error.message)
            else:
                report.fail(found.name if not found.named else str(found.source), error)
        else:
            report.done(found.name if not found.named else str(found.source), done)
    report.close()


@flattened
def watch(
    folders: Annotated[list[str], typer.Argument(metavar="FOLDER", help="Folders to follow.")],
    location: Place,
    choice: FolderOptions,
    reading: ReadingOptions,
    model: LoadingOptions,
    profile: ProfileOptions,
    output: OutputOptions,
    keep_source: KeepOption = None,
) -> None:
    """Keep an index up to date with folders, until Ctrl-C.

    Reads what is in the folders, then every file that is added or changed, and removes documents whose file is gone.
    Documents that were added from elsewhere stay.
    """
    from sharedllm_docs.index.folders import watch as keep_up

    with opened(output) as screen:
        index = backend.open_or_create(location, screen.report, model, profile, max_bytes=None)

        def told(files: Any, gone: tuple[str, ...]) -> None:
            for added in files.added:
                if added.new or added.renamed_from:
                    _say(screen, index, added.document.name, added)
            for name in gone:
                screen.emit({"removed": name}) if screen.json else screen.print(
                    one_line(f"Removed {shown_name(name)}.")
                )
            for name, error in files.failed:
                screen.emit({"source": name, **Failure.of(error).to_dict()}) if screen.json else screen.fail(error)

        try:
            keep_up(
                index,
                folders,
                recursive=choice.recursive,
                ignored=choice.no_gitignore,
                told=told,
                options=reading.read_options(),
                **keeping(keep_source),
            )
        except KeyboardInterrupt:
            screen.note("Stopped.")


def _say(screen: Screen, index: Index, name: str, added: AddedDocument) -> None:
    if screen.json:
        screen.emit(added_record(name, added))
        return
    from sharedllm_docs.cli.render import added_line

    screen.print(one_line(added_line(added, index_bytes=index.size())))


def add_file(screen: Screen, index: Index, source: str | bytes, **keywords: Any) -> AddedDocument:
    """``Index.add`` with a progress bar where there is a terminal."""
    shown = str(keywords.get("name") or source) if isinstance(source, bytes) else source
    with bars(screen, shown.replace("\\", "/").rstrip("/").rpartition("/")[2] or shown) as progress:
        return index.add(source, progress=progress, **keywords)


def _estimate_all(screen: Screen, index: Index, files: list[str], **keywords: Any) -> None:
    estimates = [(file, index.estimate(file, **keywords)) for file in files]
    if screen.json:
        screen.emit({"estimates": [estimate_record(file, estimate) for file, estimate in estimates]})
        return
    from sharedllm_docs.cli.render import estimate_line

    for file, estimate in estimates:
        screen.print(one_line(estimate_line(file, estimate)))
