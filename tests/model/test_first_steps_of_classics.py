"""The first steps of the released training codes of the VGG classics, with our objectives and
optimizers."""

from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np
import pytest
import torch

import model
from engine.norm import train_mode
from engine.optimizer import build_optimizer, clip_gradients
from engine.schedule import Schedule
from tests.model.reference import released_state, unfilled_network
from utils.config import load_config
from utils.paths import CONFIGS
from utils.weights import load_weights


class Case(NamedTuple):
    """How the reference's steps were taken.

    Attributes:
        size: height and width of the images.
        images: in the batch.
        terms: prefixes of our terms' names, summed, for each number of the reference.
        rate: factor on the recipe's rate.
        tolerance: of the second line; the first is exact to 1e-4.
    """

    size: tuple[int, int] = (96, 128)
    images: int = 2
    terms: tuple[str, ...] = ("",)
    rate: float = 1.0
    tolerance: float = 1e-3


#: Recipe → how its reference was made. The random weights amplify rounding by what the references'
#: field ``rounding`` says.
CASES = {
    "dss_vgg": Case(images=1),
    "gatenet_vgg": Case((128, 128), terms=("pyramid", "saliency")),
    "itsd_vgg": Case(rate=1e-4),
    "minet_vgg16": Case(terms=("saliency_bce", "saliency_cel")),
    "ras_resnet": Case(terms=("saliency", "side2", "side3", "side4", "side5"), tolerance=3e-2),
}


def masks(images: int, height: int, width: int) -> torch.Tensor:
    """The masks of the reference, (N, 1, H, W)."""
    y, x = np.mgrid[:height, :width]
    y, x = 96 * y / height, 128 * x / width
    discs = np.stack([((y - 40) / 25) ** 2 + ((x - 60) / 35) ** 2 < 1,
                      ((y - 50) / 30) ** 2 + ((x - 70) / 20) ** 2 < 1])[:images, None]
    return torch.from_numpy(discs).float()


@pytest.mark.parametrize("name", CASES)
def test_first_steps_equal_the_released_training(golden, name):
    case = CASES[name]
    reference = json.loads((golden.folder / f"train_{name}.json").read_text())
    config = load_config(CONFIGS / f"{name}.yaml")
    config.optim.lr *= case.rate
    network = unfilled_network(name)
    load_weights(network, released_state(golden, name)[2])
    train_mode(network, config.optim.eval_norm, config.optim.frozen_norm)
    optimizer, objective = build_optimizer(config.optim, network), model.objective_of(config)
    schedule = Schedule(config.optim, optimizer, 100_000)
    mask = masks(case.images, *case.size)
    sample = {"image": golden.golden_input((case.images, 3, *case.size), 0), "mask": mask}
    for step, expected in enumerate(reference["steps"][:2], start=1):
        schedule.set_rates(step, 1)
        _, terms = objective(network, sample)
        ours = [sum(value.item() for key, value in terms.items() if key.startswith(prefix))
                for prefix in case.terms]
        assert ours == pytest.approx(expected, rel=1e-4 if step == 1 else case.tolerance), step
        if step == 1:
            optimizer.zero_grad()
            sum(terms.values()).backward()
            clip_gradients(network.parameters(), config.optim.clip_value, config.optim.clip_norm)
            optimizer.step()
