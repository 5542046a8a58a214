"""What a mask file holds, in every format: grey values, indices of a palette, colours, alpha."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from utils import heic
from utils.images import UnreadableError, open_image

TINT = 24  # channels that differ by no more are grey: JPEG's rounding, scanned paper
_LOSSY = ("JPEG", "MPO", "AVIF", heic.FORMAT)  # the last two can do without, and hardly ever do
_PART = 2**22  # pixels that are counted together
VOID_COLOUR = (224, 224, 192)  # of index 255 in the palette of PASCAL VOC


@dataclass(frozen=True)
class Content:
    """A decoded mask file, as it is stored: not turned, and not yet a mask.

    Attributes:
        file: the opened file, which knows its orientation.
        form: ``grey`` (8 bit, or a palette of greys), ``deep`` (grey of more bits), ``indexed`` (a
            palette of colours) or ``colour``.
        numbers: (H, W) grey values, indices, or of colours the strongest channel.
        indices: uint8 (H, W), of files with a palette.
        colours: uint8 (H, W, 3) of the forms ``indexed`` and ``colour``.
        alpha: uint8 (H, W), of files that have it and are not ``indexed``.
    """

    file: Image.Image
    form: str
    numbers: np.ndarray
    indices: np.ndarray | None = None
    colours: np.ndarray | None = None
    alpha: np.ndarray | None = None

    @property
    def varied_alpha(self) -> np.ndarray | None:
        """The alpha channel where it says something: where it is not the same everywhere."""
        if self.alpha is None or self.alpha.min() == self.alpha.max():
            return None
        return self.alpha

    def brightness(self, white: float) -> np.ndarray:
        """uint8 (H, W): the strongest channel, times alpha where that varies.

        Args:
            white: the number that is white in files of the form ``deep``.
        """
        values = self.numbers
        if self.form == "deep":
            values = np.round(values * (255 / white)).clip(0, 255).astype(np.uint8)
        elif self.form == "indexed":
            values = self.colours.max(axis=2)
        if (alpha := self.varied_alpha) is not None:
            values = (values.astype(np.uint16) * alpha // 255).astype(np.uint8)
        return values

    def codes(self, of_colours: bool) -> np.ndarray:
        """(H, W): the numbers; of a colour 0 for black, 255 for VOC's void colour, else 1.

        Args:
            of_colours: greys are colours too, of which white is one like the others.
        """
        if self.form == "colour":
            void = (self.colours == VOID_COLOUR).all(axis=2)
            return np.where(void, np.uint8(255), self.colours.any(axis=2).astype(np.uint8))
        return (self.numbers > 0).astype(np.uint8) if of_colours else self.numbers


def read_content(path: Path) -> Content:
    """Decode a mask file.

    Raises:
        UnreadableError: it does not decode, or has values that no mask has.
    """
    file = open_image(path)
    if file.mode in ("1", "L"):
        return Content(file, "grey", np.array(file if file.mode == "L" else file.convert("L")))
    if file.mode in ("I", "F") or file.mode.startswith("I;"):
        return Content(file, "deep", _deep(np.asarray(file), path))
    if file.mode in ("P", "PA"):
        return _of_palette(file)
    return _of_colours(file)


def is_lossy(path: Path, file: Image.Image) -> bool:
    """Whether a file's numbers are not quite those that were written, by its format, and in WebP,
    TIFF and JPEG 2000 by the compression that was chosen."""
    if file.format == "WEBP":
        return b"VP8L" not in path.read_bytes()
    if file.format == "JPEG2000":
        _, marker, style = path.read_bytes().partition(b"\xff\x52")  # how it is coded, of which:
        return bool(marker) and style[11:12] == b"\0"  # the wavelet that does not give integers
    return file.format in _LOSSY or file.info.get("compression") in ("jpeg", "webp")


def levels_of(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct values of an array, ascending, and how often each occurs."""
    if numbers.dtype != np.uint8:
        return np.unique(numbers, return_counts=True)
    # ``bincount`` makes eight bytes of each.
    flat = numbers.ravel()
    counts = sum(np.bincount(flat[start:start + _PART], minlength=256)
                 for start in range(0, max(flat.size, 1), _PART))
    levels = np.flatnonzero(counts)
    return levels, counts[levels]


def _deep(numbers: np.ndarray, path: Path) -> np.ndarray:
    low, high = float(numbers.min(initial=0)), float(numbers.max(initial=0))
    if not 0 <= low <= high <= 65535:  # also false for NaN
        raise UnreadableError(f"{path}: grey values from {low:g} to {high:g}; expected 8 or 16 bit")
    return numbers


def _of_palette(file: Image.Image) -> Content:
    """By grey value where all entries of the palette are grey, and those that occur are different;
    else by index. Where transparency says anything else than the indices do, the file is one of
    colours and alpha."""
    indices = np.array(file.getchannel("P") if file.mode == "PA" else file)
    entries = np.array(file.getpalette("RGB"), np.uint8).reshape(-1, 3)
    table = np.zeros((256, 3), np.uint8)
    table[:len(entries)] = entries
    if file.mode == "PA" or "transparency" in file.info:
        seen = _of_colours(file, indices)
        alpha = seen.varied_alpha
        if alpha is not None and ((alpha > 127) != (indices > 0)).any():
            return seen
    used = table[levels_of(indices)[0], 0]
    if (entries == entries[:, :1]).all() and len(np.unique(used)) == len(used):
        return Content(file, "grey", table[indices, 0], indices)
    return Content(file, "indexed", indices, indices, table[indices])


def _of_colours(file: Image.Image, indices: np.ndarray | None = None) -> Content:
    has_alpha = file.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in file.info
    pixels = np.asarray(file.convert("RGBA" if has_alpha else "RGB"))
    colours, alpha = pixels[..., :3], pixels[..., 3] if has_alpha else None
    strongest = colours.max(axis=2)
    if (strongest - colours.min(axis=2)).max(initial=0) <= TINT:
        return Content(file, "grey", strongest, indices, alpha=alpha)
    return Content(file, "colour", strongest, indices, colours, alpha)
