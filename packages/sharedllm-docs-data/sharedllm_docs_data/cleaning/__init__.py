"""Cleaners: the bytes of a package's files in, titled plain text out. One format a module.

A *page cleaner* takes one file and returns ``(title, text)``; ``pages.each`` lifts it to a source's files.
"""
