"""Words of a text as they are searched for. Pure."""

from __future__ import annotations

import re
from functools import lru_cache

_WORD = re.compile(r"[^\W_]+(?:[._][^\W_]+)*")
_STOPWORDS = frozenset(
    _WORD.findall(
        "a an and are as at be but by can could did do does for from had has have how i if in into is it its me my of "
        "on or our should so than that the their them then there these they this to was we were what when where which "
        "who whom whose why will with would you your"
    )
)


def terms(text: str) -> list[str]:
    """Lower-case words for BM25; dotted names (``read.table``) count whole and in parts, plurals lose their s."""
    found: list[str] = []
    for match in _WORD.findall(text.lower()):
        found.extend(_terms_of(match))
    return found


class Vocabulary(dict[str, int]):
    """Numbers of terms, given as they are met; a document's words are taken apart once each."""

    def __init__(self) -> None:
        super().__init__()
        self._words: dict[str, tuple[int, ...]] = {}

    def numbers(self, text: str) -> list[int]:
        """What ``terms`` says of a text, as numbers."""
        found: list[int] = []
        for word in _WORD.findall(text.lower()):
            known = self._words.get(word)
            if known is None:
                known = self._words[word] = tuple(self.setdefault(term, len(self)) for term in _terms_of(word))
            found += known
        return found


@lru_cache(maxsize=1 << 16)
def _terms_of(word: str) -> tuple[str, ...]:
    """Remembered, since documents repeat their words."""
    parts = re.split(r"[._]", word)
    names = [word, *parts] if len(parts) > 1 else parts
    return tuple(_stem(name) for name in names if name not in _STOPWORDS)


def _stem(word: str) -> str:
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        return word[:-1]
    return word
