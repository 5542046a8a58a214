"""TRACER: Extreme Attention Guided Salient Object Tracing Network.

Lee, Shin and Han, AAAI 2022 (student abstract; arXiv 2112.07380, Fig. 1). Edges are found in the
high frequencies of the first features and added to them. Three deeper stages are joined into a map,
which two object attention modules refine with shallower features. The mean of the three maps is
the prediction. The paper's sections have no numbers; the classes give the names of its modules.

The released code differs from the paper in two points, which ``variant`` switches
(docs/tracer.md). Its edge logits go through a ReLU, so that no edge probability is below one half.
Channels that pass the mask of the union attention are also scaled by their confidence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import trunks
from .base import Network, is_released, switch
from .blocks import ReceptiveField, conv_norm, resize_to
from .frequency import high_frequencies

WIDTHS = (32, 64, 128)  # channels of the decoder at 1/8, 1/16 and 1/32, as released
GAMMA = 0.1  # share of the channels that the union attention masks; also the rate of dropout
DENOISE = 0.93  # a pixel with a higher background probability is certain background


def unit(in_channels: int, out_channels: int, kernel: int | tuple, **options) -> nn.Sequential:
    """Convolution without bias, batch norm, SELU."""
    return conv_norm(in_channels, out_channels, kernel, nn.SELU(), **options)


def pointwise(in_channels: int, out_channels: int) -> nn.Conv2d:
    """1×1 convolution without bias."""
    return nn.Conv2d(in_channels, out_channels, 1, bias=False)


class Tracing(nn.Module):
    """Features → one map, by parallel depthwise branches of growing reach."""

    def __init__(self, in_channels: int, channels: int):
        super().__init__()

        def depthwise(width: int, kernel: int, reach: int = 1) -> nn.Sequential:
            return unit(width, width, kernel, padding=kernel // 2 * reach, dilation=reach,
                        groups=width)

        self.separable = nn.Sequential(depthwise(in_channels, 3), unit(in_channels, channels, 1))
        self.branches = nn.ModuleList([
            nn.Sequential(depthwise(channels, kernel, reach), unit(channels, channels // 4, 1))
            for kernel, reach in ((1, 1), (3, 1), (3, 3), (3, 5))])
        self.predict = unit(channels, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, 1, H, W), without the last SELU."""
        x = self.separable(x)
        x = torch.cat([branch(x) for branch in self.branches], dim=1) + x
        return self.predict.bn(self.predict.conv(x))


class ChannelTracer(nn.Module):
    """Confidence of each channel, from the attention between the channels' means.

    Dropout zeroes channels. So did the released ``Dropout3d`` before torch 1.12; since then it
    takes (N, C, 1, 1) for one sample and zeroes whole images.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.Sequential(nn.BatchNorm2d(channels), nn.Dropout2d(GAMMA))
        self.query, self.key, self.value, self.out = (pointwise(channels, channels)
                                                      for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C, 1, 1) in (0, 1)."""
        means = self.norm(x.mean(dim=(2, 3), keepdim=True))
        query, key, value = (part(means).squeeze(-1)
                             for part in (self.query, self.key, self.value))
        attention = (query @ key.transpose(1, 2)).softmax(dim=-1)
        return self.out((attention @ value).unsqueeze(-1)).sigmoid()


