"""The default embedder with transformers alone: a BERT encoder whose token vectors are averaged and normalised.

The vectors are, bit for bit, those of sentence-transformers for the same folder, without its slow import (docs/log.md,
speed). Other kinds of models are refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import normalize

from sharedllm_docs.checks import json_of

PIPELINE = ("Transformer", "Pooling", "Normalize")


class SentenceVectors:
    """A sentence-transformers folder of a BERT encoder with mean pooling.

    Args:
        folder: contains ``modules.json``, weights and ``tokenizer.json``.
        device: a torch device, e.g. ``cpu``.

    Raises:
        ValueError: the model is of another kind; the message names it.
        OSError: a file is missing.
    """

    def __init__(self, folder: Path, *, device: str = "cpu") -> None:
        from tokenizers import Tokenizer
        from transformers.models.bert.modeling_bert import BertModel

        _check_kind(folder)
        self.device = device
        self.model = BertModel.from_pretrained(folder, dtype=torch.float32).to(device).eval()
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_truncation(_settings(folder / "sentence_bert_config.json")["max_seq_length"])
        self.tokenizer.enable_padding(pad_id=self.model.config.pad_token_id)

    def get_embedding_dimension(self) -> int:
        """Dimensions of the vectors."""
        return int(self.model.config.hidden_size)

    def state_dict(self) -> Mapping[str, torch.Tensor]:
        """Weights under the names that sentence-transformers gives them, so that digests are the same either way."""
        return {f"0.model.{name}": tensor for name, tensor in self.model.state_dict().items()}

    @torch.inference_mode()
    def encode(self, texts: Sequence[str], *, batch_size: int) -> torch.Tensor:
        """Unit vectors [len(texts), E]; texts longer than the encoder's window are cut."""
        if not texts:
            return torch.zeros(0, self.get_embedding_dimension(), device=self.device)
        # longest first, so that texts of a batch have similar lengths and need little padding
        order = np.argsort([-len(text) for text in texts])
        batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
        made = torch.cat([self._encode_batch([texts[place] for place in batch]) for batch in batches])
        return made[torch.from_numpy(np.argsort(order)).to(self.device)]

    @torch.inference_mode()
    def token_vectors(self, texts: Sequence[str]) -> list[torch.Tensor]:
        """Unit vectors [T, E] of each text's tokens, out of the last layer but one (docs/log.md, late interaction)."""
        encodings = self.tokenizer.encode_batch(list(texts))
        mask = torch.tensor([encoding.attention_mask for encoding in encodings], device=self.device)
        hidden = self.model(
            input_ids=torch.tensor([encoding.ids for encoding in encodings], device=self.device),
            attention_mask=mask,
            token_type_ids=torch.zeros_like(mask),
            output_hidden_states=True,
        ).hidden_states[-2]
        # without the marks at both ends
        return [normalize(one[:count].float()[1:-1], dim=1) for one, count in zip(hidden, mask.sum(1), strict=True)]

    def _encode_batch(self, texts: Sequence[str]) -> torch.Tensor:
        encodings = self.tokenizer.encode_batch(list(texts))
        mask = torch.tensor([encoding.attention_mask for encoding in encodings], device=self.device)
        hidden = self.model(
            input_ids=torch.tensor([encoding.ids for encoding in encodings], device=self.device),
            attention_mask=mask,
            token_type_ids=torch.zeros_like(mask),
        ).last_hidden_state
        wide = torch.promote_types(hidden.dtype, torch.float32)
        shares = mask.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * shares).sum(1, dtype=wide) / shares.sum(1, dtype=wide).clamp(min=1e-9)
        # normalised twice, as in sentence-transformers: by its last module and by ``normalize_embeddings``
        return normalize(normalize(mean.to(hidden.dtype), dim=1), dim=1)


def _check_kind(folder: Path) -> None:
    """Refuse models that need more than the code above does."""
    modules = [module["type"].rpartition(".")[2] for module in _settings(folder / "modules.json")]
    if tuple(modules) != PIPELINE:
        raise ValueError(f"its modules are {modules}, only {list(PIPELINE)} are handled here")
    kind = _settings(folder / "config.json").get("model_type")
    if kind != "bert":
        raise ValueError(f"its encoder is {kind!r}, only 'bert' is handled here")
    pooling = [name for name, value in _settings(folder / "1_Pooling" / "config.json").items() if value is True]
    if pooling != ["pooling_mode_mean_tokens"]:
        raise ValueError(f"its pooling is {pooling}, only 'pooling_mode_mean_tokens' is handled here")


def _settings(file: Path) -> Any:
    return json_of(file.read_text(encoding="utf-8"))
