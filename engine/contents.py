"""What a checkpoint has to hold to be gone on from: every part, of its kind and within its bounds.

torch's own ``load_state_dict`` takes numbers, shapes and missing entries as they come, and the run
would go on as another one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from utils.errors import UserError, lacks_memory
from utils.state import all_finite

#: Key of ``at`` → the least value of the number; see ``engine.run.Progress``.
_COUNTS = {"step": 0, "epoch": 1, "batch": 0, "stale": 0, "skipped": 0, "parts": 1}
_MAPPINGS = ("network", "optimizer", "schedule", "scaler", "at", "config")


def require_whole(content: Mapping[str, Any], path: Path) -> None:
    """Check all that can be told of a checkpoint without its network.

    Raises:
        UserError: a part is missing or of another kind, a number is out of its bounds, or a tensor
            is no plain tensor of finite values; the message names the file and the part.
    """
    for problem in _problems(content):
        raise bent(path, problem)


def bent(path: Path, problem: str) -> UserError:
    """The error on a checkpoint whose file is sound, but not what it holds."""
    return UserError(f"{path} cannot be gone on from: {problem}. Another program or version wrote "
                     "it. Take another checkpoint of the run (previous.pt, best.pt) in its place, "
                     "or train anew with --overwrite.")


@contextmanager
def part_of(path: Path, name: str) -> Iterator[None]:
    """Inside the block the part ``name`` of the checkpoint ``path`` is put to use: what fails is a
    UserError that names both."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, NotImplementedError, RuntimeError,
            TypeError, UserError, ValueError) as error:
        if lacks_memory(error):
            raise
        raise bent(path, f"{name}: {str(error) or type(error).__name__}") from None


def _problems(content: Mapping[str, Any]) -> Iterator[str]:
    for name in _MAPPINGS:
        if not isinstance(content.get(name), Mapping):
            yield f"its part {name!r} is {_kind(content.get(name))}, not a mapping"
    states = content.get("random")
    if not isinstance(states, Sequence) or not states \
            or not all(isinstance(state, Mapping) for state in states):
        yield "its part 'random' is not a list with the state of each process"
    at = content["at"]
    for key, least in _COUNTS.items():
        if not is_count(at.get(key), least):
            yield f"at.{key} is {_kind(at.get(key))}, not a number from {least}"
    if not is_number(at.get("loss_sum")):
        yield f"at.loss_sum is {_kind(at.get('loss_sum'))}, not a number"
    if not is_count(closed := at.get("closed", 0)) or max(closed, at["stale"]) > at["step"]:
        yield f"at.closed or at.stale is not a number up to {at['step']}"
    if strange := at.keys() - {*_COUNTS, "loss_sum", "closed", "best", "per_epoch"}:
        yield f"at.{sorted(map(str, strange))[0]} is not known"
    length = at.get("per_epoch", 1)
    if not is_count(length, 1):
        yield f"at.per_epoch is {_kind(length)}, not a number from 1"
    behind = (at["epoch"] - 1) * length + at["batch"]
    if "per_epoch" in at and (at["batch"] > length or at["step"] != behind):
        yield (f"at.step is {at['step']}, which is not batch {at['batch']} of epoch {at['epoch']}, "
               f"where epochs have {length} batches")
    if not isinstance(content.get("pairs", {}), Mapping):
        yield "its part 'pairs' is not a mapping"
    if "best" not in at or not (at["best"] is None or is_number(at["best"])):
        yield f"at.best is {_kind(at.get('best'))}, neither a number nor None"
    tensors = list(tensors_in(content))
    wanted = content.get("tensors", len(tensors))  # earlier versions did not count them
    if not is_count(wanted) or wanted != len(tensors):
        yield f"it holds {len(tensors)} tensors of {_kind(wanted)}"
    for key, tensor in tensors:
        if problem := tensor_problem(tensor, key.startswith(("network.", "average."))):
            yield f"{key} {problem}"


def is_count(value: object, least: int = 0) -> bool:
    """Whether a value is a whole number, not below ``least``."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def is_number(value: object) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def tensors_in(content: object, key: str = "") -> Iterator[tuple[str, Tensor]]:
    """Dotted key and tensor, for all tensors in mappings and lists."""
    if isinstance(content, Tensor):
        yield key, content
    elif isinstance(content, (Mapping, list, tuple)):
        items = content.items() if isinstance(content, Mapping) else enumerate(content)
        for name, value in items:
            yield from tensors_in(value, f"{key}.{name}" if key else str(name))


def tensor_problem(tensor: Tensor, finite: bool) -> str:
    """What a tensor has that no tensor of a checkpoint may have; empty if nothing. With
    ``finite``, its values must be so; NaN is none in any case."""
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_nested:
        return f"is not a dense tensor, but {tensor.layout}, {tensor.dtype}"
    if tensor.device.type != "cpu":
        return f"has no values on the CPU: its device is {tensor.device}"
    if finite and not all_finite(tensor):
        return "holds values that are not finite"
    if tensor.is_floating_point() and bool(tensor.isnan().any()):  # of the optimizer's moments
        return "holds NaN"
    return ""


def require_alike(saved: Mapping[str, Any], own: Mapping[str, Tensor]) -> None:
    """Raise a ValueError unless ``saved`` has the keys of ``own``, and tensors of their shapes and
    types."""
    if strange := sorted(map(str, saved.keys() ^ own.keys())):
        raise ValueError(f"{len(strange)} keys are missing or unknown, among them {strange[0]}")
    for key, tensor in own.items():
        value = saved[key]
        if not isinstance(value, Tensor) or (value.shape, value.dtype) != (tensor.shape,
                                                                         tensor.dtype):
            raise ValueError(f"{key} is {_kind(value)}, not {_kind(tensor)}")


def require_moments(state: Mapping[str, Any], optimizer: torch.optim.Optimizer) -> None:
    """Raise a ValueError unless the ``state_dict`` of an optimizer fits ``optimizer``."""
    own, moments = optimizer.state_dict(), state["state"]
    if [group["params"] for group in state["param_groups"]] != \
            [group["params"] for group in own["param_groups"]]:
        raise ValueError("its groups of parameters are not those of the recipe")
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if not set(moments) <= set(range(len(parameters))):
        raise ValueError("it has moments of parameters that are not trained")
    momentum = optimizer.defaults.get("momentum", None)
    names = ("step", "exp_avg", "exp_avg_sq") if momentum is None else \
        ("momentum_buffer",) if momentum else ()
    for number, entry in moments.items():
        require_alike({name: value for name, value in entry.items() if value is not None},
                      {name: torch.zeros(()) if name == "step" else parameters[number]
                       for name in names})
        if "step" in names and not entry["step"] >= 1:
            raise ValueError(f"parameter {number} has taken {entry['step']} steps")


def _kind(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor {tuple(value.shape)} of {value.dtype}"
    return f"{value!r:.40}" if value is None or isinstance(value, (bool, int, float, str)) else \
        f"a {type(value).__name__}"
