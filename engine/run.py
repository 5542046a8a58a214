"""A training run: its parts, its progress, and how both are saved and restored."""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from data import Pair
from data.loader import Batches
from metrics import Evaluator
from model.trunks.trunk import Trunk
from utils.errors import UserError
from utils.state import all_finite
from utils.world import World

from .checkpoint import checkpoint_to_resume, last_sound, load_checkpoint, save_checkpoint
from .contents import bent, is_count, part_of, require_alike, require_moments
from .embeddings import Point
from .guard import Guard
from .norm import train_mode
from .optimizer import build_optimizer
from .precision import Precision
from .prediction import forward
from .schedule import Schedule
from .seed import random_state, restore_random_state
from .step import Parts


@dataclass
class Progress:
    """How far a run has come; checkpoints hold it as a dict under the key ``at``."""

    step: int = 0  # optimisation steps that were taken
    epoch: int = 1  # the epoch that is being trained, from 1
    batch: int = 0  # its batches that were trained on
    loss_sum: float = 0.0  # their losses, added up
    best: float | None = None  # the lowest value of val.watch yet
    stale: int = 0  # validations since then
    closed: int = 0  # the step at which an epoch's end, with its validation, was last made

    def count_step(self) -> None:
        """One more step, on one more batch of the epoch."""
        self.step += 1
        self.batch += 1

    def count_epoch(self) -> None:
        """The next epoch begins."""
        self.epoch, self.batch, self.loss_sum = self.epoch + 1, 0, 0.0

    def count_validation(self, score: float) -> bool:
        """Whether a validation's score is the best yet (the lowest); the first one always is."""
        improved = self.best is None or score < self.best
        self.best, self.stale = (score, 0) if improved else (self.best, self.stale + 1)
        return improved


@dataclass
class Validated:
    """What a validation gives.

    Attributes:
        scores: as they were logged.
        evaluator: its maps are named by the numbers of their pairs.
        stage, points: see ``embeddings.Embeddings``; empty where ``train.board`` has no projector.
    """

    step: int
    pairs: Sequence[Pair]
    scores: Mapping[str, float]
    evaluator: Evaluator
    stage: str
    points: Mapping[int, Point]


