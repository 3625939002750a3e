"""Text to paragraphs, paragraphs to sentences, and which of them are running English prose."""

from __future__ import annotations

import re

from sharedllm_docs_data.wordlists import listed

STOPWORDS = frozenset(
    listed(
        "the of and to a in is that for it as was with be by on not he his this are or at from but have an "
        "had they which you were her all she there would their we him been has when who will more no if out "
        "so said what up its about than into them can only other new some could time these two may then do "
        "first any my now such like our over man me even most made after also did many before must through "
        "back years where much your way well down should because each just those people how too little state "
        "good very make world still own see men work long get here between both life being under never day "
        "same another know while last might us great old year off come since against go came right used take "
        "three use does"
    )
)
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|Gen|Col|Capt|Lt|Sgt|Rev|Hon|Sen|Rep|Gov|Jr|Sr|vs|etc|e\.g|i\.e|cf|al|approx|ca|c|No|no"
    r"|Vol|vol|pp|p|Fig|fig|Sec|sec|Ch|ch|Ed|ed|Inc|Ltd|Co|Corp|Dept|Est|est|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Sept|Oct"
    r"|Nov|Dec|U\.S|U\.K|U\.N|D\.C|B\.C|A\.D|a\.m|p\.m|lit|viz|resp|incl)|\b[A-Z])\.$"
)
_SENTENCE_END = re.compile(r"[.!?][\"')\]\u201d\u2019]*\s+(?=[\"'(\[\u201c\u2018]?[A-Z0-9])")
_WORD = re.compile(r"[A-Za-z]+(?:['\u2019-][A-Za-z]+)*")


def words(text: str) -> list[str]:
    """The alphabetic words of a text, in order."""
    return _WORD.findall(text)


def is_english(text: str) -> bool:
    """Whether a document reads as English text and not as tables, code or another language."""
    found = words(text)
    if len(found) < 15:
        return False
    letters = sum(map(len, found))
    common = sum(word.lower() in STOPWORDS for word in found)
    return letters / max(1, len(re.sub(r"\s+", "", text))) >= 0.55 and common / len(found) >= 0.12


def paragraphs(text: str) -> list[str]:
    """Blocks between empty lines, each unwrapped to one line; code and tables keep their lines."""
    found = []
    for block in re.split(r"\n[ \t]*\n", text):
        block = block.strip("\n")
        if block.strip():
            found.append(block if _is_laid_out(block) else re.sub(r"\s+", " ", block).strip())
    return found


def _is_laid_out(block: str) -> bool:
    lines = block.split("\n")
    if len(lines) == 1:
        return False
    ends = sum(line.rstrip().endswith((";", "{", "}", "|", "\\")) for line in lines)
    gaps = sum(bool(re.search(r"\S {3,}\S", line)) for line in lines)
    return ends + gaps > len(lines) / 3


def is_prose(paragraph: str) -> bool:
    """Whether a paragraph is one or more whole sentences in plain words."""
    if len(paragraph) < 60 or "\n" in paragraph or not re.search(r"[.!?:][\"')\]\u201d\u2019]*$", paragraph):
        return False
    if not re.match(r"[\"'(\u201c\u2018]?[A-Z0-9]", paragraph):
        return False
    found = words(paragraph)
    if len(found) < 10 or sum(word.lower() in STOPWORDS for word in found) / len(found) < 0.2:
        return False
    odd = len(re.findall(r"[^\w\s.,;:'\"()!?\u2019\u2018\u201c\u201d\u2013\u2014/%-]", paragraph))
    return odd / len(paragraph) < 0.02 and sum(map(len, found)) / len(paragraph) > 0.68


def sentences(paragraph: str) -> list[str]:
    """The sentences of an unwrapped paragraph; abbreviations and initials do not end one."""
    found, start = [], 0
    for end in _SENTENCE_END.finditer(paragraph):
        head = paragraph[start : end.end()].strip()
        stop = paragraph[start : end.start() + 1]
        if _ABBREVIATION.search(stop) or head.count("(") > head.count(")"):
            continue
        found.append(head)
        start = end.end()
    tail = paragraph[start:].strip()
    return [*found, tail] if tail else found
