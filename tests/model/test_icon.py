"""ICON's capsules against the released formulas, its enhancements' neighbours, and its colours."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import model
from data.layers import finish
from model.capsules import EMRouting
from utils.config import load_config
from utils.errors import UserError


def released_routing(routing: EMRouting, votes: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Three rounds at one place as the released code has them, with its ln 2π inside of the
    logarithm: votes (below, after, 16), activations (below,) → poses (after, 16)."""
    below, after, _ = votes.shape
    beta_u, beta_a = routing.beta_u.numpy()[0, 0, :, 0], routing.beta_a.numpy()[0, 0]
    shares = np.ones((below, after))
    for turn in range(3):
        shares = shares * given[:, None]
        mean, log_p = np.zeros((after, 16)), np.zeros((below, after))
        for capsule in range(after):
            total = shares[:, capsule].sum()
            weights = shares[:, capsule] / (total + 1e-12)
            mean[capsule] = weights @ votes[:, capsule]
            square = (votes[:, capsule] - mean[capsule]) ** 2
            variance = weights @ square + 1e-12
            cost = ((beta_u[capsule] + np.log(variance) / 2) * total).sum()
            scale = 0.01 * (1 - 0.95 ** (turn + 1))
            active = 1 / (1 + math.exp(-scale * (beta_a[capsule] - cost)))
            log_p[:, capsule] = math.log(active) - (square / (2 * variance)).sum(1) \
                - np.log(variance * math.log(2 * math.pi)).sum() / 2
        shares = np.exp(log_p - log_p.max(1, keepdims=True))
        shares /= shares.sum(1, keepdims=True)
    return mean


def test_routing_is_the_released_one_whose_misplaced_constant_cancels():
    torch.manual_seed(0)
    routing = EMRouting(2, 3).double().requires_grad_(False)
    for beta in (routing.beta_u, routing.beta_a):
        beta.uniform_(-2, 2)
    pose, active = torch.randn(1, 32, 4, 5).double(), torch.rand(1, 2, 4, 5).double()
    poses = routing(pose, active)
    assert poses.shape == (1, 48, 2, 3)
    # The place in row 1, column 1 sees rows and columns 1 to 3, all inside of the image.
    window = pose[0].unflatten(0, (2, 4, 4))[..., 1:4, 1:4].permute(3, 4, 0, 1, 2).flatten(0, 2)
    votes = torch.einsum("bij,bajk->baik", window, routing.W).flatten(2)
    given = active[0, :, 1:4, 1:4].permute(1, 2, 0).flatten()
    expected = released_routing(routing, votes.numpy(), given.numpy())
    assert poses[0, :, 1, 1].unflatten(0, (3, 16)).numpy() == pytest.approx(expected, abs=1e-9)


def seen_by_enhancements(variant: dict) -> list[list[int]]:
    """For each call, in order, the numbers of the levels that it gets; levels differ in size."""
    network, calls = model.build("icon_vgg", width=1 / 32, **variant).eval(), []
    for enhancement in network.enhance.values():
        enhancement.register_forward_pre_hook(lambda module, given: calls.append(
            [4 - int(math.log2(level.shape[-1] / 4)) for level in given]))
    with torch.no_grad():
        network(torch.zeros(1, 3, 64, 64))
    return calls


def test_the_released_enhancements_see_their_own_level_twice():
    # 64 pixels give levels of 4, 8, 16 and 32, from 4 (deepest here) to 1.
    assert seen_by_enhancements({}) == [[4, 4, 4], [3, 3, 2], [2, 2, 1], [1, 1, 1]]
    both = [[4, 3, 4], [3, 4, 2], [2, 3, 1], [1, 2, 1]]
    assert seen_by_enhancements({"variant": "paper"}) == both
    assert seen_by_enhancements({"neighbours": True}) == both
    with pytest.raises(UserError, match="neighbours is true or false"):
        model.build("icon_vgg", width=1 / 32, neighbours=2)


@pytest.mark.parametrize("recipe, place", [("icon_vgg", 2), ("paper/icon_vgg", 0)])
def test_colours_are_opencvs_as_released_and_rgb_in_the_paper(recipe, place):
    """With the mean and deviation of R, G, B in either case."""
    red = torch.tensor([255, 0, 0], dtype=torch.uint8).view(1, 3, 1, 1)
    image = finish({"image": red}, load_config(recipe).data)["image"].flatten()
    mean, std = (torch.tensor(values) / 255 for values in ((124.55, 118.90, 102.94),
                                                           (56.77, 55.97, 57.50)))
    expected = (torch.eye(3)[place] - mean) / std
    assert torch.allclose(image, expected, atol=1e-3)
