"""The language model and the embedder, made ready: weights, adapter, prompt, identity, plain generation.

In: a name or a folder. Out: a ``SharedLLM`` with everything an index computes with, and its fingerprint.
Imported by index, training, evaluation and cli; imports architectures, injection and store.fingerprint.
"""
