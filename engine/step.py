"""A batch on its way through the network: whole, or in parts where memory is short."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from model.norm import BatchNorm
from utils.errors import UserError, counted, lacks_memory
from utils.world import World

from .norm import enough_values


class StepResult(NamedTuple):
    """What a step leaves behind: tensors on the device, which the host has not read yet.

    ``terms``, ``loss`` and ``norm`` are those of the whole batch, over all processes.
    """

    outputs: dict[str, Tensor]  # of this process's last part
    terms: dict[str, Tensor]  # of the loss, means over the batch
    loss: Tensor
    norm: Tensor  # of the gradient, before clipping
    images: int  # of the batch
    sample: dict  # this process's last part


@dataclass
class Part:
    """Some images of a batch. ``Parts`` makes it."""

    _parts: Parts
    sample: dict  # the part's layers and names
    weight: float  # its share of the batch's images × processes, which average their gradients
    first: bool  # whether gradients are reset before it
    _last: bool

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Forward and backward pass stand inside. Where memory runs out and ``train.on_oom``
        allows it, the batch starts over, in more parts.

        Raises:
            UserError: memory ran out, and the batch may not be or cannot be split further; or
                the part is too small for the network's batch norms.
        """
        # Processes wait for each other once a step, in the last part's backward pass.
        alone = self._parts.world.size > 1 and not self._last
        try:
            with (self._parts.network.no_sync() if alone else nullcontext(),
                  enough_values(self._parts.images, self._parts.count)):
                yield
        except RuntimeError as error:  # torch.OutOfMemoryError is one
            self._parts.split(error)

    def weigh(self, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        """Terms of the loss × ``weight``, in float32; their sum over the parts is kept for
        ``Parts.result``."""
        terms = {name: term.float() * self.weight for name, term in terms.items()}
        totals = self._parts.terms
        for name, term in terms.items():
            totals[name] = totals.get(name, 0.0) + term.detach()
        return terms


class Parts:
    """Cuts batches into parts whose gradients add up to those of the whole batch.

    Nothing in it makes the host wait for the device.

    Args:
        network: as the loop calls it, in training mode (see ``norm.train_mode``). With several
            processes it averages its gradients over them.
        train: the ``train`` group of a configuration.

    Attributes:
        count: into how many parts a batch is cut; grows when memory runs out and
            ``train.on_oom`` is ``split``.
        sample: the part that was cut last.
        images: of this process's part of the batch that was cut last.
        terms: of its loss, summed over the parts so far.
    """

    def __init__(self, network: nn.Module, train: DictConfig, world: World | None = None):
        self.network, self.world, self.count = network, world or World(), train.accumulate
        self.may_split, self.sample, self.images = train.on_oom == "split", {}, 0
        self.terms = {}
        if self.world.size > 1 and self.may_split:
            raise UserError("train.on_oom=split works in one process: the others would wait for "
                            "the one that tries again. Set train.accumulate instead.")
        # Images of a part: a batch norm that takes the statistics of its batch may see one pixel.
        self._smallest = 2 if any(isinstance(module, BatchNorm) and module.training
                                  for module in network.modules()) else 1

    def __call__(self, sample: dict) -> Iterator[Part]:
        """The parts of a batch, from the first again whenever memory ran out in one.

        Args:
            sample: may hold ``share``: its images times the number of processes, divided by the
                images of the whole batch. It weighs the parts, as processes' batches may differ
                in size. Layers that are lists have a tensor for each image, of any size; then each
                image is a part.
        """
        share, self.images = sample.get("share", 1.0), len(sample["name"])
        self._whole = round(self.images * self.world.size / share)
        layers, count = {key: sample[key] for key in sample if key != "share"}, 0
        one_by_one = isinstance(layers["image"], list)
        if one_by_one:
            self.count = max(self.count, self.images)
        while count < self.count:
            count, self.terms = self.count, {}
            for start, end in pairwise(range(self.images + 1) if one_by_one else self._cuts()):
                self.sample = {key: _slice(value, start, end) for key, value in layers.items()}
                yield Part(self, self.sample, share * (end - start) / self.images, start == 0,
                           end == self.images)
                if count < self.count:
                    break

    def _cuts(self) -> list[int]:
        # As many parts in all processes, whose images may differ by one: synchronised batch norms
        # wait for each other in each.
        fewest = self._whole // self.world.size
        parts = min(-(-fewest // -(-fewest // self.count)), max(1, fewest // self._smallest))
        return [self.images * number // parts for number in range(parts + 1)]

    def split(self, error: RuntimeError) -> None:
        """Cut batches into more parts when it was memory that did not suffice."""
        if not lacks_memory(error):
            raise error
        if not self.may_split or self.count >= self.images:
            smaller = "Give a smaller data.size" if self.count >= self.images else \
                "Lower train.batch or data.size, split the batch with train.accumulate=2 (the " \
                "same effective batch), let that happen by itself with train.on_oom=split"
            raise UserError(
                f"memory ran out with {counted(self.images, 'image')} in "
                f"{counted(self.count, 'part')}: "
                f"{str(error).splitlines()[0]}\n{smaller}, or compute the backbone twice with "
                "train.checkpoint_trunk=true.") from None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self.count *= 2
        print(f"note: memory ran out; batches are split into {self.count} parts from here on",
              file=sys.stderr)

    def result(self, outputs: dict[str, Tensor], norm: Tensor) -> StepResult:
        """The step on the batch that was cut last, whose last part gave ``outputs``."""
        terms = self.terms
        if self.world.size > 1:
            terms = dict(zip(terms, self.world.mean(torch.stack(list(terms.values()))),
                             strict=True))
        return StepResult(outputs, terms, sum(terms.values()), norm, self._whole, self.sample)


def _slice(value: Sequence, start: int, end: int) -> Sequence:
    """Images ``start`` to ``end`` of a layer or of a list; one image that is a tensor itself."""
    part = value[start:end]
    return part[0] if isinstance(part, list) and isinstance(part[0], Tensor) else part
