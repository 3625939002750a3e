"""The index that users work with: adding documents, answering questions, listing and checking what is stored.

It takes files and questions, and gives stored documents, answers with citations, and views for lists and trees.
Imported by cli, training and evaluation, and exported at the top; imports every earlier room.
"""
