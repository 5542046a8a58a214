"""SAMNet's weights of its branches, its trunk's file, and its probabilities that are resized."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import model
from model.blocks import resize_probability
from model.trunks.samnet import MultiScale
from utils import weights


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


def test_the_trunk_loads_the_authors_file_from_checkpoints(tmp_path, monkeypatch):
    """Under the keys that the released network has below ``context_path``."""
    network = model.build("samnet", depths=(0, 1, 0, 0, 1))
    keys = network.trunk.imagenet_keys()
    for ours, theirs in keys.items():
        assert network.released_key(f"context_path.{theirs}") == f"trunk.{ours}"
    state = {theirs: torch.full_like(network.trunk.state_dict()[ours], 1)
             for ours, theirs in keys.items()}
    torch.save({f"module.{key}": value for key, value in state.items()},
               tmp_path / "SAMNet_backbone_pretrain.pth")
    monkeypatch.setattr(weights, "CHECKPOINTS", tmp_path)
    assert f"SAMNet_backbone_pretrain.pth, {len(keys)} tensors" in weights.load_backbone(network)
    assert (network.trunk.layer5[1].spatial[3].weight == 1).all()


@pytest.mark.parametrize("align_corners", [False, True])
def test_probabilities_are_resized_and_not_logits(align_corners):
    logits = torch.tensor([[[[-40.0, 3.0], [40.0, 0.5]]]], requires_grad=True)
    large = resize_probability(logits, torch.empty(1, 3, 5, 7), align_corners)
    expected = F.interpolate(logits.sigmoid(), (5, 7), mode="bilinear", align_corners=align_corners)
    assert torch.allclose(large.sigmoid(), expected, atol=1e-6) and torch.isfinite(large).all()
    large.sum().backward()
    assert torch.isfinite(logits.grad).all()
