"""The graph of a network, as TensorBoard shows it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from torch import nn

from utils.errors import UserError
from utils.schema import sides

from .prediction import evaluating


def graph_of(network: nn.Module, size: int | Sequence[int]) -> bytes:
    """A GraphDef, serialised, of the network as ``torch.jit`` traces it for one image.

    Weights, buffers, modes and random numbers are as they were afterwards.

    Args:
        size: of the image, one side or height and width.

    Raises:
        UserError: the package tensorboard, which makes the graph of the trace, is missing, or the
            network leaves torch and cannot be traced.
    """
    try:
        from tensorboard.compat.proto.graph_pb2 import GraphDef
        from tensorboard.compat.proto.versions_pb2 import VersionDef
        from torch.utils.tensorboard._pytorch_graph import parse
    except ImportError:
        raise UserError("the graph is made by the package tensorboard: pip install tensorboard"
                        ) from None
    trace = _traced(network, size)
    return GraphDef(node=parse(trace.inlined_graph, trace),
                    versions=VersionDef(producer=22)).SerializeToString()


def _traced(network: nn.Module, size: int | Sequence[int]) -> torch.jit.ScriptModule:
    example = torch.zeros(1, 3, *sides(size), device=next(network.parameters()).device)
    with warnings.catch_warnings(), torch.no_grad(), torch.random.fork_rng(), \
            evaluating(network):
        warnings.simplefilter("ignore")  # of torch, on what it will do otherwise some day
        try:
            # Networks give dicts, which strict traces refuse; a check would trace it twice more.
            return torch.jit.trace(network, example, strict=False, check_trace=False)
        except (RuntimeError, TypeError, ValueError) as error:  # torch's tracer raises all of them
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UserError(f"{type(network).__name__} cannot be traced: {first}") from None
