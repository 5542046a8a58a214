"""Trunks: stages, strides, padding, stochastic depth, ImageNet weights."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import model
from model import trunks
from model.trunks.efficientnet import SIZES, EfficientNet, MBConv, SameConv
from model.trunks.res2net import Res2Net50
from model.trunks.vgg import VGG16
from utils import weights
from utils.errors import UserError

#: As in the released TRACER: number of the last block of the stages at 1/4, 1/8, 1/16 and 1/32.
RELEASED_BLOCKS = ((2, 4, 10, 15), (4, 7, 15, 22), (4, 7, 15, 22), (4, 7, 17, 25), (5, 9, 21, 31),
                   (7, 12, 26, 38), (8, 14, 30, 44), (10, 17, 37, 54))
RELEASED_CHANNELS = ((24, 40, 112, 320), (24, 40, 112, 320), (24, 48, 120, 352),
                     (32, 48, 136, 384), (32, 56, 160, 448), (40, 64, 176, 512),
                     (40, 72, 200, 576), (48, 80, 224, 640))


@pytest.mark.parametrize("name", trunks.names())
def test_a_trunk_knows_its_channels_and_strides(name):
    """Its own words, against the shapes that it computes."""
    stages = list(trunks._TRUNKS[name][0].STAGES)
    # Caffe's pooling rounds up, with a padding that torch's does not need: 64 → 33.
    more = int(name == "resnet50_caffe")
    with torch.device("meta"):
        trunk = trunks.build(name, [stages]).eval()
        features = trunk(torch.zeros(1, 3, 128, 160))
    assert list(features) == stages == list(trunk.channels) == list(trunk.strides)
    for stage, x in features.items():
        stride = trunk.strides[stage]
        odd = more * (stage != "conv1")
        size = 128 // stride + odd, 160 // stride + odd
        assert x.shape == (1, trunk.channels[stage], *size), stage


def test_levels_end_with_the_last_stage_at_each_stride():
    assert trunks.levels("vgg16", (4, 8, 16)) == [["conv1", "conv2", "conv3"], ["conv4"], ["conv5"]]
    assert trunks.levels("efficientnet_b3", (4, 16)) == [
        ["stem", "group1", "group2"], ["group3", "group4", "group5"]]
    with pytest.raises(TypeError, match="no stage at stride 2; it has stem at 4"):
        trunks.levels("resnet50", (2, 4))


def test_unknown_trunks_and_stages_are_errors():
    with pytest.raises(TypeError, match="did you mean 'vgg16'"):
        trunks.levels("vgg_16", (4,))
    with pytest.raises(TypeError, match="no stage 'layer5'"):
        trunks.build("resnet50", [["stem", "layer5"]])
    with pytest.raises(UserError, match="did you mean 'resnet50'"):
        model.build("cpd_resnet", trunk="resnet_50")
    with pytest.raises(UserError, match="did you mean 'cpd_vgg'"):
        model.build("CPD_VGG")
    with pytest.raises(UserError, match="width must be a number above 0 and at most 16, not 1000"):
        model.build("cpd_vgg", width=1000)


def test_a_trunk_is_an_option_of_a_network():
    with torch.device("meta"):
        as_named = model.build("cpd_resnet")
        as_option = model.build("cpd_vgg", trunk="resnet50")
        on_efficientnet = model.build("cpd_vgg", trunk="efficientnet_b0").eval()
        outputs = on_efficientnet(torch.zeros(1, 3, 64, 96))
    assert list(as_named.state_dict()) == list(as_option.state_dict())
    assert list(on_efficientnet.attention.receptive) == ["group3", "group5", "group7"]
    assert outputs["saliency"].shape == (1, 1, 64, 96)


@pytest.mark.parametrize("size", sorted(SIZES))
def test_efficientnets_have_the_released_stages(size):
    (*first, last) = trunks.levels(f"efficientnet_b{size}", (4, 8, 16, 32))
    with torch.device("meta"):
        trunk = trunks.build(f"efficientnet_b{size}", [*first, last])
    ends = [trunk.first_block[stage] + len(getattr(trunk, stage)) - 1 for stage in trunk.levels]
    assert tuple(ends) == RELEASED_BLOCKS[size]
    assert tuple(trunk.channels[stage] for stage in trunk.levels) == RELEASED_CHANNELS[size]


def test_the_rate_of_stochastic_depth_grows_linearly_with_the_block():
    """Block b of B is left out at the rate 0.2 b / B, b counted from 0 through all stages, also
    where the stages lie in two modules."""
    parts = (EfficientNet(0, ("stem", "group1", "group2")),
             EfficientNet(0, [f"group{number}" for number in range(3, 8)]))
    rates = [module.drop.p for part in parts for module in part.modules()
             if isinstance(module, MBConv)]
    assert rates == pytest.approx([0.2 * block / 16 for block in range(16)])


def test_stochastic_depth_leaves_out_whole_results_of_single_images():
    """Training gives x for a share p of the images and x + f(x) / (1 − p) for the others, so the
    mean is x + f(x), which evaluation gives for all."""
    torch.manual_seed(0)
    block = EfficientNet(0, ("group6",)).group6[3]
    rate = 0.2 * 14 / 16
    assert block.skips and block.drop.p == pytest.approx(rate)
    norms = [module for module in block.modules() if isinstance(module, nn.BatchNorm2d)]
    images = 1000
    x = torch.randn(1, 192, 1, 1).expand(images, -1, -1, -1)
    with torch.no_grad():
        expected = block.eval()(x[:1]) - x[:1]
        block.train()
        for norm in norms:
            norm.eval()  # so that f is the same in both modes
        shares = (block(x) - x) / expected
    assert torch.allclose(shares, shares[:, :1].expand_as(shares), atol=1e-2)
    left_out = shares[:, 0].flatten() < 0.5
    assert torch.allclose(shares[left_out, 0], torch.zeros(()), atol=1e-2)
    assert torch.allclose(shares[~left_out, 0], torch.tensor(1 / (1 - rate)), atol=1e-2)
    deviation = math.sqrt(rate * (1 - rate) / images)
    assert left_out.float().mean().item() == pytest.approx(rate, abs=4 * deviation)
    with torch.no_grad():
        assert torch.allclose(block.eval()(x[:5]) - x[:5], expected.expand(5, -1, -1, -1))


def test_a_block_without_a_shortcut_is_never_left_out():
    block = EfficientNet(0, ("group6",)).group6[0].train()  # changes channels and size
    assert not block.skips and block.drop.p > 0.1
    result = block(torch.randn(40, 112, 4, 4))
    assert (result.abs().amax(dim=(1, 2, 3)) > 0).all()


@given(st.integers(1, 80), st.sampled_from([1, 3, 5]), st.sampled_from([1, 2]))
@settings(max_examples=60, deadline=None)
def test_padding_is_tensorflows_for_the_native_size(native, kernel, stride):
    """Against the definition: ⌈native / stride⌉ outputs, the odd zero at the right and bottom."""
    conv = SameConv(2, 3, kernel, native, stride)
    image = torch.randn(1, 2, native, native)
    side = -(-native // stride)
    total = max((side - 1) * stride + kernel - native, 0)
    with_zeros = torch.zeros(1, 2, native + total, native + total)
    with_zeros[..., total // 2:total // 2 + native, total // 2:total // 2 + native] = image
    expected = nn.functional.conv2d(with_zeros, conv.weight, stride=stride)
    result = conv(image)
    assert result.shape == expected.shape == (1, 3, side, side)
    assert torch.allclose(result, expected, atol=1e-6)


def test_padding_does_not_follow_the_input():
    """B1 is made for 240, of which the last stage sees 15: its odd padding is even on both sides,
    though an input of 320 has 20 there."""
    convs = [module for module in EfficientNet(1).modules()
             if isinstance(module, SameConv) and module.stride == (2, 2)]
    assert [conv.uneven for conv in convs] == [1, 1, 1, 1, 0]
    assert convs[-1](torch.zeros(1, convs[-1].in_channels, 20, 20)).shape[-1] == 10


def test_trunks_split_into_parts_are_the_whole():
    """A trunk's stages in two modules give what one module gives."""
    def last(features: dict[str, torch.Tensor]) -> torch.Tensor:
        return list(features.values())[-1]

    for whole, parts in (
            (EfficientNet(0), (EfficientNet(0, ("stem", "group1", "group2")),
                               EfficientNet(0, [f"group{n}" for n in range(3, 8)]))),
            (Res2Net50(), (Res2Net50(("stem", "layer1")), Res2Net50(("layer2", "layer3",
                                                                       "layer4")))),
            (VGG16(), (VGG16(("conv1", "conv2")), VGG16(("conv3", "conv4", "conv5"))))):
        state = whole.state_dict()
        for part in parts:
            part.load_state_dict({key: state[key] for key in part.state_dict()})
        image = torch.randn(1, 3, 64, 64)
        with torch.no_grad():
            first = last(parts[0].eval()(image))
            assert torch.equal(last(parts[1].eval()(first)), last(whole.eval()(image)))


