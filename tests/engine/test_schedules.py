"""Learning rates over a run, each schedule against its formula."""

from __future__ import annotations

import math

import pytest
from torch import nn

from engine.optimizer import Schedule, build_optimizer
from utils.config import default_config
from utils.errors import UserError


def rates(name: str, epochs: int, per_epoch: int = 1, **settings) -> list[float]:
    """The rate of every step of a run with a base rate of 1 and losses that do not fall."""
    config = default_config().optim
    for key, value in {"schedule": name, "lr": 1.0, **settings}.items():
        config[key] = value
    optimizer = build_optimizer(config, nn.Linear(1, 1))
    schedule = Schedule(config, optimizer, epochs * per_epoch, per_epoch)
    found = []
    for epoch in range(1, epochs + 1):
        for step in range((epoch - 1) * per_epoch + 1, epoch * per_epoch + 1):
            schedule.start_step(step, epoch)
            found.append(optimizer.param_groups[0]["lr"])
        schedule.end_epoch(1.0)
    return found


def test_the_released_schedule_collapses_and_the_step_does_not():
    released, step = rates("released", 99), rates("step", 99)
    assert released[:49] == step[:49] == [1] * 49
    assert released[49:53] == pytest.approx([1e-1, 1e-2, 1e-3, 1e-4])
    assert released[54] == pytest.approx(1e-6)
    assert released[98] == pytest.approx(1e-50)
    assert step[49:] == pytest.approx([1e-1] * 50)


def test_the_plateau_waits_for_a_validation_that_is_not_due():
    """A training loss is no worse validation."""
    config = default_config().optim
    config.schedule, config.patience = "plateau", 1
    schedule = Schedule(config, build_optimizer(config, nn.Linear(1, 1)), 9)
    schedule.end_epoch(5.0, 0.1, waits=True)
    for _ in range(5):
        schedule.end_epoch(5.0, waits=True)
    assert schedule.factor(1, 1) == 1
    schedule.end_epoch(5.0, 0.2, waits=True)
    schedule.end_epoch(5.0, 0.2, waits=True)
    assert schedule.factor(1, 1) == pytest.approx(0.1)


def test_poly_may_fall_at_epochs_alone():
    """As BGNet's, which has (1 − epoch / epochs)^0.9 with epochs from 0."""
    found = rates("poly_epoch", 25, per_epoch=3)
    assert found[::3] == found[1::3] == found[2::3]
    assert found[::3] == pytest.approx([(1 - epoch / 25) ** 0.9 for epoch in range(25)])


def test_wssas_schedule_is_the_released_one_with_its_numbers():
    found = rates("released", 30, gamma=0.9, drop_every=20)
    assert found[18] == 1
    assert found[19:] == pytest.approx([0.9**k for k in range(1, 12)])
    assert found[29] * 1e-4 == pytest.approx(3.1e-5, abs=1e-6)  # as measured on the released loop


def test_schedules_by_step_follow_their_formulas():
    t = [k / 20 for k in range(20)]
    assert rates("poly", 4, 5, power=0.9) == pytest.approx([(1 - x) ** 0.9 for x in t])
    assert rates("cosine", 4, 5) == pytest.approx([(1 + math.cos(math.pi * x)) / 2 for x in t])
    triangle = rates("triangular", 1, 9)
    assert triangle == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 0.8, 0.6, 0.4, 0.2])
    assert rates("constant", 2, 5, warmup=4) == pytest.approx([0.25, 0.5, 0.75] + [1] * 7)


def test_plateaus_lower_the_rate():
    assert rates("paper", 3) == [1] * 3
    assert rates("paper", 7)[-1] == pytest.approx(0.9)  # after more than 2 epochs without a fall
    found = rates("plateau", 9, gamma=0.5, patience=1)
    assert found == pytest.approx([1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125])
    with pytest.raises(UserError, match="did you mean 'step'"):
        rates("steps", 1)


def test_a_schedule_goes_on_where_it_was_saved():
    config = default_config().optim
    config.schedule, config.gamma, config.patience = "plateau", 0.5, 1
    first = Schedule(config, build_optimizer(config, nn.Linear(1, 1)), 10)
    for _ in range(5):
        first.end_epoch(1.0)
    second = Schedule(config, build_optimizer(config, nn.Linear(1, 1)), 10)
    second.load_state_dict(first.state_dict())
    for schedule in (first, second):
        schedule.end_epoch(1.0)
    assert first.factor(7, 7) == second.factor(7, 7) < 1
