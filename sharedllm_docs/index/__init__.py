"""The index that users hold: adding documents, answering questions, listing and checking what is stored.

In: files and questions. Out: stored documents, answers with citations, views for lists and trees.
Imported by cli, training and evaluation, and exported at the top; imports every earlier room.
"""
