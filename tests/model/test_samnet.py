"""SAMNet's weights of its branches, its probabilities that are resized, and its maps."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import model
import test as test_script
from model.blocks import resize_probability
from model.trunks.samnet import MultiScale
from utils.maps import read_map


def test_each_pixel_and_channel_weighs_the_branches():
    """The module written with loops over branches, channels and pixels."""
    torch.manual_seed(0)
    module, x = MultiScale(8, (1, 2)).eval(), torch.randn(1, 8, 5, 4)
    with torch.no_grad():
        entered = module.enter(x)
        branches = [*(branch(entered) for branch in module.branches), entered]
        joined = sum(branches)
        channel = module.channel(joined.mean((2, 3), keepdim=True)).flatten()
        spatial, mixed = module.spatial(joined)[0, 0], torch.zeros_like(x)
        for number in range(8):
            for row in range(5):
                for column in range(4):
                    # Gates of all channels of the first branch come first.
                    gates = channel[number::8] * spatial[row, column]
                    values = torch.stack([each[0, number, row, column] for each in branches])
                    mixed[0, number, row, column] = (gates.softmax(0) * values).sum()
        assert torch.allclose(module(x), x + module.fuse(mixed), atol=1e-5)


@pytest.mark.parametrize("align_corners", [False, True])
def test_probabilities_are_resized_and_not_logits(align_corners):
    logits = torch.tensor([[[[-40.0, 3.0], [40.0, 0.5]]]], requires_grad=True)
    large = resize_probability(logits, torch.empty(1, 3, 5, 7), align_corners)
    expected = F.interpolate(logits.sigmoid(), (5, 7), mode="bilinear", align_corners=align_corners)
    assert torch.allclose(large.sigmoid(), expected, atol=1e-6) and torch.isfinite(large).all()
    large.sum().backward()
    assert torch.isfinite(logits.grad).all()


def test_maps_are_those_of_the_released_protocol(tmp_path):
    """Normalised, then resized, and probabilities cut to bytes; rounded bytes would be brighter by
    half a grey level. The images here are resized as bytes."""
    torch.manual_seed(0)
    network = model.build("samnet", depths=[0] * 5).eval()
    with torch.no_grad():  # so that the map has more than a few grey levels
        network.predict[4][1].weight.mul_(60)
    torch.save(network.state_dict(), tmp_path / "network.pth")
    image = cv2.GaussianBlur(np.random.default_rng(0).integers(
        0, 256, (60, 90, 3), np.uint8), (0, 0), 4).astype(np.uint8)
    image = cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX)
    Image.fromarray(image).save(tmp_path / "photo.png")
    assert test_script.main([
        "--config", "samnet", "--checkpoint", str(tmp_path / "network.pth"), "--gpu", "cpu",
        "--input", str(tmp_path / "photo.png"), "--out", str(tmp_path / "maps"),
        "data.workers=0", "model.options.depths=[0,0,0,0,0]"]) == 0
    made = read_map(tmp_path / "maps/samnet/input/photo.png").astype(float)
    normalised = (image / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    squashed = cv2.resize(normalised.astype(np.float32), (336, 336)).transpose(2, 0, 1)
    with torch.no_grad():
        probability = network(torch.from_numpy(squashed[None]))["saliency"].sigmoid()
    large = F.interpolate(probability, (60, 90), mode="bilinear", align_corners=False)[0, 0]
    difference = made - np.floor(255 * large.numpy())
    assert np.ptp(made) > 50
    assert abs(difference).max() <= 2 and abs(difference.mean()) < 0.1
