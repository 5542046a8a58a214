"""Attributes: what is hard about the images of a set, and which of it costs a method most.

``shape`` and ``appearance`` define them, one function each; ``table`` names them all, and gives
those of an image. ``kept`` has those of a set, beside the scores. ``statistics`` holds them against
scores image by image; ``output`` and ``figures`` show that, and ``command`` is
``python -m report attributes``.
"""
