"""Layout of a PDF page from the places of its words and lines: columns in reading order, tables as rows of cells.

Pure Python. ``boxes`` has the words and lines that the engine measured, ``lines`` joins words to lines, ``rules`` joins
drawn lines. ``columns`` finds columns and their order; ``lattice`` (ruled tables), ``textual`` (tables without rules)
and ``beside`` (tables side by side) find tables, and ``tables`` puts them together. ``continued`` follows tables to the
next page, ``written`` writes them row by row, and ``page`` does all of it for a page.
"""
