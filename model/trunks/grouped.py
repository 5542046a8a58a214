"""Depthwise convolutions that train rightly in mixed precision on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GroupedConv(nn.Conv2d):
    """A convolution that a CPU computes in float32 while it trains, if it has groups.

    oneDNN's backward pass of depthwise convolutions takes four times as long in bf16 as in float32,
    and the weights' gradient of dilated ones, channels-last, is garbage at times (torch 2.15).
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.groups > 1 and self.training and x.device.type == "cpu":
            with torch.autocast("cpu", enabled=False):
                return self.convolve(x.to(self.weight.dtype))
        return self.convolve(x)

    def convolve(self, x: Tensor) -> Tensor:
        return super().forward(x)
