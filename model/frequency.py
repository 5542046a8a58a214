"""High frequencies of features, in which TRACER looks for edges (Lee, Shin and Han, AAAI 2022)."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

RADIUS = 16  # of the disc of low frequencies that is removed, in steps


def high_frequencies(x: Tensor) -> Tensor:
    """(N, C, H, W) → magnitude (N, C, H, W) of the features without the low frequencies.

    The transform runs in float32 or float64. The result has the type of the features, but float32
    in mixed precision.
    """
    height, width = x.shape[-2:]
    # A trace has to record how the disc is made, not the disc of one size. And a disc that is made
    # of another tracer's stand-ins for tensors must not be kept for later calls.
    traced = torch.jit.is_tracing() or torch.compiler.is_compiling() or type(x) is not Tensor
    make = disc if traced else kept_disc
    exact = x if x.dtype == torch.float64 else x.float()
    spectrum = torch.fft.fft2(exact) * (1 - make(height, width, x.device))
    sharp = torch.fft.ifft2(spectrum).abs()
    return sharp if torch.is_autocast_enabled(x.device.type) else sharp.to(x.dtype)


def disc(height: int, width: int, device: torch.device) -> Tensor:
    """1 at frequencies nearer than ``RADIUS`` to the centre of the spectrum, else 0: (H, W), in the
    order of ``fft2``. For odd sizes the centre is half a step off frequency 0, as released."""
    down, across = (offsets(side, device) for side in (height, width))
    return (down[:, None] ** 2 + across ** 2 < (2 * RADIUS) ** 2).float()


def offsets(side: int, device: torch.device) -> Tensor:
    """How far each frequency is from the centre, in half steps: (side,), whole numbers in the order
    of ``fft2``. Both halves are made in their place, since ONNX has no shift by a variable."""
    middle = 2 * (side // 2) - side
    return torch.cat([torch.arange(middle, side, 2, device=device),
                      torch.arange(-side, middle, 2, device=device)])


#: ``disc``, made once for each size and device. It is no buffer of a module, because averages of
#: weights copy buffers, and discs of two sizes do not fit one buffer.
kept_disc = lru_cache(maxsize=32)(disc)
