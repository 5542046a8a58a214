"""scikit-image's bilinear resize, as released codes shrink images and enlarge maps with it:
``resize(…, order=1, anti_aliasing=False)``. Only the pixels that count are read."""

from __future__ import annotations

import numpy as np

#: A method of resizing → whether it is black beyond the border. Otherwise the picture is mirrored
#: at the middle of its outermost pixels. It counts where a picture is enlarged.
SKIMAGE_BORDERS = {"skimage": False, "skimage_black": True}


def resize_as_skimage(values: np.ndarray, size: tuple[int, int], black: bool) -> np.ndarray:
    """(H, W) or (H, W, C) → float64 of height and width ``size``, in the same units.

    Args:
        black: see ``SKIMAGE_BORDERS``. Nothing gets darker than the darkest pixel is.
    """
    least, most = values.min(), values.max()
    for axis, side in enumerate(size):
        length = values.shape[axis]
        place = (np.arange(side) + 0.5) * (length / side) - 0.5
        low = np.floor(place).astype(int)
        share = np.expand_dims(place - low, tuple(range(1, values.ndim - axis)))
        first, second = (_taken(values, low + step, axis, black) for step in (0, 1))
        values = first + share * (second - first)
    return values.clip(least, most)


def _taken(values: np.ndarray, places: np.ndarray, axis: int, black: bool) -> np.ndarray:
    """Rows or columns at ``places``, which may lie one beyond the border."""
    last = values.shape[axis] - 1
    mirrored = np.clip(last - abs(last - abs(places)), 0, last)
    taken = values.take(mirrored, axis).astype(np.float64)
    if black:
        outside = (places < 0) | (places > last)
        taken[(slice(None),) * axis + (outside,)] = 0
    return taken
