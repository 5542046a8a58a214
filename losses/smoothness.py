"""Edge-aware smoothness: saliency may change where the image does (WSSA, Eq. 3 to 5)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

ALPHA = 10.0  # how strongly an edge of the image excuses one of the map
_SOBEL = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))
_LAPLACE = ((-1.0, -1.0, -1.0), (-1.0, 8.0, -1.0), (-1.0, -1.0, -1.0))


def filtered(x: Tensor, kernel: tuple[tuple[float, ...], ...]) -> Tensor:
    """Correlation with a 3×3 kernel, zeros outside of the map: (N, 1, H, W) → the same."""
    weights = torch.tensor(kernel, dtype=x.dtype, device=x.device)
    return F.conv2d(x, weights[None, None], padding=1)


def derivatives(x: Tensor) -> tuple[Tensor, Tensor]:
    """Sobel's horizontal and vertical derivative, not normalised: (N, 1, H, W) → two of these."""
    return filtered(x, _SOBEL), filtered(x, tuple(zip(*_SOBEL, strict=True)))


def charbonnier(x: Tensor) -> Tensor:
    """√(x² + 10⁻⁶), which is |x| made differentiable at 0."""
    return (x.square() + 1e-6).sqrt()


def changes(of_map: Tensor, of_image: Tensor) -> Tensor:
    """Mean of a map's derivative, small where the image's derivative is large."""
    return charbonnier(of_map.abs() * torch.exp(-ALPHA * of_image.abs())).mean()


def smoothness(saliency: Tensor, gray: Tensor, gate: bool = False) -> Tensor:
    """Edge-aware smoothness of a saliency map.

    Each derivative of the map counts as charbonnier(|∂s| · exp(−10 |∂g|)), mean over the pixels.
    The released code takes first derivatives, weighted 10, and the Laplacian.

    Args:
        saliency: s, (N, 1, H, W) in [0, 1].
        gray: g, (N, 1, H, W) in [0, 1]; no gradient is taken of it.
        gate: as in the paper, take first derivatives alone, and an image that is masked by the
            predicted object widened by 5 pixels. Edges of the background then excuse nothing.

    Raises:
        ValueError: the shapes differ.
    """
    if saliency.shape != gray.shape:
        raise ValueError(f"saliency {tuple(saliency.shape)} and gray image {tuple(gray.shape)} "
                         "differ")
    with torch.autocast(saliency.device.type, enabled=False):  # bf16 would lose small differences
        saliency, gray = saliency.float(), gray.float()
        if gate:
            inside = (saliency.detach() > 0.5).float()
            gray = gray * F.max_pool2d(inside, 11, stride=1, padding=5)
        first = sum(changes(of_map, of_image) for of_map, of_image in
                    zip(derivatives(saliency), derivatives(gray), strict=True))
        if gate:
            return first
        return 10 * first + changes(filtered(saliency, _LAPLACE), filtered(gray, _LAPLACE))
