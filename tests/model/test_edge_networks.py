"""TRACER and BGNet: trunks, sizes, the frequency mask, dropout, the readings of the paper."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

import model
from model import tracer
from model.trunks.efficientnet import SIZES, EfficientNet, SameConv, channels_of
from model.trunks.grouped import GroupedConv
from model.trunks.res2net import Res2Net50
from model.trunks.vgg import VGG16
from tests.model.test_model import SIZES as PARAMETERS
from tests.model.test_model import settled
from utils import weights
from utils.errors import UserError

#: As the released code has them: stages taken at 1/4 to 1/32, by the number of their last block.
RELEASED_BLOCKS = ((2, 4, 10, 15), (4, 7, 15, 22), (4, 7, 15, 22), (4, 7, 17, 25), (5, 9, 21, 31),
                   (7, 12, 26, 38), (8, 14, 30, 44), (10, 17, 37, 54))
RELEASED_CHANNELS = ((24, 40, 112, 320), (24, 40, 112, 320), (24, 48, 120, 352),
                     (32, 48, 136, 384), (32, 56, 160, 448), (40, 64, 176, 512),
                     (40, 72, 200, 576), (48, 80, 224, 640))


@pytest.fixture(scope="module", params=sorted(SIZES))
def sized(request) -> tuple[int, nn.Module]:
    """A size of TRACER and the network, without memory for its weights."""
    with torch.device("meta"):
        return request.param, model.build(f"tracer_te{request.param}")


def test_the_resnet_has_the_parameters_of_the_paper():
    with torch.device("meta"):
        network = model.build("tracer_resnet50")
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 2) == 25.28


def test_sizes_have_the_released_parameters_and_stages(sized):
    size, network = sized
    assert sum(p.numel() for p in network.parameters()) == PARAMETERS[size]
    groups = ("group2", "group3", "group5", "group7")
    last = {**network.trunk.first_block, **network.deep.first_block}
    ends = [last[name] + len(getattr(network.trunk if name == "group2" else network.deep, name)) - 1
            for name in groups]
    assert tuple(ends) == RELEASED_BLOCKS[size]
    assert tuple(channels_of(size)[name] for name in groups) == RELEASED_CHANNELS[size]


def test_every_size_takes_released_keys_and_advprop_weights(sized):
    """Keys of both, made from ours: nothing is left over, nothing shares a place."""
    _, network = sized
    both = [*network.trunk.imagenet_keys().values(), *network.deep.imagenet_keys().values()]
    assert len(set(both)) == len(both)
    assert "_conv_stem.weight" in both and "_blocks.0._depthwise_conv.weight" in both
    ours = {network.released_key(f"model.{key}") for key in both}
    assert len(ours) == len(both)
    assert ours == {key for key in network.state_dict() if key.startswith(("trunk.", "deep."))}


@given(st.integers(1, 80), st.sampled_from([1, 3, 5]), st.sampled_from([1, 2]))
@settings(max_examples=60, deadline=None)
def test_padding_is_tensorflows_for_the_native_size(native, kernel, stride):
    """Against the definition: ⌈native / stride⌉ outputs, the odd zero at the right and bottom."""
    conv = SameConv(2, 3, kernel, native, stride)
    image = torch.randn(1, 2, native, native)
    side = -(-native // stride)
    total = max((side - 1) * stride + kernel - native, 0)
    padded = torch.zeros(1, 2, native + total, native + total)
    padded[..., total // 2:total // 2 + native, total // 2:total // 2 + native] = image
    expected = nn.functional.conv2d(padded, conv.weight, stride=stride)
    found = conv(image)
    assert found.shape == expected.shape == (1, 3, side, side)
    assert torch.allclose(found, expected, atol=1e-6)


def test_padding_does_not_follow_the_input():
    """B1 is made for 240, of which the last stage sees 15: its odd padding is even on both sides,
    though an input of 320 has 20 there."""
    convs = [module for module in EfficientNet(1).modules()
             if isinstance(module, SameConv) and module.stride == (2, 2)]
    assert [conv.uneven for conv in convs] == [1, 1, 1, 1, 0]
    assert convs[-1](torch.zeros(1, convs[-1].in_channels, 20, 20)).shape[-1] == 10


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
    said = weights.load_backbone(network)
    assert f"{SIZES[0].weights}, {len(keys)} tensors, 3 classifier tensors not needed" in said
    assert (network.deep.group7[0].project[0].weight == 0.25).all()
    assert (network.trunk.stem[0].weight == 0.25).all()
    with pytest.raises(UserError, match="does not fit"):
        weights.load_backbone(model.build("tracer_te1"), str(tmp_path / SIZES[0].weights))


def test_without_a_network_the_manual_way_is_told(tmp_path, monkeypatch):
    def refused(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr(weights, "CHECKPOINTS", tmp_path)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refused)
    for name, file in (("tracer_te3", SIZES[3].weights),
                       ("bgnet", "res2net50_v1b_26w_4s-3cf99910.pth")):
        with torch.device("meta"):
            network = model.build(name)
        with pytest.raises(UserError, match=file) as caught:
            weights.load_backbone(network)
        assert str(tmp_path) in str(caught.value) and "https://" in str(caught.value)


def plain_mask(height: int, width: int) -> np.ndarray:
    """The released double loop, for maps that need not be square: 1 within 16 of the centre."""
    return np.array([[float(np.hypot(i - height / 2, j - width / 2) < 16) for j in range(width)]
                     for i in range(height)])


@given(st.integers(1, 90), st.integers(1, 90))
@settings(max_examples=25, deadline=None)
def test_the_frequency_mask_is_the_released_loop(height, width):
    found = torch.fft.fftshift(tracer.disc(height, width, torch.device("cpu")))
    assert np.array_equal(found.numpy(), plain_mask(height, width))


@pytest.mark.parametrize("size", [(80, 80), (48, 80), (37, 50)])
def test_high_frequencies_equal_the_shifted_transform(size):
    x = torch.randn(2, 3, *size)
    spectrum = torch.fft.fftshift(torch.fft.fft2(x), dim=(-2, -1)) * (1 - torch.from_numpy(
        plain_mask(*size)).float())
    expected = torch.fft.ifft2(torch.fft.ifftshift(spectrum, dim=(-2, -1))).abs()
    assert torch.allclose(tracer.high_frequencies(x), expected, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        assert tracer.high_frequencies(x.bfloat16()).dtype == torch.float32


def test_the_mask_is_made_once_and_is_no_weight():
    tracer.kept_disc.cache_clear()
    network = model.build("tracer_te0")
    for _ in range(3):
        network(torch.randn(2, 3, 64, 64))
    assert tracer.kept_disc.cache_info().misses == 1
    assert not [key for key in network.state_dict() if "mask" in key or "disc" in key]


def test_a_mask_made_while_predicting_serves_training():
    tracer.kept_disc.cache_clear()
    network = model.build("tracer_te0")
    image = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        network(image)
    network(image)["edge"].sum().backward()
    assert network.trunk.stem[0].weight.grad is not None


def test_dropout_leaves_out_channels_not_images():
    dropout = tracer.ChannelTracer(64).norm[1].train()
    kept = (dropout(torch.ones(200, 64, 1, 1)) > 0).float()
    assert kept.mean().item() == pytest.approx(1 - tracer.GAMMA, abs=0.02)
    assert kept.mean(dim=1).min() > 0 and kept.mean(dim=1).max() > 0.95  # no image is all zero
    assert kept.mean(dim=0).std() < 0.1


def test_the_readings_of_the_paper_are_options():
    torch.manual_seed(0)
    released = model.build("tracer_te0").train()
    image = torch.randn(2, 3, 160, 160)
    for module in released.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    released(image)
    released.eval()
    found = {}
    for name, options in (("released", {}), ("paper", {"variant": "paper"}),
                          ("edges", {"floored_edges": False}), ("mask", {"scaled_mask": False})):
        network = model.build("tracer_te0", **options).eval()
        network.load_state_dict(released.state_dict())
        with torch.no_grad():
            found[name] = network(image)
    assert (found["released"]["edge"] >= 0).all()  # no probability below one half
    assert found["paper"]["edge"].min() < -0.1
    assert torch.equal(found["edges"]["saliency"], found["released"]["saliency"])
    assert torch.equal(found["edges"]["edge"], found["paper"]["edge"])
    assert not torch.equal(found["mask"]["saliency"], found["released"]["saliency"])
    assert torch.equal(found["mask"]["saliency"], found["paper"]["saliency"])
    with pytest.raises(UserError, match="variant"):
        model.build("tracer_te0", variant="original")


@pytest.mark.parametrize("scaled", [True, False])
def test_the_union_attention_masks_the_least_confident_channels(scaled):
    attention = tracer.UnionAttention(40, scaled).eval()
    x = torch.randn(2, 40, 8, 12)
    seen = []
    attention.query.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    with torch.no_grad():
        out = attention(x)
        confidence = attention.tracer(x)
        raised = attention.bn(x * confidence + x)
    assert out.shape == (2, 1, 8, 12)
    masked = seen[0].abs().amax(dim=(2, 3)) == 0
    assert (masked.sum(dim=1) == 4).all()  # a tenth
    order = confidence.flatten(1).argsort(dim=1)
    assert masked.gather(1, order)[:, :4].all()
    expected = raised * (confidence if scaled else 1)
    assert torch.allclose(seen[0], expected.where(~masked[..., None, None], 0.0), atol=1e-6)


def test_object_attention_leaves_out_certain_background():
    attention = tracer.ObjectAttention(16).eval()
    seen = []
    attention.tracing.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    logits = torch.tensor([-9.0, -2.0, 0.0, 9.0]).view(1, 1, 2, 2)
    features = torch.ones(1, 16, 2, 2)
    attention(logits, features)
    p = logits.sigmoid()
    assert torch.allclose(seen[0][0, 0], torch.where(1 - p > 0.93, p, 1.0)[0, 0])


def test_bgnets_edges_are_enlarged_as_probabilities():
    network = model.build("bgnet").eval()
    image = torch.randn(1, 3, 64, 96)
    seen = []
    network.edge_module.register_forward_hook(lambda module, given, out: seen.append(out))
    with torch.no_grad():
        edge = network(image)["edge"]
    expected = nn.functional.interpolate(seen[0].sigmoid(), scale_factor=4, mode="bilinear")
    assert torch.allclose(edge.sigmoid(), expected.clamp(1e-6, 1 - 1e-6), atol=1e-6)


def test_trunks_split_into_parts_are_the_whole():
    """A trunk's stages in two modules give what one module gives."""
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
            first = parts[0].eval()(image)[-1]
            assert torch.equal(parts[1].eval()(first)[-1], whole.eval()(image)[-1])