def test_a_trunk_loads_advprop_weights_and_leaves_the_head(tmp_path, monkeypatch):
    """From checkpoints/, where a machine cannot download; the file's head is not needed."""
    network = model.build("tracer_te0")
    keys = {**network.trunk.imagenet_keys(), **network.deep.imagenet_keys()}
    own = {**network.trunk.state_dict(), **network.deep.state_dict()}
    state = {theirs: torch.full_like(own[ours], 0.25) for ours, theirs in keys.items()}
    state |= {"_conv_head.weight": torch.zeros(2), "_bn1.bias": torch.zeros(2),
              "_fc.bias": torch.zeros(2)}
    torch.save(state, tmp_path / SIZES[0].weights)
    monkeypatch.setattr(weights, "CHECKPOINTS", tmp_path)
    line = weights.load_backbone(network)
    assert f"{SIZES[0].weights}, {len(keys)} tensors, 3 tensors not needed" in line
    assert (network.deep.group7[0].project[0].weight == 0.25).all()
    assert (network.trunk.stem[0].weight == 0.25).all()
    with pytest.raises(UserError, match="does not fit"):
        weights.load_backbone(model.build("tracer_te1"), str(tmp_path / SIZES[0].weights))


@pytest.mark.parametrize("name, depths, released", [
    ("samnet", (0, 1, 0, 0, 1), "context_path"), ("hvpnet", (1, 0, 0), "backbone")])
