"""Data sets and loaders that yield the samples the networks and losses expect.

A sample is a dict: its layers (see ``layers.LAYERS``), ``name`` (the stem), ``size`` (height and
width of its map, two ints: the original's, or those of the pair) and ``index`` (its position among
the pairs). ``Batches`` finishes what loader processes hand over on the device. With
``data.size=native``, a layer of a training batch is a list of tensors (1, C, H, W).
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from utils.choices import MASK_EDGES
from utils.errors import UserError
from utils.option import NATIVE
from utils.schema import DataConfig, sides
from utils.world import World

from .cache import open_cache
from .checked import Checked, digest_of
from .decode import original_size
from .decoupling import require_known_masks
from .edges import edge_source
from .layers import (
    LAYERS,
    RESIZING,
    decode_pair,
    decode_photo,
    finish,
    from_planes,
    layer_names,
    plane_count,
    squash,
    to_planes,
)
from .map_sizes import FITTED, SQUASHED, with_map_sizes
from .masks import mask_of
from .native import of_one_size, own_sizes
from .pairing import Pair
from .sizes import Size
from .soundness import Notes, file_problems, require_sound
from .workers import SHM_ADVICE, leave_the_group, loader_processes


@dataclass(frozen=True)
class Draw:
    """One sample to load: its position, its batch's height and width, and its own seed."""

    index: int
    size: Size | None  # None: the image's own
    seed: int


