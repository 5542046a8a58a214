"""Data: which sets exist, how they lie on disk, and how samples are made of them.

``catalog`` knows the published sets (``catalog.yaml``), ``pairing`` matches images and masks by
stem, ``decode``, ``masks`` and ``strokes`` turn any file into RGB, a mask or a scribble,
``soundness`` reads every file before anything is computed, ``map_sizes`` says what sizes maps get,
``edges`` finds or makes edge maps, ``check`` is the doctor (``python -m data check``), ``sample``
makes the built-in set. These need no torch. What does is imported by its own name: ``layers`` (the
table of a sample's layers), ``transforms``, ``augmentation``, ``loader``.
"""

from .catalog import find_pairs
from .decode import decode_image
from .masks import decode_mask
from .pairing import Pair
from .soundness import require_sound
from .strokes import decode_scribble

__all__ = ["Pair", "decode_image", "decode_mask", "decode_scribble", "find_pairs", "require_sound"]
