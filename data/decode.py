"""Image files → RGB, upright, however they were saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps

from utils.maps import UnreadableError, open_image

from .sizes import Size, nearly

_ORIENTATION = ExifTags.Base.Orientation


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


def stored_size(path: Path) -> Size:
    """Width and height as stored, from the file's first bytes: ``stored_shape`` reads the whole of
    a PNG, whose orientation may come last.

    Raises:
        UnreadableError: not an image.
    """
    try:
        with Image.open(path) as image:
            return image.size
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
    image = ImageOps.exif_transpose(open_image(path))
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
    picture = Image.fromarray(values)
    picture.getexif()[_ORIENTATION] = _turn(file.size, orientation(file), image)
    return np.array(ImageOps.exif_transpose(picture))


def upright_size(path: Path, image: Path | None = None) -> Size:
    """Height and width of an image, or of a mask or scribble of ``image``, turned upright; from
    the files' headers.

    Raises:
        UnreadableError: not an image.
    """
    size, turn = stored_shape(path)
    return size if _turn(size, turn, image) >= 5 else size[::-1]


def _turn(size: Size, turn: int, image: Path | None) -> int:
    """How a file that is stored in ``size`` (width, height) has to be turned: by its own
    orientation ``turn``, else by that of its ``image``."""
    if turn != 1 or image is None:
        return turn
    stored, turn = stored_shape(image)
    if turn >= 5 and nearly(stored[::-1], size) and not nearly(stored, size):
        return 1  # the image is stored lying, the mask stands: drawn on the upright image
    return turn
