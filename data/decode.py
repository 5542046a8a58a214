"""Image files → RGB, upright, however they were saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps

from utils.maps import UnreadableError, open_image

from .sizes import nearly

_ORIENTATION = ExifTags.Base.Orientation
# Bytes of a block of a decoded photo. Those above 32 MB go back to the system when they are freed;
# Pillow's own of 16 MB would stay with the process, 400 MB of a photo of 12000×8000.
Image.core.set_block_size(2**26)


def stored_shape(path: Path) -> tuple[tuple[int, int], int]:
    """Width and height as stored and EXIF orientation, from the file's header alone.

    Raises:
        UnreadableError: not an image.
    """
    try:
        with Image.open(path) as image:
            return image.size, orientation(image)
    except Exception as error:  # Pillow's plugins raise OSError, SyntaxError, struct.error, …
        raise UnreadableError.of(path, error) from None


def orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 (upright) to 8; 1 where it is missing or out of range."""
    value = image.getexif().get(_ORIENTATION, 1)
    return value if value in range(1, 9) else 1


def decode_image(path: Path) -> Image.Image:
    """RGB, 8 bit, upright: grey, palette, alpha, CMYK, 16-bit and EXIF-rotated files included.

    Transparent pixels keep the colour that the file stores for them.
    """
    image = open_image(path)
    ImageOps.exif_transpose(image, in_place=True)  # a copy of a large photo takes 400 MB
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        image = Image.fromarray(grey16_to_8(np.asarray(image), path))
    return image if image.mode == "RGB" else image.convert("RGB")


def grey16_to_8(values: np.ndarray, path: Path) -> np.ndarray:
    """16-bit grey (0–65535) or float (0–1) to 8 bit. Pillow's own conversion would clip at 255.

    Files that use a wide type for 8-bit values (none above 255) keep them.
    """
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    if low < 0 or high > 65535 or not np.isfinite(high):
        raise UnreadableError(f"{path}: grey values from {low:g} to {high:g}; expected 8 or 16 bit")
    scale = 1.0 if high <= 255 else 1 / 257
    if values.dtype.kind == "f" and high <= 1:
        scale = 255.0
    return np.round(values * scale).astype(np.uint8)


def upright(values: np.ndarray, file: Image.Image, image: Path | None) -> np.ndarray:
    """The values of a mask or scribble, turned as its file says, else as its image says."""
    turn = orientation(file)
    if turn == 1 and image is not None:
        turn = _turn_of_image(file.size, image)
    picture = Image.fromarray(values)
    picture.getexif()[_ORIENTATION] = turn
    return np.array(ImageOps.exif_transpose(picture))


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
