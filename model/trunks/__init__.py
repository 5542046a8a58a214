"""Trunks: the classification networks on which the papers build, one file for each family.

A network takes a trunk by name, asks ``levels`` which stages lie at which stride, and the built
trunk how many channels they have::

    runs = trunks.levels("resnet50", (4, 8, 16))  # [["stem", "layer1"], ["layer2"], ["layer3"]]
    trunk = trunks.build("resnet50", runs)
    trunk.levels  # ["layer1", "layer2", "layer3"], the last stage of each run
    trunk.widths  # [256, 512, 1024], their channels
    trunk.maps(image)  # their outputs

Networks whose branches have their own copies of deep stages build the runs apart.
"""

from __future__ import annotations

from collections.abc import Sequence

from utils.errors import nearest

from .efficientnet import SIZES, EfficientNet
from .hvpnet import HVPNetTrunk
from .res2net import Res2Net50
from .resnet import CaffeResNet50, DenseResNet50, FullResNet34, ResNet50, SplitResNet50
from .samnet import SAMNetTrunk
from .trunk import Trunk
from .vgg import VGG16, CaffeVGG16, DenseVGG16

#: Name → class and the options that the name fixes.
_TRUNKS: dict[str, tuple[type[Trunk], dict]] = {
    "vgg16": (VGG16, {}),
    "vgg16_bn": (VGG16, {"norm": True}),
    "vgg16_dense": (DenseVGG16, {}),
    "vgg16_caffe": (CaffeVGG16, {}),
    "resnet34_full": (FullResNet34, {}),
    "resnet50": (ResNet50, {}),
    "resnet50_split": (SplitResNet50, {}),
    "resnet50_dense": (DenseResNet50, {}),
    "resnet50_caffe": (CaffeResNet50, {}),
    "res2net50": (Res2Net50, {}),
    "hvpnet": (HVPNetTrunk, {}),
    "samnet": (SAMNetTrunk, {}),
    **{f"efficientnet_b{size}": (EfficientNet, {"size": size}) for size in SIZES},
}

__all__ = ["Trunk", "build", "levels", "names"]


def names() -> list[str]:
    """Names that ``build`` knows."""
    return list(_TRUNKS)


def build(name: str, runs: Sequence[Sequence[str]], **options) -> Trunk:
    """A part of the trunk ``name``, freshly initialised.

    Args:
        runs: its stages, consecutive and in order, in runs such as ``levels`` gives.
        options: of the trunk's class: ``pool`` and ``width`` of VGG-16, ``pool`` of ResNet-50.

    Raises:
        TypeError: a name, stage or option that is unknown.
    """
    trunk, fixed = _entry(name)
    stages = [stage for run in runs for stage in run]
    unknown = [stage for stage in stages if stage not in trunk.STAGES]
    if unknown:
        raise TypeError(f"trunk {name!r} has no stage {unknown[0]!r}; "
                        f"{nearest(unknown[0], trunk.STAGES)}")
    built = trunk(stages=stages, **fixed | options)
    built.levels = [run[-1] for run in runs]
    return built


def levels(name: str, strides: Sequence[int]) -> list[list[str]]:
    """The stages of a trunk in one run for each stride, so that each run ends with the last stage
    at this stride, or with the last but one where the stride is asked for twice. The first run
    begins with the image.

    Raises:
        TypeError: the name is unknown, or the trunk has no stage at one of the strides.
    """
    stages = _entry(name)[0].STAGES
    runs, start = [], 0
    for place, stride in enumerate(strides):
        at_stride = [number for number, value in enumerate(stages.values()) if value == stride]
        still_wanted = strides[place:].count(stride)
        if len(at_stride) < still_wanted:
            raise TypeError(f"trunk {name!r} has no stage at stride {stride}; it has "
                            f"{', '.join(f'{stage} at {at}' for stage, at in stages.items())}")
        end = at_stride[-still_wanted] + 1
        runs.append(list(stages)[start:end])
        start = end
    return runs


def _entry(name: str) -> tuple[type[Trunk], dict]:
    if name not in _TRUNKS:
        raise TypeError(f"unknown trunk {name!r}; {nearest(name, names())}")
    return _TRUNKS[name]
