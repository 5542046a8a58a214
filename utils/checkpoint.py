"""Checkpoints: written atomically, read without running code, complete enough to resume."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from .config import merge_config
from .errors import UserError, list_problems
from .weights import read_file


def save_checkpoint(path: Path, state: dict[str, Any], config: DictConfig) -> None:
    """Write ``state`` and the resolved configuration to ``path``, whole or not at all."""
    content = {**state, "config": OmegaConf.to_container(config, resolve=True)}
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, RuntimeError) as error:
        temporary.unlink(missing_ok=True)
        raise UserError(f"cannot write checkpoint {path}: {error}; what was there before is "
                        "intact. Is the disk full?") from None


def load_checkpoint(path: Path) -> tuple[dict[str, Any], DictConfig]:
    """State and configuration of a checkpoint that ``save_checkpoint`` wrote.

    Raises:
        UserError: unreadable, or not one of ours.
    """
    content = read_file(path)
    if "network" not in content or "config" not in content:
        raise UserError(f"{path} is a weights file, not a checkpoint of this repository: it "
                        "holds no configuration. Name the recipe with --config.")
    return content, merge_config(content["config"], origin=str(path))


#: Keys that may change when a run is resumed: they do not enter the weights.
_FREE_KEYS = ("train.epochs", "train.steps", "train.log_every", "train.save_every",
              "train.images_every", "val.every", "test", "data.root", "data.workers", "weights",
              "reported", "paper")


def require_same_recipe(before: DictConfig, now: DictConfig, path: Path) -> None:
    """Refuse to resume ``path`` under a configuration that would train something else."""
    problems = []
    for key in sorted(set(_flat(before)) | set(_flat(now))):
        old, new = _flat(before).get(key), _flat(now).get(key)
        if old != new and not any(key == free or key.startswith(f"{free}.") for free in _FREE_KEYS):
            problems.append(f"{key}: {old!r} in the checkpoint, {new!r} now")
    if problems:
        raise UserError(list_problems(
            f"{path} was trained with another configuration", problems,
            "Resume with the old values, or start a run of another name."))


def _flat(config: DictConfig) -> dict[str, Any]:
    """Dotted key → plain value; lists count as one value."""
    def walk(node: dict, prefix: str) -> dict[str, Any]:
        flat = {}
        for key, value in node.items():
            flat |= walk(value, f"{prefix}{key}.") if isinstance(value, dict) \
                else {f"{prefix}{key}": value}
        return flat
    return walk(OmegaConf.to_container(config, resolve=True), "")
