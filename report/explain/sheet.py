"""The sheet of one image: tiles with a title and a line of figures, in rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from utils.files import written_whole

from .about import About

TILE = 200  # pixels, the longer side of a picture
_GAP, _TEXT = 8, 30  # pixels: between tiles, of the two lines above each
_FONT = Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")
_PAPER, _INK, _PALE = (255, 255, 255), (16, 17, 18), (96, 97, 98)


@dataclass(frozen=True)
class Tile:
    """A picture of any size, and what stands above it."""

    picture: Image.Image
    title: str
    figures: str = ""


def save_sheet(path: Path, rows: Sequence[Sequence[Tile]], shape: tuple[int, int],
               about: About) -> None:
    """Write a sheet as PNG, whole or not at all.

    Args:
        shape: height and width of the photo; all tiles get its form. Pixels of feature maps that
            are enlarged stay squares of one colour.
        about: what it is of, which the file keeps.
    """
    scale = TILE / max(shape)
    height, width = (max(1, round(scale * side)) for side in shape)
    pitch, step = TILE + _GAP, height + _TEXT + _GAP
    sheet = Image.new("RGB", (_GAP + pitch * max(map(len, rows)), _GAP + step * len(rows)), _PAPER)
    pen = ImageDraw.Draw(sheet)
    large, small = (ImageFont.truetype(_FONT, size) for size in (12, 10))
    for line, tiles in enumerate(rows):
        for column, tile in enumerate(tiles):
            left, top = _GAP + column * pitch, _GAP + line * step
            for text, font, ink, below in ((tile.title, large, _INK, 0),
                                           (tile.figures, small, _PALE, 15)):
                pen.text((left, top + below), _fitting(text, font, pitch - _GAP), ink, font)
            picture = tile.picture.convert("RGB")
            sheet.paste(picture.resize((width, height), Image.Resampling.BOX), (left, top + _TEXT))
    with written_whole(path, "wb") as file:
        sheet.save(file, "PNG", optimize=True, pnginfo=about.in_png())


def _fitting(text: str, font: ImageFont.ImageFont, width: int) -> str:
    """A text that is at most as wide as this, in pixels; a longer one loses its beginning."""
    while font.getlength(text) > width and len(text) > 1:
        text = f"…{text.removeprefix('…')[1:]}"
    return text


def grey(values: np.ndarray) -> Image.Image:
    """Values (h, w) in [0, 1] in grey, or (h, w, 3) in their colours."""
    return Image.fromarray(np.round(255 * values).astype(np.uint8))


def coloured(values: np.ndarray, colours: str = "viridis") -> Image.Image:
    """Values (h, w) in a colour map of matplotlib, from their 5th percentile to their 95th: a
    layer's border often holds some that are far from all others."""
    low, high = np.percentile(values, (5, 95))
    scaled = np.clip((values - low) / (high - low), 0, 1) if high > low else np.zeros_like(values)
    return Image.fromarray(matplotlib.colormaps[colours](scaled, bytes=True)[..., :3])


def cam_on(photo: Image.Image, cam: np.ndarray, region: np.ndarray) -> Image.Image:
    """The photo in grey under a CAM (h, w) in [0, 1], from blue to red, with the outline of the
    explained region, bool (H, W), in white; as large as a tile."""
    small = photo.copy()
    small.thumbnail((TILE, TILE))
    shown = Image.fromarray(np.round(255 * cam).astype(np.uint8)).resize(small.size)
    heat = matplotlib.colormaps["turbo"](np.asarray(shown), bytes=True)[..., :3]
    mixed = np.asarray(Image.blend(small.convert("L").convert("RGB"), Image.fromarray(heat), 0.5))
    inside = np.asarray(Image.fromarray(region).resize(small.size, Image.Resampling.NEAREST), bool)
    return Image.fromarray(np.where(_outline(inside)[..., None], np.uint8(255), mixed))


def _outline(inside: np.ndarray) -> np.ndarray:
    """The pixels of a region, bool (H, W), with a neighbour outside."""
    around = np.pad(inside, 1, mode="edge")
    core = around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
    return inside & ~core
