"""``tenants``: administration of a place that tenants share: list, create, limit, show and delete them."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sharedllm_docs.cli import backend
from sharedllm_docs.cli.options import (
    NAME,
    IndexOption,
    LoadingOptions,
    OutputOptions,
    ProfileOptions,
    flattened,
    option,
)
from sharedllm_docs.cli.panels import PanelCommand
from sharedllm_docs.cli.screen import Screen, one_line, opened
from sharedllm_docs.cli.tenancy import BareSaltOption, Place, SaltFileOption
from sharedllm_docs.cli.units import count_text, parse_size
from sharedllm_docs.errors import ConfigError, IndexNotFoundError
from sharedllm_docs.sizes import size_text

if TYPE_CHECKING:
    from sharedllm_docs.store import IndexStore

NO_BOUND = "none"
"""Given in place of a quota: no limit."""

tenants_app = typer.Typer(rich_markup_mode=None, invoke_without_command=True, no_args_is_help=False)

TenantArgument = Annotated[str, typer.Argument(metavar="NAME", help="The tenant's name.")]
MaxDiskOption = Annotated[
    str | None, option("--max-disk --budget-bytes", "SIZE", f"Maximum size of its index on disk; {NO_BOUND} for any.")
]
MaxDocumentsOption = Annotated[
    str | None, option("--max-documents", "N", f"Maximum number of its documents; {NO_BOUND} for any.")
]


@tenants_app.callback()
def tenants(ctx: typer.Context) -> None:
    """List, make, limit, show and delete the tenants that share a place (docs/scale.md).

    Each tenant has an index of its own, in which all names depend on a secret, the salt: nothing is shared, listed or
    answered across tenants. The other commands use a tenant's index with --tenant NAME.
    """
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


@tenants_app.command("list", cls=PanelCommand)
@flattened
def list_tenants(location: IndexOption, output: OutputOptions) -> None:
    """List the tenants of the place. Needs no salt: it is for the administrator of the place."""
    from sharedllm_docs.index.tenants import tenant_names

    with opened(output) as screen:
        names = tenant_names(location.index)
        if screen.json:
            screen.emit({"place": location.index, "tenants": names})
        elif not names:
            screen.print(one_line(f"No tenant has an index at {location.index}. `{NAME} tenants create` makes one."))
        else:
            screen.print("\n".join(names))


@tenants_app.command(cls=PanelCommand)
@flattened
def create(
    tenant: TenantArgument,
    location: IndexOption,
    model: LoadingOptions,
    profile: ProfileOptions,
    output: OutputOptions,
    salt_file: SaltFileOption = None,
    bare_salt: BareSaltOption = None,
    new_salt: Annotated[
        str | None,
        option("--new-salt", "FILE", "Draw a salt at random and keep it in this file, which must not be there yet."),
    ] = None,
    max_disk: MaxDiskOption = None,
    max_documents: MaxDocumentsOption = None,
) -> None:
    """Make the index of a new tenant.

    The salt cannot be replaced, and without it nobody can open the index: keep the file, and let only the tenant's
    programs read it.
    """
    with opened(output) as screen:
        bounds = _bounds(max_disk, max_documents)
        if new_salt is not None and (salt_file is not None or bare_salt is not None):
            raise ConfigError("--new-salt draws the salt itself.", remedy="Leave out --new-salt or --salt-file.")
        backend.refuse_present(location.index, tenant)
        with nullcontext(salt_file) if new_salt is None else _drawn(new_salt) as file:
            place = Place(location.index, tenant, file, bare_salt)
            backend.create_tenant(place, screen.report, model, profile, **bounds)
        if screen.json:
            screen.emit({"tenant": tenant, "index": place.url, "salt_file": new_salt, **bounds})
            return
        screen.print(one_line(f"Made the tenant {tenant} at {place.url}: {_bounds_text(**bounds)}."))
        if new_salt is not None:
            screen.print(one_line(f"Its salt is in {new_salt}: keep this file, a lost salt cannot be replaced."))


@contextmanager
def _drawn(path: str) -> Iterator[str]:
    """A file with a new salt that only its owner can read; deleted again if the block fails.

    Raises:
        ConfigError: there is such a file, or it cannot be written.
    """
    try:
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ConfigError(f"No salt can be kept in {path}: {why}.", remedy="Name a file that is not there.") from error
    with os.fdopen(made, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        yield path
    except BaseException:
        with suppress(OSError):
            os.unlink(path)
        raise


@tenants_app.command(cls=PanelCommand)
@flattened
def limit(
    tenant: TenantArgument,
    location: IndexOption,
    output: OutputOptions,
    salt_file: SaltFileOption = None,
    bare_salt: BareSaltOption = None,
    max_disk: MaxDiskOption = None,
    max_documents: MaxDocumentsOption = None,
) -> None:
    """Change the quotas of a tenant; those that are not given stay. Existing data stay too."""
    with opened(output) as screen:
        bounds = _bounds(max_disk, max_documents)
        if not bounds:
            raise ConfigError("No quota is given.", remedy="Give --max-disk SIZE, --max-documents N, or both.")
        store = backend.open_store(Place(location.index, tenant, salt_file, bare_salt))
        kept = {"max_bytes": store.max_bytes, "max_documents": store.max_documents}
        store.set_quotas(**{**kept, **bounds})
        _tell(screen, store)


@tenants_app.command(cls=PanelCommand)
@flattened
def show(
    tenant: TenantArgument,
    location: IndexOption,
    output: OutputOptions,
    salt_file: SaltFileOption = None,
    bare_salt: BareSaltOption = None,
) -> None:
    """Show what a tenant has stored, and its quotas."""
    with opened(output) as screen:
        _tell(screen, backend.open_store(Place(location.index, tenant, salt_file, bare_salt)))


def _tell(screen: Screen, store: IndexStore) -> None:
    """Print what a tenant has stored, and how much of its quotas is used."""
    documents, size = store.documents(), store.total_bytes()
    bounds = {"max_bytes": store.max_bytes, "max_documents": store.max_documents}
    if screen.json:
        counts = {"documents": len(documents), "tokens": sum(one.tokens for one in documents), "bytes": size}
        about = {"tenant": store.tenant, "index": store.url, "model": store.settings.get("model")}
        screen.emit({**about, **counts, **bounds})
        return
    tokens = count_text(sum(one.tokens for one in documents), "token")
    held = f"{count_text(len(documents), 'document')}, {tokens}, {size_text(size)}"
    screen.print(one_line(f"{store.tenant}: {held}; {_bounds_text(**bounds)}."))
    screen.print(one_line(f"Index {store.url}, model {store.settings.get('model')}."))
    over = [
        name
        for name, value, bound in (
            ("bytes", size, store.max_bytes),
            ("documents", len(documents), store.max_documents),
        )
        if bound is not None and value > bound
    ]
    if over:
        screen.note(f"There are more {' and '.join(over)} than the quota allows: they stay, and none can be added.")


@tenants_app.command(cls=PanelCommand)
@flattened
def delete(
    tenant: TenantArgument,
    location: IndexOption,
    output: OutputOptions,
    salt_file: SaltFileOption = None,
    bare_salt: BareSaltOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
) -> None:
    """Delete everything of a tenant, then check that nothing is left.

    Deletes documents, rows, sources, the search index and the cache on this machine; in a bucket also older
    versions and unfinished uploads. Copies elsewhere are not reached: caches of other machines, backups, replicas.
    The same command continues an interrupted deletion.
    """
    from sharedllm_docs.index.tenants import delete_tenant

    with opened(output) as screen:
        place = Place(location.index, tenant, salt_file, bare_salt)
        salt = place.salt
        with suppress(IndexNotFoundError):  # a deletion may have been interrupted
            backend.open_store(place)
        if not yes:
            _confirm(place)
        deleted = delete_tenant(location.index, tenant, salt)
        if screen.json:
            counts = {"files": deleted.files, "bytes": deleted.bytes, "left": 0}
            screen.emit({"tenant": tenant, "index": place.url, **counts})
            return
        screen.print(
            one_line(
                f"Deleted the tenant {tenant}: {count_text(deleted.files, 'file')}, {size_text(deleted.bytes)}. "
                f"{place.url} was listed again afterwards: nothing is left."
            )
        )


def _confirm(place: Place) -> None:
    """Ask for the tenant's name on a terminal.

    Raises:
        ConfigError: nobody can be asked, or another name was typed.
    """
    if not sys.stdin.isatty():
        raise ConfigError("Nobody can be asked whether to delete: nothing is deleted.", remedy="Add --yes.")
    if input(f"This deletes all of {place.url}. Type the tenant's name to go on: ").strip() != place.tenant:
        raise ConfigError(f"That is not {place.tenant}: nothing is deleted.", remedy="Run the command again.")


def _bounds(max_disk: str | None, max_documents: str | None) -> dict[str, Any]:
    """Quotas that were given, as keywords of ``set_quotas``; None for one that is lifted.

    Raises:
        ConfigError: no such quota.
    """
    found: dict[str, Any] = {}
    if max_disk is not None:
        found["max_bytes"] = None if max_disk == NO_BOUND else parse_size(max_disk, "--max-disk")
    if max_documents is not None:
        found["max_documents"] = None if max_documents == NO_BOUND else _number(max_documents)
    return found


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 12 or int(text) < 1:
        raise ConfigError(
            f"--max-documents={text!r} is no number of documents.", remedy=f"Give 1 or more, or {NO_BOUND}."
        )
    return int(text)


def _bounds_text(max_bytes: int | None = None, max_documents: int | None = None) -> str:
    size = "any size" if max_bytes is None else f"at most {size_text(max_bytes)}"
    count = "any number of documents" if max_documents is None else f"at most {count_text(max_documents, 'document')}"
    return f"{size}, {count}"
