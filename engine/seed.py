"""One seed for everything random."""

from __future__ import annotations

import random

import numpy as np
import torch


def set_seed(seed: int) -> None:
    """Seed Python, NumPy and torch (all devices)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def random_state(device: torch.device) -> dict:
    """The generators' states, in types that ``torch.load(weights_only=True)`` accepts."""
    version, numbers, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state()
    state = {
        "python": [version, list(numbers), gauss],
        "numpy": [name, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, cached],
        "torch": torch.get_rng_state(),
    }
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_random_state(state: dict, device: torch.device) -> None:
    """Put the generators back where ``random_state`` took their states.

    Raises:
        KeyError, RuntimeError, TypeError, ValueError: it is not such a state.
    """
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), None if gauss is None else float(gauss)))
    name, keys, position, has_gauss, cached = state["numpy"]
    if not 0 <= position <= 624 or len(keys) != 624:  # NumPy itself would read beyond its memory
        raise ValueError(f"NumPy's state has {len(keys)} numbers and stands at {position}")
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
