"""Human correction effort (Qin et al., ECCV 2022): how many clicks mend a mask."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

RELAX = 5  # pixels of tolerance along the borders
TOLERANCE = 2.0  # pixels by which a polygon may leave the border


def correction_effort(selected: np.ndarray, foreground: np.ndarray) -> int:
    """Number of clicks: corners of polygons along wrong borders, and wrong regions without one.

    Errors thinner than the tolerance do not count, except missed parts of the truth's skeleton.

    Args:
        selected: the predicted mask, bool (H, W).
        foreground: bool (H, W).

    Raises:
        ImportError: scikit-image, which computes the skeleton, is not installed.
    """
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    right = selected & foreground
    surplus, missing = selected & ~foreground, foreground & ~selected
    core = cv2.erode((selected | foreground).view(np.uint8), cross, iterations=RELAX).view(bool)

    def thick(error: np.ndarray, forbidden: np.ndarray) -> np.ndarray:
        """The error without what a few erosions remove, grown back inside itself."""
        grown = error & core
        for _ in range(RELAX):
            grown = cv2.dilate(grown.view(np.uint8), cross).view(bool) & ~forbidden
        return grown & error

    surplus = thick(surplus, foreground)
    missing = thick(missing, selected) | (skeleton(foreground) & ~right)
    wrong = ((surplus, right | missing), (missing, ~(right | surplus | missing)))
    return sum(clicks(region, cv2.dilate(beside.view(np.uint8), cross).view(bool))
               for region, beside in wrong)


def skeleton(mask: np.ndarray) -> np.ndarray:
    """One-pixel-wide centre lines of a mask, bool (H, W)."""
    try:
        from skimage.morphology import skeletonize
    except ImportError:
        raise ImportError("human correction effort (HCE) needs scikit-image: "
                          "pip install scikit-image") from None
    return skeletonize(mask).astype(bool)


def clicks(region: np.ndarray, border: np.ndarray) -> int:
    """Clicks to mend ``region``: corners along ``border``, one for each part that has none."""
    _, parts = cv2.connectedComponents(region.view(np.uint8), connectivity=8)
    contours, _ = cv2.findContours(region.view(np.uint8), cv2.RETR_TREE, cv2.CHAIN_APPROX_NONE)
    corners, touched = 0, np.zeros(parts.max() + 1, bool)
    touched[0] = True  # the background
    for segment in segments(contours, border):
        touched[parts[segment[:, 1], segment[:, 0]]] = True
        corners += len(cv2.approxPolyDP(segment[:, None, :], TOLERANCE, False))
    return corners + int((~touched).sum())


def segments(contours: tuple[np.ndarray, ...], border: np.ndarray) -> Iterator[np.ndarray]:
    """The runs of contour points on ``border``, int32 (n, 2) as x, y; each pixel used once.

    Where a contour begins inside a run, its last and first run are joined, the first reversed, as
    the authors do.
    """
    if not contours:
        return
    points = np.concatenate(contours)[:, 0]
    used = border[points[:, 1], points[:, 0]]
    _, first = np.unique(points[used] @ (1, border.shape[1]), return_index=True)
    again = np.ones(used.sum(), bool)
    again[first] = False
    used[np.flatnonzero(used)[again]] = False
    start = 0
    for contour in contours:
        stop = start + len(contour)
        inside = np.flatnonzero(used[start:stop]) + start
        runs = np.split(points[inside], np.flatnonzero(np.diff(inside) > 1) + 1)
        if len(runs) > 1 and abs(runs[0][0] - runs[-1][-1]).max() == 1:
            runs[-1] = np.concatenate([runs[-1], runs.pop(0)[::-1]])
        yield from (np.ascontiguousarray(run) for run in runs if len(run))
        start = stop
