"""The drawing of ``report figure``: pictures of samples in aligned rows and columns, with names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib.figure
import numpy as np
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.textpath import TextPath
from PIL import Image

from utils.errors import UserError, note_once

from .curves import Figure
from .drawing import settings
from .tables import one_line

_GAP, _STRIP = 0.035, 0.17  # inches: between pictures, of the names
_SIZES = (8, 7, 6, 5)  # points of a name, the largest that fits
_TALLEST = 1.5  # heights of a picture over the width of its cell
_PART = 4  # of the width: transposed, pictures are at most so high
_SMALLEST = 0.1  # inches, of the width of columns, and transposed of the height of pictures
_MOST_PIXELS = 2**16 - 1  # of a side, as matplotlib draws
_FONT = FontProperties(family="DejaVu Sans")


@dataclass(frozen=True)
class Sample:
    """The pictures of an image, in the order of the names: ``RGB`` or ``L``, of any sizes. They are
    shown in the form of the truth, ``shape``: height and width."""

    pictures: Sequence[Image.Image]
    shape: tuple[int, int]


@dataclass(frozen=True)
class _Cell:
    """Where a picture lies, in pixels from the left and the top."""

    left: int
    top: int
    width: int
    height: int


def draw_mosaic(names: Sequence[str], samples: Sequence[Sample], width: float, dpi: int,
                transpose: bool = False) -> Figure:
    """A row for each sample and a column for each name, or with ``transpose`` the other way.

    Columns are equally wide and a row's pictures equally high; transposed, all pictures have one
    height. No picture is distorted or cut. Each is brought to the pixels that it has in print.

    Args:
        width: in inches.
        dpi: pixels of an inch.

    Raises:
        UserError: pictures would be too small to be seen, the figure is too large to be drawn, or
            the font lacks letters of a name.
    """
    names = [one_line(name) for name in names]
    _require_letters(names)
    cells, (whole, high) = (_columns if transpose else _rows)(samples, len(names),
                                                              round(width * dpi), dpi)
    if max(whole, high) > _MOST_PIXELS:
        raise UserError(f"the figure would be {whole}×{high} pixels, {whole / dpi:.4g}×"
                        f"{high / dpi:.4g} inches, of at most {_MOST_PIXELS} a side; show fewer "
                        "images, or lower --dpi or --width")
    with settings("figure"):
        drawing = matplotlib.figure.Figure(figsize=(whole / dpi, high / dpi), dpi=dpi)
        for sample, line in zip(samples, cells, strict=True):
            for picture, cell in zip(sample.pictures, line, strict=True):
                axes = drawing.add_axes((cell.left / whole, 1 - (cell.top + cell.height) / high,
                                         cell.width / whole, cell.height / high))
                axes.set_axis_off()
                axes.imshow(_resized(picture, cell), aspect="auto", interpolation="none")
        # The first row has a cell of each name; a picture may be narrower than its column.
        for name, cell in zip(names, cells[0], strict=True):
            room = (cell.height if transpose else (whole - _GAP * dpi * (len(names) - 1))
                    / len(names)) / dpi
            text, size = fitted(name, room)
            if text != name:
                note_once(f"{name} has no room in the figure and is cut to {text}; --methods "
                          "NAME=LABEL gives a method a shorter name")
            strip = _STRIP * dpi / 2
            place = (strip / whole, 1 - (cell.top + cell.height / 2) / high) if transpose else \
                ((cell.left + cell.width / 2) / whole, strip / high)
            drawing.text(*place, text, ha="center", va="center", fontsize=size,
                         rotation=90 if transpose else 0)
    return Figure("figure", "Examples", f"{len(samples)} images: {', '.join(names)}.", drawing)


def _rows(samples: Sequence[Sample], columns: int, width: int,
          dpi: int) -> tuple[list[list[_Cell]], tuple[int, int]]:
    """The cells of each sample, a row, and the figure's width and height, in pixels."""
    gap, top = round(_GAP * dpi), 0
    pitch = (width + gap) / columns
    room = int(pitch) - gap
    _require_room(room, dpi, f"{columns} columns", "methods")
    cells = []
    for sample in samples:
        form = sample.shape[0] / sample.shape[1]
        high = max(1, round(room * min(form, _TALLEST)))
        wide = room if form <= _TALLEST else max(1, round(high / form))
        cells.append([_Cell(round(column * pitch) + (room - wide) // 2, top, wide, high)
                      for column in range(columns)])
        top += high + gap
    return cells, (width, top - gap + round(_STRIP * dpi))


def _columns(samples: Sequence[Sample], rows: int, width: int,
             dpi: int) -> tuple[list[list[_Cell]], tuple[int, int]]:
    """As ``_rows``, but each sample is a column; where few would be very high, the figure is
    narrower than ``width``."""
    gap, strip = round(_GAP * dpi), round(_STRIP * dpi)
    forms = [sample.shape[1] / sample.shape[0] for sample in samples]
    room = width - strip - gap * (len(samples) - 1)
    high = int(min(room / sum(forms), width / _PART))
    _require_room(high, dpi, f"{len(samples)} images side by side", "images")
    cells, left = [], strip
    for form in forms:
        wide = max(1, int(high * form))
        cells.append([_Cell(left, row * (high + gap), wide, high) for row in range(rows)])
        left += wide + gap
    return cells, (left - gap, rows * (high + gap) - gap)


def _require_room(pixels: int, dpi: int, shown: str, fewer: str) -> None:
    if pixels < _SMALLEST * dpi:
        raise UserError(f"{shown} are too many for the figure's width: the pictures would have "
                        f"{max(0, pixels) / dpi:.2g} inches, and {_SMALLEST} is the least; show "
                        f"fewer {fewer}, or give a larger --width")


def _require_letters(names: Sequence[str]) -> None:
    font = get_font(findfont(_FONT))
    for name in names:
        if lacking := "".join(sign for sign in name if not font.get_char_index(ord(sign))):
            raise UserError(f"{name}: the figure's font, DejaVu Sans, has no {lacking}; --methods "
                            "NAME=LABEL gives a method another name")


def _resized(picture: Image.Image, cell: _Cell) -> np.ndarray:
    """The picture as large as its cell, uint8 (h, w, 3): photos sharply, masks and maps without
    ringing."""
    size = cell.width, cell.height
    method = Image.Resampling.LANCZOS if picture.mode == "RGB" else Image.Resampling.BILINEAR
    resized = picture if picture.size == size else picture.resize(size, method)
    return np.asarray(resized.convert("RGB"))  # a colour map would round greys otherwise


def fitted(text: str, room: float) -> tuple[str, float]:
    """A name that is at most ``room`` wide, in inches, and its size in points: a name that is too
    long even in the smallest loses its middle."""
    def wide(words: str, size: float) -> float:
        return TextPath((0, 0), words, size, prop=_FONT).get_extents().width / 72 if words else 0

    for size in _SIZES:
        if wide(text, size) <= room:
            return text, size
    kept = len(text) - 1
    while kept > 1 and wide(f"{text[:(kept + 1) // 2]}…{text[-(kept // 2):]}", size) > room:
        kept -= 1
    return f"{text[:(kept + 1) // 2]}…{text[-(kept // 2):]}" if kept > 1 else "…", size
