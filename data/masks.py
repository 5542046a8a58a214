"""Mask files → grey values 0 to 255, however they were saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from utils.images import open_image

from .decode import grey16_to_8, upright


def decode_mask(path: Path, image: Path | None = None) -> np.ndarray:
    """Mask as uint8 (H, W), 0 background to 255 foreground, grey values kept; upright.

    Files with 0/1 are stretched to 0/255. Of colours the strongest channel counts; a colour,
    palette or 16-bit file with 0 and one other level is a label image, and that level becomes
    255. An alpha channel that varies multiplies the colour, or is the mask itself where the
    colour does not vary.

    Args:
        image: the image the mask belongs to. Tools that draw masks often drop the EXIF
            orientation, so a mask without one of its own follows its image, unless its shape
            says that it is upright already.
    """
    file = open_image(path)
    return upright(_mask_values(file, path), file, image)


def _mask_values(file: Image.Image, path: Path) -> np.ndarray:
    """Pixels of an opened mask file as uint8 0–255, not yet turned upright."""
    if file.mode in ("I", "F") or file.mode.startswith("I;"):
        return _stretch_two_levels(grey16_to_8(np.asarray(file), path))
    if file.mode in ("1", "L"):
        return _stretch_01(np.array(file.convert("L")))
    has_alpha = file.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in file.info
    pixels = np.asarray(file.convert("RGBA" if has_alpha else "RGB"))
    values = pixels[..., :3].max(axis=2)
    if has_alpha:
        alpha = pixels[..., 3]
        if alpha.min() != alpha.max():
            constant = values.min() == values.max()
            values = alpha if constant else values.astype(np.uint16) * alpha // 255
    return _stretch_two_levels(values.astype(np.uint8))


def _stretch_two_levels(values: np.ndarray) -> np.ndarray:
    """0 and one other level to 0 and 255: a label image, whatever its colour or bit depth."""
    levels = np.unique(values)
    if len(levels) == 2 and levels[0] == 0:
        return np.where(values > 0, 255, 0).astype(np.uint8)
    return _stretch_01(values)


def _stretch_01(values: np.ndarray) -> np.ndarray:
    return values * np.uint8(255) if values.max(initial=0) == 1 else values
