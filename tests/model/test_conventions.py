"""ImageNet files of both conventions, torchvision's and Caffe's: where their tensors land, and what
is printed where a file, a trunk and a recipe do not go together."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import model
from model import trunks
from utils import errors
from utils.config import load_config
from utils.paths import CONFIGS
from utils.weights import load_backbone

#: Number of each convolution in torchvision's ``features``, without and with batch norm.
VGG = {"conv1": (0, 2), "conv2": (5, 7), "conv3": (10, 12, 14), "conv4": (17, 19, 21),
       "conv5": (24, 26, 28)}
VGG_NORM = {"conv1": (0, 3), "conv2": (7, 10), "conv3": (14, 17, 20), "conv4": (24, 27, 30),
            "conv5": (34, 37, 40)}
NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


class TrunkAlone(model.Network):
    """A network that is a trunk and nothing else."""

    def __init__(self, trunk: str, last: str | None = None, **options):
        super().__init__()
        stages = list(trunks._TRUNKS[trunk][0].STAGES)
        self.trunk = trunks.build(trunk, [stages[:stages.index(last) + 1] if last else stages],
                                  **options)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return self.trunk(image)


def vgg_keys(numbers: dict, norm: bool, prefix: str) -> dict[str, str]:
    """Our key → the key in a file of VGG-16."""
    keys = {}
    for stage, places in numbers.items():
        for which, at in enumerate(places, start=1):
            for part in ("weight", "bias"):
                keys[f"{stage}.{stage}_{which}.{part}"] = f"{prefix}{at}.{part}"
            for part in NORM if norm else ():
                keys[f"{stage}.bn{stage[-1]}_{which}.{part}"] = f"{prefix}{at + 1}.{part}"
    return keys


def resnet_keys(stem: str, depth: str) -> dict[str, str]:
    """Our key → the key in a file of ResNet-50 or -34; ``stem`` is our stage of the first layer,
    and empty where that layer is another."""
    import torchvision

    with torch.device("meta"):
        keys = getattr(torchvision.models, depth)().state_dict()
    return {key if key.startswith("layer") else f"{stem}.{key}": key for key in keys
            if key.startswith("layer") or (stem and not key.startswith("fc."))}


TORCHVISION_ENDS, CAFFE_ENDS = {"classifier.0.weight"}, {"fc6.weight", "fc7.bias"}


@pytest.mark.parametrize("trunk, keys, unused", [
    ("vgg16", vgg_keys(VGG, False, "features."), TORCHVISION_ENDS),
    ("vgg16_bn", vgg_keys(VGG_NORM, True, "features."), TORCHVISION_ENDS),
    ("vgg16_dense", vgg_keys(VGG, False, "features."), TORCHVISION_ENDS),
    ("vgg16_caffe", vgg_keys(VGG, False, ""), CAFFE_ENDS),
    ("resnet50", "stem", {"fc.weight"}), ("resnet50_dense", "conv1", {"fc.bias"}),
    ("resnet50_caffe", "conv1", {"fc.bias"}),
    ("resnet34_full", "", {"fc.weight", "conv1.weight", "bn1.bias"})])
def test_each_tensor_of_a_file_lands_where_its_key_belongs(tmp_path, trunk, keys, unused):
    """A file in which every tensor has a value of its own. ResNets but Caffe's are without their
    large ends."""
    small = {"width": 1 / 64} if trunk.startswith("vgg") else \
        {} if trunk.endswith("caffe") else {"last": "layer2"}
    with torch.device("meta"):
        network = TrunkAlone(trunk, **small)
    network.to_empty(device="cpu")
    own = {key: value for key, value in network.trunk.state_dict().items()
           if not key.startswith(network.trunk.from_scratch)}
    if isinstance(keys, str):
        keys = {ours: theirs for ours, theirs in resnet_keys(keys, trunk.partition("_")[0]).items()
                if not (small and ours.startswith(("layer3", "layer4")))}
    assert keys.keys() == own.keys()
    values = {theirs: number for number, theirs in enumerate(keys.values(), start=1)}
    state = {theirs: torch.tensor(values[theirs]).to(own[ours]).expand(own[ours].shape)
             for ours, theirs in keys.items()}
    torch.save(state | {key: torch.zeros(2) for key in unused}, tmp_path / "trunk.pth")
    line = load_backbone(network, str(tmp_path / "trunk.pth"))
    assert f"{len(keys)} tensors, {len(unused)} tensors not needed" in line
    assert ("no weights for conv1.: random" in line) == (trunk == "resnet34_full")
    assert [ours for ours, theirs in keys.items() if (own[ours] != values[theirs]).any()] == []


CAFFE, RGB = "channels bgr from 0 to 255", "channels rgb from 0 to 1"


@pytest.mark.parametrize("recipe, overrides, notes", [
    ("egnet_vgg", [], []),
    ("egnet_vgg", ["data.channels=rgb"],
     ["the ImageNet weights of CaffeVGG16: trained on images of " + CAFFE]),
    ("egnet_vgg", ["weights.backbone=./vgg16_20M.pth"], []),
    ("cpd_vgg", ["weights.backbone=./vgg16-397923af.pth"], []),
    ("egnet_resnet", ["weights.backbone=./resnet50-0676ba61.pth"],  # it fits, tensor by tensor
     [f"resnet50-0676ba61.pth holds weights trained on images of {RGB}; CaffeResNet50 is built for "
      f"those of images of {CAFFE}", f"images of {RGB}, this recipe gives images of {CAFFE}"]),
    ("cpd_vgg", ["weights.backbone=./vgg16-00b39a1b.pth"],  # Caffe's, with torchvision's keys
     [f"trained on images of {CAFFE}; VGG16 is", f"{CAFFE}, this recipe gives images of {RGB}"]),
    ("egnet_vgg", ["weights.backbone=./mine.pth"],
     [f"mine.pth is taken for weights trained on images of {CAFFE}, which CaffeVGG16 is built for; "
      "its name does not tell"]),
    ("egnet_vgg", ["weights.backbone=./mine.pth", "data.range=1"],
     ["its name does not tell", "this recipe gives images of channels bgr from 0 to 1"])])
def test_what_does_not_go_together_and_what_is_assumed_is_printed(recipe, overrides, notes, capsys):
    errors._print_note.cache_clear()
    config = load_config(CONFIGS / f"{recipe}.yaml", overrides)
    with torch.device("meta"):
        network = model.build(config.model.name)
    model.note_convention(network, config)
    printed = capsys.readouterr().err.splitlines()
    assert len(printed) == len(notes)
    for line, note in zip(printed, notes, strict=True):
        assert note in line
