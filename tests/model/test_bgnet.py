"""BGNet's edges."""

from __future__ import annotations

import torch
from torch import nn

import model


def test_edges_are_enlarged_as_probabilities():
    network = model.build("bgnet").eval()
    image = torch.randn(1, 3, 64, 96)
    maps = []
    network.edge_module.register_forward_hook(lambda module, inputs, out: maps.append(out))
    with torch.no_grad():
        edge = network(image)["edge"]
    expected = nn.functional.interpolate(maps[0].sigmoid(), scale_factor=4, mode="bilinear")
    assert torch.allclose(edge.sigmoid(), expected.clamp(1e-6, 1 - 1e-6), atol=1e-6)
