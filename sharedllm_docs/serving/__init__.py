"""What stays in memory and answers many: questions of several users over several indexes, and the server around them.

In come questions and files, out go answers and their sources. May import all rooms up to ``index``; ``cli`` starts it.
"""
