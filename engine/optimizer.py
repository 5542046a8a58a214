"""Optimizers with their groups of parameters, the L1 penalty and gradient clipping."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from model.trunks.trunk import Trunk
from utils.errors import UserError, nearest


def build_optimizer(config: DictConfig, network: nn.Module) -> torch.optim.Optimizer:
    """Optimizer from the ``optim`` group of a configuration, on the network's device.

    Each group's ``factor`` multiplies every learning rate that a schedule gives: the trunks'
    parameters have ``trunk_factor``, all others 1, and biases ``bias_factor`` times that; the rate
    is logged as the group's ``column``. Without ``decay_all`` parameters of one dimension (biases,
    norms) have no weight decay, without ``decay_bias`` biases alone; those that fit a pattern in
    ``no_decay`` never have. Names in ``freeze`` are not trained.

    Raises:
        UserError: a name in ``freeze`` or a pattern in ``no_decay`` fits no parameter, or nothing
            is left to train.
    """
    freeze(network, config.freeze)
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise UserError(f"optim.freeze={list(config.freeze)} leaves nothing to train")
    spared = spared_of_decay(network, config.no_decay)
    beside = getattr(network, "with_trunk", ())
    in_trunk = {id(parameter) for name, module in network.named_modules()
                if isinstance(module, Trunk) or name in beside
                for parameter in module.parameters()}
    groups: dict[tuple[float, float, str], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            bias = name.endswith("bias")
            factor = config.trunk_factor if id(parameter) in in_trunk else 1.0
            factor *= config.bias_factor if bias else 1.0
            decays = (config.decay_all or parameter.ndim > 1) and (config.decay_bias or not bias) \
                and name not in spared
            column = "lr" + "_trunk" * (id(parameter) in in_trunk and config.trunk_factor != 1) \
                + "_bias" * (bias and config.bias_factor != 1)
            key = factor, config.weight_decay if decays else 0.0, column
            groups.setdefault(key, []).append(parameter)
    parameters = [{"params": members, "factor": factor, "weight_decay": decay, "column": column}
                  for (factor, decay, column), members in groups.items()]
    # One pass over each tensor: a third of the time on a CPU, where SGD's bits stay the same and
    # Adam's move by less than 1e-7; on a GPU it leaves out a step by itself, see Precision.scaler.
    options = {"lr": config.lr, "fused": True}
    if config.name == "sgd":
        optimizer = torch.optim.SGD(parameters, momentum=config.momentum,
                                    nesterov=config.nesterov, **options)
        forget_moments(optimizer)
        return optimizer
    return {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.name](
        parameters, betas=tuple(config.betas), **options)


def forget_moments(optimizer: torch.optim.Optimizer) -> None:
    """Let an optimizer begin anew. SGD's momentum begins with zeros: where the first step is left
    out, torch begins with memory as it lies there."""
    optimizer.state.clear()
    for group in optimizer.param_groups if optimizer.defaults.get("momentum") else ():
        for parameter in group["params"]:
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)


def spared_of_decay(network: nn.Module, patterns: Iterable[str]) -> set[str]:
    """The parameters without weight decay, by ``optim.no_decay``."""
    names, spared = [name for name, _ in network.named_parameters()], set()
    for pattern in patterns:
        if not (fitting := fnmatch.filter(names, pattern)):
            raise UserError(f"optim.no_decay: no parameter fits {pattern!r}; parameters are named "
                            f"like {names[0]} and {names[-1]}")
        spared.update(fitting)
    return spared


def freeze(network: nn.Module, names: Iterable[str]) -> None:
    """Do not train the parameters whose names begin with one of ``names``."""
    for name in names:
        parameters = [parameter for key, parameter in network.named_parameters()
                      if key == name or key.startswith(f"{name}.")]
        if not parameters:
            raise UserError(f"optim.freeze: no parameter is called {name!r} or lies in it; "
                            f"{nearest(name, [key for key, _ in network.named_children()])}")
        for parameter in parameters:
            parameter.requires_grad_(False)


def add_l1(network: nn.Module, config: DictConfig) -> None:
    """Add to the gradients what ``optim.l1`` × the sum of absolute weights would give, l1 sign(w).

    The penalty is on the parameters that weight decay is for: all but those of ``no_decay``, or
    without ``decay_all`` those of more than one dimension. Like weight decay it is no term of the
    logged loss.
    """
    if not config.l1:
        return
    spared = spared_of_decay(network, config.no_decay)
    weights = [parameter for name, parameter in network.named_parameters()
               if parameter.grad is not None and (config.decay_all or parameter.ndim > 1)
               and name not in spared]
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
