"""What depends on how a Hugging Face decoder is built: model families, rotary positions, masks, devices.

In: a transformers model. Out: an ``Architecture`` with one interface for all families.
Imported by injection, model, training and evaluation; imports nothing but errors.
"""
