"""Opens the files of an index, wherever they are."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Mapping
from typing import Any

from sharedllm_docs.errors import ConfigError, StoreError
from sharedllm_docs.store.files import Files, LocalFiles
from sharedllm_docs.store.remote import RemoteFiles
from sharedllm_docs.store.s3 import S3Files

S3_PROTOCOLS = ("s3", "s3a")


def open_files(url: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None) -> Files:
    """The files of an index at a local path, a ``file://`` URL or any other fsspec URL.

    Args:
        url: where the index is.
        storage_options: passed to the remote file system (credentials, endpoints); none for a local path.

    Raises:
        ConfigError: ``storage_options`` that are no mapping.
        StoreError: no such protocol, or its package is not installed, or no bucket is named.
    """
    if storage_options is not None and not isinstance(storage_options, Mapping):
        raise ConfigError(
            f"storage_options={reprlib.repr(storage_options)} is not a mapping of names to values.",
            remedy='Give a dict, such as {"endpoint_url": "https://..."}, or leave it out.',
        )
    text = os.fspath(url)
    protocol, separator, rest = text.partition("://")
    if not separator or protocol in ("file", "local"):
        if storage_options:
            raise StoreError(f"storage_options have no effect on the local path {text}.", remedy="Leave them out.")
        return LocalFiles(rest if separator else text)
    kind = S3Files if protocol in S3_PROTOCOLS else RemoteFiles
    if kind is S3Files and not rest.partition("/")[0]:
        raise StoreError(f"{text} names no bucket.", remedy="Write it as s3://bucket/index.")
    return kind.at(text, storage_options or {})
