"""Learning rates over a run, each schedule against its formula."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from engine.optimizer import build_optimizer
from engine.precision import Precision
from engine.schedule import Schedule
from utils.config import default_config, load_config
from utils.errors import UserError
from utils.paths import CONFIGS

CPU = torch.device("cpu")


def make(name: str, steps: int, per_epoch: int = 1, **settings) -> Schedule:
    """The schedule of a run with a base rate of 1."""
    config = default_config().optim
    for key, value in {"schedule": name, "lr": 1.0, **settings}.items():
        config[key] = value
    return Schedule(config, build_optimizer(config, nn.Linear(1, 1)), steps, per_epoch)


def rates(name: str, epochs: int, per_epoch: int = 1, **settings) -> list[float]:
    """The rate of every step of a run whose losses do not fall."""
    schedule = make(name, epochs * per_epoch, per_epoch, **settings)
    values = []
    for epoch in range(1, epochs + 1):
        for step in range((epoch - 1) * per_epoch + 1, epoch * per_epoch + 1):
            schedule.set_rates(step, epoch)
            values.append(schedule.optimizer.param_groups[0]["lr"])
        schedule.end_epoch(1.0)
    return values


def factors(losses: list[float], **settings) -> list[float]:
    """What the plateau makes of the mean training loss of each epoch, after that epoch."""
    schedule, values = make("plateau", 99, **settings), []
    for loss in losses:
        schedule.end_epoch(loss)
        values.append(schedule.factor(1, 1))
    return values


def test_the_compounding_schedule_collapses_and_the_step_does_not():
    compounding, step = rates("compounding", 99), rates("step", 99)
    assert compounding[:49] == step[:49] == [1] * 49
    assert compounding[49:53] == pytest.approx([1e-1, 1e-2, 1e-3, 1e-4])
    assert compounding[54] == pytest.approx(1e-6)
    assert compounding[98] == pytest.approx(1e-50)
    assert step[49:] == pytest.approx([1e-1] * 50)


def test_milestones_drop_the_rate_after_their_epochs():
    values = rates("milestones", 6, 2, milestones=[2, 4])
    assert values == pytest.approx([1] * 4 + [0.1] * 4 + [0.01] * 4)


@pytest.mark.parametrize("restart", [True, False])
def test_a_restart_forgets_the_moments_after_a_milestone(restart):
    schedule = make("milestones", 6, milestones=[2], restart=restart)
    (weight, _) = schedule.optimizer.param_groups[0]["params"]
    weight.grad = torch.ones_like(weight)
    schedule.optimizer.step()
    schedule.restart(2)
    assert weight in schedule.optimizer.state
    schedule.restart(3)
    assert (weight in schedule.optimizer.state) != restart


def test_after_a_restart_a_step_that_is_left_out_leaves_no_memory_of_others():
    config, layer = default_config().optim, nn.Linear(1000, 1000, bias=False)
    config.name, config.lr, config.milestones, config.restart = "sgd", 0.5, [1], True
    optimizer, scaler = build_optimizer(config, layer), Precision("fp32", CPU).scaler()
    start = layer.weight.detach().clone()
    Schedule(config, optimizer, 6).restart(2)
    large = [torch.full((1000, 1000), 7e8) for _ in range(9)]
    del large  # where later tensors come to lie
    for factor in (math.nan, 1):
        layer.weight.grad = None
        scaler.scale(factor * layer.weight.sum()).backward()
        scaler.step(optimizer)
        scaler.update()
    assert torch.equal(layer.weight, start - 0.5)


def test_wssas_rate_is_the_compounding_one_with_its_numbers():
    values = rates("compounding", 30, gamma=0.9, drop_every=20)
    assert values[18] == 1
    assert values[19:] == pytest.approx([0.9**k for k in range(1, 12)])
    assert values[29] * 1e-4 == pytest.approx(3.1e-5, abs=1e-6)  # as measured on the released loop


def test_poly_may_fall_at_epochs_alone():
    """As BGNet's, which has (1 − epoch / epochs)^0.9 with epochs from 0."""
    values = rates("poly_epoch", 25, per_epoch=3)
    assert values[::3] == values[1::3] == values[2::3]
    assert values[::3] == pytest.approx([(1 - epoch / 25) ** 0.9 for epoch in range(25)])


