"""transformers, the whole document as the prompt. The cache stays in memory and serves all questions of the process."""

from __future__ import annotations

from typing import Any

from peers.base import Asked, Peer, Work, WorkQuestion
from peers.plain_model import answer, feed, load_model


class FullPrefill(Peer):
    """See the module."""

    _model: Any = None
    _cache: Any = None

    def load(self) -> None:
        self._model = load_model(self.settings)

    def prepare(self, work: Work) -> int:
        from transformers import DynamicCache

        work.check_window(self._model.config.max_position_embeddings, self.settings.new_tokens)
        self._cache = DynamicCache(config=self._model.config)
        feed(self._model, self._cache, work.prompt_ids)
        return sum(document.tokens for document in work.documents)

    def ask(self, question: WorkQuestion) -> Asked:
        read = self._cache.get_seq_length()
        try:
            return answer(lambda ids: feed(self._model, self._cache, ids), question.ids, self.settings.new_tokens, read)
        finally:
            self._cache.crop(read - self._cache.get_seq_length())  # negative: so many are taken off the end
