"""Data sets and loaders that yield the samples the networks and losses expect.

A sample is a dict: ``image``, ``mask`` or ``scribble`` (see ``transforms``), ``name`` (the
stem) and ``size`` (height and width of the original, two ints).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from omegaconf import DictConfig
from torch.utils.data import DataLoader, Dataset, Sampler

from utils.errors import UserError

from .decode import decode_image, decode_mask
from .pairing import Pair
from .transforms import JointTransform


@dataclass(frozen=True)
class Draw:
    """One sample to load: its position, the size of its batch, and its own seed."""

    index: int
    size: int
    seed: int


class SaliencyData(Dataset):
    """Pairs as samples. Indexed by a ``Draw``, or by an int for the unaugmented base size."""

    def __init__(self, pairs: Sequence[Pair], config: DictConfig, augment: bool):
        self.pairs = list(pairs)
        self.size = config.size
        self._options = {"soft_mask": config.soft_mask, "mean": tuple(config.mean),
                         "std": tuple(config.std)}
        if augment:
            self._options |= {"flip": config.flip, "crop": config.crop}
        self._transform = lru_cache(maxsize=None)(self._build_transform)

    def _build_transform(self, size: int) -> JointTransform:
        return JointTransform(size, **self._options)

    def __getstate__(self) -> dict:
        return {key: value for key, value in self.__dict__.items() if key != "_transform"}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self._transform = lru_cache(maxsize=None)(self._build_transform)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, draw: Draw | int) -> dict:
        if isinstance(draw, int):
            draw = Draw(draw, self.size, seed=0)
        pair = self.pairs[draw.index]
        image = decode_image(pair.image)
        mask = None
        if pair.mask is not None:
            mask = decode_mask(pair.mask, pair.image)
            if mask.shape != (image.height, image.width):
                raise UserError(f"sizes differ: {pair.image} is {image.width}×{image.height}, "
                                f"{pair.mask} is {mask.shape[1]}×{mask.shape[0]}")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(draw.seed)
            sample = self._transform(draw.size)(image, mask)
        return {**sample, "name": pair.name, "size": (image.height, image.width)}


class BatchDraws(Sampler[list[Draw]]):
    """Batches of an epoch, a pure function of (seed, epoch): order, sizes and sample seeds.

    A last batch of one would stop batch norm, so the batch before lends it an image (or, from
    batches of two, takes it in); no image is dropped. ``start`` skips batches that a resumed
    run has already seen.
    """

    def __init__(self, count: int, batch: int, sizes: Sequence[int], seed: int, shuffle: bool):
        self.count, self.batch, self.sizes = count, batch, list(sizes)
        self.seed, self.shuffle = seed, shuffle
        self.epoch, self.start = 0, 0

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Choose the epoch, and the batch to start it with."""
        self.epoch, self.start = epoch, start

    def __len__(self) -> int:
        """Batches of a whole epoch."""
        return len(self._ends())

    def _ends(self) -> list[int]:
        """End of each batch in the epoch's order."""
        ends = [*range(self.batch, self.count, self.batch), self.count]
        if self.shuffle and self.batch > 1 and len(ends) > 1 and ends[-1] - ends[-2] == 1:
            if self.batch == 2:
                ends.pop(-2)
            else:
                ends[-2] -= 1
        return ends

    def __iter__(self) -> Iterator[list[Draw]]:
        random = np.random.default_rng((self.seed, self.epoch))
        order = random.permutation(self.count) if self.shuffle else np.arange(self.count)
        seeds = random.integers(2**62, size=self.count)
        sizes = random.choice(self.sizes, size=len(self))
        ends = self._ends()
        starts = [0, *ends[:-1]]
        for number in range(self.start, len(ends)):
            yield [Draw(int(order[i]), int(sizes[number]), int(seeds[i]))
                   for i in range(starts[number], ends[number])]


def collate(samples: list[dict]) -> dict:
    """Stack tensors; keep names and sizes as lists.

    Raises:
        ValueError: tensors of different sizes, which only a custom data set can produce.
    """
    batch = {}
    for key, first in samples[0].items():
        values = [sample[key] for sample in samples]
        if isinstance(first, torch.Tensor):
            shapes = {tuple(value.shape) for value in values}
            if len(shapes) > 1:
                raise ValueError(f"a batch needs one size, {key!r} has {sorted(shapes)}; resize "
                                 "in the data set or use a batch of one")
            batch[key] = torch.stack(values)
        else:
            batch[key] = values
    return batch


def training_sizes(size: int, scales: Sequence[float]) -> list[int]:
    """Input sizes of multi-scale training, rounded to multiples of 32 (the deepest stride)."""
    return [size if scale == 1 else max(32, int(size * scale / 32 + 0.5) * 32) for scale in scales]


def training_loader(pairs: Sequence[Pair], config: DictConfig, batch: int, seed: int,
                    pin_memory: bool = False) -> DataLoader:
    """Shuffled, augmented batches; call ``loader.batch_sampler.set_epoch`` before each epoch."""
    draws = BatchDraws(len(pairs), batch, training_sizes(config.size, config.scales), seed,
                       shuffle=True)
    return _loader(SaliencyData(pairs, config, augment=True), draws, config.workers, pin_memory)


def evaluation_loader(pairs: Sequence[Pair], config: DictConfig, batch: int,
                      pin_memory: bool = False) -> DataLoader:
    """All pairs once, in order, at the base size, without augmentation."""
    draws = BatchDraws(len(pairs), batch, [config.size], seed=0, shuffle=False)
    return _loader(SaliencyData(pairs, config, augment=False), draws, config.workers, pin_memory)


def _loader(data: SaliencyData, draws: BatchDraws, workers: int, pin_memory: bool) -> DataLoader:
    # A generator of its own, or starting an epoch would advance the one that dropout draws from,
    # and a resumed run, which starts its epoch twice, would not repeat the uninterrupted one.
    return DataLoader(data, batch_sampler=draws, collate_fn=collate, num_workers=workers,
                      pin_memory=pin_memory, persistent_workers=workers > 0,
                      generator=torch.Generator().manual_seed(0))
