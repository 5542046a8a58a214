"""NLDF: Non-Local Deep Features for Salient Object Detection.

Luo, Mishra, Achkar, Eichel, Li and Jodoin, CVPR 2017. Each level has features and their contrast,
which is their distance from the mean around each pixel. Both are joined from deep to shallow into a
local feature, and the deepest level also gives a global feature of the whole image. A pixel's score
is the sum of the scores of the two.

The network is that of the PyTorch port AceCoooool/NLDF-pytorch, whose weights load; the paper's own
code is in TensorFlow and predicts two channels (docs/nldf.md).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import trunks
from .base import Network
from .blocks import draw_convolutions, resize_to
from .trunks.vgg import released_features


class NLDF(Network):
    """24 999 362 parameters. Images are 352×352: the global feature is one pixel then.

    Args:
        trunk: a name in ``trunks``, of a VGG-16.
        trunk_options: of the trunk.
    """

    released_keys: Mapping[str, str] = released_features(r"base\.") | {
        r"feat\.(\d)\.conv1\.": r"features.\1.",
        r"pool\.0\.": "local_feature.",
        r"pool\.(\d)\.": r"up.\1.",
        r"glob\.": "global_feature.",
        r"conv_g\.": "global_score.",
        r"conv_l\.": "local_score.",
    }
    fixed_side = 352
    own_sizes = True

    def __init__(self, trunk: str = "vgg16", **trunk_options):
        super().__init__()
        self.trunk = trunks.build(trunk, trunks.levels(trunk, (1, 2, 4, 8, 16)), **trunk_options)
        width = self.trunk.widths[1]  # 128, of a level's feature, and of its contrast
        self.features = nn.ModuleList(nn.Conv2d(channels, width, 3, padding=1)
                                      for channels in self.trunk.widths)
        #: Level → the upsampling of what it passes to the shallower one.
        self.up = nn.ModuleDict({
            str(level): nn.ConvTranspose2d((6 - level) * width, (5 - level) * width, 3, 2, 1, 1)
            for level in (1, 2, 3, 4)})
        self.local_feature = nn.Conv2d(6 * width, 5 * width, 1)
        self.global_feature = nn.Sequential(
            nn.Conv2d(self.trunk.widths[-1], width, 5), nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 5), nn.ReLU(inplace=True), nn.Conv2d(width, width, 3))
        self.local_score = nn.Conv2d(5 * width, 1, 1)
        self.global_score = nn.Conv2d(width, 1, 1)
        draw_convolutions(self, nn.init.xavier_uniform_)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(N, 3, 352, 352) RGB → logits: ``half`` (N, 1, 176, 176), and ``saliency`` (N, 1, 352,
        352), the same enlarged."""
        pooled = [F.max_pool2d(x, 2) for x in self.trunk.maps(image)]  # 176² to 11²
        passed: list[Tensor] = []  # what the deeper level passes on
        for level in (4, 3, 2, 1, 0):
            feature = F.relu(self.features[level](pooled[level]))
            contrast = feature - F.avg_pool2d(feature, 3, 1, padding=1)
            joined = torch.cat([feature, contrast, *passed], dim=1)
            passed = [F.relu(self.up[str(level)](joined)) if level else self.local_feature(joined)]
        half = self.local_score(passed[0]) + self.global_score(self.global_feature(pooled[-1]))
        return {"saliency": resize_to(half, image, True), "half": half}
