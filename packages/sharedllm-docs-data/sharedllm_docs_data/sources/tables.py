"""Open tables from packages: countries, airports, languages, elements, units, packages and more, as plain records."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sharedllm_docs_data.archives import members
from sharedllm_docs_data.cleaning.books import dictionary_entries
from sharedllm_docs_data.cleaning.pages import decode
from sharedllm_docs_data.fetch import APT_INDEX, Package

ISO_CODES, TZDATA, KGEOGRAPHY, ELEMENTS, UNITS = map(
    Package, ("iso-codes", "tzdata", "kgeography-data", "dict-elements", "units")
)
MISCFILES = Package("miscfiles")
APT_AVAILABLE = Package("available", APT_INDEX)
Find = Callable[[Package], Path]

_DISCOVERED = re.compile(r"(?:[Dd]iscovered|[Ii]solated)\b(?:[^.]|\b[A-Z]\.)*?\bin (1[5-9]\d\d|20\d\d)")
_CATEGORIES = {
    "Lu": "uppercase letter",
    "Ll": "lowercase letter",
    "Lo": "other letter",
    "Nd": "decimal digit",
    "Sm": "math symbol",
    "Sc": "currency symbol",
    "So": "other symbol",
    "Po": "other punctuation",
}


@dataclass(frozen=True)
class Record:
    """One row of a table: what it is about, and its values by attribute."""

    name: str
    values: Mapping[str, str] = field(default_factory=dict)


def load_tables(find: Find) -> dict[str, list[Record]]:
    """All tables by name, each sorted by its records' names, without empty records.

    Args:
        find: gives the path of a package's file.
    """
    loaders: dict[str, Callable[[Find], Iterator[Record]]] = {
        "country": _countries,
        "currency": _currencies,
        "language": _languages,
        "division": _divisions,
        "script": _scripts,
        "airport": _airports,
        "place": _places,
        "area": _areas,
        "state": _states,
        "element": _elements,
        "zone": _zones,
        "region": _regions,
        "character": _characters,
        "unit": _units,
        "package": _packages,
    }
    tables = {}
    for name, load in loaders.items():
        unique = {record.name: record for record in load(find) if record.values and len(record.name) > 1}
        tables[name] = [unique[key] for key in sorted(unique)]
    return tables


def _misc(find: Find, name: str) -> list[list[str]]:
    (_, data), *_ = members(find(MISCFILES), rf".*/{re.escape(name)}")
    return [line.split(":") for line in decode(data).splitlines() if line and not line.startswith("#")]


def _iso(find: Find, number: str) -> list[dict[str, str]]:
    (_, data), *_ = members(find(ISO_CODES), rf".*/json/iso_{re.escape(number)}\.json")
    entries: list[dict[str, str]] = json.loads(data)[number]
    return entries


def _kept(**values: str | None) -> dict[str, str]:
    return {key: value.strip() for key, value in values.items() if value and value.strip()}


def _country_names(find: Find) -> dict[str, str]:
    return {
        entry["alpha_2"]: entry.get("common_name", entry["name"]).partition(",")[0] for entry in _iso(find, "3166-1")
    }


def _countries(find: Find) -> Iterator[Record]:
    capitals = {
        row[1]: row[4] for row in _misc(find, "countries") if len(row) > 4 and "," not in row[4] and "(" not in row[4]
    }
    dialling = {row[1]: row[0] for row in _misc(find, "inter.phone") if len(row) == 2 and row[0].isdigit()}
    for entry in _iso(find, "3166-1"):
        name = entry.get("common_name", entry["name"])
        yield Record(
            name.partition(",")[0],
            _kept(
                capital=capitals.get(entry["alpha_2"]),
                alpha2=entry["alpha_2"],
                alpha3=entry["alpha_3"],
                number=entry["numeric"],
                official=entry.get("official_name"),
                dial=dialling.get(entry["name"]),
                domain="." + entry["alpha_2"].lower(),
            ),
        )


def _currencies(find: Find) -> Iterator[Record]:
    for entry in _iso(find, "4217"):
        yield Record(entry["name"], _kept(code=entry["alpha_3"], number=entry.get("numeric")))


def _languages(find: Find) -> Iterator[Record]:
    kinds = {"L": "living", "E": "extinct", "A": "ancient", "H": "historical", "C": "constructed"}
    for entry in _iso(find, "639-3"):
        if re.fullmatch(r"[A-Z][\w' -]+", entry["name"]):
            yield Record(
                entry["name"], _kept(code=entry["alpha_3"], short=entry.get("alpha_2"), kind=kinds.get(entry["type"]))
            )


def _divisions(find: Find) -> Iterator[Record]:
    countries = _country_names(find)
    for entry in _iso(find, "3166-2"):
        name = re.sub(r"\s*[\[(].*", "", entry["name"])
        yield Record(
            name, _kept(code=entry["code"], kind=entry["type"].lower(), country=countries.get(entry["code"][:2]))
        )


def _scripts(find: Find) -> Iterator[Record]:
    for entry in _iso(find, "15924"):
        name = re.sub(r"\s*\(.*", "", entry["name"])
        if "reserved" not in name.lower():
            yield Record(name, _kept(code=entry["alpha_4"], number=entry.get("numeric")))


def _airports(find: Find) -> Iterator[Record]:
    countries = _country_names(find)
    for row in _misc(find, "airport"):
        if len(row) == 5 and row[1]:
            yield Record(
                f"{row[1]} Airport" if "Airport" not in row[1] else row[1],
                _kept(code=row[0], city=row[4].partition(",")[0], country=countries.get(row[2])),
            )


def _places(find: Find) -> Iterator[Record]:
    (_, data), *_ = members(find(MISCFILES), r".*/cities\.dat")
    countries = _country_names(find)
    for block in decode(data).split("//\n"):
        entry = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in block.splitlines())}
        country = countries.get(entry.get("Country", ""), entry.get("Country", ""))
        if entry.get("Name") and entry.get("Latitude"):
            height = entry.get("Elevation", "")
            yield Record(
                entry["Name"],
                _kept(
                    kind=entry["Type"].lower(),
                    country=country if len(country) > 2 else "",
                    longitude=_degrees(entry["Longitude"], "E", "W"),
                    latitude=_degrees(entry["Latitude"], "N", "S"),
                    elevation=f"{height} m" if height else "",
                ),
            )


def _degrees(value: str, positive: str, negative: str) -> str:
    number = float(value)
    return f"{abs(number):.2f}\u00b0 {positive if number >= 0 else negative}"


def _areas(find: Find) -> Iterator[Record]:
    for row in _misc(find, "na.phone"):
        if len(row) == 4:
            yield Record(row[1], _kept(code=row[0], state=row[2]))


def _states(find: Find) -> Iterator[Record]:
    for row in _misc(find, "na.postalcodes"):
        if len(row) == 2:
            yield Record(row[1], _kept(code=row[0]))


def _elements(find: Find) -> Iterator[Record]:
    found = members(find(ELEMENTS), r".*/elements\.(dict|index)")
    for word, body in dictionary_entries(found):
        values = dict(re.findall(r"^(Symbol|Atomic number|Atomic weight): (\S+)$", body, re.MULTILINE))
        year = _DISCOVERED.search(re.sub(r"\s+", " ", body))
        if "Symbol" in values:
            yield Record(
                word.lower(),
                _kept(
                    symbol=values["Symbol"],
                    number=values.get("Atomic number"),
                    weight=values.get("Atomic weight"),
                    year=year[1] if year else "",
                ),
            )


def _zones(find: Find) -> Iterator[Record]:
    countries = _country_names(find)
    (_, data), *_ = members(find(TZDATA), r".*/zoneinfo/zone\.tab")
    for line in decode(data).splitlines():
        fields = line.split("\t")
        if not line.startswith("#") and len(fields) > 2:
            yield Record(
                fields[2],
                _kept(
                    country=countries.get(fields[0]),
                    coordinates=fields[1],
                    city=fields[2].rpartition("/")[2].replace("_", " "),
                ),
            )


def _regions(find: Find) -> Iterator[Record]:
    for path, data in members(find(KGEOGRAPHY), r".*\.kgm"):
        where = re.search(r"<name>([^<]+)</name>", decode(data))
        country = re.sub(r"\s*\(.*", "", where[1]) if where else ""
        if path.endswith(("world.kgm", "africa.kgm", "europe.kgm", "asia.kgm", "oceania.kgm")) or "america" in path:
            continue
        for division in re.findall(r"<division>(.*?)</division>", decode(data), re.DOTALL):
            name, capital = re.search(r"<name>([^<]+)<", division), re.search(r"<capital>([^<]+)<", division)
            if name and capital and name[1] != capital[1] and "(" not in capital[1]:
                yield Record(name[1], _kept(capital=capital[1], country=country))


def _characters(find: Find) -> Iterator[Record]:
    (_, data), *_ = members(find(MISCFILES), r".*/unicode")
    for line in decode(data).splitlines():
        fields = line.split(";")
        named = len(fields) > 2 and re.fullmatch(r"(?!.*(?:CJK|SYLLABLE))[A-Z][A-Z -]{5,40}", fields[1])
        if named and fields[2] in _CATEGORIES:
            yield Record(fields[1], _kept(point=f"U+{fields[0]}", category=_CATEGORIES[fields[2]]))


def _units(find: Find) -> Iterator[Record]:
    (_, data), *_ = members(find(UNITS), r".*/definitions\.units")
    for line in decode(data).splitlines():
        found = re.fullmatch(r"([a-z]{4,})\s+(\d+(?:\.\d+)?|\d+\|\d+) ([a-z]{4,})\s*(?:#.*)?", line)
        if found:
            yield Record(found[1], _kept(amount=f"{found[2].replace('|', '/')} {found[3]}"))


def _packages(find: Find) -> Iterator[Record]:
    """The metadata of all packages that apt knows: version, section, size, what it needs, and the short description."""
    for block in find(APT_AVAILABLE).read_text("utf-8", "replace").split("\n\n"):
        entry = dict(re.findall(r"^([A-Z][\w-]*): (.*)$", block, re.MULTILINE))
        needs = re.split(r"[ ,|(:]", entry.get("Depends", ""))[0]
        if "Description" in entry and re.fullmatch(r"[a-z][a-z0-9+.-]{3,30}", entry.get("Package", "")):
            size = entry.get("Installed-Size", "")
            yield Record(
                entry["Package"],
                _kept(
                    version=entry.get("Version"),
                    section=entry.get("Section"),
                    source=entry.get("Source", "").partition(" ")[0],
                    size=f"{size} kB" if size else "",
                    homepage=entry.get("Homepage"),
                    needs=needs,
                    about=entry["Description"],
                ),
            )
