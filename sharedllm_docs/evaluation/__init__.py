"""Evaluation: tasks (questions with known answers), systems that answer them, and metrics.

``run.start`` loads what is asked for by name and returns an ``Outcome`` with the table; ``calibrate`` finds the layers
in which a model reads. Only the command line imports this room.
"""
