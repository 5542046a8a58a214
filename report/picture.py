"""Contact sheets: input, ground truth, prediction and overlay side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from PIL import Image, ImageDraw

TILE = 160  # pixels, the longer side of every picture on the sheet
GAP = 6
HEADER = 18


@dataclass
class Shown:
    """One row of a sheet; ``truth`` is None for a photo without ground truth."""

    name: str
    image: Image.Image  # RGB
    prediction: np.ndarray  # uint8 (H, W)
    truth: np.ndarray | None = None  # uint8 (H, W)


def overlay(image: Image.Image, saliency: np.ndarray) -> Image.Image:
    """The image with red laid over it as strongly as the map says."""
    strength = Image.fromarray((saliency.astype(np.float32) * 0.6).astype(np.uint8))
    return Image.composite(Image.new("RGB", image.size, (255, 32, 32)), image, strength)


def contact_sheet(rows: Sequence[Shown]) -> Image.Image:
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


def save_sheet(path: Path, rows: Sequence[Shown]) -> Path:
    """Write a contact sheet as PNG; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    iio.imwrite(path, np.asarray(contact_sheet(rows)))
    return path
