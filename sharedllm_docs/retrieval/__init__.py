"""Which parts of a document matter to a question: candidates, branch selection, evidence, citations. No torch.

In: prepared documents, a question with its vector, a budget of rows. Out: selected nodes, passages, citations.
Imported by streams, index, training, evaluation and cli; imports documents, and config, checks and errors of the root.
"""
