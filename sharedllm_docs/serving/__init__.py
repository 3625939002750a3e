"""One open index kept in memory for many questions, and the faces it shows: a socket for the command line, HTTP.

In: questions of several clients. Out: what ``Index`` gives. May import everything up to ``index/``; ``cli/`` imports
it.
"""
