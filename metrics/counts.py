"""How often each byte of a map meets foreground and background: all that most measures need.

A map is divided into four blocks at the centroid of its ground truth, for the S-measure (Fan et
al., ICCV 2017), and counted once. Sums over the blocks serve every other measure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

BAND = 2**22  # pixels of a large map that are looked at together

#: (prediction, truth), both uint8 (H, W).
Sample = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Counts:
    """Counts of B maps.

    Attributes:
        blocks: (B, 4, 2, 256) int64: of each block (left top, right top, left bottom, right
            bottom), how often each byte meets background and foreground.
        shapes: (B, 2) int64: height and width.
        splits: (B, 2) int64: row and column at which the blocks part.
    """

    blocks: np.ndarray
    shapes: np.ndarray
    splits: np.ndarray


def valued(prediction: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The map (H, W) with each byte replaced by its value, float64, in the map's memory order.

    In that order every tool adds up its pixels, so sums of it round alike.
    """
    return np.take(values, prediction, out=np.empty_like(prediction, dtype=np.float64))


def require_sample(prediction: np.ndarray, truth: np.ndarray) -> None:
    """Check that two arrays can be scored against each other.

    Raises:
        ValueError: not uint8, not two-dimensional, different shapes, no pixels.
    """
    for name, array in (("prediction", prediction), ("ground truth", truth)):
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{name} must be an array, not {type(array).__name__}")
        if array.dtype != np.uint8 or array.ndim != 2:
            raise ValueError(f"{name} must be uint8 of two dimensions, not {array.dtype} "
                             f"{array.shape}")
    if prediction.shape != truth.shape:
        raise ValueError(f"prediction {prediction.shape} and ground truth {truth.shape} differ in "
                         "size")
    if 0 in prediction.shape:
        raise ValueError("the map has no pixels")


def count(samples: Sequence[Sample], foreground_above: int = 128,
          split_offset: int = 1) -> Counts:
    """Count maps with NumPy; see ``Counts`` and ``profiles.Profile``."""
    blocks = np.empty((len(samples), 4, 2, 256), dtype=np.int64)
    splits = np.empty((len(samples), 2), dtype=np.int64)
    for i, (prediction, truth) in enumerate(samples):
        foreground = (truth > foreground_above).view(np.uint8)
        splits[i] = row, column = split(foreground, split_offset)
        blocks[i] = 0
        for start, end in row_bands(*prediction.shape):
            cells = foreground[start:end].astype(np.uint16)
            cells <<= 8
            cells |= prediction[start:end]
            cells[max(row - start, 0):] += 1024
            cells[:, column:] += 512
            blocks[i] += histogram(cells).astype(np.int64).reshape(4, 2, 256)
    shapes = np.array([prediction.shape for prediction, _ in samples], dtype=np.int64)
    return Counts(blocks, shapes.reshape(-1, 2), splits)


def row_bands(height: int, width: int) -> Iterator[tuple[int, int]]:
    """Start and end of bands of rows of at most ``BAND`` pixels: one for maps of usual sizes."""
    rows = max(1, BAND // width)
    return ((start, min(start + rows, height)) for start in range(0, height, rows))


def histogram(cells: np.ndarray) -> np.ndarray:
    """How often each number below 2048 occurs in ``cells``, uint16."""
    if cells.size < 2**24:  # OpenCV counts in float32, exact up to here, and is twice as fast
        return cv2.calcHist([cells], [0], None, [2048], [0, 2048]).ravel()
    return np.bincount(cells.ravel(), minlength=2048)


def split(foreground: np.ndarray, offset: int) -> tuple[int, int]:
    """Where to divide a mask, uint8 (H, W): its centroid, rounded half to even, plus ``offset``."""
    rows, columns = (cv2.reduce(foreground, axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel()
                     for axis in (1, 0))
    objects = rows.sum()
    if objects == 0:  # no measure looks at the blocks then
        return 0, 0
    return tuple(min(int(np.round(line @ np.arange(len(line)) / objects)) + offset, len(line))
                 for line in (rows, columns))
