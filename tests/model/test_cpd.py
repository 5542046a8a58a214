"""CPD: pooling, and the holistic attention."""

from __future__ import annotations

import pytest
import torch

import model
from model.cpd import gaussian_kernel


def test_a_black_image_gives_finite_gradients():
    """Min–max of a constant map divides by almost zero; square roots at zero would be NaN."""
    network = model.build("cpd_vgg", width=0.125)
    outputs = network(torch.zeros(1, 3, 64, 64))
    sum(logits.sum() for logits in outputs.values()).backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())


def test_pooling_is_average_by_default_and_a_choice():
    average, maximum = model.build("cpd_vgg").trunk, model.build("cpd_vgg", pool="max").trunk
    maximum.load_state_dict(average.state_dict())
    image = torch.randn(1, 3, 32, 32)
    assert isinstance(average.conv2.pool, torch.nn.AvgPool2d)
    assert not torch.allclose(average(image)["conv3"], maximum(image)["conv3"])


def test_holistic_kernel_is_as_released():
    kernel = gaussian_kernel()
    assert kernel.shape == (1, 1, 31, 31)
    assert kernel.sum().item() == pytest.approx(1, abs=1e-6)
    assert kernel.max().item() == pytest.approx(0.0057, abs=5e-5)
