"""Measures that look at boundaries: boundary IoU, mean boundary accuracy, multi-scale IoU."""

from __future__ import annotations

import sys
from functools import cache

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


def binary_boundary_iou(selected: np.ndarray, foreground: np.ndarray) -> float:
    """Boundary IoU of two masks, bool (H, W); 0 where both bands are empty."""
    of_map, of_truth = (inner_band(mask.view(np.uint8)).view(bool)
                        for mask in (selected, foreground))
    return float((of_map & of_truth).sum() / max((of_map | of_truth).sum(), 1))


def inner_band(mask: np.ndarray) -> np.ndarray:
    """uint8 (H, W) minus its erosion by 2 % of the diagonal; the image's edge bounds it too."""
    width = max(1, round(BAND * float(np.hypot(*mask.shape))))
    eroded = cv2.erode(cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0),
                       np.ones((3, 3), np.uint8), iterations=width)
    return mask - eroded[1:-1, 1:-1]


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


def multi_scale_iou(selected: np.ndarray, foreground: np.ndarray) -> float:
    """MSIoU (Ahmadzadeh et al., ICIP 2021) of two masks, bool (H, W), in (0, 1].

    Edges are counted in cells of 1 to 512 pixels. The share of the truth's edge cells that the
    map's edges reach too is averaged over the scales by the trapezoidal rule. Counts are integers;
    PySODMetrics adds them in float16, which is exact up to 2048 edge cells.
    """
    of_map, of_truth = edges(selected), edges(foreground)
    shares = []
    for _ in range(SCALES):
        shares.append(((of_map & of_truth).sum() + 1) / (of_truth.sum() + 1))
        of_map, of_truth = halve(of_map), halve(of_truth)
    return trapezoid(np.array(shares))


def multi_scale_iou_curve(levels: np.ndarray, foreground: np.ndarray) -> np.ndarray:
    """MSIoU of the map cut at 256, 255, …, 0: float64 (257,).

    All thresholds are computed at once: a pixel's 256 selections are the bits of four words, and
    the Sobel filter is added up in bits.

    Args:
        levels: uint8 (H, W), the stretched map rounded down to bytes.
        foreground: bool (H, W).
    """
    words = np.pad(selections()[levels], ((1, 1), (1, 1), (0, 0)))
    of_map, of_truth = edge_bits(words), edges(foreground)
    shares = []
    for _ in range(SCALES):
        hits = of_map[of_truth].view(np.uint8)
        hits = np.unpackbits(hits, axis=1, bitorder="little").sum(axis=0, dtype=np.int64)
        shares.append((np.append(hits, 0) + 1) / (of_truth.sum() + 1))
        of_map, of_truth = halve(of_map), halve(of_truth)
    return trapezoid(np.array(shares))[::-1]


def trapezoid(shares: np.ndarray) -> np.ndarray | float:
    """Area under the shares of the scales (SCALES, …), spread over a unit."""
    return (shares.sum(axis=0) - (shares[0] + shares[-1]) / 2) / (SCALES - 1)


def edges(mask: np.ndarray) -> np.ndarray:
    """Where the Sobel filter of a mask is not 0, bool (H, W); outside the image is background."""
    gradients = (cv2.Sobel(mask.view(np.uint8), cv2.CV_16S, *order,
                           borderType=cv2.BORDER_CONSTANT) for order in ((1, 0), (0, 1)))
    return np.logical_or(*(gradient != 0 for gradient in gradients))


def halve(image: np.ndarray) -> np.ndarray:
    """Join 2×2 pixels by "or", from the last row and column on: bits or bool (H, W, …)."""
    odd = [(side % 2, 0) for side in image.shape[:2]] + [(0, 0)] * (image.ndim - 2)
    image = np.pad(image, odd)
    image = image[::2] | image[1::2]
    return image[:, ::2] | image[:, 1::2]


@cache
def selections() -> np.ndarray:
    """(256, 4) uint64: the thresholds 0 to 255 that each byte reaches, as bits."""
    assert sys.byteorder == "little", "words are taken apart as little-endian bytes"
    reached = np.arange(256)[:, None] >= np.arange(256)
    return np.packbits(reached, axis=1, bitorder="little").view(np.uint64)


def edge_bits(words: np.ndarray) -> np.ndarray:
    """``edges`` at all thresholds: (H + 2, W + 2, 4) padded words → (H, W, 4)."""
    above, below, left, right = words[:-2], words[2:], words[:, :-2], words[:, 2:]
    vertical = unequal(weighted_sum(above, axis=1), weighted_sum(below, axis=1))
    horizontal = unequal(weighted_sum(left, axis=0), weighted_sum(right, axis=0))
    return vertical | horizontal


def weighted_sum(words: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """a + 2 b + c of three neighbours along ``axis``: the bits of 1, 2 and 4."""
    if axis == 0:
        a, b, c = words[:-2], words[1:-1], words[2:]
    else:
        a, b, c = words[:, :-2], words[:, 1:-1], words[:, 2:]
    carry = a & c
    return a ^ c, b ^ carry, b & carry


def unequal(a: tuple[np.ndarray, ...], b: tuple[np.ndarray, ...]) -> np.ndarray:
    """Where two numbers differ that are given as their three bits."""
    differing = (bits_of_a ^ bits_of_b for bits_of_a, bits_of_b in zip(a, b, strict=True))
    return next(differing) | next(differing) | next(differing)
