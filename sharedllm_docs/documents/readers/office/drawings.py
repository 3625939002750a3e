"""What Word and PowerPoint files keep in parts of their own: pictures, charts, diagrams, comments on slides.

In come an element and the relations of the part that it stands in (of python-docx or python-pptx, which are alike).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sharedllm_docs.documents.readers.office.xml import A, R, local
from sharedllm_docs.documents.readers.pictures import Pictures

_SVG = "{http://schemas.microsoft.com/office/drawing/2016/SVG/main}svgBlip"
_CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}relIds"
_MAX_POINTS = 100_000
SHOWS = (f"{A}blip", "{urn:schemas-microsoft-com:vml}imagedata")
"""Elements that show a picture."""


def picture_text(shown: Any, relations: Mapping[str, Any], pictures: Pictures, said: str) -> str:
    """Text of the picture that an element shows: of its drawing in SVG where that has some, else as it is recognised.

    Args:
        shown: one of ``SHOWS``.
        relations: of the part.
        pictures: reads it, or notes why it is not read.
        said: what the picture is called, or says of itself; "" for nothing.
    """
    drawing = next(shown.iter(_SVG), None)
    text = _text_of(drawing, relations, pictures, said) if drawing is not None else ""
    return text or _text_of(shown, relations, pictures, said)


def _text_of(shown: Any, relations: Mapping[str, Any], pictures: Pictures, said: str) -> str:
    identity = shown.get(f"{R}embed") or shown.get(f"{R}id") or shown.get(f"{R}link")
    unnamed = said or "a picture without a name"
    if not identity:
        pictures.lost(unnamed, "the document names no file for it")
        return ""
    try:
        relation = relations[identity]
        if relation.is_external:
            pictures.outside(str(relation.target_ref)[:100])
            return ""
        part = relation.target_part
        data, name = bytes(part.blob), str(part.partname).rpartition("/")[2]
    except (KeyError, ValueError, AttributeError):
        pictures.lost(unnamed, "it is missing from the file")
        return ""
    return pictures.text(data, f"{name} ({said!r})" if said else name)


@dataclass
class Chart:
    """A chart as a table.

    Attributes:
        title: of the chart.
        header: an empty cell, then the names of the series.
        rows: a category and its values each.
    """

    title: str = ""
    header: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)


def charts_in(element: Any, relations: Mapping[str, Any]) -> list[Chart]:
    """The charts that an element shows; one without rows where the values are not in the file."""
    return [_chart(_root(one.get(f"{R}id"), relations)) for one in element.iter(f"{_CHART}chart") if one.get(f"{R}id")]


def diagrams_in(element: Any, relations: Mapping[str, Any]) -> tuple[list[str], int]:
    """The lines of text of the diagrams (SmartArt) that an element shows, and how many are missing or damaged."""
    roots = [_root(holder.get(f"{R}dm"), relations) for holder in element.iter(_DIAGRAM)]
    return [line for root in roots if root is not None for line in _lines(root)], sum(root is None for root in roots)


def comments_of(relations: Mapping[str, Any]) -> tuple[list[str], int]:
    """What people have remarked on a slide, in the form of older programs and of newer ones, replies too; and how many
    parts with remarks are damaged."""
    parts = [identity for identity, relation in relations.items() if str(relation.reltype).endswith("/comments")]
    roots = [_root(identity, relations) for identity in parts]
    found: list[str] = []
    for text in (one for root in roots if root is not None for one in root.iter("{*}text", "{*}txBody")):
        lines = _lines(text) or [" ".join((text.text or "").split())]
        found += filter(None, [" ".join(lines)])
    return found, sum(root is None for root in roots)


def _root(identity: str | None, relations: Mapping[str, Any]) -> Any:
    """The part that a relation leads to as a tree; None where there is none, or it is damaged."""
    from lxml import etree

    try:
        relation = relations[identity or ""]
        parser = etree.XMLParser(resolve_entities=False, no_network=True)
        return None if relation.is_external else etree.fromstring(relation.target_part.blob, parser)
    except (KeyError, ValueError, AttributeError, etree.XMLSyntaxError):
        return None


def _lines(element: Any) -> list[str]:
    found = ("".join(part.text or "" for part in one.iter(f"{A}t")) for one in element.iter(f"{A}p"))
    return [" ".join(text.split()) for text in found if text.strip()]


def _chart(root: Any) -> Chart:
    if root is None:
        return Chart()
    title = root.find(f"{_CHART}chart/{_CHART}title")
    chart = Chart(" ".join(_lines(title)) if title is not None else "", [""])
    columns: list[dict[int, str]] = []
    labels: dict[int, str] = {}
    for series in root.iter(f"{_CHART}ser"):
        name = series.find(f"{_CHART}tx")
        chart.header.append(" ".join(_points(name).values()) if name is not None else "")
        columns.append({})
        for part in series:
            if local(part) in ("cat", "xVal"):
                labels = {**_points(part), **labels}
            elif local(part) in ("val", "yVal"):
                columns[-1] = _points(part)
    for at in sorted({at for column in columns for at in column})[:_MAX_POINTS]:
        chart.rows.append([labels.get(at, ""), *(column.get(at, "") for column in columns)])
    return chart


def _points(holder: Any) -> dict[int, str]:
    """Values by their number, as the office program kept them; of labels of several levels, the first."""
    found: dict[int, str] = {}
    for number, value in enumerate(holder.iter(f"{_CHART}v")):
        at = str(value.getparent().get("idx") or "")
        found.setdefault(int(at) if at.isdecimal() and len(at) < 9 else number, " ".join((value.text or "").split()))
    return found
