"""Languages, as far as search needs them: the language of a text, its stop words, and the stems of its words.

The language of a text is the one with most stop words in it; a script that belongs to one language identifies it. Stems
are Snowball's. English is not here: its words are handled in ``terms``. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, lru_cache

_SMALL_WORDS = {
    "german": """
        aber alle als also am an auch auf aus bei beim bin bis da damit dann das dass dem den denn der des die
        dies diese diesem diesen dieser dieses doch durch ein eine einem einen einer eines er es für gibt hat
        haben ich ihr ihre im in ist ja kann kein keine man mehr mit muss nach nicht noch nur ob oder ohne sein
        seine sich sie sind so soll über um und uns unter vom von vor wann warum was welche welchem welchen
        welcher welches wenn wer werden wie wird wo worden wurde wurden zu zum zur zwischen wieviel viel viele
        wem wen wessen wofür womit woher wohin""",
    "french": """
        à au aux avec ce ces cet cette comme comment dans de des du elle en est et être eux il ils je la le les
        leur lequel laquelle lesquels lui mais même ne nous on ont ou où par pas peut plus pour pourquoi qu
        quand que quel quelle quelles quels qui quoi sa sans se ses si son sont sur tous tout un une vers vous y
        combien été cela celui fait faut""",
    "spanish": """
        a al ante como cómo con cual cuál cuales cuáles cuando cuándo cuanta cuánta cuanto cuánto cuántos
        cuántas de del desde donde dónde el él ella en entre era es esa ese eso está están esta este esto ha han
        hasta hay la las le les lo los más me mi muy no nos o para pero por porque puede que qué quien quién
        quienes se según ser si sí sin sobre son su sus también te tiene todo un una uno unos y ya debe""",
    "italian": """
        a ad al alla alle allo ai agli anche che chi ci come con cosa cui da dal dalla dai dalle dei del della
        delle degli di dove e è ed era gli ha hanno i il in io la le lo loro ma nel nella nelle nei non o per
        perché però più può qual quale quali quando quanto quanta quanti quante se si sia sono su sul sulla sui
        un una uno""",
    "portuguese": """
        a à ao aos as às até com como da das de dela dele do dos e é ela ele em entre era essa esse esta está
        este foi há isso já mais mas me mesmo muito na não nas no nos o os ou para pela pelas pelo pelos pode
        por porque qual quais quando quanto quanta quantos quantas que quem são se sem ser seu seus sua suas
        também tem um uma onde""",
    "dutch": """
        aan al als bij dan dat de deze die dit door een en er geen had heb hebben heeft het hij hoe hoeveel iets
        ik in is ja kan maar meer men met moet naar niet nog nu of om onder ook op over te tot uit van veel voor
        waar waarom wanneer was wat we wel welke werd wie wij worden wordt ze zich zij zijn zo zonder zou""",
    "swedish": """
        alla att av bara blir då de den denna det detta dig din du där efter eller en ett finns för från ha har
        hur hon han i inte ja jag kan man med men mer mot mycket måste när något nu och om oss på samma sig sin
        som ska skulle så till under upp ut vad var varför vem vid vilka vilken vilket vi är över""",
    "english": """
        a an and are as at be been but by can could did do does for from had has have how if in into is it its
        may more not of on one only or other should so some such than that the their them then there these they
        this to was we were what when where which who why will with would you your""",
    "russian": """
        а без бы был была были было быть в вам вас во вот все всё вы где да для до его ее её если есть еще ещё
        же за и из или им их к как какая какие какой какого какую когда который которая которые кто ли мне может
        можно мы на над надо не нет но нужно о об он она они от по под при с со так также там то только тот у
        уже чего чем что чтобы эта эти это этот сколько зачем почему куда откуда каким какими каких""",
}
UNSTEMMED = frozenset({"german"})
"""Languages for which search works better without stems. Measured: docs/log.md (languages)."""
_LATIN = tuple(name for name in _SMALL_WORDS if name != "russian")
_CLEAR = 1.3  # times as many stop words as of English, from which a text counts as another language


@cache
def small_words(language: str) -> frozenset[str]:
    """The stop words of a language, which are too frequent to be searched for."""
    return frozenset(_SMALL_WORDS.get(language, "").split())


def language_of(words: Iterable[str]) -> str:
    """The language (in Latin script, other than English) of a text's lower-case words; "" for English or none.

    A stop word that two languages share counts for both.
    """
    counts = dict.fromkeys(_LATIN, 0)
    for word in set(words):  # a letter or a column's "no" said often is no sign of a language
        for language in _owners().get(word, ()):
            counts[language] += 1
    best = max(_LATIN, key=lambda name: counts[name])
    return "" if best == "english" or counts[best] < 2 or counts[best] < _CLEAR * counts["english"] else best


@cache
def _owners() -> dict[str, tuple[str, ...]]:
    """small word -> the languages that have it."""
    owners: dict[str, list[str]] = {}
    for language in _LATIN:
        for word in small_words(language):
            owners.setdefault(word, []).append(language)
    return {word: tuple(names) for word, names in owners.items()}


@lru_cache(maxsize=1 << 16)
def stem(word: str, language: str) -> str:
    """The stem of a lower-case word."""
    stemmed: str = _stemmer(language).stemWord(word)
    return stemmed


@cache
def _stemmer(language: str):  # type: ignore[no-untyped-def]
    import snowballstemmer

    return snowballstemmer.stemmer(language)
