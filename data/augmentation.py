"""Augmentations by name, which ``data.augment`` lists, after the crop and flip of ``data.crop`` and
``data.flip``.

They work on the resized layers that the cache keeps. All that is random is drawn from the sample's
own seed. Moves come first, in the order of the list, and move all layers alike; then come the
changes of the image's colours and sharpness. Many of these go through a table of the 256 bytes:
their results do not depend on the number of threads, as a mean of floats would.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from utils.errors import UserError, nearest
from utils.schema import DataConfig

from .layers import LAYERS

Layers = dict[str, Tensor]  # (C, H, W), see ``layers.squash``
Random = np.random.Generator


def augment(layers: Layers, seed: int, options: DataConfig, steps: tuple[Step, ...] = ()) -> Layers:
    """Squashed layers, cropped, flipped and changed as ``options`` and ``steps`` say; drawn from
    ``seed`` alone, so results do not depend on the number of loader processes."""
    layers = _crop_and_flip(layers, seed, options)
    random = np.random.default_rng((seed, 1))  # not the numbers that crop and flip are drawn from
    changes = []
    for step in steps:
        name, values = step.members[random.integers(len(step.members))]
        if random.random() >= step.p:
            continue
        if name in MOVES:
            layers = MOVES[name].apply(layers, random, options, **values)
        else:
            changes.append((CHANGES[name].apply, values))
    if not changes:
        return layers
    before = layers["image"]
    image = cv2.merge(list((before.round() if before.is_floating_point() else before)
                           .to(torch.uint8).numpy()))
    for change, values in changes:
        image = change(image, random, **values)
    return layers | {"image": torch.from_numpy(np.stack(cv2.split(image))).to(before.dtype)}


def _crop_and_flip(layers: Layers, seed: int, options: DataConfig) -> Layers:
    """``data.crop``: a part of the squashed layers, which has the image's own aspect ratio, of at
    least this share of the area. ``data.flip``: the probability of a horizontal flip."""
    share, down, right, turn = torch.rand(4, generator=torch.Generator().manual_seed(seed)).tolist()
    if options.crop < 1:
        sides = layers["image"].shape[-2:]
        factor = math.sqrt(options.crop + (1 - options.crop) * share)
        kept = [max(1, round(side * factor)) for side in sides]
        place = [int(where * (side - part + 1))
                 for where, side, part in zip((down, right), sides, kept, strict=True)]
        layers = _cropped(layers, (*place, *kept), options)
    return _flipped(layers, -1) if turn < options.flip else layers


def _flipped(layers: Layers, axis: int) -> Layers:
    return {name: layer.flip(axis) for name, layer in layers.items()}


def _cropped(layers: Layers, box: tuple[int, int, int, int], options: DataConfig) -> Layers:
    """A box (top, left, height, width) of all layers, brought back to their size."""
    return {name: F.resized_crop(layer, *box, list(layer.shape[-2:]), _method(name, options))
            for name, layer in layers.items()}


def _method(name: str, options: DataConfig) -> InterpolationMode:
    return InterpolationMode(LAYERS[name].resample(options))


# --- moves: all layers alike -------------------------------------------------------------------


def _turn(layers: Layers, random: Random, options: DataConfig) -> Layers:
    """By 0, 90, 180 or 270 degrees: one in four stays upright, as in albumentations. What is
    no square is squashed to its size again."""
    quarters = int(random.integers(4))
    turned = {name: torch.rot90(layer, quarters, (-2, -1)).contiguous()
              for name, layer in layers.items()}
    height, width = size = list(layers["image"].shape[-2:])
    if quarters % 2 == 0 or height == width:
        return turned
    return {name: F.resize(layer, size, _method(name, options)) for name, layer in turned.items()}


def _rotate(layers: Layers, random: Random, options: DataConfig, degrees: float) -> Layers:
    """By up to ± ``degrees`` around the middle; each layer's ``fill`` comes into the corners."""
    angle = random.uniform(-degrees, degrees)
    return {name: F.rotate(layer, angle, _method(name, options), fill=LAYERS[name].fill)
            for name, layer in layers.items()}


def _crop_sides(layers: Layers, random: Random, options: DataConfig, smallest: float,
          largest: float) -> Layers:
    """Height and width are drawn on their own, as shares of the sides, then the place."""
    sides = layers["image"].shape[-2:]
    kept = [max(1, round(side * random.uniform(smallest, largest))) for side in sides]
    place = [int(random.integers(side - part + 1))
             for side, part in zip(sides, kept, strict=True)]
    return _cropped(layers, (*place, *kept), options)


