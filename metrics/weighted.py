"""The weighted F-measure (Margolin, Zelnik-Manor and Tal, CVPR 2014) with NumPy and OpenCV.

It is the only core measure that needs pixels. An error beside the object weighs more the farther
it is from the object; an error on the object is forgiven where the errors around it are small.
The first needs each pixel's distance to the object, the second the object's nearest pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np

from .counts import Sample, row_bands
from .measures import EPS, Levels

LARGE = 2**24  # pixels of a map that is not scored by bands of rows
REACH = 3  # the 7×7 Gaussian reaches three pixels to each side
SIGMA = 5.0
HALVING = 5.0  # pixels from the object in which 2 − weight halves
FAR = 250  # pixels from the object where the weight is 2 within 1e-15

_AROUND = 3 * REACH  # rows around a band

#: Squared distances that a pixel within REACH rows and columns of the object can have.
_NEAR = 2 * REACH**2


@cache
def gaussian() -> np.ndarray:
    """(7,) float64, sum 1; the outer product with itself is the 7×7 Gaussian."""
    kernel = np.exp(-np.arange(-REACH, REACH + 1) ** 2 / (2 * SIGMA**2))
    return kernel / kernel.sum()


def weighted_f(errors: np.ndarray, levels: Levels) -> np.ndarray:
    """Eq. 8 with β = 1, 2 P R / (P + R): (B,) in [0, 1].

    ``errors`` (B, 2): see ``weighted_errors``. An empty ground truth gives 0.
    """
    on_object, beside = errors.T
    objects = np.maximum(levels.objects[:, 0], 1)
    recall = 1 - on_object / objects
    true = objects - on_object
    precision = true / (true + beside + EPS)
    measure = 2 * recall * precision / (recall + precision + EPS)
    return np.where(levels.objects[:, 0] == 0, 0.0, measure)


def weighted_errors(samples: Sequence[Sample], levels: Levels,
                    foreground_above: int = 128) -> np.ndarray:
    """(B, 2): each map's summed error on the object and beside it, the paper's weights applied."""
    errors = np.zeros((len(samples), 2))
    for i, (prediction, truth) in enumerate(samples):
        if levels.objects[i, 0] > 0:
            foreground = (truth > foreground_above).view(np.uint8)
            if prediction.size > LARGE:
                errors[i] = _errors_of_bands(prediction, foreground, levels.values[i])
                continue
            values = cv2.LUT(np.ascontiguousarray(prediction), levels.values[i])
            squared, corner = squared_distances(foreground, values)
            errors[i] = (error_on_object(foreground, values, squared, corner),
                         error_beside(values, squared, corner))
    return errors


def _errors_of_bands(prediction: np.ndarray, foreground: np.ndarray,
                     table: np.ndarray) -> tuple[float, float]:
    """The errors of a large map, uint8 (H, W), on the object and beside it, from bands of rows.

    ``table`` (256,) has the value of each byte.
    """
    seen = cv2.LUT(np.ascontiguousarray(prediction), (table > 0).astype(np.uint8))
    distances, (top, left) = _distances(foreground, seen)
    del seen
    height, width = distances.shape
    on_object = beside = 0.0
    for start, end in row_bands(height, width):
        # The rows around a band that its means, and the nearest pixels of these, look at.
        low, high = max(start - _AROUND, 0), min(end + _AROUND, height)
        squared = distances[low:high].astype(np.intp)
        part = np.s_[top + low:top + high, left:left + width]
        values, own = cv2.LUT(np.ascontiguousarray(prediction[part]), table), foreground[part]
        rows = slice(start - low, end - low)
        beside += error_beside(values[rows], squared[rows], (0, 0))
        if own.any():
            on_object += error_on_object(own, values, squared, (0, 0), rows)
    return on_object, beside


def squared_distances(foreground: np.ndarray,
                      values: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """Squared distance to the nearest object pixel, integers, in the part where it matters.

    That is a box around the object, REACH wider, and around all that the map does not leave
    black; elsewhere the error is 0. Returns the distances and the box's first row and column.
    """
    distances, corner = _distances(foreground, values)
    return distances.astype(np.intp), corner


def _distances(foreground: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """What ``squared_distances`` rounds down, float32."""
    height, width = foreground.shape
    left, top, across, down = cv2.boundingRect(foreground)
    x, y, w, h = cv2.boundingRect((values > 0).view(np.uint8))
    if w == 0:
        x, y, w, h = left, top, across, down
    top, bottom = max(min(top - REACH, y), 0), min(max(top + down + REACH, y + h), height)
    left, right = max(min(left - REACH, x), 0), min(max(left + across + REACH, x + w), width)
    box = foreground[top:bottom, left:right]
    distance = cv2.distanceTransform(1 - box, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # OpenCV gives float32 roots of whole numbers, which squaring and rounding brings back.
    distance *= distance
    distance += 0.5
    return distance, (top, left)


@cache
def weight_table() -> np.ndarray:
    """Weight of an error at each squared distance up to FAR²: 2 − 2^(−distance / 5), 0 at 0."""
    weights = 2 - np.exp(np.log(0.5) / HALVING * np.sqrt(np.arange(FAR**2 + 1)))
    weights[0] = 0  # the object itself is not beside it
    return weights


def error_beside(values: np.ndarray, squared: np.ndarray, corner: tuple[int, int]) -> float:
    """Eq. 6: the map's values beside the object, weighted by distance, summed."""
    weights = np.take(weight_table(), squared, mode="clip")
    (top, left), (height, width) = corner, squared.shape
    # Not a dot product: BLAS would start threads, which wait for one another on busy cores.
    return float(np.einsum("ij,ij->", weights, values[top:top + height, left:left + width]))


