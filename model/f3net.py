"""F3Net: Fusion, Feedback and Focus for Salient Object Detection.

Wei, Wang and Huang, AAAI 2020 (arXiv 1911.11445). Cross feature modules multiply a stage's features
with the decoder's, and add what both have in common to each of them. A second decoder begins with
the features that the first one refined, to each of which the first one's result is added. The
structure loss weighs the pixels near an outline (the paper's pixel position aware loss).
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from . import trunks
from .base import Network
from .blocks import he_conv, he_conv_norm_relu, resize_to
from .trunks.resnet import released_trunk

WIDTH = 64  # channels of the decoders


class CrossFeature(nn.Module):
    """A stage's features and a deeper feature, each with what both have in common added (the
    paper's CFM). ``stage`` and ``deep`` hold the first to fourth convolution of either side."""

    def __init__(self):
        super().__init__()
        self.stage, self.deep = (
            nn.ModuleDict({number: he_conv_norm_relu(WIDTH, WIDTH) for number in "1234"})
            for _ in range(2))

    def forward(self, stage: Tensor, deep: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 64, h, w) and (N, 64, ·, ·) → the two refined, both (N, 64, h, w)."""
        stage = self.stage["1"](stage)
        deep = self.deep["1"](resize_to(deep, stage, False))
        common = self.stage["2"](stage) * self.deep["2"](deep)
        return (self.stage["4"](self.stage["3"](common) + stage),
                self.deep["4"](self.deep["3"](common) + deep))


class Decoder(nn.Module):
    """Cross feature modules from the fourth stage to the second (the paper's CFD)."""

    def __init__(self):
        super().__init__()
        self.cross = nn.ModuleDict({stage: CrossFeature() for stage in "432"})

    def forward(self, features: list[Tensor],
                feedback: Tensor | None = None) -> tuple[list[Tensor], Tensor]:
        """Features of stages 2 to 5, each (N, 64, ·, ·) → the same refined, and the decoder's
        result (N, 64, h, w) at the size of stage 2.

        Args:
            feedback: (N, 64, ·, ·), added to all features before they are joined.
        """
        if feedback is not None:
            features = [x + resize_to(feedback, x, False) for x in features]
        *shallower, deep = features
        refined = [deep]
        for cross, x in zip(self.cross.values(), reversed(shallower), strict=True):
            x, deep = cross(x, deep)
            refined.insert(0, x)
        return refined, deep


class F3Net(Network):
    """25 536 710 parameters on ResNet-50.

    Args:
        trunk: a name in ``trunks``.
        trunk_options: of the trunk.
    """

    released_keys: Mapping[str, str] = released_trunk("bkbone") | {
        r"squeeze(\d)\.": r"squeeze.\1.",
        r"linearp(\d)\.": r"predict.\1.",
        r"linearr(\d)\.": r"predict_stage.\1.",
        r"decoder(\d)\.cfm(\d)\d\.": r"decoders.\1.cross.\2.",
        r"(decoders\.\d\.cross\.\d)\.conv(\d)h\.": r"\1.stage.\2.0.",
        r"(decoders\.\d\.cross\.\d)\.bn(\d)h\.": r"\1.stage.\2.1.",
        r"(decoders\.\d\.cross\.\d)\.conv(\d)v\.": r"\1.deep.\2.0.",
        r"(decoders\.\d\.cross\.\d)\.bn(\d)v\.": r"\1.deep.\2.1.",
    }

    def __init__(self, trunk: str = "resnet50", **trunk_options):
        super().__init__()
        self.trunk = trunks.build(trunk, trunks.levels(trunk, (4, 8, 16, 32)), **trunk_options)
        self.squeeze = nn.ModuleDict({
            str(stage): he_conv_norm_relu(channels, WIDTH, 1)
            for stage, channels in enumerate(self.trunk.widths, start=2)})
        self.decoders = nn.ModuleDict({"1": Decoder(), "2": Decoder()})
        self.predict = nn.ModuleDict({decoder: he_conv(WIDTH, 1) for decoder in "12"})
        self.predict_stage = nn.ModuleDict({stage: he_conv(WIDTH, 1) for stage in "2345"})

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) normalised RGB → logits (N, 1, H, W): ``saliency`` of the second decoder,
        ``first`` of the first one, and ``stage2`` … ``stage5`` of the second one's features."""
        squeezed = [squeeze(x) for squeeze, x in
                    zip(self.squeeze.values(), self.trunk.maps(image), strict=True)]
        refined, first = self.decoders["1"](squeezed)
        refined, second = self.decoders["2"](refined, first)
        logits = {"saliency": self.predict["2"](second), "first": self.predict["1"](first)}
        for (stage, predict), x in zip(self.predict_stage.items(), refined, strict=True):
            logits[f"stage{stage}"] = predict(x)
        return {name: resize_to(x, image, False) for name, x in logits.items()}
