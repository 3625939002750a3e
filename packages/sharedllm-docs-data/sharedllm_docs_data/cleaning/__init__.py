"""Cleaners: turn the bytes of a package's files into titled plain text. One module per format.

A *page cleaner* takes one file and returns ``(title, text)``; ``pages.each`` applies it to all files of a source.
"""
