"""GCPANet: Global Context-Aware Progressive Aggregation Network for Salient Object Detection.

Chen, Xu, Cong and Huang, AAAI 2020 (arXiv 2003.00651). From deep to shallow, each decoder stage
multiplies a lateral, a deeper and a context feature in pairs, and joins the products (the code's
FAM). The context of every stage is the deepest feature, gated by its own means, so that it is not
diluted on the way. A refinement scales and shifts each stage's result pixel by pixel.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .blocks import he_conv_norm_relu
from .context_flow import WIDTH, ContextFlow, Products


class Fusion(Products):
    """The products side by side, convolved (the code's FAM)."""

    def __init__(self, lateral: int):
        super().__init__(lateral)
        self.out = he_conv_norm_relu(3 * WIDTH, WIDTH)

    def forward(self, lateral: Tensor, deep: Tensor, context: Tensor) -> Tensor:
        """(N, lateral, h, w), and two of (N, 256, ·, ·) → (N, 256, h, w)."""
        return self.out(torch.cat(self.products(lateral, deep, context), dim=1))


class GCPANet(ContextFlow):
    """67 056 196 parameters on ResNet-50."""

    fuse = Fusion
