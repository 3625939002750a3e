"""Wordings of questions about a blank. ``{b}`` is a sentence with ``____`` in place of the answer."""

from __future__ import annotations

from sharedllm_docs_data.generate.base import Templates

ANY = Templates(
    "cloze.any",
    train=(
        "Fill in the blank: {b}",
        "Which word or words are missing? {b}",
        "What belongs in the blank? {b}",
        "Complete the sentence from the text: {b}",
        "In the text, what stands in place of the blank? {b}",
        "\u201c{b}\u201d What is left out?",
        "What has been left out of this sentence of the document? {b}",
        "The document says: \u201c{b}\u201d What goes into the gap?",
        "Find the missing part: {b}",
        "Replace the blank with the words of the text: {b}",
        "One part of this sentence is hidden: {b} What is it?",
        "What should replace the underscores in \u201c{b}\u201d?",
        "Give the missing words. {b}",
        "\u201c{b}\u201d Which words of the passage fill the gap?",
        "According to the passage, what fills the gap here? {b}",
        "Restore the missing words: {b}",
    ),
    heldout=(
        "Somebody erased a part of this sentence. Put it back: {b}",
        "\u201c{b}\u201d \u2013 name what the underscores hide.",
        "Supply what is wanting: {b}",
    ),
)
NUMBER = Templates(
    "cloze.number",
    train=(
        "Which number is missing? {b}",
        "What number belongs in the blank? {b}",
        "Fill in the number: {b}",
        "\u201c{b}\u201d What is the number?",
        "What figure does the text give here? {b}",
        "The number in this sentence is hidden: {b} What is it?",
        "Give the missing figure: {b}",
        "What is the value left out of this sentence? {b}",
        "Which figure stands in the document instead of the blank? {b}",
        "Complete with the right number: {b}",
        "How does the number in this sentence read in the text? {b}",
        "Look up the figure: {b}",
    ),
    heldout=("The figure was lost in print; what was it? {b}", "\u201c{b}\u201d \u2013 supply the number."),
)
YEAR = Templates(
    "cloze.year",
    train=(
        "Which year is missing? {b}",
        "What year belongs in the blank? {b}",
        "Fill in the year: {b}",
        "\u201c{b}\u201d Which year was it?",
        "The year is hidden in this sentence: {b} Which one is it?",
        "What year does the text name here? {b}",
        "Complete with the year: {b}",
        "In which year, according to the text? {b}",
        "Give the missing year. {b}",
    ),
    heldout=("The year has faded from this line; restore it: {b}",),
)
NAME = Templates(
    "cloze.name",
    train=(
        "Which name is missing? {b}",
        "What name belongs in the blank? {b}",
        "Fill in the name: {b}",
        "\u201c{b}\u201d Whose or which name is left out?",
        "Who or what is meant by the blank? {b}",
        "The name is hidden in this sentence: {b} What is it?",
        "What name does the text give here? {b}",
        "Complete with the name from the passage: {b}",
        "Give the missing name. {b}",
        "Who or what does the document name here? {b}",
    ),
    heldout=("The name has been struck out; which one was it? {b}", "\u201c{b}\u201d \u2013 supply the name."),
)
CODE = Templates(
    "cloze.code",
    train=(
        "Which identifier or file is missing? {b}",
        "Fill in the technical name: {b}",
        "What option, function or file is left out? {b}",
        "\u201c{b}\u201d Which name in code belongs in the blank?",
        "What is the exact term that the document uses here? {b}",
        "Complete with the literal name from the text: {b}",
        "Which command, option or symbol is hidden? {b}",
        "Give the missing identifier exactly as written: {b}",
    ),
    heldout=("Type what belongs here, letter by letter: {b}",),
)
PHRASE = Templates(
    "cloze.phrase",
    train=(
        "Which phrase is missing? {b}",
        "What noun phrase belongs in the blank? {b}",
        "Fill in the missing thing: {b}",
        "\u201c{b}\u201d What is meant by the blank?",
        "What does the text name in this place? {b}",
        "The object of this sentence is hidden: {b} What is it?",
        "Complete with the words of the passage: {b}",
        "Give the missing phrase. {b}",
    ),
    heldout=("Which words has the copyist skipped here? {b}",),
)
