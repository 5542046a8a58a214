"""A training run that takes a second."""

from __future__ import annotations

from pathlib import Path

import torch

import test as test_script
import train as train_script

#: The demo's recipe, which is read faster than those with a paper's numbers.
SMALL = ["--config", "demo", "model.options.width=0.0625", "data.train=[TINY-TR]", "data.size=32",
         "data.workers=0", "train.batch=4", "train.epochs=2", "train.log_every=1", "val.fraction=0",
         "val.every=1", "optim.lr=1e-4"]


def words(sets, *more) -> list[str]:
    """The command line after ``train.py``."""
    return ["--gpu", "cpu", f"data.root={sets}", "name=trial", *SMALL, *more]


def train(sets, *more) -> int:
    return train_script.main(words(sets, *more))


def predict(trained, out, *more) -> int:
    fixed = ["--gpu", "cpu", "--checkpoint", str(trained), "--out", str(out)]
    return test_script.main([*fixed, *more])


def weights(path: Path) -> dict:
    return torch.load(path, weights_only=True)["network"]


def equal(first: dict, second: dict) -> bool:
    return all(torch.equal(value, second[key]) for key, value in first.items())
