"""Text of form fields and annotations, which is not part of a page's content: taken from pypdf's objects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sharedllm_docs.documents.cleaning import clean_characters

_HIDDEN = 2 | 32  # annotation flags Hidden and NoView
_PASSWORD, _RADIO, _PUSH = 1 << 13, 1 << 15, 1 << 16  # field flags
CHECKED, NOT_CHECKED = "checked", "not checked"
_MAX_PARENTS = 32  # a forged field tree may be cyclic
_NOTES = frozenset(
    ("/FreeText", "/Text", "/Highlight", "/Underline", "/StrikeOut", "/Squiggly", "/Caret", "/Square", "/Circle")
)


@dataclass(frozen=True)
class Field:
    """A filled form field, or a note.

    Attributes:
        name: of the field, or "Note".
        value: what was filled in, on one line.
        left, bottom, right, top: its place, in the page's own units.
    """

    name: str
    value: str
    left: float
    bottom: float
    right: float
    top: float

    @property
    def is_note(self) -> bool:
        return self.name == "Note"

    @property
    def is_tick(self) -> bool:
        """Whether it is a check box or a radio button."""
        return self.value in (CHECKED, NOT_CHECKED)


def fields_of(page: Any) -> Iterator[Field]:
    """The filled fields and the notes of a page of pypdf, in the order in which the file has them."""
    for reference in page.get("/Annots") or ():
        annotation = reference.get_object()
        kind = annotation.get("/Subtype")
        if int(annotation.get("/F", 0)) & _HIDDEN:
            continue
        if kind == "/Widget":
            name, value = _name(annotation), _value(annotation)
        elif kind in _NOTES:
            name, value = "Note", _text(annotation.get("/Contents"))
        else:
            continue
        rectangle = [float(number) for number in annotation.get("/Rect", ())]
        if value and len(rectangle) == 4:
            (x0, x1), (y0, y1) = sorted(rectangle[::2]), sorted(rectangle[1::2])
            yield Field(name, value, x0, y0, x1, y1)


def _inherited(field: Any, key: str) -> Any:
    """The field's own entry, or that of the nearest parent that has one."""
    for _ in range(_MAX_PARENTS):
        if key in field:
            return field[key]
        if "/Parent" not in field:
            return None
        field = field["/Parent"].get_object()
    return None


def _name(field: Any) -> str:
    """The name that the form shows to people, or else the field's own."""
    return _text(_inherited(field, "/TU")) or _text(_inherited(field, "/T")) or "Field"


def _value(field: Any) -> str:
    """What was filled in, as one line; "" for what is empty, secret or a plain button."""
    kind, flags = _inherited(field, "/FT"), int(_inherited(field, "/Ff") or 0)
    value = _inherited(field, "/V")
    if kind == "/Btn":
        if flags & _PUSH:
            return ""
        state = field.get("/AS", value)
        is_on = state is not None and str(state) != "/Off"
        return CHECKED if is_on else "" if flags & _RADIO else NOT_CHECKED
    if kind not in ("/Tx", "/Ch") or (kind == "/Tx" and flags & _PASSWORD) or value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(filter(None, map(_text, value)))
    data = value.get_data() if hasattr(value, "get_data") else value
    return _text(data.decode("latin-1") if isinstance(data, bytes) else data)


def _text(value: object) -> str:
    return "" if value is None else " ".join(clean_characters(str(value)).split())
