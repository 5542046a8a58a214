"""Canny's edge detector (TPAMI 1986) for networks that take the edges of the image itself.

``opencv_canny`` computes on the CPU and refuses to be traced; ``torch.compile`` leaves it as it is.
``torch_canny`` gives the same edges, pixel by pixel, can be traced and exported, and stays on the
device.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.fx import Proxy
from torch.fx.experimental.proxy_tensor import get_proxy_mode

#: OpenCV's tan 22.5° in fixed point, by which it tells horizontal and vertical from diagonal.
_TAN = 13573 / 2**15


def opencv_canny(image: Tensor, low: float, high: float) -> Tensor:
    """OpenCV's Canny of each image, on the CPU.

    Args:
        image: (N, 3, H, W), which is cast to bytes as NumPy casts: towards zero, modulo 256.
        low, high: thresholds of weak and strong edges, see ``torch_canny``.

    Returns:
        (N, 1, H, W) of the image's dtype and device, 0 or 255.

    Raises:
        RuntimeError: it is traced or exported. What OpenCV computes is a constant there, so the
            edges of the first image would be those of all.
    """
    _refuse(torch.jit.is_tracing() or torch.compiler.is_exporting() or isinstance(image, Proxy))
    # Not as a decorator: that imports torch's compiler, 160 MB and seconds, with every network.
    return torch.compiler.disable(_opencv_canny)(image, low, high) \
        if torch.compiler.is_compiling() else _opencv_canny(image, low, high)


def _refuse(traced: bool) -> None:
    if traced:
        raise RuntimeError(
            "OpenCV's Canny cannot be traced or exported: the edges of this image would be those "
            "of all. Build the network with model.options.canny=torch (edges of the image, as "
            "canny=image has them)")


@torch.no_grad()
def _opencv_canny(image: Tensor, low: float, high: float) -> Tensor:
    _refuse(get_proxy_mode() is not None)
    pixels = image.detach().float().cpu().permute(0, 2, 3, 1).numpy()
    pixels = (pixels.astype(np.int64) % 256).astype(np.uint8)
    edges = [cv2.Canny(np.ascontiguousarray(array), low, high) for array in pixels]
    return torch.from_numpy(np.stack(edges))[:, None].to(image)


@torch.no_grad()
def torch_canny(image: Tensor, low: float, high: float, sigma: float = 0.0,
                reach: int = 64) -> Tensor:
    """Canny in torch: Gaussian, Sobel, non-maximum suppression, hysteresis.

    As in OpenCV, each pixel takes the gradient of the colour channel in which it is strongest, and
    its strength is the L1 norm.

    Args:
        image: (N, C, H, W) in 0 … 255, which is rounded to integers.
        low, high: weak edges are stronger than ``low``, strong edges than ``high``. Strong edges
            count, and weak edges that are connected with them.
        sigma: standard deviation of the Gaussian in pixels; 0 for none, as in OpenCV.
        reach: largest distance in pixels, along the edge, of a weak edge from a strong one. OpenCV
            has no such limit, but a fixed number of rounds can be traced.

    Returns:
        (N, 1, H, W) of the image's dtype, 0 or 255; no gradient flows through it.
    """
    values = image.detach().float().round()
    if sigma > 0:
        values = _blur(values, sigma)
    across, down = _sobel(values)
    strength = across.abs() + down.abs()
    strongest = strength.argmax(dim=1, keepdim=True)  # the first of equals
    across, down, strength = (part.gather(1, strongest) for part in (across, down, strength))
    weak = _is_ridge(across, down, strength) & (strength > low)
    edges = (weak & (strength > high)).float()
    allowed = weak.float()
    for _ in range(reach):
        edges = F.max_pool2d(edges, 3, stride=1, padding=1) * allowed
    return (edges * 255).to(image.dtype)


def _blur(x: Tensor, sigma: float) -> Tensor:
    """Gaussian blur with a kernel of three deviations to each side; the border is repeated."""
    radius = max(1, round(3 * sigma))
    steps = torch.arange(-radius, radius + 1, device=x.device)
    weights = torch.exp(-steps.square() / (2 * sigma**2))
    weights = (weights / weights.sum()).tolist()
    for dim in (2, 3):
        pad = (0, 0, radius, radius) if dim == 2 else (radius, radius, 0, 0)
        padded, size = F.pad(x, pad, mode="replicate"), x.shape[dim]
        x = sum(weight * padded.narrow(dim, start, size) for start, weight in enumerate(weights))
    return x


def _sobel(x: Tensor) -> tuple[Tensor, Tensor]:
    """3×3 derivatives to the right and downwards; the border is repeated. They are computed by
    shifts, because convolutions may run in bf16, in which integers are not exact."""
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    height, width = x.shape[-2:]

    def at(row: int, column: int) -> Tensor:
        return padded[..., row:row + height, column:column + width]

    across = at(0, 2) - at(0, 0) + 2 * (at(1, 2) - at(1, 0)) + at(2, 2) - at(2, 0)
    down = at(2, 0) - at(0, 0) + 2 * (at(2, 1) - at(0, 1)) + at(2, 2) - at(0, 2)
    return across, down


def _is_ridge(across: Tensor, down: Tensor, strength: Tensor) -> Tensor:
    """Whether a pixel is stronger than its two neighbours along the gradient. Of two equal ones in
    a row or column, only the left or upper one is a ridge."""
    padded = F.pad(strength, (1, 1, 1, 1))
    height, width = strength.shape[-2:]

    def neighbour(down_by: int, right_by: int) -> Tensor:
        return padded[..., 1 + down_by:1 + down_by + height, 1 + right_by:1 + right_by + width]

    x, y = across.abs(), down.abs()
    horizontal = y < x * _TAN
    vertical = y > x * (_TAN + 2)
    rising = (across < 0) ^ (down < 0)
    along_rising = (strength > neighbour(-1, 1)) & (strength > neighbour(1, -1))
    along_falling = (strength > neighbour(-1, -1)) & (strength > neighbour(1, 1))
    level = (strength > neighbour(0, -1)) & (strength >= neighbour(0, 1))
    upright = (strength > neighbour(-1, 0)) & (strength >= neighbour(1, 0))
    # Not torch.where, which ONNX Runtime does not have for booleans.
    diagonal = (rising & along_rising) | (~rising & along_falling)
    return (horizontal & level) | (~horizontal & ((vertical & upright) | (~vertical & diagonal)))
