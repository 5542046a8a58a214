"""Pictures of samples: contact sheets of maps, and grids of a batch while it trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor
from torchvision.utils import make_grid

from data.transforms import denormalise

TILE = 160  # pixels, the longer side of every picture on the sheet
GAP = 6
HEADER = 18


@dataclass
class SheetRow:
    """One row of a contact sheet; ``truth`` is None for a photo without ground truth."""

    name: str
    image: Image.Image  # RGB
    prediction: np.ndarray  # uint8 (H, W)
    truth: np.ndarray | None = None  # uint8 (H, W)


def overlay(image: Image.Image, saliency: np.ndarray) -> Image.Image:
    """The image with red laid over it as strongly as the map is bright."""
    strength = Image.fromarray((saliency.astype(np.float32) * 0.6).astype(np.uint8))
    return Image.composite(Image.new("RGB", image.size, (255, 32, 32)), image, strength)


def contact_sheet(rows: Sequence[SheetRow]) -> Image.Image:
    """A sheet with one row for each sample; the ground-truth column is there if any row has one."""
    has_truth = any(row.truth is not None for row in rows)
    columns = ["input", "ground truth", "prediction", "overlay"]
    if not has_truth:
        columns.remove("ground truth")
    pitch = TILE + GAP
    sheet = Image.new("RGB", (len(columns) * pitch + GAP, len(rows) * pitch + HEADER + GAP),
                      (128, 128, 128))
    pen = ImageDraw.Draw(sheet)
    for number, title in enumerate(columns):
        pen.text((GAP + number * pitch, 4), title, fill=(255, 255, 255))
    for line, row in enumerate(rows):
        pictures = {"input": row.image,
                    "prediction": Image.fromarray(row.prediction),
                    "overlay": overlay(row.image, row.prediction)}
        if row.truth is not None:
            pictures["ground truth"] = Image.fromarray(row.truth)
        for number, title in enumerate(columns):
            if title in pictures:
                tile = pictures[title].convert("RGB")
                tile.thumbnail((TILE, TILE))
                corner = (GAP + number * pitch + (TILE - tile.width) // 2,
                          HEADER + GAP + line * pitch + (TILE - tile.height) // 2)
                sheet.paste(tile, corner)
    return sheet


def batch_grid(sample: dict, outputs: dict[str, Tensor], mean: Sequence[float],
               std: Sequence[float], images: int = 4) -> Tensor:
    """Rows of input, targets, prediction and side outputs for the first images of a batch.

    Args:
        sample: a batch as a network gets it.
        outputs: logits of the network; of other sizes than the input's they are enlarged.

    Returns:
        (3, H, W) in [0, 1]. Of a scribble, foreground is white, background black, the rest grey.
    """
    inputs = denormalise(sample["image"][:images], mean, std)
    columns = [inputs]
    if "mask" in sample:
        columns.append(sample["mask"][:images])
    if "scribble" in sample:
        scribble = sample["scribble"][:images]
        columns.append(torch.where(scribble > 1, 0.5, scribble.float()))
    names = ["saliency", *(name for name in outputs if name != "saliency")]
    for name in names:
        logits = outputs[name][:images].detach().float()
        columns.append(F.interpolate(logits, size=inputs.shape[-2:]).sigmoid())
    columns = [column.expand_as(inputs) for column in columns]
    return make_grid(torch.stack(columns, dim=1).flatten(0, 1), nrow=len(columns)).cpu()


def save_sheet(path: Path, rows: Sequence[SheetRow]) -> Path:
    """Write a contact sheet as PNG; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    iio.imwrite(path, np.asarray(contact_sheet(rows)))
    return path
