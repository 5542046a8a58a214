"""Maps that a network predicts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn

import engine.prediction
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


def test_maps_may_be_bytes_that_are_resized_or_have_aligned_corners():
    logits = torch.tensor([[[[-9.0, 0.0, 9.0]]]])
    batch = {"size": [(1, 5)], "name": ["a"]}
    (nearest,), (bilinear,), (bicubic,), (aligned,) = (
        maps_of(logits, batch, resize, align_corners=resize == "probabilities")
        for resize in ("nearest", "bilinear", "bicubic", "probabilities"))
    assert nearest.tolist() == [[0, 0, 128, 255, 255]]
    small = Image.fromarray(np.array([[0, 128, 255]], np.uint8))
    assert np.array_equal(bilinear, np.asarray(small.resize((5, 1), Image.Resampling.BILINEAR)))
    assert np.array_equal(bicubic, np.asarray(small.resize((5, 1), Image.Resampling.BICUBIC)))
    assert aligned[0].tolist() == [0, 64, 128, 191, 255]


def test_maps_may_be_resized_as_scikit_image_does_and_cut():
    """Mirrored at the middle of the outermost pixel: a share of the next one comes back in."""
    logits = torch.tensor([[[[0.0, 2.0]]]])
    low, high = 0.5, float(torch.tensor(2.0).sigmoid())
    (cut,) = maps_of(logits, {"size": [(1, 4)], "name": ["a"]}, "skimage", cut=True)
    expected = [0.75 * low + 0.25 * high, 0.25 * low + 0.75 * high]
    expected = [expected[0], expected[0], expected[1], expected[1]]
    assert cut[0].tolist() == [int(255 * value) for value in expected]


def test_maps_are_made_of_resized_logits_or_probabilities():
    """Sizes may be tensors, as a default collate makes them, which resize functions refuse."""
    logits = torch.tensor([[[[-9.0, 9.0]]]])
    batch = {"size": [(torch.tensor(1), torch.tensor(4))], "name": ["a"]}
    low, high = torch.tensor([-9.0, 9.0]).sigmoid().tolist()
    for resize, middle in (("logits", torch.tensor([-4.5, 4.5]).sigmoid().tolist()),
                           ("probabilities", [0.75 * low + 0.25 * high, 0.25 * low + 0.75 * high])):
        (saliency,) = maps_of(logits, batch, resize)
        assert saliency.dtype == np.uint8
        assert saliency[0].tolist() == [round(255 * value) for value in (low, *middle, high)]
    (same,) = maps_of(logits, batch | {"size": [(1, 2)]})
    assert same[0].tolist() == [0, 255]


@given(seed=st.integers(0, 2**31), side=st.integers(1, 60), height=st.integers(1, 150),
       width=st.integers(1, 1100), resize=st.sampled_from(["logits", "probabilities"]),
       minmax=st.booleans())
def test_large_maps_are_made_in_parts_with_the_bytes_of_the_whole(seed, side, height, width,
                                                                  resize, minmax):
    random = torch.Generator().manual_seed(seed)
    logits = torch.randn(1, 1, side, side + 3, generator=random) * 4
    values = logits if resize == "logits" else logits.sigmoid()
    whole = F.interpolate(values, size=(height, width), mode="bilinear")
    whole = (whole.sigmoid() if resize == "logits" else whole).numpy()[0, 0].astype(np.float64)
    if minmax and whole.max() > whole.min():
        whole = (whole - whole.min()) / (whole.max() - whole.min())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine.prediction, "_PART", 2**10)
        (saliency,) = maps_of(logits, {"size": [(height, width)], "name": ["a"]}, resize, minmax)
    assert np.array_equal(saliency, np.round(whole * 255).astype(np.uint8))


@pytest.mark.parametrize("minmax", [False, True])
def test_a_large_map_takes_little_more_than_its_own_bytes(monkeypatch, minmax):
    """NumPy's and torch's arrays are counted by the sizes that are asked for; the whole map would
    be 30 times ``_PART`` floats."""
    monkeypatch.setattr(engine.prediction, "_PART", 2**15)
    asked, interpolate = [], F.interpolate
    monkeypatch.setattr(F, "interpolate", lambda *given, **options: (
        asked.append(result := interpolate(*given, **options)), result)[1])
    (saliency,) = maps_of(torch.randn(1, 1, 8, 8), {"size": [(100, 10000)], "name": ["a"]},
                          minmax=minmax)
    assert saliency.shape == (100, 10000)
    assert max(values.numel() for values in asked) <= 80000  # 8 rows of full width
    assert sum(values.numel() for values in asked[1:]) == 1000000 * (1 + minmax)
