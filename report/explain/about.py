"""What a sheet is of, in the text of its PNG file: a page shows it beside no other maps."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from utils.errors import UserError

_KEY = "explained"  # of the text in the file


@dataclass(frozen=True)
class About:
    """What a sheet is of.

    Attributes:
        sha256: of the file of the weights, as ``results/<method>/origin.json`` has it.
        settings: a digest of the configuration, see ``utils.origin.settings_of``.
        image: SHA-256 of the photo's file.
        text: what the sheet shows, in words.
    """

    sha256: str
    settings: str
    image: str
    text: str

    def in_png(self) -> PngInfo:
        """A chunk of text for a PNG file."""
        info = PngInfo()
        info.add_text(_KEY, json.dumps(dataclasses.asdict(self)))
        return info


def read_about(path: Path) -> tuple[About, tuple[int, int]]:
    """What a sheet tells of itself, and its width and height; no pixel is decoded.

    Raises:
        UserError: no PNG file, or none that ``python -m report explain`` has written.
    """
    try:
        with Image.open(path, formats=["PNG"]) as image:
            return About(**json.loads(image.info[_KEY])), image.size
    except (OSError, SyntaxError, ValueError, TypeError, KeyError):
        raise UserError(f"{path}: no sheet that says what it is of; make it anew with python -m "
                        "report explain, and keep other pictures elsewhere") from None