def test_the_trunks_of_light_networks_load_the_authors_files(name, depths, released, tmp_path,
                                                             monkeypatch):
    """Under the keys that the released network has for its trunk, of which ``released`` is cut."""
    network = model.build(name, depths=depths)
    keys = network.trunk.imagenet_keys()
    for ours, theirs in keys.items():
        assert network.released_key(f"{released}.{theirs}") == f"trunk.{ours}"
    own = network.trunk.state_dict()
    file = network.trunk.imagenet.rpartition("/")[2]
    torch.save({f"module.{theirs}": torch.full_like(own[ours], 2) for ours, theirs in keys.items()},
               tmp_path / file)
    monkeypatch.setattr(weights, "CHECKPOINTS", tmp_path)
    assert f"{file}, {len(keys)} tensors" in weights.load_backbone(network)
    assert all((tensor == 2).all() for tensor in network.trunk.state_dict().values())


@pytest.mark.parametrize("width", [0, -1, "half"])
def test_a_width_that_is_none_is_refused(width):
    with pytest.raises(UserError, match=f"above 0 and at most 16, not {width!r}"):
        model.build("cpd_vgg", width=width)


def test_without_a_network_the_manual_way_is_told(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr(weights, "CHECKPOINTS", tmp_path)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    for name, file in (("tracer_te3", SIZES[3].weights),
                       ("bgnet", "res2net50_v1b_26w_4s-3cf99910.pth")):
        with torch.device("meta"):
            network = model.build(name)
        with pytest.raises(UserError, match=file) as caught:
            weights.load_backbone(network)
        assert str(tmp_path) in str(caught.value) and "https://" in str(caught.value)