def test_edges_in_bf16_stay_near_float32():
    """The transform runs in float32 whatever the rest computes in."""
    network = settled("tracer_te0")
    image = torch.randn(2, 3, 160, 160)
    with torch.no_grad():
        whole = network(image)
        with torch.autocast("cpu", torch.bfloat16):
            half = network(image)
    assert whole["edge"].std() > 0
    # Behind the edges, random weights amplify the rounding to whole rows of the attention.
    assert (half["edge"].float().sigmoid() - whole["edge"].sigmoid()).abs().mean() < 0.02
    assert all(torch.isfinite(logits).all() for logits in half.values())


def test_reference_keys_are_those_of_the_readme(golden):
    """The trunk's keys in TRACER's checkpoints are EfficientNet's behind ``model.``."""
    description = json.loads((golden.folder / "models/tracer0.json").read_text())
    network = model.build("tracer_te0")
    keys = {**network.trunk.imagenet_keys(), **network.deep.imagenet_keys()}
    theirs = {key for key in description["state_dict"] if key.startswith("model._")}
    assert theirs == {f"model.{key}" for key in keys.values()}


@pytest.mark.parametrize("name", ["tracer_te0", "bgnet"])
def test_exports_without_a_warning(name):
    network = settled(name)
    image = torch.randn(1, 3, 128, 160)
    tracer.kept_disc.cache_clear()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("error", UserWarning)
        exported = torch.export.export(network, (image,)).module()(image)
        expected = network(image)
    for key, logits in expected.items():
        assert type(logits) is torch.Tensor  # not what stood for it while exporting
        assert torch.allclose(exported[key], logits, atol=1e-5 * float(logits.abs().max()) + 1e-5)
    assert expected["edge"].std() > 0


