"""A training run that takes a second, in this process or in one of its own."""

from __future__ import annotations

from pathlib import Path

import torch

import train as train_script
from tests.apart import Apart, run_script

SMALL = ["model.options.width=0.0625", "weights.backbone=none", "data.train=[TINY-TR]",
         "data.size=32", "data.workers=0", "train.batch=4", "train.epochs=2", "train.log_every=1",
         "data.flip=0.5"]


def words(sets, *more) -> list[str]:
    """The command line after ``train.py``."""
    return ["--gpu", "cpu", f"data.root={sets}", "name=trial", *SMALL, *more]


def train(sets, *more) -> int:
    return train_script.main(words(sets, *more))


def start(sets, runs, *more) -> Apart:
    """A training process of its own."""
    return Apart(run_script, "train", runs, words(sets, *more))


def weights(path: Path) -> dict:
    return torch.load(path, weights_only=True)["network"]


def equal(one: dict, other: dict) -> bool:
    return all(torch.equal(value, other[key]) for key, value in one.items())
