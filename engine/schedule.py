"""The learning rate of every step of a run."""

from __future__ import annotations

import math

import torch
from omegaconf import DictConfig
from torch import nn

from .optimizer import forget_moments

#: What moves in torch's plateau.
_MOVING = ("best", "num_bad_epochs", "cooldown_counter", "last_epoch")


class Schedule:
    """A factor on the configured rate, by the formulas of ``utils.choices.SCHEDULES``.

    ``compounding`` multiplies the *current* rate, as the released loops of CPD and WSSA do. With
    gamma 0.1 and drop_every 50 a rate of 1e-4 is 1e-5 at epoch 50, 1e-6 at 51, …, so training all
    but stops there. ``plateau`` waits for a loss that is less by 1e-4 of itself. ``watch`` says
    which: the validation's ``val.watch`` (or the training loss where nothing is validated), or
    the mean training loss.

    The first ``warmup`` steps multiply it by step / warmup. Epochs and steps count from 1.

    Args:
        config: the ``optim`` group of a configuration.
        optimizer: its groups have a ``factor`` each, see ``build_optimizer``.
        steps, per_epoch: of the whole run and of an epoch.
    """

    def __init__(self, config: DictConfig, optimizer: torch.optim.Optimizer, steps: int,
                 per_epoch: int = 1):
        self.config, self.optimizer, self.steps = config, optimizer, steps
        self.epochs = math.ceil(steps / per_epoch)
        # Only its bookkeeping is used, on an optimizer of its own: a rate of 1 is the factor.
        self._factor = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
        self._plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self._factor, factor=config.gamma, patience=config.patience, threshold=1e-4)

    def set_rates(self, step: int, epoch: int) -> None:
        """Set the optimizer's rates for a step."""
        factor = self.factor(step, epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.lr * factor * group["factor"]

    def factor(self, step: int, epoch: int) -> float:
        """What the configured rate is multiplied with at a step; see the class."""
        config, t = self.config, (step - 1) / self.steps
        shape = {
            "constant": lambda: 1.0,
            "step": lambda: config.gamma ** (epoch // config.drop_every),
            "milestones": lambda: config.gamma ** sum(epoch > last for last in config.milestones),
            "compounding": lambda: config.gamma ** sum(past // config.drop_every
                                                       for past in range(1, epoch + 1)),
            "poly": lambda: (1 - t) ** config.power,
            "poly_epoch": lambda: (1 - (epoch - 1) / self.epochs) ** config.power,
            "triangular": lambda: triangle(step, self.steps, config.floor),
            "triangular_epoch": lambda: triangle(epoch, self.epochs, config.floor),
            "cosine": lambda: (1 + math.cos(math.pi * t)) / 2,
            "plateau": lambda: self._factor.param_groups[0]["lr"],
        }[config.schedule]
        return shape() * min(1.0, step / config.warmup if config.warmup else 1.0)

    def restart(self, epoch: int) -> None:
        """Before ``epoch``, forget the optimizer's moments if the recipe asks for that here, as the
        released loops that make a new optimizer do."""
        if self.config.restart and epoch - 1 in self.config.milestones:
            forget_moments(self.optimizer)

    def end_epoch(self, training_loss: float, validation: float | None = None,
                  waits: bool = False) -> None:
        """Tell the schedule the epoch's mean training loss and, after a validation, the value of
        ``val.watch``; ``waits`` where the run validates, but not after this epoch."""
        if self.config.watch == "training" or (validation is None and not waits):
            self._plateau.step(training_loss)
        elif validation is not None:
            self._plateau.step(validation)

    def state_dict(self) -> dict:
        return {"plateau": self._plateau.state_dict(), "factor": self._factor.param_groups[0]["lr"]}

    def load_state_dict(self, state: dict) -> None:
        """Take from ``state_dict`` what moves; the rest is the configuration's.

        Raises:
            KeyError, TypeError, ValueError: a number is missing, of another type or out of bounds.
        """
        moving = {name: state["plateau"][name] for name in _MOVING}
        factor, best = state["factor"], moving["best"]
        bounds = {"num_bad_epochs": self.config.patience, "cooldown_counter": 0,
                  "last_epoch": math.inf}
        if not (0 < factor <= 1 and isinstance(best, float) and not math.isnan(best)
                and all(isinstance(moving[name], int) and 0 <= moving[name] <= bound
                        for name, bound in bounds.items())):
            raise ValueError(f"factor {factor!r}, {moving}")
        self._plateau.load_state_dict(moving)
        self._factor.param_groups[0]["lr"] = factor


def triangle(place: int, places: int, floor: float) -> float:
    """The factor at ``place`` of 1 … ``places``: 1 in the middle, ``floor`` just before the first
    and just after the last."""
    return 1 - (1 - floor) * abs(2 * place / (places + 1) - 1)
