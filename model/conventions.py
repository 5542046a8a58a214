"""Which images a trunk's ImageNet weights were trained on, and whether a recipe gives such images.

A tensor does not tell: torchvision's weights fit into a trunk that expects Caffe's, and learn from
false colours. The file's name tells, if it is known; else what is assumed is printed.
"""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from utils.errors import note_once

from .base import Network

#: ``data.channels`` and ``data.range``: of torchvision's training, and of Caffe's.
TORCHVISION, CAFFE = ("rgb", 1), ("bgr", 255)
#: Files of ImageNet weights by name → the images that they were trained on.
FILES = {
    "vgg16-397923af.pth": TORCHVISION,
    "vgg16_bn-6c64b313.pth": TORCHVISION,
    "resnet50-19c8e357.pth": TORCHVISION,
    "resnet50-0676ba61.pth": TORCHVISION,
    "resnet50-11ad3fa6.pth": TORCHVISION,
    "vgg16_20M.pth": CAFFE,
    "resnet50_caffe.pth": CAFFE,
    "vgg16_features-amdegroot-88682ab5.pth": ("rgb", 255),  # torchvision's copy of Caffe's
    "vgg16-00b39a1b.pth": CAFFE,  # jcjohnson/pytorch-vgg, under torchvision's names of tensors
}


def note_convention(network: Network, config: DictConfig) -> None:
    """Print a note where the recipe's images, or the network's trunk, are not such as the weights
    of ``weights.backbone`` are known to be for, or where that is assumed of a file."""
    source, images = config.weights.backbone, (config.data.channels, config.data.range)
    for trunk in {type(trunk): trunk for trunk in network.trunks().values()}.values():
        weights, kind = f"the ImageNet weights of {type(trunk).__name__}", trunk.convention
        if source != "imagenet":
            file = Path(source).name
            weights, kind = source, trunk.convention if file == trunk.imagenet.rpartition("/")[2] \
                else FILES.get(file)
        if kind is None:
            note_once(f"{weights} is taken for weights trained on {_named(trunk.convention)}, "
                      f"which {type(trunk).__name__} is built for; its name does not tell")
            kind = trunk.convention
        if kind != trunk.convention:
            note_once(f"{weights} holds weights trained on {_named(kind)}; {type(trunk).__name__} "
                      f"is built for those of {_named(trunk.convention)}")
        if kind != images:
            note_once(f"{weights}: trained on {_named(kind)}, this recipe gives {_named(images)}: "
                      "see data.channels and data.range")


def _named(images: tuple[str, int]) -> str:
    return "images of channels {} from 0 to {}".format(*images)
