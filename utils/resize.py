"""scikit-image's bilinear resize, as released codes shrink images and enlarge maps with it."""

from __future__ import annotations

import numpy as np

#: A method of resizing → what scikit-image takes for the pixels beyond the border, which count
#: where an image is enlarged.
SKIMAGE_BORDERS = {"skimage": "reflect", "skimage_black": "constant"}


def resize_by_skimage(values: np.ndarray, size: tuple[int, int], border: str) -> np.ndarray:
    """uint8, or float in [0, 1], (H, W) or (H, W, C) → float64 in [0, 1] of height and width
    ``size``. Between two pixels it is interpolated; what is shrunk is not averaged.

    Args:
        border: ``reflect`` or ``constant``, which is black.
    """
    from skimage.transform import resize  # takes half a second, which most recipes do without

    return resize(values, size, order=1, mode=border, anti_aliasing=False)
