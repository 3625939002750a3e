"""Settings: frozen dataclasses, validated when made, with all problems reported together. Leaf module.

``Profile`` says how documents are encoded and injected and is part of the index's fingerprint. ``RetrievalConfig`` and
``GenerationConfig`` may differ from one question to the next; their fields are also keywords of the public calls, typed
by ``RetrievalOptions`` and ``GenerationOptions``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, TypedDict, TypeVar

from sharedllm_docs.checks import checked_keys, choice_problems, is_int, number_problems, raise_if
from sharedllm_docs.errors import ConfigError

ProfileName = Literal["prefix", "sharedllm"]
Keep = Literal["last", "first", "repeat", "reread", "following", "expected"]
RANKED: frozenset[Keep] = frozenset(("repeat", "reread", "following", "expected"))
"""Keep policies that choose rows by the attention they receive; the others go by place (injection/row_scores)."""
Encoding = Literal["one_pass", "per_node"]
Fusion = Literal["joint", "separate"]
Positions = Literal["token", "chunk", "chunk+token"]
Front = Literal["prompt", "sink", "none"]
StoreDtype = Literal["float32", "float16", "bfloat16", "int8", "int4", "float64"]
SelectorName = Literal["embedding", "hidden-state", "right-half"]
AnswerStyle = Literal["short", "sentence", "full"]
PromptStart = Literal["neutral", "instructed"]
MAX_DEPTH = 16
SALT_VARIABLE = "SHAREDLLM_DOCS_SALT"
"""Environment variable with a tenant's salt, where none is given in a call: for commands, servers and workers."""


