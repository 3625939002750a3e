"""Numbered migrations of the index's JSON files, from schema n to n + 1.

A reader migrates what it loads in memory and writes nothing. A writer puts the new file in the place of the old one,
atomically, so an interrupted migration leaves the old file or the new one and can be continued.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from sharedllm_docs.errors import SchemaError
from sharedllm_docs.store.canonical import strict_json

SCHEMA = 4
Kind = Literal["index", "document"]
Payload = dict[str, Any]
ReadBeside = Callable[[str], bytes]
"""Reads a file of the same folder by its name, checked against the digest that the manifest gives for it."""
Step = Callable[[Payload, ReadBeside], Payload]


@dataclass
class Migrations:
    """The steps that lead to the current schema.

    Attributes:
        current: the schema that this version reads and writes.
        steps: (kind of file, schema before the step) -> step.
    """

    current: int = SCHEMA
    steps: dict[tuple[Kind, int], Step] = field(default_factory=dict)

    def step(self, kind: Kind, start: int) -> Callable[[Step], Step]:
        """Register a function that takes a file's fields from schema ``start`` to ``start + 1``."""

        def register(function: Step) -> Step:
            self.steps[kind, start] = function
            return function

        return register

    def upgrade(self, kind: Kind, payload: Payload, path: str, beside: ReadBeside) -> Payload:
        """The fields at the current schema; ``payload`` itself if it is current already.

        Args:
            kind: which kind of file it is.
            payload: the file's fields, ``schema`` among them.
            path: the file, for messages.
            beside: reads other files of the same folder, for steps that move fields between files.

        Raises:
            SchemaError: the file is newer than this version, or no step leads on from its schema.
        """
        schema = payload.get("schema")
        if type(schema) is not int or schema > self.current:
            raise SchemaError(
                f"{path} has schema {schema!r}, this version reads up to {self.current}.",
                remedy="Update sharedllm-docs, or use the version that wrote the index.",
            )
        while schema < self.current:
            if (kind, schema) not in self.steps:
                raise SchemaError(
                    f"{path} has schema {schema} and no migration leads from it to {self.current}.",
                    remedy="Open it with the version that wrote it, or add the documents again into a new folder.",
                )
            schema += 1
            payload = {**self.steps[kind, schema - 1](dict(payload), beside), "schema": schema}
        return payload


MIGRATIONS = Migrations()
"""The migrations of this version."""


@MIGRATIONS.step("index", 1)
def _index_1_to_2(fields: Payload, _beside: ReadBeside) -> Payload:
    """``index.json`` has the same fields in both schemas."""
    return fields


@MIGRATIONS.step("document", 1)
def _document_1_to_2(fields: Payload, beside: ReadBeside) -> Payload:
    """Metadata and issues come into the manifest, and files are known by their role; the files stay as they are."""
    names = {"text": "content.json", "tokens": "tokens.safetensors", "vectors": "vectors.safetensors"}
    content = strict_json(beside(names["text"]))
    return {
        **fields,
        "metadata": content["metadata"],
        "issues": content["issues"],
        "files": {role: {"name": name, **fields["files"][name]} for role, name in names.items()},
    }


@MIGRATIONS.step("index", 2)
def _index_2_to_3(fields: Payload, _beside: ReadBeside) -> Payload:
    """``index.json`` has the same fields in both schemas."""
    return fields


@MIGRATIONS.step("document", 2)
def _document_2_to_3(fields: Payload, _beside: ReadBeside) -> Payload:
    """Every chunk of a document of schema 2 is read; schema 3 allows for chunks that are not."""
    return fields


@MIGRATIONS.step("index", 3)
def _index_3_to_4(fields: Payload, _beside: ReadBeside) -> Payload:
    """``index.json`` has the same fields in both schemas."""
    return fields


@MIGRATIONS.step("document", 3)
def _document_3_to_4(fields: Payload, _beside: ReadBeside) -> Payload:
    """Documents of schema 3 have no boxes and no source; reading the file again adds both."""
    return {**fields, "source_bytes": 0, "source_path": ""}