def error_on_object(foreground: np.ndarray, values: np.ndarray, squared: np.ndarray,
                    corner: tuple[int, int], rows: slice | None = None) -> float:
    """Eq. 5: the errors on the object, or their Gaussian means where these are smaller, summed.

    Beside the object the mean takes the error of the nearest object pixel, outside the image 0.

    Args:
        rows: the rows that are summed; None for all.
    """
    margin = 2 * REACH + 1  # of background around the object: the ring and its nearest pixels
    left, top, across, down = cv2.boundingRect(foreground)
    inner = np.s_[margin:margin + down, margin:margin + across]
    objects = np.zeros((down + 2 * margin, across + 2 * margin), np.uint8)
    objects[inner] = foreground[top:top + down, left:left + across]
    error = np.zeros(objects.shape)
    np.multiply(1 - values[top:top + down, left:left + across], objects[inner], out=error[inner])
    near = error.copy()  # as the Gaussian sees it

    side = 2 * REACH + 1
    ring = cv2.dilate(objects, np.ones((side, side), np.uint8)) - objects
    # Where these arrays begin in ``squared``, which may be before its first pixel.
    row, column = top - margin - corner[0], left - margin - corner[1]
    ring[:max(-row, 0)] = ring[squared.shape[0] - row:] = 0
    ring[:, :max(-column, 0)] = ring[:, squared.shape[1] - column:] = 0
    ring = np.flatnonzero(ring.view(bool))
    y, x = np.divmod(ring, objects.shape[1])
    nearest = nearest_object_pixel(objects, ring, squared[y + row, x + column])
    near.ravel()[ring] = error.ravel()[nearest]

    kernel = gaussian()
    smooth = cv2.sepFilter2D(near, -1, kernel, kernel, borderType=cv2.BORDER_CONSTANT)
    np.minimum(smooth, error, out=error)  # 0 beside the object
    if rows is not None:
        error = error[max(rows.start - top, 0) + margin:max(rows.stop - top, 0) + margin]
    return float(error.sum())


@cache
def _steps() -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns (_NEAR + 1, 8) of the steps that span each squared distance.

    In the order in which ties are decided; the last step is repeated to fill a row.
    """
    side = range(-int(_NEAR**0.5), int(_NEAR**0.5) + 1)
    steps = np.zeros((_NEAR + 1, 8, 2), dtype=np.int64)
    for squared in range(_NEAR + 1):
        # The smaller column, then the smaller row: what SciPy's transform decides for.
        reaching = [(row, column) for column in side for row in side
                    if row**2 + column**2 == squared]
        if reaching:
            steps[squared] = (reaching + 7 * reaching[-1:])[:8]
    return steps[..., 0], steps[..., 1]


def nearest_object_pixel(objects: np.ndarray, ring: np.ndarray,
                         distances: np.ndarray) -> np.ndarray:
    """Flat position of the object's pixel nearest to each of ``ring``; ties as SciPy decides."""
    rows, columns = _steps()
    candidates = ring[:, None] + (rows * objects.shape[1] + columns)[distances]
    first = objects.ravel()[candidates].argmax(axis=1)
    return candidates[np.arange(len(ring)), first]
