"""The wordings of all tables, by the table's name."""

from __future__ import annotations

from sharedllm_docs_data.templates.facts import TableWords
from sharedllm_docs_data.templates.facts_places import PLACES
from sharedllm_docs_data.templates.facts_things import THINGS

TABLES: dict[str, TableWords] = {**PLACES, **THINGS}
