"""Reads many files on a Ray cluster. Ray Data schedules, retries and scales; here the files become its work.

Files go to the workers in batches of about ``BATCH_BYTES``. A document with many chunks comes back to be divided: its
ranges are encoded by several workers, and one commits it. A file at which workers die again and again is found by being
alone in its batch; it is reported, and the others are read.
"""

from __future__ import annotations

import json
import os
import reprlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sharedllm_docs.distributed.worker import Batch, Outcome, Settings, Task, Worker
from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.readers.collect import collect, names_of
from sharedllm_docs.documents.readers.collected import Found, Skipped
from sharedllm_docs.documents.readers.options import ReadKeywords, ReadOptions, reading_options
from sharedllm_docs.errors import ConfigError, DocumentError, DocumentNotFoundError, ModelError
from sharedllm_docs.index.index import Index
from sharedllm_docs.index.sources import local_path

if TYPE_CHECKING:
    from typing_extensions import Unpack

BATCH_BYTES = 2 << 20
"""Files of about this size together are one batch of a worker."""
RETRIES = 3
"""Number of times that Ray runs a batch again whose worker died, before its files are tried one by one."""
PASSES = 2
"""Number of times that a file alone is given to Ray, after its batch was given up."""


_DIED = (
    f"The processes of {1 + RETRIES} workers died at it, in each of {1 + PASSES} rounds. "
    "Leave it out, or look at it in a process of its own (process='separate')."
)


@dataclass(frozen=True)
class FileReport:
    """What became of one file.

    Attributes:
        source: as it was given.
        status: ``done``, ``known`` (it was there already, or a copy of it came first), ``skipped`` or ``failed``.
        name: the document's name in the index.
        key: its content address.
        chunks: number of its chunks.
        tokens: number of tokens encoded for it.
        seconds: time of the workers.
        reason: why it was skipped or failed.
    """

    source: str
    status: str
    name: str = ""
    key: str = ""
    chunks: int = 0
    tokens: int = 0
    seconds: float = 0.0
    reason: str = ""


@dataclass(frozen=True)
class IngestReport:
    """What became of all files.

    Attributes:
        files: in the order given.
        seconds: time of the whole.
    """

    files: tuple[FileReport, ...]
    seconds: float

    def count(self, status: str) -> int:
        """Number of files of a status."""
        return sum(file.status == status for file in self.files)


@dataclass
class _Run:
    """The state of an ingestion: what was reported of which file, and which documents were there before."""

    sources: dict[int, str]
    before: set[str]
    told: Callable[[FileReport], None]
    done: dict[int, FileReport] = field(default_factory=dict)
    spent: dict[int, tuple[int, float]] = field(default_factory=dict)

    def add(self, number: int, tokens: int, seconds: float) -> None:
        """Count what was spent on a part of a file."""
        before = self.spent.get(number, (0, 0.0))
        self.spent[number] = before[0] + tokens, before[1] + seconds

    def close(self, number: int, status: str, **fields: Any) -> None:
        """Report a file for good."""
        tokens, seconds = self.spent.get(number, (0, 0.0))
        report = FileReport(self.sources[number], status, tokens=tokens, seconds=round(seconds, 3), **fields)
        self.done[number] = report
        self.told(report)


