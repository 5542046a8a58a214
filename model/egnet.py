"""EGNet: Edge Guidance Network for Salient Object Detection.

Zhao, Liu, Fan, Cao, Yang and Cheng, ICCV 2019 (arXiv 1908.08297). The object's features are
decoded from deep to shallow (the paper's PSFEM). Shallow features learn the object's edge, and the
deepest ones tell them where the object is (NLSEM). This edge feature is added to the object's
features of each level, which predict again, alone and summed up (O2OGM).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from . import trunks
from .base import Network
from .blocks import conv_relu_chain, draw_convolutions, draw_small, resize_to
from .trunks.resnet import released_stages
from .trunks.vgg import released_features

#: Channels of the levels; VGG-16's are these, ResNet-50's are converted to them.
WIDTHS = (128, 256, 512, 512, 512)
#: Kernel of the convolutions of a level, from the edge's to the deepest.
KERNELS = (3, 3, 5, 5, 7)


def reduce(in_channels: int, out_channels: int) -> nn.Sequential:
    """1×1 convolution without bias, ReLU."""
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, bias=False),
                         nn.ReLU(inplace=True))


class EGNet(Network):
    """108 035 658 parameters on VGG-16, 111 659 850 on ResNet-50; 32 768 more are in the official
    checkpoints and never run.

    Args:
        trunk: ``vgg16_caffe`` or ``resnet50_caffe``.
        trunk_options: of the trunk.
    """

    never_run = ("merge1.trans.0.",)
    released_keys: Mapping[str, str] = (
            released_features(r"base\.base\.") | released_stages(r"base\.") | {
        r"base\.base_ex\.ex\.": "extra.",
        r"convert\.convert0\.": "convert.",
        r"merge1\.trans\.1\.": "narrow.1.",
        r"merge1\.trans\.2\.": "narrow.0.",
        r"merge1\.up\.": "decode.",
        r"merge1\.score\.": "score.",
        r"merge2\.trans\.0\.": "guide_narrow.",
        r"merge2\.up\.0\.": "guide.",
        r"merge2\.score\.0\.": "guide_score.",
        r"merge2\.final_score\.": "final.",
    })

    def __init__(self, trunk: str = "vgg16_caffe", **trunk_options):
        super().__init__()
        vgg = trunk.startswith("vgg")
        strides = (2, 4, 8, 16) if vgg else (2, 4, 8, 16, 16)
        self.trunk = trunks.build(trunk, trunks.levels(trunk, strides), **trunk_options)
        if vgg:
            widths = (*self.trunk.widths, self.trunk.widths[-1])
            self.extra = conv_relu_chain(widths[-1], 3, bias=False)
        else:
            widths = WIDTHS
            self.convert = nn.ModuleList(
                reduce(*shape) for shape in zip(self.trunk.widths, widths, strict=True))
        edge = widths[0]  # channels of the edge feature and of what it guides
        self.decode = nn.ModuleList(conv_relu_chain(width, 3, kernel)
                                    for width, kernel in zip(widths, KERNELS, strict=True))
        self.score = nn.ModuleList(nn.Conv2d(width, 1, 3, padding=1) for width in widths)
        self.narrow = nn.ModuleList([reduce(widths[4], edge), reduce(widths[2], widths[1])])
        self.guide_narrow = nn.ModuleList(reduce(width, edge) for width in widths[1:])
        self.guide = nn.ModuleList(conv_relu_chain(edge, 3, kernel) for kernel in KERNELS[1:])
        self.guide_score = nn.ModuleList(nn.Conv2d(edge, 1, 3, padding=1) for _ in KERNELS[1:])
        self.final = nn.Sequential(nn.Conv2d(edge, edge, 5, padding=2), nn.ReLU(inplace=True),
                                   nn.Conv2d(edge, 1, 3, padding=1))
        draw_convolutions(self, draw_small)

    def features(self, image: Tensor) -> list[Tensor]:
        """(N, 3, H, W) → five maps of 128, 256, 512, 512 and 512 channels."""
        levels = self.trunk.maps(image)
        if len(levels) == 4:
            return [*levels, self.extra(F.max_pool2d(levels[-1], 3, 2, padding=1))]
        return [convert(x) for convert, x in zip(self.convert, levels, strict=True)]

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) → logits (N, 1, H, W): ``saliency``; ``guided1`` … ``guided4`` of the levels
        with the edge feature, ``side1`` … ``side4`` without; ``edge``."""
        features = self.features(image)
        deep = self.decode[4](features[4])
        levels = [deep]  # from the deepest to level 1
        for level in (3, 2, 1):
            x = self.narrow[1](levels[-1]) if level == 1 else levels[-1]
            levels.append(self.decode[level](features[level]
                                             + resize_to(x, features[level], True)))
        prior = resize_to(self.narrow[0](deep), features[0], True)
        edge = self.decode[0](features[0] + prior)
        levels.reverse()

        guided, total = {}, None
        for number, x in enumerate(levels):
            x = self.guide[number](resize_to(self.guide_narrow[number](x), edge, True) + edge)
            guided[f"guided{number + 1}"] = self.guide_score[number](x)
            total = x if total is None else F.relu(total + x)
        outputs = {"saliency": self.final(total), **guided}
        outputs |= {f"side{number}": self.score[number](x)
                    for number, x in enumerate(levels, start=1)}
        outputs["edge"] = self.score[0](edge)
        return {name: resize_to(logits, image, True) for name, logits in outputs.items()}
