"""Indexes kept in memory for many questions, and the faces they show: a socket for the command line, HTTP.

In: questions and files of several clients. Out: what ``Index`` gives. May import everything up to ``index/``; ``cli/``
imports it.
"""
