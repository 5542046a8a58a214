"""Large photos, made smaller while they are decoded, where the caller shrinks them further."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from utils.bands import bands, turns_itself
from utils.images import orientation, turned, turned_by_pillow

from .depth import BITS, decoded_by_opencv, depth, is_wide, scaled, wide_scale
from .sizes import Size

LARGE = 2**26  # pixels of a photo that is decoded as it is
_ENOUGH = 2**24  # pixels to which larger ones are shrunk, about
_WEBP = 2**24  # pixels of a WebP photo that Pillow decodes
_SIZE = ("size",)  # a key of Image.info, which no text in a file can be


def shrinking(size: Size, least: int) -> int:
    """1, 2, 4 or 8: by what a picture of ``size`` is shrunk while it is decoded. Each of its sides
    stays at least twice ``least``."""
    factor = 1
    if size[0] * size[1] > LARGE:
        while (factor < 8 and size[0] * size[1] > _ENOUGH * factor**2
               and min(size) >= 4 * factor * least):
            factor *= 2
    return factor


def original_size(image: Image.Image) -> Size:
    """Width and height, upright, of the file that ``decode_image`` read."""
    return image.info.get(_SIZE, image.size)


def is_costly(file: Image.Image) -> bool:
    """Whether Pillow takes 16 bytes a pixel for an opened file, and OpenCV less."""
    return file.format == "WEBP" and file.width * file.height > _WEBP


def shrunk(path: Path, file: Image.Image, factor: int) -> Image.Image:
    """An opened photo as 8-bit RGB, upright, of ``factor`` times smaller sides: squares of so many
    pixels averaged, in JPEG files by their own decoder.

    Raises:
        Exception: whatever Pillow raises for a file that it cannot decode.
    """
    turn, (width, height) = orientation(file), file.size
    if file.format in ("JPEG", "MPO"):
        file.draft(None, (width // factor, height // factor))
        file.load()
        small = file.convert("RGB")
    elif file.format != "WEBP" or (small := _webp(path, factor)) is None:
        turns = turns_itself(file) and turned_by_pillow(file)
        small = _averaged(path, file, factor)
        if turns:
            turn, (width, height) = 1, file.size
    small = turned(small, turn)
    small.info = file.info | small.info | {
        _SIZE: (height, width) if turn >= 5 else (width, height)}
    return small


def _averaged(path: Path, file: Image.Image, factor: int) -> Image.Image:
    """Any opened photo, band by band."""
    scale, bits = _depth(path, file) if is_wide(file) else (None, 8)
    small, top = None, 0
    for band in bands(file):
        if small is None:  # as Pillow may turn the file while it decodes the first band
            small = Image.new("RGB", tuple(-(-side // factor) for side in file.size))
        part = band if scale is None else Image.fromarray(scaled(np.asarray(band), scale))
        small.paste(part.convert("RGB").reduce(factor), (0, top // factor))
        top += band.height
    small.info = {BITS: bits}
    return small


def _depth(path: Path, file: Image.Image) -> tuple[float, int]:
    """What brings grey of more than 8 bits to bytes, and its depth, for which all of it counts."""
    lows, highs = zip(*((values.min(), values.max()) for values in map(np.asarray, bands(file))),
                      strict=True)
    bits = depth(file, float(max(highs)))
    return wide_scale(float(min(lows)), float(max(highs)), file.mode == "F", path, bits), bits


def _webp(path: Path, factor: int) -> Image.Image | None:
    """A WebP file decoded by OpenCV, to the same pixels as by Pillow; None where it cannot."""
    flags = cv2.IMREAD_COLOR if factor == 1 else cv2.IMREAD_REDUCED_COLOR_2
    values = decoded_by_opencv(path, flags | cv2.IMREAD_IGNORE_ORIENTATION)
    if values is None:
        return None
    colours = Image.merge("RGB", [Image.fromarray(values[..., channel]) for channel in (2, 1, 0)])
    return colours.reduce(factor // 2) if factor > 2 else colours
