"""Sheets for looking at: pictures with a title and a line of figures above, in rows."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from utils.files import written_whole

TILE = 200  # pixels, the longer side of a picture
_GAP = 8  # pixels, between tiles
_LINE = 15  # pixels, of a line of text
_PAPER, _INK, _PALE = (255, 255, 255), (16, 17, 18), (96, 97, 98)


@dataclass(frozen=True)
class Tile:
    """A picture of any size, or none, and what stands above it."""

    picture: Image.Image | None
    title: str = ""
    figures: str = ""


def save_sheet(path: Path, rows: Sequence[Sequence[Tile]],
               shapes: Sequence[tuple[int, int]]) -> None:
    """Write a sheet as PNG, whole or not at all.

    Args:
        shapes: of each row, height and width of the photo; all its tiles get that form. Pixels of
            feature maps that are enlarged stay squares of one colour.
    """
    sizes = [_size(shape) for shape in shapes]
    pitch = TILE + _GAP
    texts = [_LINE * max((tile.title != "") + (tile.figures != "") for tile in tiles)
             for tiles in rows]
    high = _GAP + sum(height + text + _GAP for (_, height), text in zip(sizes, texts, strict=True))
    sheet = Image.new("RGB", (_GAP + pitch * max(map(len, rows)), high), _PAPER)
    pen, top = ImageDraw.Draw(sheet), _GAP
    for tiles, size, text in zip(rows, sizes, texts, strict=True):
        for column, tile in enumerate(tiles):
            _paste(sheet, pen, tile, (_GAP + column * pitch, top), size, text)
        top += text + size[1] + _GAP
    with written_whole(path, "wb") as file:
        sheet.save(file, "PNG", optimize=True)


def _size(shape: tuple[int, int]) -> tuple[int, int]:
    """Width and height of a picture on a sheet."""
    scale = TILE / max(shape)
    return max(1, round(scale * shape[1])), max(1, round(scale * shape[0]))


def _paste(sheet: Image.Image, pen: ImageDraw.ImageDraw, tile: Tile, place: tuple[int, int],
           size: tuple[int, int], text: int) -> None:
    """Put a tile on a sheet, its picture below ``text`` pixels of words."""
    left, top = place
    lines = [(words, points, ink) for words, points, ink in ((tile.title, 12, _INK),
                                                             (tile.figures, 10, _PALE)) if words]
    for number, (words, points, ink) in enumerate(lines):
        font = _font(points)
        pen.text((left, top + text - _LINE * (len(lines) - number)), _fitting(words, font, TILE),
                 ink, font)
    if tile.picture is not None:
        picture = tile.picture.convert("RGB")
        sheet.paste(picture.resize(size, Image.Resampling.BOX), (left, top + text))


@functools.cache
def _font(points: int) -> ImageFont.FreeTypeFont:
    import matplotlib  # which has a font with it, and takes a while

    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf"), points)


def _fitting(text: str, font: ImageFont.ImageFont, width: int) -> str:
    """A text that is at most as wide as this, in pixels; a longer one loses its beginning."""
    while font.getlength(text) > width and len(text) > 1:
        text = f"…{text.removeprefix('…')[1:]}"
    return text
