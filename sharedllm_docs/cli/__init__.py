"""The command line, ``sharedllm-docs``: results go to stdout, everything else to stderr.

``app`` puts the program together, the ``*_command(s)`` modules hold what it can do, ``backend`` is the only module that
reaches the engine. Importing any of them loads nothing heavy. No other room imports this one.
"""
