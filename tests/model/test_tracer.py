"""TRACER: the frequency mask, attention, dropout, the readings of the paper."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

import model
from model import frequency, tracer
from utils.errors import UserError


def test_the_resnet_has_the_parameters_of_the_paper():
    with torch.device("meta"):
        network = model.build("tracer_resnet50")
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 2) == 25.28


@pytest.mark.parametrize("size", range(8))
def test_released_keys_of_every_size_are_those_of_its_imagenet_weights(size):
    """Keys of both, made from ours: nothing is left over, nothing shares a place."""
    with torch.device("meta"):
        network = model.build(f"tracer_te{size}")
    both = [*network.trunk.imagenet_keys().values(), *network.deep.imagenet_keys().values()]
    assert len(set(both)) == len(both)
    assert "_conv_stem.weight" in both and "_blocks.0._depthwise_conv.weight" in both
    ours = {network.released_key(f"model.{key}") for key in both}
    assert ours == {key for key in network.state_dict() if key.startswith(("trunk.", "deep."))}


def plain_mask(height: int, width: int) -> np.ndarray:
    """The released double loop, for maps that need not be square: 1 within 16 of the centre."""
    return np.array([[float(np.hypot(i - height / 2, j - width / 2) < 16) for j in range(width)]
                     for i in range(height)])


@given(st.integers(1, 90), st.integers(1, 90))
@settings(max_examples=25, deadline=None)
def test_the_frequency_mask_is_the_released_loop(height, width):
    mask = torch.fft.fftshift(frequency.disc(height, width, torch.device("cpu")))
    assert np.array_equal(mask.numpy(), plain_mask(height, width))


@pytest.mark.parametrize("size", [(80, 80), (48, 80), (37, 50)])
def test_high_frequencies_equal_the_shifted_transform(size):
    x = torch.randn(2, 3, *size)
    spectrum = torch.fft.fftshift(torch.fft.fft2(x), dim=(-2, -1)) * (1 - torch.from_numpy(
        plain_mask(*size)).float())
    expected = torch.fft.ifft2(torch.fft.ifftshift(spectrum, dim=(-2, -1))).abs()
    assert torch.allclose(frequency.high_frequencies(x), expected, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        assert frequency.high_frequencies(x.bfloat16()).dtype == torch.float32


def test_the_mask_is_made_once_and_is_no_weight():
    frequency.kept_disc.cache_clear()
    network = model.build("tracer_te0")
    for _ in range(3):
        network(torch.randn(2, 3, 64, 64))
    assert frequency.kept_disc.cache_info().misses == 1
    assert not [key for key in network.state_dict() if "mask" in key or "disc" in key]


def test_a_mask_made_while_predicting_serves_training():
    frequency.kept_disc.cache_clear()
    network = model.build("tracer_te0")
    image = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        network(image)
    network(image)["edge"].sum().backward()
    assert network.trunk.stem[0].weight.grad is not None


def test_no_other_tracers_tensors_are_kept():
    frequency.kept_disc.cache_clear()
    with FakeTensorMode() as mode:
        frequency.high_frequencies(mode.from_tensor(torch.randn(1, 2, 40, 40)))
    assert type(frequency.high_frequencies(torch.randn(1, 2, 40, 40))) is torch.Tensor


def test_dropout_leaves_out_channels_not_images():
    dropout = tracer.ChannelTracer(64).norm[1].train()
    passes = (dropout(torch.ones(200, 64, 1, 1)) > 0).float()
    assert passes.mean().item() == pytest.approx(1 - tracer.GAMMA, abs=0.02)
    assert passes.mean(dim=1).min() > 0 and passes.mean(dim=1).max() > 0.95  # no image is all zero
    assert passes.mean(dim=0).std() < 0.1


def test_the_readings_of_the_paper_are_options():
    torch.manual_seed(0)
    released = model.build("tracer_te0").train()
    image = torch.randn(2, 3, 160, 160)
    for module in released.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    released(image)
    released.eval()
    outputs = {}
    for name, options in (("released", {}), ("paper", {"variant": "paper"}),
                          ("edges", {"floored_edges": False}), ("mask", {"scaled_mask": False})):
        network = model.build("tracer_te0", **options).eval()
        network.load_state_dict(released.state_dict())
        with torch.no_grad():
            outputs[name] = network(image)
    assert (outputs["released"]["edge"] >= 0).all()  # no probability below one half
    assert outputs["paper"]["edge"].min() < -0.1
    assert torch.equal(outputs["edges"]["saliency"], outputs["released"]["saliency"])
    assert torch.equal(outputs["edges"]["edge"], outputs["paper"]["edge"])
    assert not torch.equal(outputs["mask"]["saliency"], outputs["released"]["saliency"])
    assert torch.equal(outputs["mask"]["saliency"], outputs["paper"]["saliency"])
    with pytest.raises(UserError, match="variant"):
        model.build("tracer_te0", variant="original")


@pytest.mark.parametrize("scaling", [True, False])
def test_the_union_attention_masks_the_least_confident_channels(scaling):
    attention = tracer.UnionAttention(40, scaling).eval()
    x = torch.randn(2, 40, 8, 12)
    maps = []
    attention.query.register_forward_pre_hook(lambda module, inputs: maps.append(inputs[0]))
    with torch.no_grad():
        out = attention(x)
        confidence = attention.tracer(x)
        sums = attention.bn(x * confidence + x)
    assert out.shape == (2, 1, 8, 12)
    zeros = maps[0].abs().amax(dim=(2, 3)) == 0
    assert (zeros.sum(dim=1) == 4).all()  # a tenth
    order = confidence.flatten(1).argsort(dim=1)
    assert zeros.gather(1, order)[:, :4].all()
    expected = sums * (confidence if scaling else 1)
    assert torch.allclose(maps[0], expected.where(~zeros[..., None, None], 0.0), atol=1e-6)


def test_object_attention_leaves_out_certain_background():
    attention = tracer.ObjectAttention(16).eval()
    maps = []
    attention.tracing.register_forward_pre_hook(lambda module, inputs: maps.append(inputs[0]))
    logits = torch.tensor([-9.0, -2.0, 0.0, 9.0]).view(1, 1, 2, 2)
    features = torch.ones(1, 16, 2, 2)
    attention(logits, features)
    p = logits.sigmoid()
    assert torch.allclose(maps[0][0, 0], torch.where(1 - p > 0.93, p, 1.0)[0, 0])


def test_the_official_checkpoint_has_all_keys_of_the_trunk(golden):
    """The trunk's keys in TRACER's checkpoints are EfficientNet's behind ``model.``."""
    description = json.loads((golden.folder / "models/tracer0.json").read_text())
    network = model.build("tracer_te0")
    keys = {**network.trunk.imagenet_keys(), **network.deep.imagenet_keys()}
    theirs = {key for key in description["state_dict"] if key.startswith("model._")}
    assert theirs == {f"model.{key}" for key in keys.values()}


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_network_computes_in_its_own_type(dtype):
    network = model.build("tracer_te0").to(dtype).eval()
    with torch.no_grad():
        outputs = network(torch.randn(1, 3, 128, 128, dtype=dtype))
    assert {logits.dtype for logits in outputs.values()} == {dtype}
