"""Attributes of the photo: RGB uint8 (H, W, 3), most with the object's mask, bool (H, W).

Lengths are shares of the image's longer side. What needs pixels that the image has none of, such as
a surround where the object fills the image, is NaN.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from .shape import length

SURROUND = 1 / 16  # of the longer side: how far the object's surround reaches
CELL = (12.5, 16.0, 16.0)  # of the histogram of L, a and b
SMOOTHING = 1 / 128  # of the longer side: σ of the Gaussian before edges are detected
EDGE = (40, 80)  # Canny's thresholds of the Sobel gradient of grey values of 0 to 255
MARGIN = 1 / 64  # of the longer side: what lies so near to the object is not its background's edge
WAVELENGTHS = (1 / 32, 1 / 16, 1 / 8)  # of the longer side, of the Gabor filters
ORIENTATIONS = 4  # of the same, evenly over half a turn
BANDWIDTH = 0.56  # σ over the wavelength: of one octave


def contrast(image: np.ndarray, mask: np.ndarray) -> float:
    """χ² = ½ Σ (p − q)² / (p + q) of the histograms p of the object's and q of its surround's
    colours, in [0, 1]: 0 of the same colours, 1 of none in common.

    The histogram is over cells of L, a and b together; grey is in the middle of a cell.
    """
    near = distance(mask) <= length(mask.shape, SURROUND)
    surround = near & ~mask
    if not surround.any():
        return math.nan
    cells = np.floor(lab(image) / np.float32(CELL) + np.float32((0, 8.5, 8.5))).astype(np.int32)
    cells = cells @ np.array((256, 16, 1), np.int32)  # sRGB's a and b lie within ±8 cells
    p, q = (np.bincount(cells[part], minlength=9 * 256) / part.sum() for part in (mask, surround))
    used = p + q > 0
    return float(((p - q)[used] ** 2 / (p + q)[used]).sum() / 2)


def object_colours(image: np.ndarray, mask: np.ndarray) -> float:
    """Spread of the object's colours: √ mean ‖c − c̄‖² over its pixels, in units of CIELAB."""
    return _spread(lab(image), mask)


def background_colours(image: np.ndarray, mask: np.ndarray) -> float:
    """The same of the background."""
    return _spread(lab(image), ~mask)


def background_edges(image: np.ndarray, mask: np.ndarray) -> float:
    """Share of the background's pixels, those within ``MARGIN`` of the object left out, that are
    edges (see ``edges``), in [0, 1]."""
    background = distance(mask) > length(mask.shape, MARGIN)
    return float(edges(image)[background].mean()) if background.any() else math.nan


def canny(image: np.ndarray) -> float:
    """Share of the image's pixels that are edges (see ``edges``), in [0, 1]."""
    return float(edges(image).mean())


def gabor(image: np.ndarray) -> float:
    """Root of the mean energy of the responses to Gabor filters of ``WAVELENGTHS`` and
    ``ORIENTATIONS``, in percent of the grey range.

    A filter has gain 1 for a wave of its own frequency f₀, and e^(−2π²σ²‖f − f₀‖²) for others; the
    mean grey value is taken off first, and the image is continued by its mirror image. The last of
    an odd number of rows or columns is left out.
    """
    height, width = (side // 2 * 2 for side in image.shape[:2])  # OpenCV's transform needs it
    if not height or not width:
        return math.nan
    grey = cv2.cvtColor(image[:height, :width], cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    # The cosine transform is the Fourier transform of the image with its mirror images, and by
    # Parseval the mean of the squared responses is a sum over its coefficients.
    waves = cv2.dct((grey - grey.mean(dtype=np.float64)).astype(np.float32))
    return float(100 * np.sqrt((waves**2 * _gabor_power(*grey.shape)).sum() / grey.size))


def _gabor_power(height: int, width: int) -> np.ndarray:
    """Squared gain, a mean over the filters, for each coefficient of the cosine transform: float32
    (height, width)."""
    lengths, angles = np.meshgrid(np.multiply(WAVELENGTHS, max(height, width)),
                                  np.pi * np.arange(ORIENTATIONS) / ORIENTATIONS)
    sharpness = (2 * np.pi * BANDWIDTH * lengths.reshape(-1, 1)) ** 2

    def gain(side: int, part: np.ndarray) -> np.ndarray:
        """Of every filter, whose frequency has this part along the side: (filters, side)."""
        frequencies, own = np.arange(side) / (2 * side), (part / lengths).reshape(-1, 1)
        return sum(np.exp(-sharpness * (sign * frequencies - own) ** 2) for sign in (1, -1))

    # A coefficient is of the four waves (±fy, ±fx), with a quarter of the power each. The filter
    # answers to one half of a real wave with twice that half: 4 times the power. A Gaussian of
    # both frequencies is the product of one of each.
    power = np.einsum("fy,fx->yx", gain(height, np.sin(angles)), gain(width, np.cos(angles)))
    return (power / lengths.size).astype(np.float32)


def edges(image: np.ndarray) -> np.ndarray:
    """Canny's edges of the smoothed grey values, bool (H, W). They begin where grey steps by about
    50 of 255, and go on down to steps of 25."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    smooth = cv2.GaussianBlur(grey, (0, 0), SMOOTHING * max(grey.shape))
    return cv2.Canny(smooth, *EDGE, L2gradient=True) > 0


def lab(image: np.ndarray) -> np.ndarray:
    """CIELAB (D65) of sRGB, float32 (H, W, 3): L in [0, 100], a and b about ±100."""
    return cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)


def distance(mask: np.ndarray) -> np.ndarray:
    """Pixels to the nearest pixel of the object, float32 (H, W); 0 in it."""
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def _spread(colours: np.ndarray, where: np.ndarray) -> float:
    """Of the colours (H, W, 3) where a bool (H, W) is true."""
    if not where.any():
        return math.nan
    apart = colours - colours[where][0]  # of one colour there is exactly no spread
    _, deviations = cv2.meanStdDev(apart, mask=where.astype(np.uint8))
    return float(np.sqrt((deviations**2).sum()))
