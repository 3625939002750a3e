"""Events in calendar data (iCalendar, RFC 5545), as mail programs show an invitation."""

from __future__ import annotations

import re
from collections.abc import Iterator

_LINE = re.compile(r"(?P<name>[A-Za-z-]+)(?P<said>(?:;(?:\"[^\"]*\"|[^\":;])*)*):(?P<value>.*)", re.DOTALL)
_NAMED = re.compile(r";CN=(?:\"([^\"]*)\"|([^;:]*))", re.IGNORECASE)
_ZONE = re.compile(r";TZID=\"?([^;:\"]*)", re.IGNORECASE)
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)\d\d(Z?))?\Z")
_ESCAPED = re.compile(r"\\([\\;,nN])")
_SHOWN = {
    "SUMMARY": "Event",
    "DTSTART": "Starts",
    "DTEND": "Ends",
    "DUE": "Due",
    "DURATION": "Lasts",
    "RRULE": "Repeats",
    "LOCATION": "Place",
    "ORGANIZER": "Organizer",
    "ATTENDEE": "Attendee",
    "STATUS": "Status",
    "DESCRIPTION": "Description",
}
_MOST_EVENTS = 100
_MOST_LINES = 400  # of an event


def events(text: str) -> Iterator[list[str]]:
    """The lines of each event or task: what it is, when, how often, where, with whom.

    Args:
        text: of a calendar file; other text gives nothing.
    """
    inside: list[str] = []  # the open components
    found: dict[str, list[str]] = {}
    count = 0
    for line in re.sub(r"\r?\n[ \t]", "", text).splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        name, value = match["name"].upper(), match["value"].strip()
        if name == "BEGIN":
            inside.append(value.upper())
            found = {} if value.upper() in ("VEVENT", "VTODO") else found
        elif name == "END" and inside:
            if inside.pop() in ("VEVENT", "VTODO") and count < _MOST_EVENTS:
                count += 1
                yield _lines(found)
        elif inside[-1:] in (["VEVENT"], ["VTODO"]) and name in _SHOWN:
            shown = _shown(name, match["said"], value)
            if shown:
                found.setdefault(name, []).append(shown)


def _lines(found: dict[str, list[str]]) -> list[str]:
    lines = [f"{label}: {value}" for name, label in _SHOWN.items() for value in found.get(name, ())]
    return [part for line in lines for part in line.split("\n")][:_MOST_LINES]


def _shown(name: str, said: str, value: str) -> str:
    """A property in readable form."""
    if name in ("ORGANIZER", "ATTENDEE"):
        person = _NAMED.search(said)
        address = re.sub(r"(?i)\Amailto:", "", value)
        shown = (person[1] or person[2] or "") if person else ""
        return f"{shown} <{address}>" if shown and shown != address else address
    if name == "RRULE":
        return _repeated(dict(part.partition("=")[::2] for part in value.upper().split(";")))
    time = _TIME.match(value)
    if time is not None:
        zone = _ZONE.search(said)
        clock = f" {time[4]}:{time[5]}" + (" UTC" if time[6] else f" ({zone[1]})" if zone else "") if time[4] else ""
        return f"{time[1]}-{time[2]}-{time[3]}{clock}"
    return _ESCAPED.sub(lambda match: "\n" if match[1] in "nN" else match[1], value).strip()


def _repeated(rule: dict[str, str]) -> str:
    """``weekly, every 2, on MO TU, 4 times, until 2024-06-30``."""
    said = [rule.get("FREQ", "").lower()]
    said += [f"every {rule['INTERVAL']}"] if rule.get("INTERVAL", "1") != "1" else []
    said += [f"on {rule['BYDAY'].replace(',', ' ')}"] if rule.get("BYDAY") else []
    said += [f"{rule['COUNT']} times"] if rule.get("COUNT") else []
    said += [f"until {_shown('UNTIL', '', rule['UNTIL'])}"] if rule.get("UNTIL") else []
    return ", ".join(filter(None, said))
