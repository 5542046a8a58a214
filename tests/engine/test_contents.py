"""Checkpoints whose parts are missing or bent: a clear error, or the run as it was."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from engine.checkpoint import load_latest
from engine.contents import part_of, require_alike, require_whole
from engine.precision import Precision
from engine.run import Run
from utils.config import merge_config
from utils.errors import UserError

CPU = torch.device("cpu")
ODD = (None, {}, [], "x", -1, 10**9, float("nan"), torch.zeros(7), torch.zeros(3, device="meta"),
       torch.eye(3).to_sparse())
#: Numbers that nothing else in a checkpoint tells: another one is another run, which may be right.
FREE = {("at", "loss_sum"), ("at", "best"), ("at", "skipped"), ("at", "parts"), ("at", "stale"),
        ("tensors",), ("pairs",), ("scaler", "scale"), ("scaler", "_growth_tracker"),
        ("schedule", "factor"), ("schedule", "plateau", "last_epoch"), ("average", "n_averaged")}


CONFIGS = {name: merge_config({"train": {"ema": 0.9, "epochs": 3}, "optim": {"name": name}})
           for name in ("adam", "sgd")}


def new_run(folder: Path, optimizer: str) -> Run:
    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2), nn.Conv2d(2, 1, 1, bias=False))
    return Run(CONFIGS[optimizer], network, None, range(5), folder, Precision("fp32", CPU))


def restore(content: dict, path: Path, optimizer: str = "adam") -> Run:
    """What train.py does with a checkpoint's content, without its data."""
    require_whole(content, path)
    run = new_run(path.parent, optimizer)
    with part_of(path, "network"):
        require_alike(content["network"], run.network.state_dict())
    run.network.load_state_dict(content["network"])
    run.restore(content, path)
    return run


def state_of(run: Run) -> dict:
    run.progress.closed = 0  # a checkpoint without it is one of an earlier version
    return copy.deepcopy({name: member.state_dict() for name, member in run._members().items()}
                         | {"at": vars(run.progress), "skipped": run.guard.skipped})


def alike(first: object, second: object) -> bool:
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(alike(first[key], second[key])
                                                     for key in first)
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(map(alike, first, second))
    return torch.equal(first, second) if isinstance(first, torch.Tensor) else first == second


def places(content: object, place: tuple = ()) -> list[tuple]:
    """Every part of nested mappings and lists, the first three of a list."""
    items = list(content.items() if isinstance(content, dict) else
                 enumerate(content[:3]) if isinstance(content, list) else ())
    return [nested for key, value in items if place != ("config",)
            for nested in [(*place, key), *places(value, (*place, key))]]


def bend(content: dict, place: tuple, value: object = KeyError) -> None:
    """Replace a part, or delete it."""
    for key in place[:-1]:
        content = content[key]
    if value is KeyError:
        del content[place[-1]]
    else:
        content[place[-1]] = value


def save(folder: Path, optimizer: str) -> dict:
    """A checkpoint in the midst of the second epoch; returns its content."""
    run = new_run(folder, optimizer)
    for _ in range(7):
        run.scaler.scale(run.network(torch.randn(2, 3, 4, 4)).square().mean()).backward()
        run.scaler.step(run.optimizer)
        run.scaler.update()
        run.average.update_parameters(run.network)
        run.progress.count_step()
    run.progress.epoch, run.progress.batch = 2, 2
    run.save("last.pt")
    return torch.load(folder / "last.pt", weights_only=True)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_bent_checkpoint_is_refused_by_name_or_makes_no_difference(tmp_path, optimizer):
    """Each part is deleted, and replaced by two odd values, in turns."""
    content, path = save(tmp_path, optimizer), tmp_path / "last.pt"
    expected = state_of(restore(content, path, optimizer))
    accepted, odd = [], 0
    for place in places(content):
        for value in (KeyError, *(ODD[(odd + step) % len(ODD)] for step in (0, 5))):
            odd += 1
            bent = copy.deepcopy(content)
            bend(bent, place, value)
            try:
                run = restore(bent, path, optimizer)
            except UserError as error:
                assert str(path) in str(error), (place, value)
                continue
            except Exception as error:
                raise AssertionError(f"{place} = {value!r}") from error
            if not alike(state_of(run), expected) and place not in FREE:
                accepted.append((place, value))
    assert odd > 200 and not accepted


@pytest.mark.parametrize("place, value, message", [
    (("random",), {}, "'random' is not a list"),
    (("at", "step"), 10**9, "at.step is 1000000000, which is not batch 2 of epoch 2, where .* 5"),
    (("at", "epoch"), 50, "at.step is 7, which is not batch 2 of epoch 50"),
    (("at", "rounds"), 1, "at.rounds is not known"),
    (("at",), [], "part 'at' is a list, not a mapping"),
    (("schedule",), KeyError, "part 'schedule' is None"),
    (("optimizer", "state", 0, "exp_avg"), torch.zeros(2), r"exp_avg is a tensor \(2,\)"),
    (("optimizer", "state", 1), KeyError, "it holds .* tensors of"),
    (("network", "0.weight"), torch.zeros(2, 3, 1, 1, device="meta"), "its device is meta"),
    (("network", "0.weight"), torch.full((2, 3, 1, 1), torch.nan), "not finite"),
    (("optimizer", "state", 0, "exp_avg"), torch.full((2, 3, 1, 1), torch.nan), "holds NaN"),
    (("random", 0, "numpy", 2), 10**9, "random: NumPy's state"),
    (("config", "optim", "lrr"), 1, "unknown configuration key 'optim.lrr'")])
def test_the_message_names_the_part(tmp_path, place, value, message):
    content, path = save(tmp_path, "adam"), tmp_path / "last.pt"
    bend(content, place, value)
    torch.save(content, path)
    with pytest.raises(UserError, match=message) as caught:
        restore(load_latest(tmp_path)[0], path)
    assert str(path) in str(caught.value)


def test_checkpoints_of_earlier_versions_are_gone_on_from(tmp_path):
    content, path = save(tmp_path, "adam"), tmp_path / "last.pt"
    expected = state_of(restore(content, path))
    for place in (("at", "closed"), ("at", "per_epoch"), ("tensors",), ("pairs",)):
        bend(content, place)
    assert alike(state_of(restore(content, path)), expected)
    bend(content, ("at", "step"), 10**9)
    with pytest.raises(UserError, match="at: step 1000000000 is not batch 2 of epoch 2"):
        restore(content, path)
