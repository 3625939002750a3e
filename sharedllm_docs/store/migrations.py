"""Numbered migrations of the index's JSON files, from schema n to n + 1.

A reader migrates what it loads in memory; a writer puts the new file in the old one's place, atomically, so an
interrupted migration leaves the old file or the new one and goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from sharedllm_docs.errors import SchemaError

SCHEMA = 1
Kind = Literal["index", "document"]
Payload = dict[str, Any]
Step = Callable[[Payload], Payload]


@dataclass
class Migrations:
    """The steps that lead to the current schema.

    Attributes:
        current: schema that this version reads and writes.
        steps: (kind of file, schema it starts from) -> step.
    """

    current: int = SCHEMA
    steps: dict[tuple[Kind, int], Step] = field(default_factory=dict)

    def step(self, kind: Kind, start: int) -> Callable[[Step], Step]:
        """Register a function that takes a file's fields from schema ``start`` to ``start + 1``."""

        def register(function: Step) -> Step:
            self.steps[kind, start] = function
            return function

        return register

    def upgrade(self, kind: Kind, payload: Payload, path: str) -> Payload:
        """The fields at the current schema; ``payload`` itself where nothing is to be done.

        Args:
            kind: of the file.
            payload: its fields, ``schema`` among them.
            path: for messages.

        Raises:
            SchemaError: newer than this version, or no step leads on.
        """
        schema = payload.get("schema")
        if not isinstance(schema, int) or schema > self.current:
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
            payload = {**self.steps[kind, schema - 1](dict(payload)), "schema": schema}
        return payload


MIGRATIONS = Migrations()
"""The migrations of this version. Schema 1 is the first: there are none yet."""
