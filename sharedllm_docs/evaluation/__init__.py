"""Evaluation: tasks (questions with known answers), systems that answer them, and metrics.

It takes names of tasks and systems and returns an ``Outcome`` with the table; ``calibrate`` takes a model and a
document and returns the layers that need rows. Imported by cli and the benchmarks; may import every earlier room.
"""
