"""Tenants share a place, but neither files nor names nor answers, and nothing can be learnt from response times.

Each tenant has an index of its own below ``tenants/`` and a secret, its salt. Names of shards, documents and files are
computed from their content and from the salt, so nobody without it can infer from a name, or from how long something
takes, what a tenant has read.
"""

from __future__ import annotations

import hmac
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sharedllm_docs.config import SALT_VARIABLE
from sharedllm_docs.errors import ConfigError, TenantError
from sharedllm_docs.store.opening import open_files

MIN_SALT = 16
"""Minimum number of bytes of a salt: shorter ones can be guessed."""
MAX_SALT_FILE = 4096
"""Maximum number of bytes of a file with a salt."""
FOLDER = "tenants"

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}", re.ASCII)
_KIND = b"sharedllm-docs/tenant/1\n"

Url = str | os.PathLike[str]


@dataclass(frozen=True)
class Tenant:
    """A tenant, checked.

    Attributes:
        name: of the tenant, and of its folder.
        salt: its secret.

    Raises:
        ConfigError: a name or salt that cannot be used.
    """

    name: str
    salt: bytes = field(repr=False)

    @classmethod
    def of(cls, name: str, salt: str | bytes | None = None) -> Tenant:
        """A tenant by name and salt; a salt of None is taken from ``SHAREDLLM_DOCS_SALT``.

        Raises:
            ConfigError: a name or salt that cannot be used.
        """
        return cls(checked_name(name), checked_salt(salt))

    @property
    def digest(self) -> str:
        """The value that is used in names: computed from salt and tenant, but not reversible."""
        return hmac.new(self.salt, _KIND + self.name.encode("ascii"), "sha256").hexdigest()

    def check(self, digest: str | None) -> None:
        """Check the salt against the digest that the tenant's index has.

        Raises:
            TenantError: it is another one.
        """
        if digest is None or not hmac.compare_digest(self.digest, digest):
            raise TenantError(
                f"The salt is not the one that the index of the tenant {self.name!r} was made with.",
                remedy=f"Give the salt of this tenant (salt=..., or {SALT_VARIABLE}).",
            )


def checked_name(name: Any) -> str:
    """The name of a tenant, which becomes the name of a folder on any system."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigError(
            f"tenant={name!r} is no name of a tenant: 1 to 63 lower-case letters, digits, - and _, a letter or digit "
            "first.",
            remedy="Choose such a name, for instance a customer's number.",
        )
    return name


def checked_salt(salt: Any) -> bytes:
    """The bytes of a salt that was given or, if None was, of the environment's."""
    given = salt if salt is not None else os.environ.get(SALT_VARIABLE)
    if given is None:
        remedy = f"Give one (salt=..., or {SALT_VARIABLE})."
        raise ConfigError("A tenant needs a salt, and none is given.", remedy=remedy)
    if not isinstance(given, (str, bytes)):
        raise ConfigError(f"The salt is {type(given).__name__}, not text or bytes.", remedy="Give text or bytes.")
    data = given.encode("utf-8", "surrogatepass") if isinstance(given, str) else given
    if len(data) < MIN_SALT:
        raise ConfigError(  # without the salt itself: messages are logged
            f"The salt has {len(data)} bytes, fewer than {MIN_SALT}.",
            remedy="Draw one at random (python -c 'import secrets; print(secrets.token_hex(32))'), and keep it secret.",
        )
    return data


def salt_in_file(path: str | os.PathLike[str]) -> bytes:
    """The salt in a file, without line breaks at its end.

    Raises:
        ConfigError: the file cannot be read, is too large to hold a salt, or its salt is too short.
    """
    remedy = "Give the file that holds the salt alone, in one line."
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_SALT_FILE + 1)
    except OSError as error:
        raise ConfigError(
            f"The salt cannot be read from {os.fspath(path)}: {error.strerror or error}.", remedy=remedy
        ) from error
    except ValueError as error:  # a path that no system has
        raise ConfigError(f"The salt cannot be read from {os.fspath(path)!r}: {error}.", remedy=remedy) from error
    if len(data) > MAX_SALT_FILE:
        raise ConfigError(f"{os.fspath(path)} has more than {MAX_SALT_FILE:,} bytes: it is no salt.", remedy=remedy)
    return checked_salt(data.rstrip(b"\r\n"))


def tenant_url(url: Url, name: str) -> str:
    """The URL of a tenant's index at the shared place ``url``."""
    return f"{os.fspath(url).rstrip('/')}/{FOLDER}/{checked_name(name)}"


def tenant_names(url: Url, storage_options: Mapping[str, Any] | None = None) -> list[str]:
    """Names of the tenants at a place, sorted; for its administrator, not for tenants."""
    files = open_files(f"{os.fspath(url).rstrip('/')}/{FOLDER}", storage_options)
    return sorted(name for name in files.folders() if _NAME.fullmatch(name))