def test_a_triangle_may_move_at_epochs_alone():
    """As F3Net's, which has 1 − |2 (epoch + 1) / (epochs + 1) − 1| with epochs from 0."""
    values = rates("triangular_epoch", 32, per_epoch=2)
    assert values[::2] == values[1::2]
    assert values[::2] == pytest.approx([1 - abs(2 * (e + 1) / 33 - 1) for e in range(32)])


def test_schedules_by_step_follow_their_formulas():
    t = [k / 20 for k in range(20)]
    assert rates("poly", 4, 5, power=0.9) == pytest.approx([(1 - x) ** 0.9 for x in t])
    assert rates("cosine", 4, 5) == pytest.approx([(1 + math.cos(math.pi * x)) / 2 for x in t])
    triangle = rates("triangular", 1, 9)
    assert triangle == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 0.8, 0.6, 0.4, 0.2])
    assert rates("triangular", 1, 3, floor=0.5) == pytest.approx([0.75, 1, 0.75])
    assert rates("constant", 2, 5, warmup=4) == pytest.approx([0.25, 0.5, 0.75] + [1] * 7)


@pytest.mark.parametrize("patience", [0, 1, 2, 5])
def test_a_plateau_is_more_than_patience_epochs_without_a_fall(patience):
    """The first epoch sets the mark; a fall starts the count anew."""
    quiet = patience + 1
    assert factors([1.0] * (2 * quiet + 1), gamma=0.5, patience=patience) == \
        [1] * quiet + [0.5] * quiet + [0.25]
    falls = [1.0] * quiet + [0.9] * quiet
    assert factors([*falls, 0.9], gamma=0.5, patience=patience) == [1] * len(falls) + [0.5]


def test_a_fall_is_at_least_a_ten_thousandth_of_the_lowest_loss():
    for level in (0.01, 1.0, 100.0):  # relative, not absolute
        assert factors([level, level * (1 - 0.9e-4)], gamma=0.5, patience=0)[-1] == 0.5
        assert factors([level, level * (1 - 1.1e-4)], gamma=0.5, patience=0)[-1] == 1
    assert factors([1.0, 2.0, 1.5], gamma=0.5, patience=0)[-1] == 0.25  # 1.5 is no new low


def test_the_plateau_waits_for_a_validation_that_is_not_due():
    """A training loss is no worse validation."""
    schedule = make("plateau", 9, patience=1)
    schedule.end_epoch(5.0, 0.1, waits=True)
    for _ in range(5):
        schedule.end_epoch(5.0, waits=True)
    assert schedule.factor(1, 1) == 1
    schedule.end_epoch(5.0, 0.2, waits=True)
    schedule.end_epoch(5.0, 0.2, waits=True)
    assert schedule.factor(1, 1) == pytest.approx(0.1)


def test_the_plateau_may_watch_the_training_loss_beside_a_validation():
    schedule = make("plateau", 9, gamma=0.9, patience=0, watch="training")
    schedule.end_epoch(5.0, 0.1, waits=True)
    schedule.end_epoch(4.0, 0.2, waits=True)
    schedule.end_epoch(3.0, waits=True)
    assert schedule.factor(1, 1) == 1
    schedule.end_epoch(3.0, 0.05, waits=True)
    assert schedule.factor(1, 1) == pytest.approx(0.9)


def test_schedules_of_before_are_understood():
    recipe = CONFIGS / "bgnet.yaml"
    released = load_config(recipe, ["optim.schedule=released"]).optim
    assert released.schedule == "compounding"
    paper = load_config(recipe, ["optim.gamma=0.3", "optim.schedule=paper"]).optim
    assert (paper.schedule, paper.watch, paper.gamma, paper.patience) == \
        ("plateau", "training", 0.9, 2)
    with pytest.raises(UserError, match="did you mean 'step'"):
        load_config(recipe, ["optim.schedule=steps"])


def test_a_schedule_goes_on_where_it_was_saved():
    first, second = (make("plateau", 10, gamma=0.5, patience=1) for _ in range(2))
    for _ in range(4):
        first.end_epoch(1.0)
    second.load_state_dict(first.state_dict())
    for schedule in (first, second):
        assert schedule.factor(7, 7) == 0.5
        schedule.end_epoch(1.0)
        assert schedule.factor(7, 7) == 0.25
