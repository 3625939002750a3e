"""Systems from specifications: a short text names a system and what differs from its defaults.

``NAME[+evidence[=TOKENS]][:KEY=VALUE,...]``, for instance ``prefix+evidence=128:budget=512,layers=1-15``. The same
text names the results of the system and its line of the table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from sharedllm_docs.config import GenerationConfig, Profile, RetrievalConfig
from sharedllm_docs.errors import AdapterError, EvaluationError
from sharedllm_docs.evaluation.policies import GoldByQuestion, OraclePolicy, Policy, RandomPolicy
from sharedllm_docs.evaluation.systems.base import System
from sharedllm_docs.evaluation.systems.injected import InjectedSystem
from sharedllm_docs.evaluation.systems.rag import TUNED, Rag, RagSettings
from sharedllm_docs.evaluation.systems.recent import KEPT
from sharedllm_docs.evaluation.systems.text import ClosedBook, FirstTokens, FullPrefill
from sharedllm_docs.model.adapter import Adapter
from sharedllm_docs.model.shared_llm import SharedLLM

EVIDENCE_TOKENS = 256
SYSTEMS = ("closed_book", "first_8k", "full_prefill", "rag", "rag-tuned", "prefix", "sharedllm", "ask")
_SPEC = re.compile(r"(?P<name>[\w-]+)(?:\+evidence(?:=(?P<tokens>\d+))?)?(?::(?P<options>.+))?")
_EVIDENCE = re.compile(r"\+evidence")
# a comma also separates the options of one system: it ends a specification only before a system's name
_BETWEEN = re.compile(rf"[\s;]+|,(?=(?:{'|'.join(SYSTEMS)})(?:[+:,;\s]|$))")


def _whole(text: str) -> int:
    return int(text)


def _yes_or_no(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError(text)
    return text == "yes"


def _layers(text: str) -> tuple[int, int]:
    first, last = text.split("-")
    return int(first), int(last)


def _grains(text: str) -> tuple[int, ...]:
    return tuple(int(grain) for grain in text.split("/"))


_PROFILE: dict[str, Callable[[str], Any]] = {
    "layers": _layers,
    "grains": _grains,
    "chunk_tokens": _whole,
    "depth": _whole,
    "keep": str,
    "encoding": str,
    "positions": str,
    "front": str,
    "query_offset": _whole,
    "store_dtype": str,
}
_QUESTION: dict[str, Callable[[str], Any]] = {
    "budget": _whole,
    "selector": str,
    "candidates": _whole,
    "relevance_floor": float,
    "min_confidence": float,
    "max_citations": _whole,
    "spend": _grains,
}
_TUNED: dict[str, Callable[[str], Any]] = {"lora": _yes_or_no}
_RAG: dict[str, Callable[[str], Any]] = {"chunk_tokens": _whole, "overlap": _whole, "top_k": _whole}


@dataclass(frozen=True)
class SystemSpec:
    """A system by name, with what differs from its defaults.

    Attributes:
        text: as written.
        name: one of ``SYSTEMS``.
        evidence_tokens: 0 without evidence.
        options: key -> value, as written.
    """

    text: str
    name: str
    evidence_tokens: int
    options: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> SystemSpec:
        """Read a specification.

        Raises:
            EvaluationError: an unknown system, or text that is not a specification.
        """
        match = _SPEC.fullmatch(text.strip())
        if match is None or match["name"] not in SYSTEMS:
            raise EvaluationError(
                f"{text!r} names no system (known: {', '.join(SYSTEMS)}).",
                remedy="Write NAME[+evidence[=TOKENS]][:KEY=VALUE,...].",
            )
        tokens = int(match["tokens"] or EVIDENCE_TOKENS) if _EVIDENCE.search(text.partition(":")[0]) else 0
        pairs = [pair.partition("=") for pair in (match["options"] or "").split(",") if pair]
        wrong = [key for key, equals, value in pairs if not (equals and key and value)]
        if wrong:
            raise EvaluationError(f"{text!r}: {wrong[0]!r} is not KEY=VALUE.", remedy="Write KEY=VALUE,KEY=VALUE.")
        return cls(text.strip(), match["name"], tokens, {key: value for key, _equals, value in pairs})

    def take(self, *tables: Mapping[str, Callable[[str], Any]]) -> list[dict[str, Any]]:
        """The values of the options, one dictionary per table.

        Raises:
            EvaluationError: an option is in none of the tables, or a value cannot be read.
        """
        known = {key for table in tables for key in table}
        unknown = sorted(self.options.keys() - known)
        if unknown:
            raise EvaluationError(
                f"{self.text!r}: system {self.name!r} has no option {unknown[0]!r} "
                f"(known: {', '.join(sorted(known)) or 'none'}).",
                remedy="Leave it out or use one of these.",
            )
        return [{key: self._read(key, table[key]) for key in self.options if key in table} for table in tables]

    def _read(self, key: str, reader: Callable[[str], Any]) -> Any:
        try:
            return reader(self.options[key])
        except ValueError as error:
            raise EvaluationError(
                f"{self.text!r}: {key}={self.options[key]!r} cannot be read.",
                remedy="Whole numbers; layers=FIRST-LAST; grains=G/G/G; share and lora=yes or no.",
            ) from error


@dataclass(frozen=True)
class SystemFactory:
    """Makes systems around one loaded base model.

    Attributes:
        llm: the model, loaded without an adapter; every system uses these very weights.
        folder: folder of the indexes.
        generation: settings of all answers.
        adapter: adapter of ``sharedllm``, or None.
        gold: where the answers are, for the oracle policy, or None.
        seed: of the random policy.
        kept: maximum number of documents that stay in an index.
        lazy: encode chunks when a question needs them.
    """

    llm: SharedLLM
    folder: Path
    generation: GenerationConfig
    adapter: Adapter | None = None
    gold: GoldByQuestion | None = None
    seed: int = 0
    kept: int = KEPT
    lazy: bool = False

    def make(self, spec: SystemSpec) -> System:
        """The system of a specification.

        Raises:
            AdapterError: ``sharedllm`` without an adapter.
            ConfigError: a profile or setting that makes no sense.
            EvaluationError: an option that the system does not have.
        """
        return _MAKERS[spec.name](self, spec)

    def variant(self, profile: Profile, adapter: Adapter | None = None) -> SharedLLM:
        """The same weights and embedder under another profile."""
        if adapter is None and profile.resolve(self.llm.upper.num_layers) == self.llm.profile:
            return self.llm
        return SharedLLM.from_model(
            self.llm.upper.model,
            self.llm.tokenizer,
            adapter=adapter,
            profile=profile,
            embedder=self.llm.embedder,
            name=self.llm.name,
        )

    def weights(self, spec: SystemSpec, *, lora: bool = False) -> SharedLLM:
        """The base model; with ``lora``, with the adapter's change of the upper model.

        The change was learnt on injected rows, but it also improves the answers of systems that read text: ``lora=yes``
        tells the gain of injection from the gain of tuning.

        Raises:
            AdapterError: no adapter is given, or it changes nothing outside its cross-attention.
        """
        if not lora:
            return self.llm
        if self.adapter is None or not self.adapter.low_rank("upper"):
            raise AdapterError(
                f"System {spec.text!r} wants an adapter with low-rank changes of the upper model.",
                remedy="Give --adapter FOLDER of one, or leave lora out.",
            )
        return self.variant(self.adapter.profile, self.adapter)

    def policy(self, name: str) -> Policy:
        """A branch policy by name.

        Raises:
            EvaluationError: an unknown policy, or the oracle in a task that does not say where the answers are.
        """
        if name == "random":
            return RandomPolicy(self.seed)
        if name == "oracle" and self.gold:
            return OraclePolicy(self.gold)
        if name == "oracle":
            raise EvaluationError(
                "policy=oracle needs to know where the answers stand, and this task does not say.",
                remedy="Use it with pdfqa, passkey, needles or squad-haystack.",
            )
        raise EvaluationError(
            f"policy={name!r} is unknown (known: random, oracle).",
            remedy="The engine's own selectors are chosen with selector=embedding, hidden-state or right-half.",
        )


def _text(made: Callable[..., System], **known: Callable[[str], Any]) -> Callable[[SystemFactory, SystemSpec], System]:
    def make(factory: SystemFactory, spec: SystemSpec) -> System:
        options, tuned = spec.take(known, _TUNED)
        return made(spec.text, factory.weights(spec, **tuned), factory.generation, spec.evidence_tokens, **options)

    return make


def _rag(defaults: RagSettings) -> Callable[[SystemFactory, SystemSpec], System]:
    def make(factory: SystemFactory, spec: SystemSpec) -> System:
        options, tuned = spec.take(_RAG, _TUNED)
        llm = factory.weights(spec, **tuned)
        return Rag(spec.text, llm, factory.generation, replace(defaults, **options), spec.evidence_tokens)

    return make


def _injected(factory: SystemFactory, spec: SystemSpec) -> System:
    changes, asked, policies = spec.take(_PROFILE, _QUESTION, {"policy": str})
    if "spend" in asked:  # ``grains`` are those of the profile, which the index is made with
        asked["grains"] = asked.pop("spend")
    adapter = None if spec.name == "prefix" else factory.adapter
    if adapter is None and spec.name == "sharedllm":
        raise AdapterError(
            f"System {spec.text!r} injects with trained weights, and no adapter is given.",
            remedy="Give --adapter FOLDER, or leave sharedllm out.",
        )
    if adapter is not None:
        base = adapter.profile
    else:
        base = factory.llm.profile if factory.llm.profile.name == "prefix" else Profile.prefix()
    if "depth" in changes and "grains" not in changes:
        # a shallower or deeper tree keeps its leaves' grain; the levels above follow the profile's pattern
        changes["grains"] = _grains_for(base, changes["depth"])
    as_asked = spec.name == "ask" and not _EVIDENCE.search(spec.text)
    return InjectedSystem(
        spec.text,
        factory.variant(replace(base, **changes), adapter),
        factory.folder,
        factory.generation,
        RetrievalConfig(evidence_tokens=None if as_asked else spec.evidence_tokens, **asked),
        factory.policy(policies["policy"]) if policies else None,
        factory.kept,
        lazy=factory.lazy,
    )


def _grains_for(profile: Profile, depth: int) -> tuple[int, ...]:
    """Grains of a tree of another depth: leaves as before, each level above twice the one below it, or none at all."""
    leaf = profile.grains[-1]
    if not any(profile.grains[:-1]):
        return (0,) * (depth - 1) + (leaf,)
    return tuple(leaf << (depth - level) for level in range(1, depth + 1))


_MAKERS: dict[str, Callable[[SystemFactory, SystemSpec], System]] = {
    "closed_book": _text(partial(ClosedBook, share=False)),  # there is nothing to share
    "first_8k": _text(FirstTokens, window=_whole, share=_yes_or_no),
    "full_prefill": _text(FullPrefill, share=_yes_or_no),
    "rag": _rag(RagSettings()),
    "rag-tuned": _rag(TUNED),
    "prefix": _injected,
    "sharedllm": _injected,
    "ask": _injected,
}


def parse_systems(text: str | Sequence[str]) -> list[SystemSpec]:
    """Specifications, each once, from a list or from a text that separates them by commas, blanks or semicolons.

    Raises:
        EvaluationError: there is none, or one cannot be read.
    """
    parts = _BETWEEN.split(text.strip()) if isinstance(text, str) else list(text)
    specs = {part: SystemSpec.parse(part) for part in parts if part}
    if not specs:
        raise EvaluationError("no system is named.", remedy=f"Name some of {', '.join(SYSTEMS)}.")
    return list(specs.values())
