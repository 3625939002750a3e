"""The embedder without sentence-transformers: the same vectors of a tiny folder of its kind, a word for others."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sharedllm_docs.model.digests import weights_digest
from sharedllm_docs.model.sentence_vectors import SentenceVectors

TEXTS = ["one two", "", "three", "one " * 40, "two three one two", "unknown words"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A sentence-transformers folder of a random BERT."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizer

    home = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "one", "two", "three"]
    (home / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    BertModel(config).save_pretrained(home / "bert")
    BertTokenizer(str(home / "vocab.txt")).save_pretrained(home / "bert")
    encoder = Transformer(str(home / "bert"), max_seq_length=16)
    SentenceTransformer(modules=[encoder, Pooling(16, pooling_mode="mean"), Normalize()]).save(str(home / "whole"))
    return _as_the_embedded_one(home / "whole")


def _as_the_embedded_one(whole):
    """Settings by the names that the pinned wheel has."""
    settings = {"max_seq_length": 16, "do_lower_case": False}
    (whole / "sentence_bert_config.json").write_text(json.dumps(settings), encoding="utf-8")
    modes = {"word_embedding_dimension": 16, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
    (whole / "1_Pooling" / "config.json").write_text(json.dumps(modes), encoding="utf-8")
    return whole


def test_vectors_and_digest_are_those_of_sentence_transformers(folder):
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(folder), device="cpu")
    ours = SentenceVectors(folder)
    for size in (2, 32):
        expected = theirs.encode(TEXTS, batch_size=size, normalize_embeddings=True)
        assert np.array_equal(ours.encode(TEXTS, batch_size=size).numpy(), expected)
    assert weights_digest(ours.state_dict()) == weights_digest(theirs.state_dict())
    assert ours.get_embedding_dimension() == 16
    assert ours.encode([], batch_size=2).shape == (0, 16)


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("modules.json", lambda modules: modules[:2], "only ['Transformer', 'Pooling', 'Normalize'] are handled"),
        ("config.json", lambda config: config | {"model_type": "mpnet"}, "its encoder is 'mpnet'"),
        ("1_Pooling/config.json", lambda c: c | {"pooling_mode_cls_token": True}, "its pooling is ['pooling_mode_cls"),
    ],
)
def test_another_kind_is_refused_by_name(folder, file, change, said):
    place = folder / file
    before = place.read_text(encoding="utf-8")
    place.write_text(json.dumps(change(json.loads(before))), encoding="utf-8")
    try:
        with pytest.raises(ValueError, match=said.replace("[", r"\[").replace("]", r"\]")):
            SentenceVectors(folder)
    finally:
        place.write_text(before, encoding="utf-8")
