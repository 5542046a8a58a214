"""The part of an image whose saliency is explained: the predicted object, a box, or a mask's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from data import Pair, decode_mask
from data.decode import upright_size
from utils.errors import UserError, note_once

OBJECT = "object"
_BOX = re.compile(r"\s*(-?\d+)\s*,\s*(-?\d+)\s*,\s*(-?\d+)\s*,\s*(-?\d+)\s*")


@dataclass(frozen=True)
class Target:
    """What --target names: ``object``, a box ``X0,Y0,X1,Y1`` in pixels of the upright photo, whose
    last column and row do not count, or the file of a mask, bright on what counts."""

    word: str

    @cached_property
    def box(self) -> tuple[int, ...] | None:
        """Left, top, right and bottom, if a box is named."""
        match = _BOX.fullmatch(self.word)
        return tuple(map(int, match.groups())) if match else None

    def require(self, pairs: Sequence[Pair]) -> None:
        """Raise a UserError unless each pair's photo has such a part, before anything is
        computed."""
        if self.word == OBJECT:
            return
        if self.box is None and not Path(self.word).is_file():
            raise UserError(f"--target {self.word}: expected object, a box X0,Y0,X1,Y1 in the "
                            "photo's pixels, or the file of a mask, and there is no such file")
        for pair in pairs:
            width, height = upright_size(pair.image)
            if self.box is None:
                self._mask(pair, (height, width))
            elif not (0 <= self.box[0] < self.box[2] <= width
                      and 0 <= self.box[1] < self.box[3] <= height):
                raise UserError(f"--target {self.word}: no box X0,Y0,X1,Y1 in {pair.image}, which "
                                f"has {width}×{height} pixels")

    def region(self, pair: Pair, saliency: np.ndarray) -> np.ndarray:
        """The pixels that count, bool, of the shape of the map, (H, W)."""
        if self.word == OBJECT:
            return _predicted(pair, saliency)
        if self.box is None:
            return self._mask(pair, saliency.shape)
        region, (left, top, right, bottom) = np.zeros(saliency.shape, bool), self.box
        region[top:bottom, left:right] = True
        return region

    def _mask(self, pair: Pair, shape: tuple[int, int]) -> np.ndarray:
        region = decode_mask(Path(self.word), pair.image) > 127
        if region.shape != shape:
            raise UserError(f"--target {self.word}: the mask is {region.shape[1]}×"
                            f"{region.shape[0]}, {pair.image} is {shape[1]}×{shape[0]}; a mask is "
                            "for photos of its size")
        if not region.any():
            raise UserError(f"--target {self.word}: the mask is black everywhere")
        return region


def _predicted(pair: Pair, saliency: np.ndarray) -> np.ndarray:
    """The pixels that are salient rather than not; where none is, those above half of the map's
    brightest, which is printed."""
    region = saliency >= 0.5
    if region.any():
        return region
    note_once(f"{pair.image}: the map stays below {saliency.max():.2f}; in place of an object, "
              "what is brighter than half of that is explained")
    return saliency >= saliency.max() / 2


def weights_of(region: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """How much of each pixel of a map of another ``size``, height and width, lies in a region, bool
    (H, W): float32 in [0, 1]."""
    grey = Image.fromarray(region.astype(np.uint8) * 255)
    small = grey.resize((size[1], size[0]), Image.Resampling.BOX)
    return np.asarray(small, np.float32) / 255
