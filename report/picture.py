"""Pictures of samples: contact sheets of maps, and grids of a batch while it trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from data.transforms import denormalise
from utils.schema import DataConfig

from .sheet import TILE, Tile, save_sheet

SHOWN = 10 * TILE  # pixels of a picture that is kept for it


@dataclass
class SheetRow:
    """One row of a contact sheet; ``truth`` is None for a photo without ground truth. Maps may have
    a few pixels more or less than the image."""

    name: str
    image: Image.Image  # RGB
    prediction: Image.Image  # grey
    truth: Image.Image | None = None  # grey


def small(picture: Image.Image | np.ndarray) -> Image.Image:
    """A picture of any size, or as much of it as a sheet can show."""
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    picture.thumbnail((SHOWN, SHOWN))
    return picture


def save_samples(path: Path, rows: Sequence[SheetRow], method: str) -> Path:
    """Write a contact sheet as PNG with a row for each sample, under its name; returns the path.

    The column of ground truth is there if any row has one; the overlay is the image with red laid
    over it as strongly as the map is bright.

    Args:
        method: whose maps are shown.
    """
    columns: dict[str, list[Image.Image | None]] = {
        "input": [row.image for row in rows],
        "ground truth": [row.truth for row in rows],
        method: [row.prediction for row in rows],
        f"{method}, overlay": [Image.composite(
            Image.new("RGB", row.image.size, (255, 32, 32)), row.image,
            row.prediction.point(lambda grey: int(grey * 0.6)).resize(row.image.size))
            for row in rows]}
    columns = {title: pictures for title, pictures in columns.items() if any(pictures)}
    tiles = [[Tile(pictures[line], "" if line else title, "" if column else row.name)
              for column, (title, pictures) in enumerate(columns.items())]
             for line, row in enumerate(rows)]
    save_sheet(path, tiles, [row.image.size[::-1] for row in rows])
    return path


def batch_grid(sample: dict, outputs: dict[str, Tensor], data: DataConfig,
               images: int = 4) -> Tensor:
    """Rows of input, targets, prediction and side outputs for the first images of a batch.

    Args:
        sample: a batch as a network gets it.
        data: the recipe's ``data`` group, by which its images were normalised.
        outputs: logits of the network; of other sizes than the input's they are enlarged.

    Returns:
        (3, H, W) in [0, 1]. Of a scribble, foreground is white, background black, the rest grey.
    """
    from torchvision.utils import make_grid  # 180 MB, which sheets of maps do without

    inputs = denormalise(sample["image"][:images], data.mean, data.std, data.channels,
                         data.range)
    columns = [inputs]
    if "mask" in sample:
        columns.append(sample["mask"][:images])
    if "scribble" in sample:
        scribble = sample["scribble"][:images]
        columns.append(torch.where(scribble > 1, 0.5, scribble.float()))
    for name in sorted(outputs, key=lambda name: name != "saliency"):
        logits = outputs[name][:images].detach().float()
        columns.append(F.interpolate(logits, size=inputs.shape[-2:]).sigmoid())
    columns = [column.expand_as(inputs) for column in columns]
    return make_grid(torch.stack(columns, dim=1).flatten(0, 1), nrow=len(columns)).cpu()
