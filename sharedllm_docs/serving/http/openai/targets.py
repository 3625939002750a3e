"""What the name of a model refers to: an index, a document of one, or the model without documents."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sharedllm_docs.errors import ConfigError, UnknownIndexError
from sharedllm_docs.index.index import Index
from sharedllm_docs.index.views import DocumentInfo
from sharedllm_docs.serving.desk import Desk
from sharedllm_docs.serving.http.settings import PLAIN


@dataclass(frozen=True)
class Target:
    """What a request asks.

    Attributes:
        model: the name in the request.
        index: name of the index; "" for the model without documents.
        document: key of the only document that is asked; "" for all.
    """

    model: str
    index: str
    document: str = ""

    @property
    def plain(self) -> bool:
        """Whether no document is asked."""
        return not self.index

    def scope(self, own: dict[str, Any]) -> dict[str, Any]:
        """The project's own keywords of a request, with the document among them.

        Raises:
            ConfigError: documents are named twice, or where none are asked.
        """
        if self.plain and own:
            raise ConfigError(
                f"{', '.join(sorted(own))}: the model {PLAIN!r} asks no documents.", remedy="Name an index as model."
            )
        if self.document and "documents" in own:
            raise ConfigError(
                f"The model {self.model!r} is one document, and documents are named as well.",
                remedy="Name the index as model.",
            )
        return {**own, "documents": [self.document]} if self.document else own


def target_of(desk: Desk, model: str) -> Target:
    """The target of a model's name. Reads the list of documents.

    Raises:
        UnknownIndexError: there is no such index.
        DocumentNotFoundError, StoreError: the index has no such document, or several.
    """
    if model == PLAIN:
        return Target(model, "")
    name, slash, reference = model.partition("/")
    try:
        index = desk.index(name)
    except UnknownIndexError:
        known = ", ".join(repr(one) for one in (*desk.names, PLAIN))
        raise UnknownIndexError(
            f"There is no model {model!r}. Indexes are models ({known}), and so are their documents (INDEX/DOCUMENT).",
            remedy="GET /v1/models lists all.",
        ) from None
    return Target(model, name, index.document(reference).key if slash else "")


def models(desk: Desk) -> list[dict[str, Any]]:
    """All models, as the OpenAI API lists them."""
    listed = [_model(PLAIN, 0)]
    for name in desk.names:
        documents = desk.index(name).documents()
        listed.append(_model(name, max(map(_created, documents), default=0)))
        listed += [_model(f"{name}/{info.name}", _created(info)) for info in documents]
    return listed


def model(desk: Desk, name: str) -> dict[str, Any]:
    """One model, as the OpenAI API describes it; errors as for ``target_of``."""
    target = target_of(desk, name)
    if target.plain:
        return _model(name, 0)
    index: Index = desk.index(target.index)
    documents = [index.document(target.document)] if target.document else index.documents()
    return _model(name, max(map(_created, documents), default=0))


def _model(name: str, created: int) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": "sharedllm-docs"}


def _created(info: DocumentInfo) -> int:
    try:
        return int(datetime.fromisoformat(info.created.replace("Z", "+00:00")).timestamp())
    except ValueError:
        return 0