@dataclass(frozen=True)
class Profile:
    """How documents are encoded into trees and how the trees reach the decoder (docs/architecture.md, two profiles).

    Attributes:
        name: ``prefix`` (needs no training) or ``sharedllm`` (the paper's; needs an adapter).
        layers: injection layers (first, last), counted from 1, both included. None stands for the default of the
            model: for ``prefix`` all L layers, or the calibrated ones of an embedded model; for ``sharedllm``
            1 .. L // 2, the paper's choice for question answering.
        chunk_tokens: tokens per chunk (paper: 1,024; 512 for question answering).
        depth: levels of the context tree below the root.
        grains: number of tokens that share one row, for each level from the top down; 0 = nodes of that level are
            never injected. The last entry is the stored (finest) grain and cannot be 0. With ``keep`` by place a grain
            divides its nodes, and is a multiple of the finest.
        keep: the tokens whose rows represent a node. ``last`` and ``first``: that token of each group. The others: the
            tokens that receive most attention, measured while the chunk is encoded; as many as there are groups.
            ``reread``: attention of the chunk's own tokens, as if they were read a second time after it (a seventh more
            work). ``repeat``: attention while the model repeats the chunk, which takes about as long again.
            ``following``: attention of the tokens that follow. ``expected``: estimated from the mean and covariance of
            the chunk's queries.
        encoding: ``one_pass`` (a chunk runs once, coarser nodes are strided views) or ``per_node`` (every node runs
            alone, as in the authors' released code).
        fusion: ``joint`` (injected rows precede the layer's own keys and values, under one softmax) or ``separate``
            (the paper's cross-attention block between self-attention and MLP).
        positions: rotary position of an injected key: ``token`` (consecutive), ``chunk`` (index of its chunk among
            the injected chunks) or ``chunk+token`` (that index plus the offset inside the node).
        query_offset: added to the question's rotary position, which is the number of injected chunks, in the
            ``separate`` fusion (1 in the authors' released code).
        front: tokens that precede every chunk while it is encoded: the ``prompt`` start, a ``sink`` (the first
            token of the prompt) or ``none``.
        store_dtype: number format of the stored keys and values.
    """

    name: ProfileName = "prefix"
    layers: tuple[int, int] | None = None
    chunk_tokens: int = 1024
    depth: int = 3
    grains: tuple[int, ...] = (0, 0, 1)
    keep: Keep = "last"
    encoding: Encoding = "one_pass"
    fusion: Fusion = "joint"
    positions: Positions = "token"
    query_offset: int = 0
    front: Front = "prompt"
    store_dtype: StoreDtype = "int8"

    @classmethod
    def prefix(cls, **changes: Any) -> Profile:
        """The profile without training: all layers, grain 1, rows before the self-attention's own."""
        return cls(**checked_keys(cls, changes, "prefix profile"))

    @classmethod
    def sharedllm(cls, **changes: Any) -> Profile:
        """The paper's profile: the lower half of the layers, grains 16/8/4, separate cross-attention."""
        paper: dict[str, Any] = {
            "name": "sharedllm",
            "grains": (16, 8, 4),
            "fusion": "separate",
            "positions": "chunk",
            "front": "none",
            "store_dtype": "bfloat16",
        }
        return cls(**checked_keys(cls, paper | changes, "sharedllm profile"))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Profile:
        """The profile that ``to_dict`` wrote; raises ConfigError for unknown or invalid settings."""
        checked = checked_keys(cls, values, "profile")
        for name in ("layers", "grains"):
            if isinstance(checked.get(name), list):
                checked[name] = tuple(checked[name])
        return cls(**checked)

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON values."""
        values = asdict(self)
        values["layers"] = list(self.layers) if self.layers else None
        values["grains"] = list(self.grains)
        return values

    def __post_init__(self) -> None:
        problems = choice_problems(
            self,
            {
                "name": ProfileName,
                "keep": Keep,
                "encoding": Encoding,
                "fusion": Fusion,
                "positions": Positions,
                "front": Front,
                "store_dtype": StoreDtype,
            },
        )
        wrong = self._type_problems()
        problems += wrong or self._tree_problems() + self._combination_problems()
        raise_if(problems, f"profile {self.name!r}")

    def _type_problems(self) -> list[str]:
        problems = number_problems(self, whole=("chunk_tokens", "depth", "query_offset"))
        if not isinstance(self.grains, tuple) or not all(map(is_int, self.grains)):
            problems.append(f"grains={self.grains!r} must be a tuple of whole numbers.")
        pair = isinstance(self.layers, tuple) and len(self.layers) == 2 and all(map(is_int, self.layers))
        if self.layers is not None and not pair:
            problems.append(f"layers={self.layers!r} must be a tuple (first, last) of whole numbers, or None.")
        return problems

    def _tree_problems(self) -> list[str]:
        problems = []
        if not 1 <= self.depth <= MAX_DEPTH:
            problems.append(f"depth={self.depth} must lie in 1..{MAX_DEPTH}.")
            return problems
        if self.chunk_tokens < 2**self.depth or self.chunk_tokens % 2**self.depth:
            problems.append(
                f"chunk_tokens={self.chunk_tokens} must be a positive multiple of 2**depth={2**self.depth}."
            )
        if len(self.grains) != self.depth:
            problems.append(f"grains={self.grains} must have one entry per level (depth={self.depth}).")
            return problems
        if min(self.grains) < 0 or self.grains[-1] == 0:
            problems.append(f"grains={self.grains} must not be negative and the last must be at least 1.")
            return problems
        for level, grain in enumerate(self.grains, start=1):
            span = self.chunk_tokens // 2**level
            if grain and span % grain and not self.ranked:
                problems.append(f"grain {grain} does not divide the {span} tokens of a level-{level} node.")
            if grain and not self.ranked and grain % self.grains[-1]:
                problems.append(f"grain {grain} is not a multiple of the finest grain {self.grains[-1]}.")
            if grain and self.ranked and grain < self.grains[-1]:
                problems.append(f"grain {grain} is finer than the stored grain {self.grains[-1]}.")
        return problems

    def _combination_problems(self) -> list[str]:
        problems = []
        if self.layers is not None and not (1 <= self.layers[0] <= self.layers[1]):
            problems.append(f"layers={self.layers} must be (first, last) with 1 <= first <= last.")
        if self.encoding == "per_node" and self.front != "none":
            problems.append(f"encoding='per_node' runs every node alone: front must be 'none', not {self.front!r}.")
        if self.fusion == "separate" and self.front != "none":
            problems.append(f"fusion='separate' takes no front: front must be 'none', not {self.front!r}.")
        if self.fusion == "separate" and self.name == "prefix":
            problems.append("profile 'prefix' needs fusion='joint'.")
        if self.encoding == "per_node" and self.keep in RANKED:
            problems.append(f"keep={self.keep!r} ranks the tokens of a chunk: encoding must be 'one_pass'.")
        if self.query_offset < 0:
            problems.append(f"query_offset={self.query_offset} must not be negative.")
        return problems

    def at_grain(self, grain: int, keep: Keep | None = None) -> Profile:
        """The same profile with one row in ``grain`` tokens stored, chosen by attention unless ``keep`` says otherwise.

        Args:
            grain: tokens a row, 1 or more.
            keep: which of them; None for the profile's own, ``reread`` in place of ``last`` above grain 1.

        Raises:
            ConfigError: a grain below 1, or one that ``keep`` does not allow, or the profile injects nodes of several
                levels, whose grains belong together.
        """
        if any(self.grains[:-1]):
            raise ConfigError(
                f"grain={grain}: profile {self.name!r} has a grain for each level ({self.grains}), as its adapter was "
                "trained.",
                remedy="Leave grain out, or use the 'prefix' profile.",
            )
        if not is_int(grain) or grain < 1:
            raise ConfigError(
                f"grain={grain!r} must be a whole number of tokens per row, 1 or more.", remedy="Use 1 or more."
            )
        keep = keep or ("reread" if self.keep == "last" and grain > 1 else self.keep)
        return replace(self, grains=(*self.grains[:-1], grain), keep=keep)

    def resolve(self, num_layers: int) -> Profile:
        """The same profile with ``layers`` set for a model of ``num_layers`` layers.

        Raises:
            ConfigError: the layers reach beyond the model's.
        """
        if self.layers is None:
            last = num_layers if self.name == "prefix" else max(1, num_layers // 2)
            return replace(self, layers=(1, last))
        if self.layers[1] > num_layers:
            raise ConfigError(
                f"layers={self.layers} reaches beyond the model's {num_layers} layers.",
                remedy=f"Use a range within 1..{num_layers}.",
            )
        return self

    @property
    def ranked(self) -> bool:
        """Whether the rows of a node are chosen by the attention they receive."""
        return self.keep in RANKED

    @property
    def stored_grain(self) -> int:
        """The finest grain, which is the one on disk."""
        return self.grains[-1]

    @property
    def injection_layers(self) -> range:
        """Indices of the injection layers, counted from 0; ``layers`` must be resolved."""
        if self.layers is None:
            raise ConfigError(
                "The profile's layers are not resolved.", remedy="Call Profile.resolve(num_layers) first."
            )
        return range(self.layers[0] - 1, self.layers[1])


RELEVANCE_FLOOR = 0.3
"""Relevance of the best leaf below which a model without a fitted decision is not asked (docs/log.md)."""
MOST_CITATIONS = 1000
"""Of one answer."""


@dataclass(frozen=True)
class RetrievalConfig:
    """How one question is answered from the index.

    Attributes:
        budget: maximum number of rows injected per layer; None for the adapter's or profile's default.
        selector: how branch selection chooses between the halves of a node.
        candidates: maximum number of chunks that branch selection considers.
        evidence_tokens: tokens of the best leaves' text quoted in the prompt; 0 for none, None for the adapter's or
            profile's default. If that is 0, the row of a table that fits the question's words best is still quoted.
        relevance_floor: minimum relevance of the best leaf, 0 .. 1; below it the answer is "The document does not
            say." 0 switches the floor off. None is ``RELEVANCE_FLOOR``, or 0 where the decision by confidence was
            fitted to the model: it weighs the relevance among other signs.
        max_citations: maximum number of citations returned, 1 .. 1000.
        min_confidence: minimum ``Answer.confidence``, 0 .. 1; below it the answer is "The document does not say." None
            for the model's fitted threshold; 0 leaves the decision to the relevance floor and the model's own words.
        grains: grains at which leaves may be injected; the budget is divided among them so that the injected rows are
            worth most (``retrieval/spending``). Several grains cover more of the document with the same number of rows.
            None for the profile's own: the best leaves at the finest grain (``prefix``), or the paper's branches
            (``sharedllm``).
    """

    budget: int | None = None
    selector: SelectorName = "embedding"
    candidates: int = 8
    evidence_tokens: int | None = None
    relevance_floor: float | None = None
    max_citations: int = 5
    min_confidence: float | None = None
    grains: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        problems = choice_problems(self, {"selector": SelectorName})
        if isinstance(self.grains, list):
            object.__setattr__(self, "grains", tuple(self.grains))
        if self.grains is not None and not (
            isinstance(self.grains, tuple) and self.grains and all(is_int(g) and g > 0 for g in self.grains)
        ):
            problems.append(f"grains={self.grains!r} must be whole numbers above 0, at least one.")
        given = tuple(name for name in ("budget", "evidence_tokens") if getattr(self, name) is not None)
        whole = ("candidates", "max_citations", *given)
        finite = tuple(name for name in ("relevance_floor", "min_confidence") if getattr(self, name) is not None)
        wrong = number_problems(self, whole=whole, finite=finite)
        raise_if(problems + (wrong or self._range_problems()), "question settings")

    def _range_problems(self) -> list[str]:
        problems = []
        if self.budget is not None and self.budget < 1:
            problems.append(f"budget={self.budget} must be at least 1 row.")
        for name in ("candidates", "max_citations"):
            if getattr(self, name) < 1:
                problems.append(f"{name}={getattr(self, name)} must be at least 1.")
        if self.max_citations > MOST_CITATIONS:
            problems.append(f"max_citations={self.max_citations} must be at most {MOST_CITATIONS}.")
        if self.evidence_tokens is not None and self.evidence_tokens < 0:
            problems.append(f"evidence_tokens={self.evidence_tokens} must not be negative.")
        if self.relevance_floor is not None and not 0 <= self.relevance_floor <= 1:
            problems.append(f"relevance_floor={self.relevance_floor} must lie in 0..1.")
        if self.min_confidence is not None and not 0 <= self.min_confidence <= 1:
            problems.append(f"min_confidence={self.min_confidence} must lie in 0..1.")
        return problems


LEAST_FACTOR, MOST_FACTOR = 0.001, 1000
"""Bounds of temperature and repetition penalty: beyond them logits overflow."""
_FACTORS = f"{LEAST_FACTOR}..{MOST_FACTOR}"


@dataclass(frozen=True)
class GenerationConfig:
    """How the answer's tokens are drawn.

    Attributes:
        max_new_tokens: maximum number of tokens generated.
        temperature: 0 for greedy decoding (deterministic); above 0 (0.001 to 1000) tokens are sampled.
        top_p: probability mass of the nucleus, for sampling.
        top_k: number of most probable tokens considered in sampling; 0 for all.
        repetition_penalty: factor against repeated tokens, 0.001 to 1000; 1 for none.
        stop: strings that end generation; the first one that appears is not part of the answer.
        seed: seed of the sampling, 0 .. 2**63 - 1; None for a random one.
    """

    max_new_tokens: int = 128
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int | None = 0

    def __post_init__(self) -> None:
        whole = ("max_new_tokens", "top_k", *(() if self.seed is None else ("seed",)))
        problems = number_problems(self, whole=whole, finite=("temperature", "top_p", "repetition_penalty"))
        if not isinstance(self.stop, (tuple, list)) or not all(isinstance(text, str) for text in self.stop):
            problems.append(f"stop={self.stop!r} must be a tuple of strings.")
        raise_if(problems or self._range_problems(), "generation settings")
        object.__setattr__(self, "stop", tuple(self.stop))

    def _range_problems(self) -> list[str]:
        problems = []
        if self.max_new_tokens < 1:
            problems.append(f"max_new_tokens={self.max_new_tokens} must be at least 1.")
        if self.temperature < 0:
            problems.append(f"temperature={self.temperature} must not be negative.")
        elif self.temperature and not LEAST_FACTOR <= self.temperature <= MOST_FACTOR:
            problems.append(f"temperature={self.temperature:g} must be 0, or lie in {_FACTORS}.")
        if not 0 < self.top_p <= 1:
            problems.append(f"top_p={self.top_p} must lie in (0, 1].")
        if self.top_k < 0:
            problems.append(f"top_k={self.top_k} must not be negative.")
        if not LEAST_FACTOR <= self.repetition_penalty <= MOST_FACTOR:
            problems.append(f"repetition_penalty={self.repetition_penalty:g} must lie in {_FACTORS}.")
        if any(not text for text in self.stop):
            problems.append("stop strings must not be empty.")
        if self.seed is not None and not 0 <= self.seed < 2**63:
            problems.append(f"seed={self.seed} must lie in 0..2**63-1.")
        return problems


class ModelOptions(TypedDict, total=False):
    """Keywords of ``SharedLLM.from_pretrained``; described there."""

    name_or_path: str | Path | None
    adapter: str | Path | Any  # or an Adapter, which this module does not know
    profile: Profile | str | None
    device: str
    dtype: str
    embedder: str | None
    step_weights: str
    prompt_start: PromptStart | None
    confidence: str | Path | None


class RetrievalOptions(TypedDict, total=False):
    """Fields of ``RetrievalConfig`` as keywords, and ``retrieval``, a whole one in which they replace fields."""

    budget: int | None
    selector: SelectorName
    candidates: int
    evidence_tokens: int | None
    relevance_floor: float | None
    max_citations: int
    min_confidence: float | None
    grains: Sequence[int] | None
    retrieval: RetrievalConfig | None


class GenerationOptions(TypedDict, total=False):
    """Fields of ``GenerationConfig`` as keywords, and ``generation``, a whole one in which they replace fields."""

    max_new_tokens: int
    temperature: float
    top_p: float
    top_k: int
    repetition_penalty: float
    stop: Sequence[str]
    seed: int | None
    generation: GenerationConfig | None


Config = TypeVar("Config", RetrievalConfig, GenerationConfig)


def check_options(known: type, options: Mapping[str, Any]) -> None:
    """Raise ConfigError for keywords that ``known``, a TypedDict, does not have; the message lists those it has."""
    unknown = sorted(set(options) - set(known.__annotations__))
    if unknown:
        raise ConfigError(
            f"Unknown setting {', '.join(map(repr, unknown))} (known: {', '.join(sorted(known.__annotations__))}).",
            remedy="Correct the name, or leave it out.",
        )


def config_of(kind: type[Config], whole: Config | None, options: Mapping[str, Any]) -> Config:
    """A config with the fields in ``options``; the other fields come from ``whole``, or are the defaults.

    Raises:
        ConfigError: a value is invalid, or ``whole`` is of another class.
    """
    if whole is not None and not isinstance(whole, kind):
        raise ConfigError(f"{whole!r} is not a {kind.__name__}.", remedy=f"Give a {kind.__name__}, or single keywords.")
    given = {f.name: options[f.name] for f in fields(kind) if f.name in options}
    return replace(whole or kind(), **given)


def generation_of(options: Mapping[str, Any]) -> GenerationConfig:
    """A ``GenerationConfig`` from the keywords of ``GenerationOptions``.

    Raises:
        ConfigError: a keyword is unknown, or a value is invalid.
    """
    check_options(GenerationOptions, options)
    whole: GenerationConfig | None = options.get("generation")
    return config_of(GenerationConfig, whole, options)