def _crop_to(layers: Layers, random: Random, options: DataConfig, side: float) -> Layers:
    """A square of so many pixels at a random place, which stays as small; all of a smaller side."""
    height, width = layers["image"].shape[-2:]
    kept = [min(int(side), length) for length in (height, width)]
    top, left = (int(random.integers(length - part + 1))
                 for length, part in zip((height, width), kept, strict=True))
    return {name: layer[..., top:top + kept[0], left:left + kept[1]]
            for name, layer in layers.items()}


# --- changes: of the image, uint8 (H, W, 3), alone ---------------------------------------------


def _tone(change: Callable[[Tensor, float], Tensor], middle: int) -> Callable:
    """A change of each byte by a number that is drawn between ``middle`` ± ``limit``."""
    def tone(image: np.ndarray, random: Random, limit: float) -> np.ndarray:
        table = change(torch.arange(256, dtype=torch.uint8).view(1, 1, 256),
                       random.uniform(middle - limit, middle + limit))
        return cv2.LUT(image, table.flatten().numpy())

    return tone


def _color_jitter(image: np.ndarray, random: Random, **reaches: float) -> np.ndarray:
    """torchvision's ColorJitter on Pillow's images: brightness, contrast, saturation and hue in
    random order, each by a factor between 1 − x and 1 + x, the hue by up to ± x of the circle."""
    picture = Image.fromarray(image)
    for name in random.permutation(sorted(reaches)):
        middle, reach = int(name != "hue"), reaches[name]
        factor = random.uniform(max(middle - reach, middle - 1), middle + reach)
        if reach:
            picture = getattr(F, f"adjust_{name}")(picture, factor)
    return np.array(picture)


def _blur(change: Callable[[np.ndarray, int, Random], np.ndarray]) -> Callable:
    """A blur by a square of 3, 5, … up to ``side`` pixels."""
    def blur(image: np.ndarray, random: Random, side: int) -> np.ndarray:
        return change(image, int(random.choice(range(3, int(side) + 1, 2))), random)

    return blur


def _motion_blur(image: np.ndarray, side: int, random: Random) -> np.ndarray:
    """Along the line between two different pixels of a square. As in albumentations, it need not
    run through the middle, so the image may also shift against its mask by a pixel or two."""
    ends = [divmod(int(pixel), side) for pixel in random.choice(side ** 2, 2, replace=False)]
    line = cv2.line(np.zeros((side, side), np.float32), *ends, 1.0)
    return cv2.filter2D(image, -1, line / line.sum())


def _noise(image: np.ndarray, random: Random, smallest: float, largest: float) -> np.ndarray:
    noise = random.standard_normal(image.shape, np.float32) * np.float32(
        np.sqrt(random.uniform(smallest, largest)))
    return (image + noise).round().clip(0, 255).astype(np.uint8)


# --- names -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Augmentation:
    """A function, and its options: name → default, least and greatest value."""

    apply: Callable
    options: dict[str, tuple[float, float, float]] = field(default_factory=dict)


