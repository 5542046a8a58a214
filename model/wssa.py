"""WSSA: Weakly-Supervised Salient Object Detection via Scribble Annotations.

Zhang, Yu, Li, Song, Liu and Dai, CVPR 2020 (arXiv 2003.07685). A decoder predicts an initial
saliency map; an edge module predicts edges and learns from an edge detector's maps; both are fused
into the refined map. The decoder also takes the Canny edges of the image.

In the released code (docs/wssa.md) the VGG trunk pools by averaging, there is no batch norm, and
Canny gets the normalised tensor cast to bytes. The released network also holds 1.27 million
parameters that it never uses. They have no place here; loading an official checkpoint names them.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import trunks
from .base import Network
from .blocks import resize_to
from .canny import opencv_canny, torch_canny
from .own_objectives import WSSAObjective

WIDTH = 32  # channels of every part but the trunk
CANNY = ("released", "image", "torch")
THRESHOLDS = (10, 100)  # of Canny's weak and strong edges, as released


def conv3x3(in_channels: int, out_channels: int, **options) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 3, padding=1, **options)


class ChannelAttention(nn.Module):
    """Residual channel attention block (Zhang et al., ECCV 2018), without batch norm."""

    def __init__(self, channels: int, reduction: int = 16):
        super().__init__()
        self.body = nn.Sequential(conv3x3(channels, channels), nn.ReLU(),
                                  conv3x3(channels, channels))
        self.gate = nn.Sequential(nn.Conv2d(channels, channels // reduction, 1), nn.ReLU(),
                                  nn.Conv2d(channels // reduction, channels, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C, H, W)."""
        residual = self.body(x)
        return x + residual * self.gate(residual.mean(dim=(2, 3), keepdim=True))


class EdgeModule(nn.Module):
    """Edge logits at full size from the stages conv1, conv3 and conv4."""

    def __init__(self, channels: dict[str, int]):
        """``channels``: stage → its channels, from shallow to deep."""
        super().__init__()
        self.reduce = nn.ModuleDict({
            stage: nn.Sequential(nn.Conv2d(width, WIDTH, 1), nn.ReLU(),
                                 conv3x3(WIDTH, WIDTH), nn.ReLU())
            for stage, width in channels.items()})
        self.attention = ChannelAttention(WIDTH * len(channels))
        self.predict = conv3x3(WIDTH * len(channels), 1)

    def forward(self, features: dict[str, Tensor]) -> Tensor:
        """Stage → (N, C, h, w) → logits (N, 1, H, W) at the size of the shallowest stage."""
        first, *rest = (block(features[stage]) for stage, block in self.reduce.items())
        return self.predict(self.attention(
            torch.cat([first, *(resize_to(part, first, True) for part in rest)], dim=1)))