class SaliencyData(Dataset):
    """Pairs as squashed layers (see ``layers.squash``) with ``name`` and ``size``.

    Indexed by a ``Draw``. With ``augmented``, samples are cropped, flipped and changed as
    ``config`` says, and kept in the cache that it asks for.

    Args:
        config: a recipe's ``data`` group.
        targets: the layers that a loss learns from; without ``augmented``, edges are left out
            unless they are among them.

    Attributes:
        own: height and width of each image, with ``data.size=native``; else empty.
        sizes: those that a batch may have, None for the images' own.

    Raises:
        UserError: ``data.edges`` needs files that pairs lack, or ``data.augment`` is wrong.
    """

    def __init__(self, pairs: Sequence[Pair], config: DictConfig, augmented: bool,
                 targets: Sequence[str] = ()):
        self.pairs = list(pairs)
        self.own = own_sizes(self.pairs) if config.size == NATIVE else []
        self.sizes = [None] if self.own else \
            training_sizes(config.size, config.scales if augmented else [1])
        edges = edge_source(config.edges, self.pairs) if augmented or "edge" in targets else "none"
        self.options = replace(OmegaConf.to_object(config), edges=edges)
        if "void" in targets and edges in MASK_EDGES:
            raise UserError(f"data.edges={edges} draws edges around void pixels as well, which "
                            "data.mask_void=ignore leaves out: take data.edges=files or canny, or "
                            "data.mask_void=background or foreground")
        self.names = layer_names(self.pairs[0], self.options, targets)
        if "void" in targets:
            require_known_masks(self.names, self.pairs[0])
        self._planes = sum(plane_count(name, self.options) for name in self.names)
        self._change = _changes(self.options) if augmented else None
        resizing = {key: config[key] for key in RESIZING}
        self._cache = open_cache(
            config, self.pairs, [self.sizes_of(index) for index in range(len(self.pairs))],
            self._planes,
            f"{self.names} {resizing} {edges} {config.edge_dilate}") if augmented else None

    def sizes_of(self, index: int) -> list[Size]:
        """The heights and widths that a sample may be loaded with."""
        return [self.own[index]] if self.own else sorted(set(self.sizes))

    @property
    def usual_size(self) -> Size:
        """Height and width of ``data.size``, or those that most images have."""
        return Counter(self.own).most_common(1)[0][0] if self.own else sides(self.options.size)

    @property
    def fork_only(self) -> bool:
        """Whether loader processes share this data's memory only when they are forked."""
        return self._cache is not None and self._cache.path is None

    @property
    def cache_to_come(self) -> int:
        """Bytes of memory that the cache does not take yet."""
        return self._cache.unwritten if self._cache is not None else 0

    @property
    def pixel_bytes(self) -> int:
        """Bytes of a pixel of a sample, all layers together, as loader processes hand it over."""
        return self._planes

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, draw: Draw) -> dict:
        layers, original = self._layers(draw.index, draw.size or self.own[draw.index])
        if self._change is not None:
            layers = self._change(layers, draw.seed)
        pair = self.pairs[draw.index]
        return {**layers, "name": pair.name, "size": pair.size or original, "index": draw.index}

    def _layers(self, index: int, size: Size) -> tuple[dict[str, Tensor], Size]:
        """Layers of a sample before they are moved, and the original's height and width."""
        record = self._cache and self._cache.get(index, size)
        if not record:
            return self._decode(index, [size])
        planes, original = record
        return from_planes(planes, self.names, self.options), original

    def _decode(self, index: int, sizes: Sequence[Size],
                notes: Notes | None = None) -> tuple[dict[str, Tensor], Size]:
        """Decode a pair, squash it to all ``sizes`` into the cache; the last one's layers."""
        # What the files are is asked before they are read: they may change in between.
        digest = self._cache and self._cache.digest(index)
        pair = self.pairs[index]
        decoded = {"image": decode_photo(pair.image, self.options, max(sizes, key=max))} \
            if self.names == ["image"] else decode_pair(pair, self.names, self.options)
        if notes is not None:
            notes.look(pair.image, decoded["image"])
        original = original_size(decoded["image"])[::-1]
        for size in sizes:
            layers = squash(decoded, size, self.options)
            if digest is not None:
                self._cache.put(index, to_planes(layers), original, digest)
        return layers, original

    def require_layers(self, targets: Sequence[str]) -> None:
        """Raise a UserError unless an objective finds the ``targets`` that it learns from."""
        missing = [name for name in targets if name not in self.names]
        if missing:
            raise UserError(f"the losses learn from {', '.join(targets)}, but these data "
                            f"have no {' and no '.join(missing)}: see data.target and data.edges; "
                            f"they have {', '.join(self.names)}")
        for name in self.names:
            if (switch := LAYERS[name].switch) and name not in targets:
                print(f"note: no loss learns from the layer {name}; "
                      f"data.{switch}=none leaves it out")

    def require_sound(self, title: str, world: World | None = None,
                      checked: Checked | None = None) -> None:
        """Read every file once, which also fills the cache; see ``soundness.require_sound``. Those
        that were ``checked`` before come into the cache when training asks for them."""
        require_sound(range(len(self)), title, self._problems, world, checked,
                      lambda index: digest_of(self.pairs[index], self._way(index)))
        with_map_sizes(self.pairs, title, FITTED if self.own else SQUASHED,
                       quiet=bool(world and not world.main))

    def _way(self, index: int) -> str:
        """How a pair is checked: ``files`` by themselves, or its layers, with all that decides
        which they are."""
        if self.pairs[index].scribble is None and (self._cache is None
                                                   or index >= self._cache.kept):
            return "files"
        return f"layers {self.names} {self.options.target} {self.options.edges}"

    def _problems(self, index: int, notes: Notes) -> list[str]:
        pair = self.pairs[index]
        if self._way(index) == "files":
            return file_problems(pair, notes)
        try:
            kept = self._cache is not None and self._cache.holds(index)
            sizes = self.sizes_of(index)
            layers, _ = self._layers(index, sizes[-1]) if kept else \
                self._decode(index, sizes, notes)
            if "mask" in layers and layers["mask"].max() <= 127:
                notes.masks += [remark] if (remark := mask_of(pair).remark) else []
            return []
        except (UserError, OSError) as error:
            return file_problems(pair) or [str(error)]


