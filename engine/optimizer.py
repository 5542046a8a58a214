"""Optimizers with their parameter groups, gradient clipping and learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from utils.errors import UserError, nearest
from utils.schema import SCHEDULES


def build_optimizer(config: DictConfig, network: nn.Module) -> torch.optim.Optimizer:
    """Optimizer from the ``optim`` group of a configuration, on the network's device.

    Each group's ``factor`` multiplies every learning rate that a schedule gives: the trunk's
    parameters have ``trunk_factor``, all others 1. Parameters of one dimension (biases, norms)
    are a group without weight decay unless ``decay_all``. Names in ``freeze`` are not trained.

    Raises:
        UserError: a name in ``freeze`` that fits no parameter.
    """
    freeze(network, config.freeze)
    in_trunk = {id(parameter) for module in network.modules()
                if hasattr(module, "imagenet_keys") for parameter in module.parameters()}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter in network.parameters():
        if parameter.requires_grad:
            factor = config.trunk_factor if id(parameter) in in_trunk else 1.0
            decays = config.decay_all or parameter.ndim > 1
            key = factor, config.weight_decay if decays else 0.0
            groups.setdefault(key, []).append(parameter)
    parameters = [{"params": members, "factor": factor, "weight_decay": decay}
                  for (factor, decay), members in groups.items()]
    # One kernel for all tensors on a GPU, which leaves out a step by itself, see Precision.scaler.
    # On a CPU it gains 1 % of a step, and rounds in another order than the released loops.
    on_gpu = all(member.is_cuda for members in groups.values() for member in members)
    options = {"lr": config.lr, "fused": on_gpu or None}
    if config.name == "sgd":
        return torch.optim.SGD(parameters, momentum=config.momentum, nesterov=config.nesterov,
                               **options)
    return {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.name](
        parameters, betas=tuple(config.betas), **options)


def freeze(network: nn.Module, names: Iterable[str]) -> None:
    """Do not train the parameters whose names begin with one of ``names``."""
    for name in names:
        found = [parameter for key, parameter in network.named_parameters()
                 if key == name or key.startswith(f"{name}.")]
        if not found:
            raise UserError(f"optim.freeze: no parameter is called {name!r} or lies in it; "
                            f"{nearest(name, [key for key, _ in network.named_children()])}")
        for parameter in found:
            parameter.requires_grad_(False)


def add_l1(network: nn.Module, config: DictConfig) -> None:
    """Add to the gradients what ``optim.l1`` × the sum of absolute weights would give, l1 sign(w).

    Of the parameters that weight decay is for: all, or without ``decay_all`` those of more than
    one dimension. The penalty is no term of the logged loss, as weight decay is none.
    """
    if not config.l1:
        return
    weights = [parameter for parameter in network.parameters()
               if parameter.grad is not None and (config.decay_all or parameter.ndim > 1)]
    signs = torch._foreach_sign([weight.detach() for weight in weights])
    torch._foreach_add_([weight.grad for weight in weights], signs, alpha=config.l1)


def clip_gradients(parameters: Iterable[nn.Parameter], value: float | None = None,
                   norm: float | None = None) -> Tensor:
    """Clamp each gradient element to ±``value``, then scale the gradient to ``norm`` at most.

    Returns:
        The norm that the gradient had before, a scalar on its device; not finite if any element
        was not.
    """
    parameters = [parameter for parameter in parameters if parameter.grad is not None]
    before = nn.utils.get_total_norm([parameter.grad for parameter in parameters])
    if value is not None:
        nn.utils.clip_grad_value_(parameters, value)
    if norm is not None:
        nn.utils.clip_grad_norm_(parameters, norm)
    return before


class Schedule:
    """The learning rate of every step, a factor f on the configured rate.

    With t the share of the run that lies behind, from 0 to 1:

    - ``constant``: 1.
    - ``step``: gamma^⌊epoch / drop_every⌋.
    - ``released``: what the released loops of CPD and WSSA do. They multiply the *current* rate
      by gamma^⌊epoch / drop_every⌋ at every epoch; with 0.1 and 50 it is 1e-4 to epoch 49, 1e-5
      at 50, 1e-6 at 51, …, so training all but stops there.
    - ``poly``: (1 − t)^power; ``poly_epoch``: the same, of epochs that lie behind.
    - ``triangular``: up to 1 at half of the run and down again, 1 − |2 step / (steps + 1) − 1|.
    - ``cosine``: (1 + cos π t) / 2.
    - ``plateau``: ×gamma when the watched loss has not fallen by 1e-4 of itself for ``patience``
      epochs: the mean training loss, or ``val.watch`` where there is a validation.
    - ``paper``: CPD's paper, "decreased by 10 % when the training loss reaches a flat":
      ``plateau`` with gamma 0.9 and patience 2 on the training loss.

    The first ``warmup`` steps multiply it by step / warmup. Epochs and steps count from 1.
    """

    def __init__(self, config: DictConfig, optimizer: torch.optim.Optimizer, steps: int,
                 per_epoch: int = 1):
        if config.schedule not in SCHEDULES:
            raise UserError(f"unknown optim.schedule {config.schedule!r}; "
                            f"{nearest(config.schedule, SCHEDULES)}")
        self.name, self.config, self.steps = config.schedule, config, steps
        self.epochs = math.ceil(steps / per_epoch)
        self.optimizer = optimizer
        gamma, patience = (0.9, 2) if self.name == "paper" else (config.gamma, config.patience)
        # Only its bookkeeping is used, on an optimizer of its own: a rate of 1 is the factor.
        self._flat = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
        self._plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self._flat, factor=gamma, patience=patience, threshold=1e-4)

    def start_step(self, step: int, epoch: int) -> None:
        """Set the optimizer's rates for a step."""
        factor = self.factor(step, epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.lr * factor * group["factor"]

    def factor(self, step: int, epoch: int) -> float:
        """What the rate is multiplied with; see the class."""
        config, done = self.config, (step - 1) / self.steps
        shape = {
            "constant": lambda: 1.0,
            "step": lambda: config.gamma ** (epoch // config.drop_every),
            "released": lambda: config.gamma ** sum(e // config.drop_every
                                                    for e in range(1, epoch + 1)),
            "poly": lambda: (1 - done) ** config.power,
            "poly_epoch": lambda: (1 - (epoch - 1) / self.epochs) ** config.power,
            "triangular": lambda: 1 - abs(2 * step / (self.steps + 1) - 1),
            "cosine": lambda: (1 + math.cos(math.pi * done)) / 2,
        }.get(self.name, lambda: self._flat.param_groups[0]["lr"])
        return shape() * min(1.0, step / config.warmup if config.warmup else 1.0)

    def end_epoch(self, training_loss: float, validation: float | None = None,
                  waits: bool = False) -> None:
        """Tell the schedule the epoch's mean training loss, and what the validation watches if
        there was one; ``waits`` if there is one, but not after this epoch."""
        if self.name == "paper" or (validation is None and not waits):
            self._plateau.step(training_loss)
        elif validation is not None:
            self._plateau.step(validation)

    def state_dict(self) -> dict:
        return {"plateau": self._plateau.state_dict(), "factor": self._flat.param_groups[0]["lr"]}

    def load_state_dict(self, state: dict) -> None:
        self._plateau.load_state_dict(state["plateau"])
        self._flat.param_groups[0]["lr"] = state["factor"]
