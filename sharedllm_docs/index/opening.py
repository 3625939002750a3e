"""Opening and creating an index: its place, its settings, and its model, which is loaded when it is needed.

Loads neither torch nor a model until then.
"""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sharedllm_docs.config import ModelOptions, Profile, check_options
from sharedllm_docs.errors import ConfigError, FingerprintMismatchError, IndexNotFoundError
from sharedllm_docs.index.caches import cache_for
from sharedllm_docs.index.library import Library
from sharedllm_docs.index.reading import Reading
from sharedllm_docs.index.recorded import recorded
from sharedllm_docs.store import IndexStore

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from sharedllm_docs.model.shared_llm import SharedLLM

Url = str | os.PathLike[str]


class OpenIndex:
    """One part of ``Index``: opening it, and its model.

    Attributes:
        url: where it is.
    """

    def __init__(
        self,
        store: IndexStore,
        llm: SharedLLM | None,
        *,
        options: Mapping[str, Any] | None = None,
        report: Callable[[str], None] | None = None,
    ) -> None:
        self._store = store
        self._options = dict(options or {})
        self._report = report
        self._loading = threading.RLock()
        self._library = Library(store, lambda passages: self.llm.embedder.encode(passages))
        self.url = store.url
        self._llm = self._bind(llm) if llm is not None else None
        self._reading = Reading(store, self._library, lambda: self.llm)

    # -- opening ----------------------------------------------------------------------------------------------------

    @classmethod
    def open(
        cls,
        url: Url,
        llm: SharedLLM | None = None,
        *,
        report: Callable[[str], None] | None = None,
        storage_options: Mapping[str, Any] | None = None,
        tenant: str | None = None,
        salt: str | bytes | None = None,
        **model_options: Unpack[ModelOptions],
    ) -> Self:
        """Open an existing index.

        Args:
            url: folder or fsspec URL.
            llm: the model; None loads the one recorded in the index when it is first needed.
            report: called with a sentence before each slow step.
            storage_options: of a remote file system.
            tenant: name of the tenant whose index it is; ``url`` is then the place that tenants share.
            salt: the tenant's secret; None takes ``SHAREDLLM_DOCS_SALT``.
            model_options: arguments of ``SharedLLM.from_pretrained`` that replace the recorded ones.

        Raises:
            IndexNotFoundError: there is no index, or no such tenant.
            TenantError: it belongs to a tenant, and the salt is another.
            ConfigError: an unknown option, or an ``llm`` that is a name instead of a loaded model.
            FingerprintMismatchError: the model or settings are not those it was made with; names each. Without ``llm``
                it is raised when the model is first needed.
            DamagedIndexError: its ``index.json`` is damaged.
        """
        _check_model(llm, model_options)
        store = IndexStore.open(url, storage_options=storage_options, cache=cache_for(url), tenant=tenant, salt=salt)
        return cls(store, llm, options=model_options, report=report)

    @classmethod
    def create(
        cls,
        url: Url,
        llm: SharedLLM,
        *,
        max_bytes: int | None = None,
        storage_options: Mapping[str, Any] | None = None,
        tenant: str | None = None,
        salt: str | bytes | None = None,
        max_documents: int | None = None,
    ) -> Self:
        """Make a new, empty index for a model.

        Args:
            url: folder or fsspec URL.
            llm: the model that it will be bound to.
            max_bytes: disk budget of the whole index.
            storage_options: of a remote file system.
            tenant: name of the tenant that it is for; its index lies below ``url``, and shares nothing with others.
            salt: the tenant's secret, 16 bytes or more, on which all stored names depend; None takes
                ``SHAREDLLM_DOCS_SALT``.
            max_documents: maximum number of documents.

        Raises:
            StoreError: there is an index already.
            ConfigError: a bound, tenant or salt that cannot be used.
        """
        _check_model(llm, {})
        settings = {"model": llm.name, "source": llm.source, "profile": llm.profile.to_dict()}
        store = IndexStore.create(
            url,
            llm.fingerprint,
            settings,
            max_bytes=max_bytes,
            storage_options=storage_options,
            cache=cache_for(url),
            tenant=tenant,
            salt=salt,
            max_documents=max_documents,
        )
        return cls(store, llm)

    @classmethod
    def open_or_create(
        cls,
        url: Url,
        llm: SharedLLM | None = None,
        *,
        report: Callable[[str], None] | None = None,
        max_bytes: int | None = None,
        storage_options: Mapping[str, Any] | None = None,
        tenant: str | None = None,
        salt: str | bytes | None = None,
        max_documents: int | None = None,
        **model_options: Unpack[ModelOptions],
    ) -> Self:
        """``open`` where there is an index, else ``create`` (with the model loaded as asked)."""
        _check_model(llm, model_options)
        shared: dict[str, Any] = {"storage_options": storage_options, "tenant": tenant, "salt": salt}
        if IndexStore.exists(url, storage_options=storage_options, tenant=tenant):
            return cls.open(url, llm, report=report, **shared, **model_options)
        if llm is None:
            from sharedllm_docs.model.shared_llm import SharedLLM

            llm = SharedLLM.from_pretrained(report=report, **model_options)
        return cls.create(url, llm, max_bytes=max_bytes, max_documents=max_documents, **shared)

    @property
    def settings(self) -> dict[str, Any]:
        """What the index was made with: model name, arguments to load it again, profile."""
        return dict(self._store.settings)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """Everything the stored rows depend on."""
        return self._store.fingerprint.to_dict()

    @property
    def llm(self) -> SharedLLM:
        """The model, loaded at first use and checked against the fingerprint.

        Raises:
            ModelUnavailableError: it cannot be loaded.
            FingerprintMismatchError: it is not the one that the index was made with.
        """
        with self._loading:  # otherwise two questions at the same time would load it twice
            if self._llm is None:
                from sharedllm_docs.model.shared_llm import SharedLLM

                self._llm = self._bind(SharedLLM.from_pretrained(report=self._report, **self._model_options()))
            return self._llm

    def adopt(self, llm: SharedLLM) -> bool:
        """Use a model that is in memory already, if this index was made with it and has loaded none yet.

        Returns:
            Whether it is used; False if another model is recorded, was asked for, or is loaded.
        """
        with self._loading:
            if self._llm is None and not self._options and llm.source == self._store.settings["source"]:
                with suppress(FingerprintMismatchError):
                    self._llm = self._bind(llm)
                    return True
        return False

    def is_current(self) -> bool:
        """Whether opening it again would give the same: the index still exists, and no file of the model has changed.

        For processes that keep an index open for a long time. Added or removed documents are noticed without reopening.
        """
        return self._store.is_current() and (self._llm is None or self._llm.files_unchanged())

    def reopened(self) -> Self:
        """The index that is at this place now, with the model in memory if that is still the right one.

        Raises:
            IndexNotFoundError, ...: as ``open``.
        """
        found = type(self).open(self.url, report=self._report, **self._store.reopening, **self._options)
        if self._llm is not None and self._llm.files_unchanged():
            found.adopt(self._llm)
        return found

    def _model_options(self) -> dict[str, Any]:
        """Arguments of ``from_pretrained`` that the index was made with, replaced by those it was opened with."""
        made = recorded(self._store)
        options: dict[str, Any] = {"profile": made.profile, **made.source}
        if not made.source and not self._options:
            raise IndexNotFoundError(
                f"The index was made with a model in memory ({made.model}), which cannot be loaded by name.",
                remedy="Give the model: Index.open(url, llm).",
            )
        if made.source and options.get("name_or_path") is None:
            # earlier versions did not record the name of their default model among the arguments
            options["name_or_path"] = made.model
        options |= {name: value for name, value in self._options.items() if value is not None}
        recorded_profile = isinstance(options["profile"], Profile)  # otherwise the name of one was asked for
        if (
            options.get("adapter") in (None, "none")
            and self._store.fingerprint.profile == "prefix"
            and recorded_profile
        ):
            options["profile"] = dataclasses.replace(options["profile"], name="prefix")
        return options

    def _bind(self, llm: SharedLLM) -> SharedLLM:
        """The model in the form that this index was made with."""
        stored = self._store.fingerprint.salted(None)  # a model knows no tenants
        llm = llm.matching(stored)
        stored.check(llm.fingerprint)
        return llm

    def warn_again(self) -> None:
        """Warn again, with the next question, about rows that cannot be stored.

        For processes that serve several users in turn.
        """
        self._reading.warn_again()


def _check_model(llm: Any, options: Mapping[str, Any]) -> None:
    """Raise ConfigError for unknown options of the model, and for a name where a loaded model is expected."""
    check_options(ModelOptions, options)
    if isinstance(llm, (str, os.PathLike)):
        raise ConfigError(f"llm={str(llm)!r} is a name, not a SharedLLM.", remedy=f"Give name_or_path={str(llm)!r}.")
