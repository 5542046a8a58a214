"""Reading and saving saliency maps."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import imageio.v3 as iio
import numpy as np

from .errors import UserError, list_problems
from .files import written_whole
from .images import UnreadableError, open_image


def read_map(path: Path) -> np.ndarray:
    """A saliency map as uint8 (H, W).

    Raises:
        UnreadableError: does not decode, has colours, transparency or more than 8 bits.
    """
    image = open_image(path)
    if image.mode in ("L", "1") and "transparency" not in image.info:
        return np.asarray(image if image.mode == "L" else image.convert("L"))
    if image.mode not in ("1", "L", "P", "PA", "LA", "RGB", "RGBA"):
        raise UnreadableError(f"{path}: has more than 8 bits, or colours of another kind (mode "
                              f"{image.mode}); save maps as 8-bit grey, 0 to 255")
    pixels = np.asarray(image.convert("RGBA"))
    if (pixels[..., 3] != 255).any():
        raise UnreadableError(f"{path}: has transparent pixels; a map is 8-bit grey")
    if (pixels[..., :3] != pixels[..., :1]).any():
        raise UnreadableError(f"{path}: has colours; a map is 8-bit grey")
    return np.ascontiguousarray(pixels[..., 0])


def to_bytes(saliency: np.ndarray, minmax: bool = False,
             limits: tuple[float, float] | None = None, cut: bool = False) -> np.ndarray:
    """Probabilities (H, W) in [0, 1] → uint8, rounded once, or ``cut``, without their fractions;
    ``minmax`` stretches to 0–255 first.

    A constant map cannot be stretched and keeps its value.

    Args:
        limits: the least and the greatest value of the map that ``saliency`` is a part of.

    Raises:
        ValueError: not two-dimensional, or a value that is not finite or outside [0, 1].
    """
    if saliency.ndim != 2:
        raise ValueError(f"a saliency map has two dimensions, not shape {saliency.shape}")
    low, high = limits or (float(saliency.min()), float(saliency.max()))
    if not (0 <= low <= high <= 1):  # also false for NaN
        raise ValueError(f"saliency values from {low} to {high}; expected probabilities in [0, 1]")
    saliency = saliency.astype(np.float64)
    if minmax and high > low:
        saliency -= low
        saliency /= high - low
    saliency *= 255
    return (saliency if cut else np.round(saliency, out=saliency)).astype(np.uint8)


def to_unit(saliency: np.ndarray, minmax: bool = False,
            limits: tuple[float, float] | None = None, cut: bool = False) -> np.ndarray:
    """As ``to_bytes``, but float32 in [0, 1]: 255 times it rounds to exactly what ``to_bytes``
    gives. With ``cut`` it has no more levels than that."""
    levels = to_bytes(saliency, minmax, limits, cut)
    rounded = levels / np.float32(255)
    if cut:
        return rounded
    low, high = limits or (float(saliency.min()), float(saliency.max()))
    stretched = (saliency - low) / (high - low) if minmax and high > low else saliency
    exact = stretched.astype(np.float32)
    # A value near the border of two levels may fall on the other side once it is float32.
    return np.where(np.round(255 * exact) == levels, exact, rounded)


def save_map(path: Path, saliency: np.ndarray) -> Path:
    """Write a uint8 map (H, W) as PNG, whole or not at all. Returns the path.

    Raises:
        ValueError: another extension (lossy formats change the scores) or another dtype.
    """
    if saliency.dtype != np.uint8:
        raise ValueError(f"a map is saved as uint8, not {saliency.dtype}; see to_bytes")
    if path.suffix.lower() != ".png":
        raise ValueError(f"maps are saved as PNG, with the extension .png: {path}")
    with written_whole(path, "wb") as file:
        iio.imwrite(file, np.ascontiguousarray(saliency), extension=".png")
    return path


def require_writable_names(folder: Path, names: Iterable[str]) -> None:
    """Refuse maps whose file names are longer than the folder's file system takes.

    Args:
        names: of the maps, without ``.png``.

    Raises:
        UserError: names that are too long, listed.
    """
    above = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    longest = os.pathconf(above, "PC_NAME_MAX") if hasattr(os, "pathconf") else 255
    problems = [f"{name}.png has {length} bytes" for name in names
                if (length := max(len(os.fsencode(part)) for part in f"{name}.png".split("/")))
                > longest]
    if problems:
        raise UserError(list_problems(f"{folder}: file names have at most {longest} bytes, and "
                                      "these maps would have more", problems,
                                      "Rename their images."))
