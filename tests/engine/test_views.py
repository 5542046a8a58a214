"""The mean over an image's views."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from engine.precision import Precision
from engine.prediction import forward
from engine.views import require_views
from utils.config import load_config
from utils.errors import UserError

FP32 = Precision("fp32", torch.device("cpu"))


class Slanted(nn.Module):
    """Logits that grow to the right by one from side to side, and with the image's width in
    hundreds of pixels."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    def require_size(self, height: int, width: int) -> None:
        if width > 128:
            raise UserError("too wide")

    def forward(self, image):
        self.sizes.append(tuple(image.shape[-2:]))
        width = image.shape[-1]
        slope = torch.linspace(0, 1, width).expand(image.shape[0], 1, *image.shape[-2:])
        return {"saliency": slope + image[:, :1] + width / 100}


def logits_of(network: nn.Module, image: torch.Tensor, **views) -> torch.Tensor:
    return forward(network, {"image": image}, FP32, **views)[0]


def test_an_image_and_its_mirror_image_are_averaged_as_probabilities():
    image, network = torch.randn(2, 3, 32, 64), Slanted()
    plain = logits_of(network, image)
    mirrored = network(image.flip(-1))["saliency"].flip(-1)
    expected = (plain.sigmoid() + mirrored.sigmoid()) / 2
    assert torch.allclose(logits_of(network, image, flip=True).sigmoid(), expected, atol=1e-6)
    assert not torch.allclose(plain.sigmoid(), expected, atol=1e-2)


def test_scales_are_of_the_sides_in_multiples_of_32():
    image, network = torch.randn(1, 3, 32, 64), Slanted()
    averaged = logits_of(network, image, scales=[1, 1.5, 0.5])
    assert network.sizes == [(32, 64), (64, 96), (32, 32)]
    views = [F.interpolate(network(F.interpolate(image, size, mode="bilinear"))["saliency"],
                           (32, 64), mode="bilinear") for size in ((32, 64), (64, 96), (32, 32))]
    expected = sum(view.sigmoid() for view in views) / 3
    assert torch.allclose(averaged.sigmoid(), expected, atol=1e-6)
    alone = logits_of(network, image, scales=[1.5])
    assert torch.allclose(alone.sigmoid(), views[1].sigmoid(), atol=1e-6)


def test_sizes_that_a_network_does_not_take_are_refused_before_anything_is_done():
    require_views(load_config("cpd_vgg", ["test.scales=[1,0.5,2]"]))
    require_views(load_config("egnet_vgg", ["test.scales=[1,0.5,2]"]))  # images keep their sizes
    with pytest.raises(UserError, match=r"test.scales \(--tta\) with 0.75: NLDF takes images"):
        require_views(load_config("nldf_vgg", ["test.scales=[1,0.75]"]))
    with pytest.raises(UserError, match=r"^unknown network 'CPD'; did you mean"):
        require_views(load_config("cpd_vgg", ["model.name=CPD"]))


def test_sure_pixels_stay_finite_and_sizes_that_the_network_refuses_are_refused():
    image, network = torch.full((1, 3, 32, 64), 1e4), Slanted()
    assert torch.isfinite(logits_of(network, image, flip=True)).all()
    with pytest.raises(UserError, match="too wide"):
        logits_of(network, image, scales=[1, 4])
