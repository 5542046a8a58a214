"""The released networks' weights, as the reference outputs and training steps were made with."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import model
from utils.weights_file import read_file


def released_state(golden, file: str) -> tuple[dict, dict, dict[str, torch.Tensor]]:
    """Description, reference arrays and released state of the network ``golden/models/file``; the
    state is filled, or that of the official checkpoint that the description names."""
    path = golden.folder / "models" / file
    description = json.loads(path.with_suffix(".json").read_text())
    arrays = dict(np.load(path.with_suffix(".npz")))
    if "weights" in description:
        official = golden.folder.parent / "data/official" / description["weights"].split()[-1]
        return description, arrays, read_file(official)["state_dict"]
    state = golden.golden_state(description["state_dict"])
    for key, value in arrays.items():
        if key.startswith("state/"):
            state[key.removeprefix("state/")] = torch.from_numpy(value)
    return description, arrays, state


def unfilled_network(name: str) -> model.Network:
    """A network for which no random numbers are drawn, because its weights are loaded next."""
    with pytest.MonkeyPatch.context() as patch:
        for draw in ("normal_", "uniform_"):
            patch.setattr(torch.Tensor, draw, lambda tensor, *args, **options: tensor)
        return model.build(name)
