"""The process that keeps a model in memory for later commands: one for each index and its settings, with a socket that
only the user can reach.

In: requests as JSON. Out: pieces of answers, results and errors as JSON. May import ``serving/`` and all below it.
"""
