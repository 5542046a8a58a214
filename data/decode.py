"""Image files → RGB, upright, however they were saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from utils.images import UnreadableError, open_image, own_turn, stored_shape, turned

from .sizes import nearly

_BITS = ("bits",)  # a key of Image.info, which no text in a file can be
# Bytes of a block of a decoded photo. Those above 32 MB go back to the system when they are freed;
# Pillow's own of 16 MB would stay with the process, 400 MB of a photo of 12000×8000.
Image.core.set_block_size(2**26)


def decode_image(path: Path) -> Image.Image:
    """RGB, 8 bit, upright: grey, palette, alpha, CMYK, 16-bit and EXIF-rotated files included.

    Transparent pixels keep the colour that the file stores for them. Grey photos of fewer bits in
    a file of 16 are scaled by their own depth, see ``depth``.
    """
    image = open_image(path)
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        values, info = np.asarray(image), image.info
        bits = depth(image, values)
        image = Image.fromarray(grey16_to_8(values, path, bits))
        image.info = info | {_BITS: bits}
    return image if image.mode == "RGB" else image.convert("RGB")


def depth(image: Image.Image, values: np.ndarray) -> int:
    """Bits that the values of a wide grey photo have: 8, 10, 12, 14 or 16.

    A TIFF file may state it. Otherwise it is 10 or 12 where nothing uses the upper fifteen
    sixteenths of 16 bits, as in photos of scanners and microscopes: taken for 16 bits they would
    be black. Photos of one set hardly ever fall on both sides, so they keep their relation.
    """
    high, tags = float(values.max(initial=0)), getattr(image, "tag_v2", {})
    if high <= 255:
        return 8
    stated = [tags.get(281), tags.get(341)]  # MaxSampleValue, SMaxSampleValue
    if tags.get(258, (16,))[0] < 16:  # BitsPerSample; 16 is the file's, whatever it was filled with
        stated.append(2**tags[258][0] - 1)
    tops = [top for value in stated if (top := value[0] if isinstance(value, tuple) else value)
            and high <= top]
    top = min(tops, default=high if high < 2**12 else 2**16 - 1)
    return next((bits for bits in (10, 12, 14) if top < 2**bits), 16)


def bits_of(image: Image.Image) -> int:
    """The depth of the file that ``decode_image`` read, per channel; 8 or fewer are 8."""
    return image.info.get(_BITS, 8)


def grey16_to_8(values: np.ndarray, path: Path, bits: int = 16) -> np.ndarray:
    """16-bit grey (0–65535) or float (0–1) to 8 bit. Pillow's own conversion would clip at 255.
    With fewer ``bits`` than 16, those are the range.

    Files that use a wide type for 8-bit values (none above 255) keep them.
    """
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    if low < 0 or high > 65535 or not np.isfinite(high):
        raise UnreadableError(f"{path}: grey values from {low:g} to {high:g}; expected 8 or 16 bit")
    scale = 1.0 if high <= 255 else 255 / (2**bits - 1)
    if values.dtype.kind == "f" and high <= 1:
        scale = 255.0
    return np.round(values * scale).astype(np.uint8)


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