class UnionAttention(nn.Module):
    """Features → one map: confident channels, then attention between the rows (the paper's UAM).

    Args:
        scaled_mask: whether the channels that pass are scaled by their confidence, as in the
            released code; the paper only lets them through.
    """

    def __init__(self, channels: int, scaled_mask: bool):
        super().__init__()
        self.tracer = ChannelTracer(channels)
        self.bn = nn.BatchNorm2d(channels)
        self.query, self.key, self.value = (pointwise(channels, 1) for _ in range(3))
        self.masked = int(GAMMA * (channels - 1))  # rank of the value at or below the quantile
        self.scaled_mask = scaled_mask

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → logits (N, 1, H, W)."""
        confidence = self.tracer(x)
        # The quantile lies between the value of this rank and the next one, so the values above it
        # are those above this one. torch.quantile takes no half precision, and torch 2.8 cannot
        # export it.
        limit = confidence.detach().sort(dim=1).values[:, self.masked:self.masked + 1]
        passed = (confidence > limit).to(confidence.dtype)
        x = self.bn(x * confidence + x) * (confidence * passed if self.scaled_mask else passed)
        query, key, value = (part(x).squeeze(1) for part in (self.query, self.key, self.value))
        attention = (query @ key.transpose(1, 2)).softmax(dim=-1)
        return (attention @ value + value).unsqueeze(1)


class FrequencyEdges(nn.Module):
    """Edges in the high frequencies of features, added to them (the paper's MEAM).

    Args:
        floored: whether edge logits go through SELU and ReLU before they are supervised, as in the
            released code.
    """

    def __init__(self, channels: int, floored: bool):
        super().__init__()
        self.tracer = ChannelTracer(channels)
        self.tracing = Tracing(channels, channels)
        # The released module never runs it, but its checkpoints and parameter counts contain it.
        self.idle = nn.BatchNorm2d(channels).requires_grad_(False)
        self.floored = floored

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) → the same with edges added, and edge logits (N, 1, H, W)."""
        sharp = high_frequencies(x)
        logits = self.tracing(sharp * self.tracer(sharp) + sharp)
        edges = F.relu(F.selu(logits))
        return x + edges, edges if self.floored else logits


class ObjectAttention(nn.Module):
    """A map refined with shallower features of the object and of its possible outline (the paper's
    OAM)."""

    def __init__(self, channels: int):
        super().__init__()
        self.tracing = Tracing(channels, channels // 2)

    def forward(self, logits: Tensor, features: Tensor) -> Tensor:
        """(N, 1, H, W) and (N, C, H, W) → logits (N, 1, H, W)."""
        inside = logits.sigmoid()
        outside = 1 - inside
        edge = outside.where(outside <= DENOISE, 0.0)
        return F.relu(F.selu(self.tracing(inside * features + edge * features))) + logits


class Aggregation(nn.Module):
    """Three stages joined as in CPD, by products and then by concatenation; union attention makes
    one map of them."""

    def __init__(self, widths: Sequence[int], scaled_mask: bool):
        super().__init__()
        shallow, middle, deep = widths
        both, three = middle + deep, sum(widths)

        def conv3x3(in_channels: int, out_channels: int) -> nn.Sequential:
            return unit(in_channels, out_channels, 3, padding=1)

        self.deep_to_middle = conv3x3(deep, middle)
        self.deep_to_shallow = conv3x3(deep, shallow)
        self.middle_to_shallow = conv3x3(middle, shallow)
        self.deep_beside_middle = conv3x3(deep, deep)
        self.merge_middle = conv3x3(both, both)
        self.middle_beside_shallow = conv3x3(both, both)
        self.merge_shallow = conv3x3(three, three)
        self.attention = UnionAttention(three, scaled_mask)

    def forward(self, shallow: Tensor, middle: Tensor, deep: Tensor) -> Tensor:
        """Features (N, widths, ·, ·) at 1/8, 1/16 and 1/32 → logits (N, 1, ·, ·) at 1/8."""
        raised = resize_to(deep, middle, True)
        gated_middle = self.deep_to_middle(raised) * middle
        gated_shallow = (self.deep_to_shallow(resize_to(raised, shallow, True))
                         * self.middle_to_shallow(resize_to(middle, shallow, True)) * shallow)
        merged = self.merge_middle(
            torch.cat([gated_middle, self.deep_beside_middle(raised)], dim=1))
        merged = self.middle_beside_shallow(resize_to(merged, shallow, True))
        return self.attention(self.merge_shallow(torch.cat([gated_shallow, merged], dim=1)))


class TRACER(Network):
    """TE0 to TE7 on EfficientNet-B0 to B7; the paper also has ResNet-50.

    Args:
        trunk: a name in ``trunks``.
        widths: channels of the decoder at 1/8, 1/16 and 1/32 of the input.
        variant: ``released`` or ``paper``.
        floored_edges, scaled_mask: one difference of the two alone, see ``FrequencyEdges`` and
            ``UnionAttention``.
        trunk_options: of the trunk.
    """

    released_keys: Mapping[str, str] = {
        r"model\.Frequency_Edge_Module1\.UAM\.bn\.": "edges.idle.",
        r"model\.Frequency_Edge_Module1\.UAM\.": "edges.tracer.",
        r"model\.Frequency_Edge_Module1\.": "edges.tracing.",
        r"ObjectAttention2\.": "middle_attention.tracing.",
        r"ObjectAttention1\.": "shallow_attention.tracing.",
        r"rfb2\.": "receptive.0.",
        r"rfb3\.": "receptive.1.",
        r"rfb4\.": "receptive.2.",
        r"agg\.conv_upsample1\.": "aggregation.deep_to_middle.",
        r"agg\.conv_upsample2\.": "aggregation.deep_to_shallow.",
        r"agg\.conv_upsample3\.": "aggregation.middle_to_shallow.",
        r"agg\.conv_upsample4\.": "aggregation.deep_beside_middle.",
        r"agg\.conv_upsample5\.": "aggregation.middle_beside_shallow.",
        r"agg\.conv_concat2\.": "aggregation.merge_middle.",
        r"agg\.conv_concat3\.": "aggregation.merge_shallow.",
        r"agg\.UAM\.spatial_q\.": "aggregation.attention.query.",
        r"agg\.UAM\.spatial_k\.": "aggregation.attention.key.",
        r"agg\.UAM\.spatial_v\.": "aggregation.attention.value.",
        r"agg\.UAM\.bn\.": "aggregation.attention.bn.",
        r"agg\.UAM\.": "aggregation.attention.tracer.",
        # Inside a channel tracer.
        r"(.+\.tracer)\.channel_q\.": r"\1.query.",
        r"(.+\.tracer)\.channel_k\.": r"\1.key.",
        r"(.+\.tracer)\.channel_v\.": r"\1.value.",
        r"(.+\.tracer)\.fc\.": r"\1.out.",
        # Inside a tracing.
        r"(.+\.tracing)\.DWSConv\.DWConv\.": r"\1.separable.0.conv.",
        r"(.+\.tracing)\.DWSConv\.bn\.": r"\1.separable.0.bn.",
        r"(.+\.tracing)\.DWSConv\.PWConv\.": r"\1.separable.1.conv.",
        r"(.+\.tracing)\.DWSConv\.bn2\.": r"\1.separable.1.bn.",
        r"(.+\.tracing)\.DWConv1\.": r"\1.branches.0.",
        r"(.+\.tracing)\.DWConv2\.": r"\1.branches.1.",
        r"(.+\.tracing)\.DWConv3\.": r"\1.branches.2.",
        r"(.+\.tracing)\.DWConv4\.": r"\1.branches.3.",
        r"(.+\.tracing\.branches\.\d\.0)\.DWConv\.": r"\1.conv.",
        r"(.+\.tracing)\.conv1?\.": r"\1.predict.",
        # Inside a receptive field block.
        r"(receptive\.\d)\.branch": r"\1.branches.",
        r"(receptive\.\d)\.conv_cat\.": r"\1.fuse.",
        r"(receptive\.\d)\.conv_res\.": r"\1.shortcut.",
    }
    never_trained = ("edges.idle.",)
    smallest_side = 128  # smaller features have no frequency outside the disc

    def __init__(self, trunk: str = "efficientnet_b0", widths: Sequence[int] = WIDTHS,
                 variant: str = "released", floored_edges: bool | None = None,
                 scaled_mask: bool | None = None, **trunk_options):
        super().__init__()
        released = is_released(variant)
        floored_edges = switch("floored_edges", floored_edges, released)
        scaled_mask = switch("scaled_mask", scaled_mask, released)
        shallow, *deep = trunks.levels(trunk, (4, 8, 16, 32))
        self.trunk = trunks.build(trunk, [shallow], **trunk_options)
        self.deep = trunks.build(trunk, deep, **trunk_options)
        (first,), channels = self.trunk.widths, self.deep.widths
        self.edges = FrequencyEdges(first, floored_edges)
        self.receptive = nn.ModuleList([ReceptiveField(wide, width, unit) for wide, width in
                                        zip(channels, widths, strict=True)])
        self.aggregation = Aggregation(widths, scaled_mask)
        self.middle_attention = ObjectAttention(channels[0])
        self.shallow_attention = ObjectAttention(first)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) normalised RGB → logits (N, 1, H, W): ``saliency``, the mean of ``side0``
        (aggregation), ``side1`` and ``side2`` (after each object attention), and ``edge``."""
        shallow, edge = self.edges(*self.trunk.maps(image))
        stages = self.deep.maps(shallow)
        first = self.aggregation(*(block(x) for block, x in
                                   zip(self.receptive, stages, strict=True)))
        second = self.middle_attention(first, stages[0])
        third = self.shallow_attention(resize_to(second, shallow, False), shallow)
        sides = [resize_to(logits, image, False) for logits in (first, second, third)]
        return {"saliency": sum(sides) / 3, "edge": resize_to(edge, image, False),
                "side0": sides[0], "side1": sides[1], "side2": sides[2]}

    def released_key(self, key: str) -> str:
        """Our key for a key of the official checkpoints, whose trunk has the keys of its ImageNet
        weights."""
        return self._released_trunk.get(key) or super().released_key(key)

    @cached_property
    def _released_trunk(self) -> dict[str, str]:
        return {f"model.{theirs}": f"{name}.{ours}" for name, trunk in self.trunks().items()
                for ours, theirs in trunk.imagenet_keys().items()}
