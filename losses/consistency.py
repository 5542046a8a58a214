"""Structure consistency between two predictions of one image (SCWSSOD, Eq. 4)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

ALPHA = 0.85


def dissimilarity(x: Tensor, y: Tensor) -> Tensor:
    """(1 − SSIM) / 2 in [0, 1], pixel by pixel, over 3×3 windows; zeros around are counted."""
    def mean(values: Tensor) -> Tensor:
        return F.avg_pool2d(values, 3, stride=1, padding=1)

    mean_x, mean_y = mean(x), mean(y)
    var_x, var_y = mean(x * x) - mean_x**2, mean(y * y) - mean_y**2
    covariance = mean(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    ssim = ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)
            / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)))
    return ((1 - ssim) / 2).clamp(0, 1)


def structure_consistency(x: Tensor, y: Tensor) -> Tensor:
    """0.85 × mean dissimilarity + 0.15 × mean absolute difference of two maps (N, 1, H, W) in
    [0, 1]; the gradient flows into both.

    Raises:
        ValueError: shapes differ.
    """
    if x.shape != y.shape:
        raise ValueError(f"maps of {tuple(x.shape)} and {tuple(y.shape)} are compared")
    x, y = x.float(), y.float()
    return ALPHA * dissimilarity(x, y).mean() + (1 - ALPHA) * (x - y).abs().mean()