class Run:
    """All that a checkpoint holds, and what it takes to train on.

    Attributes:
        network: holds the weights.
        parallel: the network as the loop calls it: it averages its gradients over the processes,
            and is compiled where the recipe says so.
        average: the exponential moving average of the weights and buffers, None where the recipe
            wants none.
        per_epoch, last_step: batches of an epoch, steps of the whole run.
        validated: what the last validation gave; None before the first, and after resuming.
        pairs: a digest of the files that it learns from and is validated on, which checkpoints
            keep; see ``data.fingerprint``.
    """

    def __init__(self, config: DictConfig, network: nn.Module, objective: Callable,
                 loader: Batches, folder: Path, precision: Precision, world: World | None = None,
                 pairs: Mapping[str, str] | None = None):
        self.config, self.network, self.folder, self.precision = config, network, folder, precision
        self.world, self.progress, self.pairs = world or World(), Progress(), dict(pairs or {})
        self.objective, self.loader, self.per_epoch = objective, loader, len(loader)
        planned = config.train.epochs * self.per_epoch
        self.last_step = min(planned, config.train.steps or planned)
        for module in network.modules():
            if isinstance(module, Trunk):
                module.recompute = config.train.checkpoint_trunk
        train_mode(network, config.optim.eval_norm, config.optim.frozen_norm)
        self.optimizer = build_optimizer(config.optim, network)
        self.schedule = Schedule(config.optim, self.optimizer, self.last_step, self.per_epoch)
        self.scaler = precision.scaler()
        parallel = self.world.parallel(network)  # after freezing: it waits for what is trained
        self.parallel = torch.compile(parallel) if config.train.compile else parallel
        self.parts = Parts(self.parallel, config.train, self.world)
        self.average = AveragedModel(
            network, multi_avg_fn=get_ema_multi_avg_fn(config.train.ema),
            use_buffers=True) if config.train.ema else None
        self.validated: Validated | None = None
        self.guard = Guard(config.train.max_skipped, self.world, lambda: last_sound(folder))

    @property
    def tested(self) -> nn.Module:
        """The network that is validated and tested: the moving average where there is one."""
        return self.network if self.average is None else self.average.module

    def batches(self) -> Iterator[dict]:
        """What is left of the epoch, on the device; the network is put into training mode."""
        if self.epoch_is_over():  # stopped before the epoch's end was made
            return
        self.loader.set_epoch(self.progress.epoch, start=self.progress.batch)
        train_mode(self.network, self.config.optim.eval_norm, self.config.optim.frozen_norm)
        for sample in self.loader:
            yield self.precision.batch(sample)

    def settle(self) -> None:
        """Read the losses since the last time; stops on too many steps that are not finite."""
        for loss in self.guard.check():  # singly, so that a resumed run adds them up alike
            self.progress.loss_sum += loss

    def epoch_is_over(self) -> bool:
        """Whether no batch of the epoch is left, or no step of the run."""
        return self.progress.batch == self.per_epoch or self.progress.step == self.last_step

    def finished(self) -> bool:
        """Whether the last step is taken and validated, or validation has not improved for too
        long."""
        patience = self.config.train.patience
        if patience is not None and self.progress.stale >= patience:
            print(f"stopped early: {self.progress.stale} validations without a better one")
            return True
        step, last = self.progress.step, self.last_step
        return step > last or step == last == self.progress.closed

    def save(self, name: str) -> None:
        """Write a checkpoint; the one before ``last.pt`` becomes ``previous.pt``.

        Raises:
            UserError: the weights are not finite, or the file cannot be written; the checkpoints
                that were there before are intact.
        """
        self.settle()
        random = self.world.gather(random_state(self.precision.device))
        self.world.share_buffers(self.network)
        self.require_finite()
        if not self.world.main:
            return
        save_checkpoint(self.folder / name, {
            **{key: member.state_dict() for key, member in self._members().items()},
            "random": random,
            "at": asdict(self.progress) | {"skipped": self.guard.skipped,
                                           "parts": self.parts.count,
                                           "per_epoch": self.per_epoch},
            "pairs": self.pairs,
        }, self.config, keep=self.folder / "previous.pt" if name == "last.pt" else None)

    def require_finite(self) -> None:
        """Raise a UserError if a weight is not finite: no loss has shown yet what the last update
        did."""
        networks = [self.network] if self.average is None else [self.network, self.average.module]
        weights = {name: weight for network in networks
                   for name, weight in network.state_dict().items()}
        finite = torch.stack([all_finite(weight) for weight in weights.values()]).tolist()
        if not all(finite):
            first = list(weights)[finite.index(False)]
            raise UserError(f"after step {self.progress.step} {finite.count(False)} of the "
                            f"network's {len(finite)} tensors are not finite, the first is {first}"
                            f"; they are not saved. {last_sound(self.folder)}")

    def require_numbers(self, images: Tensor) -> None:
        """Raise a UserError if the network that is tested gives NaN for images (N, 3, H, W): no
        loss follows the last update, whose weights may be finite and yet far too large.

        Batch norms that have seen few batches may give NaN in evaluation mode alone. That is
        printed, as the run can still be made longer.
        """
        logits, _ = forward(self.tested, {"image": images[:1]},
                            Precision(self.config.test.precision, self.precision.device))
        if not self.world.highest(int(logits.isnan().any())):
            return
        step = f"after step {self.progress.step}, the last one, the network gives NaN"
        with torch.no_grad(), torch.random.fork_rng():
            logits = copy.deepcopy(self.tested).train()(images)["saliency"]  # counts no batch
        if self.world.highest(int(logits.isnan().any())):
            raise UserError(f"{step}: its weights are too large. They are not saved. "
                            f"{last_sound(self.folder)}")
        if self.world.main:
            print(f"warning: {step} in evaluation mode, so test.py can make no maps: its batch "
                  "norms have seen too few batches. Train longer.", file=sys.stderr)

    def restore(self, state: dict, path: Path) -> None:
        """Go on where the checkpoint ``path`` was written, which holds ``state`` and has passed
        ``contents.require_whole``. Its network's weights are loaded already.

        Raises:
            UserError: a part does not fit this run.
        """
        with part_of(path, "optimizer"):
            require_moments(state["optimizer"], self.optimizer)
            self.optimizer.load_state_dict({**state["optimizer"], "param_groups":
                                            self.optimizer.state_dict()["param_groups"]})
        with part_of(path, "schedule"):
            self.schedule.load_state_dict(state["schedule"])
        with part_of(path, "scaler"):
            self.scaler.load_state_dict(self.scaler.state_dict() | moving_scale(state["scaler"]))
        if self.average is not None:
            with part_of(path, "average"):
                require_alike(state["average"], self.average.state_dict())
                self.average.load_state_dict(state["average"])
        processes = len(state["random"])
        if self.world.rank < processes:
            with part_of(path, "random"):
                restore_random_state(state["random"][self.world.rank], self.precision.device)
        self._restore_progress(dict(state["at"]), processes, path)

    def _restore_progress(self, saved: dict, processes: int, path: Path) -> None:
        """Take up the place in the epoch that ``processes`` processes had saved."""
        saved.pop("per_epoch", None)
        self.guard.skipped = saved.pop("skipped")
        self.parts.count = max(self.parts.count, min(saved.pop("parts"), self.config.train.batch))
        if "closed" not in saved:  # earlier versions do not tell; where the epoch is counted, it is
            saved["closed"] = saved["step"] if saved["batch"] < self.per_epoch else 0
        with part_of(path, "at"):
            self.progress = Progress(**saved)
        step, epochs, batch = saved["step"], saved["epoch"] - 1, saved["batch"]
        if processes != self.world.size:
            self._convert_progress(processes)
        elif step != epochs * self.per_epoch + batch or batch > self.per_epoch:
            raise bent(path, f"at: step {step} is not batch {batch} of epoch {epochs + 1}, where "
                             f"epochs have {self.per_epoch} batches as with these training data")

    def _members(self) -> dict:
        names = ("network", "optimizer", "schedule", "scaler", "average")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def _convert_progress(self, before: int) -> None:
        """Find the place in the epoch for batches of ``world.size`` processes' images, not of
        ``before`` processes': as many images are behind, to within a batch."""
        progress, batches = self.progress, self.progress.batch
        closed = progress.closed == progress.step
        progress.batch = min(batches * before // self.world.size, self.per_epoch - 1)
        progress.loss_sum *= progress.batch / max(batches, 1)  # of as many batches
        progress.step = (progress.epoch - 1) * self.per_epoch + progress.batch
        progress.closed = progress.step if closed else 0
        print(f"note: saved by {before} process(es), resumed by {self.world.size}: a batch has "
              f"{self.config.train.batch * self.world.size} images from here on, and the run goes "
              f"on at step {progress.step}")


def has_ended(saved: dict, train: DictConfig) -> bool:
    """Whether a saved run has nothing left to train, as far as can be told without its data;
    ``Run.finished`` tells it with them. ``saved`` is what its checkpoint holds as ``at``."""
    last, closed = train.steps or math.inf, saved.get("closed", saved["step"])
    return (saved["epoch"] > train.epochs or saved["step"] > last
            or saved["step"] == last == closed or saved["stale"] >= (train.patience or math.inf))


def moving_scale(saved: dict) -> dict:
    """What moves in the state of a gradient scaler; the rest is of the precision."""
    scale, steps = float(saved["scale"]), saved["_growth_tracker"]
    if not 0 < scale < math.inf or not is_count(steps):
        raise ValueError(f"scale {scale!r}, {steps!r} steps since it grew")
    return {"scale": scale, "_growth_tracker": steps}


def is_trained(folder: Path, config: DictConfig) -> bool:
    """Whether the run of ``config`` in a folder has ended, without a look at its data; of data that
    are named otherwise now it is not known, and False.

    Raises:
        UserError: the run cannot be resumed, or is one of another configuration.
    """
    path = checkpoint_to_resume(folder, config, resume=False, if_any=True, overwrite=False)
    if path is None:
        return False
    content, before = load_checkpoint(path)
    same = all(before.data[key] == config.data[key] for key in ("train", "edge_train"))
    return same and has_ended(content["at"], config.train)
