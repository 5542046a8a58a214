"""SCWSSOD: Structure-Consistent Weakly Supervised Salient Object Detection with Local Saliency
Coherence.

Yu, Zhang, Xiao and Lim, AAAI 2021 (arXiv 2012.04404). The network is GCPANet (Chen et al., AAAI
2020), but each fusion of three features weighs them by learned scalars (the paper's AGGM). The
outputs of four decoder stages are supervised; the shallowest is the prediction.

In the released code the weights of a fusion are means of a convolution. Nothing makes them positive
or keeps their sum away from 0 (docs/scwssod.md).
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from .blocks import he_conv, he_conv_norm_relu
from .context_flow import WIDTH, ContextFlow, Products
from .own_objectives import SCWSSODObjective


class Aggregation(Products):
    """The products of GCPANet, weighed by learned scalars and added up (AGGM, Sec. 3.3)."""

    def __init__(self, lateral: int):
        super().__init__(lateral)
        self.weights = nn.ModuleList([he_conv(WIDTH, 1) for _ in range(3)])
        self.out = he_conv_norm_relu(WIDTH, WIDTH)

    def forward(self, lateral: Tensor, deep: Tensor, context: Tensor) -> Tensor:
        """(N, lateral, h, w), and two of (N, 256, ·, ·) → (N, 256, h, w)."""
        parts = self.products(lateral, deep, context)
        shares = [weigh(part).mean(dim=(2, 3), keepdim=True)
                  for weigh, part in zip(self.weights, parts, strict=True)]
        total = sum(share * part for share, part in zip(shares, parts, strict=True))
        return self.out(total / sum(shares))


class SCWSSOD(ContextFlow):
    """GCPANet with weighed fusions; 63 537 997 parameters on ResNet-50 as released."""

    released_keys: Mapping[str, str] = ContextFlow.released_keys | {
        r"fam(\d)\d\.conv_att1\.": r"fusion.\1.weights.0.",
        r"fam(\d)\d\.conv_att2\.": r"fusion.\1.weights.1.",
        r"fam(\d)\d\.conv_att3\.": r"fusion.\1.weights.2.",
    }
    objective = SCWSSODObjective
    fuse = Aggregation
