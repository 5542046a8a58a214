"""The augmentation that TRACER was trained with: its released code's "aug_ver 2".

One of three moves with probability one half, then one of three tones, then one of three blurs or
noise, each with probability one half too and its limits from albumentations. In the released code
this comes before the resize, at each image's own resolution; here it works on the resized bytes
that the cache keeps, where five pixels are a larger part of a large photo.

Flips, contrast and gamma are torchvision's transforms. It has none for the others or, for the
Gaussian blur, one that takes forty times as long as OpenCV's; its noise cannot be drawn from a
generator of one's own. Tones go through a table of the 256 bytes, which is the same with any number
of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

Kind = TypeVar("Kind")
Move = Callable[[Tensor], Tensor]

SHARE = 0.5  # of the samples, for the moves, the tones and the blurs each
LIMIT = 0.2  # of contrast and gamma around 1, and of brightness in the range of values
NOISE = (5, 20)  # variance, in grey levels²
SIDES = (3, 5)  # of a blur's square


def tracer(layers: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
    """Squashed layers, uint8 (C, S, S), all moved alike, and the image's tones and sharpness
    changed; drawn from ``seed`` alone."""
    random = np.random.default_rng((seed, 1))  # not the numbers that crop and flip are drawn from
    if make_move := _one_of(MOVES, random):
        move = make_move(random)
        layers = {name: move(layer).contiguous() for name, layer in layers.items()}
    changes = [change for kinds in (TONES, BLURS) if (change := _one_of(kinds, random))]
    if not changes:
        return layers
    image = cv2.merge(list(layers["image"].numpy()))
    for change in changes:
        image = change(image, random)
    return layers | {"image": torch.from_numpy(np.stack(cv2.split(image)))}


def _one_of(kinds: Mapping[str, Kind], random: np.random.Generator) -> Kind | None:
    chosen = list(kinds.values())[random.integers(len(kinds))]
    return chosen if random.random() < SHARE else None


def _turn(random: np.random.Generator) -> Move:
    """By 0, 90, 180 or 270 degrees: one in four stands as it did, as in albumentations."""
    return partial(torch.rot90, k=int(random.integers(4)), dims=(-2, -1))


def _contrast(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Away from black, as albumentations has it, which torchvision calls brightness; its contrast
    is away from the mean grey."""
    return _through_table(image, F.adjust_brightness(_bytes(), _factor(random)))


def _gamma(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return _through_table(image, F.adjust_gamma(_bytes(), _factor(random)))


def _brightness(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Added, not multiplied; fractions are cut off, as in albumentations and torchvision."""
    added = 255 * random.uniform(-LIMIT, LIMIT)
    return _through_table(image, (_bytes() + added).clamp(0, 255).byte())


def _bytes() -> Tensor:
    """All that a byte may be, as a grey picture of 1×256 pixels."""
    return torch.arange(256, dtype=torch.uint8).view(1, 1, 256)


def _factor(random: np.random.Generator) -> float:
    return random.uniform(1 - LIMIT, 1 + LIMIT)


def _through_table(image: np.ndarray, table: Tensor) -> np.ndarray:
    return cv2.LUT(image, table.flatten().numpy())


def _motion_blur(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Along the line between two different pixels of a square. As in albumentations, it need not
    run through the middle, so the image may also shift against its mask by a pixel or two."""
    side = int(random.choice(SIDES))
    ends = [divmod(int(pixel), side) for pixel in random.choice(side ** 2, 2, replace=False)]
    line = cv2.line(np.zeros((side, side), np.float32), *ends, 1.0)
    return cv2.filter2D(image, -1, line / line.sum())


def _median_blur(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return cv2.medianBlur(image, int(random.choice(SIDES)))


def _gaussian_blur(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Of 0.8 pixels in a square of 3, 1.1 in one of 5: OpenCV's choice."""
    side = int(random.choice(SIDES))
    return cv2.GaussianBlur(image, (side, side), 0)


def _noise(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    noise = random.standard_normal(image.shape, np.float32) * np.float32(
        np.sqrt(random.uniform(*NOISE)))
    return (image + noise).round().clip(0, 255).astype(np.uint8)


MOVES: dict[str, Callable[[np.random.Generator], Move]] = {
    "mirror": lambda _: F.horizontal_flip,
    "upend": lambda _: F.vertical_flip,
    "turn": _turn,
}
TONES = {"contrast": _contrast, "gamma": _gamma, "brightness": _brightness}
BLURS = {"motion": _motion_blur, "median": _median_blur, "gaussian": _gaussian_blur,
         "noise": _noise}
