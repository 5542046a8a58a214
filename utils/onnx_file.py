"""Weights of a network that was exported to ONNX, under the names of the network that it is of.

Exporters merge batch norms into the convolutions before them and number the tensors that this
makes, so that only the convolutions' order and shapes tell where they belong.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from .errors import UserError, lacks_memory, list_problems

Norm = nn.modules.batchnorm._BatchNorm
#: What ``read_onnx`` takes of a file, as messages say it.
READS = "Of an ONNX file only convolutions and batch norms are read."


class Exported(dict):
    """An ONNX file's tensors by name: those of its convolutions and batch norms.

    Attributes:
        convolutions: the names of each one's weight and bias, in the order of the graph; the name
            of a bias that it lacks is empty.
        norms: the number of batch norms that the graph has.
    """

    def __init__(self, tensors: Mapping[str, Tensor], convolutions: list[tuple[str, str]],
                 norms: int):
        super().__init__(tensors)
        self.convolutions, self.norms = convolutions, norms

    @property
    def merged(self) -> bool:
        """Whether convolutions have lost their names, as where batch norms are merged into them:
        the numbers that stand in for names have no point, which keys of a network have."""
        return not all("." in weight for weight, _ in self.convolutions)


def read_onnx(path: Path) -> Exported:
    """The weights in an ONNX file.

    Raises:
        UserError: the package onnx is missing, or the file is damaged or lacks its tensors.
    """
    try:
        import onnx
    except ImportError:
        raise UserError(f"cannot read {path} as weights: ONNX files need the package onnx; install "
                        "it with pip install onnx, or name the PyTorch weights that the file was "
                        "exported from.") from None
    try:
        graph = onnx.load(path, load_external_data=False).graph
        tensors = {tensor.name: torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy())
                   for tensor in graph.initializer}
    except Exception as error:  # errors of protobuf, and of values that it does not understand
        if lacks_memory(error):
            raise
        raise UserError(f"cannot read {path} as weights: the ONNX file is damaged, or its tensors "
                        f"lie in files beside it ({error}). Fetch it again, or export it into one "
                        "file.") from None
    used, convolutions, norms = {}, [], 0
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in tensors:  # equal tensors are kept once
            tensors[node.output[0]] = tensors[node.input[0]]
        if node.op_type in ("Conv", "BatchNormalization"):
            used |= {name: tensors[name] for name in node.input if name in tensors}
            norms += node.op_type == "BatchNormalization"
        if node.op_type == "Conv":
            convolutions.append((node.input[1], node.input[2] if len(node.input) > 2 else ""))
    return Exported(used, convolutions, norms)


def named(exported: Exported, network: nn.Module, origin: str) -> dict[str, Tensor]:
    """The tensors under the keys of ``network``, a ``model.Network``; under the file's own names
    where its convolutions have kept them.

    A merged batch norm becomes one that changes nothing, but for the bias: it adds that where its
    convolution has none.

    Raises:
        UserError: other convolutions than the network's, listed; or only some norms are merged.
    """
    if not exported.merged:
        return dict(exported)
    if exported.norms:
        raise UserError(f"{origin} has convolutions without names and {exported.norms} batch norms "
                        "beside them, so nothing tells which belong together. Export it with all "
                        "batch norms merged, or with none")
    keys = {module: name for name, module in network.named_modules()}
    places = _run(network)
    if len(places) != len(exported.convolutions):
        raise UserError(f"{origin} does not fit the network: {len(exported.convolutions)} "
                        f"convolutions in its graph, {len(places)} in the network. Is it meant for "
                        "this network (model.name, model.options)?")
    state, problems = {}, []
    for names, (conv, norm) in zip(exported.convolutions, places, strict=True):
        weight, bias = (exported.get(name) for name in names)
        if misfits := _misfits(names, weight, bias, conv, keys[conv], network):
            problems += misfits
            continue
        state[f"{keys[conv]}.weight"] = weight
        bias = torch.zeros(len(weight)) if bias is None else bias
        if conv.bias is not None:
            state[f"{keys[conv]}.bias"] = bias
            bias = torch.zeros_like(bias)
        if norm is not None:
            state |= {f"{keys[norm]}.{name}": value for name, value in _adding(bias, norm).items()}
    if problems:
        raise UserError(list_problems(
            f"{origin} does not fit the network: its convolutions are matched by their order",
            problems, "Is it meant for this network (model.name, model.options)?"))
    return state


def _adding(bias: Tensor, norm: Norm) -> dict[str, Tensor]:
    """The tensors with which a batch norm adds ``bias`` (C,) and changes nothing else."""
    return {"weight": torch.ones_like(bias), "bias": bias, "running_mean": torch.zeros_like(bias),
            "running_var": torch.full_like(bias, 1 - norm.eps)}


def _misfits(names: tuple[str, str], weight: Tensor | None, bias: Tensor | None, conv: nn.Conv2d,
             key: str, network: nn.Module) -> list[str]:
    """Why tensors are not those of a convolution."""
    for name, tensor in zip(names, (weight, bias), strict=True):
        if name and tensor is None:
            return [f"{key}: {name} is computed in the graph, not kept in the file"]
    if weight.shape != conv.weight.shape:
        return [f"{key}: {names[0]} is {tuple(weight.shape)}, the network's "
                f"{tuple(conv.weight.shape)}"]
    if bias is not None and bias.shape != weight.shape[:1]:
        return [f"{key}: {names[1]} is {tuple(bias.shape)}, not ({len(weight)},)"]
    meant = _meant(names[0], network)
    if meant and f"{key}.weight" not in meant:
        return [f"{key}: {names[0]} runs in its place"]
    return []


def _meant(name: str, network: nn.Module) -> set[str]:
    """The keys of the network that a tensor's name in a file may mean, none for a number. Parts
    that wrappers put before the name are passed over."""
    own, parts = network.state_dict().keys(), name.split(".")
    for start in range(len(parts)):
        rest = ".".join(parts[start:])
        if meant := {rest, network.released_key(rest)} & own:
            return meant
    return set()


def _run(network: nn.Module) -> list[tuple[nn.Conv2d, Norm | None]]:
    """The network's convolutions in the order in which they run, each with the batch norm that
    runs behind it.

    Raises:
        UserError: a batch norm runs behind something else, so that nothing can have merged it.
    """
    calls: list[nn.Module | None] = []
    hooks = [module.register_forward_pre_hook(lambda module, _: calls.append(module))
             for module in network.modules() if isinstance(module, nn.Conv2d | Norm)]
    side, training = network.fixed_side or network.smallest_side, network.training
    network.eval()
    try:
        with torch.no_grad():
            network(torch.zeros(1, 3, side, side))
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    places = []
    for module, following in pairwise([*calls, None]):
        if isinstance(module, nn.Conv2d):
            places.append((module, following if isinstance(following, Norm) else None))
        elif not places or places[-1][1] is not module:
            raise UserError(f"{type(network).__name__} cannot take weights of ONNX files whose "
                            "batch norms are merged: some of its batch norms follow no convolution")
    return places
