"""Optimizers, gradient clipping and learning-rate schedules."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from omegaconf import DictConfig
from torch import nn

from .config import SCHEDULES
from .errors import UserError, nearest

# One for each of config.OPTIMIZERS.
_OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}


def build_optimizer(config: DictConfig,
                    parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Optimizer from the ``optim`` group of a configuration."""
    options = {"momentum": config.momentum} if config.name == "sgd" else {}
    return _OPTIMIZERS[config.name](parameters, lr=config.lr, weight_decay=config.weight_decay,
                                    **options)


def clip_gradients(parameters: Iterable[nn.Parameter], value: float | None = None,
                   norm: float | None = None) -> None:
    """Clamp each gradient element to ±``value``, then scale the gradient to ``norm`` at most."""
    parameters = list(parameters)
    if value is not None:
        nn.utils.clip_grad_value_(parameters, value)
    if norm is not None:
        nn.utils.clip_grad_norm_(parameters, norm)


class Schedule:
    """Learning rate by epoch, counted from 1 as in the released loops.

    - ``constant``: the initial rate throughout.
    - ``released``: what the released CPD loop does. It multiplies the *current* rate by
      0.1^⌊epoch/50⌋ at every epoch: 1e-4 to epoch 49, 1e-5 at 50, 1e-6 at 51, … so training
      all but stops there.
    - ``step``: what that line was probably meant to do: ×0.1 once, from epoch 50 on.
    - ``paper``: the paper's words, "decreased by 10 % when the training loss reaches a flat":
      ×0.9 when the mean training loss has not fallen by 1e-4 of itself for 2 epochs.
    """

    DROP_EPOCH = 50

    def __init__(self, name: str, initial_lr: float, optimizer: torch.optim.Optimizer):
        if name not in SCHEDULES:
            raise UserError(f"unknown optim.schedule {name!r}; {nearest(name, SCHEDULES)}")
        self.name = name
        self.initial_lr = initial_lr
        self.optimizer = optimizer
        self.plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=0.9, patience=2, threshold=1e-4) if name == "paper" else None

    def start_epoch(self, epoch: int) -> None:
        """Set the optimizer's rate for ``epoch``."""
        if self.plateau is not None:
            return
        for group in self.optimizer.param_groups:
            group["lr"] = self.initial_lr * self._factor(epoch)

    def _factor(self, epoch: int) -> float:
        if self.name == "released":
            return 0.1 ** sum(e // self.DROP_EPOCH for e in range(1, epoch + 1))
        if self.name == "step":
            return 0.1 ** (epoch // self.DROP_EPOCH)
        return 1.0

    def end_epoch(self, training_loss: float) -> None:
        """Tell the schedule the epoch's mean training loss."""
        if self.plateau is not None:
            self.plateau.step(training_loss)

    def state_dict(self) -> dict:
        return self.plateau.state_dict() if self.plateau is not None else {}

    def load_state_dict(self, state: dict) -> None:
        if self.plateau is not None:
            self.plateau.load_state_dict(state)
