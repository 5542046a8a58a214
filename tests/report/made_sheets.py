"""A sheet of report explain that needs no network."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from report.explain.about import About
from report.sheet import Tile, save_sheet
from utils.files import sha256_of

#: What origin.json of the same maps would hold.
OF = {"sha256": "0123456789abcdef", "settings": "fedc"}
TEXT = "input, map, <b>side</b>"


def write_sheet(path: Path, image: Path) -> None:
    """A sheet of an image of six tiles in two rows."""
    photo = Image.open(image)
    tiles = [Tile(photo if title == "input" else Image.new("RGB", (9, 9), title), title, "9×9")
             for title in ("input", "red", "green", "blue", "cyan", "black")]
    about = About(**OF, image=sha256_of(image), text=TEXT)
    save_sheet(path, [tiles, tiles[2:]], [photo.size[::-1]] * 2, about.in_png())
