"""The context-measure (Wang et al., arXiv 2512.07076): relevance against coverage in context."""

from __future__ import annotations

import cv2
import numpy as np

from .measures import EPS

SPREAD = 6.0  # standard deviation of the context, shared out to rows and columns


def context_measure(values: np.ndarray, foreground: np.ndarray) -> float:
    """Harmonic mean of how relevant the map is and how well it covers the object, in [0, 1].

    Args:
        values: float64 (H, W) in [0, 1], the stretched map.
        foreground: bool (H, W). An empty truth gives 0.
    """
    kernel = context_kernel(foreground)
    # The truth is filtered in float32, as its authors do.
    relevance = cv2.filter2D(foreground.astype(np.float32), cv2.CV_32F, kernel) * (values > 0)
    relevance = (relevance * values).sum() / (values.sum() + EPS)
    covered = 1 - np.exp(-cv2.filter2D(values, -1, kernel))
    coverage = np.e / (np.e - 1) * covered[foreground].sum() / (foreground.sum() + EPS)
    return float(2 * relevance * coverage / (relevance + coverage + EPS))


def context_kernel(foreground: np.ndarray) -> np.ndarray:
    """Gaussian of the object's own shape, float64, sum 1: its covariance, scaled to SPREAD.

    An object of no pixel or one has a fixed kernel of 3×3. One whose pixels lie on a slanted line
    has a singular covariance, of which PySODMetrics takes what rounding makes its inverse, or
    fails; here it is widened by 1e-6 of itself.
    """
    points = np.argwhere(foreground)
    if len(points) <= 1:
        covariance, reach = np.diag([0.25, 0.25]), (1, 1)
    else:
        covariance = np.cov(points, rowvar=False)
        covariance[np.eye(2, dtype=bool) & (covariance == 0)] = EPS
        covariance *= SPREAD**2 / np.trace(covariance)
        if slanted_line(covariance):
            covariance += 1e-6 * np.trace(covariance) * np.eye(2)
        reach = tuple(round(3 * side) for side in np.sqrt(np.diag(covariance)))
    rows, columns = (np.arange(-side, side + 1) for side in reach)
    steps = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)
    exponents = np.einsum("rci,ij,rcj->rc", steps, np.linalg.inv(covariance), steps)
    kernel = np.exp(-exponents / 2)
    return kernel / kernel.sum()


def slanted_line(covariance: np.ndarray) -> bool:
    """Whether points of this covariance (2, 2) lie on a line that is no row and no column."""
    return bool(covariance[0, 1] ** 2 > covariance[0, 0] * covariance[1, 1] * (1 - 1e-9))
