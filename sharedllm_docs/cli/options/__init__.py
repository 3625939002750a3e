"""The options of the commands, in groups that several commands share.

A group is a frozen dataclass whose fields are annotated as typer wants its parameters. Where an option is a setting of
the Python API, the field has the name of that keyword, so that what the user set can be passed on as it is. ``declare``
says how options are declared and read; the groups are in ``common``, ``files``, ``models`` and ``questions``.
"""

from sharedllm_docs.cli.options.common import (
    DEFAULT_INDEX,
    DEFAULT_STAY,
    INDEX_VARIABLE,
    NAME,
    STAY_VARIABLE,
    IndexOption,
    OutputOptions,
    StayOptions,
)
from sharedllm_docs.cli.options.declare import (
    choices,
    flags,
    flattened,
    given,
    long_name,
    option,
    refuse_without,
)
from sharedllm_docs.cli.options.files import (
    AddingOptions,
    ClusterOptions,
    FolderOptions,
    KeepOption,
    ReadingOptions,
    keeping,
)
from sharedllm_docs.cli.options.models import (
    DEFAULT_MODEL,
    MODEL_HELP,
    ComputeOptions,
    LoadingOptions,
    ProfileOptions,
)
from sharedllm_docs.cli.options.questions import (
    AmountOptions,
    AnswerOptions,
    CitationsOption,
    QuestionOptions,
    ScopeOption,
    SelectionOptions,
    StreamOption,
    SummaryOptions,
    WhereOption,
)

__all__ = [
    "DEFAULT_INDEX",
    "DEFAULT_MODEL",
    "DEFAULT_STAY",
    "INDEX_VARIABLE",
    "MODEL_HELP",
    "NAME",
    "STAY_VARIABLE",
    "AddingOptions",
    "AmountOptions",
    "AnswerOptions",
    "CitationsOption",
    "ClusterOptions",
    "ComputeOptions",
    "FolderOptions",
    "IndexOption",
    "KeepOption",
    "LoadingOptions",
    "OutputOptions",
    "ProfileOptions",
    "QuestionOptions",
    "ReadingOptions",
    "ScopeOption",
    "SelectionOptions",
    "StayOptions",
    "StreamOption",
    "SummaryOptions",
    "WhereOption",
    "choices",
    "flags",
    "flattened",
    "given",
    "keeping",
    "long_name",
    "option",
    "refuse_without",
]
