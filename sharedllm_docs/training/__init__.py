"""Training of adapters, and the token files that it reads.

It takes token files and a configuration, and writes a log and checkpoints, each with an adapter that inference loads.
Imported by cli, the data distribution and the benchmarks; may import every earlier room.
"""
