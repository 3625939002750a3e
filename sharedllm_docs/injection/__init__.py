"""The method's arithmetic: encoding chunks with the lower layers, injecting stored rows into the decoder.

In: token ids, or rows of keys and values. Out: unrotated rows, logits, generated text.
Imported by model, index, training and evaluation; knows architectures and trees, but neither files nor the store.
"""
