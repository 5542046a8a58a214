"""Small files and samples that the tests of data/ make."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from data.augmentation import augment, read_steps
from utils.config import default_config
from utils.schema import DataConfig, sides

SQUARE = np.zeros((6, 8), np.uint8)
SQUARE[1:4, 2:7] = 255
COLOUR = np.zeros((6, 8, 3), np.uint8)
COLOUR[..., 0], COLOUR[:3, :, 1], COLOUR[:, 4:, 2] = 200, 120, 60


def save(path: Path, array: np.ndarray, orientation: int | None = None, **options) -> Path:
    """Write an array as an image file, with its folders and an EXIF orientation if one is given."""
    if orientation is not None:
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = orientation
    return save_image(path, Image.fromarray(np.asarray(array)), **options)


def save_image(path: Path, image: Image.Image, **options) -> Path:
    """Write a picture, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def data_config(**changes) -> DictConfig:
    """A recipe's ``data`` group for small images, loaded in the main process."""
    return OmegaConf.merge(default_config().data, {"size": 32, "workers": 0, **changes})


def options_of(**changes) -> DataConfig:
    """The same as the loaders hand it to the layers."""
    return OmegaConf.to_object(data_config(**changes))


def same_batches(first: list[dict], second: list[dict]) -> bool:
    """Whether two lists of batches hold the same names and the same tensors."""
    return len(first) == len(second) and all(
        a["name"] == b["name"] and all(torch.equal(value, b[key]) for key, value in a.items()
                                       if isinstance(value, torch.Tensor))
        for a, b in zip(first, second, strict=True))


SIZE = 24  # of made layers, in pixels
OPTIONS = options_of()


def layers_of(seed: int = 0, size: int | tuple[int, int] = SIZE) -> dict[str, torch.Tensor]:
    """A coloured noise, and a mask, scribble and edges that are all one picture of numbers."""
    random, size = np.random.default_rng(seed), sides(size)
    target = random.integers(0, 3, (1, *size), np.uint8)
    layers = {"image": random.integers(0, 256, (3, *size), np.uint8), "mask": target * 100,
              "scribble": np.where(target == 2, 255, target).astype(np.uint8), "edge": target}
    return {name: torch.from_numpy(layer) for name, layer in layers.items()}


def always(name: str, layers: dict[str, torch.Tensor], seed: int, mask_resize: str = "bilinear",
           **values) -> dict[str, torch.Tensor]:
    """What one augmentation makes of layers."""
    steps = read_steps([{name: {"p": 1, **values}}])
    return augment(layers, seed, replace(OPTIONS, mask_resize=mask_resize), steps)


def age(folder: Path) -> None:
    """Set the times of change of all files a minute into the past."""
    then = time.time_ns() - 60 * 10**9
    for path in folder.rglob("*.*"):
        os.utime(path, ns=(then, then))
