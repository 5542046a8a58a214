"""A training run that takes half a second."""

from __future__ import annotations

import struct
from pathlib import Path

import torch
from tensorboardX.proto.event_pb2 import Event

import test as test_script
import train as train_script

RECIPE = Path(__file__).with_name("small.yaml")


def words(sets, *more) -> list[str]:
    """The command line after ``train.py``."""
    return ["--config", str(RECIPE), "--gpu", "cpu", f"data.root={sets}", *more]


def train(sets, *more) -> int:
    return train_script.main(words(sets, *more))


def predict(trained, out, *more) -> int:
    fixed = ["--gpu", "cpu", "--checkpoint", str(trained), "--out", str(out)]
    return test_script.main([*fixed, *more])


def weights(path: Path) -> dict:
    return torch.load(path, weights_only=True)["network"]


def equal(first: dict, second: dict) -> bool:
    return all(torch.equal(value, second[key]) for key, value in first.items())


def events(folder: Path) -> list[Event]:
    """The records of an events file: length, its checksum, the message, its checksum."""
    (path,) = folder.glob("events.*")
    content, start, records = path.read_bytes(), 0, []
    while start < len(content):
        (length,) = struct.unpack_from("<Q", content, start)
        records.append(Event.FromString(content[start + 12:start + 12 + length]))
        start += 16 + length
    return records
