"""Embeds leaf texts and questions: the default embedder with transformers alone, any other by sentence-transformers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.architectures.devices import has_bfloat16_units
from sharedllm_docs.documents.folding import fold_forms
from sharedllm_docs.errors import ModelUnavailableError
from sharedllm_docs.model.digests import NO_FILES, Snapshot, remembered, weights_digest
from sharedllm_docs.model.zoo import DEFAULT_EMBEDDER, EMBEDDED, ensure

BATCH = 32


class Embedder:
    """The default embedder or any sentence-transformers model, loaded at first use.

    Args:
        name_or_path: None for the default, a local folder or a hub name.
        device: a torch device, e.g. ``cpu``.
        report: called with a sentence before a download.
    """

    def __init__(
        self, name_or_path: str | None = None, *, device: str = "cpu", report: Callable[[str], None] | None = None
    ) -> None:
        self.name = name_or_path or DEFAULT_EMBEDDER.name
        self.device = device
        self._report = report
        self._model: Any = None
        self._digest: str | None = None
        self._files: Snapshot | None = None

    def _source(self) -> str:
        """Folder or hub name. The state of the weight files is noted before anything is loaded from them."""
        embedded = EMBEDDED.get(self.name)
        source = str(ensure(embedded, report=self._report)) if embedded else self.name
        if self._files is None:
            self._files = Snapshot.of(Path(source), "**/*.safetensors")
        return source

    def _load(self) -> Any:
        if self._model is None:
            source = self._source()
            from sharedllm_docs.quiet import quiet_libraries

            try:
                with quiet_libraries():
                    model = self._loaded(source, self.name == DEFAULT_EMBEDDER.name)
            except (OSError, ValueError, ImportError) as error:
                raise ModelUnavailableError(
                    f"The embedder {self.name!r} could not be loaded: {_first_line(error)}",
                    remedy="Give a local folder, or a hub name while online.",
                ) from error
            self._check_files()
            self._model = model
        return self._model

    def _check_files(self) -> None:
        """Refuse weights whose files changed after the digest was taken."""
        if self._digest is not None and self._files is not None and not self._files.unchanged():
            raise ModelUnavailableError(
                f"The files of the embedder {self.name!r} changed after its digest was taken.",
                remedy="Open the index again.",
            )

    def _loaded(self, source: str, default: bool) -> Any:
        if default:
            from sharedllm_docs.model.sentence_vectors import SentenceVectors

            return SentenceVectors(Path(source), device=self.device)
        return _SentenceTransformers(source, self.device)

    @property
    def digest(self) -> str:
        """SHA-256 of the weights."""
        if self._digest is None:
            self._source()
            files = self._files or NO_FILES
            self._digest = remembered(files, "embedder", lambda: weights_digest(self._load().state_dict()))
        return self._digest

    @property
    def files(self) -> Snapshot:
        """The state of the weight files before anything was loaded from them; no files where nothing was."""
        return self._files or NO_FILES

    @property
    def size(self) -> int:
        """Dimensions of the vectors."""
        return int(self._load().get_embedding_dimension())

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors [len(texts), size] of the texts with styled and joined letters as plain ones.

        Texts longer than the embedder's window are cut.
        """
        with self._fast():
            vectors = self._load().encode([fold_forms(text) for text in texts], batch_size=BATCH)
        return np.asarray(vectors.float().cpu().numpy(), dtype=np.float32)

    def token_vectors(self, texts: Sequence[str]) -> list[NDArray[np.float32]] | None:
        """Unit vectors [T, E] of the tokens of a few texts; None from an embedder other than the default."""
        model = self._load()
        if not hasattr(model, "token_vectors"):
            return None
        with self._fast():
            return [np.asarray(one.cpu().numpy(), dtype=np.float32) for one in model.token_vectors(texts)]

    def _fast(self) -> AbstractContextManager[Any]:
        """bfloat16 where the CPU has instructions for it: twice as fast, vectors within a cosine of 0.9999."""
        import torch

        kind = torch.device(self.device).type
        return torch.autocast(kind, torch.bfloat16) if has_bfloat16_units(self.device) else nullcontext()


class _SentenceTransformers:
    """Any sentence-transformers model, with the interface of ``SentenceVectors``."""

    def __init__(self, source: str, device: str) -> None:
        from sentence_transformers import SentenceTransformer

        self.model = SentenceTransformer(source, device=device)
        self.state_dict = self.model.state_dict

    def get_embedding_dimension(self) -> int:
        """Dimensions of the vectors; earlier versions of the library have another name for the method."""
        model = self.model
        return int((getattr(model, "get_embedding_dimension", None) or model.get_sentence_embedding_dimension)())

    def encode(self, texts: Sequence[str], *, batch_size: int) -> Any:
        """Unit vectors [len(texts), E]."""
        return self.model.encode(
            list(texts),
            batch_size=batch_size,
            normalize_embeddings=True,
            convert_to_tensor=True,
            show_progress_bar=False,
        )


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
