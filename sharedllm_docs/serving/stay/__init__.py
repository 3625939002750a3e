"""The process that stays behind ``ask``: one for each index and its settings, reached through a socket of the user's.

In: requests as JSON. Out: pieces of answers, results and errors as JSON. May import ``serving/`` and all below it.
"""
