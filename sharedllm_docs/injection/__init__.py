"""The method's arithmetic: encoding chunks with the lower layers, injecting stored rows into the decoder.

In: token ids, or rows of keys and values. Out: unrotated rows, logits, generated text.
Imported by model, index, training and evaluation; knows architectures and trees, but neither files nor the store.

Shapes of tensors are written with these letters everywhere:

======  ====================================================================================
B       batch (questions answered together, or chunks encoded together)
S       tokens of a sequence
Q       tokens of a question (with the end of the prompt)
F       tokens of the front (they precede every chunk, and the injected rows)
R       rows injected for a question
G       rows kept (stored) of a chunk
N       chunks, of a document or among the injected ones
L       layers of the base model; Ls: layers whose rows are stored (the injection layers)
H       attention heads
KV      key/value heads (grouped-query attention: H is a multiple of KV)
D       dimensions per head
E       hidden size
======  ====================================================================================

Names show whether keys are rotated: ``keys`` are the output of the projection (and norm), ``rotated_keys`` have a
rotary position.
"""
