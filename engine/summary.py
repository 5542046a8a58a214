"""Parameters and multiply–adds of each part of a network."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from rich.console import Console
from rich.table import Column, Table
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from model.trunks.trunk import Trunk
from utils.schema import sides

from .prediction import evaluating


def _of_lstm(x: Sequence[int], weights: object, hidden: object, *_: object, **__: object) -> int:
    """Operations of an LSTM on (steps, N, C), or (N, steps, C): each matrix at each step.

    Args:
        weights, hidden: shapes of the CPU's two matrices; on a GPU ``weights`` is a list of all
            matrices and biases.
    """
    shapes = weights if isinstance(weights, list) else [weights, hidden]
    return 2 * x[0] * x[1] * sum(math.prod(shape) for shape in shapes if len(shape) == 2)


#: What ``FlopCounterMode`` does not know: LSTMs on the CPU (one direction) and on a GPU (whole).
_FORMULAS = {torch.ops.aten.mkldnn_rnn_layer: _of_lstm, torch.ops.aten._cudnn_rnn: _of_lstm}


def count(network: nn.Module, size: int | Sequence[int]) -> dict[str, tuple[int, int]]:
    """Part → parameters, and multiply–adds of one image of ``size``, one side or height and width;
    "" is the whole.

    Parts are the network's children by name; a trunk among them is parted into its stages.
    Counted by torch's ``FlopCounterMode`` in convolutions and matrix products, those of LSTMs
    included (two operations are one multiply–add), in evaluation mode. Parameters shared by parts
    count in each, and once in the whole.
    """
    device = next(network.parameters()).device
    counter = FlopCounterMode(display=False, depth=None, custom_mapping=_FORMULAS)
    with evaluating(network), torch.no_grad(), counter:
        network(torch.zeros(1, 3, *sides(size), device=device))
    flops = counter.get_flop_counts()
    root = type(network).__name__

    def products(module: nn.Module, key: str) -> int:
        if key in flops:
            return sum(flops[key].values()) // 2
        # A dict or list of modules is never called itself.
        return sum(products(child, f"{key}.{name}") for name, child in module.named_children())

    rows = {}
    for name, child in network.named_children():
        parts = {f"{name}.{stage}": module for stage, module in child.named_children()} \
            if isinstance(child, Trunk) else {name: child}
        rows |= {part: (parameters(module), products(module, f"{root}.{part}"))
                 for part, module in parts.items()}
    return rows | {"": (parameters(network), products(network, "Global"))}


def parameters(module: nn.Module) -> int:
    """Numbers that can be trained."""
    return sum(parameter.numel() for parameter in module.parameters())


def print_summary(network: nn.Module, size: int | Sequence[int]) -> None:
    """The table of ``count``, for an image of ``size``."""
    table = Table("part", Column("parameters", justify="right"),
                  Column("multiply–adds", justify="right"),
                  title="{}, one image of {}×{}".format(type(network).__name__, *sides(size)[::-1]))
    rows = count(network, size)
    whole = rows.pop("")
    for name, numbers in rows.items():
        table.add_row(name, *map(_short, numbers))
    table.add_section()
    table.add_row("all", *map(_short, whole))
    Console(markup=False, emoji=False).print(table)


def _short(number: int) -> str:
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= unit:
            return f"{number / unit:.2f} {name}"
    return str(number)
