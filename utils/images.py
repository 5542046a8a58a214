"""Saving saliency maps."""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as iio
import numpy as np


def to_bytes(saliency: np.ndarray, minmax: bool = False) -> np.ndarray:
    """Probabilities (H, W) in [0, 1] → uint8, rounded once; ``minmax`` stretches to 0–255 first.

    A constant map cannot be stretched and keeps its value.

    Raises:
        ValueError: not two-dimensional, or a value that is not finite or outside [0, 1].
    """
    if saliency.ndim != 2:
        raise ValueError(f"a saliency map has two dimensions, not shape {saliency.shape}")
    low, high = float(saliency.min()), float(saliency.max())
    if not (0 <= low <= high <= 1):  # also false for NaN
        raise ValueError(f"saliency values from {low} to {high}; expected probabilities in [0, 1]")
    saliency = saliency.astype(np.float64)
    if minmax and high > low:
        saliency = (saliency - low) / (high - low)
    return np.round(saliency * 255).astype(np.uint8)


def save_map(path: Path, saliency: np.ndarray) -> Path:
    """Write a uint8 map (H, W) as PNG; a path without extension gets ``.png``. Returns the path.

    Raises:
        ValueError: another extension (lossy formats change the scores) or another dtype.
    """
    if saliency.dtype != np.uint8:
        raise ValueError(f"a map is saved as uint8, not {saliency.dtype}; see to_bytes")
    # A dot may belong to the stem ("img.v2"), so only an image format's extension is one.
    if path.suffix.lower() in (".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif"):
        raise ValueError(f"maps are saved as PNG, not as {path.suffix}: {path}")
    if path.suffix.lower() != ".png":
        path = path.with_name(path.name + ".png")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    iio.imwrite(temporary, np.ascontiguousarray(saliency), extension=".png")
    temporary.replace(path)
    return path
