"""Search terms of a text, in every script. Pure.

Words in Latin script are terms themselves and, in most languages other than English, have their stem as a second term.
Cyrillic, Arabic and Hebrew words have their stem, or the word without attached prefixes. Scripts without spaces
(Chinese, Japanese, Thai and others) and Korean are divided into pairs of neighbouring characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import regex

from sharedllm_docs.documents.folding import fold_forms
from sharedllm_docs.documents.languages import UNSTEMMED, language_of, small_words, stem

_ASCII_WORD = re.compile(r"[^\W_]+(?:[._][^\W_]+)*")
_WORD = regex.compile(r"[\p{L}\p{N}][\p{L}\p{N}\p{M}\u200c\u200d]*(?:[._][\p{L}\p{N}][\p{L}\p{N}\p{M}]*)*")
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\u30fc\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}\p{Hangul}\u3005\u3007"
_RUN = regex.compile(rf"[{_UNSPACED}][{_UNSPACED}\p{{M}}]*|[^{_UNSPACED}]+")
_HAS_UNSPACED = regex.compile(rf"[{_UNSPACED}]")
_SCRIPT = regex.compile(r"(?P<russian>\p{Cyrillic})|(?P<arabic>\p{Arabic})|(?P<hebrew>\p{Hebrew})|(?P<latin>\p{Latin})")
_MARKS = regex.compile(r"[\p{Mn}\u0640\u200c\u200d]")  # vowel points, and the stroke that stretches Arabic words
_ARABIC = str.maketrans({"أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا", "ى": "ي", "ة": "ه", "ی": "ي", "ک": "ك"})
_ARABIC_BEFORE = re.compile(r"^(?:وال|بال|كال|فال|لل|ال|و(?=...))(?=..)")
_ARABIC_AFTER = re.compile(r"(?<=..)(?:ها|ان|ات|ون|ين|يه|ية|ه|ة|ي)$")
_HEBREW_BEFORE = re.compile(r"^(?:[ושכ]?[הבלמ]|[ושכ])(?=...)")
_ASCII_MARK = "~"  # before stems, so that they are no words of another language

_STOPWORDS = frozenset(
    _ASCII_WORD.findall(
        "a an and are as at be but by can could did do does for from had has have how i if in into is it its me my of "
        "on or our should so than that the their them then there these they this to was we were what when where which "
        "who whom whose why will with would you your"
    )
)


def terms(text: str) -> list[str]:
    """Lower-case words for BM25; dotted names (``read.table``) count whole and in parts, plurals lose their s."""
    words, language = _words(text)
    return [term for word in words for term in _terms_of(word, language)]


def is_english(text: str) -> bool:
    """Whether a text may be English: in plain Latin letters, and in no other language that is known here."""
    letters = [character for character in fold_forms(text) if character.isalpha()]
    plain = sum(character.isascii() for character in letters)
    return plain >= 0.8 * len(letters) and not _words(text)[1]


class Vocabulary(dict[str, int]):
    """Numbers of terms, in order of first occurrence; each word of a document is analysed only once."""

    def __init__(self) -> None:
        super().__init__()
        self._words: dict[tuple[str, str], tuple[int, ...]] = {}

    def numbers(self, text: str) -> list[int]:
        """The ``terms`` of a text as numbers."""
        found: list[int] = []
        words, language = _words(text)
        for word in words:
            known = self._words.get((word, language))
            if known is None:
                known = tuple(self.setdefault(term, len(self)) for term in _terms_of(word, language))
                self._words[word, language] = known
            found += known
        return found


def _words(text: str) -> tuple[list[str], str]:
    """The lower-case words of a text, and its language as far as it changes them."""
    if text.isascii():
        words = _ASCII_WORD.findall(text.lower())
    else:
        words = [word for match in _WORD.findall(fold_forms(text).lower()) for word in _unmixed(match)]
    return words, language_of(words)


def _unmixed(word: str) -> Iterator[str]:
    """A run of letters, divided where a script without spaces begins or ends."""
    if not _HAS_UNSPACED.search(word):
        yield word
        return
    for run in _RUN.findall(word):
        yield run.strip("._") or run


def word_pieces(word: str) -> tuple[str, ...]:
    """A word, or the pairs of neighbouring characters of a word in a script without spaces."""
    if word.isascii() or not _HAS_UNSPACED.search(word):
        return (word,)
    return tuple(piece for run in _RUN.findall(word) for piece in _pairs(run))


def _pairs(run: str) -> tuple[str, ...]:
    if not _HAS_UNSPACED.match(run) or len(run) < 2:
        return (run,)
    return tuple(run[at : at + 2] for at in range(len(run) - 1))


@lru_cache(maxsize=1 << 16)
def _terms_of(word: str, language: str) -> tuple[str, ...]:
    """Cached, because documents repeat their words."""
    if word.isascii() and not language:
        return _english(word)
    if _HAS_UNSPACED.match(word):
        return _pairs(word)
    script = _SCRIPT.search(word)
    kind = script.lastgroup if script is not None else None
    if kind == "russian":
        return () if word in small_words("russian") else (stem(word.replace("ё", "е"), "russian"),)
    if kind == "arabic":
        return (_arabic(_MARKS.sub("", word)),)
    if kind == "hebrew":
        plain = _MARKS.sub("", word)
        bare = _HEBREW_BEFORE.sub("", plain)
        return plain, f"{_ASCII_MARK}{bare}"
    if word in small_words(language):
        return ()
    found = _english(word)
    if not language or language in UNSTEMMED or not word.isalpha():
        return found
    return (*found, f"{_ASCII_MARK}{stem(word, language)}")


def _arabic(word: str) -> str:
    """Without the article, attached particles and endings; letters with several spellings are unified."""
    plain = word.translate(_ARABIC)
    bare = _ARABIC_BEFORE.sub("", plain)
    bare = bare if len(bare) >= 2 else plain
    return _ARABIC_AFTER.sub("", bare) or bare


def _english(word: str) -> tuple[str, ...]:
    parts = re.split(r"[._]", word)
    names = [word, *parts] if len(parts) > 1 else parts
    return tuple(_stem(name) for name in names if name not in _STOPWORDS)


def _stem(word: str) -> str:
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        return word[:-1]
    return word
