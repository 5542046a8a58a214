"""Edge maps to learn from: from files, or made of the image where there are none."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image


def make_edges(image: Image.Image, kind: str) -> np.ndarray:
    """Edges of an RGB image as uint8 (H, W), 0 none to 255 strong.

    Args:
        kind: ``canny`` (OpenCV, thresholds 50 and 150, after a Gaussian of 1.4 pixels), 0 or 255;
            ``sobel``, the gradient's length, of which the strongest percent is 255.
    """
    grey = cv2.GaussianBlur(np.asarray(image.convert("L")), (0, 0), 1.4)
    if kind == "canny":
        return cv2.Canny(grey, 50, 150)
    across, down = (cv2.Sobel(grey, cv2.CV_32F, dx, 1 - dx) for dx in (1, 0))
    strength = np.hypot(across, down)
    full = max(float(np.percentile(strength, 99)), 1.0)
    return (strength / full * 255).clip(0, 255).round().astype(np.uint8)
