"""English verbs: auxiliaries, and main verbs with their third person and past."""

from __future__ import annotations

import re

from sharedllm_docs_data.wordlists import listed

BE = frozenset(("is", "are", "was", "were"))
AUXILIARIES = BE | frozenset(listed("can could will would may might must should has have had cannot"))
DO = frozenset(("do", "does", "did"))
MODALS = AUXILIARIES - BE - frozenset(("has", "have", "had"))

# Verbs whose third person and past are seldom anything else than a verb, or that stand out as one behind a subject.
_REGULAR = listed(
    "accept achieve act add adopt affect allow announce apply appoint approve argue arrive ask assign assume "
    "attack attend attempt avoid believe belong call carry cause change check cite claim close collect "
    "combine compare compete complete compose compute conclude conduct confirm connect conquer consider "
    "consist constitute contain continue control convert copy cover create criticize cross declare define "
    "defeat deliver demand demonstrate denote depend derive describe design destroy determine develop die "
    "differ direct disable discover display divide earn edit elect emerge employ enable encourage enforce "
    "ensure enter establish estimate evaluate evolve examine exclude execute exist expand explain explore "
    "export express extend fail feature file finish fix focus follow force form found function generate "
    "govern graduate guarantee handle happen help host identify ignore illustrate implement import improve "
    "include increase indicate influence inform inherit initialize insert inspire install introduce invade "
    "invent invoke involve issue join kill lack last launch list listen live load locate maintain manage "
    "mark marry measure mention merge modify monitor move name need note obtain occur offer open operate "
    "order organize originate own pass perform permit play play point possess prefer prepare present "
    "preserve prevent print process produce prohibit promise promote propose protect prove provide publish "
    "raise rank reach receive recommend record reduce refer reflect refuse reject relate release rely remain "
    "remove rename replace report represent require resemble reside resolve restore restrict result retain "
    "return reveal rule satisfy save search serve share sign specify start state store study succeed suggest "
    "supply support surround test threaten trace train transfer translate treat turn unite update use "
    "validate vary visit vote wait want warn watch wish work yield"
)
_IRREGULAR = dict(
    pair.split(":")
    for pair in listed(
        "become:became begin:began bring:brought build:built buy:bought choose:chose come:came draw:drew "
        "fall:fell fight:fought find:found fly:flew forbid:forbade get:got give:gave go:went grow:grew hold:held "
        "keep:kept know:knew lead:led leave:left lie:lay lose:lost make:made mean:meant meet:met pay:paid "
        "rise:rose run:ran see:saw sell:sold send:sent show:showed sing:sang sit:sat speak:spoke spend:spent "
        "stand:stood take:took teach:taught tell:told think:thought throw:threw understand:understood win:won "
        "write:wrote"
    )
)
# Verbs that stand without an object, so that *by*, *as*, *at* or *for* after them does not make a participle of them.
INTRANSITIVE = frozenset(
    listed(
        "act arrive attend begin belong come consist continue depend die differ emerge evolve exist fall fight go"
        " graduate grow happen join lead live lie look move occur originate pay play point refer rely remain reside"
        " result return rise run serve sit speak stand start stay succeed turn vote wait win work"
    )
)


def third_person(base: str) -> str:
    """``carry`` to ``carries``."""
    if re.search(r"[^aeiou]y$", base):
        return base[:-1] + "ies"
    return base + ("es" if re.search(r"(s|x|z|ch|sh|o)$", base) else "s")


def past(base: str) -> str:
    """``carry`` to ``carried``, ``write`` to ``wrote``."""
    if base in _IRREGULAR:
        return _IRREGULAR[base]
    if base.endswith("e"):
        return base + "d"
    if re.search(r"[^aeiou]y$", base):
        return base[:-1] + "ied"
    doubled = base in {"control", "refer", "permit", "transfer", "occur", "plan", "stop"}
    return base + (base[-1] if doubled else "") + "ed"


PRESENT = {third_person(base): base for base in [*_REGULAR, *_IRREGULAR]}
PAST = {past(base): base for base in [*_REGULAR, *_IRREGULAR]}
BASES = frozenset(
    [*_REGULAR, *_IRREGULAR, "be", "set", "put", "read", "let", "cut", "hit", "stop", "try", "look", "click"]
)
