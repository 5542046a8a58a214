"""One optimisation step: forward, backward, clipping, update, in parts where memory is short."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from itertools import pairwise
from typing import NamedTuple

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from model.norm import BatchNorm
from utils.errors import UserError
from utils.world import World

from .optimizer import add_l1, clip_gradients
from .precision import Precision


class Done(NamedTuple):
    """What a step leaves behind: tensors on the device, none of them looked at yet.

    ``terms``, ``loss`` and ``norm`` are those of the whole batch, over all processes.
    """

    outputs: dict[str, Tensor]  # of this process's last part
    terms: dict[str, Tensor]  # of the loss, means over the batch
    loss: Tensor
    norm: Tensor  # of the gradient, before clipping
    images: int  # of the batch


class Step:
    """Takes optimisation steps; nothing in it makes the host wait for the device.

    Args:
        network: averages its gradients over the processes, where there are several.
        objective: see ``losses``.

    Attributes:
        parts: into how many parts a batch is split; grows when memory runs out and
            ``train.on_oom`` is ``split``.
    """

    def __init__(self, network: nn.Module, objective: Callable, optimizer: torch.optim.Optimizer,
                 precision: Precision, config: DictConfig, world: World | None = None):
        self.world = world or World()
        if self.world.size > 1 and config.train.on_oom == "split":
            raise UserError("train.on_oom=split works in one process: the others would wait for "
                            "the one that tries again. Set train.accumulate instead.")
        self.network, self.objective, self.optimizer = network, objective, optimizer
        self.precision, self.config, self.parts = precision, config, config.train.accumulate
        self.scaler = precision.scaler()
        norms = any(isinstance(module, BatchNorm) for module in network.modules())
        self.least = 2 if norms else 1  # images of a part: a batch norm may see a single pixel

    def __call__(self, sample: dict) -> Done:
        """One step on a batch, or on this process's part of one.

        Args:
            sample: may hold ``share``: its images times the number of processes, divided by the
                images of the whole batch. It weighs the part, as parts may differ in size.

        Raises:
            UserError: memory ran out, and the batch may not be or cannot be split further; or
                the batch is too small for the network's batch norms.
        """
        share, images = sample.get("share", 1.0), len(sample["name"])
        sample = {key: value for key, value in sample.items() if key != "share"}
        while True:
            self.optimizer.zero_grad(set_to_none=True)
            try:
                outputs, terms = self._accumulate(sample, share)
                break
            except RuntimeError as error:  # torch.OutOfMemoryError is one
                self._split(error, images)
            except ValueError as error:
                if "more than 1 value per channel" not in str(error):
                    raise
                raise UserError(
                    f"a batch norm of this network met a single value: {images} image(s) in "
                    f"{self.parts} part(s) are too few to train it. Raise train.batch or "
                    "data.size, lower train.accumulate, or set optim.eval_norm=[all].") from None
        if self.world.size > 1:
            means = self.world.mean(torch.stack(list(terms.values())))
            terms = dict(zip(terms, means, strict=True))
        self.scaler.unscale_(self.optimizer)
        add_l1(self.network, self.config.optim)
        norm = clip_gradients(self.network.parameters(), self.config.optim.clip_value,
                              self.config.optim.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        whole = round(images * self.world.size / share)
        return Done(outputs, terms, sum(terms.values()), norm, whole)

    def _accumulate(self, sample: dict,
                    share: float) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Gradients of a batch, part by part; the last outputs, and the mean terms × ``share``."""
        totals: dict[str, Tensor] = {}
        images = len(sample["name"])
        # As many parts in all processes, whose images may differ by one: synchronised batch norms
        # wait for each other in each.
        least = round(images * self.world.size / share) // self.world.size
        parts = min(-(-least // -(-least // self.parts)), max(1, least // self.least))
        cuts = [images * number // parts for number in range(parts + 1)]
        for start, end in pairwise(cuts):
            part = {key: value[start:end] for key, value in sample.items()}
            weight = share * len(part["name"]) / images
            # Processes wait for each other once a step, in the last part's backward pass.
            alone = self.world.size > 1 and end < images
            with self.network.no_sync() if alone else nullcontext():
                with self.precision.autocast():
                    outputs, terms = self.objective(self.network, part)
                terms = {name: term.float() * weight for name, term in terms.items()}
                self.scaler.scale(sum(terms.values())).backward()
            for name, term in terms.items():
                totals[name] = totals.get(name, 0.0) + term.detach()
        return outputs, totals

    def _split(self, error: RuntimeError, images: int) -> None:
        """Split batches into more parts when it was memory that did not suffice."""
        if not isinstance(error, torch.OutOfMemoryError) \
                and "can't allocate memory" not in str(error):
            raise error
        if self.config.train.on_oom != "split" or self.parts >= images:
            raise UserError(
                f"memory ran out with {images} images in {self.parts} part(s): "
                f"{str(error).splitlines()[0]}\nLower train.batch or data.size, split the batch "
                "with train.accumulate=2 (the same effective batch), let that happen by itself "
                "with train.on_oom=split, or compute the backbone twice with "
                "train.checkpoint_trunk=true.") from None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self.parts *= 2
        print(f"note: memory ran out; batches are split into {self.parts} parts from here on",
              file=sys.stderr)
