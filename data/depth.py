"""Photos of more than 8 bits in a channel → 8 bits, by the depth that they really have."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from utils.images import UnreadableError, own_turn, turned

BITS = ("bits",)  # a key of Image.info, which no text in a file can be
DEEP = 2**25  # pixels at most of a colour photo that is read with all of its 16 bits


def is_wide(image: Image.Image) -> bool:
    """Whether a decoded picture is grey of more than 8 bits."""
    return image.mode in ("I", "F") or image.mode.startswith("I;")


def has_deep_colours(file: Image.Image) -> bool:
    """Whether an opened file has colours of 16 bits, of which Pillow decodes the upper 8."""
    return (file.format in ("PNG", "TIFF") and file.mode in ("RGB", "RGBA")
            and file.width * file.height <= DEEP
            and any(";16" in str(tile[3]) for tile in file.tile))


def deep_colours(path: Path, image: Image.Image) -> np.ndarray | None:
    """The colours of a file with all of their bits, uint16 (H, W, 3), upright, by OpenCV; None
    where their upper 8 bits are not those that Pillow decoded.

    Args:
        image: the file as Pillow decoded it, turned upright.
    """
    values = decoded_by_opencv(path, cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16 or values.ndim != 3:
        return None
    channels = [Image.fromarray(np.ascontiguousarray(values[..., number])) for number in (2, 1, 0)]
    if image.format != "TIFF":  # which OpenCV turns too
        channels = [turned(channel, own_turn(image)) for channel in channels]
    values = np.stack([np.asarray(channel) for channel in channels], axis=2)
    return values if np.array_equal(values >> 8, np.asarray(image)[..., :3]) else None


def decoded_by_opencv(path: Path, flags: int) -> np.ndarray | None:
    """What OpenCV makes of a file that Pillow has opened; None where it cannot decode it."""
    logging = cv2.utils.logging
    level = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:  # not ``imread``, which takes names in UTF-8 alone
        return cv2.imdecode(np.fromfile(path, np.uint8), flags)
    except cv2.error:
        return None
    finally:
        logging.setLogLevel(level)


def depth(image: Image.Image, high: float) -> int:
    """Bits that the values of a wide photo have, of which ``high`` is the highest: 8, 10, 12, 14 or
    16.

    A TIFF file may state it. Otherwise it is 10 or 12 where nothing uses the upper fifteen
    sixteenths of 16 bits, as in photos of scanners and microscopes: taken for 16 bits they would
    be black. Photos of one set hardly ever fall on both sides, so they keep their relation.
    """
    tags = getattr(image, "tag_v2", {})
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
    """The depth of the file that ``decode.decode_image`` read, per channel; 8 or fewer are 8."""
    return image.info.get(BITS, 8)


def wide_scale(low: float, high: float, floats: bool, path: Path, bits: int) -> float:
    """What brings values from ``low`` to ``high`` of a wide photo to 0 … 255.

    Integers are of ``bits`` bits, floats from 0 to 1. Files that use a wide type for 8-bit values
    (none above 255) keep them.

    Raises:
        UnreadableError: values that are no photo's.
    """
    if low < 0 or high > 65535 or not np.isfinite(high):
        raise UnreadableError(f"{path}: grey values from {low:g} to {high:g}; expected 8 or 16 bit")
    if floats and high <= 1:
        return 255.0
    return 1.0 if high <= 255 else 255 / (2**bits - 1)


def scaled(values: np.ndarray, scale: float) -> np.ndarray:
    """Values times ``scale``, rounded to bytes. Pillow's own conversion would clip at 255."""
    return np.round(values * scale).astype(np.uint8)


def wide_to_rgb(values: np.ndarray, image: Image.Image, path: Path) -> Image.Image:
    """Grey (H, W) or colours (H, W, 3) of more than 8 bits → RGB, with the ``image``'s info."""
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    bits = depth(image, high)
    scale = wide_scale(low, high, values.dtype.kind == "f", path, bits)
    rgb = Image.fromarray(scaled(values, scale)).convert("RGB")
    rgb.info = image.info | {BITS: bits}
    return rgb
