"""Administration of tenants: list them, set their quotas, delete them. Loads no model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sharedllm_docs.errors import IndexNotFoundError, StoreError
from sharedllm_docs.index.caches import forget_cache
from sharedllm_docs.store import IndexStore
from sharedllm_docs.store.catalog import INDEX_FILE
from sharedllm_docs.store.files import LOCK_NAME, Files
from sharedllm_docs.store.index import Url
from sharedllm_docs.store.opened import LOCK_TIMEOUT
from sharedllm_docs.store.opening import open_files
from sharedllm_docs.store.tenants import Tenant, tenant_names, tenant_url

__all__ = ["DeletedTenant", "delete_tenant", "set_quotas", "tenant_names"]


@dataclass(frozen=True)
class DeletedTenant:
    """What was deleted of a tenant. A listing of the store afterwards showed nothing of the tenant.

    Attributes:
        tenant: name.
        files: number of files; of object stores their older versions and unfinished uploads are counted too.
        bytes: of these files.
    """

    tenant: str
    files: int
    bytes: int


def set_quotas(
    url: Url,
    tenant: str,
    salt: str | bytes | None = None,
    *,
    max_bytes: int | None,
    max_documents: int | None,
    timeout: float = LOCK_TIMEOUT,
    storage_options: Mapping[str, Any] | None = None,
) -> None:
    """Give a tenant other quotas. What is there stays, even if it is more.

    Args:
        url: the place that tenants share.
        tenant: name.
        salt: the tenant's secret; None takes ``SHAREDLLM_DOCS_SALT``.
        max_bytes: of the whole index; None for no bound.
        max_documents: number of documents; None for no bound.
        timeout: seconds to wait for another writer.
        storage_options: of a remote file system.

    Raises:
        IndexNotFoundError: there is no such tenant.
        TenantError: the salt is another.
        ConfigError: a bound below 1.
        IndexLockedError: see ``timeout``.
    """
    store = IndexStore.open(url, storage_options=storage_options, tenant=tenant, salt=salt)
    store.set_quotas(max_bytes, max_documents, timeout=timeout)


def delete_tenant(
    url: Url,
    tenant: str,
    salt: str | bytes | None = None,
    *,
    timeout: float = LOCK_TIMEOUT,
    storage_options: Mapping[str, Any] | None = None,
) -> DeletedTenant:
    """Delete everything of a tenant (documents, rows, sources, names, the cache), and check that nothing is left.

    In a bucket, older versions and unfinished uploads are deleted too. Copies elsewhere are not: caches of other
    machines (the folder ``tenants`` in their cache), backups and replicas. If a deletion was interrupted, calling it
    again continues it.

    Args:
        url: the place that tenants share.
        tenant: name.
        salt: the tenant's secret; None takes ``SHAREDLLM_DOCS_SALT``.
        timeout: seconds to wait for a writer.
        storage_options: of a remote file system.

    Raises:
        IndexNotFoundError: there is nothing of such a tenant.
        TenantError: the salt is another; nothing is deleted.
        IndexLockedError: see ``timeout``.
        StoreError: something is left; names it.
    """
    owner = Tenant.of(tenant, salt)
    files = open_files(tenant_url(url, tenant), storage_options)
    try:
        IndexStore.open(url, storage_options=storage_options, tenant=tenant, salt=owner.salt)
    except IndexNotFoundError:
        if not files.everything():  # else a deletion was interrupted
            raise
    try:
        found = _erase(files, timeout)
        left = files.everything()
    finally:
        forget_cache(owner.digest)
    if left:
        raise StoreError(
            f"{len(left):,} files of the tenant {tenant!r} are still there, the first is {next(iter(left))}.",
            remedy="Stop what writes there (workers, servers), then delete the tenant again.",
        )
    return DeletedTenant(tenant, len(found), sum(found.values()))


def _erase(files: Files, timeout: float) -> dict[str, int]:
    """Delete everything; returns path -> bytes. ``index.json`` is deleted last: it contains the digest that the salt of
    a deletion is checked against."""
    with files.lock().held(timeout):
        found = files.everything()
        for keep in ({LOCK_NAME, INDEX_FILE}, {LOCK_NAME}):
            files.erase(keep)
    files.erase(())
    return found
