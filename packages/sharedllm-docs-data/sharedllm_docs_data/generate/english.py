"""Enough English grammar to turn plain statements into questions: verbs, subjects, clauses. No model, no parser.

It says no far more often than yes: a sentence that it does not see through is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Set
from dataclasses import dataclass

from sharedllm_docs_data.generate.verbs import (
    AUXILIARIES,
    BASES,
    DO,
    INTRANSITIVE,
    PAST,
    PRESENT,
    past,
    third_person,
)
from sharedllm_docs_data.wordlists import listed

_BAD_STARTS = frozenset(
    listed(
        "in on at when if while as for by with after before although since because this these that those it "
        "he she they we i you there here however thus also but and or so then now to from of what who whose "
        "which where how why his her its their our my your such both many most some all other another only "
        "not one each every no any none either neither first second third finally next once until unless "
        "during under over within without between among about again even just still yet perhaps maybe today "
        "later often usually sometimes generally typically currently recently originally initially "
        "eventually instead therefore hence moreover furthermore similarly likewise otherwise additionally "
        "consequently nevertheless nonetheless meanwhile note see please do don't let use example examples "
        "part more less much few several two three four five six seven eight nine ten unlike like despite "
        "whether note: warning tip important may be would could should had verse verses section chapter "
        "figure table everything something nothing everyone someone anyone people's"
    )
)
_NOT_IN_SUBJECT = frozenset(
    listed(
        "that which who whom whose where when while if because although though since until unless but he she "
        "it they we you i him them us me there this these those then than so as not never also only to "
        "whether how why what following above below previous next former latter"
    )
)
_NOT_AT_END = frozenset(
    listed(
        "the a an of in on at by for with from to and or nor into onto over under between as its their his "
        "her very more most also often usually now still always never already even just both either such no "
        "any some every each all be been being not"
    )
)
_PREPOSITIONS = frozenset(
    listed(
        "by as at for in on from to with through of into under over against between among when if while because"
        " until where"
    )
)
_QUANTITIES = frozenset(
    listed("several many few two three four five all these those various different other more most of")
)
_PARTICIPLES = frozenset(
    listed("set not possible necessary needed given present true false run built invoked enabled done")
)
_LY_NOUNS = frozenset(listed("family assembly italy july monopoly supply reply ally fly anomaly butterfly jelly belly"))
_THEREFORE = re.compile(r"^(?:therefore|thus|then|however|instead|hence|consequently|accordingly|too|thereby) ")
_ODD_SIGN = re.compile(r"[?!\u2026=<>{}|\\\[\]@#*_~]|//")
_VAGUE = re.compile(
    r"^the (former|latter|following|above|next|other|same|rest|result|first|second|third|last|only|one)$", re.I
)
_ADVERBS = frozenset(
    listed(
        "also often usually now still always never already generally typically normally currently originally "
        "widely commonly first later formerly sometimes only probably mainly primarily largely thus "
        "therefore then officially"
    )
)
_DETERMINERS = frozenset(listed("the a an each every all most some many both no one two three"))
_CUT = re.compile(
    r"\s*(?:[;:]|\s[-\u2013\u2014]+\s|\u2014|,\s(?:which|who|whose|where|and|but|so|although|while|as|with|including|such"
    r"|because|when|or|then|though|since|however|making|leading|allowing|using|resulting|especially|particularly|not|even"
    r"|if|unless|until|after|before|rather|e\.g\.|i\.e\.|for|to|thus|although|causing|giving|creating|becoming|being)\b)"
)


@dataclass(frozen=True)
class Clause:
    """A statement taken apart: ``subject verb rest``.

    Attributes:
        subject: as it stands inside a sentence, so ``the Tower`` and not ``The Tower``.
        verb: an auxiliary or a main verb, as it stands.
        rest: everything after the verb up to the end of the clause, without the full stop.
        whole: ``rest`` before it was cut at the end of the clause.
    """

    subject: str
    verb: str
    rest: str
    whole: str

    @property
    def is_auxiliary(self) -> bool:
        """Whether the verb can precede the subject unchanged."""
        return self.verb in AUXILIARIES

    @property
    def front(self) -> str:
        """The word before the subject in a question: the auxiliary, or a form of *do*."""
        if self.is_auxiliary:
            return self.verb
        return "does" if self.verb in PRESENT and self.verb not in PAST else "did"

    @property
    def back(self) -> str:
        """The word after the subject in a question: the main verb's base, or nothing."""
        if self.is_auxiliary:
            return ""
        return PRESENT.get(self.verb) or PAST[self.verb]

    @property
    def inverts(self) -> bool:
        """Whether the clause can be turned round; *cannot* and the like cannot."""
        return self.verb != "cannot"


