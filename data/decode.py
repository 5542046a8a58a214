"""Image files → RGB, upright, however they were saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from utils.images import loaded, opened, own_turn, picture_in_memory, stored_shape, turned

from .depth import deep_colours, has_deep_colours, is_wide, wide_to_rgb
from .shrink import is_costly, original_size, shrinking, shrunk
from .sizes import nearly

__all__ = ["decode_image", "original_size", "rgb_of", "upright", "upright_size"]

# Bytes of a block of a decoded photo. Those above 32 MB go back to the system when they are freed;
# Pillow's own of 16 MB would stay with the process, 400 MB of a photo of 12000×8000.
Image.core.set_block_size(2**26)


def decode_image(path: Path, least: int | None = None) -> Image.Image:
    """RGB, 8 bit, upright: grey, palette, alpha, CMYK, 16-bit and EXIF-rotated files included.

    Transparent pixels keep the colour that the file stores for them. Photos of fewer bits in a
    file of 16 are scaled by their own depth, see ``depth``.

    Args:
        least: the longer side that the caller shrinks the picture to. A large one then comes
            smaller already, see ``shrink``; ``original_size`` has its size.

    Raises:
        UnreadableError: see ``utils.images.open_image``; grey values that no photo has.
    """
    with opened(path) as file:
        factor = shrinking(file.size, least) if least is not None else 1
        if factor > 1 or is_costly(file):
            return shrunk(path, file, factor)
        deep = has_deep_colours(file)
        image = loaded(file)
    if deep and (values := deep_colours(path, image)) is not None:
        return wide_to_rgb(values, image, path)
    return _rgb(image, path)


def rgb_of(image: Image.Image) -> Image.Image:
    """A picture in memory, upright and RGB as ``decode_image`` gives one of a file.

    Raises:
        UnreadableError: see ``utils.images.picture_in_memory``; grey values that no photo has.
    """
    return _rgb(picture_in_memory(image), Path(getattr(image, "filename", "") or "the picture"))


def _rgb(image: Image.Image, path: Path) -> Image.Image:
    if is_wide(image):
        return wide_to_rgb(np.asarray(image), image, path)
    return image if image.mode == "RGB" else image.convert("RGB")


def upright(values: np.ndarray, file: Image.Image, image: Path | None) -> np.ndarray:
    """The values of a mask or scribble, turned as its image says where its file says nothing.

    Args:
        file: as ``open_image`` gave it, already turned as it says itself.
    """
    if image is None or own_turn(file) != 1:
        return values
    turn = _turn_of_image(file.size, image)
    return values if turn == 1 else np.array(turned(Image.fromarray(values), turn))


def upright_size(path: Path, image: Path | None = None) -> tuple[int, int]:
    """Width and height of an image upright, or of a mask that belongs to an ``image``.

    Raises:
        UnreadableError: not an image.
    """
    size, turn = stored_shape(path)
    if turn == 1 and image is not None:
        turn = _turn_of_image(size, image)
    return size[::-1] if turn >= 5 else size


def _turn_of_image(size: tuple[int, int], image: Path) -> int:
    """The orientation of the image that a file of ``size`` without an own one belongs to: 1 where
    the image is stored lying and the file stands, since it was drawn on the upright image."""
    stored, turn = stored_shape(image)
    stands = nearly(stored[::-1], size) and not nearly(stored, size)
    return 1 if turn >= 5 and stands else turn
