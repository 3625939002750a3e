"""The options of the commands, in groups that several commands share.

A group is a frozen dataclass whose fields are annotated as typer wants its parameters. Where an option is a setting of
the Python API, the field has the name of that keyword, so that what the user set can be passed on as it is.
"""

from __future__ import annotations

import functools
import getpass
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

import typer

from sharedllm_docs.cli.units import parse_grains, parse_layers, parse_metadata, parse_size, parse_where
from sharedllm_docs.config import (
    RELEVANCE_FLOOR,
    AnswerStyle,
    GenerationConfig,
    Keep,
    ProfileName,
    RetrievalConfig,
    SelectorName,
    StoreDtype,
)
from sharedllm_docs.errors import ConfigError
from sharedllm_docs.retrieval.query import FULL

if TYPE_CHECKING:
    from sharedllm_docs.documents.readers.options import ReadOptions

NAME = "sharedllm-docs"
DEFAULT_INDEX = ".sharedllm-docs"
INDEX_VARIABLE = "SHAREDLLM_DOCS_INDEX"
DEFAULT_STAY = "10m"
STAY_VARIABLE = "SHAREDLLM_DOCS_STAY"
DEFAULT_MODEL = "qwen2.5-coder-0.5b-instruct"
MODEL_HELP = "Embedded model, local folder or hub name."
_RETRIEVAL, _GENERATION = RetrievalConfig(), GenerationConfig()


# -- how options are declared and read --------------------------------------------------------------------------------


def option(names: str, metavar: str | None, text: str, default: str | None = None, *, panel: str | None = None) -> Any:
    """A declaration for ``Annotated``.

    Args:
        names: as they are written, separated by blanks.
        metavar: name of the value in the help; None for a switch.
        text: of the help.
        default: what the help tells about leaving the option out; None shows the default itself, if there is any.
        panel: heading under which the help lists the option.
    """
    return typer.Option(*names.split(), metavar=metavar, help=text, show_default=default or True, rich_help_panel=panel)


def choices(literal: object) -> str:
    """The values of a ``Literal`` as the name of a value in the help: ``[a|b]``."""
    return f"[{'|'.join(get_args(literal))}]"


def given(group: Any) -> dict[str, Any]:
    """The fields of an options group that the user set, by name."""
    values = {f.name: getattr(group, f.name) for f in fields(group)}
    # typer gives an empty list for a repeatable option that was left out
    return {f.name: values[f.name] for f in fields(group) if values[f.name] not in (f.default, [])}


def flags(group: Any) -> str:
    """The options of a group that the user set, as they are written: ``--max-pages, --pages``."""
    hints = get_type_hints(type(group), include_extras=True)
    declared = (hints[name].__metadata__[0] for name in given(group))
    return ", ".join(sorted(map(long_name, declared)))


def long_name(declared: Any) -> str:
    """The first name of two dashes that ``option`` was given: typer keeps the very first as the default."""
    names: list[str] = [declared.default, *declared.param_decls]
    return next(name for name in names if name.startswith("--"))


def refuse_without(options: Any, missing: str, *, why: str) -> None:
    """Refuse options that would have to be ignored.

    Raises:
        ConfigError: options of the group were set; it names them.
    """
    if given(options):
        raise ConfigError(
            f"{flags(options)} {why}, and there is no {missing}.", remedy=f"Add {missing}, or leave out the rest."
        )


