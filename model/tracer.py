"""TRACER: Extreme Attention Guided Salient Object Tracing Network.

Lee, Shin and Han, AAAI 2022 (student abstract; arXiv 2112.07380). Edges are found in the high
frequencies of the first features and added to them; three deeper stages are joined into a map,
which two object attention modules refine with shallower features. The mean of the three maps is
the prediction.

As released, which differs from the paper (docs/tracer.md) and is switched by ``variant``: edge
logits go through a ReLU, so that no pixel's edge probability is below one half; channels that pass
the union attention's mask are also scaled by their confidence.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .cpd import ReceptiveField, resize_to
from .keys import renamed
from .trunks.efficientnet import EfficientNet, channels_of
from .trunks.grouped import GroupedConv
from .trunks.resnet import CHANNELS as RESNET_CHANNELS
from .trunks.resnet import ResNet50
from .trunks.trunk import Trunk
from .trunks.vgg import POOL5, VGG16, scaled
from .trunks.vgg import STAGES as VGG_STAGES

WIDTHS = (32, 64, 128)  # of the decoder at 1/8, 1/16 and 1/32, as released
# Of TR-R, which was not released: with these, which are CPD's, it has the paper's 25.28 million
# parameters to the last digit.
RESNET_WIDTHS = (32, 32, 32)
RADIUS = 16  # of the low frequencies that the edges do without, in steps of the spectrum
GAMMA = 0.1  # share of the channels that the union attention masks, and of dropout
DENOISE = 0.93  # background that the object attention takes for certain


def unit(in_channels: int, out_channels: int, kernel: int | tuple, **options) -> nn.Sequential:
    """Convolution without bias, batch norm, SELU."""
    return nn.Sequential(OrderedDict(
        conv=GroupedConv(in_channels, out_channels, kernel, bias=False, **options),
        bn=nn.BatchNorm2d(out_channels), selu=nn.SELU()))


def pointwise(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 1, bias=False)


class Tracing(nn.Module):
    """A map traced in features: depthwise branches of growing reach beside each other."""

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
        """(N, C, H, W) → (N, 1, H, W), what comes before the last SELU."""
        x = self.separable(x)
        x = torch.cat([branch(x) for branch in self.branches], dim=1) + x
        return self.predict.bn(self.predict.conv(x))


class ChannelTracer(nn.Module):
    """Confidence of each channel, from the attention between the channels' means.

    Dropout leaves out channels. The released ``Dropout3d`` did so on torch before 1.12; later it
    takes (N, C, 1, 1) for one sample and leaves out whole images.
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
    """Features → one map: confident channels, then attention between the rows (UAM).

    Args:
        scaled_mask: channels that pass are scaled by their confidence, as released, and not only
            let through, as in the paper.
    """

    def __init__(self, channels: int, scaled_mask: bool):
        super().__init__()
        self.tracer = ChannelTracer(channels)
        self.bn = nn.BatchNorm2d(channels)
        self.query, self.key, self.value = (pointwise(channels, 1) for _ in range(3))
        self.masked = int(GAMMA * (channels - 1))  # which in order the quantile is at or above
        self.scaled_mask = scaled_mask

    def forward(self, x: Tensor) -> Tensor:
        confidence = self.tracer(x)
        # The quantile lies between this value in order and the next, so above it is above this one;
        # torch.quantile knows no half precision, and torch 2.8 cannot export it.
        limit = confidence.detach().sort(dim=1).values[:, self.masked:self.masked + 1]
        passed = (confidence > limit).to(confidence.dtype)
        x = self.bn(x * confidence + x) * (confidence * passed if self.scaled_mask else passed)
        query, key, value = (part(x).squeeze(1) for part in (self.query, self.key, self.value))
        attention = (query @ key.transpose(1, 2)).softmax(dim=-1)
        return (attention @ value + value).unsqueeze(1)


