"""Patterns of dates, names, numbers and sentences that questions are made of."""

from __future__ import annotations

import re

from sharedllm_docs_data.wordlists import listed

MONTH = r"(?:January|February|March|April|May|June|July|August|September|October|November|December)"
YEAR = r"(?:1[0-9]{3}|20[0-4][0-9])"
DATE = (
    rf"(?:(?:early |late |mid-)?{YEAR}(?: ?(?:BC|BCE|AD|CE))?|{MONTH}(?: \d{{1,2}},?)?(?: {YEAR})|\d{{1,2}} {MONTH}"
    rf" {YEAR}|the (?:early |late |mid-)?(?:{YEAR}s|\d{{1,2}}(?:st|nd|rd|th) century(?: BC)?))"
)
WHEN_END = re.compile(rf"^(.*?),? (?:in|on|during) ({DATE})$")
WHEN_START = re.compile(rf"^(?:In|On|During) ({DATE}),? (.*)$")
_CAPITALISED = r"[A-Z][\w\u00c0-\u024f.'-]*"
NAME = rf"{_CAPITALISED}(?: (?:of|the|and|de|du|la|von|van|del) {_CAPITALISED}| {_CAPITALISED})*"
PLACE_END = re.compile(rf"^(.*?) (?:in|at|near) ((?:the )?{NAME}(?:, {NAME})?)$")
PLACED = re.compile(
    r"^(located|situated|born|held|built|found|based|founded|spoken|buried|raised|educated|produced|made|fought"
    r"|filmed|discovered|signed|established|headquartered|performed|published|celebrated|crowned|killed)\b"
)
NOT_PLACE = re.compile(
    rf"^(?:the )?(?:Section|Chapter|Table|Figure|Appendix|English|French|Latin|Greek|German|{MONTH})\b"
)
AGENT_END = re.compile(
    r"^(\w+(?:ed|en|wn|ught|und|ade|ilt|ft|ung|id|ne|old)\b.*?) by ((?:(?:the|a|an) )?(?:[\w\u00c0-\u024f.'-]+ ){0,5}"
    r"[\w\u00c0-\u024f.'-]+)$"
)
NUMBER = (
    r"(?:about |around |approximately |nearly |over |more than |at least |up to |exactly |only )?"
    r"(?:\d[\d,.]*(?: (?:million|billion|thousand))?|two|three|four|five|six|seven|eight|nine|ten|eleven"
    r"|twelve|twenty|fifty)(?: hundred| thousand| million)?"
)
COUNTED = re.compile(
    rf"^({NUMBER}) ((?:(?!of\b|and\b|or\b|in\b)[a-z-]+ ){{0,2}}[a-z-]+s|people|men|women|children)\b(?: (.*))?$"
)
THERE = re.compile(rf"^There (are|were) ({NUMBER}) ((?:(?!of\b|and\b|or\b)[a-z-]+ ){{0,2}}[a-z-]+s|people)\b ?(.*)\.$")
NOUN_START = re.compile(
    r"^(?:(?:the|a|an|its|their|his|her|some|several|many|two|three|all|any|both|each|new|more|less)\s|[A-Z])"
)
CONDITION = re.compile(r"^(If|When|Unless) (.{12,110}?), (?:then )?(.{12,200})\.$")
HOWTO = re.compile(
    r"^(?:To|In order to) (.{10,100}?), (?:you (?:can|should|must|need to|have to) |simply |just |first )?"
    r"(.{10,200})\.$"
)
EXAMPLES = re.compile(
    r"\b((?:[a-z-]+ )?[a-z]{3,}s),? such as ((?:[^.;:()]{3,90}?))(?=\.$|, (?:which|that|but|and (?:is|are|was|can))|;)"
)
LONG_SHORT = re.compile(r"\b((?:[A-Z][a-z]+[ -](?:of |and |for |the |to |in )?){1,5}[A-Z][a-z]+) \(([A-Z]{2,6})\)")
PRONOUNS = re.compile(
    r"\b(he|she|it|they|him|her|his|its|their|them|this|these|those|there|here|that one|the former|the latter)\b", re.I
)
LOOK = frozenset(listed("see consider let recall suppose imagine note let's refer"))
VAGUE_WORDS = frozenset(
    listed("about many several some few certain various different other such much more most all any")
)
LOOSE_END = re.compile(
    r"\b(for|as|of|in|on|to|by|with|and|or|the|a|however|example|is|are|was|too|well|only)$"
    r"|for example| and (is|are|was)\b"
)
NO_OBJECT = frozenset(listed("call make name keep get find leave consider become know think belong see tell mean"))
OCCUPATION = (
    r"(?:politician|writer|novelist|poet|author|playwright|journalist|king|queen|emperor|empress|prince|princess|pharaoh"
    r"|sultan|caliph|pope|saint|monk|prophet|theologian|philosopher|physicist|chemist|biologist|mathematician|astronomer"
    r"|scientist|engineer|inventor|physician|psychologist|economist|historian|composer|singer|songwriter|musician|pianist"
    r"|rapper|actor|actress|filmmaker|director|dancer|painter|sculptor|artist|architect|photographer|general|soldier|admiral"
    r"|statesman|explorer|navigator|conqueror|revolutionary|activist|lawyer|jurist|businessman|industrialist|entrepreneur"
    r"|footballer|cricketer|boxer|swimmer|sprinter|player|wrestler|racer|coach|president|leader|deity|god|goddess|scholar"
    r"|hero|apostle|ruler|nun|nurse|aviator|astronaut|cosmonaut|comedian|animator|programmer|anthropologist|sociologist)"
)


def is_plain(text: str) -> bool:
    return not re.search(r"[;:?!=<>{}|\\\[\]\"\u201c\u201d()]", text)


def is_unbalanced(text: str) -> bool:
    return (
        text.count('"') % 2 == 1 or text.count("(") != text.count(")") or text.count("\u201c") != text.count("\u201d")
    )