def flattened(function: Callable[..., None]) -> Callable[..., None]:
    """``function`` with each parameter that is an options group replaced by that group's fields, for typer."""
    # not get_type_hints: Python 3.10 hides Annotated in an Optional where the default is None
    declared = inspect.signature(function, eval_str=True).parameters.values()
    groups = {p.name: p.annotation for p in declared if isinstance(p.annotation, type) and is_dataclass(p.annotation)}
    parameters: list[inspect.Parameter] = []
    for parameter in declared:
        if parameter.name in groups:
            parameters += _parameters_of(groups[parameter.name])
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))

    @functools.wraps(function)
    def command(**values: Any) -> None:
        built = {
            name: group(**{field.name: values.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        function(**values, **built)

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _parameters_of(group: type) -> list[inspect.Parameter]:
    hints, kind = get_type_hints(group, include_extras=True), inspect.Parameter.KEYWORD_ONLY
    return [inspect.Parameter(f.name, kind, default=f.default, annotation=hints[f.name]) for f in fields(group)]


# -- where the index is, and what is printed --------------------------------------------------------------------------


@dataclass(frozen=True)
class IndexOption:
    """Which index."""

    index: Annotated[
        str,
        typer.Option(
            "--index", metavar="DIR", envvar=INDEX_VARIABLE, show_envvar=True, help="Index folder, or an fsspec URL."
        ),
    ] = DEFAULT_INDEX


_output = partial(option, metavar=None, panel="Output")


@dataclass(frozen=True)
class OutputOptions:
    """What is printed, and how."""

    json: Annotated[bool, _output("--json", text="Print JSON on stdout, errors included.")] = False
    quiet: Annotated[bool, _output("--quiet -q", text="No progress, notes or warnings.")] = False
    debug: Annotated[bool, _output("--debug", text="Show the traceback of an error.")] = False


@dataclass(frozen=True)
class StayOptions:
    """Whether a process keeps the model in memory for the next command."""

    stay: Annotated[
        str | None,
        option(
            "--stay",
            "TIME",
            "Keep the model in memory until no question was asked for this long; 0 = do not keep it.",
            f"{STAY_VARIABLE}, else {DEFAULT_STAY} on a terminal",
        ),
    ] = None
    no_stay: Annotated[
        bool, option("--no-stay", None, "Do not use or start a process that keeps the model; the answers are the same.")
    ] = False


# -- how files are read and encoded -----------------------------------------------------------------------------------

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


# -- what computes ----------------------------------------------------------------------------------------------------

_model = partial(option, panel="Model")


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


@dataclass(frozen=True)
class LoadingOptions:
    """Which model an index works with, and where it computes; the fields are keywords of ``Index.open``."""

    name_or_path: Annotated[
        str | None, _model("--model", "NAME", MODEL_HELP, f"the index's; {DEFAULT_MODEL} for a new one")
    ] = None
    adapter: Annotated[
        str | None,
        _model(
            "--adapter",
            "NAME",
            "Folder of a trained adapter, the name of one that comes with the package, or none.",
            "the index's; the embedded model's own for a new one",
        ),
    ] = None
    embedder: Annotated[
        str | None,
        _model(
            "--embedder",
            "NAME",
            "sentence-transformers folder or hub name.",
            "the index's; all-minilm-l6-v2 for a new one",
        ),
    ] = None
    dtype: Annotated[
        str | None,
        _model(
            "--dtype", "NAME", "Precision of the model: float32, bfloat16, float16.", "the index's, or by the device"
        ),
    ] = None
    device: Annotated[
        str | None, _model("--device", "NAME", "Where the model computes.", "cuda if there is one, else cpu")
    ] = None
    confidence: Annotated[
        str | None,
        _model(
            "--confidence",
            "FILE",
            "File of fit-confidence: when to decline.",
            "the model's own",
        ),
    ] = None


@dataclass(frozen=True)
class ComputeOptions:
    """Where a model computes that is measured by itself, without an index."""

    device: Annotated[
        str, _model("--device", "NAME", "Where the model computes: auto (cuda if there is one), cpu, cuda.")
    ] = "auto"
    dtype: Annotated[
        str, _model("--dtype", "NAME", "Precision of the model: auto (by the device), float32, bfloat16, float16.")
    ] = "auto"


_encoding = partial(option, panel="Encoding")


@dataclass(frozen=True)
class ProfileOptions:
    """How documents are encoded."""

    profile: Annotated[
        str | None,
        _encoding(
            "--profile", choices(ProfileName), "How keys and values reach the decoder.", "the adapter's, else prefix"
        ),
    ] = None
    layers: Annotated[
        str | None,
        _encoding("--layers", "A-B", "Layers that receive the rows, counted from 1; see calibrate.", "the profile's"),
    ] = None
    store_dtype: Annotated[
        str | None,
        _encoding("--store-dtype", choices(StoreDtype), "How keys and values are stored.", "the profile's"),
    ] = None

    grain: Annotated[
        int | None,
        _encoding(
            "--grain",
            "N",
            "Store one row for N tokens, the most important ones: smaller indexes.",
            "the profile's, 1",
        ),
    ] = None
    keep: Annotated[
        str | None,
        _encoding("--keep", choices(Keep), "Which tokens stand for their group.", "last; reread with --grain above 1"),
    ] = None

    def changes(self) -> dict[str, Any]:
        """Settings of the profile that were set, without its name and its grain.

        Raises:
            ConfigError: the layers are malformed.
        """
        changes = given(self)
        for name in ("profile", "grain"):
            changes.pop(name, None)
        if "layers" in changes:
            changes["layers"] = parse_layers(changes["layers"])
        return changes


# -- questions: the fields are keywords of ``Index.ask`` --------------------------------------------------------------


@dataclass(frozen=True)
class WhereOption:
    """Which documents, by their metadata."""

    where: Annotated[
        list[str] | None,
        option(
            "--where",
            "KEY=VALUE",
            "Only documents with this metadata; may be repeated. Several values for one key mean any of them.",
            "all",
        ),
    ] = None

    def keywords(self) -> dict[str, Any]:
        """``where`` as ``Index.ask`` takes it, if it was set.

        Raises:
            ConfigError: it is malformed.
        """
        return {"where": parse_where(self.where, "--where")} if self.where else {}


@dataclass(frozen=True)
class ScopeOption(WhereOption):
    """Which documents are searched."""

    documents: Annotated[
        list[str] | None, option("--doc", "DOC", "Ask this document (name or key); may be repeated.", "all")
    ] = None

    def keywords(self) -> dict[str, Any]:
        """Keyword arguments of ``Index.ask`` that were set.

        Raises:
            ConfigError: the metadata are malformed.
        """
        return {**given(self), **super().keywords()}


_question = partial(option, panel="Question")


@dataclass(frozen=True)
class AmountOptions:
    """How much is injected and quoted."""

    budget: Annotated[
        int | None, _question("--budget", "ROWS", "Maximum number of rows injected per layer.", "the profile's")
    ] = None
    evidence_tokens: Annotated[
        int | None,
        _question("--evidence", "TOKENS", "Text of the best passages quoted in the prompt.", "the adapter's, else 0"),
    ] = None
    grains: Annotated[
        str | None,
        _question(
            "--grains", "G/G/G", "Grains among which the budget of rows is spent, e.g. 1/2/4/8/16.", "the profile's"
        ),
    ] = None

    def keywords(self) -> dict[str, Any]:
        """Keyword arguments of ``Index.ask`` that were set.

        Raises:
            ConfigError: the grains are malformed.
        """
        keywords = given(self)
        return {**keywords, "grains": parse_grains(keywords["grains"])} if "grains" in keywords else keywords


CitationsOption = Annotated[
    int | None,
    _question(
        "--citations",
        "N",
        "Maximum number of citations.",
        f"{_RETRIEVAL.max_citations}, of an answer in full {FULL['max_citations']}",
    ),
]


@dataclass(frozen=True)
class SummaryOptions(AmountOptions):
    """How much is injected, quoted and cited."""

    max_citations: CitationsOption = None


@dataclass(frozen=True)
class SelectionOptions(AmountOptions):
    """What is selected and injected."""

    selector: Annotated[
        str | None,
        _question("--selector", choices(SelectorName), "How branches are chosen inside a chunk.", _RETRIEVAL.selector),
    ] = None
    candidates: Annotated[
        int | None, _question("--candidates", "N", "Maximum number of chunks considered.", str(_RETRIEVAL.candidates))
    ] = None


@dataclass(frozen=True)
class QuestionOptions(SelectionOptions):
    """What is selected, injected and cited, and when a question is declined."""

    max_citations: CitationsOption = None
    relevance_floor: Annotated[
        float | None,
        _question(
            "--floor",
            "0..1",
            "Relevance below which the answer is that the document does not say; 0 = off.",
            f"{RELEVANCE_FLOOR}, or off where the decision was fitted to the model",
        ),
    ] = None
    min_confidence: Annotated[
        float | None,
        _question(
            "--min-confidence",
            "0..1",
            "Confidence below which the answer is that the document does not say; 0 = off.",
            "the model's",
        ),
    ] = None


_answer = partial(option, panel="Answer")
StreamOption = Annotated[
    bool | None, _answer("--stream/--no-stream", None, "Print the answer word by word.", "on a terminal")
]


@dataclass(frozen=True)
class AnswerOptions:
    """What the answer is like, and how its tokens are drawn."""

    style: Annotated[
        str | None,
        _answer(
            "--style",
            choices(AnswerStyle),
            "A phrase, one sentence, or several with numbered sources.",
            "short; summarise: full",
        ),
    ] = None
    instructions: Annotated[
        str | None, _answer("--instructions", "TEXT", "Further instructions for the model's answer.")
    ] = None
    max_new_tokens: Annotated[
        int | None,
        _answer(
            "--max-tokens",
            "N",
            "Maximum length of the answer.",
            f"{_GENERATION.max_new_tokens}, in full {FULL['max_new_tokens']}",
        ),
    ] = None
    temperature: Annotated[
        float | None,
        _answer(
            "--temperature",
            "T",
            "0 = always the most likely token; above 0, tokens are sampled.",
            f"{_GENERATION.temperature:g}",
        ),
    ] = None
    top_p: Annotated[
        float | None,
        _answer("--top-p", "P", "Probability mass for sampling.", f"{_GENERATION.top_p:g}"),
    ] = None
    top_k: Annotated[
        int | None, _answer("--top-k", "K", "Tokens considered when sampling; 0 = all.", str(_GENERATION.top_k))
    ] = None
    repetition_penalty: Annotated[
        float | None,
        _answer(
            "--repetition-penalty", "R", "Penalty on repeated tokens; 1 = none.", f"{_GENERATION.repetition_penalty:g}"
        ),
    ] = None
    seed: Annotated[
        int | None, _answer("--seed", "N", "Seed for sampling; -1 draws a new one each time.", str(_GENERATION.seed))
    ] = None
    stop: Annotated[
        list[str] | None, _answer("--stop", "TEXT", "End the answer before this text; may be repeated.")
    ] = None

    def keywords(self) -> dict[str, Any]:
        """Keyword arguments of ``Index.ask`` that were set."""
        keywords = given(self)
        return {**keywords, "seed": None} if keywords.get("seed") == -1 else keywords