class Pyramid(nn.Module):
    """Atrous spatial pyramid on the deepest stage (Chen et al., TPAMI 2018). Two more branches take
    the stage's mean over the image, and the edges."""

    def __init__(self, channels: int):
        super().__init__()

        def branch(in_channels: int, kernel: int = 1, rate: int = 1) -> nn.Sequential:
            return nn.Sequential(
                nn.Conv2d(in_channels, WIDTH, kernel, padding=rate * (kernel // 2), dilation=rate,
                          bias=False), nn.ReLU())

        self.image = branch(channels)
        self.edges = branch(1)
        self.reaches = nn.ModuleList([branch(channels),
                                      *(branch(channels, 3, rate) for rate in (6, 12, 18))])

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        """(N, C, h, w) and edges (N, 1, H, W) in [0, 1] → (N, 192, h, w)."""
        mean = self.image(x.mean(dim=(2, 3), keepdim=True)).expand(-1, -1, *x.shape[-2:])
        return torch.cat([mean, self.edges(resize_to(edges, x, True)),
                          *(branch(x) for branch in self.reaches)], dim=1)


class WSSA(Network):
    """15 526 029 parameters; 1 270 609 others of the released network never run.

    Args:
        trunk: a name in ``trunks``; it needs stages at strides 1, 2, 4, 8 and 16.
        canny: whose edges the decoder takes. ``released``: OpenCV's of the normalised tensor cast
            to bytes; ``image``: OpenCV's of the image; ``torch``: the same without leaving the
            device.
        mean, std: what the images were normalised with, for ``image`` and ``torch``.
        trunk_options: of the trunk. ``pool`` is ``avg`` as released unless it is given.
    """

    released_keys: Mapping[str, str] = {
        r"vgg\.": "trunk.",
        r"edge_layer\.conv2\.": "edge_module.reduce.conv1.0.",
        r"edge_layer\.conv4\.": "edge_module.reduce.conv3.0.",
        r"edge_layer\.conv5\.": "edge_module.reduce.conv4.0.",
        r"edge_layer\.conv5_2\.": "edge_module.reduce.conv1.2.",
        r"edge_layer\.conv5_4\.": "edge_module.reduce.conv3.2.",
        r"edge_layer\.conv5_5\.": "edge_module.reduce.conv4.2.",
        r"edge_layer\.classifer\.": "edge_module.predict.",
        r"edge_layer\.rcab\.body\.3\.conv_du\.": "edge_module.attention.gate.",
        r"edge_layer\.rcab\.": "edge_module.attention.",
        r"rcab_sal_edge\.body\.3\.conv_du\.": "attention.gate.",
        r"rcab_sal_edge\.": "attention.",
        r"aspp\.features\.": "pyramid.reaches.",
        r"aspp\.img_conv\.": "pyramid.image.",
        r"aspp\.edge_conv\.": "pyramid.edges.",
        r"fuse_canny_edge\.": "fuse_edges.",
        r"after_aspp_conv5\.": "deep.",
        r"after_aspp_conv2\.": "shallow.",
        r"final_sal_seg\.": "decoder.",
        r"sal_conv\.": "widen_saliency.",
        r"edge_conv\.": "widen_edges.",
        r"fused_edge_sal\.": "refine.",
    }
    never_run = ("layer5.", "layer6.", "classification.", "rcab_feat.")
    wants_statistics = True
    in_torch: Mapping[str, object] = {"canny": "torch"}
    objective = WSSAObjective

    def __init__(self, trunk: str = "vgg16", canny: str = "released",
                 mean: tuple[float, ...] = (0.485, 0.456, 0.406),
                 std: tuple[float, ...] = (0.229, 0.224, 0.225), **trunk_options):
        super().__init__()
        if canny not in CANNY:
            raise TypeError(f"canny must be one of {', '.join(CANNY)}, not {canny!r}")
        if len(mean) != 3 or len(std) != 3:
            raise TypeError("mean and std are three numbers (R, G, B)")
        self.canny = canny
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)
        runs = trunks.levels(trunk, (1, 2, 4, 8, 16))
        self.trunk = trunks.build(trunk, runs, **{"pool": "avg"} | trunk_options)
        conv1, conv2, conv3, conv4, conv5 = self.trunk.levels
        channels = self.trunk.channels
        self.edge_module = EdgeModule({stage: channels[stage] for stage in (conv1, conv3, conv4)})
        self.fuse_edges = nn.Conv2d(2, 1, 1, bias=False)
        self.pyramid = Pyramid(channels[conv5])
        self.deep = nn.Conv2d(6 * WIDTH, WIDTH, 1, bias=False)
        self.shallow = nn.Conv2d(channels[conv2], WIDTH, 1, bias=False)
        self.decoder = nn.Sequential(
            conv3x3(2 * WIDTH, WIDTH, bias=False), nn.ReLU(),
            conv3x3(WIDTH, WIDTH, bias=False), nn.ReLU(), nn.Conv2d(WIDTH, 1, 1, bias=False))
        self.widen_saliency = conv3x3(1, WIDTH, bias=False)
        self.widen_edges = conv3x3(1, WIDTH, bias=False)
        self.attention = ChannelAttention(2 * WIDTH)
        self.refine = conv3x3(2 * WIDTH, 1, bias=False)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) normalised RGB → logits (N, 1, H, W): ``saliency`` (the refined map),
        ``initial`` and ``edge``."""
        features = self.trunk(image)
        _, conv2, _, _, conv5 = self.trunk.levels
        edge = self.edge_module(features)
        edges = self.fuse_edges(torch.cat([edge.sigmoid(), self.image_edges(image)], dim=1))
        deep = self.deep(self.pyramid(features[conv5], edges.sigmoid()))
        shallow = self.shallow(features[conv2])
        joined = torch.cat([resize_to(deep, shallow, True), shallow], dim=1)
        initial = resize_to(self.decoder(joined), image, False)
        widened = torch.cat([self.widen_saliency(initial), self.widen_edges(edge)], dim=1)
        saliency = self.refine(self.attention(F.relu(widened)))
        return {"saliency": saliency, "initial": initial, "edge": edge}

    def image_edges(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) normalised → Canny's edges (N, 1, H, W): 0 or 255, as released."""
        if self.canny == "released":
            return opencv_canny(image, *THRESHOLDS)
        pixels = ((image * self.std + self.mean) * 255).round().clamp(0, 255)
        return (opencv_canny if self.canny == "image" else torch_canny)(pixels, *THRESHOLDS)
