"""Parts that the networks of several papers share, and their trunks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Makes a module from (in_channels, out_channels, kernel, **options of a convolution).
Conv = Callable[..., nn.Module]


def resize_to(x: Tensor, reference: Tensor, align_corners: bool) -> Tensor:
    """``x`` (N, C, h, w) → (N, C, H, W), bilinear, where ``reference`` is (·, ·, H, W).

    ``align_corners`` has no default: released networks differ in it, and weights that were
    trained with one value lose accuracy with the other.
    """
    return F.interpolate(x, size=reference.shape[-2:], mode="bilinear",
                         align_corners=align_corners)


def half(x: Tensor) -> Tensor:
    """(N, C, h, w) → the maxima of 2×2 pixels, (N, C, ⌈h/2⌉, ⌈w/2⌉)."""
    return F.max_pool2d(x, 2, ceil_mode=True)


def resize_probability(logits: Tensor, reference: Tensor, align_corners: bool) -> Tensor:
    """Logits (N, 1, h, w) → logits (N, 1, H, W) of the resized probabilities, where ``reference``
    is (·, ·, H, W): for released networks that end with a sigmoid, then a bilinear resize.

    Probabilities that are 0 or 1 within rounding stay finite logits.
    """
    exact = logits.to(torch.promote_types(logits.dtype, torch.float32))
    probability = resize_to(exact.sigmoid(), reference, align_corners)
    return probability.clamp(1e-30, 1 - 2**-24).logit()


def draw_convolutions(module: nn.Module, draw: Callable[[Tensor], object],
                      zero_biases: bool = True) -> None:
    """Draw the weights of all convolutions in ``module`` anew, in their order.

    Args:
        draw: what fills a weight in place.
        zero_biases: whether biases become 0, or stay as they are.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            draw(layer.weight)
            if zero_biases and layer.bias is not None:
                nn.init.zeros_(layer.bias)


def draw_small(weight: Tensor) -> None:
    """Draw a weight from N(0, 0.01²)."""
    nn.init.normal_(weight, std=0.01)


class GroupedConv(nn.Conv2d):
    """A convolution that a CPU computes in float32 while it trains, if it has groups.

    The backward pass of depthwise convolutions in oneDNN takes four times as long in bf16 as in
    float32, and the weights' gradient of dilated ones, channels-last, is garbage at times
    (torch 2.15). So is that of dilated ones of few channels, which subclasses may have: they set
    ``in_float32``.
    """

    in_float32 = False  # whether it has groups or not

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, out_channels, h, w)."""
        if (self.groups > 1 or self.in_float32) and self.training and x.device.type == "cpu":
            with torch.autocast("cpu", enabled=False):
                return self.convolve(x.to(self.weight.dtype))
        return self.convolve(x)

    def convolve(self, x: Tensor) -> Tensor:
        """The convolution itself, which subclasses may pad in another way."""
        return super().forward(x)


def conv_norm(in_channels: int, out_channels: int, kernel: int | tuple[int, int],
              activation: nn.Module | None = None, **options) -> nn.Sequential:
    """Convolution without bias (``conv``), batch norm (``bn``), and the activation if one is given.

    Args:
        options: of the convolution: ``stride``, ``padding``, ``dilation``, ``groups``.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv=GroupedConv(in_channels, out_channels, kernel, bias=False, **options),
        bn=nn.BatchNorm2d(out_channels))
    if activation is not None:
        layers["activation"] = activation
    return nn.Sequential(layers)


def conv_norm_relu(in_channels: int, out_channels: int, kernel: int = 3, dilation: int = 1,
                   bias: bool = False, conv: Conv = nn.Conv2d) -> nn.Sequential:
    """Convolution that keeps height and width (``0``), batch norm (``1``), ReLU (``2``)."""
    return nn.Sequential(
        conv(in_channels, out_channels, kernel, padding=dilation * (kernel // 2),
             dilation=dilation, bias=bias),
        nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))


def conv_relu_chain(channels: int, count: int, kernel: int = 3, bias: bool = True) -> nn.Sequential:
    """``count`` convolutions that keep the shape, each with ReLU."""
    return nn.Sequential(*(layer for _ in range(count) for layer in (
        nn.Conv2d(channels, channels, kernel, padding=kernel // 2, bias=bias),
        nn.ReLU(inplace=True))))


def he_conv(in_channels: int, out_channels: int, kernel: int = 3, **options) -> nn.Conv2d:
    """Convolution that keeps height and width, with He et al.'s initialisation and biases 0."""
    layer = nn.Conv2d(in_channels, out_channels, kernel, **{"padding": kernel // 2} | options)
    nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
    nn.init.zeros_(layer.bias)
    return layer


def he_conv_norm_relu(in_channels: int, out_channels: int, kernel: int = 3) -> nn.Sequential:
    """``he_conv`` (``0``), batch norm (``1``), ReLU (``2``): the unit of F3Net, LDF and GCPANet."""
    return conv_norm_relu(in_channels, out_channels, kernel, bias=True, conv=he_conv)


class ReceptiveField(nn.Module):
    """Receptive field block as CPD has it (Wu et al., CVPR 2019, Sec. 3.2; after Liu et al., ECCV
    2018): four branches of growing reach, which are concatenated and fused."""

    def __init__(self, in_channels: int, out_channels: int, conv: Conv):
        super().__init__()
        self.branches = nn.ModuleList([nn.Sequential(conv(in_channels, out_channels, 1))])
        for reach in (3, 5, 7):
            self.branches.append(nn.Sequential(
                conv(in_channels, out_channels, 1),
                conv(out_channels, out_channels, (1, reach), padding=(0, reach // 2)),
                conv(out_channels, out_channels, (reach, 1), padding=(reach // 2, 0)),
                conv(out_channels, out_channels, 3, padding=reach, dilation=reach)))
        self.fuse = conv(4 * out_channels, out_channels, 3, padding=1)
        self.shortcut = conv(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) → (N, out_channels, H, W)."""
        reached = torch.cat([branch(x) for branch in self.branches], dim=1)
        return F.relu(self.fuse(reached) + self.shortcut(x))
