"""The engine: what trains a network and what predicts with it.

Each file has one subject and is imported by itself (``from engine.run import Run``), so that a
script pays only for what it uses.
"""
