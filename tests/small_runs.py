"""A training run that takes a second, in this process or in one of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch

import train as train_script
from utils.paths import ROOT

SMALL = ["model.options.width=0.0625", "weights.backbone=none", "data.train=[TINY-TR]",
         "data.size=32", "data.workers=0", "train.batch=4", "train.epochs=2", "train.log_every=1",
         "data.flip=0.5"]


def train(sets, *more) -> int:
    return train_script.main(["--gpu", "cpu", f"data.root={sets}", "name=trial", *SMALL, *more])


def weights(path: Path) -> dict:
    return torch.load(path, weights_only=True)["network"]


def equal(one: dict, other: dict) -> bool:
    return all(torch.equal(value, other[key]) for key, value in one.items())


def start(sets, runs, *more, **options) -> subprocess.Popen:
    """A training process of its own."""
    program = ("import sys, pathlib, train; train.CHECKPOINTS = pathlib.Path(sys.argv[1]); "
               "sys.exit(train.main(sys.argv[2:]))")
    command = [sys.executable, "-c", program, str(runs), "--gpu", "cpu", f"data.root={sets}",
               "name=trial", *SMALL, *more]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, **options)


def wait_for(process: subprocess.Popen, line: str) -> None:
    for said in process.stdout:
        if said.startswith(line):
            return
    raise AssertionError(f"the process ended without saying {line!r}")
