"""Frames that any question may be put into.

Questions with and without an answer in the document share them, so that the frame does not give the answer away.
"""

from __future__ import annotations

from sharedllm_docs_data.generate.base import Templates

FRAMES = Templates(
    "frame",
    train=(
        "According to the text, {q}",
        "According to the document, {q}",
        "According to the passage, {q}",
        "Based on the text, {q}",
        "Based on the document, {q}",
        "From the document: {q}",
        "In the text, {q}",
        "Going by what the document says, {q}",
        "As the document has it, {q}",
        "Please answer from the document: {q}",
        "Look it up in the text: {q}",
        "Using only the passage, {q}",
        "I have a question about this document: {q}",
        "Can you tell me from the text: {q}",
        "Answer briefly: {q}",
        "In a few words: {q}",
        "Here is my question: {q}",
        "Question: {q}",
        "Quick question: {q}",
        "Reading the document, {q}",
        "The document answers this: {q}",
        "From what is written here, {q}",
        "I would like to know: {q}",
        "Tell me, {q}",
        "{Q} If the document does not say, say so.",
        "{Q} Answer only if the text tells.",
        "{Q} Keep to the document.",
        "{Q} Be brief.",
    ),
    heldout=(
        "{Q} Do not guess.",
        "Judging by the passage, {q}",
        "Consult the document and answer: {q}",
        "If you go by the text alone, {q}",
        "Help me find this in the document: {q}",
    ),
)
