"""The sizes that maps get: their images', or those of masks that nearly fit. Headers are read, no
pixels."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from utils.errors import counted
from utils.images import UnreadableError, stored_shape

from .decode import upright_size
from .pairing import Pair
from .sizes import Size, nearly, turned

WRITTEN = "maps are written at the masks' sizes"
SCORED = "maps are scored at the masks' sizes"
SQUASHED = "both are squashed to the input size"
FITTED = "masks are brought to the images' sizes"


def differing(pair: Pair) -> Iterator[tuple[Path, Size, Size]]:
    """The files of a pair whose sizes are not its image's: path, size of the image and of the file
    (width, height), both upright.

    Raises:
        UnreadableError: not an image.
    """
    shapes = {path: stored_shape(path) for path in pair.files} if pair.image else {}
    for path in pair.files[1:]:
        if shapes and shapes[path] != shapes[pair.image]:
            size, other = upright_size(pair.image), upright_size(path, pair.image)
            if size != other:
                yield path, size, other


def sizes_differ(image: Path, size: Size, path: Path, other: Size) -> str:
    """The line of a message on two files whose sizes (width, height) do not fit."""
    return f"sizes differ: {image} is {size[0]}×{size[1]}, {path} is {other[0]}×{other[1]}"


def with_map_sizes(pairs: Sequence[Pair], title: str, outcome: str = WRITTEN,
                   quiet: bool = False) -> list[Pair]:
    """Pairs whose maps get the size of the mask where that is nearly the image's.

    Args:
        title: names the pairs in notes: on how many masks nearly fit, which ends with ``outcome``,
            and on how many do not fit at all.
        quiet: print no notes.
    """
    sized, apart, others = [], [], []
    for pair in pairs:
        size = None
        try:
            for path, image, mask in differing(Pair(pair.name, pair.image, pair.mask)):
                if nearly(image, mask):
                    size = mask[::-1]
                    apart.append((max(abs(a - b) for a, b in zip(image, mask, strict=True)),
                                  str(path)))
                else:
                    way = "turn those that lie on their side" if turned(image, mask) else \
                        "--resize brings maps of other sizes to their masks'"
                    others.append((sizes_differ(pair.image, image, path, mask), way))
        except UnreadableError as error:
            others.append((str(error), "replace what cannot be read"))
        sized.append(pair if size is None else replace(pair, size=size))
    if apart and not quiet:
        number = counted(len(apart), "mask differs from its image",
                         "masks differ from their images")
        print(f"note: {title}: {number} by a few pixels; "
              "{} ({} at most: {})".format(outcome, *max(apart)), file=sys.stderr)
    if others and not quiet:
        ways = "; ".join(dict.fromkeys(way for _, way in others))
        number = counted(len(others), "mask cannot be used with its image, so eval.py refuses this "
                         "map", "masks cannot be used with their images, so eval.py refuses these "
                         "maps")
        print(f"note: {title}: {number} ({ways}); the first: {others[0][0]}", file=sys.stderr)
    return sized