def _changes(options: DataConfig) -> Callable[[dict[str, Tensor], int], dict[str, Tensor]]:
    """Layers and a sample's seed → the layers augmented."""
    # torchvision, which it needs, takes 180 MB: prediction does without.
    from .augmentation import augment, read_steps

    return partial(augment, options=options, steps=read_steps(options.augment))


class BatchDraws(Sampler[list[Draw]]):
    """Batches of an epoch, a pure function of (seed, epoch): order, sizes and sample seeds.

    Of ``world`` processes, each draws the same batches of ``batch * world`` images and takes its
    part of each, so they see what one process with larger batches would see. When shuffled, no
    part is smaller than two images, which would stop batch norm: the batch before the last lends
    it some, or takes them in; no image is dropped. ``start`` skips batches that a resumed run has
    already seen. With ``in_turn`` sizes are not drawn, but come one after another.

    Raises:
        UserError: fewer images than the processes need.
    """

    def __init__(self, count: int, batch: int, sizes: Sequence[Size | None], seed: int,
                 shuffle: bool, rank: int = 0, world: int = 1):
        self.count, self.batch, self.sizes = count, batch, list(sizes)
        self.seed, self.shuffle, self.rank, self.world = seed, shuffle, rank, world
        self.epoch, self.start, self.in_turn = 0, 0, False
        self._least = min(2, batch) * world  # images that a training batch must have
        if world > 1 and self._ends()[0] < self._least:
            raise UserError(f"{count} images are too few for {world} processes")

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Choose the epoch, and the batch to start it with."""
        self.epoch, self.start = epoch, start

    def __len__(self) -> int:
        """Batches of a whole epoch."""
        return len(self._ends())

    def _ends(self) -> list[int]:
        """End of each batch in the epoch's order."""
        whole = self.batch * self.world
        ends = [*range(whole, self.count, whole), self.count]
        missing = self._least - (ends[-1] - ends[-2]) if len(ends) > 1 and self.shuffle else 0
        if missing > 0:
            if whole - missing < self._least:
                ends.pop(-2)
            else:
                ends[-2] -= missing
        return ends

    def _parts(self) -> list[tuple[int, int, float]]:
        """Start and end of this process's part, and its share, of each batch of the epoch."""
        parts = []
        for start, end in itertools.pairwise([0, *self._ends()]):
            images = end - start
            first, last = (start + images * rank // self.world
                           for rank in (self.rank, self.rank + 1))
            parts.append((first, last, (last - first) * self.world / images))
        return parts

    def shares(self) -> list[float]:
        """For each batch to come: this process's images × processes / images of the batch."""
        return [share for _, _, share in self._parts()[self.start:]]

    def __iter__(self) -> Iterator[list[Draw]]:
        random = np.random.default_rng((self.seed, self.epoch))
        order = random.permutation(self.count) if self.shuffle else np.arange(self.count)
        seeds = random.integers(2**62, size=self.count)
        sizes = np.arange(len(self)) % len(self.sizes) if self.in_turn else \
            random.choice(len(self.sizes), size=len(self))
        for size, (start, end, _) in list(zip(sizes, self._parts(), strict=True))[self.start:]:
            yield [Draw(int(order[i]), self.sizes[size], int(seeds[i])) for i in range(start, end)]


class OneSizeDraws(Sampler[list[Draw]]):
    """All samples once, in batches of images of one size."""

    def __init__(self, sizes: Sequence[Size], batch: int):
        self.batch, self.batches = batch, of_one_size(sizes, batch)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[Draw]]:
        return ([Draw(index, None, 0) for index in batch] for batch in self.batches)

    def shares(self) -> list[float]:
        """See ``BatchDraws.shares``; of one process."""
        return [1.0] * len(self)


def collate(samples: list[dict]) -> dict:
    """Stack tensors; keep names and sizes as lists."""
    return {key: torch.cat(values) if isinstance(values[0], Tensor) else values
            for key, values in columns(samples).items()}