class FrequencyEdges(nn.Module):
    """Edges in the high frequencies of features, added to them (MEAM).

    Args:
        floored: edge logits go through SELU and ReLU before they are supervised, as released.
    """

    def __init__(self, channels: int, floored: bool):
        super().__init__()
        self.tracer = ChannelTracer(channels)
        self.tracing = Tracing(channels, channels)
        # The released module has it and never runs it: in its checkpoints and parameter counts.
        self.idle = nn.BatchNorm2d(channels).requires_grad_(False)
        self.floored = floored

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) → the same with edges added, and edge logits (N, 1, H, W)."""
        sharp = high_frequencies(x)
        found = self.tracing(sharp * self.tracer(sharp) + sharp)
        edges = F.relu(F.selu(found))
        return x + edges, edges if self.floored else found


def high_frequencies(x: Tensor) -> Tensor:
    """Magnitude of features without the frequencies of a disc around 0, for any H and W.

    Computed in float32 at least, which is also what mixed precision gets; otherwise the result has
    the features' own type.
    """
    height, width = x.shape[-2:]
    # A trace keeps how the disc is made, not the disc of the size it was traced with; nor must one
    # that another tracer's tensors stand for be kept.
    traced = torch.jit.is_tracing() or torch.compiler.is_compiling() or type(x) is not Tensor
    make = disc if traced else kept_disc
    exact = x if x.dtype == torch.float64 else x.float()
    spectrum = torch.fft.fft2(exact) * (1 - make(height, width, x.device))
    found = torch.fft.ifft2(spectrum).abs()
    return found if torch.is_autocast_enabled(x.device.type) else found.to(x.dtype)


def disc(height: int, width: int, device: torch.device) -> Tensor:
    """1 on the frequencies nearer than ``RADIUS`` to the spectrum's centre, laid out as ``fft2``
    has them, (H, W). The centre of odd sizes is half a step off frequency 0, as released."""
    down, across = (torch.arange(side, device=device) - side / 2 for side in (height, width))
    inside = down[:, None] ** 2 + across ** 2 < RADIUS ** 2
    return torch.fft.ifftshift(inside.float())


#: Made once for each size and device. Not a buffer of a module: averages of weights copy buffers,
#: and two sizes do not fit one buffer.
kept_disc = lru_cache(maxsize=32)(disc)


class ObjectAttention(nn.Module):
    """A map refined with shallower features, looked at where the object is and may end (OAM)."""

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
    """Three stages joined as in CPD, products first, into one map by union attention."""

    def __init__(self, widths: tuple[int, int, int], scaled_mask: bool):
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
        """Maps at 1/8, 1/16 and 1/32 → logits at 1/8."""
        raised = resize_to(deep, middle, True)
        gated_middle = self.deep_to_middle(raised) * middle
        gated_shallow = (self.deep_to_shallow(resize_to(raised, shallow, True))
                         * self.middle_to_shallow(resize_to(middle, shallow, True)) * shallow)
        merged = self.merge_middle(
            torch.cat([gated_middle, self.deep_beside_middle(raised)], dim=1))
        merged = self.middle_beside_shallow(resize_to(merged, shallow, True))
        return self.attention(self.merge_shallow(torch.cat([gated_shallow, merged], dim=1)))


class TRACER(nn.Module):
    """The network on any trunk; see ``tracer_te``, ``tracer_resnet50`` and ``tracer_vgg``.

    Args:
        trunk: ends at 1/4 of the input, where the edges are found.
        deep: goes on from there.
        stages: those of ``deep`` at 1/8, 1/16 and 1/32.
        channels: at 1/4, 1/8, 1/16 and 1/32.
        widths: of the decoder at 1/8, 1/16 and 1/32.
        variant: ``released`` or ``paper``.
        floored_edges, scaled_mask: one difference of the two alone, see ``FrequencyEdges`` and
            ``UnionAttention``.
    """

    def __init__(self, trunk: Trunk, deep: Trunk, stages: tuple[str, str, str],
                 channels: tuple[int, int, int, int], widths: tuple[int, int, int],
                 variant: str = "released",
                 floored_edges: bool | None = None, scaled_mask: bool | None = None):
        super().__init__()
        if variant not in ("released", "paper"):
            raise TypeError(f"variant must be 'released' or 'paper', not {variant!r}")
        for name, value in (("floored_edges", floored_edges), ("scaled_mask", scaled_mask)):
            if value not in (True, False, None):
                raise TypeError(f"{name} is true or false, not {value!r}")
        released = variant == "released"
        self.trunk, self.deep = trunk, deep
        names = [name for name, _ in deep.named_children()]
        self.taken = [names.index(stage) for stage in stages]
        self.edges = FrequencyEdges(channels[0],
                                    released if floored_edges is None else floored_edges)
        self.receptive = nn.ModuleList([ReceptiveField(wide, unit, width) for wide, width in
                                        zip(channels[1:], widths, strict=True)])
        self.aggregation = Aggregation(widths, released if scaled_mask is None else scaled_mask)
        self.middle_attention = ObjectAttention(channels[1])
        self.shallow_attention = ObjectAttention(channels[0])

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) normalised RGB → logits (N, 1, H, W): ``saliency``, the mean of ``side0``
        (aggregation), ``side1`` and ``side2`` (after each object attention), and ``edge``."""
        shallow, edge = self.edges(self.trunk(image)[-1])
        features = self.deep(shallow)
        taken = [features[number] for number in self.taken]
        first = self.aggregation(*(block(x) for block, x in
                                   zip(self.receptive, taken, strict=True)))
        second = self.middle_attention(first, taken[0])
        third = self.shallow_attention(resize_to(second, shallow, False), shallow)
        sides = [resize_to(logits, image, False) for logits in (first, second, third)]
        return {"saliency": sum(sides) / 3, "edge": resize_to(edge, image, False),
                "side0": sides[0], "side1": sides[1], "side2": sides[2]}

    def released_key(self, key: str) -> str:
        """Our key for a key of the official checkpoints."""
        if not hasattr(self, "_from_released"):
            self._from_released = {
                f"model.{theirs}": f"{name}.{ours}" for name in ("trunk", "deep")
                for ours, theirs in getattr(self, name).imagenet_keys().items()}
        return self._from_released.get(key) or renamed(key, _RELEASED)


