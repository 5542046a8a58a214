"""Sheets for looking at: pictures with a title and a line of figures above, in rows."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

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
               shapes: Sequence[tuple[int, int]], about: PngInfo | None = None) -> None:
    """Write a sheet as PNG, whole or not at all.

    Args:
        shapes: of each row, height and width of the photo; all its tiles get that form. Pixels of
            feature maps that are enlarged stay squares of one colour.
        about: text that the file keeps with it.
    """
    sizes = [_size(shape) for shape in shapes]
    pitch = TILE + _GAP
    # Pixels of each row's titles and of its lines of figures.
    lines = [tuple(_LINE * any(texts) for texts in zip(*((tile.title, tile.figures)
                                                         for tile in tiles), strict=True))
             for tiles in rows]
    high = _GAP + sum(height + sum(text) + _GAP
                      for (_, height), text in zip(sizes, lines, strict=True))
    sheet = Image.new("RGB", (_GAP + pitch * max(map(len, rows)), high), _PAPER)
    pen, top = ImageDraw.Draw(sheet), _GAP
    for tiles, size, (titles, figures) in zip(rows, sizes, lines, strict=True):
        for column, tile in enumerate(tiles):
            left, below = _GAP + column * pitch, top + titles + figures
            _write(pen, (left, top), tile.title, 12, _INK)
            _write(pen, (left, top + titles), tile.figures, 10, _PALE)
            if tile.picture is not None:
                picture = tile.picture.convert("RGB").resize(size, Image.Resampling.BOX)
                sheet.paste(picture, (left, below))
        top += titles + figures + size[1] + _GAP
    with written_whole(path, "wb") as file:
        sheet.save(file, "PNG", optimize=True, pnginfo=about)


def _size(shape: tuple[int, int]) -> tuple[int, int]:
    """Width and height of a picture on a sheet."""
    scale = TILE / max(shape)
    return max(1, round(scale * shape[1])), max(1, round(scale * shape[0]))


def _write(pen: ImageDraw.ImageDraw, place: tuple[int, int], text: str, points: int,
           ink: tuple[int, int, int]) -> None:
    """Write a line that is no wider than a tile; a longer one loses its beginning."""
    from .tables import one_line  # with all that tables need, which test.py does without

    font, text = _font(points), one_line(text)  # a file's name may hold anything
    while font.getlength(text) > TILE and len(text) > 1:
        text = f"…{text.removeprefix('…')[1:]}"
    pen.text(place, text, ink, font)


@functools.cache
def _font(points: int) -> ImageFont.FreeTypeFont:
    import matplotlib  # which has a font with it, and takes a while

    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf"), points)
