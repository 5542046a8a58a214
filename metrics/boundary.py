"""Measures that look at boundaries: boundary IoU, mean boundary accuracy, multi-scale IoU."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

BAND = 0.02  # width of the boundary, in parts of the image's diagonal
RADII = 5  # of mean boundary accuracy
SCALES = 10  # of multi-scale IoU: cells of 1, 2, 4, …, 512 pixels


def boundary_iou(levels: np.ndarray, foreground: np.ndarray) -> np.ndarray:
    """Boundary IoU (Cheng et al., CVPR 2021) at 256 thresholds, as in high-resolution papers.

    The band inside the map's edges is what a grey-level erosion takes away from the map. Where
    the union of the two bands is empty the value is 0.

    Args:
        levels: uint8 (H, W), the stretched map rounded down to bytes.
        foreground: bool (H, W).

    Returns:
        float64 (256,) for the thresholds 255, 254, …, 0.
    """
    band = inner_band(levels)
    truth = inner_band(foreground.view(np.uint8)).view(bool)
    hits, alarms = (np.bincount(band[where], minlength=256)[::-1].cumsum()
                    for where in (truth, ~truth))
    return hits / np.maximum(truth.sum() + alarms, 1)


def inner_band(mask: np.ndarray) -> np.ndarray:
    """uint8 (H, W) minus its erosion by 2 % of the diagonal; the image's edge bounds it too."""
    width = max(1, round(BAND * float(np.hypot(*mask.shape))))
    return mask - cv2.erode(mask, np.ones((3, 3), np.uint8), iterations=width,
                            borderType=cv2.BORDER_CONSTANT, borderValue=0)


def mean_boundary_accuracy(prediction: np.ndarray, foreground: np.ndarray) -> float:
    """mBA (Cheng et al., CascadePSP, CVPR 2020), in [0, 1].

    It is the share of right pixels around the truth's boundary, averaged over five radii from 1
    to 1/300 of width plus height. The map is cut above 128 without being stretched. A truth
    without boundary (empty or full) gives 0.

    Args:
        prediction: uint8 (H, W), not stretched.
        foreground: bool (H, W).
    """
    right = (prediction > 128) == foreground
    largest = sum(foreground.shape) / 300
    accuracies = []
    for step in range(RADII):
        side = 2 * (1 + int((largest - 1) / RADII * step)) + 1
        disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
        near = cv2.morphologyEx(foreground.view(np.uint8), cv2.MORPH_GRADIENT, disk).view(bool)
        accuracies.append(right[near].sum() / max(near.sum(), 1))
    return float(np.mean(accuracies))


def multi_scale_iou(values: np.ndarray, foreground: np.ndarray,
                    cuts: Sequence[int] = (1,)) -> np.ndarray:
    """MSIoU (Ahmadzadeh et al., ICIP 2021) of T masks ``values >= cut``: float64 (T,), (0, 1].

    Edges are counted in cells of 1 to 512 pixels. The share of the truth's edge cells that a
    mask's edges reach too is averaged over the scales by the trapezoidal rule. Counts are integers;
    PySODMetrics adds them in float16, which is exact up to 2048 edge cells.

    Args:
        values: uint8 or bool (H, W).
        foreground: bool (H, W).
    """
    # Mask k is bit k % 8 of byte k // 8, so that all masks are halved at once.
    of_masks = np.zeros((-(-len(cuts) // 8), *values.shape), np.uint8)
    for k, cut in enumerate(cuts):
        of_masks[k // 8] |= edges(values >= cut) << np.uint8(k % 8)
    of_truth = edges(foreground)
    shares = []
    for _ in range(SCALES):
        hits = np.unpackbits(of_masks[:, of_truth.view(bool)], axis=0, count=len(cuts),
                             bitorder="little").sum(axis=1, dtype=np.int64)
        shares.append((hits + 1) / (of_truth.sum() + 1))
        of_masks, of_truth = halve(of_masks), halve(of_truth)
    return (np.sum(shares, axis=0) - (shares[0] + shares[-1]) / 2) / (SCALES - 1)


def edges(mask: np.ndarray) -> np.ndarray:
    """Where a mask's Sobel filter is not 0, uint8 (H, W) of 0 and 1; background is outside it."""
    across, down = (cv2.Sobel(mask.view(np.uint8), cv2.CV_16S, *order,
                              borderType=cv2.BORDER_CONSTANT) for order in ((1, 0), (0, 1)))
    return ((across | down) != 0).view(np.uint8)


def halve(image: np.ndarray) -> np.ndarray:
    """Join 2×2 pixels by "or", from the last row and column on: uint8 (…, H, W)."""
    odd = [(side % 2, 0) for side in image.shape[-2:]]
    image = np.pad(image, [(0, 0)] * (image.ndim - 2) + odd)
    image = image[..., ::2, :] | image[..., 1::2, :]
    return image[..., ::2] | image[..., 1::2]
