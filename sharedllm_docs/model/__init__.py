"""The language model and the embedder, ready for use: weights, adapter, prompt, identity, plain generation.

Takes a name or a folder and returns a ``SharedLLM`` with everything that an index computes with, and its fingerprint.
Imported by index, training, evaluation and cli; imports architectures, documents, injection and store.fingerprint.
"""