def tracer_te(size: int, **options) -> TRACER:
    """TRACER-TE ``size`` on EfficientNet-B ``size``, 0 to 7."""
    channels = channels_of(size)
    taken = ("group3", "group5", "group7")
    return TRACER(EfficientNet(size, ("stem", "group1", "group2")),
                  EfficientNet(size, [f"group{number}" for number in range(3, 8)]), taken,
                  tuple(channels[stage] for stage in ("group2", *taken)), WIDTHS, **options)


def tracer_resnet50(pool: str = "max", **options) -> TRACER:
    """TR-R of the paper, on ResNet-50; not released."""
    taken = ("layer2", "layer3", "layer4")
    return TRACER(ResNet50(("stem", "layer1"), pool), ResNet50(taken, pool), taken,
                  tuple(RESNET_CHANNELS[stage] for stage in ("layer1", *taken)), RESNET_WIDTHS,
                  **options)


def tracer_vgg(pool: str = "max", width: float = 1.0, **options) -> TRACER:
    """On VGG-16, which the paper does not have: conv3, conv4, conv5, and conv5 pooled once more."""
    channels = [scaled(VGG_STAGES[stage][-1], width) for stage in ("conv3", "conv4", "conv5")]
    taken = ("conv4", "conv5", POOL5)
    return TRACER(VGG16(("conv1", "conv2", "conv3"), pool, width), VGG16(taken, pool, width), taken,
                  (*channels, channels[-1]), WIDTHS, **options)


# Released key → ours, as regular expressions on the beginning of the key.
_TRACING = {
    r"DWSConv\.DWConv\.": "separable.0.conv.",
    r"DWSConv\.bn\.": "separable.0.bn.",
    r"DWSConv\.PWConv\.": "separable.1.conv.",
    r"DWSConv\.bn2\.": "separable.1.bn.",
    **{rf"DWConv{number + 1}\.0\.DWConv\.": f"branches.{number}.0.conv." for number in range(4)},
    **{rf"DWConv{number + 1}\.": f"branches.{number}." for number in range(4)},
    r"conv1?\.": "predict.",
}
_TRACER = {r"norm\.": "norm.", r"channel_q\.": "query.", r"channel_k\.": "key.",
           r"channel_v\.": "value.", r"fc\.": "out."}
_RELEASED = {
    rf"{theirs}\.{part}": f"{ours}.{name}" for theirs, ours, parts in (
        (r"model\.Frequency_Edge_Module1\.UAM", "edges.tracer", _TRACER),
        (r"model\.Frequency_Edge_Module1\.UAM", "edges", {r"bn\.": "idle."}),
        (r"model\.Frequency_Edge_Module1", "edges.tracing", _TRACING),
        (r"agg\.UAM", "aggregation.attention.tracer", _TRACER),
        (r"agg\.UAM", "aggregation.attention", {r"spatial_q\.": "query.", r"spatial_k\.": "key.",
                                                r"spatial_v\.": "value.", r"bn\.": "bn."}),
        (r"agg", "aggregation", {
            r"conv_upsample1\.": "deep_to_middle.", r"conv_upsample2\.": "deep_to_shallow.",
            r"conv_upsample3\.": "middle_to_shallow.", r"conv_upsample4\.": "deep_beside_middle.",
            r"conv_upsample5\.": "middle_beside_shallow.", r"conv_concat2\.": "merge_middle.",
            r"conv_concat3\.": "merge_shallow."}),
        (r"ObjectAttention2", "middle_attention.tracing", _TRACING),
        (r"ObjectAttention1", "shallow_attention.tracing", _TRACING),
        *((f"rfb{number}", f"receptive.{number - 2}", {
            **{rf"branch{branch}\.": f"branches.{branch}." for branch in range(4)},
            r"conv_cat\.": "fuse.", r"conv_res\.": "shortcut."}) for number in (2, 3, 4)),
    ) for part, name in parts.items()
}
