"""Indexes kept in memory for many questions, and two interfaces to them: a socket for the command line, and HTTP.

In: questions and files of several clients. Out: what ``Index`` returns. May import everything up to ``index/``;
``cli/`` imports it.
"""
