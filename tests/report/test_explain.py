"""Sheets of what is inside a network: each picture, against networks whose insides are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import model
from data import Pair
from model.base import Network
from report.explain.about import About, read_about
from report.explain.cam import METHODS, Layer, cam_of, method
from report.explain.look import (
    feature_maps_in,
    joined,
    named_layer,
    principal_components,
    stages_of,
)
from report.explain.pictures import cam_on, coloured
from report.explain.target import Target, weights_of
from report.sheet import Tile, save_sheet
from utils.errors import UserError

INSIDE = np.s_[2:6, 3:7]  # of the pictures of Contrast


class Two(nn.Module):
    """Red and blue of an image, as one map, or as a list of two."""

    def __init__(self, branches: bool):
        super().__init__()
        self.branches = branches

    def forward(self, image):
        maps = image[:, [0]], image[:, [2]]
        return list(maps) if self.branches else torch.cat(maps, dim=1)


class Contrast(Network):
    """Logits: red minus twice the blue, which a layer in place changes before that."""

    def __init__(self, branches: bool = False):
        super().__init__()
        self.stages = nn.ModuleDict({"colours": Two(branches), "unused": nn.Conv2d(3, 2, 1)})
        self.change = nn.Threshold(-1e9, 0, inplace=True)
        self.difference = nn.Conv2d(2, 1, 1)
        self.difference.weight.data = torch.tensor([1.0, -2.0]).view(1, 2, 1, 1)
        self.difference.bias.data.zero_()

    def forward(self, image):
        features = self.stages["colours"](image)
        self.stages["unused"](image)
        features = torch.cat(features, dim=1) if isinstance(features, list) else features
        return {"saliency": self.difference(self.change(features).mul_(1))}


@pytest.fixture
def image() -> torch.Tensor:
    """Red inside a box, blue around it, (1, 3, 8, 10)."""
    red = torch.zeros(8, 10)
    red[INSIDE] = 3
    return torch.stack([red, torch.rand(8, 10, generator=torch.Generator().manual_seed(0)),
                        2.0 * (red == 0)])[None]


def explained(network, image, name="gradcam", layer="stages.colours", maps=1):
    pytest.importorskip("pytorch_grad_cam", reason="grad-cam is not installed")
    return cam_of(method(name), network, Layer(layer, network.get_submodule(layer), maps), image,
                  "saliency", np.ones((8, 10), np.float32))


def test_grad_cam_is_what_its_formula_gives(image):
    """Gradients of the logits' sum are 1 for red and −2 for blue, their weights."""
    red, blue = image[0, 0].numpy(), image[0, 2].numpy()
    expected = np.maximum(red - 2 * blue, 0)
    network = Contrast().eval()
    cam = explained(network, image)
    assert cam.dtype == np.float32 and cam == pytest.approx(expected / expected.max(), abs=1e-5)
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert not network.stages["colours"]._forward_hooks


def test_each_of_a_layers_branches_has_a_cam(image):
    """Of red alone it is red; of blue, which speaks against it, nothing is left."""
    cam = explained(Contrast(branches=True).eval(), image, maps=2)
    assert cam == pytest.approx((image[0, 0] / 3).numpy(), abs=1e-5)


@pytest.mark.parametrize("name", METHODS)
def test_cams_lie_on_what_decides(image, name):
    cam = explained(Contrast().eval(), image, name)
    assert cam.shape == (8, 10) and 0 <= cam.min() <= cam.max() <= 1
    outside = cam.copy()
    outside[INSIDE] = 0
    low, high = sorted((cam[INSIDE].min(), outside.max()))
    has_free_sign = name == "eigencam"
    assert low < 0.6 and high > 0.9 and (has_free_sign or cam[INSIDE].min() == high)


@pytest.mark.filterwarnings("error:.*(overflow|invalid value)")
def test_a_cam_that_is_not_finite_is_refused(image):
    network = Contrast().eval()
    network.difference.weight.data *= 1e38
    with pytest.raises(UserError, match=r"GradCAM of stages.colours gives no numbers: the layer's "
                                        "values or gradients are too large"):
        explained(network, image)
    assert not network.stages["colours"]._forward_hooks


def test_a_layer_without_influence_or_maps_is_refused(image):
    network = Contrast().eval()
    with pytest.raises(UserError, match=r"--layer stages.unused: the output saliency does not dep"):
        explained(network, image, layer="stages.unused")
    with pytest.raises(UserError, match="--layer change: gives no feature maps"):
        explained(network, image, layer="change", maps=0)


