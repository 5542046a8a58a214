"""A training run: its parts, where it stands, and how both are saved and restored."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from omegaconf import DictConfig
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from utils.world import World

from .checkpoint import save_checkpoint
from .guard import Guard
from .norm import Mode
from .optimizer import Schedule, build_optimizer
from .precision import Precision
from .seed import random_state, restore_random_state
from .step import Step

if TYPE_CHECKING:
    from data.loader import Batches


class Run:
    """What a run consists of and where it stands: all that a checkpoint holds."""

    def __init__(self, config: DictConfig, network: nn.Module, objective: Callable,
                 loader: Batches, folder: Path, precision: Precision, world: World | None = None):
        self.config, self.network, self.folder, self.precision = config, network, folder, precision
        self.world = world or World()
        self.objective, self.loader, self.per_epoch = objective, loader, len(loader)
        planned = config.train.epochs * self.per_epoch
        self.last_step = min(planned, config.train.steps or planned)
        self.mode = Mode(network, config.optim.eval_norm, config.optim.frozen_norm)
        self.optimizer = build_optimizer(config.optim, network)
        self.schedule = Schedule(config.optim, self.optimizer, self.last_step,
                                 self.per_epoch)
        parallel = self.world.parallel(network)  # after freezing: it waits for what is trained
        self.step = Step(torch.compile(parallel) if config.train.compile else parallel,
                         objective, self.optimizer, precision, config, self.world)
        self.average = average_of(network, config.train.ema)
        self.guard = Guard(config.train.max_skipped, self.world)
        self.at = {"step": 0, "epoch": 1, "batch": 0, "loss_sum": 0.0, "best": None, "stale": 0}

    def _parts(self) -> dict:
        parts = {"network": self.network, "optimizer": self.optimizer, "schedule": self.schedule,
                 "scaler": self.step.scaler, "average": self.average}
        return {name: part for name, part in parts.items() if part is not None}

    def restore(self, state: dict) -> None:
        """Go on where a checkpoint was written. Its network's weights are loaded already."""
        for name, part in self._parts().items():
            if name != "network":
                part.load_state_dict(state[name])
        self.at |= state["at"]
        self.guard.skipped = self.at.pop("skipped")
        self.step.parts = max(self.step.parts, self.at.pop("parts"))
        processes = len(state["random"])
        if self.world.rank < processes:
            restore_random_state(state["random"][self.world.rank], self.precision.device)
        if processes != self.world.size:
            self._move_to(processes)

    def _move_to(self, before: int) -> None:
        """Find the place in the epoch for batches that hold more or fewer images than they did."""
        done = self.at["batch"]
        self.at["batch"] = min(done * before // self.world.size, self.per_epoch - 1)
        self.at["loss_sum"] *= self.at["batch"] / max(done, 1)  # of as many batches
        self.at["step"] = (self.at["epoch"] - 1) * self.per_epoch + self.at["batch"]
        print(f"note: saved by {before} process(es), resumed by {self.world.size}: a batch has "
              f"{self.config.train.batch * self.world.size} images from here on, and the run goes "
              f"on at step {self.at['step']}")

    def save(self, name: str) -> None:
        """Write a checkpoint; the one before ``last.pt`` becomes ``previous.pt``."""
        self.settle()
        random = self.world.gather(random_state(self.precision.device))
        self.world.share_buffers(self.network)
        if not self.world.main:
            return
        save_checkpoint(self.folder / name, {
            **{key: part.state_dict() for key, part in self._parts().items()},
            "random": random,
            "at": self.at | {"skipped": self.guard.skipped, "parts": self.step.parts},
        }, self.config, keep=self.folder / "previous.pt" if name == "last.pt" else None)

    def settle(self) -> None:
        """Look at the steps that were taken since the last time; stops on too many bad ones."""
        for loss in self.guard.check():  # one by one, so that a resumed run adds up alike
            self.at["loss_sum"] += loss

    def finished(self) -> bool:
        """Whether the last step is done, or validation has not improved for too long."""
        patience = self.config.train.patience
        if patience is not None and self.at["stale"] >= patience:
            print(f"stopped early: {self.at['stale']} validations without a better one")
            return True
        return self.at["step"] >= self.last_step


def has_ended(at: dict, train: DictConfig) -> bool:
    """Whether a saved run (its ``at``) has nothing left to train, as far as can be told without
    its data; ``Run.finished`` says it with them.
    """
    return (at["epoch"] > train.epochs or at["step"] >= (train.steps or math.inf)
            or at["stale"] >= (train.patience or math.inf))


def average_of(network: nn.Module, decay: float) -> AveragedModel | None:
    """The exponential moving average of weights and buffers that ``train.ema`` asks for."""
    if not decay:
        return None
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