def ingest(
    paths: Iterable[str | os.PathLike[str] | Document],
    index: str | os.PathLike[str],
    *,
    ray_address: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
    tenant: str | None = None,
    salt: str | bytes | None = None,
    model_options: Mapping[str, Any] | None = None,
    metadata: Mapping[str, str] | None = None,
    keep_source: bool | None = None,
    recursive: bool = False,
    workers: int | None = None,
    cpus: float = 1,
    split_chunks: int = 64,
    report: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
    options: ReadOptions | None = None,
    **reading: Unpack[ReadKeywords],
) -> IngestReport:
    """Read files into an index on a Ray cluster. What is there already is found; so the same call resumes.

    Args:
        paths: files, folders, patterns, URLs (``s3://bucket/in/*.pdf``) or documents that are read already, such as
            those of LlamaIndex and LangChain loaders (``core_documents`` of their integrations). Workers must reach
            files under the same names, as they must the index.
        index: folder on a disk that all workers share, or fsspec URL; it must be there (``Index.open_or_create``).
        ray_address: of the cluster; None for the one of this process, or else a new one on this machine.
        storage_options: of the index's file system.
        tenant: name of the tenant whose index it is, below ``index``.
        salt: the tenant's secret, which the workers are given; None takes ``SHAREDLLM_DOCS_SALT``.
        model_options: arguments of ``SharedLLM.from_pretrained`` in place of those recorded in the index.
        metadata: strings kept with every document.
        keep_source: whether the files are kept in the index; see ``Index.add``.
        recursive: whether folders in folders are read.
        workers: maximum number of workers; None for as many as the cluster has room for. Ray begins with one and adds
            others while work waits.
        cpus: processor cores of a worker. Where the cluster has GPUs each worker has one of its own.
        split_chunks: a document of more chunks is divided among workers; 0 for never.
        report: a file to which a line of JSON is added for every file as soon as its fate is known.
        progress: called with the number of files whose fate is known, and of all.
        options: how files are read, as a whole ``ReadOptions``.
        reading: single fields of ``ReadOptions``.

    Returns:
        What became of each file. A file that fails stops no other.

    Raises:
        ConfigError: an option out of its bounds, something that is no path or document, or an index in the memory of
            this process.
        IndexNotFoundError, TenantError: there is no index, no such tenant, or the salt is another.
        ModelError: Ray is not installed, or the cluster cannot be reached.
    """
    begun, given = time.perf_counter(), _checked(paths)
    chosen = reading_options(options, reading)
    limit = None if workers is None else _whole_number("workers", workers, 1)
    split_chunks = _whole_number("split_chunks", split_chunks, 0)
    # raises here, once, rather than in all workers
    opened = Index.open(_shared_url(index), storage_options=storage_options, tenant=tenant, salt=salt)
    settings = Settings(
        opened.url,
        dict(storage_options or {}),
        dict(model_options or {}),
        chosen,
        dict(metadata or {}),
        keep_source,
        split_chunks,
        threads=max(int(cpus), 1),
        salt=opened._store.reopening.get("salt"),
    )
    with ExitStack() as stack:
        write = stack.enter_context(_lines(report))
        run, tasks = _tasks(given, recursive, set(opened._store.keys()), write, progress)
        if tasks:
            stack.enter_context(_cluster(ray_address))
            _read_all(_Pool(settings, limit, cpus), run, tasks)
    _settle_names(opened, run, tasks)
    files = tuple(run.done[number] for number in sorted(run.done))
    return IngestReport(files, time.perf_counter() - begun)


# -- what is to be read --------------------------------------------------------------------------------------------


def _tasks(
    paths: Sequence[Any], recursive: bool, before: set[str], write: Callable[[FileReport], None], progress: Any
) -> tuple[_Run, list[Task]]:
    found = list(_found(paths, recursive))
    run = _Run(
        {number: _shown(source) for number, (source, _name, _why) in enumerate(found)}, before, lambda _file: None
    )

    def told(file: FileReport) -> None:
        write(file)
        if progress is not None:
            progress(len(run.done), len(found))

    run.told = told
    tasks = []
    for number, (source, name, (status, reason)) in enumerate(found):
        if status:
            run.close(number, status, name=name or "", reason=reason)
        else:
            tasks.append(Task(number, source, name))
    return run, tasks


_FINE = ("", "")


def _found(paths: Sequence[Any], recursive: bool) -> Iterator[tuple[Any, str | None, tuple[str, str]]]:
    """Source, name, and status and reason where it will not be read, of every file."""
    urls = {str(path): _urls(str(path)) for path in paths if not isinstance(path, Document) and "://" in str(path)}
    files = [path for path in paths if not isinstance(path, Document) and str(path) not in urls]
    names = names_of([*files, *(url for found in urls.values() for url in found)])
    for path in paths:
        if isinstance(path, Document):
            yield path, path.name, _FINE
            continue
        if str(path) in urls:
            yield from ((url, names[url], _FINE) for url in urls[str(path)])
            continue
        try:
            for one in collect([path], recursive=recursive):
                if isinstance(one, Found):
                    name = names[os.fspath(path)] if one.named else one.name
                    source = one.source if isinstance(one.source, bytes) else os.path.abspath(one.source)
                    yield source, name, _FINE
                elif isinstance(one, Skipped):
                    yield one.name, one.name, ("skipped", one.reason)
                elif isinstance(one, DocumentNotFoundError):
                    yield str(path), None, ("failed", str(one))
        except DocumentError as error:
            yield str(path), None, ("failed", str(error))


