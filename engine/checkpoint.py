"""Checkpoints: written whole or not at all, read without running code, enough to go on from."""

from __future__ import annotations

import errno
import itertools
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from utils.archive import damage_of
from utils.config import flat, merge_config
from utils.errors import UserError, list_problems
from utils.files import written_whole
from utils.origin import of_this_launch
from utils.weights import read_file
from utils.world import restarts

from .contents import require_whole, tensors_in

_FULL = (errno.ENOSPC, errno.EDQUOT)  # no space is left, the quota is used up
#: What a run's folder may hold for one to go on from, the newest first.
RESUMABLE = ("last.pt", "previous.pt")


def save_checkpoint(path: Path, state: dict[str, Any], config: DictConfig,
                    keep: Path | None = None) -> None:
    """Write ``state`` and the resolved configuration to ``path``, whole or not at all.

    ``keep``: where the checkpoint that was at ``path`` goes.

    Raises:
        UserError: it cannot be written; what was there before is intact.
    """
    content = {**state, "config": OmegaConf.to_container(config, resolve=True),
               "tensors": sum(1 for _ in tensors_in(state))}
    try:
        with written_whole(path, "wb") as file:
            try:
                torch.save(content, file)
            except RuntimeError as error:
                # What failed in the midst of a record is only the context of what torch raises
                # when it closes the record: a full disk, or a second Ctrl-C.
                raise error.__context__ or error from None
            file.flush()
            os.fsync(file.fileno())
            if keep is not None and path.is_file():
                path.replace(keep)
    except (OSError, RuntimeError) as error:
        full = isinstance(error, OSError) and error.errno in _FULL
        raise UserError(
            f"cannot write checkpoint {path}: {getattr(error, 'strerror', None) or error}; what "
            "was there before is intact." + (" Make room on that disk, then go on with --resume."
                                             if full else "")) from None


def load_checkpoint(path: Path, overrides: Sequence[str] = ()) -> tuple[dict[str, Any], DictConfig]:
    """State of a checkpoint that ``save_checkpoint`` wrote, and its configuration with
    ``key=value`` overrides.

    Raises:
        UserError: the file cannot be read, or ``save_checkpoint`` did not write it.
    """
    content = read_file(path)
    return content, configuration_of(content, path, overrides)


def configuration_of(content: dict, path: Path, overrides: Sequence[str] = ()) -> DictConfig:
    """The configuration in the content of a checkpoint, with ``key=value`` overrides.

    Raises:
        UserError: ``save_checkpoint`` did not write ``path``, which holds it.
    """
    if "network" not in content or "config" not in content:
        raise UserError(f"{path} is a weights file, not a checkpoint of this repository: it "
                        "holds no configuration. Name the recipe with --config.")
    return merge_config(content["config"], overrides, origin=str(path))


def load_latest(folder: Path) -> tuple[dict[str, Any], DictConfig, Path]:
    """The run's last checkpoint that can be gone on from: ``last.pt``, else ``previous.pt``.

    When ``previous.pt`` is taken, ``last.pt`` is set aside: the next save would make it
    ``previous.pt``. Nothing is renamed where neither can be used.

    Raises:
        UserError: none of them exists and can be used; the message names both.
        OSError: one cannot be read at all.
    """
    paths, problems = [folder / name for name in RESUMABLE if (folder / name).is_file()], []
    for path in paths:
        try:
            if damage := damage_of(path):
                raise UserError(f"{path} is damaged: {damage}")
            content, config = load_checkpoint(path)
            require_whole(content, path)
        except UserError as error:
            problems.append(str(error))
            continue
        if problems:
            aside = _set_aside(paths[0])
            print(f"note: {problems[0]}\nnote: it is kept as {aside.name}; going on from {path}",
                  file=sys.stderr)
        return content, config, path
    if problems:
        raise UserError(list_problems(
            f"{folder}: no checkpoint can be gone on from", problems, "Nothing was changed. Put a "
            "sound checkpoint in their place, or start anew with --overwrite."))
    others = ", ".join(sorted(path.name for path in _checkpoints(folder)))
    raise UserError(f"there is no checkpoint {folder / 'last.pt'}; " + (
        f"the folder holds {others}: rename the one to go on from to last.pt" if others
        else "start without --resume"))


def _checkpoints(folder: Path) -> list[Path]:
    """The files of a run that a new one of its name would destroy."""
    return [path for pattern in (*RESUMABLE, "best.pt", "*.damaged*", "*.unused*")
            for path in folder.glob(pattern)]


def _set_aside(path: Path) -> Path:
    """Rename a checkpoint that cannot be used; returns its new path."""
    word = "damaged" if damage_of(path) else "unused"
    names = (path.with_suffix(f".{word}{number or ''}") for number in itertools.count())
    return path.replace(next(name for name in names if not name.exists()))


def last_sound(folder: Path) -> str:
    """Advice for a run whose weights or losses are no longer finite."""
    advice = "A lower optim.lr often helps"
    for path in (folder / name for name in RESUMABLE if (folder / name).is_file()):
        try:
            content, _ = load_checkpoint(path)
            require_whole(content, path)
        except (OSError, UserError):
            continue  # the error that is raised for another reason goes before
        return (f"{advice}, in a run of another name; weights.network={path} starts it from the "
                f"last checkpoint with finite weights, of step {content['at']['step']}. --resume "
                "goes on from that one with the old rate.")
    return f"{advice}. No sound checkpoint was saved yet."


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
    files = [folder / name for name in (*RESUMABLE, "best.pt")]
    if blocked := [path for path in files if path.exists() and not path.is_file()]:
        raise UserError(f"{blocked[0]} is where a checkpoint is written, and is no file; move it "
                        "elsewhere, or give this run its own name=…")
    exists = bool(_checkpoints(folder))
    if resume or (exists and (if_any or (restarts() and of_this_launch(folder)))):
        content, before, path = load_latest(folder)
        require_same_recipe(before, config, path, content.get("pairs"))
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


def require_same_pairs(saved: Mapping | None, now: Mapping[str, str], path: Path) -> None:
    """Refuse to resume ``path`` on other data than its run's, wherever they lie.

    Args:
        saved: digests by what the pairs are for, as ``Run.pairs``; None for checkpoints of earlier
            versions, of which the configuration alone tells.
        now: of the data as they are.
    """
    for use, digest in now.items():
        if saved and saved.get(use) != digest:
            raise UserError(f"{path} was trained with other data: the {use} pairs have other "
                            "names, files or another order now. Resume with the old data (data."
                            "train, data.edge_train, data.root, val.data), or start a run of "
                            "another name.")


#: Keys that may change when a run is resumed, because the weights do not depend on them.
_FREE_KEYS = ("train.epochs", "train.steps", "train.log_every", "train.save_every",
              "train.images_every", "train.board", "train.accumulate", "train.on_oom",
              "train.checkpoint_trunk", "train.max_skipped", "train.patience", "val.every",
              "test", "data.root", "data.workers", "data.cache", "data.cache_gb", "threads",
              "weights", "reported", "official", "paper")


def require_same_recipe(before: DictConfig, now: DictConfig, path: Path,
                        pairs: Mapping | None = None) -> None:
    """Refuse to resume ``path`` under a configuration that would train something else.

    Args:
        pairs: the digests of its pairs, which tell more of the data than where they lie; None for
            checkpoints of earlier versions.
    """
    problems = []
    free = {*_FREE_KEYS, *(("data.train", "data.edge_train", "val.data") if pairs else ())}
    if now.optim.schedule.startswith(("poly", "triangular", "cosine")):
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