def columns(samples: list[dict]) -> dict:
    """Tensors (C, H, W) as a list of batches of one, and all else as a list."""
    return {key: [value[None] if isinstance(value := sample[key], Tensor) else value
                  for sample in samples] for key in samples[0]}


def training_sizes(size: int | Sequence[int], scales: Sequence[float]) -> list[Size]:
    """Heights and widths of multi-scale training, rounded to multiples of 32 (the deepest stride);
    at a scale of 1 they are those of ``data.size`` as they are."""
    return [tuple(side if scale == 1 else max(32, int(side * scale / 32 + 0.5) * 32)
                  for side in sides(size)) for scale in scales]


class Batches(DataLoader):
    """Finished batches on a device, each with its ``share`` (see ``BatchDraws.shares``).

    Call ``set_epoch`` before iterating.

    Raises:
        UserError: while iterating, when loader processes run out of shared memory.
    """

    def __init__(self, data: SaliencyData, draws: BatchDraws | OneSizeDraws, config: DictConfig,
                 device: torch.device | str, collate: Callable[[list[dict]], dict] = collate):
        self.data, self.device = data, torch.device(device)
        largest = data.pixel_bytes * max(height * width
                                         for height, width in data.own or data.sizes)
        workers = loader_processes(config.workers, draws.batch * largest)
        cv2.setNumThreads(0)  # OpenCV's threads do not survive the fork of a loader process
        # A generator of its own, or starting an epoch would advance the one that dropout draws
        # from, and a resumed run, which starts its epoch twice, would not repeat the
        # uninterrupted one.
        super().__init__(
            data, batch_sampler=draws, collate_fn=collate, num_workers=workers,
            pin_memory=self.device.type == "cuda", persistent_workers=workers > 0,
            multiprocessing_context="fork" if workers and data.fork_only else None,
            worker_init_fn=leave_the_group, generator=torch.Generator().manual_seed(0))

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Choose the epoch, and the batch to start it with."""
        self.batch_sampler.set_epoch(epoch, start)

    def __iter__(self) -> Iterator[dict]:
        try:
            for batch, share in zip(super().__iter__(), self.batch_sampler.shares(),
                                    strict=True):
                yield finish(batch, self.data.options, self.device) | {"share": share}
        except RuntimeError as error:
            if "bus error" not in str(error).lower() and "shared memory" not in str(error):
                raise
            raise UserError(f"loader processes ran out of shared memory: {SHM_ADVICE}") from None


def training_loader(pairs: Sequence[Pair], config: DictConfig, batch: int, seed: int,
                    device: torch.device | str = "cpu", rank: int = 0, world: int = 1,
                    targets: Sequence[str] = (), edges: Sequence[Pair] = ()) -> Batches:
    """Shuffled, augmented batches of ``batch`` images for process ``rank`` of ``world``, with the
    layers ``targets`` that are made for a loss, and joined with pairs to learn ``edges`` from (see
    ``joint``); call ``set_epoch`` before each epoch."""
    data = SaliencyData(pairs, config, augmented=True, targets=targets)
    if edges:
        from .joint import JointData  # which stands on this file
        data = JointData(data, edges, config, targets)
    draws = BatchDraws(len(data), batch, data.sizes, seed, True, rank, world)
    return Batches(data, draws, config, device, columns if data.own else collate)


def evaluation_loader(pairs: Sequence[Pair], config: DictConfig, batch: int,
                      device: torch.device | str = "cpu", targets: Sequence[str] = ()) -> Batches:
    """All pairs once, in order, at the base size, without augmentation; with what pairs have to
    learn from, and edges and layers made for a loss if they are among its ``targets``. With
    ``data.size=native`` images of one size come together, and ``index`` tells their order."""
    data = SaliencyData(pairs, config, augmented=False, targets=targets)
    draws = OneSizeDraws(data.own, batch) if data.own else \
        BatchDraws(len(pairs), batch, data.sizes, seed=0, shuffle=False)
    return Batches(data, draws, config, device)