def _urls(url: str) -> list[str]:
    """The files that a URL names, which may have ``*``, ``?`` and ``[...]`` in it."""
    if not any(sign in url for sign in "*?["):
        return [url]
    import fsspec

    fs, pattern = fsspec.core.url_to_fs(url)
    return [str(fs.unstrip_protocol(path)) for path in sorted(fs.glob(pattern))]


def _shown(source: Any) -> str:
    if isinstance(source, Document):
        return source.name
    return "(bytes)" if isinstance(source, bytes) else str(source)


def _size(task: Task) -> int:
    """Bytes of a local file, which stand for its tokens; of others an eighth of a batch."""
    if isinstance(task.source, Document):
        return len(task.source.text)
    if isinstance(task.source, bytes):
        return len(task.source)
    try:
        return os.path.getsize(str(task.source))
    except OSError:
        return BATCH_BYTES // 8


def _batches(tasks: Iterable[Task]) -> list[list[Task]]:
    """Tasks in groups of about ``BATCH_BYTES``, in their order."""
    batches, room = list[list[Task]](), 0
    for task in tasks:
        size = _size(task)
        if not batches or size > room:
            batches.append([])
            room = BATCH_BYTES
        batches[-1].append(task)
        room -= size
    return batches


# -- reading -------------------------------------------------------------------------------------------------------


def _read_all(pool: _Pool, run: _Run, tasks: list[Task]) -> None:
    """Whole files, then the ranges of large ones, then their commits."""
    large: dict[int, int] = {}
    for outcome in _outcomes(pool, run, _batches(tasks)):
        if outcome.status == "split":
            large[outcome.number] = outcome.chunks
        else:
            _close(run, outcome)
    by_number = {task.number: task for task in tasks}
    ranges = [part for number, count in large.items() for part in _ranges(by_number[number], count, pool)]
    parts: dict[int, list[Outcome]] = {}
    for outcome in _outcomes(pool, run, [[part] for part in ranges]):
        run.add(outcome.number, outcome.tokens, outcome.seconds)
        if outcome.status == "part":
            parts.setdefault(outcome.number, []).append(outcome)
        elif outcome.number not in run.done:
            _close(run, outcome)
    commits = [
        Task(number, by_number[number].source, by_number[number].name, encoded=tuple(_encoded(parts[number])))
        for number in parts
        if number not in run.done
    ]
    for outcome in _outcomes(pool, run, [[commit] for commit in commits]):
        _close(run, outcome)


def _encoded(parts: list[Outcome]) -> Iterator[Any]:
    return (part.encoded for part in parts if part.encoded is not None)