class Reader:
    """Takes sentences apart.

    Args:
        common: words that are written small (nouns, verbs, adjectives of a dictionary).
        verb_only: words that can be nothing but a verb; a subject with one inside is not a subject.
        adjectives, nouns: words that are so, whatever else they are.
    """

    def __init__(self, common: Set[str], verb_only: Set[str], adjectives: Set[str], nouns: Set[str]) -> None:
        self._common = common
        self._verb_only = verb_only
        self._adjectives = adjectives
        self._nouns = nouns

    def is_adjective(self, word: str) -> bool:
        """Whether a word is an adjective and not a verb form."""
        return word in self._adjectives and not word.endswith(("ing", "ed"))

    def is_thing(self, phrase: str) -> bool:
        """Whether a phrase of small words reads as adjectives and nouns, with a noun at the end."""
        *before, last = phrase.split()
        if last in PRESENT or last in PAST or last.endswith(("ing", "ed")):
            return False
        plain = all(word in self._adjectives or self._is_noun(word) for word in before)
        return plain and self._is_noun(last)

    def _is_noun(self, word: str) -> bool:
        singular = re.sub(r"ies$", "y", word) if word.endswith("ies") else re.sub(r"(?<=[sxzh])es$|s$", "", word)
        return word in self._nouns or singular in self._nouns

    def has_verb(self, text: str) -> bool:
        """Whether a verb stands where a clause has its verb: after the first words."""
        tokens = text.split()
        if tokens[0] in PAST or tokens[0] in _PARTICIPLES:
            return False
        return tokens[0] == "you" or any(self._is_verb(token) or token in DO for token in tokens[1:9])

    def clause(self, sentence: str, context: str) -> Clause | None:
        """The sentence as subject, verb and rest, or None if its grammar is not plain.

        Args:
            sentence: one sentence with its full stop.
            context: the passage around it, which shows how words are written in mid-sentence.
        """
        sentence = without_brackets(sentence)
        if not re.fullmatch(r"[A-Z].*[A-Za-z0-9%)\"]\.", sentence) or _ODD_SIGN.search(sentence):
            return None
        tokens = sentence[:-1].split()
        at = next((i for i in range(1, min(11, len(tokens) - 1)) if self._is_main_verb(tokens, i)), 0)
        if not at or not self._is_subject(tokens[:at]):
            return None
        whole = _THEREFORE.sub("", " ".join(tokens[at + 1 :]))
        rest = cut_clause(whole)
        if len(rest.split()) < 2 or rest.count(",") > 4 or self._breaks_off(rest):
            return None
        return Clause(self.lower_first(" ".join(tokens[:at]), context), tokens[at], rest, whole)

    def lower_first(self, text: str, context: str) -> str:
        """The text as it would stand in mid-sentence; names keep their capital."""
        first, _, others = text.partition(" ")
        if re.fullmatch(r"I|I['\u2019]\w+", first):
            return text
        if first.lower() in _DETERMINERS or first.lower() in _BAD_STARTS:
            return first.lower() + (" " + others if others else "")
        small = first[:1].lower() + first[1:]
        is_name = bool(re.search(rf"[a-z,;] {re.escape(first)}\b", context)) or not first[1:].islower()
        known = small in self._common or small.removesuffix("s") in self._common
        plain = known and not is_name and not re.match(r"[A-Z]", others)
        return (small if plain else first) + (" " + others if others else "")

    def _breaks_off(self, rest: str) -> bool:
        """Whether brackets or quotes stay open, or a relative clause was cut before its verb came."""
        if rest.count("(") != rest.count(")") or rest.count('"') % 2:
            return True
        behind = re.split(r"\b(?:where|which|who|that|when)\b", rest)[1:]
        return bool(behind) and not any(self._is_verb(token) or token in BASES for token in behind[-1].split())

    def _is_verb(self, token: str) -> bool:
        return token in AUXILIARIES or token in PRESENT or token in PAST

    def _is_main_verb(self, tokens: list[str], at: int) -> bool:
        """Whether the word is the verb; before another verb it is a noun, before a preposition often a participle."""
        word, after = tokens[at], tokens[at + 1]
        if not self._is_verb(word) or (word not in AUXILIARIES and self._is_verb(after)):
            return False
        if word in PRESENT and tokens[at - 1].lower() in _QUANTITIES:
            return False
        return not (word in PAST and after in _PREPOSITIONS and PAST[word] not in INTRANSITIVE)

    def _is_subject(self, tokens: list[str]) -> bool:
        small = [token.lower() for token in tokens]
        if _VAGUE.match(" ".join(small)) or any(word.endswith(("n't", "n\u2019t")) for word in small):
            return False
        if small[0] in _BAD_STARTS or small[-1] in _ADVERBS or small[-1] in _NOT_AT_END or _NOT_IN_SUBJECT & set(small):
            return False
        if small[-1].endswith("ly") and small[-1] not in _LY_NOUNS:
            return False
        if len(small) == 1 and tokens[0].istitle() and small[0] in self._adjectives:
            return False
        if re.search(r"(ly|ing)$", small[0]) and small[0] not in ("king", "family", "italy", "beijing", "july"):
            return False
        if any(
            re.search(r"[,;:\"\u201c\u201d.!?]$|^[\"\u201c(]", token)
            for token in tokens
            if not re.search(r"\b[A-Z]\.$", token)
        ):
            return False
        return not any(word in self._verb_only for word in small[1:])


def without_brackets(text: str) -> str:
    """The text without its remarks in brackets."""
    text = re.sub(r"\s*\([^()]*\)", "", text)
    return re.sub(r"\s+([,.;:])", r"\1", re.sub(r"\s+", " ", text)).strip()


def cut_clause(text: str) -> str:
    """The text up to the end of its first clause; the last ``, and`` of a list does not end one."""
    for cut in _CUT.finditer(text):
        ends_list = re.match(r",\s(?:and|or)\b", cut[0]) and "," in text[: cut.start()]
        if not ends_list:
            return text[: cut.start()].strip(" ,.")
    return text.strip(" ,.")


def reader_of(senses: Iterable[tuple[str, str]]) -> Reader:
    """A reader with the words of a dictionary's (word, part of speech) pairs."""
    parts: dict[str, set[str]] = {}
    for word, part in senses:
        if " " not in word:
            parts.setdefault(word, set()).add(part)
    only = {word for word, kinds in parts.items() if kinds == {"verb"} and len(word) > 3}
    forms = {form for word in only for form in (third_person(word), past(word))}
    verb_only = {form for form in only | forms if parts.get(form, {"verb"}) == {"verb"}}
    adjectives, nouns = ({word for word, kinds in parts.items() if kind in kinds} for kind in ("adjective", "noun"))
    return Reader(frozenset(parts), verb_only, adjectives, nouns)
