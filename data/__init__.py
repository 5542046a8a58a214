"""Data: which sets exist, how they lie on disk, and how samples are made of them.

``catalog`` knows the published sets (``catalog.yaml``), ``pairing`` matches images and masks by
stem, ``decode`` turns any file into RGB, a mask or a scribble, ``edges`` finds or makes edge maps,
``check`` is the doctor (``python -m data check``), ``sample`` makes the built-in set. These need no
torch. What does is imported by its own name: ``layers`` (the table of a sample's layers),
``transforms``, ``augmentation``, ``loader``.
"""

from .catalog import find_pairs
from .decode import decode_image, decode_mask, decode_scribble
from .pairing import Pair, require_sound

__all__ = ["Pair", "decode_image", "decode_mask", "decode_scribble", "find_pairs", "require_sound"]