def _ranges(task: Task, count: int, pool: _Pool) -> list[Task]:
    size = max(pool.settings.split_chunks // 8 * 8, 8)  # whole batches of a GPU
    return [
        Task(task.number, task.source, task.name, (first, min(first + size, count))) for first in range(0, count, size)
    ]


def _close(run: _Run, outcome: Outcome) -> None:
    run.add(outcome.number, outcome.tokens, outcome.seconds)
    status, fresh = outcome.status, outcome.key not in run.before
    if status == "known" and fresh and not any(file.key == outcome.key for file in run.done.values()):
        status = "done"  # by a worker that died before it could report it, or for a copy that is still to be reported
    fields = {"name": outcome.name, "key": outcome.key, "chunks": outcome.chunks, "reason": outcome.reason}
    run.close(outcome.number, status, **fields)


def _outcomes(pool: _Pool, run: _Run, batches: list[list[Task]]) -> Iterator[Outcome]:
    """The outcome of every task; a task at which workers die again and again fails, by itself alone."""
    for attempt in range(1 + PASSES):
        if not batches:
            return
        left = {_identity(task): task for batch in batches for task in batch if task.number not in run.done}
        for outcome in pool.run([[task for task in batch if task.number not in run.done] for batch in batches]):
            if left.pop((outcome.number, outcome.part), None) is not None:
                yield outcome
        batches = [[task] for task in left.values() if task.number not in run.done]
        if attempt == PASSES:
            for (task,) in batches:
                yield Outcome(task.number, "failed", task.name or "", reason=_DIED)


def _identity(task: Task) -> tuple[int, int]:
    return task.number, -1 if task.chunks is None else task.chunks[0]


def _settle_names(index: Index, run: _Run, tasks: Sequence[Task]) -> None:
    """Of copies under several names the first one given names the document, whichever worker was first."""
    copies: dict[str, list[Task]] = {}
    for task in sorted(tasks, key=lambda task: task.number):
        key = run.done[task.number].key
        if key and task.name:
            copies.setdefault(key, []).append(task)
    for key, same in copies.items():
        first, others = same[0], same[1:]
        now = index._store.get(key) if others else None
        if now is None or now.name not in {task.name for task in same}:
            continue  # the only one, or named by somebody since
        path = local_path(first.source)
        moved = now.source_path != path and now.source_path in {local_path(task.source) for task in others}
        if now.name != first.name or moved:
            with index._store.writer() as writer:
                writer.rename(key, first.name or now.name)
                writer.supplement(key, source_path=path if moved else "")


# -- Ray -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Pool:
    """Workers on the cluster.

    Attributes:
        settings: given to each.
        limit: maximum number of workers; None for what there is room for.
        cpus: cores of a worker.
    """

    settings: Settings
    limit: int | None
    cpus: float

    def run(self, batches: Sequence[Sequence[Task]]) -> Iterator[Outcome]:
        """The outcomes of batches of tasks as they come; those of a batch whose worker died too often are missing."""
        import ray
        import ray.data

        rows = [{"batch": Batch(tuple(batch))} for batch in batches if batch]
        if not rows:
            return
        context = ray.data.DataContext.get_current()
        context.max_errored_blocks = -1
        context.enable_progress_bars = False
        there = ray.cluster_resources()
        gpus = 1 if there.get("GPU", 0) >= 1 else 0
        room = int(there["GPU"]) if gpus else max(int(there.get("CPU", 1) // max(self.cpus, 0.1)), 1)
        most = min(len(rows), room if self.limit is None else self.limit)
        data = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            Worker,
            fn_constructor_args=(self.settings,),
            batch_size=1,
            num_cpus=self.cpus,
            num_gpus=gpus or None,
            concurrency=(1, most),
            max_restarts=-1,
            max_task_retries=RETRIES,
        )
        for made in data.iter_batches(batch_size=None, prefetch_batches=0):
            yield from made["outcomes"]


@contextmanager
def _cluster(address: str | None) -> Iterator[None]:
    """Ray, as it is in this process already, at an address, or on this machine alone for as long as the block lasts."""
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ModelError(
            f"Ray is not installed ({error}).", remedy="Install it: pip install 'sharedllm-docs[ray]'."
        ) from error
    if ray.is_initialized():
        yield
        return
    try:
        if address is None:
            ray.init(include_dashboard=False, log_to_driver=False)
        else:
            ray.init(address=address, log_to_driver=False)
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        raise ModelError(
            f"The Ray cluster at {address or 'this machine'} cannot be reached: {' '.join(str(error).split())}.",
            remedy="Check the address (ray start prints it), and that the versions of Ray and Python are the same.",
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


# -- small things --------------------------------------------------------------------------------------------------


@contextmanager
def _lines(path: str | os.PathLike[str] | None) -> Iterator[Callable[[FileReport], None]]:
    """What adds a file's report to a file of JSON lines, at once."""
    if path is None:
        yield lambda _file: None
        return
    with Path(path).open("a", encoding="utf-8") as lines:

        def write(file: FileReport) -> None:
            lines.write(json.dumps(vars(file), ensure_ascii=False) + "\n")
            lines.flush()

        yield write


def _checked(paths: Any) -> list[str | os.PathLike[str] | Document]:
    """What is to be read, as a list. Raises ConfigError for what is none, naming the first that cannot be read."""
    if isinstance(paths, (str, os.PathLike, Document)) or not isinstance(paths, Iterable):
        raise ConfigError(f"paths={reprlib.repr(paths)} is not a list.", remedy="Give a list, also of one.")
    found = list(paths)
    for place, one in enumerate(found):
        if not isinstance(one, (str, os.PathLike, Document)):
            raise ConfigError(
                f"paths[{place}] is neither a path nor a document of sharedllm-docs, but "
                f"{type(one).__module__}.{type(one).__qualname__}.",
                remedy="Documents of LlamaIndex and LangChain loaders: core_documents of their integrations.",
            )
    return found


def _shared_url(index: str | os.PathLike[str]) -> str:
    url = os.fspath(index)
    if url.startswith("memory:"):
        raise ConfigError(f"{url} is in the memory of this process, where workers cannot reach it.")
    return url if "://" in url else os.path.abspath(url)


def _whole_number(name: str, value: Any, least: int) -> int:
    if not isinstance(value, int) or value < least:
        raise ConfigError(f"{name}={value!r} must be a whole number, {least} or more.")
    return value
