"""The command line, ``sharedllm-docs``: arguments in, results on stdout, everything else on stderr.

``app`` puts the program together, the ``*_command(s)`` modules hold what it can do, ``backend`` is the only module that
reaches the engine. Importing any of them loads nothing heavy.
"""