def test_stages_are_the_trunks_or_the_networks_own():
    assert list(stages_of(Contrast())) == ["stages.colours", "stages.unused"]
    thin = model.build("ras_v2", trunk="vgg16", width=0.0625)
    assert list(stages_of(thin)) == [f"trunk.{stage}" for stage in (
        "conv1", "conv2", "conv3", "conv4", "conv5", "pool5")]


def test_unknown_layers_are_answered_with_near_names():
    network = Contrast()
    assert named_layer(network, "stages.colours") is network.stages["colours"]
    for wrong in ("colours", "stage.colors"):
        with pytest.raises(UserError, match=r"Contrast has no layer .* nearest: stages.colours"):
            named_layer(network, wrong)
    with pytest.raises(UserError, match=r"of this name; its stages: stages.colours, stages.unused"):
        named_layer(network, "")


def test_branches_become_one_layer():
    first, second = torch.rand(1, 2, 4, 6), torch.rand(1, 3, 2, 3)
    features = joined(feature_maps_in({"a": [first], "b": (second, "word", torch.rand(3))}))
    assert features.shape == (5, 4, 6) and torch.equal(features[:2], first[0])
    assert torch.equal(features[2:, ::2, ::2], second[0])


@pytest.mark.parametrize("channels", [4, 200])
def test_principal_components_are_the_colours(channels):
    """Three patterns of different strength, mixed into channels, come back as red, green, blue."""
    random = torch.Generator().manual_seed(0)
    waves = torch.stack([torch.sin(2 * torch.pi * n * (torch.arange(64) + .5) / 64)
                         for n in (1, 2, 3)]) * torch.tensor([[9.0], [3], [1]])
    mixing = torch.linalg.qr(torch.randn(channels, 3, generator=random))[0]
    colours, share = principal_components((mixing @ waves).view(channels, 4, 16) + 5)
    assert share == pytest.approx(1) and colours.dtype == np.float32
    agreement = np.corrcoef(colours.reshape(64, 3).T, waves)[:3, 3:]
    assert np.abs(agreement) == pytest.approx(np.eye(3), abs=0.02)
    flat, share = principal_components(torch.ones(3, 2, 2))
    assert (flat == 0.5).all() and share == 1


def test_targets_are_regions_of_the_photo(tmp_path, capsys):
    Image.new("RGB", (10, 8)).save(tmp_path / "a.png")
    mask = np.zeros((8, 10), np.uint8)
    mask[INSIDE] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    pair, saliency = Pair("a", tmp_path / "a.png"), mask / np.float32(255)
    for word in ("object", "3,2,7,6", str(tmp_path / "mask.png")):
        Target(word).require([pair])
        assert np.array_equal(Target(word).region(pair, saliency), mask > 0)
    assert capsys.readouterr().err == ""
    faint = Target("object").region(pair, 0.4 * saliency)
    assert np.array_equal(faint, mask > 0) and "stays below 0.40" in capsys.readouterr().err
    assert weights_of(mask > 0, (4, 5)).sum() == pytest.approx(4, abs=0.02)


@pytest.mark.parametrize("word, message", [
    ("objekt", "expected object, a box X0,Y0,X1,Y1"), ("3,2,11,6", "has 10×8 pixels"),
    ("3,2,3,6", "no box"), ("-1,2,3,6", "no box"), ("small.png", "the mask is 4×4"),
    ("black.png", "black everywhere")])
def test_what_is_no_part_of_the_photo_is_refused(tmp_path, monkeypatch, word, message):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (10, 8)).save("a.png")
    Image.new("L", (4, 4), 255).save("small.png")
    Image.new("L", (10, 8)).save("black.png")
    with pytest.raises(UserError, match=message):
        Target(word).require([Pair("a", tmp_path / "a.png")])


def test_a_regions_outline_is_white_and_outliers_do_not_darken_layers(tmp_path):
    photo = Image.new("RGB", (40, 20), (200, 0, 0))
    region = np.zeros((20, 40), bool)
    region[5:15, 10:30] = True
    marked = np.asarray(cam_on(photo, np.zeros((8, 8), np.float32), region))
    white = (marked == 255).all(axis=-1)
    assert white[5, 10:30].all() and white[5:15, 29].all() and white.sum() == 2 * 20 + 2 * 8
    values = np.arange(200.0).reshape(10, 20)
    values[0, 0] = 1e9  # an outlier does not make the rest dark
    shown = np.asarray(coloured(values))
    assert shown[5, 0].tolist() != shown[9, 0].tolist()
    path, about = tmp_path / "sheet.png", About("1", "2", "3", "input, “map”")
    save_sheet(path, [[Tile(photo, "map")]], [(20, 40)], about.in_png())
    assert read_about(path) == (about, Image.open(path).size)
