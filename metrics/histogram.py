"""The joint histogram of prediction bytes and ground truth: all that most measures need."""

from __future__ import annotations

import numpy as np


def joint_histogram(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Counts (2, 256) int64: row 0 background, row 1 foreground, column the prediction's byte.

    Args:
        prediction: uint8 (H, W).
        truth: uint8 (H, W); above 128 is foreground, as in PySODMetrics (128 is background).

    Raises:
        ValueError: other dtypes, shapes that differ, no pixels.
    """
    for name, array in (("prediction", prediction), ("truth", truth)):
        if array.dtype != np.uint8 or array.ndim != 2:
            raise ValueError(f"{name} must be uint8 of two dimensions, not {array.dtype} "
                             f"{array.shape}")
    if prediction.shape != truth.shape:
        raise ValueError(f"prediction {prediction.shape} and truth {truth.shape} differ in size")
    if prediction.size == 0:
        raise ValueError("the map has no pixels")
    cells = prediction.astype(np.int64) + 256 * (truth > 128)
    return np.bincount(cells.ravel(), minlength=512).reshape(2, 256)


def joint_histogram_torch(prediction: np.ndarray, truth: np.ndarray, device) -> np.ndarray:
    """``joint_histogram`` counted on a torch device; the counts are the same integers."""
    import torch

    if prediction.shape != truth.shape:
        raise ValueError(f"prediction {prediction.shape} and truth {truth.shape} differ in size")
    cells = torch.from_numpy(np.ascontiguousarray(prediction)).to(device).long()
    cells += 256 * (torch.from_numpy(np.ascontiguousarray(truth)).to(device) > 128)
    return torch.bincount(cells.flatten(), minlength=512).reshape(2, 256).cpu().numpy()
