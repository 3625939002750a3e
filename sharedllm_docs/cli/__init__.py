"""The command line, ``sharedllm-docs``: ``app`` is the program, ``*_command(s)`` its commands, ``backend`` the engine.

It takes arguments and lines of stdin, writes results to stdout and everything else to stderr, and sets an exit code.
Imported by ``__main__`` and the data distribution (for its command) only; importing it loads nothing heavy.
"""
