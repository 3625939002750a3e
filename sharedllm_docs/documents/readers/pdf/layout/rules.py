"""Drawn lines, put together: pieces of one line joined, and groups of lines that touch or cross."""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sharedllm_docs.documents.readers.pdf.layout.boxes import Box, Rule

_SAME, _JOIN, _TOUCH = 2.2, 4.0, 3.5  # points: across a line, along it, between lines that meet
MAX_RULES = 3_000
"""A page with more is a drawing."""


def joined(rules: Iterable[Rule]) -> list[Rule]:
    """Rules of one direction and place that overlap or nearly touch, as one."""
    found: list[Rule] = []
    for level in (True, False):
        lanes: list[list[Rule]] = []
        for rule in sorted((one for one in rules if one.level is level), key=lambda one: one.place):
            if lanes and rule.place - lanes[-1][0].place <= _SAME:
                lanes[-1].append(rule)
            else:
                lanes.append([rule])
        for lane in lanes:
            found.extend(_joined_lane(level, lane))
    return found


def _joined_lane(level: bool, lane: Sequence[Rule]) -> Iterable[Rule]:
    ordered = sorted(lane, key=lambda one: one.start)
    current = [ordered[0]]
    end = ordered[0].end
    for rule in ordered[1:]:
        if rule.start <= end + _JOIN:
            current.append(rule)
            end = max(end, rule.end)
        else:
            yield Rule(level, sum(r.place for r in current) / len(current), current[0].start, end)
            current, end = [rule], rule.end
    yield Rule(level, sum(r.place for r in current) / len(current), current[0].start, end)


@dataclass(frozen=True)
class Lattice:
    """Rules that meet each other.

    Attributes:
        box: around them.
        across: the level ones.
        down: the upright ones.
    """

    box: Box
    across: tuple[Rule, ...]
    down: tuple[Rule, ...]


def lattices(rules: Sequence[Rule]) -> list[Lattice]:
    """Groups of rules that touch, of which at least two run across and one down."""
    if len(rules) > MAX_RULES:
        return []
    across = [rule for rule in rules if rule.level]
    down = [rule for rule in rules if not rule.level]
    found = []
    for members in _touching(across, down):
        level = tuple(across[number] for number in members if number < len(across))
        upright = tuple(down[number - len(across)] for number in members if number >= len(across))
        if len(level) >= 2 and upright:
            box = Box(
                min(rule.start for rule in level),
                min(rule.place for rule in level),
                max(rule.end for rule in level),
                max(rule.place for rule in level),
            )
            found.append(Lattice(box, level, upright))
    return found


def _touching(across: Sequence[Rule], down: Sequence[Rule]) -> list[list[int]]:
    """Groups of rules that touch, by their numbers: those across first, then those down (union-find)."""
    parent = list(range(len(across) + len(down)))

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    by_y = sorted(range(len(across)), key=lambda number: across[number].place)
    places = [across[number].place for number in by_y]
    for number, rule in enumerate(down):
        low = bisect.bisect_left(places, rule.start - _TOUCH)
        high = bisect.bisect_right(places, rule.end + _TOUCH)
        for position in by_y[low:high]:
            if across[position].start - _TOUCH <= rule.place <= across[position].end + _TOUCH:
                parent[root(len(across) + number)] = root(position)
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for number in range(len(parent)):
        groups[root(number)].append(number)
    return list(groups.values())
