"""Checkpoints: written atomically, read without running code, complete enough to resume."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from utils.config import flat, merge_config
from utils.errors import UserError, list_problems
from utils.origin import of_this_launch
from utils.weights import read_file
from utils.world import restarts


def save_checkpoint(path: Path, state: dict[str, Any], config: DictConfig,
                    keep: Path | None = None) -> None:
    """Write ``state`` and the resolved configuration to ``path``, whole or not at all.

    ``keep``: where the checkpoint that was at ``path`` goes.

    Raises:
        UserError: it cannot be written; what was there before is intact.
    """
    content = {**state, "config": OmegaConf.to_container(config, resolve=True)}
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        if keep is not None and path.is_file():
            path.replace(keep)
        temporary.replace(path)
    except (OSError, RuntimeError) as error:
        temporary.unlink(missing_ok=True)
        raise UserError(f"cannot write checkpoint {path}: {error}; what was there before is "
                        "intact. Is the disk full?") from None


def load_checkpoint(path: Path, overrides: Sequence[str] = ()) -> tuple[dict[str, Any], DictConfig]:
    """State of a checkpoint that ``save_checkpoint`` wrote, and its configuration with
    ``key=value`` overrides.

    Raises:
        UserError: the file cannot be read, or ``save_checkpoint`` did not write it.
    """
    content = read_file(path)
    if "network" not in content or "config" not in content:
        raise UserError(f"{path} is a weights file, not a checkpoint of this repository: it "
                        "holds no configuration. Name the recipe with --config.")
    return content, merge_config(content["config"], overrides, origin=str(path))


def load_latest(folder: Path) -> tuple[dict[str, Any], DictConfig, Path]:
    """The run's last checkpoint that can be read: ``last.pt``, else ``previous.pt``.

    Raises:
        UserError: none of them exists and can be read.
    """
    problems = []
    for path in (folder / "last.pt", folder / "previous.pt"):
        if path.is_file():
            try:
                return *load_checkpoint(path), path
            except UserError as error:
                problems.append(str(error))
                # Renamed, or the next save would make it previous.pt.
                damaged = path.replace(path.with_suffix(".damaged"))
                print(f"note: {path} cannot be read (now {damaged.name}), trying the one before",
                      file=sys.stderr)
    raise UserError("\n".join(problems) or
                    f"there is no checkpoint {folder / 'last.pt'}; start without --resume")


def checkpoint_to_resume(folder: Path, config: DictConfig, resume: bool, if_any: bool,
                         overwrite: bool) -> Path | None:
    """The checkpoint to resume from, None for a run that starts.

    With ``if_any``, and in processes that torchrun started anew in the middle of their own run, a
    run goes on if it has a checkpoint yet.

    Raises:
        UserError: the folder holds a run that the options neither resume nor overwrite, or one
            that cannot be resumed.
    """
    if (resume or if_any) and overwrite:
        raise UserError("--resume and --overwrite exclude each other")
    exists = any((folder / name).is_file() for name in ("last.pt", "previous.pt"))
    if resume or (exists and (if_any or (restarts() and of_this_launch(folder)))):
        _, before, path = load_latest(folder)
        require_same_recipe(before, config, path)
        return path
    if exists and not overwrite:
        raise UserError(f"{folder} holds a run already: go on with --resume, replace it with "
                        "--overwrite, or give this run its own name=…")
    return None


def tested_weights(content: dict[str, Any]) -> dict[str, Any]:
    """The weights of a checkpoint that are tested: the moving average where there is one."""
    if "average" not in content:
        return content
    return {key.removeprefix("module."): value for key, value in content["average"].items()
            if key != "n_averaged"}


#: Keys that may change when a run is resumed, because the weights do not depend on them.
_FREE_KEYS = ("train.epochs", "train.steps", "train.log_every", "train.save_every",
              "train.images_every", "train.accumulate", "train.on_oom", "train.checkpoint_trunk",
              "train.max_skipped", "train.patience", "val.every", "test", "data.root",
              "data.workers", "data.cache", "data.cache_gb", "threads", "weights", "reported",
              "paper")


def require_same_recipe(before: DictConfig, now: DictConfig, path: Path) -> None:
    """Refuse to resume ``path`` under a configuration that would train something else."""
    problems, free = [], set(_FREE_KEYS)
    if now.optim.schedule in ("poly", "poly_epoch", "triangular", "cosine"):
        free -= {"train.epochs", "train.steps"}  # they are laid out over the whole run
    values, values_now = flat(before), flat(now)
    for key in sorted(values.keys() | values_now.keys()):
        old, new = values.get(key), values_now.get(key)
        if old != new and not any(key == name or key.startswith(f"{name}.") for name in free):
            problems.append(f"{key}: {old!r} in the checkpoint, {new!r} now")
    if problems:
        raise UserError(list_problems(
            f"{path} was trained with another configuration", problems,
            "Resume with the old values, or start a run of another name."))
