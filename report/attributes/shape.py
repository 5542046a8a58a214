"""Attributes of the object's mask: bool (H, W), with at least one pixel of object.

Lengths are shares of the image's longer side, so that a mask and its enlarged copy are alike.
"""

from __future__ import annotations

import cv2
import numpy as np

OBJECT = 0.01  # of the foreground's area, which a component that counts as an object exceeds
HOLE = 0.001  # of the filled object's area, which a hole has at least
BORDER = 1 / 128  # of the longer side: what lies so near to the image's edge touches it
OUTLINE = 1 / 256  # of the longer side: σ of the Gaussian by which an outline is measured
THIN = 1 / 64  # of the longer side: radius of the disc that opens the mask


def size(mask: np.ndarray) -> float:
    """Share of the image's pixels that are object, in (0, 1]."""
    return float(mask.mean())


def objects(mask: np.ndarray) -> float:
    """Number of 8-connected components of more than ``OBJECT`` of the foreground's area."""
    _, _, components, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = components[1:, cv2.CC_STAT_AREA]
    return float((areas > OBJECT * areas.sum()).sum())


def touches_border(mask: np.ndarray) -> float:
    """1 where the object has pixels within ``BORDER`` of the image's edge, else 0."""
    margin = length(mask.shape, BORDER)
    return float(mask.sum() > mask[margin:-margin, margin:-margin].sum())


def off_centre(mask: np.ndarray) -> float:
    """Distance of the object's centroid from the image's centre over half the image's diagonal, in
    [0, 1)."""
    rows, columns = np.nonzero(mask)
    height, width = mask.shape
    return float(np.hypot(rows.mean() - (height - 1) / 2, columns.mean() - (width - 1) / 2)
                 / (np.hypot(height, width) / 2))


def complexity(mask: np.ndarray) -> float:
    """P² / (4πA) of the outline's length P, that of holes and along the image's edge included, and
    the area A: 1 of a disc, 1.27 of a square.

    P is the sum of the slope of the mask that a Gaussian has smoothed (``OUTLINE``), which unlike
    counts of outer pixels is as long at any angle.
    """
    sigma = OUTLINE * max(mask.shape)
    # OpenCV smooths whole numbers to the bit, and floats as they lie in memory.
    full = np.pad(mask, int(4 * sigma) + 2).astype(np.uint16) * np.uint16(65535)
    smooth = cv2.GaussianBlur(full, (0, 0), sigma).astype(np.float64) / 65535
    across = (smooth[1:-1, 2:] - smooth[1:-1, :-2]) / 2
    down = (smooth[2:, 1:-1] - smooth[:-2, 1:-1]) / 2
    outline = np.sqrt(across**2 + down**2).sum()
    return float(outline**2 / (4 * np.pi * mask.sum()))


def holes(mask: np.ndarray) -> float:
    """Share of the object with its holes filled that is hole, in [0, 1).

    A hole is background from which no 4-connected path leads out of the image. Those below
    ``HOLE`` are specks of the annotation, and count as object.
    """
    filled = np.pad(mask, 1).astype(np.uint8)
    cv2.floodFill(filled, None, (0, 0), 2)
    inside = (filled == 0).astype(np.uint8)
    total = mask.sum() + inside.sum()
    areas = cv2.connectedComponentsWithStats(inside, connectivity=4)[2][1:, cv2.CC_STAT_AREA]
    return float(areas[areas >= HOLE * total].sum() / total)


def thin(mask: np.ndarray) -> float:
    """Share of the object that an opening with a disc of radius ``THIN`` takes away, in [0, 1].

    What the image's edge cuts is taken to go on beyond it.
    """
    radius = length(mask.shape, THIN)
    # OpenCV's own ellipse is another one when it is turned by a right angle.
    away = np.arange(-radius, radius + 1) ** 2
    disc = (away[:, None] + away < (radius + 0.5) ** 2).astype(np.uint8)
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, disc)
    return float(1 - opened.sum() / mask.sum())


def length(shape: tuple[int, ...], share: float) -> int:
    """A share of the longer side in whole pixels, at least 1."""
    return max(1, round(share * max(shape[:2])))
