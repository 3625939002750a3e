"""The text of a PDF page, made of what PDFium knows of its characters.

``characters`` asks PDFium. ``hidden``, ``lines``, ``margins``, ``labels`` and ``superscripts`` find what has to be
changed in PDFium's text, as ``edits``. ``page`` puts all of it together with the layout of the page.
"""
