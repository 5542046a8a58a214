"""The one way from an image to its saliency map; test.py goes it too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from data import Pair
from data.catalog import with_statistics_of
from data.decode import original_size, rgb_of, upright_size
from data.layers import decode_photo, finish, squash
from data.loader import collate, evaluation_loader
from data.native import require_sizes_of
from utils.device import keep_freed_memory, select_device, set_threads
from utils.errors import UserError, note_once
from utils.maps import to_bytes, to_unit
from utils.option import NATIVE
from utils.schema import sides

from .precision import Precision
from .prediction import forward, maps_of
from .trained import Trained, find
from .views import require_views

#: An image: a file, a picture in memory, or uint8 RGB (H, W, 3).
Photo = str | Path | Image.Image | np.ndarray


class Predictor:
    """A trained network, called with images.

        predictor = Predictor("u2netp")
        saliency = predictor("photo.jpg")                # float32 (H, W), from 0 to 1
        several = predictor([Image.open("a.png"), array])

    Args:
        source: a recipe (a name in configs/, or a file), of which the run in ``checkpoints/`` is
            taken, else the official weights; or a checkpoint of train.py, or its run's folder.
        weights: a file of others' weights for the recipe ``source``, or ``official``.
        device: ``auto`` (the first GPU, else the CPU), ``cpu``, an index or a name such as
            ``cuda:0``.
        precision: of the forward pass: ``auto``, ``bf16``, ``fp16`` or ``fp32``; the recipe's
            ``test.precision`` without it.
        overrides: ``key=value`` words over the configuration, such as ``test.minmax=false``.

    Attributes:
        config: the configuration that it runs with.
        network: in evaluation mode, on the device.

    Raises:
        UserError: no such weights, or they do not fit; no such device or precision.
    """

    def __init__(self, source: str | Path | Trained, weights: str | Path | None = None,
                 device: str | int | torch.device = "auto", precision: str | None = None,
                 overrides: Sequence[str] = ()):
        if isinstance(source, Trained) and (weights is not None or overrides):
            raise TypeError("weights and overrides are of a source that is yet to be read")
        trained = source if isinstance(source, Trained) else find(source, weights, overrides)
        self.config = trained.config
        if self.config.threads is not None:
            set_threads(self.config.threads)
        self.precision = Precision(precision or self.config.test.precision, _device(device))
        if self.precision.device.type == "cpu":
            keep_freed_memory()
        require_views(self.config)
        self.network = self.precision.place(trained.build()).eval()

    def __call__(self, images: Photo | Sequence[Photo]) -> np.ndarray | list[np.ndarray]:
        """Saliency maps, float32 (H, W) in [0, 1] at each image's own size, upright: one of one
        image, a list of a list. ``np.round(255 * saliency)`` is what test.py writes, to the byte.

        Raises:
            UserError: a file that cannot be read, an array that is no RGB image, or a size that
                the network does not take.
        """
        if self.config.test.statistics != "recipe":
            note_once(f"test.statistics={self.config.test.statistics}: photos that are of no data "
                      "set get the mean and deviation of the recipe")
        if isinstance(images, (list, tuple)):
            return list(self._of_photos(images))
        return next(self._of_photos([images]))

    def maps(self, pairs: Sequence[Pair], data_set: str = "") -> Iterator[tuple[str, np.ndarray]]:
        """Name and map, uint8 (H, W), of each pair's image, read by loader processes in batches of
        ``test.batch``, those of one size together where images keep their own.

        Args:
            data_set: whose mean and deviation images get, where ``test.statistics`` says so.
        """
        for batch in evaluation_loader(pairs, self._data(data_set), self.config.test.batch,
                                       self.precision.device):
            yield from zip(batch["name"], self._of_batch(batch, to_bytes), strict=True)

    def _data(self, data_set: str) -> DictConfig:
        by_set = data_set and self.config.test.statistics != "recipe"
        return with_statistics_of(data_set, self.config.data) if by_set else self.config.data

    def _of_photos(self, photos: Sequence[Photo]) -> Iterator[np.ndarray]:
        options = OmegaConf.to_object(self.config.data)
        count = 1 if options.size == NATIVE else self.config.test.batch
        for start in range(0, len(photos), count):
            samples = [self._sample(photo, start + place, options)
                       for place, photo in enumerate(photos[start:start + count])]
            batch = finish(collate(samples), options, self.precision.device)
            yield from self._of_batch(batch, to_unit)

    def _sample(self, photo: Photo, number: int, options: object) -> dict:
        """The sample that a loader makes of a file with this photo."""
        native = options.size == NATIVE
        if isinstance(photo, (str, Path)):
            path = Path(photo)
            size = upright_size(path)[::-1] if native else sides(options.size)
            name, picture = str(path), decode_photo(path, options, size)
        else:
            name, picture = f"image {number}", _picture(photo, f"image {number}")
            size = picture.size[::-1] if native else sides(options.size)
        if native:
            require_sizes_of({name: size}, self.network.require_size)
        return squash({"image": picture}, size, options) | {
            "name": name, "size": original_size(picture)[::-1]}

    def _of_batch(self, batch: dict, convert: Callable) -> Iterator[np.ndarray]:
        test = self.config.test
        logits, _ = forward(self.network, batch, self.precision, output=test.output,
                            flip=test.flip, scales=test.scales)
        return maps_of(logits, batch, test.resize, test.minmax, test.align_corners,
                       test.bytes == "cut", convert)


def _device(word: str | int | torch.device) -> torch.device:
    """The device that one word names.

    Raises:
        UserError: there is none of that name.
    """
    index = {"cuda": "0"}.get(str(word), str(word).removeprefix("cuda:"))
    if index not in ("auto", "cpu") and not index.isdecimal():
        raise UserError(f"device={str(word)!r}: expected auto, cpu, an index, or a name such as "
                        "cuda:0")
    return select_device(index, "device=")


def _picture(photo: object, name: str) -> Image.Image:
    """A photo in memory as the decoder gives one of a file."""
    if isinstance(photo, Image.Image):
        return rgb_of(photo)
    if not (isinstance(photo, np.ndarray) and photo.dtype == np.uint8 and photo.ndim == 3
            and photo.shape[2] == 3 and photo.size):
        what = f"{photo.dtype} of shape {photo.shape}" if isinstance(photo, np.ndarray) else \
            type(photo).__name__
        raise UserError(f"{name}: an image is a path, a PIL image, or an array of uint8 (H, W, 3) "
                        f"in the order RGB, not {what}; several of them are a list")
    return Image.fromarray(np.ascontiguousarray(photo))
