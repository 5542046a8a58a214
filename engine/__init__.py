"""The engine: what trains a network and what predicts with it.

One subject a file, imported from that file (``from engine.step import Step``), so that a script
pays only for what it uses.
"""
