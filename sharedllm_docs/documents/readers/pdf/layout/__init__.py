"""Layout of a PDF page from the places of its words and lines: columns in reading order, tables as rows of cells.

Pure Python: ``boxes`` holds what the engine measured, ``lines`` puts words together, ``rules`` cleans drawn lines,
``grid`` and ``tables`` find tables, ``columns`` orders the blocks, ``written`` is the form in which a table is read.
"""
