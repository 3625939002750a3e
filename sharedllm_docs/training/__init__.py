"""Trains adapters: token files and a configuration go in, checkpoints with an adapter come out.

Only the command line, the data distribution and the benchmarks import this room.
"""
