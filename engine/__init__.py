"""The engine: what trains a network and what predicts with it.

Each file has one subject and is imported by itself (``from engine.run import Run``), so that a
script pays only for what it uses; ``engine.Predictor`` is imported when it is asked for.
"""

__all__ = ["Predictor"]


def __getattr__(name: str) -> type:
    if name == "Predictor":
        from .predictor import Predictor

        return Predictor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
