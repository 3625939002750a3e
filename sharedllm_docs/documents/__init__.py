"""From a file to spans of tokens: readers, cleaning, tokens, chunks and the context tree. No torch.

A file or its bytes become a ``Document`` with pages and sections, then its tokens, chunks and trees of spans.
Imported by every later room; imports only the root's config and errors.
"""
