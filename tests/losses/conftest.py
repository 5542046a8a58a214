"""The released losses' values, and the inputs that they were computed from."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor


@pytest.fixture(scope="session")
def released_inputs(golden) -> dict[str, Tensor]:
    """Inputs of ``golden/losses.json``; scribbles in this repository's codes."""
    arrays = np.load(golden.folder / "losses_inputs.npz")
    inputs = {name: torch.from_numpy(arrays[name]) for name in arrays}
    codes = inputs["scribble"]
    inputs["scribble"] = torch.where(codes == 0, 255, torch.where(codes == 2, 0, 1)).long()
    return inputs


@pytest.fixture(scope="session")
def agrees(golden) -> Callable[..., None]:
    """Asserts that a loss and its gradients are those of the released code."""

    def compare(name: str, value: Tensor, arguments: list[Tensor], file: str = "losses") -> None:
        """``value`` is our loss of ``arguments``, ``name`` that of the golden loss in ``file``."""
        text = (golden.folder / f"{file}.json").read_text()
        expected = json.loads(text)["losses"][name]
        assert value.item() == pytest.approx(expected["value"], rel=1e-5)
        gradients = torch.autograd.grad(value, arguments)
        assert [gradient.abs().sum().item() for gradient in gradients] == \
            pytest.approx(expected["grad_abs_sum"], rel=1e-5)

    return compare
