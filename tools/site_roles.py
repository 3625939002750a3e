"""Extension of the API reference: Sphinx roles in docstrings become code, linked where the name is public.

A role with a tilde, ``~sharedllm_docs.Index.ask``, shows its last part, ``ask``. A link is made only to what the
reference has a section for, so that a docstring may name private parts without breaking the site.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from griffe import Alias, Class, Extension, GriffeError, Module, Object

PACKAGE = "sharedllm_docs"
_ROLE = re.compile(r":(?:class|meth|func|attr|data|mod|exc):`(?P<short>~?)(?P<name>[\w.]+)`")


class Roles(Extension):
    """Rewrites the docstrings of everything that the package exports."""

    def on_package(self, *, pkg: Module, **_: Any) -> None:
        """Called once, when the whole package is known."""
        if pkg.path != PACKAGE:
            return
        public = {name: member for name, member in pkg.members.items() if _is_exported(member)}
        for name, member in public.items():
            for part in _documented(member):
                if part.docstring is not None:
                    change = partial(_shown, owner=name, public=public)
                    part.docstring.value = _ROLE.sub(change, part.docstring.value)


def _is_exported(member: Object | Alias) -> bool:
    """Whether the package takes a name out of one of its own modules."""
    return isinstance(member, Alias) and member.target_path.startswith(f"{PACKAGE}.")


def _documented(member: Object | Alias) -> list[Object]:
    """An exported object and its members, inherited ones included."""
    target = _final(member)
    if not isinstance(target, Class):
        return [target]
    return [target, *(_final(inner) for inner in target.all_members.values())]


def _final(member: Object | Alias) -> Object:
    return member.final_target if isinstance(member, Alias) else member


def _shown(match: re.Match[str], *, owner: str, public: dict[str, Object | Alias]) -> str:
    """A role as Markdown: its last part as code for ``~``, linked where it names something public."""
    name = match["name"]
    shown = name.rpartition(".")[2] if match["short"] else name
    place = _public(name, owner, public)
    return f"[`{shown}`][{PACKAGE}.{place}]" if place else f"`{shown}`"


def _public(name: str, owner: str, public: dict[str, Object | Alias]) -> str:
    """``Class`` or ``Class.member`` of what a role names; "" where the reference has no such section."""
    first, _, last = name.rpartition(".")
    if last in public:
        return last
    for owning in (first.rpartition(".")[2] or owner, owner):
        if owning in public and _has(public[owning], last):
            return f"{owning}.{last}"
    return ""


def _has(member: Object | Alias, name: str) -> bool:
    try:
        found = member.all_members.get(name)
    except GriffeError:
        return False
    return found is not None and not name.startswith("_") and found.has_docstring
