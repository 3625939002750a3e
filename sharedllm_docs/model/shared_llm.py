"""``SharedLLM``: a base model ready to read documents, with both halves, tokenizer, prompt, profile and adapter.

It contains everything that the index and the engine compute with, and the digests that an index is bound to.
"""

from __future__ import annotations

import copy
from asyncio import to_thread
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sharedllm_docs.architectures.base import Architecture
from sharedllm_docs.architectures.devices import device_of, dtype_of
from sharedllm_docs.architectures.registry import architecture_for
from sharedllm_docs.config import GenerationConfig, Profile, ProfileName, PromptStart, generation_of
from sharedllm_docs.documents.tokens import check_tokenizer
from sharedllm_docs.errors import AdapterError
from sharedllm_docs.injection.cross_attention import CrossAttention
from sharedllm_docs.injection.decode_step import check_step_weights, for_questions, for_steps
from sharedllm_docs.injection.encoder import LowerEncoder
from sharedllm_docs.injection.generate import end_tokens
from sharedllm_docs.injection.prompt_prefix import FrontState, front_state
from sharedllm_docs.model.adapter import Adapter, Half
from sharedllm_docs.model.completion import Completion, prompt_ids, stream
from sharedllm_docs.model.derived import derived
from sharedllm_docs.model.digests import NO_FILES, Snapshot, remembered, tokenizer_digest, weights_digest
from sharedllm_docs.model.embedder import Embedder
from sharedllm_docs.model.loading import (
    absolute,
    adapter_source,
    choose_profile,
    load_adapter,
    load_model,
    share_weights,
)
from sharedllm_docs.model.messages import NEXT_TURN, Message, chat_ids
from sharedllm_docs.model.prompt import PromptTemplate
from sharedllm_docs.model.turns import TurnLock
from sharedllm_docs.model.zoo import DEFAULT_MODEL, EMBEDDED, EmbeddedModel, ensure
from sharedllm_docs.retrieval.confidence import Confidence, confidence_of
from sharedllm_docs.store.fingerprint import Fingerprint
from sharedllm_docs.streams import AsyncStream, Stream

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from sharedllm_docs.config import GenerationOptions

DEFAULT_QUESTION = {
    "prefix": {"budget": 512, "evidence_tokens": 0},
    "sharedllm": {"budget": 8192, "evidence_tokens": 0},
}
"""Rows per layer and tokens of evidence, unless the question or the adapter sets them (measured: docs/log.md)."""
REPEAT = "\n\nRepeat the text:\n"
"""Asks the model to repeat a chunk (``keep="repeat"``); what it attends to then is stored, so this never changes."""
TOKENIZER_FILES = ("*.json", "*.txt", "*.model", "*.jinja")
"""Any file other than weights may influence how text becomes ids."""


