"""Options that name a tenant, and where its salt comes from: a file, the environment or the keyboard.

It is never an argument, because arguments appear in the list of processes, in the shell's history and in logs.
"""

from __future__ import annotations

import getpass
import os
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import typer

from sharedllm_docs.cli.options import IndexOption, option
from sharedllm_docs.config import SALT_VARIABLE
from sharedllm_docs.errors import ConfigError

TENANT_VARIABLE = "SHAREDLLM_DOCS_TENANT"
ASKED = "-"
"""Given in place of a file: the salt is typed, or is the first line of stdin."""

TenantOption = Annotated[
    str | None,
    typer.Option(
        "--tenant",
        metavar="NAME",
        envvar=TENANT_VARIABLE,
        show_default=False,
        help="The index of this tenant, one of those that share the place named by --index.",
    ),
]
SaltFileOption = Annotated[
    str | None,
    option("--salt-file", "FILE", "File with the tenant's salt; - asks for it.", f"{SALT_VARIABLE}, else asked for"),
]
BareSaltOption = Annotated[
    str | None, typer.Option("--salt", metavar="TEXT", hidden=True, help="Refused: use --salt-file in its place.")
]


@dataclass(frozen=True)
class Place(IndexOption):
    """Which index, and of which tenant."""

    tenant: TenantOption = None
    salt_file: SaltFileOption = None
    bare_salt: BareSaltOption = None

    @property
    def url(self) -> str:
        """Where the index itself is."""
        if self.tenant is None:
            return self.index
        from sharedllm_docs.store.tenants import tenant_url

        return tenant_url(self.index, self.tenant)

    @cached_property
    def salt(self) -> bytes | None:
        """The given salt, or None to take it from the environment; asked for only once.

        Raises:
            ConfigError: it was given on the command line, or cannot be used.
        """
        return salt_of(self.tenant, self.salt_file, self.bare_salt)

    @property
    def keywords(self) -> dict[str, Any]:
        """Keywords of ``Index.open`` besides the place; none if no tenant is named.

        Raises:
            ConfigError: see ``salt``.
        """
        given = {"tenant": self.tenant, "salt": self.salt}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def is_private(self) -> bool:
        """Whether a salt belongs to it, which another process does not have, or has from an earlier command."""
        return bool(self.tenant is not None or self.salt_file is not None or os.environ.get(SALT_VARIABLE))


def salt_of(tenant: str | None, file: str | None, bare: str | None = None, *, ask: bool = True) -> bytes | None:
    """The salt of a tenant; None if it is in the environment, or nobody can be asked.

    Args:
        tenant: its name; None if the index is named by its own place.
        file: contains the salt; ``-`` asks for it.
        bare: the value of ``--salt``.
        ask: whether to ask on a terminal if it is not in the environment.

    Raises:
        ConfigError: it was given on the command line, or cannot be used.
    """
    if bare is not None:
        raise ConfigError(
            "--salt would show the secret to everyone who lists the processes, and keep it in the shell's history.",
            remedy=f"Use --salt-file FILE (- asks for the salt), or set {SALT_VARIABLE}.",
        )
    if tenant is None and file is None:
        return None
    from sharedllm_docs.store.tenants import checked_name, checked_salt, salt_in_file

    name = checked_name(tenant) if tenant is not None else ""
    if file is not None and file != ASKED:
        return salt_in_file(file)
    if file is None and (not name or os.environ.get(SALT_VARIABLE) or not ask or not sys.stdin.isatty()):
        return None
    return checked_salt(_typed(f"Salt of the tenant {name}: " if name else "Salt of the tenant: "))


def _typed(prompt: str) -> str:
    """A salt typed without echo on a terminal, otherwise the first line of stdin."""
    return getpass.getpass(prompt) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
