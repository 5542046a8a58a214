"""Smooth saliency where the image is smooth (WSSA, Eq. 3 to 5)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

ALPHA = 10.0  # how strongly the image's edges allow the map's
_SOBEL = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))
_LAPLACE = ((-1.0, -1.0, -1.0), (-1.0, 8.0, -1.0), (-1.0, -1.0, -1.0))


def filtered(x: Tensor, kernel: tuple[tuple[float, ...], ...]) -> Tensor:
    """(N, 1, H, W) under a 3×3 kernel, zeros around."""
    weights = torch.tensor(kernel, dtype=x.dtype, device=x.device)
    return F.conv2d(x, weights[None, None], padding=1)


def derivatives(x: Tensor) -> tuple[Tensor, Tensor]:
    """Sobel's two, not normalised."""
    return filtered(x, _SOBEL), filtered(x, tuple(zip(*_SOBEL, strict=True)))


def charbonnier(x: Tensor) -> Tensor:
    """√(x² + 10⁻⁶): differentiable at 0."""
    return (x.square() + 1e-6).sqrt()


def smoothness(saliency: Tensor, gray: Tensor, gate: bool = False) -> Tensor:
    """Edge-aware smoothness of a saliency map.

    As released: first derivatives, weighted 10, and the Laplacian of both map and image. With
    ``gate`` as the paper has it: first derivatives alone, of an image that is masked by the
    predicted object widened by 5 pixels, so that edges of the background do not count.

    Args:
        saliency: (N, 1, H, W) in [0, 1].
        gray: (N, 1, H, W) in [0, 1]; no gradient is taken of it.

    Raises:
        ValueError: shapes differ.
    """
    if saliency.shape != gray.shape:
        raise ValueError(f"saliency {tuple(saliency.shape)} and grey image {tuple(gray.shape)} "
                         "differ")
    with torch.autocast(saliency.device.type, enabled=False):  # bf16 would lose small differences
        saliency, gray = saliency.float(), gray.float()
        if gate:
            inside = (saliency.detach() > 0.5).float()
            gray = gray * F.max_pool2d(inside, 11, stride=1, padding=5)
        first = sum(charbonnier(ours.abs() * torch.exp(-ALPHA * theirs.abs())).mean()
                    for ours, theirs in zip(derivatives(saliency), derivatives(gray), strict=True))
        if gate:
            return first
        allowed = torch.exp(-ALPHA * filtered(gray, _LAPLACE).abs())
        return 10 * first + charbonnier(filtered(saliency, _LAPLACE).abs() * allowed).mean()
