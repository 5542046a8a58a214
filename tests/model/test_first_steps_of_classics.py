"""The first steps of the released training codes of the VGG classics, with our objectives and
optimizers."""

from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np
import pytest
import torch

import model
from data.edges import mask_edges
from engine.norm import train_mode
from engine.optimizer import build_optimizer, clip_gradients
from engine.schedule import Schedule
from engine.step import Parts
from tests.model.reference import unfilled_network
from utils.config import load_config
from utils.paths import CONFIGS
from utils.weights import load_weights


class Case(NamedTuple):
    """How the reference's steps were taken.

    Attributes:
        size: height and width of the images.
        images: in the batch.
        parts: that the batch is cut into.
        terms: beginnings of our terms' names, summed, for each number of the reference.
        rate: factor on the recipe's rate.
        run: steps of the whole run, for the schedule.
        tolerances: of each line that is compared.
    """

    size: tuple[int, int] = (96, 128)
    images: int = 2
    parts: int = 1
    terms: tuple[str | tuple[str, ...], ...] = ("",)
    rate: float = 1.0
    run: int = 100_000
    tolerances: tuple[float, ...] = (1e-4, 1e-3)


#: For networks whose update takes seconds: the first line alone.
FIRST = (1e-4,)
#: Ten passes with two images in turn are, as a mean, one batch of these two in two parts.
EGNET = Case(parts=2, terms=("edge", ("saliency", "guided", "side")), tolerances=FIRST)
POOLNET = Case((160, 192), parts=2, terms=("edge", "saliency"), tolerances=FIRST)

#: Recipe → how its reference was made. The random weights amplify rounding by what the references'
#: field ``rounding`` says. All second lines were compared once, within 1e-3 (EGNet on ResNet 2e-2,
#: EDN 1e-2, RAS v2 1e-1).
CASES = {
    "dss_vgg": Case(images=1, tolerances=FIRST),
    "edn_vgg": Case(rate=200 * (0.99 / 200 + 0.01), tolerances=(5e-4, 1e-2)),  # docs/edn.md
    "egnet_resnet": EGNET,
    "egnet_vgg": EGNET,
    "gatenet_vgg": Case((128, 128), terms=("pyramid", "saliency"), tolerances=FIRST),
    "itsd_resnet": Case(rate=1e-4),
    "itsd_vgg": Case(rate=1e-4),
    "minet_vgg16": Case(terms=("saliency_bce", "saliency_cel"), tolerances=FIRST),
    "nldf_vgg": Case((352, 352), images=1, tolerances=FIRST),
    "picanet_vgg": Case((224, 224), images=1, tolerances=FIRST),
    "poolnet_joint_vgg": POOLNET,
    "poolnet_resnet": POOLNET,
    "poolnet_vgg": POOLNET,
    "ras_resnet": Case(terms=("saliency", "side2", "side3", "side4", "side5"),
                       tolerances=(1e-4, 3e-2)),
    "ras_v2": Case(terms=("saliency", "side3", "side4", "side5"), run=32,
                   tolerances=(1e-4, 1e-1)),
}


def masks(images: int, height: int, width: int) -> torch.Tensor:
    """The masks of the reference, (N, 1, H, W)."""
    y, x = np.mgrid[:height, :width]
    y, x = 96 * y / height, 128 * x / width
    discs = np.stack([((y - 40) / 25) ** 2 + ((x - 60) / 35) ** 2 < 1,
                      ((y - 50) / 30) ** 2 + ((x - 70) / 20) ** 2 < 1])[:images, None]
    return torch.from_numpy(discs).float()


def sample_of(case: Case, image: torch.Tensor) -> dict:
    """The batch of the reference, with edges of its masks."""
    mask = masks(case.images, *case.size)
    edges = [mask_edges(255 * each[0].numpy(), "mask") for each in mask]
    return {"image": image, "mask": mask, "name": list(range(case.images)),
            "edge": torch.from_numpy(np.stack(edges)[:, None]).float() / 255}


@pytest.mark.parametrize("released_code", CASES, indirect=True)
def test_first_steps_equal_the_released_training(golden, released_code):
    name, *_, state = released_code
    case = CASES[name]
    reference = json.loads((golden.folder / f"train_{name}.json").read_text())
    config = load_config(CONFIGS / f"{name}.yaml")
    config.optim.lr *= case.rate
    config.train.accumulate = case.parts
    network = unfilled_network(name)
    load_weights(network, state)
    train_mode(network, config.optim.eval_norm, config.optim.frozen_norm)
    optimizer, objective = build_optimizer(config.optim, network), model.objective_of(config)
    assert sorted(len(group["params"]) for group in optimizer.param_groups) == \
        sorted(reference["tensors_with_gradient"])
    schedule, parts = Schedule(config.optim, optimizer, case.run), Parts(network, config.train)
    sample = sample_of(case, golden.golden_input((case.images, 3, *case.size), 0))
    lines = list(zip(reference["steps"], case.tolerances, strict=False))
    for step, (expected, tolerance) in enumerate(lines, start=1):
        schedule.set_rates(step, 1)
        for part in parts(sample):
            with part.attempt(), torch.set_grad_enabled(step < len(lines)):
                terms = part.weigh(objective(network, part.sample)[1])
            if step < len(lines):
                sum(terms.values()).backward()
        ours = [sum(value.item() for key, value in parts.terms.items() if key.startswith(prefix))
                for prefix in case.terms]
        assert ours == pytest.approx(expected, rel=tolerance), step
        if step < len(lines):
            clip_gradients(network.parameters(), config.optim.clip_value, config.optim.clip_norm)
            optimizer.step()


def test_the_norms_that_minets_test_of_names_misses_decay():
    """On ResNet-50: the stem's, the downsamplings' and the decoder's, 11 in all (docs/minet.md)."""
    config = load_config(CONFIGS / "minet_res50.yaml").optim
    with torch.device("meta"):
        network = model.build("minet_res50")
    groups = build_optimizer(config, network).param_groups
    decays = {id(parameter): bool(group["weight_decay"])
              for group in groups for parameter in group["params"]}
    assert {group["factor"] for group in groups} == {1}
    assert sorted(name for name, parameter in network.named_parameters()
                  if parameter.ndim == 1 and decays[id(parameter)]) == sorted([
        "trunk.conv1.bn1.weight",
        *(f"trunk.layer{stage}.0.downsample.1.weight" for stage in (1, 2, 3, 4)),
        *(f"decode.{stride}.1.weight" for stride in (1, 2, 4, 8, 16, 32))])
    assert all(decays[id(parameter)] for parameter in network.parameters() if parameter.ndim > 1)
