"""llama.cpp through llama-cpp-python, on the model's GGUF file: the state after the document is kept on disk.

llama.cpp computes with the file's quantised weights, which the other peers have dequantised. It runs in an environment
of its own and imports nothing of this project; token ids are given.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

from peers.base import Asked, NotAvailableError, Peer, Work, WorkQuestion
from peers.plain_model import answer

STATE = "document.state"
BATCH = 512


class LlamaCppCache(Peer):
    """See the module."""

    _llama: Any = None
    _read = 0

    def load(self) -> None:
        import llama_cpp

        self._llama = llama_cpp.Llama(
            self.settings.gguf,
            n_ctx=0,  # what the model was trained for, by the file
            n_batch=BATCH,
            n_threads=self.settings.threads,
            n_threads_batch=self.settings.threads,
            verbose=False,
        )

    def prepare(self, work: Work) -> int:
        ids = work.prompt_ids
        work.check_window(self._llama.n_ctx(), self.settings.new_tokens)
        self._llama.eval(ids)
        self._save(ids)
        return sum(document.tokens for document in work.documents)

    def open(self, work: Work) -> None:
        self.load()
        self._restore()

    def ask(self, question: WorkQuestion) -> Asked:
        self._llama.n_tokens = self._read  # what came after the document is dropped by the next eval
        return answer(self._next, question.ids, self.settings.new_tokens, self._read)

    def _next(self, ids: Sequence[int]) -> Any:
        self._llama.eval(list(ids))
        return self._logits()

    def _logits(self) -> Any:
        """Logits [V] of the last token, as an array over llama.cpp's own memory."""
        import llama_cpp
        import numpy

        pointer = llama_cpp.llama_get_logits_ith(self._llama.ctx, -1)
        return numpy.ctypeslib.as_array(pointer, shape=(self._llama.n_vocab(),))

    def _save(self, ids: Sequence[int]) -> None:
        import llama_cpp

        self.folder.mkdir(parents=True, exist_ok=True)
        array = (llama_cpp.llama_token * len(ids))(*ids)
        path = str(self.folder / STATE).encode()
        if not llama_cpp.llama_state_save_file(self._llama.ctx, path, array, len(ids)):
            raise NotAvailableError("llama.cpp could not save the document's state")

    def _restore(self) -> None:
        import llama_cpp

        room = self._llama.n_ctx()
        array, count = (llama_cpp.llama_token * room)(), ctypes.c_size_t()
        path = str(self.folder / STATE).encode()
        if not llama_cpp.llama_state_load_file(self._llama.ctx, path, array, room, ctypes.byref(count)):
            raise NotAvailableError("llama.cpp could not restore the document's state")
        self._read = count.value
        self._llama.input_ids[: self._read] = array[: self._read]
