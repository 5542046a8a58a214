"""Images as points: a network's deepest features of them, for TensorBoard's projector."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from data.transforms import denormalise
from utils.schema import DataConfig

from .contents import tensors_in

LIMIT = 1000  # points, evenly spaced among the images
SIDE = 64  # pixels of a picture; TensorBoard takes sheets of up to 8192


@dataclass(frozen=True)
class Point:
    """An image: ``features`` float32 (C,), and its ``picture`` uint8 (3, SIDE, SIDE), RGB."""

    features: np.ndarray
    picture: np.ndarray


class Embeddings:
    """Points of images, noted while these pass through a network, which computes as without it.

    Args:
        images: how many there are in all.
        data: the recipe's ``data`` group, by which they are normalised.
        wanted: without it nothing is noted; nor of networks whose deepest stage is not known.

    Attributes:
        stage: name of the module whose features they are, empty where nothing is noted.
        points: number of the image, among all images → its point.
    """

    def __init__(self, network: nn.Module, images: int, data: DataConfig, wanted: bool = True):
        self.stage = network.deepest_stage() if wanted else ""
        self.points: dict[int, Point] = {}
        self._network, self._data, self._every = network, data, math.ceil(images / LIMIT)

    @contextmanager
    def of(self, numbers: Sequence[int], images: Tensor) -> Iterator[None]:
        """Inside the block a batch passes through the network; of several passes the first counts,
        as later ones are of other views.

        Args:
            numbers: of its images, among all images.
            images: (N, 3, H, W).
        """
        places = [place for place, number in enumerate(numbers) if number % self._every == 0]
        if not self.stage or not places:
            yield
            return
        outputs: list[Tensor] = []

        def note(module: nn.Module, inputs: tuple, output: object) -> None:
            if not outputs:
                outputs.append(torch.cat([tensor[places].float().mean((-2, -1))
                                          for _, tensor in tensors_in(output)], dim=1).cpu())

        handle = self._network.get_submodule(self.stage).register_forward_hook(note)
        try:
            yield
        finally:
            handle.remove()
        pictures = self._small(images[places])
        for place, features, picture in zip(places, outputs[0].numpy(), pictures, strict=True):
            self.points[numbers[place]] = Point(features, picture)

    def _small(self, images: Tensor) -> np.ndarray:
        """Normalised images → pictures uint8 (N, 3, SIDE, SIDE)."""
        shown = denormalise(images.float().cpu(), self._data.mean, self._data.std,
                            self._data.channels, self._data.range)
        small = F.interpolate(shown, (SIDE, SIDE), mode="bilinear", antialias=True)
        return (255 * small).round().clamp(0, 255).to(torch.uint8).numpy()