_LIMIT = {"limit": (0.2, 0, 1)}  # around 1, or of the range of values
_SIDE = {"side": (5, 3, 31)}  # of the largest square, in pixels
_REACH = (0.2, 0, 10)
MOVES = {
    "flip": Augmentation(lambda layers, *_: _flipped(layers, -1)),
    "vertical_flip": Augmentation(lambda layers, *_: _flipped(layers, -2)),
    "turn": Augmentation(_turn),
    "rotate": Augmentation(_rotate, {"degrees": (10, 0, 180)}),
    "crop_sides": Augmentation(
        _crop_sides, {"smallest": (0.875, 0.01, 1), "largest": (1, 0.01, 1)}),
    "crop_to": Augmentation(_crop_to, {"side": (288, 32, 8192)}),
}
CHANGES = {
    # Away from black, as albumentations has it, which torchvision calls brightness.
    "contrast": Augmentation(_tone(F.adjust_brightness, 1), _LIMIT),
    "gamma": Augmentation(_tone(F.adjust_gamma, 1), _LIMIT),
    # Added, not multiplied; fractions are cut off, as in albumentations and torchvision.
    "brightness": Augmentation(
        _tone(lambda values, share: (values + 255 * share).clamp(0, 255).byte(), 0), _LIMIT),
    "color_jitter": Augmentation(_color_jitter, {
        "brightness": _REACH, "contrast": _REACH, "saturation": _REACH, "hue": (0, 0, 0.5)}),
    "motion_blur": Augmentation(_blur(_motion_blur), _SIDE),
    "median_blur": Augmentation(_blur(lambda image, side, _: cv2.medianBlur(image, side)), _SIDE),
    # Of 0.8 pixels in a square of 3, 1.1 in one of 5: OpenCV's choice.
    "gaussian_blur": Augmentation(
        _blur(lambda image, side, _: cv2.GaussianBlur(image, (side, side), 0)), _SIDE),
    "noise": Augmentation(_noise, {  # variance, in gray levels²
        "smallest": (5, 0, 65025), "largest": (20, 0, 65025)}),
}
#: Names of whole lists. TRACER's released code trains with the second, before the resize.
PRESETS = {
    "none": [],
    "moves_tones_blurs": [
        {"one_of": {"of": ["flip", "vertical_flip", "turn"]}},
        {"one_of": {"of": ["contrast", "gamma", "brightness"]}},
        {"one_of": {"of": ["motion_blur", "median_blur", "gaussian_blur", "noise"]}}],
}
SHARE = 0.5  # the probability of a step that gives none


@dataclass(frozen=True)
class Step:
    """One of its members, each as likely as the others, with probability ``p``."""

    p: float
    members: tuple[tuple[str, dict[str, float]], ...]


def read_steps(spec: object) -> tuple[Step, ...]:
    """The steps that ``data.augment`` names: a name, or a list of names and of mappings from names
    to options. ``p`` is an option of each, ``one_of`` takes such a list as ``of``.

    Raises:
        UserError: an unknown name or option, or a value out of its range.
    """
    steps: list[Step] = []
    for name, options in _entries(spec):
        if name in PRESETS:
            _values(name, options, {})
            steps += read_steps(PRESETS[name])
            continue
        p = _values(name, {"p": options.pop("p", SHARE)}, {"p": (SHARE, 0, 1)})["p"]
        members = [(name, options)]
        if name == "one_of":
            members = list(_entries(options.pop("of", [])))
            if options or not members or dict(members).keys() & {"one_of", *PRESETS}:
                raise UserError("data.augment: one_of takes a list of names as of, each of one "
                                "augmentation, and p, for example {one_of: {of: [flip, turn], p: "
                                "0.5}}")
        steps.append(Step(p, tuple(_member(*member) for member in members)))
    return tuple(steps)


def _entries(spec: object) -> Iterator[tuple[str, dict]]:
    """Names and their options, in order."""
    for entry in spec if isinstance(spec, list) else [spec]:
        named = {entry: None} if isinstance(entry, str) else entry
        if not isinstance(named, dict):
            raise UserError(f"data.augment: {entry!r} is neither a name nor a name with options")
        for name, options in named.items():
            if not isinstance(options, dict | None):
                raise UserError(f"data.augment: {name}: options are a mapping, such as "
                                f"{{{name}: {{p: 0.5}}}}, not {options!r}")
            yield str(name), dict(options or {})


def _member(name: str, options: dict) -> tuple[str, dict[str, float]]:
    """An augmentation with all of its options."""
    table = MOVES | CHANGES
    if name not in table:
        raise UserError(f"data.augment: unknown augmentation {name!r}; "
                        f"{nearest(name, [*table, 'one_of', *PRESETS])}")
    return name, _values(name, options, table[name].options)


def _values(name: str, options: dict, known: dict[str, tuple]) -> dict[str, float]:
    """All ``known`` options, those that are not given by their defaults."""
    for option, value in options.items():
        if option not in known:
            hint = nearest(str(option), known) if known else "it has none"
            raise UserError(f"data.augment: {name} has no option {option!r}; {hint}")
        _, low, high = known[option]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not low <= value <= high:
            raise UserError(f"data.augment: {name}.{option} = {value!r}: must be a number from "
                            f"{low:g} to {high:g}")
    values = {option: default for option, (default, _, _) in known.items()} | options
    if values.get("smallest", 0) > values.get("largest", math.inf):
        raise UserError(f"data.augment: {name}.smallest = {values['smallest']:g} is above "
                        f"{name}.largest = {values['largest']:g}")
    return values
