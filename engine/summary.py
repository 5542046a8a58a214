"""What a network costs, part by part: parameters, multiply–adds, activations, memory."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from rich.console import Console
from rich.table import Column, Table
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from model.trunks.trunk import Trunk
from utils.schema import sides

from .contents import tensors_in
from .precision import Precision
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

    rows = {part: (parameters(module), products(module, f"{root}.{part}"))
            for part, module in parts_of(network).items()}
    return rows | {"": (parameters(network), products(network, "Global"))}


def parts_of(network: nn.Module) -> dict[str, nn.Module]:
    """The network's children by name; a trunk among them is parted into its stages."""
    parts = {}
    for name, child in network.named_children():
        parts |= {f"{name}.{stage}": module for stage, module in child.named_children()} \
            if isinstance(child, Trunk) else {name: child}
    return parts


def outputs_of(network: nn.Module, size: int | Sequence[int]) -> dict[str, tuple[str, int]]:
    """Part → the shapes (C, H, W) that it gives for one image of ``size``, and its activations: how
    many values its convolutions and linear layers give; "" is the whole.

    A part that is a list or dict of modules is never called itself, and has no shape.
    """
    shapes, activations = {}, dict.fromkeys((*parts_of(network), ""), 0)

    def note_shape(part: str):
        def hook(module: nn.Module, inputs: tuple, output: object) -> None:
            shapes[part] = ", ".join(dict.fromkeys(
                "×".join(map(str, tensor.shape[1:])) for _, tensor in tensors_in(output)))
        return hook

    def count_values(parts: list[str]):
        def hook(module: nn.Module, inputs: tuple, output: Tensor) -> None:
            for part in parts:
                activations[part] += output.numel()
        return hook

    handles = [module.register_forward_hook(note_shape(part))
               for part, module in [*parts_of(network).items(), ("", network)]]
    for name, module in network.named_modules():
        if isinstance(module, _CONVOLUTIONS):
            inside = [part for part in activations if not part or f"{name}.".startswith(f"{part}.")]
            handles.append(module.register_forward_hook(count_values(inside)))
    with evaluating(network), torch.no_grad():
        network(torch.zeros(1, 3, *sides(size), device=next(network.parameters()).device))
    for handle in handles:
        handle.remove()
    return {part: (shapes.get(part, ""), count) for part, count in activations.items()}


_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


#: Optimizer → numbers that it keeps for each parameter.
_KEPT = {"sgd": 1, "adam": 2, "adamw": 2}


def step_memory(network: nn.Module, size: int | Sequence[int], images: int, precision: Precision,
                optimizer: str) -> dict[str, int]:
    """Bytes that a training step holds at the end of the network's forward pass, by what they are.

    Args:
        network: in training mode, see ``norm.train_mode``.
        images: that pass through the network at once.
        optimizer: a name of ``optim.name``.
    """
    weights = sum(value.numel() * value.element_size() for value in network.state_dict().values())
    trained = 4 * parameters(network)
    own = {value.untyped_storage()._cdata for value in network.state_dict().values()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage.nbytes()
        alive.append(tensor)  # or another could get its address
        return tensor

    alive: list[Tensor] = []
    image = torch.zeros(images, 3, *sides(size), device=next(network.parameters()).device)
    with (torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
          precision.autocast()):
        outputs = network(image)
    del outputs
    return {"weights": weights, "gradients": trained, "optimizer": _KEPT[optimizer] * trained,
            "features": sum(kept.values())}


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


def print_costs(network: nn.Module, size: int | Sequence[int]) -> None:
    """The table of ``count`` and ``outputs_of``, for an image of ``size``."""
    table = Table("part", "gives", *(Column(title, justify="right") for title in (
        "parameters", "multiply–adds", "activations")),
        title="{}, one image of {}×{}".format(type(network).__name__, *sides(size)[::-1]))
    counts, outputs = count(network, size), outputs_of(network, size)
    for name, numbers in counts.items():
        if not name:
            table.add_section()
        shapes, activations = outputs[name]
        table.add_row(name or "all", shapes, *map(_short, (*numbers, activations)))
    Console(markup=False, emoji=False).print(table)


def _short(number: int) -> str:
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= unit:
            return f"{number / unit:.2f} {name}"
    return str(number)