class SharedLLM:
    """Both halves of a SharedLLM over one base model (paper, section 3).

    Make one with ``from_pretrained``, or with ``from_model`` around a model already in memory. The model is
    never changed: injection uses caches, and hooks that are removed after each question.

    Attributes:
        base: the base model, as it was given.
        upper: the decoder: the base model, or a twin that shares its weights except those that the adapter changes.
        lower: the encoder of documents: the base model, or such a twin.
        tokenizer: the base model's tokenizer.
        profile: the profile, resolved for this model.
        adapter: the adapter, or None.
        embedder: embeds leaf texts and questions.
        name: the name or path that the model was loaded by.
        lock: held while the model computes, one step of one batch at a time; work in the background comes last.
        step_weights: the weights used for decoding steps, as requested.
        source: arguments with which ``from_pretrained`` loads the same model again; empty for a model from memory.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        profile: Profile,
        adapter: Adapter | None = None,
        embedder: Embedder | None = None,
        name: str = "",
        step_weights: str = "auto",
        prompt_start: PromptStart | None = None,
        confidence: Confidence | None = None,
        weight_files: Snapshot = NO_FILES,
        tokenizer_files: Snapshot = NO_FILES,
        confidence_file: Snapshot = NO_FILES,
    ) -> None:
        check_tokenizer(tokenizer)
        self.base = architecture_for(model)
        self.tokenizer = tokenizer
        self.profile = profile.resolve(self.base.num_layers)
        self.adapter = adapter
        self._weight_files = weight_files
        self._tokenizer_files = tokenizer_files
        self._confidence_file = confidence_file
        self.upper = self._half("upper")
        self.embedder = embedder or Embedder()
        self.name = name or getattr(model.config, "name_or_path", "") or type(model).__name__
        self.lock = TurnLock()
        self.source: dict[str, Any] = {}
        self.blocks = self._make_blocks()
        self.lower = self._half("lower")
        check_step_weights(step_weights, self.upper)
        self.step_weights = step_weights
        if confidence is not None and confidence.probe is not None:
            confidence.probe.check(self.base.num_layers, self.base.hidden_size)
        self._confidence = confidence
        trained = adapter.prompt_start if adapter else "neutral"
        self.template = PromptTemplate.of(tokenizer, prompt_start or trained)
        self.start_ids = self.template.start_ids(tokenizer)
        self.end_ids = end_tokens(model, tokenizer)

    # -- making -----------------------------------------------------------------------------------------------------

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path | None = None,
        *,
        adapter: str | Path | Adapter | None = "auto",
        profile: Profile | str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        embedder: str | None = None,
        step_weights: str = "auto",
        prompt_start: PromptStart | None = None,
        confidence: str | Path | None = None,
        report: Callable[[str], None] | None = None,
    ) -> SharedLLM:
        """Load a model.

        Args:
            name_or_path: None for the embedded default, the name of another embedded model (fetched once;
                docs/models.md lists them), a local folder, or a hub name.
            adapter: folder of a trained adapter, or the name of one that ships with the package; its profile is used.
                ``"auto"`` takes the embedded model's own adapter unless ``profile`` asks for another profile; None or
                ``"none"`` takes none.
            profile: a ``Profile``, or ``"prefix"``, the default without an adapter.
            device: ``auto`` (CUDA if available), ``cpu``, ``cuda``, ...
            dtype: ``auto`` (bfloat16 on CUDA and on CPUs with bfloat16 instructions, otherwise float32) or a name.
            embedder: None for the embedded default, or a folder or hub name of a sentence-transformers model.
            step_weights: weights used for decoding steps: ``int8`` (8 bits per weight, made at the first step; they
                take half the model's memory in addition), ``model``, or ``auto`` (``int8`` in bfloat16 on a CPU,
                where it halves the time, otherwise ``model``). Nothing that is stored depends on it.
            prompt_start: wording of the prompt before the rows: ``neutral``, or ``instructed`` as earlier versions had
                it; None for the one that the adapter was trained with, else ``neutral``.
            confidence: file that ``sharedllm-docs fit-confidence`` made for this model; None for the one that ships
                with the package, or the generic one.
            report: called with a sentence before each slow step.

        Raises:
            ModelUnavailableError: the weights can be neither found nor fetched.
            UnsupportedModelError: the family, rope type or tokenizer is not supported; the message names it.
            AdapterError: the adapter is missing, damaged or made for another model.
            ConfigError: an unknown device, dtype, profile or step_weights, or a confidence file that cannot be read.
        """
        place = device_of(device)
        kind = dtype_of(dtype, place)
        embedded = DEFAULT_MODEL if name_or_path is None else EMBEDDED.get(str(name_or_path))
        judge, judged = _decision(confidence)
        loaded = load_adapter(adapter, embedded.name if embedded else "", profile)
        chosen = _with_layers(choose_profile(profile, loaded), embedded)
        source = ensure(embedded, report=report) if embedded else name_or_path
        folder = Path(str(source))
        weight_files, tokenizer_files = Snapshot.of(folder, "*.safetensors"), Snapshot.of(folder, *TOKENIZER_FILES)
        model, tokenizer = load_model(str(source), place, kind)
        share_weights(model, weight_files)
        made = cls(
            model,
            tokenizer,
            profile=chosen,
            adapter=loaded,
            embedder=Embedder(absolute(embedder), device=str(place), report=report),
            name=embedded.name if embedded else str(name_or_path),
            step_weights=step_weights,
            prompt_start=prompt_start,
            confidence=judge,
            weight_files=weight_files,
            tokenizer_files=tokenizer_files,
            confidence_file=judged,
        )
        made.source = {
            "name_or_path": embedded.name if embedded else absolute(name_or_path),
            "adapter": adapter_source(adapter, loaded),
            "dtype": made.dtype,
            "embedder": absolute(embedder),
            **({} if confidence is None else {"confidence": absolute(confidence)}),
        }
        return made

    @classmethod
    def from_model(
        cls,
        model: Any,
        tokenizer: Any,
        *,
        adapter: Adapter | None = None,
        profile: Profile | str | None = None,
        embedder: Embedder | None = None,
        name: str = "",
        step_weights: str = "auto",
        prompt_start: PromptStart | None = None,
        confidence: Confidence | None = None,
    ) -> SharedLLM:
        """Wrap a transformers causal LM that is already in memory; see ``from_pretrained``."""
        return cls(
            model,
            tokenizer,
            profile=choose_profile(profile, adapter),
            adapter=adapter,
            embedder=embedder,
            name=name,
            step_weights=step_weights,
            prompt_start=prompt_start,
            confidence=confidence,
        )

    def _make_blocks(self) -> Mapping[int, CrossAttention]:
        if self.profile.fusion != "separate":
            if self.adapter is not None and any(".cross_attn." in name for name in self.adapter.weights):
                raise AdapterError(
                    f"Profile {self.profile.name!r} has no place for the adapter's cross-attention.",
                    remedy="Leave profile out: the adapter brings its own.",
                )
            return {}
        if self.adapter is None:
            raise AdapterError(
                f"Profile {self.profile.name!r} injects by trained cross-attention, so it needs an adapter.",
                remedy="Give adapter=FOLDER, or use profile='prefix', which needs no training.",
            )
        blocks = self.adapter.blocks(self.upper)
        if set(blocks) != set(self.profile.injection_layers):
            raise AdapterError(
                f"The adapter was trained for layers {self.adapter.profile.layers}, not for {self.profile.layers}.",
                remedy="Leave profile out: the adapter brings its own.",
            )
        return blocks

    def with_prompt_start(self, wording: PromptStart) -> SharedLLM:
        """The same model, sharing all weights, with another wording of the prompt's start."""
        twin = copy.copy(self)
        for name in ("front_ids", "front", "encoder", "fingerprint"):
            twin.__dict__.pop(name, None)
        twin.template = PromptTemplate.of(self.tokenizer, wording)
        twin.start_ids = twin.template.start_ids(self.tokenizer)
        return twin

    @cached_property
    def untrained(self) -> SharedLLM:
        """The same model without the adapter, where stored rows do not depend on it; otherwise this one."""
        if self.adapter is None or self.adapter.changes_rows or self.profile.fusion != "joint":
            return self
        twin = copy.copy(self)
        for name in ("front", "questions", "steps", "confidence"):
            twin.__dict__.pop(name, None)
        # its questions take as many rows as those of the untrained profile over the same index
        twin.adapter, twin.upper, twin.profile = None, self.base, replace(self.profile, name="prefix")
        if self._confidence is not None:  # a probe reads the states of the model with the adapter
            twin._confidence = replace(self._confidence, probe=None)
        return twin

    def _half(self, half: Half) -> Architecture:
        """The base model, or a twin in which the adapter's weights replace some."""
        adapter = self.adapter
        if adapter is None or not adapter.changes(half):
            return self.base

        def merged() -> dict[str, torch.Tensor]:
            return adapter.weights_of(half, self.base)

        if self._kept_on_disk:
            return self.base.twin(derived("merged", {"half": half, **self._origin}, merged))
        return self.base.twin(merged())

    @property
    def _kept_on_disk(self) -> bool:
        """Whether what follows from the weights is kept in the cache: for models on the CPU that come from files."""
        return bool(self._weight_files.stats) and self.base.device.type == "cpu"

    @property
    def _origin(self) -> dict[str, Any]:
        """What all weights in use follow from."""
        return {
            "weights": self.weights_digest,
            "dtype": self.dtype,
            "adapter": self.adapter.digest if self.adapter else None,
        }

    # -- text without documents -------------------------------------------------------------------------------------

    def count_tokens(self, text: str) -> int:
        """Number of tokens in a text, without special tokens."""
        return len(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def complete(self, prompt: str, **options: Unpack[GenerationOptions]) -> Completion:
        """Continue a prompt as it stands, without chat template or documents.

        Args:
            prompt: the text; special tokens written in it count as special tokens.
            options: fields of ``GenerationConfig``, or ``generation`` with a whole one.

        Raises:
            EmptyQuestionError: the prompt has no words.
            QuestionError: the prompt is not valid Unicode.
            QuestionTooLongError: prompt and answer exceed the model's window.
        """
        return self.stream_complete(prompt, **options).result

    def stream_complete(self, prompt: str, **options: Unpack[GenerationOptions]) -> Stream[Completion]:
        """``complete``, streamed: iterate over the text, then take ``.result``."""
        return self._continued(prompt_ids(self.tokenizer, prompt), generation_of(options))

    def astream_complete(self, prompt: str, **options: Unpack[GenerationOptions]) -> AsyncStream[Completion]:
        """``stream_complete`` for ``async for``, computed in a thread."""
        return AsyncStream(lambda: self.stream_complete(prompt, **options))

    async def acomplete(self, prompt: str, **options: Unpack[GenerationOptions]) -> Completion:
        """``complete`` in a thread."""
        return await to_thread(lambda: self.complete(prompt, **options))

    def chat(self, messages: Sequence[Message], **options: Unpack[GenerationOptions]) -> Completion:
        """Answer the last message through the chat template, without documents; options as for ``complete``.

        Raises:
            EmptyQuestionError, QuestionError, QuestionTooLongError: as for ``complete``.
            UnsupportedModelError: the chat template refuses the messages.
        """
        return self.stream_chat(messages, **options).result

    def stream_chat(self, messages: Sequence[Message], **options: Unpack[GenerationOptions]) -> Stream[Completion]:
        """``chat``, streamed."""
        return self._continued(*self.chat_prompt(messages, options))

    def chat_prompt(
        self, messages: Sequence[Message], options: Mapping[str, Any]
    ) -> tuple[tuple[int, ...], GenerationConfig]:
        """Token ids of a chat, and how its answer is drawn; errors as for ``chat``."""
        ids, generation = chat_ids(self.tokenizer, messages), generation_of(options)
        if not getattr(self.tokenizer, "chat_template", None):
            generation = replace(generation, stop=(*generation.stop, NEXT_TURN))
        return ids, generation

    def astream_chat(
        self, messages: Sequence[Message], **options: Unpack[GenerationOptions]
    ) -> AsyncStream[Completion]:
        """``stream_chat`` for ``async for``, computed in a thread."""
        return AsyncStream(lambda: self.stream_chat(messages, **options))

    async def achat(self, messages: Sequence[Message], **options: Unpack[GenerationOptions]) -> Completion:
        """``chat`` in a thread."""
        return await to_thread(lambda: self.chat(messages, **options))

    def _continued(self, ids: Sequence[int], generation: GenerationConfig) -> Stream[Completion]:
        return stream(self.base, self.lock, self.tokenizer, ids, generation, self.end_ids)

    # -- parts that the engine uses ---------------------------------------------------------------------------------

    @property
    def dtype(self) -> str:
        """Name of the dtype the model computes in."""
        return str(self.base.dtype).removeprefix("torch.")

    @property
    def device(self) -> torch.device:
        """The device that the model computes on."""
        return self.upper.device

    @property
    def window(self) -> int:
        """Number of tokens that the model can attend to: prompt, injected rows and answer together."""
        return self.upper.window

    @cached_property
    def front_ids(self) -> tuple[int, ...]:
        """Ids of the tokens that precede every chunk while it is encoded."""
        return {"prompt": self.start_ids, "sink": self.start_ids[:1], "none": ()}[self.profile.front]

    @cached_property
    def encoder(self) -> LowerEncoder:
        """Encodes chunks for this model and profile."""
        asked = self.tokenizer(REPEAT, add_special_tokens=False)["input_ids"] if self.profile.keep == "repeat" else ()
        return LowerEncoder(self.lower, self.profile, self.front_ids, asked)

    @cached_property
    def questions(self) -> Architecture:
        """The upper model in the form that a question's tokens are fed to, made at the first question."""
        with self.lock:
            return for_questions(self.upper)

    @cached_property
    def steps(self) -> Architecture:
        """The upper model in the form that decoding steps use, made at the first step."""

        def kept(compute: Callable[[], Mapping[str, torch.Tensor]]) -> Mapping[str, torch.Tensor]:
            return derived("codes", self._origin, compute) if self._kept_on_disk else compute()

        with self.lock:
            return for_steps(self.upper, self.step_weights, kept)

    @cached_property
    def confidence(self) -> Confidence:
        """The decision whether an answer is given: fitted for this model and adapter, otherwise the generic one."""
        return self._confidence or confidence_of(self.name, self.adapter.digest if self.adapter else None)

    @property
    def encoding_batch(self) -> int:
        """Number of chunks encoded together. On a CPU it is one: 1,024 tokens keep the cores busy, and the rows of a
        chunk then depend, bit for bit, on its tokens alone."""
        return 1 if self.device.type == "cpu" else 8

    @cached_property
    def front(self) -> FrontState | None:
        """KV entries of the prompt's start (``joint`` only), computed at first use."""
        with self.lock:
            return front_state(self.upper, self.start_ids) if self.profile.fusion == "joint" else None

    def question_default(self, name: str) -> int:
        """The default ``budget`` or ``evidence_tokens`` of a question: the adapter's, otherwise the profile's."""
        own = self.adapter.question if self.adapter else {}
        return own.get(name, DEFAULT_QUESTION[self.profile.name][name])

    def window_left(self, question_tokens: int, answer_tokens: int) -> int:
        """Number of rows that fit the window beside prompt, question and answer (``token`` positions only)."""
        return self.upper.window - len(self.start_ids) - question_tokens - answer_tokens

    def files_unchanged(self) -> bool:
        """Whether the files that it was loaded from are as they were: loading again would give the same model."""
        states = (self._weight_files, self._tokenizer_files, self._confidence_file, self.embedder.files)
        return all(one.unchanged() for one in states) and (self.adapter is None or self.adapter.files_unchanged())

    # -- identity ---------------------------------------------------------------------------------------------------

    @cached_property
    def weights_digest(self) -> str:
        """SHA-256 of the base model's weights as loaded."""
        return remembered(
            self._weight_files, self.dtype, lambda: weights_digest(dict(self.base.model.named_parameters()))
        )

    def _tokenizer_digest(self) -> str:
        """Digest of the tokenizer as loaded, remembered for its files and the versions of their libraries."""
        versions = " ".join(version(name) for name in ("transformers", "tokenizers"))
        return remembered(self._tokenizer_files, f"tokenizer {versions}", lambda: tokenizer_digest(self.tokenizer))

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """Everything that the rows of an index made with this model, profile and adapter depend on.

        An adapter that leaves the encoder alone is no part of it: the same index serves the untrained model and every
        such adapter.
        """
        shared = self.adapter is not None and not self.adapter.changes_rows and self.profile.fusion == "joint"
        return self._fingerprint(self.adapter if not shared else None, "prefix" if shared else self.profile.name)

    def matching(self, stored: Fingerprint) -> SharedLLM:
        """This model in the form that an index was made with, or itself where no form fits.

        Indexes of earlier versions had the instructions in the prompt's start, and were bound to every adapter.
        """
        for wording in dict.fromkeys((self.template.wording, "instructed")):
            twin = self if wording == self.template.wording else self.with_prompt_start(wording)
            if twin.fingerprint == stored:
                return twin
            earlier = twin._fingerprint(twin.adapter, twin.profile.name)
            if earlier == stored:
                twin = copy.copy(twin)
                twin.__dict__["fingerprint"] = earlier
                return twin
        return self

    def _fingerprint(self, adapter: Adapter | None, profile: ProfileName) -> Fingerprint:
        return Fingerprint.for_profile(
            replace(self.profile, name=profile),
            weights=self.weights_digest,
            tokenizer=self._tokenizer_digest(),
            rope=self.upper.rope,
            dtype=self.dtype,
            front_ids=self.front_ids,
            adapter=adapter.digest if adapter else None,
            quantisation=str(getattr(self.upper.config, "quantization_config", None) or "") or None,
            embedder=self.embedder.digest,
        )


def _decision(confidence: str | Path | None) -> tuple[Confidence | None, Snapshot]:
    """The decision of a file, if one is named, and a snapshot of the file."""
    if confidence is None:
        return None, NO_FILES
    file = Path(confidence)
    snapshot = Snapshot.of(file.parent, file.name)  # before it is read: what changes meanwhile is noticed later
    return Confidence.load(confidence), snapshot


def _with_layers(profile: Profile, embedded: EmbeddedModel | None) -> Profile:
    """A profile whose layers nobody named, with those in which an embedded model reads its context."""
    if embedded is None or profile.name != "prefix" or profile.layers is not None:
        return profile
    return replace(profile, layers=embedded.layers)
