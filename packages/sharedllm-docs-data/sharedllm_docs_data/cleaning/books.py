"""Cleaners for files with a form of their own: SWORD modules, dictionaries, WordNet, encyclopedia summaries, plays."""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from html import unescape
from itertools import groupby

from sharedllm_docs_data.cleaning.pages import Doc, Members, decode, tidy

_SWORD_ENTRY = struct.Struct("<III")
_DICT_DIGITS = {digit: i for i, digit in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")}
_GUTENBERG_END = re.compile(r"^(\*\*\*\s*END|End of (The |the )?Project Gutenberg|THE END\s*$)", re.MULTILINE)


def clean_sword(members: Members) -> Iterator[Doc]:
    """A compressed SWORD module: every block (a book or a chapter) is a document."""
    files = dict(members)
    for index in sorted(name for name in files if name.endswith(("zs",))):
        blocks, data = files[index], files[index[:-1] + "z"]
        for at in range(0, len(blocks) - len(blocks) % _SWORD_ENTRY.size, _SWORD_ENTRY.size):
            offset, size, _ = _SWORD_ENTRY.unpack_from(blocks, at)
            markup = decode(zlib.decompress(data[offset : offset + size]))
            title, text = _osis(markup)
            if text:
                yield Doc(f"{index}#{at // _SWORD_ENTRY.size}", title, text)


def _osis(markup: str) -> tuple[str, str]:
    where = re.search(r'osisID="([\w.]+)"', markup)
    title = re.search(r'<title type="(?:main|x-ms|x-s|x-mt\w*)"[^>]*>(.*?)</title>', markup)
    markup = re.sub(r"<note\b.*?</note>", "", markup, flags=re.DOTALL)
    markup = re.sub(r'<chapter n="(\d+)"[^>]*sID[^>]*/>', r"\n\nChapter \1\n\n", markup)
    markup = re.sub(
        r'<(?:div|l|lg|p|q|title|list|item)\b[^>]*(?:sID|eID|type="x-p")?[^>]*/?>|</(?:title|p|l|item)>', "\n\n", markup
    )
    text = re.sub(r"[ \t]+", " ", unescape(re.sub(r"<[^>]+>", "", markup)))
    text = "\n\n".join(line.strip() for line in text.splitlines() if line.strip())
    shown = re.sub(r"<[^>]+>", "", title[1]).strip() if title else ""
    return shown or (where[1] if where else ""), text


def dictionary_entries(members: Members) -> Iterator[tuple[str, str]]:
    """Headword and body of every entry of a dictd dictionary, in the order of the file."""
    files = {name.rpartition(".")[2]: data for name, data in members}
    text = files["dict"]
    seen: set[int] = set()
    found: list[tuple[int, int, str]] = []
    for line in decode(files["index"]).splitlines():
        word, offset, size = [*line.split("\t"), "", ""][:3]
        if offset and not word.startswith("00") and _base64(offset) not in seen:
            seen.add(_base64(offset))
            found.append((_base64(offset), _base64(size), word))
    for start, length, word in sorted(found):
        yield word, decode(text[start : start + length]).strip()


def _base64(digits: str) -> int:
    value = 0
    for digit in digits:
        value = value * 64 + _DICT_DIGITS[digit]
    return value


def plain_entry(body: str) -> str:
    """An entry without the marks that dictionaries put around sources, links and sounds."""
    # The dictionary of English prints the next headword after the source of some entries.
    body = re.sub(r"(\[[^\]\n]*(?:Webster|WordNet|PJC|Suppl|Century)[^\]\n]*\]) [A-Z][^\n]{0,60}\Z", r"\1", body)
    body = re.sub(r"\s*\[(?:19\d\d|20\d\d)[^\]\n]*\]", "", body)
    body = re.sub(r"\s*\[(?:PJC|WordNet[^\]]*|Century[^\]]*|Webster[^\]]*|GG|AS|RP|Century)\]", "", body)
    body = re.sub(r"\\([^\\\n]+)\\", "", body)
    body = re.sub(r"\s\(\S*(?:\[[^\]\n]*\]|\^|\")\S*\)", "", body)
    body = re.sub(r"\{([^{}]*)\}", r"\1", body)
    body = re.sub(r"--(?=[A-Z])", "— ", body)
    return re.sub(r"[ ]+,", ",", re.sub(r"(?<=\S)[ ]{2,}", " ", body))


def dictionary(kept: Callable[[str, str], bool] = lambda word, body: True) -> Callable[[Members], Iterator[Doc]]:
    """A cleaner that makes one document of all headwords which share their first two letters."""

    def clean(members: Members) -> Iterator[Doc]:
        entries = [(word, plain_entry(body)) for word, body in dictionary_entries(members) if kept(word, body)]
        yield from _by_letters([(word, body) for word, body in entries if body])

    return clean


def _by_letters(entries: list[tuple[str, str]]) -> Iterator[Doc]:
    def letters(entry: tuple[str, str]) -> str:
        return re.sub(r"[^a-z0-9]", "", entry[0].lower())[:2] or "other"

    for key, group in groupby(sorted(entries, key=lambda entry: (letters(entry), entry[0].lower())), key=letters):
        together = list(group)
        title = f"{together[0][0]} to {together[-1][0]}"
        yield Doc(key, title, tidy("\n\n".join(body for _, body in together)))


def wordnet_senses(members: Members) -> Iterator[tuple[str, str, str]]:
    """Lemma, part of speech and gloss of every sense."""
    spoken = {"noun": "noun", "verb": "verb", "adj": "adjective", "adv": "adverb"}
    for name, data in members:
        part = spoken[name.rpartition(".")[2]]
        for line in decode(data).splitlines():
            if line.startswith(" "):
                continue
            fields, _, gloss = line.partition(" | ")
            words = fields.split(" ")
            lemmas = words[4 : 4 + 2 * int(words[3], 16) : 2]
            for lemma in lemmas:
                yield re.sub(r"\((?:a|p|ip)\)$", "", lemma).replace("_", " "), part, gloss.strip()


def clean_wordnet(members: Members) -> Iterator[Doc]:
    """WordNet as a dictionary: the senses of a lemma in one paragraph."""
    senses: dict[str, list[str]] = {}
    for lemma, part, gloss in wordnet_senses(members):
        senses.setdefault(lemma, []).append(f"({part}) {gloss}")
    entries = [(lemma, f"{lemma}: " + " ".join(glosses)) for lemma, glosses in senses.items()]
    yield from _by_letters(entries)


def clean_summaries(members: Members) -> Iterator[Doc]:
    """Encyclopedia summaries: one document an article."""
    for _, data in members:
        for title, article in sorted(json.loads(decode(data)).items()):
            yield Doc(re.sub(r"\s", "_", title), title, tidy(article["extract"]))


def clean_play(text: str) -> tuple[str, str]:
    """A text of Project Gutenberg without its licence before and after."""
    start = max(
        (
            match.end()
            for match in re.finditer(
                r"^\*+\s*(?:START|END)[^\n]*(?:ETEXT|EBOOK|SMALL PRINT)[^\n]*\*.*$"
                r"|^\*END\*?THE SMALL PRINT.*$",
                text[: len(text) // 2],
                re.MULTILINE,
            )
        ),
        default=0,
    )
    body = text[start:]
    ending = _GUTENBERG_END.search(body, len(body) // 2)
    body = body[: ending.start()] if ending else body
    title = next((line.strip() for line in body.splitlines() if len(line.strip()) > 3), "")
    return title[:120], re.sub(r"^\[?\*?Project Gutenberg.*$", "", body, flags=re.MULTILINE)
