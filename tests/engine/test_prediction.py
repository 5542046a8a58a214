"""Maps that a network predicts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engine.precision import Precision
from engine.prediction import forward, maps_of
from utils.errors import UserError

FP32 = Precision("fp32", torch.device("cpu"))


class Dropping(nn.Module):
    """A network whose output tells whether dropout is on."""

    def __init__(self):
        super().__init__()
        self.dropout = nn.Dropout(0.5)

    def forward(self, image):
        return {"saliency": self.dropout(image[:, :1] * 0 + 1)}


def test_prediction_switches_dropout_off_and_back_on():
    network = Dropping().train()
    batch = {"image": torch.zeros(2, 3, 16, 16), "size": [(5, 7), (9, 3)], "name": ["a", "b"]}
    maps = list(maps_of(forward(network, batch, FP32)[0], batch))
    assert [m.shape for m in maps] == [(5, 7), (9, 3)]
    assert all((m == m.flat[0]).all() for m in maps)
    assert network.training


def test_a_network_that_gives_nan_is_named_with_its_image():
    batch = {"image": torch.full((1, 3, 8, 8), float("nan")), "size": [(8, 8)], "name": ["0007"]}
    with pytest.raises(UserError, match="NaN for the image 0007"):
        list(maps_of(forward(Dropping(), batch, FP32)[0], batch))


def test_maps_are_made_of_resized_logits_or_probabilities():
    """Sizes may be tensors, as a default collate makes them, which resize functions refuse."""
    logits = torch.tensor([[[[-9.0, 9.0]]]])
    batch = {"size": [(torch.tensor(1), torch.tensor(4))], "name": ["a"]}
    low, high = torch.tensor([-9.0, 9.0]).sigmoid().tolist()
    for resize, middle in (("logits", torch.tensor([-4.5, 4.5]).sigmoid().tolist()),
                           ("probabilities", [0.75 * low + 0.25 * high, 0.25 * low + 0.75 * high])):
        (saliency,) = maps_of(logits, batch, resize)
        assert saliency[0] == pytest.approx([low, *middle, high], abs=1e-6), resize
    (same,) = maps_of(logits, batch | {"size": [(1, 2)]})
    assert same[0] == pytest.approx([low, high])
