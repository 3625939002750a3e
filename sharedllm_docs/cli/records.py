"""What ``--json`` prints: plain dictionaries with a fixed set of names, made from what the engine returns."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sharedllm_docs.cli.keywords import as_typed

if TYPE_CHECKING:
    from pathlib import Path

    from sharedllm_docs.evaluation.calibrate import Calibration
    from sharedllm_docs.index.views import AddedDocument, ChunkView, DocumentInfo, NodeView, TreeView
    from sharedllm_docs.model.zoo import EmbeddedModel
    from sharedllm_docs.store.estimate import SizeEstimate

_DOCUMENT = ("key", "name", "title", "pages", "tokens", "chunks", "unread_chunks", "bytes", "created", "reader")
_PLACED = ("boxes", "source")
_ADDED = (
    "new",
    "metadata_updated",
    "replaced",
    "renamed_from",
    "chunks_encoded",
    "chunks_reused",
    "seconds",
    "tokens_per_second",
)
_CHUNK = ("index", "start_page", "end_page", "tokens", "section", "score", "selected", "read")
_NODE = ("level", "index", "start_token", "end_token", "start_page", "end_page")
_NODE_STATE = ("grain", "rows", "score", "state", "text")


def _pick(source: object, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(source, name) for name in names}


def document_record(info: DocumentInfo) -> dict[str, Any]:
    """A document of the index."""
    issues = [{**asdict(issue), "message": as_typed(issue.message)} for issue in info.issues]
    return {**_pick(info, _DOCUMENT + _PLACED), "metadata": dict(info.metadata), "issues": issues}


def added_record(source: str, added: AddedDocument) -> dict[str, Any]:
    """What ``add`` did with one file."""
    times = {"stage_seconds": dict(added.stage_seconds)}
    return {"source": source, **_pick(added, _ADDED), **times, "document": document_record(added.document)}


def estimate_record(source: str, estimate: SizeEstimate) -> dict[str, Any]:
    """How much disk a file would take."""
    counts = {"tokens": estimate.num_tokens, "chunks": len(estimate.chunk_bytes), "total_bytes": estimate.total}
    return {"source": source, **counts, "parts": dict(estimate.parts())}


def tree_record(tree: TreeView) -> dict[str, Any]:
    """A document's tree and, with a question, its branches."""
    return {
        "document": document_record(tree.document),
        "question": tree.question,
        "chunks": [_chunk_record(chunk) for chunk in tree.chunks],
    }


def _chunk_record(chunk: ChunkView) -> dict[str, Any]:
    return {**_pick(chunk, _CHUNK), "nodes": [_node_record(node) for node in chunk.nodes]}


def _node_record(node: NodeView) -> dict[str, Any]:
    return _pick(node, _NODE + _NODE_STATE)


def model_record(model: EmbeddedModel, ready: bool, folder: Path) -> dict[str, Any]:
    """An embedded model and its place in the cache."""
    named = _pick(model, ("name", "kind", "licence", "megabytes", "disk_megabytes"))
    measured = asdict(model.figures) if model.figures else None
    place = {"ready": ready, "folder": str(folder)}
    return {**named, "requirements": list(model.requirements), **place, "measured": measured}


def calibration_record(found: Calibration) -> dict[str, Any]:
    """What ``calibrate`` measured."""
    counts = {"layers": list(found.layers), "num_layers": found.num_layers, "samples": found.samples}
    losses = {"found": found.loss, "all": found.loss_all, "none": found.loss_none}
    sizes = {"found": found.bytes_per_token, "all": found.bytes_per_token_all}
    tried = [{"layers": list(layers), "loss": loss} for layers, loss in found.tried.items()]
    return {**counts, "rows_help": found.rows_help, "loss": losses, "bytes_per_token": sizes, "tried": tried}