def test_no_other_tracers_tensors_are_kept():
    tracer.kept_disc.cache_clear()
    with FakeTensorMode() as mode:
        tracer.high_frequencies(mode.from_tensor(torch.randn(1, 2, 40, 40)))
    assert type(tracer.high_frequencies(torch.randn(1, 2, 40, 40))) is torch.Tensor


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_network_computes_in_its_own_type(dtype):
    network = model.build("tracer_te0").to(dtype).eval()
    with torch.no_grad():
        outputs = network(torch.randn(1, 3, 128, 128, dtype=dtype))
    assert {logits.dtype for logits in outputs.values()} == {dtype}


@pytest.mark.parametrize("channels, dilation", [(12, 5), (20, 3), (24, 1)])
def test_depthwise_gradients_are_those_of_float32(channels, dilation):
    """On a CPU with bf16 units, torch 2.15's own are garbage at times for dilated kernels."""
    torch.manual_seed(0)
    conv = GroupedConv(channels, channels, 3, padding=dilation, dilation=dilation, groups=channels,
                       bias=False).to(memory_format=torch.channels_last)
    x = torch.randn(4, channels, 80, 80).contiguous(memory_format=torch.channels_last)
    gradients = []
    for enabled in (True, True, True, False):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            out = conv(x.bfloat16() if enabled else x.bfloat16().float())
        (gradient,) = torch.autograd.grad(out.float().square().mean(), conv.weight)
        gradients.append(gradient)
    for gradient in gradients[:-1]:
        assert torch.allclose(gradient, gradients[-1], rtol=1e-3, atol=1e-5)
